"""How outputs are written so that the table's properties are kept: codec, page version, and which leaves get statistics.

Protocol sections "Table Properties" (delta.parquet.*), "Per-file Statistics". Pure. An unknown value is refused by name, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from compactor.errors import TableRefused
from compactor.model.rewrite import StatisticsColumn, WriteSpec
from compactor.tables.base import Refusal
from compactor.tables.delta.protocol import mapping_mode, physical_name
from compactor.tables.delta.schema import Field, Type, data_fields
from compactor.tables.delta.state import Metadata

CODEC = "delta.parquet.compression.codec"
PAGE_FORMAT = "delta.parquet.format.version"
STATS_COLUMNS = "delta.dataSkippingStatsColumns"
INDEXED_COLUMNS = "delta.dataSkippingNumIndexedCols"
STRING_PREFIX = "delta.dataSkippingStringPrefixLength"
DEFAULT_INDEXED_COLUMNS = 32

_CODECS = {
    "zstd": "zstd",
    "snappy": "snappy",
    "gzip": "gzip",
    "brotli": "brotli",
    "lz4": "lz4",
    "lz4_raw": "lz4",
    "lz4raw": "lz4",
    "none": "none",
    "uncompressed": "none",
}
_UNBOUNDED = frozenset({"boolean", "binary", "variant"})
_NAME_PART = re.compile(r"\s*(?:`((?:[^`]|``)*)`|([^`.,]+?))\s*([.,]|$)")

Leaf = tuple[tuple[str, ...], tuple[str, ...], Type]
"""A leaf: its path of logical names, its path of physical names, its type."""


def write_spec(metadata: Metadata, features: frozenset[str], clustering: Sequence[tuple[str, ...]] = ()) -> WriteSpec:
    """How outputs are to be written. `clustering`: physical paths of columns that must have statistics whatever the properties say.

    Raises TableRefused for a property value that property_refusals would name.
    """
    refusals = property_refusals(metadata)
    if refusals:
        raise TableRefused(refusals[0].why, reason=refusals[0].reason)
    prefix = _number(metadata.configuration.get(STRING_PREFIX), 32)
    return WriteSpec(
        compression=_CODECS[metadata.configuration.get(CODEC, "zstd").strip().lower()],
        page_version=_page_version(metadata) or "1.0",
        statistics=statistics_columns(metadata, features, clustering),
        string_prefix=max(0, prefix),
        only_compression=CODEC in metadata.configuration,
        only_page_version=PAGE_FORMAT in metadata.configuration,
    )


def property_refusals(metadata: Metadata) -> list[Refusal]:
    """Values of writer properties that are not known."""
    refusals = []
    codec = metadata.configuration.get(CODEC, "zstd")
    if codec.strip().lower() not in _CODECS:
        known = ", ".join(sorted(_CODECS))
        refusals.append(Refusal(reason=f"property:{CODEC}", why=f'The table asks for the codec "{codec}" ({CODEC}); known are {known}.'))
    if _page_version(metadata) is None:
        asked = metadata.configuration[PAGE_FORMAT]
        refusals.append(
            Refusal(reason=f"property:{PAGE_FORMAT}", why=f'The table asks for the Parquet format version "{asked}", which is not known.')
        )
    return refusals


def _page_version(metadata: Metadata) -> Literal["1.0", "2.0"] | None:
    asked = metadata.configuration.get(PAGE_FORMAT, "1.0.0").strip()
    if re.fullmatch(r"1\.0(\.0)?", asked):
        return "1.0"
    return "2.0" if re.fullmatch(r"2\.\d+(\.\d+)?", asked) else None


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and re.fullmatch(r"\s*-?\d{1,9}\s*", text) else default


def statistics_columns(
    metadata: Metadata, features: frozenset[str], clustering: Sequence[tuple[str, ...]] = ()
) -> tuple[StatisticsColumn, ...]:
    """The leaves that get statistics: the named ones, else the first ones in the order of the schema; and those of `clustering`."""
    mode = mapping_mode(metadata, features)
    leaves = [leaf for field in data_fields(metadata) for leaf in _leaves(field, (), (), mode)]
    named = metadata.configuration.get(STATS_COLUMNS, "").strip()
    if named:
        wanted = [tuple(part.lower() for part in path) for path in parse_column_list(named)]
        chosen = [leaf for leaf in leaves if any(_folded(leaf[0])[: len(path)] == path for path in wanted)]
    else:
        limit = _number(metadata.configuration.get(INDEXED_COLUMNS), DEFAULT_INDEXED_COLUMNS)
        chosen = leaves if limit < 0 else leaves[:limit]
    have = {path for _, path, _ in chosen}
    chosen += [leaf for leaf in leaves if leaf[1] not in have and leaf[1] in clustering]
    return tuple(StatisticsColumn(path=path, bounds=_bounded(kind)) for _, path, kind in chosen)


def _folded(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.lower() for part in path)


def _bounded(kind: Type) -> bool:
    return isinstance(kind, str) and kind not in _UNBOUNDED


def _leaves(field: Field, logical: tuple[str, ...], physical: tuple[str, ...], mode: str) -> Iterator[Leaf]:
    """Leaves in the order of the schema; an array or a map is one leaf."""
    logical, physical = (*logical, str(field["name"])), (*physical, physical_name(field, mode))
    kind: str | Mapping[str, Any] = field["type"]
    if not isinstance(kind, str) and kind["type"] == "struct":
        for child in (child for child in kind["fields"] if child["type"] != "void"):
            yield from _leaves(child, logical, physical, mode)
    else:
        yield logical, physical, kind


def parse_column_list(text: str) -> list[tuple[str, ...]]:
    """Column paths of a comma-separated list such as "a, b.c, `d.e`". What cannot be read as a name is passed over."""
    paths: list[tuple[str, ...]] = []
    parts: list[str] = []
    position = 0
    while position < len(text) and (match := _NAME_PART.match(text, position)):
        parts.append(match[1].replace("``", "`") if match[1] is not None else match[2])
        position = match.end()
        if match[3] != ".":
            paths.append(tuple(parts))
            parts = []
    return paths
