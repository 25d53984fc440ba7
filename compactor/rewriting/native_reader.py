"""The native reader of the proof: encoded Parquet in, the fingerprint of its rows out, without tables in between.

Says of every file either what Arrow would say of it, or why it leaves it to Arrow: types that are converted when they are read, codecs and
encodings of old, whatever does not add up. It shares no code with the merging of pages, whose results it looks at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import pyarrow as pa

from compactor.ambient.cores import threads_for
from compactor.model.fingerprint import FINGERPRINT_ALGORITHM, Fingerprint
from compactor.model.rewrite import ReadSpec
from compactor.rewriting import native
from compactor.rewriting.lane_values import ELEMENT
from compactor.rewriting.native_rows import NativeKey
from compactor.rewriting.variant import is_variant

if TYPE_CHECKING:
    from compactor.rewriting.native import ProofTarget

_FIELD_ID = b"PARQUET:field_id"
_Described = tuple[str, int | None, object, str, tuple[int, int], list["_Described"], object]


class Unread(Exception):
    """Why something is not read natively, in words that go on from its name."""


class NativeReader:
    """Reads files as one ReadSpec says. Threads may share it."""

    def __init__(self, spec: ReadSpec, columns: Collection[str] | None = None) -> None:
        """`columns`: of the table those that are read; None: all. Raises Unread where no file of such a table can be read."""
        if native.KERNELS is None:
            raise Unread(f"the native package is {native.STATUS}")
        if spec.row_ids is not None or len(spec.constants):
            raise Unread("it has columns that files do not hold as they are read")
        self._kernels = native.KERNELS
        root = NativeKey(self._kernels, FINGERPRINT_ALGORITHM)
        wanted = [field for field in spec.schema if columns is None or field.name in columns]
        described = [_described(field, root.child(field.name)) for field in wanted]
        self._target: ProofTarget = self._kernels.ProofTarget(root.known, described, spec.match == "id")

    def sums(self, files: Sequence[memoryview], most_bytes: int) -> list[Fingerprint | str]:
        """Of each whole file its rows, or why it is not read. `most_bytes`: of what is made of pages on the way."""
        with threads_for(len(files)) as threads:
            found = self._kernels.proof_sums(self._target, files, most_bytes, threads)
        return [one if isinstance(one, str) else Fingerprint(sum=one[0], rows=one[1]) for one in found]

    def opened(self, tail: bytes) -> NativeFile:
        """A file of which this is the end, its whole footer included. Raises Unread."""
        return NativeFile(self._kernels, self._target, tail)


class NativeFile:
    """A file whose row groups are read one by one."""

    def __init__(self, kernels: ModuleType, target: ProofTarget, tail: bytes) -> None:
        self._kernels, self._target = kernels, target
        with _refusals(kernels):
            self._known = kernels.ProofFile(target, tail)

    @property
    def row_groups(self) -> int:
        """How many there are."""
        return int(self._known.row_groups)

    def chunks(self, row_group: int) -> list[tuple[int, int]]:
        """Begin and length of its column chunks, those that are read. Raises Unread."""
        with _refusals(self._kernels):
            chunks: list[tuple[int, int]] = self._known.chunks(row_group)
            return chunks

    def sum(self, row_group: int, chunks: Sequence[memoryview], most_bytes: int) -> Fingerprint:
        """The rows of a row group whose chunks these are. Raises Unread."""
        with threads_for(len(chunks)) as threads, _refusals(self._kernels):
            found, rows = self._known.sum(self._target, row_group, chunks, most_bytes, threads)
            return Fingerprint(sum=found, rows=rows)

    def sum_stored(self, row_group: int, path: str, most_bytes: int) -> Fingerprint:
        """The rows of a row group of the file at `path` of this machine. Raises Unread, also when it is not there."""
        with threads_for(len(self.chunks(row_group))) as threads, _refusals(self._kernels):
            found, rows = self._known.sum_stored(self._target, row_group, path, most_bytes, threads)
            return Fingerprint(sum=found, rows=rows)


def reads_natively(spec: ReadSpec) -> bool:
    """Whether files of such a table are read natively, as far as they can be."""
    try:
        NativeReader(spec)
    except Unread:
        return False
    return True


@contextlib.contextmanager
def _refusals(kernels: ModuleType) -> Iterator[None]:
    try:
        yield
    except kernels.ProofRefused as refused:
        raise Unread(refused.args[0]) from refused


def _described(field: pa.Field, key: NativeKey) -> _Described:
    """A column as the kernel is told of it. Raises Unread for types that are not read."""
    kind, numbers, inside, entries = _kind(field.type, key)
    told = (field.metadata or {}).get(_FIELD_ID)
    return field.name, None if told is None else int(told), key.known, kind, numbers, inside, entries


_NOTHING: tuple[int, int] = (0, 0)


def _kind(kind: pa.DataType, key: NativeKey) -> tuple[str, tuple[int, int], list[_Described], object]:
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType) or is_variant(kind):
        raise Unread(f"values of type {kind} are converted when they are read")
    if types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return "struct", _NOTHING, [_described(field, key.child(field.name)) for field in fields], None
    if types.is_list(kind):
        return "list", _NOTHING, [_described(kind.value_field, key.child(ELEMENT))], None
    if types.is_map(kind):
        entry = key.child(ELEMENT)
        inside = [_described(kind.key_field, entry.child("key")), _described(kind.item_field, entry.child("value"))]
        return "map", _NOTHING, inside, entry.known
    if types.is_decimal128(kind):
        return "decimal", (kind.precision, kind.scale), [], None
    if types.is_signed_integer(kind):
        return "integer", (kind.bit_width, 0), [], None
    name = _PLAIN.get(kind.id)
    if name is None or (types.is_timestamp(kind) and kind.unit != "us"):
        raise Unread(f"values of type {kind} are not read")
    return name, _NOTHING, [], None


_PLAIN: dict[int, str] = {
    pa.lib.Type_BOOL: "boolean",
    pa.lib.Type_DATE32: "date",
    pa.lib.Type_TIMESTAMP: "microseconds",
    pa.lib.Type_FLOAT: "float",
    pa.lib.Type_DOUBLE: "double",
    pa.lib.Type_STRING: "text",
    pa.lib.Type_BINARY: "bytes",
}
