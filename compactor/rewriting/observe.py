"""Looks at the rows of files as they are: how many, nulls, least and greatest values of each leaf. To hold against what a log claims.

Always from decoded rows, never from footers, whose statistics may be as wrong as the log's. Reads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from compactor.model.findings import Observed
from compactor.model.rewrite import Bound, ColumnStatistics, InputFile, ReadSpec
from compactor.rewriting.budget import Budget
from compactor.rewriting.column_statistics import cut_utf16
from compactor.rewriting.fetch import Fetcher
from compactor.rewriting.leaves import leaves
from compactor.rewriting.opened import Opener
from compactor.rewriting.problems import at_file, named
from compactor.rewriting.transcode import transcode
from compactor.storage.base import ObjectStore

LONGEST_BOUND = 1024
"""UTF-16 units of a string that are kept: more than any log writes."""


@dataclass(slots=True)
class _Leaf:
    """One leaf over the rows seen so far."""

    path: tuple[str, ...]
    nulls: int = 0
    low: Any = None
    high: Any = None

    def add(self, values: pa.ChunkedArray) -> None:
        self.nulls += values.null_count
        if not _has_order(values.type) or values.null_count == len(values):
            return
        found = pc.min_max(_plain(values))
        low, high = found["min"].as_py(), found["max"].as_py()
        if low is None or high is None or not low <= high:  # nothing but NaN
            return
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def result(self) -> ColumnStatistics:
        low, low_cut = _cut(self.low)
        high, high_cut = _cut(self.high)
        return ColumnStatistics(path=self.path, null_count=self.nulls, minimum=low, maximum=high, minimum_cut=low_cut, maximum_cut=high_cut)


def observe_files(files: Sequence[InputFile], spec: ReadSpec, store: ObjectStore, budget: Budget) -> list[Observed]:
    """What each file holds, read by `spec` and without deleted rows. Raises FileProblem that names the file, StorageError."""
    paths = [leaf.path for leaf in leaves(spec.schema) if not leaf.repeated]
    fetcher, opener = Fetcher(files, store, budget), Opener(spec, store, budget)
    found = []
    for fetched in fetcher:
        with at_file(fetched.input):
            opened = opener.open(fetched)
        seen = [_Leaf(path) for path in paths]
        row_groups = range(opened.file.metadata.num_row_groups)
        for fragment in named(fetched.input, transcode(opened, row_groups, budget) if row_groups else iter(())):
            for leaf in seen:
                leaf.add(_values(fragment.rows, leaf.path))
        found.append(Observed(rows=opened.rows, columns=tuple(leaf.result() for leaf in seen)))
    return found


def _values(rows: pa.Table, path: tuple[str, ...]) -> pa.ChunkedArray:
    """The values of a leaf; null where a struct above it is."""
    column = rows.column(rows.schema.get_field_index(path[0]))
    for name in path[1:]:
        column = pc.struct_field(column, [column.type.get_field_index(name)])
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _has_order(kind: pa.DataType) -> bool:
    """Whether logs may hold bounds of this type."""
    types = pa.types
    plain = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_date(kind) or types.is_timestamp(kind)
    return bool(plain or types.is_string(kind) or types.is_large_string(kind))


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dates as days and timestamps as microseconds: some lie beyond what Python can hold."""
    if pa.types.is_date(values.type):
        return values.cast(pa.int32())
    return values.cast(pa.int64()) if pa.types.is_timestamp(values.type) else values


def _cut(value: Bound | None) -> tuple[Bound | None, bool]:
    return cut_utf16(value, LONGEST_BOUND) if isinstance(value, str) else (value, False)
