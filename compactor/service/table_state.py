"""What the service knows of one table, and how that changes: looked at, run, asked for. Pure values; times are of one process's own clock.

found ──look──► known ──look──► known … ──run──► known (better, or waiting after an end that was not good)
  └─ could not be looked at, or may not be compacted: told, and tried again
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from compactor.model.run import Run, RunStatus
from compactor.service.backoff import retry_after_s
from compactor.service.policies import TablePolicy
from compactor.service.standing import Standing
from compactor.service.work import Takes, Work

INTERRUPTED = (130, 143)
"""Exit codes of runs that were asked to stop."""
HELD_S = 30.0
"""After a run that began nothing because another replica, or somebody's command, was at work on the table."""
VAIN_S, VAIN_MOVED_S = 3600.0, 300.0
"""After a run that found nothing to do a table waits for so long; less when it changes. Where only time keeps files back, it waits for as
long as its rules say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look brought. problem: why the table may not be compacted, as reason and why. owner: the table's own rules, as properties.
    written_bytes: by others since the look before, as far as the log's tail was followed."""

    policy: TablePolicy
    standing: Standing | None
    work: Work = field(default_factory=Work)
    takes: Takes | None = None
    problem: tuple[str, str] | None = None
    loaded: bool = False
    owner: Mapping[str, str] = field(default_factory=dict)
    written_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """The end of the newest run of a table."""

    run_id: str
    status: RunStatus
    why: str | None
    version: int | None
    ended_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """looked_s, loaded_s: when, by the monotonic clock. worth_since_s: since when a run is worth it, suffered: requests too many times the
    seconds since, up to looked_s. bad: ends in a row that were not good, and retry_s: when it is tried again. vain: why the newest run
    found nothing to do, at vain_s, believed until vain_until_s; not_yet: files that it left for the time being;
    vain_files: that a run would have touched by what was known, and did not. changed: something was heard of a newer version than is known.
    owner: as in Looked. written_bytes: by others, seen by this process."""

    uri: str
    policy: TablePolicy | None = None
    standing: Standing | None = None
    work: Work = field(default_factory=Work)
    takes: Takes | None = None
    problem: tuple[str, str] | None = None
    looked_s: float = -1.0
    loaded_s: float = -1.0
    worth_since_s: float | None = None
    suffered: float = 0.0
    bad: int = 0
    retry_s: float = 0.0
    vain: str | None = None
    vain_s: float = 0.0
    vain_until_s: float = 0.0
    not_yet: int = 0
    vain_files: int = 0
    last: LastRun | None = None
    changed: bool = True
    owner: Mapping[str, str] = field(default_factory=dict)
    written_bytes: int = 0


def looked(state: TableState, found: Looked, now_s: float) -> TableState:
    """The state after a look."""
    standing = found.standing
    moved = standing is not None and (state.standing is None or standing.version != state.standing.version)
    worth = found.problem is None and found.work.worth(found.policy.min_gain_files)
    since = None if not worth else state.worth_since_s if state.worth_since_s is not None else now_s
    same_rules = state.policy is None or state.policy is found.policy or state.policy.settings == found.policy.settings
    stale_refusal = state.last is not None and state.last.status is RunStatus.REFUSED and (moved or not same_rules)
    return replace(
        state,
        policy=found.policy,
        standing=standing if standing is not None else state.standing,
        work=found.work,
        takes=found.takes,
        problem=found.problem,
        looked_s=now_s,
        loaded_s=now_s if found.loaded else state.loaded_s,
        worth_since_s=since,
        suffered=suffered_at(state, now_s) if worth else 0.0,
        vain=state.vain if same_rules and now_s < state.vain_until_s and not _grown(state, found) else None,
        vain_until_s=min(state.vain_until_s, state.vain_s + VAIN_MOVED_S) if moved else state.vain_until_s,
        retry_s=0.0 if stale_refusal else state.retry_s,
        changed=False,
        owner=found.owner if found.loaded else state.owner,
        written_bytes=state.written_bytes + found.written_bytes,
    )


def _grown(state: TableState, found: Looked) -> bool:
    """Whether so many files have come since the run in vain that there may be a group now."""
    if state.not_yet:
        return False
    return found.work.input_files >= state.vain_files + found.policy.settings.policy().min_input_files


def not_looked(state: TableState, policy: TablePolicy, why: str, now_s: float) -> TableState:
    """The state after a look that failed: tried again at the next."""
    return replace(state, policy=policy, problem=("not-looked-at", why), looked_s=now_s)


def suffered_at(state: TableState, now_s: float) -> float:
    """Requests too many, times seconds, up to now."""
    if state.worth_since_s is None:
        return 0.0
    return state.suffered + state.work.saves_requests * max(0.0, now_s - max(state.looked_s, state.worth_since_s))


def heard(state: TableState, version: int) -> TableState:
    """The state after somebody told of a version. What is known already, as our own commits are, changes nothing."""
    known = state.standing is not None and version <= state.standing.version
    return state if known else replace(state, changed=True)


def ran(state: TableState, run: Run, now_s: float, now_ms: int) -> TableState:
    """The state after a run."""
    last = LastRun(run_id=run.run_id, status=run.status, why=run.reason or run.why, version=run.version, ended_ms=now_ms)
    if run.status is RunStatus.COMMITTED:  # what is left to do is known again after the next look
        fresh = replace(state, last=last, bad=0, retry_s=0.0, vain=None, changed=True)
        return replace(fresh, worth_since_s=None, suffered=0.0, work=Work(), takes=None)
    if run.status in (RunStatus.NOTHING_TO_DO, RunStatus.PLANNED):
        why = run.why or run.reason or "There was nothing to do."
        done = replace(state, last=last, bad=0, retry_s=0.0, changed=True, vain=why, vain_s=now_s)
        if run.not_yet and state.policy is not None:  # it still is worth a run, and its time goes on
            rules = state.policy.settings.policy()
            return replace(done, not_yet=run.not_yet, vain_until_s=now_s + min(VAIN_S, max(rules.quiet_s, rules.min_age_s)))
        return replace(done, not_yet=0, vain_files=_vain_files(state, run), vain_until_s=now_s + VAIN_S, worth_since_s=None, suffered=0.0)
    if run.exit_code in INTERRUPTED:  # by this process's own stop: no fault of the table, which the next process goes on with
        return replace(state, last=last, changed=True)
    if run.status is RunStatus.CONFLICT and run.actual is None:  # another holds the lease: it does what there is to do, or is gone soon
        return replace(state, last=last, retry_s=now_s + HELD_S, changed=True)
    bad = state.bad + 1
    return replace(state, last=last, bad=bad, retry_s=now_s + retry_after_s(run.status, bad), changed=True)


def _vain_files(state: TableState, run: Run) -> int:
    """What the run did not touch. Where it saw another version than was known, as after another replica's run, nothing is known of that;
    but two in a row that were in vain are no accident."""
    known = -1 if state.standing is None else state.standing.version
    moved = run.version is not None and run.version > known
    again = state.last is not None and state.last.status is RunStatus.NOTHING_TO_DO
    return 0 if moved and not again else state.work.input_files


def ruled(state: TableState, policy: TablePolicy) -> TableState:
    """The state under other rules. Where they judge files otherwise, the table is loaded anew at the next look."""
    if state.policy is None or state.standing is None or policy == state.policy:
        return replace(state, policy=policy if state.policy is not None else None)
    same = state.policy.settings == policy.settings and state.policy.enabled == policy.enabled
    standing = state.standing if same else replace(state.standing, unclear="its rules have changed")
    return replace(state, policy=policy, standing=standing, changed=state.changed or not same)
