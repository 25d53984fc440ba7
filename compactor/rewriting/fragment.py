"""What engines give to the sink: decoded rows, or an encoded row group, whose pages are copied as they are from where they lie.

The sink's dispatch is the one place that learns of a new kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from compactor.rewriting.thrift_compact import Struct


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedRows:
    """Rows in the schema that the sink was opened with, deleted ones dropped, in order."""

    rows: pa.Table

    @property
    def count(self) -> int:
        """How many rows."""
        return int(self.rows.num_rows)


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes of an object."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """The byte behind them."""
        return self.start + self.length


class Origin(Protocol):
    """Where encoded bytes lie."""

    @property
    def key(self) -> str | None:
        """The object of the task's store; None where they lie in memory, so that nothing is gained by a copy inside the store."""
        ...

    def read(self, start: int, length: int) -> bytes | memoryview:
        """These bytes. Raises StorageError, FileProblem when there are not as many."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is known of one column of a row group for the log's statistics; bounds as values, or None where there are none.

    unbounded: it has values of which no bound can be told.
    """

    nulls: int
    minimum: Any = None
    maximum: Any = None
    unbounded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkExtras:
    """What belongs to one column chunk but lies elsewhere: its column index, its offset index, its Bloom filter."""

    column_index: bytes | None = None
    offset_index: Struct | None = None
    bloom_filter: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedRowGroup:
    """A row group as a file has it. `group`: its metadata, offsets as in that file, with nothing in it that may not be repeated elsewhere.

    runs: its pages, ascending; chunks that lie side by side are one run. extras, found: one element a column chunk, one a wanted column.
    codec: of its first column. fresh: its pages were made of its inputs', so that its rows prove something and its bytes do not.
    """

    count: int
    codec: str
    group: Struct
    origin: Origin
    runs: Sequence[Range]
    extras: Sequence[ChunkExtras]
    found: Sequence[Found]
    fresh: bool = False

    @property
    def size_bytes(self) -> int:
        """Bytes of its pages."""
        return sum(run.length for run in self.runs)


Fragment = DecodedRows | EncodedRowGroup
