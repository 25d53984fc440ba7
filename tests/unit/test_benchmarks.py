"""The pure parts of the bench: which figures meet a bar, which miss it, and how they are told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks import choice, report
from tests.benchmarks.bars import Bar, bars
from tests.benchmarks.figures import Comparison, Figures

MIB = 1024 * 1024


def figures(engine: str, seconds: float, peak_mib: int = 100, **more: object) -> Figures:
    return Figures(
        engine=engine,
        seconds=seconds,
        whole_s=seconds + 1,
        processor_s=seconds,
        peak_bytes=peak_mib * MIB,
        base_bytes=50 * MIB,
        files=2,
        bytes=1000,
        **more,  # type: ignore[arg-type]
    )


def comparison(name: str, *found: Figures, readers: dict[str, dict[str, dict[str, float]]] | None = None) -> Comparison:
    by_engine = {one.engine: one for one in found}
    return Comparison(name=name, title="a table", codec="snappy", files=9, bytes=9000, rows=1, figures=by_engine, readers=readers or {})


def verdict(found: Comparison, about: str) -> bool | None:
    """The verdict of the one bar whose name has these words."""
    (bar,) = [bar for bar in bars(found) if about in bar.about]
    return bar.met


@pytest.mark.parametrize(("seconds", "met"), [(1.9, True), (2.0, True), (2.1, False)])
def test_transcode_has_to_be_as_fast_as_deltalake(seconds: float, met: bool) -> None:
    """A run of ours that took as long meets the bar, a longer one misses it, whichever name chose the engine."""
    ran = {"transcode": 3}
    assert verdict(comparison("D1", figures("deltalake", 2.0), figures("compactor:auto:counts", seconds, ran=ran)), "D1 transcode") is met
    forced = figures("compactor:transcode:counts", seconds, ran=ran)
    assert verdict(comparison("D1", figures("deltalake", 2.0), forced), "D1 transcode") is met


def test_a_bar_of_an_engine_that_is_not_there_is_neither_met_nor_missed() -> None:
    """Nothing is said to be met that nobody measured."""
    assert verdict(comparison("D1", figures("deltalake", 2.0)), "D1 fuse against") is None


def test_copied_row_groups_are_held_against_both_their_bars() -> None:
    """Twenty times deltalake's speed, and half as long again as a byte copy, both by what is chosen by default."""
    good = comparison("D5", figures("deltalake", 20.0), figures("copy", 0.7), figures("compactor:auto:counts", 1.0, ran={"stitch": 1}))
    assert verdict(good, "D5 against deltalake") is True
    assert verdict(good, "D5 against a byte copy") is True
    slow = comparison("D5", figures("deltalake", 20.0), figures("copy", 0.6), figures("compactor:auto:counts", 1.1, ran={"stitch": 1}))
    assert verdict(slow, "D5 against deltalake") is False
    assert verdict(slow, "D5 against a byte copy") is False


@pytest.mark.parametrize(("theirs", "ours", "met"), [(100, 300, True), (100, 301, False), (1000, 500, True), (1000, 501, False)])
def test_memory_may_be_half_of_deltalakes_or_300_mib(theirs: int, ours: int, met: bool) -> None:
    """Whichever is larger."""
    found = comparison("D2", figures("deltalake", 2.0, theirs), figures("compactor:auto:counts", 1.0, ours, ran={"transcode": 1}))
    assert verdict(found, "D2 memory") is met


@pytest.mark.parametrize(("again", "amplification", "met"), [(0, 1.0, True), (1, 1.0, False), (0, 1.1, False)])
def test_a_second_run_must_be_idle(again: int, amplification: float, met: bool) -> None:
    """A byte that is rewritten twice, by one run or by two, misses the bar."""
    one = figures("compactor:auto:counts", 1.0, ran={"transcode": 1}, again_bytes=again, amplification=amplification)
    assert verdict(comparison("D2", one), "fixed point") is met


@pytest.mark.parametrize(("cost", "met"), [(1.05, True), (1.06, False)])
def test_readers_are_judged_by_their_dearest_query(cost: float, met: bool) -> None:
    """One query that costs readers more than it may misses the bar, whatever they gain by others."""
    readers = {
        "deltalake": {"pyarrow": {"scan": 1.0, "point": 1.0}},
        "compactor:auto:counts": {"pyarrow": {"scan": 0.2, "point": cost}},
        "before": {"pyarrow": {"scan": 5.0, "point": 5.0}},
    }
    one = figures("compactor:auto:counts", 1.0, ran={"transcode": 1})
    assert verdict(comparison("D1", figures("deltalake", 2.0), one, readers=readers), "readers") is met


def test_the_report_says_which_engine_ran_and_how_fast() -> None:
    """An engine that was chosen by itself is named beside what was asked for; both forms hold the same figures."""
    found = comparison("D1", figures("deltalake", 3.0), figures("copy", 0.5), figures("compactor:auto:counts", 2.0, ran={"transcode": 4}))
    row = report.table(found)[-1]
    assert row[0] == "compactor auto, counts [transcode]"
    assert row[-3:] == ("1.50", "1.50", "4.0")
    verdicts = list(bars(found))
    for form in (report.text(found, verdicts), report.markdown(found, verdicts)):
        assert "compactor auto, counts [transcode]" in form
        assert "×1.50 (wanted: at least ×1) — met" in form


def test_a_missed_bar_is_loud() -> None:
    """Met and missed cannot be mistaken for each other."""
    assert "MISSED" in str(Bar(about="a", wanted="b", found="c", met=False))
    assert "not measured" in str(Bar(about="a", wanted="b", found="c", met=None))


def test_engines_are_taken_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that the setting offers is run without being named in the bench."""
    from pydantic.fields import FieldInfo

    from compactor.settings import Settings

    without = {name: field for name, field in Settings.model_fields.items() if name != "engine"}
    monkeypatch.setattr(Settings, "__pydantic_fields__", without)
    assert choice.ours() == ["compactor:auto:counts", "compactor:auto:full"]
    from typing import Literal

    with_two = {**without, "engine": FieldInfo(annotation=Literal["auto", "newest"])}  # type: ignore[arg-type]
    monkeypatch.setattr(Settings, "__pydantic_fields__", with_two)
    assert choice.ours() == ["compactor:auto:counts", "compactor:newest:counts", "compactor:auto:full"]
    assert choice.flags("newest", "full")["engine"] == "newest"
