"""One input, opened: its Parquet reader, its deleted rows, and how its rows become those of the ReadSpec.

Column selection, conversion and dictionary-wise reading depend on the file's schema alone; files of one table mostly share theirs, so that
work is done once for each schema in a row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.model.rewrite import InputFile, ReadSpec
from compactor.rewriting.added import ROW_BYTES, AddedColumns, added_fields, stored_columns
from compactor.rewriting.ahead import chunks_of
from compactor.rewriting.budget import Budget
from compactor.rewriting.conform import Conformer, match_fields
from compactor.rewriting.dictionaries import with_dictionaries, worth_reading
from compactor.rewriting.fetch import Fetched
from compactor.rewriting.footer import check_chunks, checked_rows, footer_length
from compactor.rewriting.problems import FileProblem
from compactor.rewriting.ranged import RangedFile
from compactor.rewriting.row_bytes import Hiding, Probed, hiding_of
from compactor.rewriting.row_filter import DeletedRows, load_deletes
from compactor.storage.base import ObjectStore

_SMALLEST_BUFFER = 64 * 1024
_LARGEST_BUFFER = 8 * 1024 * 1024
_PAGE_BUFFER = 16 * 1024
"""Where blocks are read ahead, Arrow needs a buffer only for page headers and small pages."""
_NEVER_DICTIONARIES = frozenset({"DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"})
"""Encodings that Arrow does not read into dictionaries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An input ready to be read. `columns`: top-level columns to read, None for all. `rows` are physical, `surviving` those not deleted.
    indexed: whether Arrow reads any top-level column as a dictionary, for whatever reason.

    added: the columns that outputs have besides those of the table's schema; None where there are none.
    source: its bytes, all of them or as a file of ranges, of which `block_bytes` of a column are fetched at once, `stream_bytes` in all.
    """

    input: InputFile
    size_bytes: int
    source: bytes | memoryview | RangedFile
    block_bytes: int
    stream_bytes: int
    file: pq.ParquetFile
    columns: list[str] | None
    conform: Conformer
    deleted: DeletedRows | None
    hiding: Hiding
    probed: Probed
    rows: int
    surviving: int
    indexed: bool
    added: AddedColumns | None = None

    @property
    def fixed_row_bytes(self) -> float:
        """Bytes of a decoded row of an output, at least."""
        return self.conform.fixed_row_bytes + (ROW_BYTES if self.added is not None else 0)

    @property
    def key(self) -> str:
        """The object that it is, as an Origin says it."""
        return self.input.key

    def read(self, start: int, length: int) -> bytes | memoryview:
        """Bytes of the file, in any thread. Raises FileProblem when there are not as many, StorageError."""
        if isinstance(self.source, RangedFile):
            return self.source.range(start, length)
        if start + length > len(self.source):
            raise FileProblem("corrupt-file", f"{self.input.key} ended before byte {start + length}.")
        return memoryview(self.source)[start : start + length]

    def next(self, start: int, length: int) -> bytes | memoryview:
        """Bytes of what is expected, in its order and in one thread. Raises as `read` does."""
        if not isinstance(self.source, RangedFile):
            return self.read(start, length)
        self.source.seek(start)
        return self.source.read(length)

    @property
    def path(self) -> str | None:
        """Where it is as a file of this machine, if it is not in memory as a whole."""
        return self.source.path if isinstance(self.source, RangedFile) else None

    def expect(self, row_groups: range, columns: Collection[str] | None) -> None:
        """These row groups are read next, by Arrow or `next`: of these columns (dotted, with all below; None: all), and nothing else."""
        if isinstance(self.source, RangedFile):
            wanted = _leaves_below(self.file.metadata.schema, columns)
            chunks = [chunk for chunk in chunks_of(self.file.metadata, wanted) if chunk.row_group in row_groups]
            self.source.read_ahead(chunks, self.block_bytes, self.stream_bytes)

    def finished(self, kept: pa.Table) -> pa.Table:
        """Rows that stay, with the added columns last where there are any, as rows of an output."""
        if self.added is None:
            return self.conform(kept)
        data = self.conform(kept.select(list(range(kept.num_columns - self.added.width))))
        return self.added.behind(data, kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """How files of one schema are read. `leaves`: the leaf index of each column that is read as a dictionary, by Parquet path."""

    as_read: pa.Schema
    columns: list[str] | None
    dictionaries: list[str]
    leaves: Mapping[str, int]
    conform: Conformer
    hiding: Hiding
    probed: Probed
    indexed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A file as Arrow reads it. `buffer_bytes`: the read buffer of one column; 0 reads whole column chunks. `block_bytes`: what is fetched
    of a column at once where the source reads ahead by itself."""

    native: pa.NativeFile
    metadata: pq.FileMetaData | None = None
    buffer_bytes: int = 0
    block_bytes: int = 0

    def open(self, dictionaries: list[str], *, known: bool = False) -> pq.ParquetFile:
        """Checked, unless it is `known`. Raises KeyError when the file lacks one of the columns to be read as dictionaries."""
        file = pq.ParquetFile(
            self.native,
            metadata=self.metadata,
            read_dictionary=dictionaries,
            buffer_size=self.buffer_bytes,
            pre_buffer=False,
            coerce_int96_timestamp_unit="us",
            arrow_extensions_enabled=False,
            page_checksum_verification=True,  # where a writer has left checksums, damage is not copied
        )
        if not known:
            check_chunks(file)
        return file


class Opener:
    """Opens the inputs of one task, in their order."""

    def __init__(self, spec: ReadSpec, store: ObjectStore, budget: Budget) -> None:
        self._spec, self._store, self._budget = spec, store, budget
        self._dictionaries: frozenset[str] | None = None
        self._reading: _Reading | None = None
        self._added = added_fields(spec)
        self._data = spec.schema
        self.schema = pa.schema([*spec.schema, *self._added])

    def open(self, fetched: Fetched) -> Opened:
        """The input behind `fetched`; after the first, `schema` is that of all decoded rows: the spec's, perhaps with dictionaries.

        Raises FileProblem that names the file, StorageError.
        """
        deletes = fetched.input.deletes
        deleted = None if deletes is None else load_deletes(deletes, self._store)
        source = self._source(fetched)
        file, reading = self._read(source)
        rows = checked_rows(file.metadata)
        if deleted is not None and deleted.last >= rows:
            raise FileProblem("corrupt-file", f"its deletion vector names row {deleted.last}, but it has {rows} rows")
        return Opened(
            input=fetched.input,
            size_bytes=fetched.size_bytes,
            source=fetched.source,
            block_bytes=source.block_bytes,
            stream_bytes=self._budget.stream,
            file=file,
            columns=reading.columns,
            conform=reading.conform,
            hiding=reading.hiding,
            probed=reading.probed,
            deleted=deleted,
            rows=rows,
            surviving=rows - (len(deleted) if deleted is not None else 0),
            indexed=reading.indexed,
            added=AddedColumns(self._spec, fetched.input) if self._added else None,
        )

    def _source(self, fetched: Fetched) -> _Source:
        """The bytes as Arrow reads them; of a streamed file the footer too, since it says how many columns share the read buffers."""
        source = fetched.source
        if not isinstance(source, RangedFile):
            footer_length(source)
            return _Source(native=pa.BufferReader(source))
        source.seek(max(0, fetched.size_bytes - 8))
        footer_length(source.read())
        native = pa.PythonFile(source, "r")
        metadata = pq.read_metadata(native)
        block_bytes = max(_SMALLEST_BUFFER, min(_LARGEST_BUFFER, self._budget.stream // max(1, metadata.num_columns)))
        buffer_bytes = min(_PAGE_BUFFER, block_bytes // 16) if source.reads_ahead else block_bytes
        return _Source(native=native, metadata=metadata, buffer_bytes=buffer_bytes, block_bytes=block_bytes)

    def _read(self, source: _Source) -> tuple[pq.ParquetFile, _Reading]:
        """The reader of the file, opened once where it has the schema of the one before."""
        if self._reading is not None:
            with contextlib.suppress(KeyError):  # a column that the one before had as a dictionary is not in this file
                file = source.open(self._reading.dictionaries)
                alike = file.schema_arrow.equals(self._reading.as_read, check_metadata=True)
                if alike and _readable_as_dictionaries(file.metadata, self._reading.leaves) == self._reading.dictionaries:
                    return file, self._reading
        self._reading = self._prepare(source)
        return source.open(self._reading.dictionaries, known=True), self._reading

    def _prepare(self, source: _Source) -> _Reading:
        file = source.open([])
        if self._dictionaries is None:
            self._dictionaries = worth_reading(self._spec.schema, file.metadata)
            self._data = with_dictionaries(self._spec.schema, self._dictionaries)
            self.schema = pa.schema([*self._data, *self._added])
        schema = file.schema_arrow
        found = match_fields(list(schema), list(self._spec.schema), self._spec.match)
        data = [i for i in found if i is not None] or [0][: len(schema)]  # rows are counted by a column, whichever
        wanted = sorted({*data, *stored_columns(self._spec, schema)})
        if any("." in schema.field(i).name or schema.get_field_index(schema.field(i).name) < 0 for i in wanted):
            wanted = list(range(len(schema)))  # Arrow selects by name only, takes `a.b` for b in a too, and names may be there twice
        columns = None if len(wanted) == len(schema) else [schema.field(i).name for i in wanted]
        dictionaries = _readable_as_dictionaries(file.metadata, _leaf_indices(file.metadata.schema, self._dictionaries))
        as_read = source.open(dictionaries, known=True).schema_arrow
        conform = Conformer(pa.schema([as_read.field(i) for i in wanted]), self._data, self._spec.match)
        leaves = _leaf_indices(file.metadata.schema, dictionaries)
        hiding = hiding_of(file.metadata, columns, dictionaries)
        return _Reading(
            as_read=as_read,
            columns=columns,
            dictionaries=dictionaries,
            conform=conform,
            hiding=hiding,
            leaves=leaves,
            probed=Probed(),
            indexed=any(map(pa.types.is_dictionary, as_read.types)),
        )


def _leaf_indices(schema: pq.ParquetSchema, wanted: Collection[str]) -> dict[str, int]:
    """The leaf index of each of these Parquet paths that a file of this schema has, by path in order."""
    found = {schema.column(i).path: i for i in range(len(schema) if wanted else 0)}
    return {path: found[path] for path in sorted(wanted) if path in found}


def _leaves_below(schema: pq.ParquetSchema, columns: Collection[str] | None) -> list[int]:
    """The leaves of these columns, named from the top with dots; of all when None."""
    if columns is None:
        return list(range(len(schema)))
    paths = [schema.column(i).path for i in range(len(schema))]
    return [i for i, path in enumerate(paths) if any(path == column or path.startswith(f"{column}.") for column in columns)]


def _readable_as_dictionaries(metadata: pq.FileMetaData, leaves: Mapping[str, int]) -> list[str]:
    """Those of these leaves that the file has encoded throughout so that they can be read as dictionaries."""
    groups = [metadata.row_group(g) for g in range(metadata.num_row_groups if leaves else 0)]
    return [path for path, i in leaves.items() if all(_NEVER_DICTIONARIES.isdisjoint(group.column(i).encodings) for group in groups)]
