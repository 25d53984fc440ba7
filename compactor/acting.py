"""The writing half of a run: from a plan to commits. Intent first, then groups are rewritten and committed as they finish, outputs that are
not in the log are taken back, and the intent is closed.

Every group that was begun ends committed or dropped with a reason; outputs are deleted only when it is known that they were not committed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace

from compactor.ambient.interrupts import held_back, to_the_end
from compactor.ambient.stopwatch import each, stage
from compactor.coordination.outputs import OutputFates
from compactor.errors import CompactorError, StorageError, StorageUnavailable, TakenForDead
from compactor.execution.base import Executor
from compactor.lookout import INPUT_VANISHED, Lookout
from compactor.model.commit import CommitRequest, Committed, Conflict, FinishedGroup, Unknown
from compactor.model.events import Checkpointed, CommitLanded, GroupFinished, GroupLost, Warned
from compactor.model.plan import RewriteGroup
from compactor.model.rewrite import GroupDropped, InputFile, RewriteJob, RewriteResult, RewriteTask, TaskOutcome
from compactor.planning.liveness import first_gone
from compactor.planning.predict import spent
from compactor.ports import Ports, Prepared
from compactor.run_report import Tally

TAKEN_OVER = "taken-over"


class Act:
    """The writing half of a run: from a plan to commits."""

    def __init__(self, ports: Ports, prepared: Prepared, tally: Tally) -> None:
        self._ports = ports
        self._clock = ports.ambient.clock
        self._plan = prepared.plan
        self._snapshot = self._latest = prepared.snapshot
        self._tally = tally
        self._under_way: dict[int, RewriteGroup] = {}
        self._waiting: list[FinishedGroup] = []
        self._waiting_files = self._waiting_bytes = 0
        self._waiting_since_s = 0.0
        self._assumed = prepared.assumed
        self._fates = OutputFates(1 + max(prepared.plan.groups["group_id"].to_pylist()), ports.ambient.ids.new)

    def run(self) -> None:
        """Intent, rewrite, commit, record. Raises CompactorError; what was committed by then stands and is in the tally.

        A run that others took for dead has lost to them what it had not committed: that is no error.
        """
        try:
            self._run()
        except TakenForDead as error:
            told = {drop.group_id for drop in self._tally.dropped}
            told.update(group for commit in self._tally.commits[self._tally.taken :] for group in commit.groups)
            for group in self._plan:
                if group.group_id not in told:
                    self._tell(GroupDropped(group_id=group.group_id, reason=TAKEN_OVER, detail=str(error)))

    def _run(self) -> None:
        table, records = self._ports.table, self._ports.records
        read, write = table.read_spec(self._snapshot), table.write_spec(self._snapshot)
        proof = self._ports.proof
        job = RewriteJob(
            root_uri=table.ref.uri,
            storage=self._ports.storage,
            read=read,
            write=write,
            proof=proof,
            proof_reader=self._ports.proof_reader,
            engine=self._ports.engine,
            timed=self._ports.timed,
        )
        inputs_of = table.inputs(self._snapshot, self._plan)
        executor = self._ports.executor()
        try:
            with stage("start"):
                share = executor.capacity().memory_per_task_bytes  # says now if the place cannot do it, before anything is written
            records.intend(self._tally.run_id, self._plan, self._fates.stem, self._beside)
            self._tally.acted, self._tally.proof = True, proof
            self._rewrite(executor.run(job, self._tasks(inputs_of, share)))
        finally:
            to_the_end(lambda: self._end(executor))

    def _end(self, executor: Executor) -> None:
        """Nobody is at work any more: what is known not to be in the log goes, and so does the intent when nothing can be left."""
        records = self._ports.records
        with stage("end"):
            quiet = executor.close()
        if quiet:
            self._fates.abandoned()
        self._fates.sweep(self._ports.store, lambda: records.may_dispose(self._tally.run_id))
        records.close_intent(self._tally.run_id, settled=self._fates.settled)

    def _beside(self, first: str, stem: str) -> str:
        return self._ports.table.beside(self._snapshot, first, stem)

    def _prefix(self, group: RewriteGroup) -> str:
        """The folder of a group's outputs, as the intent says it."""
        place = self._beside(group.inputs[0].path, self._fates.stem(group.group_id))
        folder = self._ports.table.object_key(place).rpartition("/")[0]
        return f"{folder}/" if folder else ""

    def _rewrite(self, outcomes: Generator[TaskOutcome]) -> None:
        try:
            with closing(outcomes):
                for outcome in each("rewrite", outcomes):
                    self._take(outcome)
        finally:
            self._commit()  # after a failure or a signal too: what is finished is worth keeping

    def _tasks(self, inputs_of: Callable[[RewriteGroup], tuple[InputFile, ...]], share_bytes: int) -> Iterator[RewriteTask]:
        lookout = Lookout(self._ports, self._snapshot, self._plan)
        for group in self._plan:
            if (lost := lookout.lost(group)) is not None:
                self._tell(lost)
                continue
            inputs, prefix = inputs_of(group), self._prefix(group)
            self._under_way[group.group_id] = group
            self._fates.started(group.group_id, prefix)
            yield RewriteTask(
                group_id=group.group_id,
                attempt=0,
                inputs=inputs,
                output_prefix=prefix,
                stem=self._fates.stem(group.group_id),
                output_files=group.output_files,
                memory_bytes=min(group.memory_bytes, share_bytes),
                budget_bytes=share_bytes,
            )

    def _take(self, outcome: TaskOutcome) -> None:
        if isinstance(outcome, GroupDropped):
            self._drop((self._blamed(outcome),))
            self._under_way.pop(outcome.group_id, None)
            return
        group = self._under_way.pop(outcome.group_id)
        self._tally.rewritten(outcome)
        self._tally.spent = spent(self._tally.spent, group, outcome, self._assumed)
        for left in outcome.left_out:
            self._ports.sink(Warned(code="left-out", message=left.why))
        self._fates.written(outcome)
        self._ports.sink(GroupFinished(result=outcome, input_files=len(group.inputs), input_bytes=group.input_bytes))
        finished = _finished(group, outcome, self._plan.target_bytes)
        self._ports.records.keep(self._tally.run_id, finished)
        self._wait(finished, group.input_bytes)

    def _wait(self, finished: FinishedGroup, input_bytes: int) -> None:
        """Let a group wait for its commit; commit what has waited first when it would exceed a bound, and all once one is reached."""
        bounds = self._ports.bounds
        files, size = self._waiting_files + len(finished.inputs), self._waiting_bytes + input_bytes
        if files > bounds.files or size > bounds.bytes:
            self._commit()
        if not self._waiting:
            self._waiting_since_s = self._clock.monotonic_s()
        self._waiting.append(finished)
        self._waiting_files += len(finished.inputs)
        self._waiting_bytes += input_bytes
        full = self._waiting_files >= bounds.files or self._waiting_bytes >= bounds.bytes or len(self._waiting) >= bounds.groups
        if full or self._clock.monotonic_s() - self._waiting_since_s >= bounds.interval_s:
            self._commit()

    def _commit(self) -> None:
        """Commit what waits. An interruption comes when it is known, and noted, what became of it."""
        with held_back():
            version = self._landed()
        if version is not None:
            with stage("checkpoint"):
                self._after_commit(version)

    def _landed(self) -> int | None:
        """The version in which what waits was committed; None when nothing was."""
        groups, self._waiting = tuple(self._waiting), []
        self._waiting_files = self._waiting_bytes = 0
        if not groups:
            return None
        ids = [group.result.group_id for group in groups]
        transaction = self._ports.ambient.ids.new()
        purge = self._plan.policy.purge
        request = CommitRequest(
            run_id=self._tally.run_id,
            transaction_id=transaction,
            groups=groups,
            purge=purge,
            compression=self._plan.compression,
            planned=len(self._plan),
            max_deleted_ratio=self._plan.policy.max_deleted_ratio,
        )
        self._fates.offered(ids)
        try:
            # Always judged from the version that was read: a schema that changed since must be seen.
            with stage("commit"):
                outcome = self._ports.table.publish(self._snapshot, request, self._permit, self._ports.read_files)
        except CompactorError as error:
            self._unpublished(groups, error)
            raise
        match outcome:
            case Committed():
                self._fates.committed(outcome.groups)
                if outcome.was_contended:
                    self._fates.contended(outcome.vectors)
                self._drop(outcome.dropped)
                self._tally.commits.append(outcome)
                self._ports.sink(CommitLanded(outcome=outcome))
                return outcome.version
            case Conflict():
                self._fates.contended()
                self._drop(outcome.dropped)
                return None
            case Unknown():
                for group in groups:
                    self._keep(group)
                raise StorageError(f"It is not known whether version {outcome.version} of {self._tally.table} landed: {outcome.why}")

    def _unpublished(self, groups: tuple[FinishedGroup, ...], error: CompactorError) -> None:
        """By contract it is known that nothing landed. The next run may commit what is still good, if it can be told of it."""
        self._fates.contended()
        passing = isinstance(error, StorageUnavailable)  # unlike a denial, or a full disk, where they would be in the way
        for group in groups:
            (self._fates.left if passing and self._keep(group) else self._fates.discarded)([group.result.group_id])

    def _keep(self, group: FinishedGroup) -> bool:
        """However small it is: what was about to be committed costs less to keep than to make again."""
        return self._ports.records.keep(self._tally.run_id, group, small=True)

    def _permit(self) -> None:
        """Raises Superseded when the run may commit no more."""
        self._ports.lease.check()
        self._ports.records.check(self._tally.run_id)

    def _after_commit(self, version: int) -> None:
        """Look for damage by others, and checkpoint when due. Failures here are events, never a failed commit."""
        table, sink = self._ports.table, self._ports.sink
        try:
            for warning in table.rivals(version - 1):
                sink(Warned(code=warning.code, message=warning.message))
            if not table.checkpoint_due(self._latest, version):
                return  # by what is known so far, so that not every commit has to read the log again
            self._latest = table.refresh(self._latest)
            if table.checkpoint_due(self._latest, version):
                self._ports.checkpointer.checkpoint(table.ref, version, self._latest.files.num_rows)
                sink(Checkpointed(version=version))
        except CompactorError as error:
            sink(Checkpointed(version=version, error=str(error)))

    def _blamed(self, drop: GroupDropped) -> GroupDropped:
        """A file that is missing although the log names it is damage, unless others have replaced it since, and somebody vacuumed."""
        if drop.reason != "corrupt-file":
            return drop
        try:
            self._latest = self._ports.table.refresh(self._latest)
        except CompactorError:
            return drop
        gone = first_gone(self._latest, self._plan.by_id(drop.group_id).inputs)
        if gone is None:
            return drop
        detail = f"{gone.path} was replaced while its group was rewritten, and a file of it could not be read any more"
        return replace(drop, reason=INPUT_VANISHED, detail=detail, file=gone.path)

    def _drop(self, dropped: tuple[GroupDropped, ...]) -> None:
        for drop in dropped:
            self._fates.dropped(drop)
            self._tell(drop)

    def _tell(self, drop: GroupDropped) -> None:
        self._tally.dropped.append(drop)
        self._ports.sink(GroupLost(dropped=drop))


def _finished(group: RewriteGroup, result: RewriteResult, target_bytes: int) -> FinishedGroup:
    finished_for = target_bytes if group.finishes and not result.left_out else None
    left_out = {left.file for left in result.left_out}
    inputs = tuple(key for key in group.inputs if key not in left_out)
    return FinishedGroup(inputs=inputs, result=result, generation=group.generation, finished_for_bytes=finished_for)
