"""The encoding half of the sink: gathered rows become row groups of the open output; outputs are opened, finished and taken back here.

Its calls come one after the other, from one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from compactor.model.rewrite import OutputFile, WriteSpec
from compactor.rewriting.dictionaries import worth_writing
from compactor.rewriting.division import Division
from compactor.rewriting.output import Output
from compactor.storage.base import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPlan:
    """What the outputs are to be: `name` gives the key of output i; `schema` that of all rows, known once the first of them is there."""

    name: Callable[[int], str]
    schema: Callable[[], pa.Schema]
    spec: WriteSpec
    division: Division


class Encoder:
    """Writes the outputs of one attempt at one group."""

    def __init__(self, store: ObjectStore, plan: OutputPlan) -> None:
        self._store, self._plan = store, plan
        self._output: Output | None = None
        self._dictionaries: list[str] | None = None
        self.finished: list[OutputFile] = []

    def write(self, gathered: Sequence[pa.Table]) -> int:
        """One row group more; returns how many encoded bytes left the buffers for it. Raises StorageError, and what pyarrow raises."""
        together = pa.concat_tables(gathered).unify_dictionaries()
        rows = pa.Table.from_arrays(together.columns, schema=self._plan.schema())
        if self._dictionaries is None:
            self._dictionaries = worth_writing(rows)
        if self._output is None:
            key = self._plan.name(len(self.finished))
            self._output = Output(key, self._store.open_writer(key), rows.schema, self._plan.spec)
        before = self._output.bytes_written
        self._output.write_row_group(rows, self._dictionaries)
        return self._output.bytes_written - before

    def end_output(self) -> None:
        """Publish the open output, if there is one."""
        if self._output is not None:
            self.finished.append(self._output.finish())
            self._output = None

    def abort(self) -> None:
        """Take back everything written. Never raises for the open output; raises StorageError when deleting finished ones fails."""
        output, self._output = self._output, None
        if output is not None:
            output.abort()
        self._store.delete([output.key for output in self.finished])
