"""Rewrites one group: inputs in order through engines into the sink, rows counted and fingerprinted on the way, outputs read again.

Knows no log and no executor. Raises what went wrong, after taking back what it wrote; what a group's failure means to a run is the
worker's business.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import replace

from compactor.ambient.ports import Clock
from compactor.errors import StorageError
from compactor.model.rewrite import Concat, InputFile, InputLeftOut, RewriteJob, RewriteResult, RewriteTask
from compactor.rewriting.budget import Budget, divide
from compactor.rewriting.choose import Engine, choose
from compactor.rewriting.division import Division
from compactor.rewriting.encoder import OutputPlan
from compactor.rewriting.fetch import Fetcher
from compactor.rewriting.fingerprint import Fingerprinter
from compactor.rewriting.fragment import Fragment
from compactor.rewriting.memory import MemoryMeter
from compactor.rewriting.opened import Opened, Opener
from compactor.rewriting.pools import beside
from compactor.rewriting.problems import FileProblem, at_file, named
from compactor.rewriting.proof import ReadAgain, check_equal, read_outputs, reading_budget
from compactor.rewriting.sink import Sink
from compactor.rewriting.transcode import transcode
from compactor.storage.base import ObjectStore


def rewrite(job: RewriteJob, task: RewriteTask, store: ObjectStore, clock: Clock, budget: Budget | None = None) -> RewriteResult:
    """One attempt at one group, within `budget` (by default what task.buffer_bytes divides into).

    Raises FileProblem, StorageError, MemoryError; nothing of the attempt is left then if the store allows.
    """
    started_s = clock.monotonic_s()
    meter = MemoryMeter(task.budget_bytes)
    try:
        with beside(store) as encoding:
            result = _rewritten(job, task, store, budget, encoding, meter)
    finally:
        meter.close()
    return replace(result, seconds=clock.monotonic_s() - started_s, peak_memory_bytes=meter.peak_bytes)


def _rewritten(
    job: RewriteJob, task: RewriteTask, store: ObjectStore, budget: Budget | None, encoding: Executor, meter: MemoryMeter
) -> RewriteResult:
    """The group's result, whose time and memory are not known yet."""
    reading = budget or reading_budget(task.buffer_bytes)
    budget = budget or divide(task.buffer_bytes)
    division = Division(sum(map(_weight, task.inputs)), task.output_files)
    opener = Opener(job.read, store, budget)
    plan = OutputPlan(name=lambda i: output_key(job, task, i), schema=lambda: opener.schema, spec=job.write, division=division)
    sink = Sink(store, plan, budget, encoding)
    fetcher = Fetcher(task.inputs, store, budget)
    fingerprinter = Fingerprinter() if job.proof == "full" else None
    left_out: list[InputLeftOut] = []
    try:
        offsets = tuple(_pour(fetcher, sink, opener, meter, left_out, fingerprinter))
        _check_worth(task, left_out)
        outputs = sink.finish()
        *starts, rows = offsets
        if sum(output.rows for output in outputs) != rows:
            raise FileProblem("proof", f"Group {task.group_id} read {rows} rows and wrote {sum(output.rows for output in outputs)}.")
        if fingerprinter is not None:
            again = read_outputs(outputs, job.read, store, reading, meter)
            check_equal(task.group_id, fingerprinter.result(), again.sum)
    except BaseException:
        with contextlib.suppress(StorageError):
            sink.abort()
        raise
    result = RewriteResult(
        group_id=task.group_id,
        attempt=task.attempt,
        engine=Engine.TRANSCODE,
        input_rows=rows,
        outputs=outputs,
        row_map=Concat(offsets=tuple(starts)),
        bytes_read=fetcher.bytes_read,
        requests=fetcher.requests,
        seconds=0.0,
        peak_memory_bytes=0,
        left_out=tuple(left_out),
    )
    return result if fingerprinter is None else _with_proof(result, again)


def _with_proof(result: RewriteResult, again: ReadAgain) -> RewriteResult:
    """The result of a group whose outputs were read again and found equal."""
    pairs = zip(result.outputs, again.fingerprints, strict=True)
    return replace(
        result,
        outputs=tuple(replace(output, fingerprint=found) for output, found in pairs),
        proof="full",
        fingerprint=again.sum,
        proof_bytes_read=again.bytes_read,
        proof_requests=again.requests,
    )


def output_key(job: RewriteJob, task: RewriteTask, i: int) -> str:
    """The key of output i of this attempt."""
    return f"{task.output_prefix}{task.stem}-a{task.attempt}-{i:05d}.{job.write.compression}.parquet"


def _weight(file: InputFile) -> int:
    """An input's share of the outputs: its bytes by the log."""
    return max(1, file.size_bytes)


def _check_worth(task: RewriteTask, left_out: list[InputLeftOut]) -> None:
    """Raises FileProblem when nothing is left to rewrite, or a single file that would only be copied."""
    kept = [file for file in task.inputs if file.file not in {left.file for left in left_out}]
    if left_out and (not kept or (len(kept) == 1 and kept[0].deletes is None and task.output_files == 1)):
        raise FileProblem("unsupported-file", left_out[0].why, path=left_out[0].file.path)


def _pour(
    fetcher: Fetcher,
    sink: Sink,
    opener: Opener,
    meter: MemoryMeter,
    left_out: list[InputLeftOut],
    fingerprinter: Fingerprinter | None,
) -> Iterator[int]:
    """Every input into the sink; yields the offset at which each one's rows begin, and at last the number of all.

    Rows are fingerprinted when they are decoded, before the sink has them, so that whatever happens to them later shows in the outputs.
    An input that must not be rewritten, as its footer shows before a row of it is read, joins `left_out` instead.
    """
    offset = 0
    for fetched in fetcher:
        try:
            with at_file(fetched.input):
                opened = opener.open(fetched)
        except FileProblem as problem:
            if problem.reason != "unsupported-file":
                raise
            left_out.append(InputLeftOut(file=fetched.input.file, why=str(problem)))
            continue
        yield offset
        sink.next_input(_weight(fetched.input), opened.surviving)
        rows = 0
        for fragment in named(fetched.input, _fragments(opened, fetcher.budget)):
            rows += fragment.rows.num_rows
            if fingerprinter is not None:
                fingerprinter.add(fragment.rows)
            sink.write(fragment)
            meter.sample()
        if rows != opened.surviving:
            message = f"{fetched.input.key}: {rows} rows were read, but its footer and deletes say {opened.surviving}."
            raise FileProblem("proof", message, path=fetched.input.file.path)
        offset += rows
    yield offset


def _fragments(opened: Opened, budget: Budget) -> Iterator[Fragment]:
    for span in choose(opened.file.metadata.num_row_groups):
        match span.engine:
            case Engine.TRANSCODE:
                yield from transcode(opened, span.row_groups, budget)
