"""Rewrites one group: inputs in order through engines into the sink, rows counted and fingerprinted on the way, outputs read again.

Knows no log and no executor. Raises what went wrong, after taking back what it wrote; what a group's failure means to a run is the
worker's business.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import accumulate
from typing import Literal

from compactor.ambient.ports import Clock
from compactor.ambient.stopwatch import each, running, stage
from compactor.errors import StorageError
from compactor.model.fingerprint import CHECKSUM_ALGORITHM, readers_together
from compactor.model.rewrite import Concat, InputLeftOut, RewriteJob, RewriteResult, RewriteTask
from compactor.rewriting.budget import Budget, divide
from compactor.rewriting.chained import Chainer
from compactor.rewriting.choose import Against
from compactor.rewriting.decimals import settled
from compactor.rewriting.division import Division, weight_of
from compactor.rewriting.encoder import OutputPlan
from compactor.rewriting.engines import Engines
from compactor.rewriting.fetch import Fetched, Fetcher
from compactor.rewriting.fingerprint import Fingerprinter
from compactor.rewriting.fragment import DecodedRows, Fragment
from compactor.rewriting.fuse import Fused, Fuser
from compactor.rewriting.memory import MemoryMeter
from compactor.rewriting.opened import Opener
from compactor.rewriting.output import Written
from compactor.rewriting.pools import beside
from compactor.rewriting.problems import FileProblem, at_file, named
from compactor.rewriting.proof import ReadAgain, as_written, check_equal, checksum_of, read_outputs, reading_budget
from compactor.rewriting.reader import Reader
from compactor.rewriting.sink import Sink
from compactor.rewriting.transcode import fits_batch, transcode
from compactor.storage.base import ObjectStore


def rewrite(job: RewriteJob, task: RewriteTask, store: ObjectStore, clock: Clock, budget: Budget | None = None) -> RewriteResult:
    """One attempt at one group, within `budget` (by default what task.buffer_bytes divides into).

    Raises FileProblem, StorageError, MemoryError; nothing of the attempt is left then if the store allows.
    """
    started_s = clock.monotonic_s()
    meter = MemoryMeter(task.budget_bytes)
    try:
        with running(clock) if job.timed else contextlib.nullcontext() as watch, stage("other"), beside(store) as encoding:
            result = _rewritten(job, task, store, budget, encoding, meter)
    finally:
        meter.close()
    stages = () if watch is None else tuple(watch.seconds().items())
    return replace(result, seconds=clock.monotonic_s() - started_s, peak_memory_bytes=meter.peak_bytes, stages=stages)


def _rewritten(
    job: RewriteJob, task: RewriteTask, store: ObjectStore, budget: Budget | None, encoding: Executor, meter: MemoryMeter
) -> RewriteResult:
    """The group's result, whose time and memory are not known yet."""
    reading = budget or reading_budget(task.buffer_bytes)
    budget = budget or divide(task.buffer_bytes)
    job, looked = settled(job, task, store)
    pouring = _Pouring(job, task, store, budget, encoding, meter)
    try:
        offsets = pouring.pour()
        _check_worth(task, pouring.left_out)
        written = pouring.sink.finish()
        *starts, rows = offsets
        found = sum(one.file.rows for one in written)
        if found != rows:
            raise FileProblem("proof", f"Group {task.group_id} read {rows} rows and wrote {found}.")
        if pouring.fingerprinter is not None:
            with stage("prove"):
                outputs = Reader(as_written(job.read), store, reading, meter, job.proof_reader)
                again = read_outputs(written, outputs, store, reading)
            check_equal(task.group_id, pouring.fingerprinter.result(), again.sum)
    except BaseException:
        with contextlib.suppress(StorageError):
            pouring.sink.abort()
        raise
    result = RewriteResult(
        group_id=task.group_id,
        attempt=task.attempt,
        engine=pouring.engines.name,
        input_rows=rows,
        outputs=tuple(one.file for one in written),
        row_map=Concat(offsets=tuple(starts)),
        bytes_read=pouring.fetcher.bytes_read,
        requests=pouring.fetcher.requests + looked,
        left_out=tuple(pouring.left_out),
        copies=sum((one.copies for one in written), pouring.engines.merged),
        decoded=pouring.engines.decoded(),
    )
    if pouring.fingerprinter is None:
        return result
    return replace(_with_proof(result, written, again), proof_readers=readers_together({*pouring.reader.used, *outputs.used}))


def _with_proof(result: RewriteResult, written: Sequence[Written], again: ReadAgain) -> RewriteResult:
    """The result of a group whose outputs were read again and found equal. Outputs with copied bytes have no fingerprint of their rows."""
    whole = [found if one.decoded is None else None for one, found in zip(written, again.fingerprints, strict=True)]
    every = None not in whole
    return replace(
        result,
        outputs=tuple(replace(output, fingerprint=found) for output, found in zip(result.outputs, whole, strict=True)),
        proof="full" if every else "bytes",
        fingerprint=again.sum if every else None,
        checksum=None if every else checksum_of(written, again.sum),
        checksum_algorithm=CHECKSUM_ALGORITHM,
        proof_bytes_read=again.bytes_read,
        proof_requests=again.requests,
    )


def output_key(job: RewriteJob, task: RewriteTask, i: int, codec: str | None = None) -> str:
    """The key of output i of this attempt. `codec`: of its first pages, where those are copied."""
    return f"{task.output_prefix}{task.stem}-a{task.attempt}-{i:05d}.{codec or job.write.compression}.parquet"


def _check_worth(task: RewriteTask, left_out: list[InputLeftOut]) -> None:
    """Raises FileProblem when nothing is left to rewrite, or a single file that would only be copied."""
    kept = [file for file in task.inputs if file.file not in {left.file for left in left_out}]
    if left_out and (not kept or (len(kept) == 1 and kept[0].deletes is None and task.output_files == 1)):
        raise FileProblem("unsupported-file", left_out[0].why, path=left_out[0].file.path)


class _Pouring:
    """The inputs of a task on their way into its sink."""

    def __init__(
        self, job: RewriteJob, task: RewriteTask, store: ObjectStore, budget: Budget, encoding: Executor, meter: MemoryMeter
    ) -> None:
        total_bytes = sum(map(weight_of, task.inputs))
        self._budget, self._meter = budget, meter
        self._opener = Opener(job.read, store, budget)
        division = Division(total_bytes, task.output_files)
        plan = OutputPlan(
            name=lambda i, codec: output_key(job, task, i, codec),
            schema=lambda: self._opener.schema,
            spec=job.write,
            division=division,
            digests=job.proof == "full",
        )
        self.sink = Sink(store, plan, budget, encoding)
        self.fetcher = Fetcher(task.inputs, store, budget)
        self.fingerprinter = Fingerprinter() if job.proof == "full" else None
        self.reader = Reader(job.read, store, budget, meter, job.proof_reader)
        self.engines = Engines(job, division)
        self.left_out: list[InputLeftOut] = []
        half_bytes = None if task.output_files <= 1 else total_bytes // task.output_files // 2
        self._fuser = Fuser(job, budget, half_bytes) if job.engine.mode in ("auto", "fuse") else None
        self._chainer = Chainer(job, budget, fingerprinted=self.fingerprinter is None or self.reader.is_native)
        self._shares = task.output_files / max(1, total_bytes)
        self._poured_bytes = self._offset = 0
        self._offsets: list[int] = []

    def pour(self) -> tuple[int, ...]:
        """Every input into the sink; the offset at which each one's rows begin, and at last the number of all.

        Rows are fingerprinted when they are decoded, before the sink has them, or file by file where files are put together first, so that
        whatever happens to them later shows in the outputs.
        An input that must not be rewritten, as its footer shows before a row of it is read, joins `left_out` instead.
        """
        if self._fuser is None:
            for fetched in each("read", self.fetcher):
                self._one(fetched)
        else:
            self._pour_merging(self._fuser)
        self._end_chain()
        return (*self._offsets, self._offset)

    def _pour_merging(self, fuser: Fuser) -> None:
        """Every input into the sink, merged with its neighbours where that can be."""
        batches = self.fetcher.batches() if fuser.merges else ((fetched,) for fetched in self.fetcher)
        for batch in each("read", batches):
            with stage("open"):
                found = fuser.opened(batch)
            for fetched, one in zip(batch, found, strict=True):
                ends = self._output_ends(weight_of(fetched.input))
                if ends == "before":
                    self._merge(fuser.merged())
                if isinstance(one, Against):
                    self._merge(fuser.merged(decoded_next=True))
                    self._one(fetched, one)
                    continue
                fuser.take(fetched, one)
                if fuser.full() or ends == "behind":
                    self._merge(fuser.merged())
        self._merge(fuser.merged())

    def _output_ends(self, size_bytes: int) -> Literal["before", "behind", "elsewhere"]:
        """Where an even share of the bytes ends, if the next input stays whole."""
        first, last = self._poured_bytes * self._shares, (self._poured_bytes + size_bytes) * self._shares
        self._poured_bytes += size_bytes
        if int(first) == int(last):
            return "elsewhere"
        return "before" if int(last) - first < last - int(last) else "behind"

    def _one(self, fetched: Fetched, against: Against | None = None) -> None:
        """One input that is not merged with others, and why not: decoded together with its neighbours where it is small."""
        because = self.engines.decoded_because(against)
        if because is None or not self._chainer.takes(fetched, because):
            self._end_chain()
            self._alone(fetched, against)
            return
        if self._chainer.full_for(fetched, because):
            self._end_chain()
        self._chainer.take(fetched, because)

    def _end_chain(self) -> None:
        """The small inputs that wait to be decoded, in their order."""
        for chain in each("open", self._chainer.chains()):
            rows = None if chain.whole is None else self._at_once(chain.whole)
            if rows is None:
                for fetched in chain.members:
                    self._alone(fetched, chain.against)
                continue
            self._offsets += accumulate(chain.rows[:-1], initial=self._offset)
            if self.fingerprinter is not None:
                with stage("hash"):
                    self.fingerprinter.include(self.reader.whole(chain.members))
            size_bytes = sum(fetched.size_bytes for fetched in chain.members)
            self.engines.decoded_whole(len(chain.members), size_bytes, chain.against)
            self.sink.next_input(sum(weight_of(fetched.input) for fetched in chain.members), sum(chain.rows))
            self._offset += sum(map(self._given, rows))

    def _at_once(self, whole: Fetched) -> Sequence[DecodedRows] | None:
        """All rows of inputs that were chained; None where it is better to decode each by itself, or where one of them cannot be."""
        try:
            with stage("open"), at_file(whole.input):
                opened = self._opener.open(whole)
                if not fits_batch(opened, self._budget):
                    self._chainer.shrink()
                    return None
            return list(each("decode", named(whole.input, transcode(opened, range(opened.file.metadata.num_row_groups), self._budget))))
        except FileProblem:
            return None

    def _alone(self, fetched: Fetched, against: Against | None = None) -> None:
        """One input by itself. against: why it is not merged with others."""
        try:
            with stage("open"), at_file(fetched.input):
                opened = self._opener.open(fetched)
                spans = self.engines.spans(opened, against)
        except FileProblem as problem:
            if problem.reason != "unsupported-file":
                raise
            self.left_out.append(InputLeftOut(file=fetched.input.file, why=str(problem)))
            return
        self._offsets.append(self._offset)
        self.sink.next_input(weight_of(fetched.input), opened.surviving)
        fragments = each("decode", named(fetched.input, spans.fragments(self._budget)))
        rows = sum(self._taken(fragment) for fragment in fragments)
        if rows != opened.surviving:
            message = f"{fetched.input.key}: {rows} rows were read, but its footer and deletes say {opened.surviving}."
            raise FileProblem("proof", message, path=fetched.input.file.path)
        self._offset += rows

    def _merge(self, merged: Iterator[Fused]) -> None:
        """Inputs that waited to be merged, in their order."""
        for fused in each("fuse", merged):
            if fused.row_group is None:
                for member in fused.members:
                    self._one(member.fetched, fused.against)
                continue
            self._end_chain()
            rows = 0
            for member in fused.members:
                self._offsets.append(self._offset + rows)
                rows += member.source.rows
            if self.fingerprinter is not None:
                with stage("prove"):
                    self.fingerprinter.include(self.reader.whole([member.fetched for member in fused.members]))
            self.engines.fused([member.fetched.size_bytes for member in fused.members])
            if rows:
                self.sink.next_input(sum(weight_of(member.fetched.input) for member in fused.members), rows)
                self._taken(fused.row_group)
            self._offset += rows

    def _taken(self, fragment: Fragment) -> int:
        """Hand a fragment to the sink, fingerprinted if it was decoded; its rows."""
        if self.fingerprinter is not None and isinstance(fragment, DecodedRows):
            with stage("hash"):
                self.fingerprinter.add(fragment.rows)
        return self._given(fragment)

    def _given(self, fragment: Fragment) -> int:
        """Hand a fragment to the sink; its rows."""
        self.sink.write(fragment)
        self._meter.sample()
        return fragment.count
