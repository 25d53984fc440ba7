"""How what is known of a table changes: looked at, heard of, run, under other rules; and what holds it back then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compactor.model.run import Run, RunStatus
from compactor.model.usage import Usage
from compactor.service.candidates import Marks, Now, candidates, why_of
from compactor.service.config_file import parse_config
from compactor.service.policies import TablePolicy, policy_of
from compactor.service.schedule import HOLDS, Hold
from compactor.service.standing import Standing, terms_of
from compactor.service.table_state import Looked, TableState, heard, looked, not_looked, ran, ruled, suffered_at
from compactor.service.work import Takes, Work

BASE = 'state = "s3://state"\n[[source]]\ntables = ["s3://lake/t"]\n'
POLICY = policy_of(parse_config(BASE, "f"), "s3://lake/t", {})
WORK = Work(saves_files=9, saves_requests=18, input_files=10, input_bytes=100, output_files=1, output_bytes=100)


def look(version: int = 1, work: Work = WORK, policy: TablePolicy = POLICY, problem: tuple[str, str] | None = None) -> Looked:
    standing = Standing(version=version, entry=f"e{version}", terms=terms_of(policy.settings.policy(), 100, False))
    return Looked(policy=policy, standing=standing, work=work, takes=Takes(task_s=1, requests=1), problem=problem)


def known(version: int = 1, at_s: float = 100, work: Work = WORK) -> TableState:
    return looked(TableState(uri="s3://lake/t"), look(version, work), at_s)


def hold(state: TableState, at_s: float, marks: Marks | None = None, now_ms: int = 0) -> Hold:
    """What holds it back; the sentence for it can be made too."""
    now, marks = Now(s=at_s, ms=now_ms), marks or Marks()
    found = HOLDS[int(candidates([state], marks, now).held[0])]
    assert why_of(state, found, marks, now)
    return found


def run(status: RunStatus, **more: object) -> Run:
    return Run(run_id="r", table="s3://lake/t", status=status, **more)  # type: ignore[arg-type]


def test_suffering_adds_up() -> None:
    """Requests too many times seconds, by the excess of each time; a table that is fine again starts anew."""
    state = known(at_s=100)
    assert suffered_at(state, 110) == 180
    state = looked(state, look(2, replace(WORK, saves_requests=100)), 110)
    assert (suffered_at(state, 111), state.worth_since_s) == (280, 100)
    state = looked(state, look(3, Work()), 120)
    assert (suffered_at(state, 500), state.worth_since_s) == (0, None)


def test_a_table_that_is_found_waits_for_its_look() -> None:
    """Then it is ready when a run is worth it."""
    assert hold(TableState(uri="t"), 0) is Hold.UNKNOWN
    assert hold(known(), 100) is Hold.NONE
    assert hold(known(work=Work()), 100) is Hold.HEALTHY
    assert hold(known(work=Work(hot_files=3)), 100) is Hold.HOT


@pytest.mark.parametrize(("status", "held"), [("conflict", Hold.BACKOFF), ("failed", Hold.BACKOFF), ("refused", Hold.REFUSED)])
def test_ends_that_are_not_good(status: str, held: Hold) -> None:
    """The table waits longer each time, whether it changes or not, and is tried again; a good end forgets it."""
    state, waits = known(), []
    now_s = 100.0
    for number in range(2, 6):
        state = ran(state, run(RunStatus(status), reason="so.", actual=Usage()), now_s, 0)
        assert hold(state, now_s) is held
        waits.append(state.retry_s - now_s)
        now_s = state.retry_s
        state = looked(state, look(1), now_s)
        assert hold(state, now_s) is Hold.NONE, number
    assert waits == sorted(waits) and waits[0] < waits[-1]
    assert ran(state, run(RunStatus.COMMITTED), now_s, 0).bad == 0


def test_a_run_that_was_asked_to_stop_is_no_failure() -> None:
    """The next process goes on with the table at once; failures before count as they did."""
    stopped = ran(known(), run(RunStatus.FAILED, reason="Interrupted.", exit_code=143), 100, 0)
    assert (hold(stopped, 100), stopped.bad, stopped.worth_since_s) == (Hold.NONE, 0, 100)
    failed = ran(ran(known(), run(RunStatus.FAILED, reason="it burns.", exit_code=7), 100, 0), run(RunStatus.FAILED, exit_code=143), 101, 0)
    assert (hold(failed, 102), failed.bad) == (Hold.BACKOFF, 1)


def test_a_table_that_another_holds_is_no_conflict() -> None:
    """It is tried again soon, however often that happens, and once another has done the work it is healthy at once."""
    state = known()
    for _ in range(5):
        state = ran(state, run(RunStatus.CONFLICT, reason="Another run holds the lease."), 100, 0)
    assert (hold(state, 129), hold(state, 130), state.bad) == (Hold.BACKOFF, Hold.NONE, 0)
    assert "Another run holds the lease. It is tried again in 10.0 s." in why_of(state, Hold.BACKOFF, Marks(), Now(s=120, ms=0))
    assert hold(looked(state, look(2, Work()), 102), 102) is Hold.HEALTHY


def test_a_refusal_is_looked_at_again_when_something_changes() -> None:
    """Another version or other rules may have mended what it was refused for."""
    refused = ran(known(), run(RunStatus.REFUSED, reason="it has a feature."), 100, 0)
    assert hold(looked(refused, look(1), 101), 101) is Hold.REFUSED
    assert hold(looked(refused, look(2), 101), 101) is Hold.NONE


def test_a_failure_is_not_forgotten_by_a_change() -> None:
    """A table that is written all the time would never wait otherwise."""
    failed = ran(known(), run(RunStatus.FAILED, reason="it burns."), 100, 0)
    assert hold(looked(failed, look(2), 101), 101) is Hold.BACKOFF


def test_a_run_in_vain_is_not_repeated_at_once() -> None:
    """For an hour while nothing changes, for five minutes when something does; other rules are tried at once."""
    vain = ran(known(), run(RunStatus.NOTHING_TO_DO, reason="All are young."), 100, 0)
    same = looked(vain, look(1), 101)
    assert hold(same, 101) is Hold.HEALTHY
    assert why_of(same, Hold.HEALTHY, Marks(), Now(s=101, ms=0)) == "All are young."
    assert hold(looked(same, look(1), 3600), 3600) is Hold.HEALTHY
    assert hold(looked(same, look(1), 3701), 3701) is Hold.NONE
    moved = looked(same, look(2), 110)
    assert hold(moved, 399) is Hold.HEALTHY
    assert hold(looked(moved, look(3), 401), 401) is Hold.NONE
    other = policy_of(parse_config(BASE + "[defaults]\nmin_input_files = 3\n", "f"), "s3://lake/t", {})
    assert hold(looked(same, look(1, policy=other), 110), 110) is Hold.NONE


def test_a_run_in_vain_says_little_once_many_files_have_come() -> None:
    """What another replica compacted in between is no sign that new files are no reason; what a run really left is no reason again."""
    few, many = replace(WORK, input_files=4), replace(WORK, input_files=5)
    overtaken = ran(known(version=1), run(RunStatus.NOTHING_TO_DO, reason="All is well.", version=7), 100, 0)
    assert hold(looked(overtaken, look(8, few), 101), 101) is Hold.HEALTHY
    assert hold(looked(overtaken, look(9, many), 102), 102) is Hold.NONE
    left = ran(known(version=7), run(RunStatus.NOTHING_TO_DO, reason="Each is rewritten often enough.", version=7), 100, 0)
    assert hold(looked(left, look(9, replace(WORK, input_files=14)), 102), 102) is Hold.HEALTHY
    assert hold(looked(left, look(9, replace(WORK, input_files=15)), 102), 102) is Hold.NONE
    again = ran(overtaken, run(RunStatus.NOTHING_TO_DO, reason="All is well.", version=12), 110, 0)
    assert hold(looked(again, look(13, replace(WORK, input_files=9)), 111), 111) is Hold.HEALTHY


def test_files_that_only_time_keeps_back_are_tried_again_soon() -> None:
    """A table whose run found hot or young files is not called healthy: it waits for as long as its rules say, and its wait counts on."""
    policy = policy_of(parse_config(BASE + '[defaults]\nquiet_period = "2m"\nmin_age = "1m"\n', "f"), "s3://lake/t", {})
    before = looked(TableState(uri="s3://lake/t"), look(policy=policy), 90)
    hot = looked(ran(before, run(RunStatus.NOTHING_TO_DO, reason="Others write.", not_yet=3), 100, 0), look(policy=policy), 101)
    assert hold(hot, 219) is Hold.HOT
    assert why_of(hot, Hold.HOT, Marks(), Now(s=160, ms=0)) == "Others write. It is tried again in 1 m 0 s."
    assert hold(looked(hot, look(2, policy=policy), 221), 221) is Hold.NONE
    assert hot.worth_since_s == 90


def test_after_a_commit_nothing_is_believed() -> None:
    """Until the log was looked at again the table is not run again."""
    state = ran(known(), run(RunStatus.COMMITTED), 100, 0)
    assert hold(state, 101) is Hold.HEALTHY
    assert state.changed


def test_what_people_say_wins() -> None:
    """A pause over a request, a request over windows, waits and small gains; neither over a refusal."""
    small = known(work=Work())
    failed = ran(known(), run(RunStatus.FAILED, reason="it burns."), 100, 0)
    asked, paused = Marks(asked=["s3://lake/t"]), Marks(asked=["s3://lake/t"], paused={"s3://lake/t": "ann"})
    assert (hold(small, 101, asked), hold(failed, 101, asked)) == (Hold.NONE, Hold.NONE)
    assert hold(small, 101, paused) is Hold.PAUSED
    assert hold(looked(known(), look(problem=("feature:x", "it has x.")), 101), 101, asked) is Hold.REFUSED
    assert hold(known(), 101, Marks(running={"s3://lake/t": "r"}, asked=["s3://lake/t"])) is Hold.RUNNING


def test_windows_and_deadlines() -> None:
    """A closed window holds a table back and says when it opens; a deadline runs from when a run was worth it."""
    text = '[defaults]\nwindows = "0 1 * * * for 1h"\nfreshness = "6h"\n'
    policy = policy_of(parse_config(BASE + text, "f"), "s3://lake/t", {})
    state = looked(TableState(uri="s3://lake/t"), look(policy=policy), 100)
    assert hold(state, 100, now_ms=0) is Hold.WINDOW
    assert why_of(state, Hold.WINDOW, Marks(), Now(s=100, ms=0)) == "Its windows open in 1 h 0 m."
    assert hold(state, 100, now_ms=3_600_000) is Hold.NONE
    columns = candidates([state], Marks(), Now(s=3700, ms=9_000_000))
    assert columns.deadline_ms[0] == 9_000_000 + 5 * 3_600_000


def test_hearing_of_known_versions_changes_nothing() -> None:
    """As of our own commits; of a newer one, the table is looked at."""
    state = replace(known(version=5), changed=False)
    assert heard(state, 5) is state
    assert heard(state, 6).changed


def test_a_look_that_fails_is_told_and_keeps_what_was_known() -> None:
    """The next look goes on from there."""
    state = not_looked(known(), POLICY, "the store is away.", 101)
    assert (hold(state, 101), state.standing is not None) == (Hold.UNKNOWN, True)
    assert hold(looked(state, look(1), 102), 102) is Hold.NONE


def test_other_rules_for_files_ask_for_a_load() -> None:
    """Rules that judge files otherwise make the standing unclear; a priority does not."""
    state = known()
    other = policy_of(parse_config(BASE + "[defaults]\nsmall_ratio = 0.5\n", "f"), "s3://lake/t", {})
    dear = policy_of(parse_config(BASE + "[defaults]\npriority = 5\n", "f"), "s3://lake/t", {})
    changed, weighed = ruled(state, other), ruled(state, dear)
    assert changed.standing is not None and changed.standing.unclear == "its rules have changed"
    assert weighed.standing == state.standing
    assert weighed.policy == dear
