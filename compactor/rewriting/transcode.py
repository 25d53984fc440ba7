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


def transcode(opened: Opened, row_groups: range, budget: Budget) -> Iterator[DecodedRows]:
    """The surviving rows of these row groups of an input, in order. Raises FileProblem, StorageError, and what pyarrow raises."""
    metadata = opened.file.metadata
    first = sum(metadata.row_group(i).num_rows for i in range(row_groups.start))
    for rows in _decoded(opened, row_groups, budget):
        kept = rows if opened.deleted is None else opened.deleted.keep(rows, first)
        first += rows.num_rows
        if kept.num_rows:
            yield DecodedRows(rows=opened.conform(kept))


def _decoded(opened: Opened, row_groups: range, budget: Budget) -> Iterator[pa.Table]:
    groups = [opened.file.metadata.row_group(i) for i in row_groups]
    rows = sum(group.num_rows for group in groups)
    row_bytes = _row_bytes(opened.conform.target, sum(group.total_byte_size for group in groups), rows)
    if rows * row_bytes <= budget.batch:
        yield opened.file.read_row_groups(list(row_groups), columns=opened.columns, use_threads=False)
        return
    row_bytes = max(row_bytes, _probed_row_bytes(opened, row_groups))
    size = max(1, min(_MOST_ROWS, int(budget.batch / row_bytes)))
    batches = opened.file.iter_batches(size, row_groups=list(row_groups), columns=opened.columns, use_threads=False)
    for batch in batches:
        yield pa.Table.from_batches([batch])


def _row_bytes(schema: pa.Schema, encoded_bytes: int, rows: int) -> float:
    """Bytes of a decoded row at least: as encoded before compression, or the fixed widths of the columns."""
    fixed = sum(_fixed_bytes(field.type) for field in schema)
    return max(1.0, fixed, encoded_bytes / max(1, rows))


def _fixed_bytes(kind: pa.DataType) -> float:
    if pa.types.is_struct(kind):
        return float(sum(_fixed_bytes(field.type) for field in kind))
    if pa.types.is_dictionary(kind):
        return 4.0
    try:
        return float(kind.bit_width) / 8
    except ValueError:
        return 4.0


def _probed_row_bytes(opened: Opened, row_groups: range) -> float:
    """Bytes of a decoded row in the first rows: what a dictionary page hides from the footer."""
    for batch in opened.file.iter_batches(_PROBE_ROWS, row_groups=list(row_groups), columns=opened.columns, use_threads=False):
        return float(batch.nbytes) / max(1, batch.num_rows)
    return 1.0
