"""A replayed history for people, as a chart of text, and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from compactor.service.replay import Point, Replayed
from compactor.units import format_bytes, format_seconds
from compactor_cli.output import counted
from compactor_cli.render.usage import amount

_WIDTH = 60
_ROWS = 24


def replay_object(uri: str, found: Replayed) -> dict[str, Any]:
    """One object."""
    return {
        "format_version": 1,
        "kind": "replay",
        "table": uri,
        "from_version": found.from_version,
        "commits": found.commits,
        "written_bytes": found.written_bytes,
        "rewritten_bytes": found.rewritten_bytes,
        "write_amplification": round(found.write_amplification, 4),
        "gb_hours": sum(run.gb_hours for run in found.runs),
        "money": sum(run.money for run in found.runs),
        "lag_s": {"median": found.lag_s(0.5), "p99": found.lag_s(0.99)},
        "points": [asdict(point) for point in found.points],
        "runs": [asdict(run) for run in found.runs],
    }


def replay_lines(found: Replayed) -> Iterator[str]:
    """The chart, and the sums below it."""
    if not found.points:
        yield f"Version {found.from_version} is all the history that there is."
        return
    points = _thinned(found.points)
    most = max(1, *(max(point.files, point.before) for point in points))
    yield f"files with the policy (#) and as it was (.), up to {most:,}"
    for point in points:
        yield f"{_time(point)}  {_bar(point, most)}  {point.files:,} / {point.before:,}"
    read, made = sum(run.input_files for run in found.runs), sum(run.output_files for run in found.runs)
    rewritten = f"{format_bytes(found.rewritten_bytes)} rewritten: {found.write_amplification:.2f} for each byte written"
    yield ""
    yield f"{counted(found.commits, 'commit')} after version {found.from_version}; {format_bytes(found.written_bytes)} written by others."
    yield f"{counted(len(found.runs), 'run')}, {counted(read, 'file')} into {made:,}, {rewritten}."
    spent, money = sum(run.gb_hours for run in found.runs), sum(run.money for run in found.runs)
    yield f"Spend: {spent:,.2f} GB-hours, {amount(money)} by the price list."
    yield f"Lag of runs: {format_seconds(found.lag_s(0.5))} in the middle, {format_seconds(found.lag_s(0.99))} at most for 99 of 100."


def _thinned(points: list[Point]) -> list[Point]:
    step = max(1, -(-len(points) // _ROWS))
    return [*points[:-1:step], points[-1]]


def _bar(point: Point, most: int) -> str:
    with_policy, before = (round(count / most * _WIDTH) for count in (point.files, point.before))
    return ("#" * with_policy + "." * max(0, before - with_policy)).ljust(_WIDTH)


def _time(point: Point) -> str:
    return datetime.fromtimestamp(point.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
