"""What a policy would have made of a table's own history: files over time, bytes rewritten, spend and lag. Pure.

Time is that of history. At every tick the table is looked at as the service would: windows, gain, then the real planner; a run comes out as
its plan predicts, and takes no time. Nobody else competes for the budget: what is shown is the policy alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from compactor.model.changes import FileChange, LogTail, PastCommit
from compactor.model.plan import Plan, Resources
from compactor.model.policy import Policy
from compactor.model.snapshot import Snapshot
from compactor.model.survey import Survey
from compactor.planning.cost import Assumptions
from compactor.planning.plan import plan
from compactor.service.past import Past
from compactor.service.standing import Standing, followed, taken, terms_of
from compactor.service.windows import Window, open_left_s
from compactor.service.work import work_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The policy that is tried, with the target in force. every_s: between two looks at the table."""

    policy: Policy
    target_bytes: int
    windows: tuple[Window, ...] = ()
    min_gain_files: float = 1.0
    every_s: float = 3600.0
    quiet_s: float = 0.0
    memory_bytes: int = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A moment. files: live ones under the policy; before: as history had them; small: of `files`, those that a run would touch."""

    at_ms: int
    files: int
    before: int
    small: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedRun:
    """A run that there would have been. lag_s: since the table was worth it."""

    at_ms: int
    lag_s: float
    input_files: int
    output_files: int
    input_bytes: int
    gb_hours: float
    money: float


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What came of it. written_bytes: by others. from_version, commits: the history that there was."""

    from_version: int
    commits: int = 0
    written_bytes: int = 0
    points: list[Point] = field(default_factory=list)
    runs: list[ReplayedRun] = field(default_factory=list)

    @property
    def rewritten_bytes(self) -> int:
        """Read by runs."""
        return sum(run.input_bytes for run in self.runs)

    @property
    def write_amplification(self) -> float:
        """Bytes rewritten for each byte that others wrote."""
        return self.rewritten_bytes / self.written_bytes if self.written_bytes else 0.0

    def lag_s(self, share: float) -> float:
        """The lag that this share of the runs did not exceed."""
        lags = sorted(run.lag_s for run in self.runs)
        return lags[min(len(lags) - 1, int(share * len(lags)))] if lags else 0.0


class _Replay:
    def __init__(self, base: Snapshot, rules: Rules, assumed: Assumptions) -> None:
        self._rules, self._assumed = rules, assumed
        self._past = Past(base)
        self._before = base.files.num_rows
        terms = terms_of(rules.policy, rules.target_bytes, base.keeps_clustering)
        self._standing: Standing = taken(base, terms, None)
        self._worth_since_ms: int | None = None
        self._again_ms = 0
        self.found = Replayed(from_version=base.version)

    def commit(self, commit: PastCommit) -> None:
        self._before += sum(1 if change.added else -1 for change in commit.changes)
        changed = self._past.apply(commit)
        self.found.commits += 1
        if not commit.keeps_rows:
            self.found.written_bytes += sum(change.size_bytes for change in commit.changes if change.added)
        self._follow(changed, commit.version)
        self._look(commit.at_ms)

    def tick(self, now_ms: int) -> None:
        self._look(now_ms)
        if self._worth_since_ms is not None and now_ms >= self._again_ms and open_left_s(self._rules.windows, now_ms) > 0:
            self._run(now_ms)

    def _look(self, now_ms: int) -> None:
        """Since when the table is worth a run."""
        least, quiet_s = self._rules.policy.min_input_files, self._rules.quiet_s
        work = work_of(self._standing, min_input_files=least, quiet_s=quiet_s, store_now_ms=now_ms)
        if not work.worth(self._rules.min_gain_files):
            self._worth_since_ms = None
        elif self._worth_since_ms is None:
            self._worth_since_ms = now_ms

    def point(self, at_ms: int) -> None:
        small = sum(tally.files for tally in self._standing.partitions.values())
        self.found.points.append(Point(at_ms=at_ms, files=self._past.files, before=self._before, small=small))

    def _run(self, now_ms: int) -> None:
        rules = self._rules
        resources = Resources(parallelism=1, memory_bytes=rules.memory_bytes)
        planned = plan(
            self._past.snapshot(now_ms), Survey(), rules.policy, resources, target_bytes=rules.target_bytes, assumptions=self._assumed
        )
        if not len(planned):
            # Until something changes, or what is young has come of age.
            self._again_ms = now_ms + int(1000 * max(rules.policy.min_age_s, rules.quiet_s, 6 * rules.every_s))
            return
        self._note(planned, now_ms)
        self._follow(self._past.compact(planned, now_ms), self._standing.version)
        self._worth_since_ms = None

    def _note(self, planned: Plan, now_ms: int) -> None:
        used = planned.prediction
        self.found.runs.append(
            ReplayedRun(
                at_ms=now_ms,
                lag_s=(now_ms - (self._worth_since_ms or now_ms)) / 1000,
                input_files=used.input_files,
                output_files=used.output_files,
                input_bytes=used.input_bytes,
                gb_hours=self._rules.memory_bytes / 1024**3 * used.task_s / 3600,
                money=used.cost.total if used.cost else 0.0,
            )
        )

    def _follow(self, changed: Iterable[FileChange], version: int) -> None:
        changes = tuple(changed)
        self._again_ms = 0 if changes else self._again_ms
        self._standing = followed(self._standing, LogTail(version=version, entry=None, changes=changes))


def replay(base: Snapshot, commits: Iterable[PastCommit], rules: Rules, assumed: Assumptions, *, points: int = 60) -> Replayed:
    """The history after `base` under these rules; a state at the end is always among the points."""
    world = _Replay(base, rules, assumed)
    history = list(commits)
    if not history:
        return world.found
    every_ms = max(1, int(rules.every_s * 1000))
    first, last = history[0].at_ms, history[-1].at_ms + every_ms
    gap_ms = max(1, (last - first) // points)
    shown = first
    now = first
    for commit in history:
        while now + every_ms <= commit.at_ms:
            now += every_ms
            world.tick(now)
            if now >= shown:
                world.point(now)
                shown = now + gap_ms
        world.commit(commit)
    world.tick(last)
    world.point(last)
    return world.found
