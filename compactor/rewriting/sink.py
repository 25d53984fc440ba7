"""The sink: takes fragments of any engine in order, divides them over the outputs, gathers row groups and has them written.

    gathering --enough for a row group--> encoding --share of bytes reached--> next output
    an encoded row group comes: what is gathered is encoded, then it is copied behind that
        \\-- abort: open and finished outputs of this attempt are taken back

The only place that knows how kinds of fragments become row groups. One row group is encoded, or copied, while the next one is gathered, so
two of them are in memory. Outputs are made when their first row comes, so none is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, wait

import pyarrow as pa

from compactor.ambient.stopwatch import stage
from compactor.rewriting.budget import Budget
from compactor.rewriting.encoder import Encoder, OutputPlan
from compactor.rewriting.fragment import DecodedRows, EncodedRowGroup, Fragment
from compactor.rewriting.output import Written
from compactor.storage.base import ObjectStore

_WRITER_ROWS = 1_048_576
"""More rows than this the Parquet writer divides by itself."""
_CRUMB_BYTES = 64 * 1024
_MOST_CRUMBS = 64


def _parts(rows: pa.Table, take: Callable[[int], tuple[int, bool]]) -> Iterator[tuple[pa.Table, bool]]:
    """Consecutive parts of `rows`. take: how many of those that are left are next, asked when the part before has been dealt with, and
    what to tell beside it. Rows that stay together are not sliced, which for very small tables would cost as much as to gather them."""
    first, count = 0, rows.num_rows
    while first < count:
        taken, told = take(count - first)
        yield (rows if taken == count else rows.slice(first, taken)), told
        first += taken


class Sink:
    """Writes the outputs of one attempt at one group. `encoding` runs one call at a time."""

    def __init__(self, store: ObjectStore, plan: OutputPlan, budget: Budget, encoding: Executor) -> None:
        self._plan, self._budget, self._encoding = plan, budget, encoding
        self._encoder = Encoder(store, plan, budget.stream)
        self._row_group_rows = min(plan.spec.row_group_rows, _WRITER_ROWS)
        self._gathered: list[pa.Table] = []
        self._gathered_rows = self._gathered_bytes = self._crumbs = 0
        self._pending: Future[float | None] | None = None
        self._encoded_share = 1.0

    def next_input(self, size_bytes: int, rows: int) -> None:
        """The fragments that follow are of the next input, which has this many bytes and surviving rows."""
        self._plan.division.next_file(size_bytes, rows)

    def write(self, fragment: Fragment) -> None:
        """Take the next rows. Raises StorageError, FileProblem, and what pyarrow raises, also for rows taken earlier."""
        match fragment:
            case DecodedRows(rows=rows):
                self._divide(rows)
            case EncodedRowGroup():
                self._append(fragment)

    def finish(self) -> tuple[Written, ...]:
        """Write what is left and publish the last output; all outputs in order."""
        self._end_output()
        self._settle()
        self._encoder.close()
        return tuple(self._encoder.finished)

    def abort(self) -> None:
        """Take back everything this sink has written. Never raises for the open output; raises StorageError when deleting fails."""
        if self._pending is not None:
            wait([self._pending])
        self._gathered = []
        self._encoder.abort()

    def _divide(self, rows: pa.Table) -> None:
        for part, full in _parts(rows, self._plan.division.take):
            self._gather(part)
            if full:
                self._end_output()

    def _append(self, fragment: EncodedRowGroup) -> None:
        """Copy a row group into the output in which most of it belongs."""
        before, behind = self._plan.division.take_whole(fragment.count)
        if before:
            self._end_output()
        if self._gathered:
            self._write_row_group()
        self._then(lambda: self._encoder.append(fragment))
        if behind:
            self._end_output()

    def _gather(self, rows: pa.Table) -> None:
        """Add rows to the row group in the making, passing it on whenever it is full."""
        for part, _ in _parts(rows, lambda left: (min(left, self._row_group_rows - self._gathered_rows), False)):
            self._gathered.append(part)
            self._gathered_rows += part.num_rows
            self._gathered_bytes += self._sized(part)
            if self._is_full():
                self._write_row_group()

    def _sized(self, part: pa.Table) -> int:
        """Bytes of rows that were gathered last. Very small tables are put together: each costs the encoder as much as a large one.

        What a slice takes of its buffers is exact but slow to tell; for tables whose buffers are small anyway all of them count.
        """
        held = int(part.get_total_buffer_size())
        if held > _CRUMB_BYTES:
            self._crumbs = 0
            return int(part.nbytes)
        self._crumbs += 1
        if self._crumbs == _MOST_CRUMBS:
            crumbs, self._gathered[-_MOST_CRUMBS:] = self._gathered[-_MOST_CRUMBS:], []
            self._gathered.append(pa.concat_tables(crumbs).combine_chunks())
            self._crumbs = 0
        return held

    def _is_full(self) -> bool:
        return (
            self._gathered_rows >= self._row_group_rows
            or self._gathered_bytes >= self._budget.gathered
            or self._gathered_bytes * self._encoded_share >= self._plan.spec.row_group_bytes
        )

    def _write_row_group(self) -> None:
        gathered, decoded_bytes = self._gathered, self._gathered_bytes
        self._gathered, self._gathered_rows, self._gathered_bytes, self._crumbs = [], 0, 0, 0
        self._then(lambda: min(1.0, self._encoder.write(gathered) / max(1, decoded_bytes)))

    def _end_output(self) -> None:
        if self._gathered:
            self._write_row_group()
        self._then(self._encoder.end_output)

    def _then(self, work: Callable[[], float | None]) -> None:
        """Have `work` done after what was asked for before, which is waited for: at most one thing is under way."""
        self._settle()
        self._pending = self._encoding.submit(work)

    def _settle(self) -> None:
        """Wait for what is under way. What it tells of encoded sizes counts from here on, so that no row group depends on timing."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        with stage("wait"):
            share = pending.result()
        if share is not None:
            self._encoded_share = share
