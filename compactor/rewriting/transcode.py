"""The transcode engine: decodes row groups, drops deleted rows, conforms the rest. Takes any file that can be read.

Small inputs are decoded at once; larger ones in batches whose size follows from the footer and a probe of the first rows, so that one
huge row group needs no more memory than many small ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from compactor.rewriting.budget import Budget
from compactor.rewriting.fragment import DecodedRows
from compactor.rewriting.opened import Opened

_PROBE_ROWS = 256
_MOST_ROWS = 131_072
_EXPANSION = 16
"""How much larger than encoded the values of a small file may turn out to be without anybody having looked."""


def transcode(opened: Opened, row_groups: range, budget: Budget) -> Iterator[DecodedRows]:
    """The surviving rows of these row groups of an input, in order. Raises FileProblem, StorageError, and what pyarrow raises."""
    metadata = opened.file.metadata
    first = sum(metadata.row_group(i).num_rows for i in range(row_groups.start))
    for rows in _decoded(opened, row_groups, budget):
        whole = rows if opened.added is None else opened.added.beside(rows, first)
        kept = whole if opened.deleted is None else opened.deleted.keep(whole, first)
        first += rows.num_rows
        if kept.num_rows:
            yield DecodedRows(rows=opened.finished(kept))


def _decoded(opened: Opened, row_groups: range, budget: Budget) -> Iterator[pa.Table]:
    groups = [opened.file.metadata.row_group(i) for i in row_groups]
    rows = sum(group.num_rows for group in groups)
    encoded_bytes = sum(group.total_byte_size for group in groups)
    row_bytes = max(1.0, opened.fixed_row_bytes, encoded_bytes / max(1, rows))
    if encoded_bytes > budget.batch / _EXPANSION:
        row_bytes += _hidden_row_bytes(opened, row_groups)
    if rows * row_bytes <= budget.batch:
        yield opened.file.read_row_groups(list(row_groups), columns=opened.columns, use_threads=False)
        return
    size = max(1, min(_MOST_ROWS, int(budget.batch / row_bytes)))
    for batch in opened.file.iter_batches(size, row_groups=list(row_groups), columns=opened.columns, use_threads=False):
        yield pa.Table.from_batches([batch])


def _hidden_row_bytes(opened: Opened, row_groups: range) -> float:
    """Bytes in a decoded row of columns whose repeated long values a dictionary page hides from the footer, by the first rows."""
    hidden = opened.expanding_columns(row_groups.start)
    if not hidden:
        return 0.0
    for batch in opened.file.iter_batches(_PROBE_ROWS, row_groups=[row_groups.start], columns=hidden, use_threads=False):
        return float(batch.nbytes / max(1, batch.num_rows))
    return 0.0
