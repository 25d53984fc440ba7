"""The transcode engine: decodes row groups, drops deleted rows, conforms the rest. Takes any file that can be read.

Small inputs are decoded at once; larger ones in batches whose size follows from the footer and a probe of the first rows, so that one
huge row group needs no more memory than many small ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.rewriting.budget import Budget
from compactor.rewriting.fragment import DecodedRows
from compactor.rewriting.opened import Opened
from compactor.rewriting.problems import FileProblem

_PROBE_ROWS = 256
_PROBE_ROWS_LEAST = 16
_MOST_ROWS = 32_768
"""Batches of a large file: what is decoded is fingerprinted and conformed while much of it is still in a processor's cache."""


def transcode(opened: Opened, row_groups: range, budget: Budget) -> Iterator[DecodedRows]:
    """The surviving rows of these row groups of an input, in order. Raises FileProblem, StorageError, and what pyarrow raises."""
    metadata = opened.file.metadata
    opened.expect(row_groups, opened.columns)
    start = first = sum(metadata.row_group(i).num_rows for i in range(row_groups.start))
    counted = sum(metadata.row_group(i).num_rows for i in row_groups)
    for rows in _decoded(opened, row_groups, budget):
        if opened.indexed:
            _check_dictionaries(rows)
        whole = rows if opened.added is None else opened.added.beside(rows, first)
        kept = whole if opened.deleted is None else opened.deleted.keep(whole, first)
        first += rows.num_rows
        if kept.num_rows:
            yield DecodedRows(rows=opened.finished(kept))
    if first - start != counted:
        raise FileProblem("corrupt-file", f"its pages hold {first - start} rows, its footer counts {counted}")


def fits_batch(opened: Opened, budget: Budget) -> bool:
    """Whether all rows of an input are decoded at once. Raises what pyarrow raises."""
    rows, row_bytes = _sized(opened, range(opened.file.metadata.num_row_groups), budget)
    return rows * row_bytes <= budget.batch


def _sized(opened: Opened, row_groups: range, budget: Budget) -> tuple[int, float]:
    """How many rows these row groups have, and how many bytes each will take."""
    groups = [opened.file.metadata.row_group(i) for i in row_groups]
    rows = sum(group.num_rows for group in groups)
    encoded_bytes = sum(group.total_byte_size for group in groups)
    plain_bytes = encoded_bytes + opened.hiding.repeated_bytes(groups)
    row_bytes = max(1.0, opened.fixed_row_bytes, plain_bytes / max(1, rows)) + _hidden_row_bytes(opened, row_groups, groups, budget)
    return rows, row_bytes


def _decoded(opened: Opened, row_groups: range, budget: Budget) -> Iterator[pa.Table]:
    rows, row_bytes = _sized(opened, row_groups, budget)
    if rows * row_bytes <= budget.batch:
        yield opened.file.read_row_groups(list(row_groups), columns=opened.columns, use_threads=False)
        return
    size = max(1, min(_MOST_ROWS, int(budget.batch / row_bytes)))
    for batch in opened.file.iter_batches(size, row_groups=list(row_groups), columns=opened.columns, use_threads=False):
        yield pa.Table.from_batches([batch])


def _check_dictionaries(rows: pa.Table) -> None:
    """Raises ArrowInvalid for an index beyond its dictionary: a damaged page can hold one, and Arrow checks only what it decodes itself."""
    for i, kind in enumerate(rows.schema.types):
        if pa.types.is_dictionary(kind):
            rows.column(i).validate(full=True)


def _hidden_row_bytes(opened: Opened, row_groups: range, groups: Sequence[pq.RowGroupMetaData], budget: Budget) -> float:
    """Bytes in a decoded row of columns whose repeated long values the footer does not show, by the first rows.

    Files like one that was probed are taken to be like it where being wrong, as far as their footers allow, would still fit.
    """
    hidden, most_bytes, longest_bytes = opened.hiding.expanding(groups)
    if most_bytes <= budget.batch:
        return 0.0
    rows = max(1, sum(group.num_rows for group in groups))
    known = opened.probed.recall(most_bytes / rows) if most_bytes <= budget.spare else None
    if known is not None:
        return known
    probe = max(_PROBE_ROWS_LEAST, min(_PROBE_ROWS, budget.batch // max(1, longest_bytes)))
    for batch in opened.file.iter_batches(probe, row_groups=[row_groups.start], columns=list(hidden), use_threads=False):
        found = float(batch.nbytes / max(1, batch.num_rows))
        opened.probed.learn(most_bytes / rows, found)
        return found
    return 0.0
