"""The encoding half of the sink: gathered rows become row groups of the open output; outputs are opened, finished and taken back here.

Its calls come one after the other, from one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from compactor.ambient.stopwatch import stage
from compactor.model.rewrite import WriteSpec
from compactor.rewriting.copying import IN_FLIGHT
from compactor.rewriting.dictionaries import worth_writing
from compactor.rewriting.division import Division
from compactor.rewriting.fragment import EncodedRowGroup
from compactor.rewriting.output import Copying, Output, Written
from compactor.rewriting.pools import pool_for
from compactor.storage.base import ObjectStore
from compactor.storage.sure import SureWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPlan:
    """What the outputs are to be. name: the key of output i, given the codec of its first pages where those are copied; schema: of all
    rows, known once the first of them is there.

    digests: those of copied bytes are taken, so that they can be looked at again.
    """

    name: Callable[[int, str | None], str]
    schema: Callable[[], pa.Schema]
    spec: WriteSpec
    division: Division
    digests: bool = False


class Encoder:
    """Writes the outputs of one attempt at one group. in_flight_bytes: bound on encoded bytes that are here or on their way."""

    def __init__(self, store: ObjectStore, plan: OutputPlan, in_flight_bytes: int) -> None:
        self._store, self._plan = store, plan
        self._pool = pool_for(store, IN_FLIGHT, "copy")
        self._copying = Copying(pool=self._pool, in_flight_bytes=in_flight_bytes, digests=plan.digests)
        self._output: Output | None = None
        self._dictionaries: list[str] | None = None
        self.finished: list[Written] = []

    def write(self, gathered: Sequence[pa.Table]) -> int:
        """One row group more; returns how many encoded bytes left the buffers for it. Raises StorageError, and what pyarrow raises."""
        with stage("encode"):
            return self._write(gathered)

    def _write(self, gathered: Sequence[pa.Table]) -> int:
        together = pa.concat_tables(gathered).unify_dictionaries()
        rows = pa.Table.from_arrays(together.columns, schema=self._plan.schema())
        if self._dictionaries is None:
            self._dictionaries = worth_writing(rows)
        output = self._open()
        before = output.bytes_written
        output.write_row_group(rows, self._dictionaries)
        return output.bytes_written - before

    def append(self, fragment: EncodedRowGroup) -> None:
        """One row group more, as it is. Raises StorageError, FileProblem."""
        with stage("copy"):
            self._open(fragment.codec).append(fragment)

    def _open(self, codec: str | None = None) -> Output:
        """The open output, or a new one whose first pages have this codec."""
        if self._output is None:
            key = self._plan.name(len(self.finished), codec)
            self._output = Output(key, SureWriter(self._store, key), self._plan.schema(), self._plan.spec, self._copying)
        return self._output

    def end_output(self) -> None:
        """Publish the open output, if there is one."""
        if self._output is not None:
            with stage("encode"):
                self.finished.append(self._output.finish())
            self._output = None

    def abort(self) -> None:
        """Take back everything written. Never raises for the open output; raises StorageError when deleting finished ones fails."""
        output, self._output = self._output, None
        if output is not None:
            output.abort()
        self.close()
        self._store.delete([written.file.key for written in self.finished])

    def close(self) -> None:
        """Nothing more will be written."""
        self._pool.shutdown(wait=True, cancel_futures=True)
