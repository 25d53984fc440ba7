"""What a Parquet schema means for the bytes of pages: whether pages written under one schema may stand under another.

Two schemas are alike when each leaf has the same physical type, the same levels and the same meaning, and user-visible names are the same.
What a file calls the inner nodes of lists and maps, its root, and which of two spellings of an annotation it uses do not matter: the new
footer brings its own. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compactor.rewriting.parquet_fields import Kind, Repetition
from compactor.rewriting.parquet_fields import SchemaElement as Element
from compactor.rewriting.thrift_compact import Struct, ThriftProblem

_MOST_DEPTH = 64
_CONVERTED = {
    0: "string",
    1: "map",
    2: "map",
    3: "list",
    4: "enum",
    6: "date",
    7: "time in milliseconds",
    8: "time in microseconds",
    9: "timestamp in milliseconds, UTC",
    10: "timestamp in microseconds, UTC",
    11: "unsigned 8-bit",
    12: "unsigned 16-bit",
    13: "unsigned 32-bit",
    14: "unsigned 64-bit",
    15: "8-bit",
    16: "16-bit",
    17: "",
    18: "",
    19: "JSON",
    20: "BSON",
    21: "interval",
}
_LOGICAL = {1: "string", 2: "map", 3: "list", 4: "enum", 6: "date", 11: "null", 12: "JSON", 13: "BSON", 14: "UUID", 15: "16-bit float"}
_UNITS = {1: "milliseconds", 2: "microseconds", 3: "nanoseconds"}
_DECIMAL, _TIME, _TIMESTAMP, _INTEGER = 5, 7, 8, 10
_CONVERTED_DECIMAL = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A leaf of a Parquet schema. `path`: names from the top; `repeated`: below a list or map; `optional`: it or one above may be null."""

    path: tuple[str, ...]
    kind: int
    meaning: str
    repeated: bool
    optional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of a schema as a tree."""

    name: str
    kind: int | None
    length: int
    repetition: int
    meaning: str
    field_id: int | None
    children: tuple[Node, ...]


def tree(elements: Sequence[Struct]) -> tuple[Node, ...]:
    """The nodes below the root. Raises ThriftProblem for a list that is no tree."""
    if not elements:
        raise ThriftProblem("there is no schema")
    root, end = _node(elements, 0, 0)
    if end != len(elements):
        raise ThriftProblem("the schema goes on after its end")
    return root.children


def _node(elements: Sequence[Struct], at: int, depth: int) -> tuple[Node, int]:
    if at >= len(elements) or depth >= _MOST_DEPTH:
        raise ThriftProblem("the schema does not end")
    element = elements[at]
    count = element.integer(Element.NUM_CHILDREN) or 0
    kind = element.integer(Element.TYPE)
    if count < 0 or (kind is not None and count):
        raise ThriftProblem("the schema is no tree")
    children, at = [], at + 1
    for _ in range(count):
        child, at = _node(elements, at, depth + 1)
        children.append(child)
    node = Node(
        name=(element.binary(Element.NAME) or b"").decode("utf-8", "surrogateescape"),
        kind=kind,
        length=(element.integer(Element.TYPE_LENGTH) or 0) if kind == Kind.FIXED_LEN_BYTE_ARRAY else 0,
        repetition=element.integer(Element.REPETITION) or 0,
        meaning=_meaning(element),
        field_id=element.integer(Element.FIELD_ID),
        children=tuple(children),
    )
    return node, at


def _meaning(element: Struct) -> str:
    """The annotation, however it is spelled; none for what adds nothing to the physical type."""
    logical = element.struct(Element.LOGICAL_TYPE)
    if logical is not None and logical.fields:
        return _logical(logical)
    converted = element.integer(Element.CONVERTED_TYPE)
    if converted is None:
        return ""
    if converted == _CONVERTED_DECIMAL:
        return f"decimal({element.integer(Element.PRECISION) or 0},{element.integer(Element.SCALE) or 0})"
    return _CONVERTED.get(converted, f"type {converted}")


def _logical(logical: Struct) -> str:
    which = next(iter(logical.fields))
    inner = logical.struct(which) or Struct({})
    if which == _DECIMAL:
        return f"decimal({inner.integer(2) or 0},{inner.integer(1) or 0})"
    if which in (_TIME, _TIMESTAMP):
        unit = next(iter((inner.struct(2) or Struct({})).fields), 0)
        name = "time" if which == _TIME else "timestamp"
        zone = ", UTC" if inner.truth(1) and which == _TIMESTAMP else ""
        return f"{name} in {_UNITS.get(unit, 'unknown units')}{zone}"
    if which == _INTEGER:
        width, signed = inner.integer(1) or 0, inner.truth(2)
        return f"{'' if signed else 'unsigned '}{width}-bit" if not signed or width < 32 else ""
    return _LOGICAL.get(which, f"logical type {which}")


def difference(theirs: Sequence[Node], ours: Sequence[Node], above: str = "") -> str | None:
    """Why pages under the schema `theirs` may not stand under `ours`, in a few words with the column's name; None when they may."""
    names, wanted = [node.name for node in theirs], [node.name for node in ours]
    if names != wanted:
        return _other_columns(names, wanted, above)
    found = (_differs(their, our, f"{above}{our.name}") for their, our in zip(theirs, ours, strict=True))
    return next((why for why in found if why is not None), None)


def _other_columns(names: list[str], wanted: list[str], above: str) -> str:
    extra = next((name for name in names if name not in wanted), None)
    missing = next((name for name in wanted if name not in names), None)
    if missing is not None:
        return f'it lacks column "{above}{missing}"'
    if extra is not None:
        return f'it holds column "{above}{extra}", which the table has not'
    return "its columns are in another order"


def _differs(theirs: Node, ours: Node, name: str) -> str | None:
    if theirs.kind == Kind.INT96:
        return f'column "{name}" holds INT96 timestamps'
    if (theirs.kind, theirs.length, len(theirs.children)) != (ours.kind, ours.length, len(ours.children)):
        return f'column "{name}" has another physical type'
    if theirs.repetition != ours.repetition:
        return f'column "{name}" is {_REPETITIONS.get(theirs.repetition, "unknown")} in it'
    if theirs.meaning != ours.meaning:
        return f'column "{name}" is of type {theirs.meaning or "plain"} in it, not {ours.meaning or "plain"}'
    if ours.meaning in ("list", "map"):
        return _differs_inside(theirs, ours, name)
    return difference(theirs.children, ours.children, f"{name}.")


_REPETITIONS: dict[int, str] = {Repetition.REQUIRED: "required", Repetition.OPTIONAL: "optional", Repetition.REPEATED: "repeated"}


def _differs_inside(theirs: Node, ours: Node, name: str) -> str | None:
    """Below a list or map the repeated group and what it holds are found by position, whatever their names, if they have three levels."""
    (their, our), (their_group, our_group) = (theirs, ours), (theirs.children[0], ours.children[0])
    alike = their_group.repetition == our_group.repetition == Repetition.REPEATED and their_group.kind is our_group.kind is None
    two_levels = our.meaning == "list" and their_group.name in ("array", f"{their.name}_tuple")  # names that make the group the element
    if len(their.children) != 1 or not alike or two_levels or len(their_group.children) != len(our_group.children):
        return f'column "{name}" is built in another way'
    inner = zip(their_group.children, our_group.children, strict=True)
    return next((why for one, other in inner if (why := _differs(one, other, f"{name}.{other.name}")) is not None), None)


def leaves(nodes: Sequence[Node]) -> list[Leaf]:
    """The leaves in order, which is that of column chunks."""
    found: list[Leaf] = []
    for node in nodes:
        _collect(node, (), frozenset(), found)
    return found


def _collect(node: Node, path: tuple[str, ...], above: frozenset[int], found: list[Leaf]) -> None:
    path, levels = (*path, node.name), above | {node.repetition}
    if node.kind is not None:
        repeated, optional = Repetition.REPEATED in levels, Repetition.OPTIONAL in levels
        found.append(Leaf(path=path, kind=node.kind, meaning=node.meaning, repeated=repeated, optional=optional))
    for child in node.children:
        _collect(child, path, levels, found)


def field_ids(nodes: Sequence[Node]) -> list[int | None]:
    """The field id of each node, depth first."""
    return [found for node in nodes for found in (node.field_id, *field_ids(node.children))]
