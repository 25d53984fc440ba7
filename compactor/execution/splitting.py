"""Groups that need more memory than there is are split instead of dying, and never tried again as they were (design rule 6).

    out of memory ──several inputs──► halves of the inputs, in order ──all done──► one result of the group
                  └──one input──────► the same with buffers of half the size, a few times ──► dropped, with what was tried

Parts run after everything else, each under attempt numbers of its own, so under output names of its own. What comes out has the group's id:
nobody else knows of parts. A group of which one part fails is dropped as a whole.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from compactor.execution.base import Capacity, Executor
from compactor.execution.work import MAX_TRIES
from compactor.model.fingerprint import Fingerprint, readers_together
from compactor.model.rewrite import Concat, GroupDropped, InputFile, RewriteJob, RewriteResult, RewriteTask, TaskOutcome
from compactor.units import format_bytes

OUT_OF_MEMORY = "out-of-memory"
MOST_FRUGAL = 3
"""How often the buffers of a part with one input are halved before it is given up."""


@dataclass(slots=True, eq=False)
class _Family:
    """A group in parts. `parts`: in the order of its inputs, each a task to do or its result; attempts: numbers given so far."""

    whole: RewriteTask
    parts: list[RewriteTask | RewriteResult]
    attempts: int = MAX_TRIES
    failed: GroupDropped | None = None

    def numbered(self, task: RewriteTask) -> RewriteTask:
        """The task under attempt numbers that no other part of the group has, retries included."""
        task = replace(task, attempt=self.attempts)
        self.attempts += MAX_TRIES
        return task


class SplittingExecutor:
    """Another executor, with what is said above."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    def begin(self) -> None:
        self._inner.begin()

    def capacity(self) -> Capacity:
        return self._inner.capacity()

    def run(self, job: RewriteJob, tasks: Iterable[RewriteTask]) -> Generator[TaskOutcome]:
        return run_splitting(self._inner, job, tasks)

    def close(self) -> bool:
        return self._inner.close()


def run_splitting(executor: Executor, job: RewriteJob, tasks: Iterable[RewriteTask]) -> Generator[TaskOutcome]:
    """As `executor.run`, exactly one outcome for each task, but groups that ran out of memory come back in parts first."""
    open_tasks: dict[int, RewriteTask] = {}
    families: list[_Family] = []
    with closing(executor.run(job, _noting(tasks, open_tasks))) as outcomes:
        for outcome in outcomes:
            task = open_tasks.pop(outcome.group_id, None)
            if task is None or not _ran_out(outcome):
                yield outcome
            elif parts := split(task):
                families.append(_Family(whole=task, parts=list(parts)))
            else:
                yield _given_up(task, outcome)
    while families:
        yield from _round(executor, job, families)


def split(task: RewriteTask) -> tuple[RewriteTask, ...]:
    """What to do instead of the same again: halves by bytes, or smaller buffers; nothing when both are used up."""
    if len(task.inputs) == 1:
        return (replace(task, frugality=task.frugality + 1),) if task.frugality < MOST_FRUGAL else ()
    at = _middle(task.inputs)
    first, second = task.inputs[:at], task.inputs[at:]
    share = sum(file.size_bytes for file in first) / max(1, sum(file.size_bytes for file in task.inputs))
    outputs = min(max(1, round(task.output_files * share)), max(1, task.output_files - 1))
    return replace(task, inputs=first, output_files=outputs), replace(task, inputs=second, output_files=max(1, task.output_files - outputs))


def _middle(inputs: Sequence[InputFile]) -> int:
    """Where to cut so that both sides have about the same bytes, and one file at least."""
    half, seen = sum(file.size_bytes for file in inputs) / 2, 0
    for index, file in enumerate(inputs):
        seen += file.size_bytes
        if seen >= half:
            return max(1, min(index + 1, len(inputs) - 1))
    return len(inputs) - 1


def merged(group: RewriteTask, results: Sequence[RewriteResult]) -> RewriteResult:
    """One result of all parts, in order: rows of later parts come behind those of earlier ones."""
    offsets: list[int] = []
    rows = 0
    for result in results:
        assert isinstance(result.row_map, Concat)
        offsets += [rows + offset for offset in result.row_map.offsets]
        rows += result.input_rows
    proven = all(result.fingerprint is not None for result in results)
    return replace(
        results[0],
        group_id=group.group_id,
        attempt=max(result.attempt for result in results),
        input_rows=rows,
        outputs=tuple(output for result in results for output in result.outputs),
        row_map=Concat(offsets=tuple(offsets)),
        bytes_read=sum(result.bytes_read for result in results),
        requests=sum(result.requests for result in results),
        seconds=sum(result.seconds for result in results),
        peak_memory_bytes=max(result.peak_memory_bytes for result in results),
        left_out=tuple(left for result in results for left in result.left_out),
        fingerprint=sum((r.fingerprint for r in results if r.fingerprint is not None), Fingerprint()) if proven else None,
        proof_bytes_read=sum(result.proof_bytes_read for result in results),
        proof_requests=sum(result.proof_requests for result in results),
        proof_readers=readers_together(result.proof_readers for result in results),
    )


def _noting(tasks: Iterable[RewriteTask], into: dict[int, RewriteTask]) -> Iterator[RewriteTask]:
    for task in tasks:
        into[task.group_id] = task
        yield task


def _ran_out(outcome: TaskOutcome) -> bool:
    return isinstance(outcome, GroupDropped) and outcome.reason == OUT_OF_MEMORY


def _round(executor: Executor, job: RewriteJob, families: list[_Family]) -> Generator[TaskOutcome]:
    """Every part that is to be done, once; yields the groups that are complete or lost by then and takes them off the list."""
    owners: list[tuple[_Family, RewriteTask]] = []
    for family in families:
        owners += [(family, part) for part in family.parts if isinstance(part, RewriteTask)]
    todo = [replace(family.numbered(part), group_id=number) for number, (family, part) in enumerate(owners)]
    with closing(executor.run(job, todo)) as outcomes:
        for outcome in outcomes:
            family, part = owners[outcome.group_id]
            _note(family, part, outcome)
    still = [family for family in families if not _complete(family)]
    done = [family for family in families if _complete(family)]
    families[:] = still
    for family in done:
        yield family.failed or merged(family.whole, [part for part in family.parts if isinstance(part, RewriteResult)])


def _note(family: _Family, part: RewriteTask, outcome: TaskOutcome) -> None:
    """Put what became of a part in its place."""
    at = next(i for i, one in enumerate(family.parts) if one is part)
    if isinstance(outcome, RewriteResult):
        family.parts[at] = outcome
    elif _ran_out(outcome) and (parts := split(part)):
        family.parts[at : at + 1] = parts
    elif family.failed is None:
        lost = _given_up(part, outcome) if _ran_out(outcome) else outcome
        family.failed = replace(lost, group_id=family.whole.group_id)


def _complete(family: _Family) -> bool:
    return family.failed is not None or all(isinstance(part, RewriteResult) for part in family.parts)


def _given_up(task: RewriteTask, drop: TaskOutcome) -> GroupDropped:
    assert isinstance(drop, GroupDropped)
    allowed = format_bytes(task.budget_bytes or task.memory_bytes)
    named = task.inputs[0].file.path
    why = f"{named} cannot be rewritten within the {allowed} of memory that a task may use, however small its buffers; give it more with "
    return replace(drop, detail=f"{why}--memory. Last: {drop.detail}", file=named)
