"""One input, opened: its Parquet reader, its deleted rows, and how its rows become those of the ReadSpec.

Column selection, conversion and dictionary-wise reading depend on the file's schema alone; files of one table mostly share theirs, so that
work is done once for each schema in a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.model.rewrite import InputFile, ReadSpec
from compactor.rewriting.budget import Budget
from compactor.rewriting.conform import Conformer, match_fields
from compactor.rewriting.dictionaries import with_dictionaries, worth_reading
from compactor.rewriting.fetch import Fetched
from compactor.rewriting.footer import footer_length
from compactor.rewriting.problems import FileProblem
from compactor.rewriting.ranged import RangedFile
from compactor.rewriting.row_filter import DeletedRows, load_deletes
from compactor.storage.base import ObjectStore

_SMALLEST_BUFFER = 64 * 1024
_LARGEST_BUFFER = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An input ready to be read. `columns`: top-level columns to read, None for all. `rows` are physical, `surviving` those not deleted."""

    input: InputFile
    size_bytes: int
    file: pq.ParquetFile
    columns: list[str] | None
    conform: Conformer
    deleted: DeletedRows | None
    rows: int
    surviving: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """How files of one schema are read."""

    schema: pa.Schema
    columns: list[str] | None
    dictionaries: list[str]
    conform: Conformer


class Opener:
    """Opens the inputs of one task, in their order."""

    def __init__(self, spec: ReadSpec, store: ObjectStore, budget: Budget) -> None:
        self._spec, self._store, self._budget = spec, store, budget
        self._dictionaries: frozenset[str] | None = None
        self._reading: _Reading | None = None
        self.schema = spec.schema

    def open(self, fetched: Fetched) -> Opened:
        """The input behind `fetched`; after the first, `schema` is that of all decoded rows: the spec's, perhaps with dictionaries.

        Raises FileProblem that names the file, StorageError.
        """
        deletes = fetched.input.deletes
        deleted = None if deletes is None else load_deletes(deletes, self._store)
        native, metadata, buffer_bytes = self._source(fetched)
        if self._dictionaries is None:
            self._dictionaries = worth_reading(self._spec.schema, metadata)
            self.schema = with_dictionaries(self._spec.schema, self._dictionaries)
        reading = self._reading_of(native, metadata)
        file = _parquet(native, metadata, reading.dictionaries, buffer_bytes)
        rows = metadata.num_rows
        if deleted is not None and deleted.last >= rows:
            raise FileProblem("corrupt-file", f"its deletion vector names row {deleted.last}, but it has {rows} rows")
        return Opened(
            input=fetched.input,
            size_bytes=fetched.size_bytes,
            file=file,
            columns=reading.columns,
            conform=reading.conform,
            deleted=deleted,
            rows=rows,
            surviving=rows - (len(deleted) if deleted is not None else 0),
        )

    def _source(self, fetched: Fetched) -> tuple[pa.NativeFile, pq.FileMetaData, int]:
        """The bytes as Arrow reads them, the footer, and the read buffer of one column so that all columns stay within the budget."""
        source = fetched.source
        if isinstance(source, RangedFile):
            source.seek(max(0, fetched.size_bytes - 8))
            footer_length(source.read(), fetched.input.key)
            native = pa.PythonFile(source, "r")
            metadata = pq.read_metadata(native)
            return native, metadata, max(_SMALLEST_BUFFER, min(_LARGEST_BUFFER, self._budget.stream // max(1, metadata.num_columns)))
        footer_length(source, fetched.input.key)
        native = pa.BufferReader(source)
        return native, pq.read_metadata(native), 0

    def _reading_of(self, native: pa.NativeFile, metadata: pq.FileMetaData) -> _Reading:
        schema = _parquet(native, metadata, [], 0).schema_arrow
        if self._reading is None or not self._reading.schema.equals(schema, check_metadata=True):
            self._reading = self._prepare(schema, native, metadata)
        return self._reading

    def _prepare(self, schema: pa.Schema, native: pa.NativeFile, metadata: pq.FileMetaData) -> _Reading:
        found = match_fields(list(schema), list(self._spec.schema), self._spec.match)
        wanted = sorted({i for i in found if i is not None})
        columns = None if len(wanted) == len(schema) else [schema.field(i).name for i in wanted]
        paths = set(_parquet_paths(metadata))
        dictionaries = sorted(path for path in self._dictionaries or () if path in paths)
        as_read = _parquet(native, metadata, dictionaries, 0).schema_arrow
        conform = Conformer(pa.schema([as_read.field(i) for i in wanted]), self.schema, self._spec.match)
        return _Reading(schema=schema, columns=columns, dictionaries=dictionaries, conform=conform)


def _parquet(native: pa.NativeFile, metadata: pq.FileMetaData, dictionaries: list[str], buffer_bytes: int) -> pq.ParquetFile:
    return pq.ParquetFile(
        native,
        metadata=metadata,
        read_dictionary=dictionaries,
        buffer_size=buffer_bytes,
        pre_buffer=False,
        coerce_int96_timestamp_unit="us",
        arrow_extensions_enabled=False,
    )


def _parquet_paths(metadata: pq.FileMetaData) -> list[str]:
    schema = metadata.schema
    return [schema.column(i).path for i in range(len(schema))]
