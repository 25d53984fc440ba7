"""From states of tables to the columns that scheduling takes, and from its answer to sentences. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from compactor.model.run import RunStatus
from compactor.service.schedule import Candidates, Hold, code
from compactor.service.table_state import TableState, suffered_at
from compactor.service.windows import Window, open_left_s, opens_in_s
from compactor.units import format_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The moment: by the monotonic clock of this process, and by the wall, for windows and days."""

    s: float
    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What was asked of tables, and what is under way: paused (with who said so), asked for, running here or in another replica."""

    paused: Mapping[str, str] = field(default_factory=dict)
    asked: Collection[str] = ()
    running: Mapping[str, str] = field(default_factory=dict)


def candidates(states: Sequence[TableState], marks: Marks, now: Now) -> Candidates:
    """The columns."""
    groups: dict[str, int] = {}
    texts: dict[str, int] = {}
    open_s: dict[tuple[Window, ...], float] = {}
    rows = []
    for state in states:
        policy = state.policy
        windows = policy.windows if policy is not None else ()
        if windows not in open_s:
            open_s[windows] = open_left_s(windows, now.ms)
        left_s = open_s[windows]
        group = groups.setdefault(policy.group if policy is not None else "default", len(groups))
        text = texts.setdefault(text_of(windows), len(texts)) if windows else -1
        spend = state.takes.spend if state.takes is not None else None
        since = state.worth_since_s
        deadline = np.inf
        if since is not None and policy is not None and policy.freshness_s is not None:
            deadline = now.ms + 1000 * (since + policy.freshness_s - now.s)
        rows.append(
            (
                code(_held(state, marks, now, left_s)),
                state.work.saves_requests,
                suffered_at(state, now.s),
                0.0 if since is None else now.s - since,
                spend.gb_hours if spend else 0.0,
                spend.money if spend else 0.0,
                state.takes.task_s if state.takes else 0.0,
                policy.priority if policy is not None else 1.0,
                deadline,
                now.ms + 1000 * left_s,
                group,
                text,
                state.uri in marks.asked,
            )
        )
    return _columns(states, rows, tuple(groups) or ("default",), tuple(texts))


def _columns(states: Sequence[TableState], rows: Sequence[tuple[object, ...]], groups: Sequence[str], texts: Sequence[str]) -> Candidates:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 13).T
    return Candidates(
        uris=[state.uri for state in states],
        held=table[0].astype(np.int8),
        excess=table[1],
        suffered=table[2],
        waited_s=table[3],
        gb_hours=table[4],
        money=table[5],
        seconds=table[6],
        priority=table[7],
        deadline_ms=table[8],
        closes_ms=table[9],
        group=table[10].astype(np.int32),
        windows=table[11].astype(np.int32),
        asked=table[12].astype(np.bool_),
        group_names=groups,
        window_texts=texts,
    )


def _held(state: TableState, marks: Marks, now: Now, left_s: float) -> Hold:
    """What holds a table back, the most final first. Somebody who asks for a run passes over windows, waits and small gains."""
    asked = state.uri in marks.asked
    if state.uri in marks.running:
        return Hold.RUNNING
    if state.uri in marks.paused:
        return Hold.PAUSED
    if state.policy is not None and not state.policy.enabled:
        return Hold.DISABLED
    if state.policy is None or state.problem is not None or state.standing is None:
        return Hold.REFUSED if state.problem is not None and state.problem[0] != "not-looked-at" else Hold.UNKNOWN
    if asked:
        return Hold.NONE
    waits = now.s < state.retry_s
    if waits and state.last is not None and state.last.status is RunStatus.REFUSED:
        return Hold.REFUSED
    if not state.work.worth(state.policy.min_gain_files):  # whatever its runs came to: another may have done what there was to do
        return Hold.HOT if state.work.hot_files else Hold.HEALTHY
    if waits:
        return Hold.BACKOFF
    if state.vain is not None and now.s < state.vain_until_s:
        return Hold.HOT if state.not_yet else Hold.HEALTHY
    return Hold.NONE if left_s > 0 else Hold.WINDOW


def why_of(state: TableState, hold: Hold, marks: Marks, now: Now) -> str:
    """What is told of a table that is left alone, or about to be run."""
    match hold:
        case Hold.RUNNING:
            return f"A run is at work: {marks.running[state.uri]}."
        case Hold.PAUSED:
            return f"Paused by {marks.paused[state.uri]}."
        case Hold.DISABLED:
            return "Its rules, or its own properties, say compactor.enabled = false."
        case Hold.UNKNOWN | Hold.REFUSED:
            if state.problem is not None:
                return state.problem[1]
            if hold is Hold.REFUSED and state.last is not None:
                return f"{state.last.why} It is looked at again in {format_seconds(state.retry_s - now.s)}, or when it changes."
            return "It has just been found."
        case Hold.BACKOFF:
            ended = f"{state.last.status.value}: {state.last.why}" if state.last is not None else "not well"
            again = f"It is tried again in {format_seconds(max(0.0, state.retry_s - now.s))}."
            return f"{state.bad} in a row ended {ended} {again}" if state.bad else f"The newest run ended {ended} {again}"
        case Hold.HEALTHY:
            return state.vain or f"A run would save {state.work.saves_files:,} files."
        case Hold.HOT:
            if state.vain is not None and not state.work.hot_files:
                return f"{state.vain} It is tried again in {format_seconds(max(0.0, state.vain_until_s - now.s))}."
            return f"{state.work.hot_files:,} files too many, in partitions that others have just written."
        case Hold.WINDOW:
            assert state.policy is not None
            opens = opens_in_s(state.policy.windows, now.ms)
            return "Its windows never open." if opens is None else f"Its windows open in {format_seconds(opens)}."
        case Hold.BUDGET_DAY:
            return "Nothing is left for it of the day's budget."
        case Hold.BUDGET_WINDOW:
            return "Nothing is left for it of the window's budget."
        case Hold.QUEUED | Hold.NONE:
            return f"A run would save {state.work.saves_files:,} files and {state.work.saves_requests:,} requests of a scan."


def text_of(windows: Sequence[Window]) -> str:
    """What some windows are called in the ledger."""
    return "; ".join(window.text for window in windows)
