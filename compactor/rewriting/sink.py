"""The sink: takes fragments of any engine in order, divides them over the outputs, gathers row groups and writes the files.

    gathering --enough for a row group--> written --share of bytes reached--> next output
        \\-- abort: open and finished outputs of this attempt are taken back

The only place that knows how kinds of fragments become row groups. Outputs are made when their first row comes, so none is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from compactor.model.rewrite import OutputFile, WriteSpec
from compactor.rewriting.budget import Budget
from compactor.rewriting.dictionaries import worth_writing
from compactor.rewriting.division import Division
from compactor.rewriting.fragment import DecodedRows, Fragment
from compactor.rewriting.output import Output
from compactor.storage.base import ObjectStore

_WRITER_ROWS = 1_048_576
"""More rows than this the Parquet writer divides by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPlan:
    """What the outputs are to be: `name` gives the key of output i; `schema` that of all rows, known once the first of them is there."""

    name: Callable[[int], str]
    schema: Callable[[], pa.Schema]
    spec: WriteSpec
    division: Division


class Sink:
    """Writes the outputs of one attempt at one group."""

    def __init__(self, store: ObjectStore, plan: OutputPlan, budget: Budget) -> None:
        self._store, self._plan, self._budget = store, plan, budget
        self._row_group_rows = min(plan.spec.row_group_rows, _WRITER_ROWS)
        self._finished: list[OutputFile] = []
        self._output: Output | None = None
        self._gathered: list[pa.Table] = []
        self._gathered_rows = self._gathered_bytes = 0
        self._dictionaries: list[str] | None = None
        self._encoded_share = 1.0

    @property
    def gathered_bytes(self) -> int:
        """Decoded bytes that wait for a row group."""
        return self._gathered_bytes

    def next_input(self, size_bytes: int, rows: int) -> None:
        """The fragments that follow are of the next input, which has this many bytes and surviving rows."""
        self._plan.division.next_file(size_bytes, rows)

    def write(self, fragment: Fragment) -> None:
        """Take the next rows. Raises StorageError, FileProblem, and what pyarrow raises."""
        match fragment:
            case DecodedRows(rows=rows):
                self._divide(rows)

    def finish(self) -> tuple[OutputFile, ...]:
        """Write what is left and publish the last output; all outputs in order."""
        self._end_output()
        return tuple(self._finished)

    def abort(self) -> None:
        """Take back everything this sink has written. Never raises for the open output; raises StorageError when deleting fails."""
        output, self._output = self._output, None
        self._gathered = []
        if output is not None:
            output.abort()
        self._store.delete([output.key for output in self._finished])

    def _divide(self, rows: pa.Table) -> None:
        while rows.num_rows:
            taken, full = self._plan.division.take(rows.num_rows)
            self._gather(rows if taken == rows.num_rows else rows.slice(0, taken))
            rows = rows.slice(taken)
            if full:
                self._end_output()

    def _gather(self, rows: pa.Table) -> None:
        """Add rows to the row group in the making, writing it whenever it is full."""
        while rows.num_rows:
            room = self._row_group_rows - self._gathered_rows
            part = rows if rows.num_rows <= room else rows.slice(0, room)
            rows = rows.slice(part.num_rows)
            self._gathered.append(part)
            self._gathered_rows += part.num_rows
            self._gathered_bytes += part.nbytes
            if self._is_full():
                self._write_row_group()

    def _is_full(self) -> bool:
        return (
            self._gathered_rows >= self._row_group_rows
            or self._gathered_bytes >= self._budget.row_group
            or self._gathered_bytes * self._encoded_share >= self._plan.spec.row_group_bytes
        )

    def _write_row_group(self) -> None:
        gathered = pa.concat_tables(self._gathered).unify_dictionaries()
        rows = pa.Table.from_arrays(gathered.columns, schema=self._plan.schema())
        decoded_bytes = self._gathered_bytes
        self._gathered, self._gathered_rows, self._gathered_bytes = [], 0, 0
        if self._dictionaries is None:
            self._dictionaries = worth_writing(rows)
        if self._output is None:
            key = self._plan.name(len(self._finished))
            self._output = Output(key, self._store.open_writer(key), rows.schema, self._plan.spec)
        before = self._output.bytes_written
        self._output.write_row_group(rows, self._dictionaries)
        self._encoded_share = min(1.0, (self._output.bytes_written - before) / max(1, decoded_bytes))

    def _end_output(self) -> None:
        if self._gathered:
            self._write_row_group()
        if self._output is not None:
            self._finished.append(self._output.finish())
            self._output = None
