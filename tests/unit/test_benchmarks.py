"""The pure parts of the bench: which figures meet a bar, which miss it, and how they are told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks import choice, document, report
from tests.benchmarks.__main__ import measured
from tests.benchmarks.bars import Bar, bars
from tests.benchmarks.figures import Comparison, Figures
from tests.benchmarks.foreign import Lacking
from tests.benchmarks.section import Done, Kept, Section

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


def test_what_the_byte_copy_itself_reaches_stands_beside_a_bar_beyond_it() -> None:
    """Where not even a copy is as fast as asked the bar says so, and is missed all the same."""
    copied = figures("compactor:auto:counts", 2.0, ran={"stitch": 1})
    for seconds, beside in ((1.0, " (copy itself: ×10.00)"), (0.1, "")):
        (bar,) = (
            bar
            for bar in bars(comparison("D5", figures("deltalake", 10.0), figures("copy", seconds), copied))
            if "deltalake" in bar.about and "against" in bar.about
        )
        assert (bar.found, bar.met) == (f"×5.00{beside}", False)


def test_reads_that_spend_what_copying_saved_are_counted() -> None:
    """By the query that costs more by most than on the result of transcode, whichever reader."""
    costs = {"deltalake": 1.0, "compactor:stitch:counts": 0.75, "compactor:transcode:counts": 0.5}
    readers = {name: {"duckdb": {"scan": 1.0, "column": cost}} for name, cost in costs.items()}
    runs = [figures(f"compactor:{name}:counts", seconds, ran={name: 1}) for name, seconds in (("stitch", 2.0), ("transcode", 12.0))]
    auto = figures("compactor:auto:counts", 2.0, ran={"stitch": 1})
    found = comparison("D5", figures("deltalake", 9.0), figures("copy", 1.0), auto, *runs, readers=readers)
    (bar,) = (bar for bar in bars(found) if "cheaper" in bar.about)
    assert (bar.found, bar.met) == ("40 (column)", None)


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
    (bar,) = (bar for bar in bars(comparison("D1", figures("deltalake", 2.0), one, readers=readers)) if "readers" in bar.about)
    assert bar.met is met
    assert ("before ×5.00" in bar.found) is not met, "what it cost before stands beside a bar that is missed"


def test_merged_pages_are_held_against_decoded_ones() -> None:
    """Readers of merged pages are judged by what they pay for deltalake's result, and by what they pay for rows that were encoded anew."""
    costs = {"deltalake": 2.0, "compactor:fuse:counts": 2.0, "compactor:transcode:counts": 1.0}
    readers = {engine: {"duckdb": {"scan": 1.0, "point": point}} for engine, point in costs.items()}
    found = bars(comparison("D6", figures("deltalake", 2.0), readers=readers))
    told = {
        (bar.about.removeprefix("D6 readers of the result of compactor "), bar.wanted.split()[-2]): bar.met
        for bar in found
        if "readers" in bar.about
    }
    merged = ("fuse, counts", "deltalake's")
    assert told == {merged: True, ("transcode, counts", "deltalake's"): True, ("fuse, counts", "transcode's"): False}


def test_the_report_says_which_engine_ran_and_how_fast() -> None:
    """An engine that was chosen by itself is named beside what was asked for; both forms hold the same figures."""
    found = comparison("D1", figures("deltalake", 3.0), figures("copy", 0.5), figures("compactor:auto:counts", 2.0, ran={"transcode": 4}))
    row = report.table(found)[-1]
    assert row[0] == "compactor auto, counts [transcode]"
    assert row[-3:] == ("1.50", "1.50", "4.0")
    verdicts = list(bars(found))
    for form in (report.text(found, verdicts), report.markdown(found, verdicts)):
        assert "compactor auto, counts [transcode]" in form
        assert "×1.50" in form
    assert "D1 transcode against deltalake: ×1.50 (wanted: at least ×1) — met" in report.text(found, verdicts)
    assert "| D1 transcode against deltalake | at least ×1 | ×1.50 | met |" in report.markdown(found, verdicts)


def test_a_missed_bar_is_loud() -> None:
    """Met and missed cannot be mistaken for each other."""
    assert "MISSED" in str(Bar(about="a", wanted="b", found="c", met=False))
    assert "not measured" in str(Bar(about="a", wanted="b", found="c", met=None))


def _section(name: str, met: bool) -> Section:
    return Section.of(name, ["told", Bar(about=name, wanted="b", found="c", met=met)])


def test_a_part_that_fails_costs_no_other_one_and_is_told(tmp_path: Path) -> None:
    """What was measured before and behind it is there, what it had itself too, and one that cannot be had on a machine is no failure."""

    def breaks() -> Iterator[Section]:
        yield _section("half", True)
        raise OSError("no space")

    def lacks() -> Iterator[Section]:
        raise Lacking("no such writer")
        yield

    parts = {"A": lambda: [_section("A", True)], "B": breaks, "C": lacks, "D": lambda: [_section("D", False)]}
    done = dict(measured(parts, Kept(tmp_path, "x"), resume=False, say=lambda _: None))
    assert [name for name, one in done.items() if one.failed] == ["B"]
    texts = {name: "".join(section.text for section in one.sections) for name, one in done.items()}
    assert "half" in texts["B"] and "B failed: no space" in texts["B"]
    assert "left out: no such writer" in texts["C"]
    assert "A" in texts["A"] and "MISSED" in texts["D"]


@pytest.mark.parametrize(("stamp", "resume", "again"), [("x", True, 0), ("y", True, 1), ("x", False, 1)])
def test_a_bench_goes_on_where_it_was_left(tmp_path: Path, stamp: str, resume: bool, again: int) -> None:
    """Finished parts are taken as they are, if asked, when code, machine and arguments are the same; failed ones never."""
    calls: list[str] = []

    def part(name: str) -> Iterator[Section]:
        calls.append(name)
        yield _section(name, True)
        if name == "B":
            raise OSError

    parts = {name: partial(part, name) for name in "AB"}
    first = dict(measured(parts, Kept(tmp_path, "x"), resume=True, say=lambda _: None))
    second = dict(measured(parts, Kept(tmp_path, stamp), resume=resume, say=lambda _: None))
    assert calls == ["A", "B", *"A" * again, "B"]
    assert first["A"].sections == second["A"].sections


def test_the_document_names_its_command_and_shows_what_is_missed_and_what_is_missing(tmp_path: Path) -> None:
    """After each part: scale, repetitions, commit, every bar in one table with the missed ones in bold, and parts that are to come."""
    done = {"A": Done(sections=(_section("A", True), _section("a", False)), seconds=90.0)}
    path, about = tmp_path / "found.md", document.preface(0.5, 4)
    document.write(path, document.command(0.5, 4, "A,B", "--write"), about, done, ["B"])
    text = path.read_text()
    assert "Written by `make bench BENCH_SCALE=0.5 REPEAT=4 ONLY=A,B ARGS='--write'` in 2 minutes." in text
    assert "scale 0.5, 4 repetitions" in text and "; commit " in text
    assert "2 bars: 1 met, 1 MISSED, 0 not measured." in text
    assert text.count("| a | b | c | **MISSED** |") == 2 and "Not measured yet: B." in text


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
