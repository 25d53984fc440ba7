"""A part of the report: as text, as Markdown, with what was held against bars; and kept in a file, so that a bench may go on later."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.bars import Bar, bars
from tests.benchmarks.figures import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report in both forms, and its bars."""

    text: str
    markdown: str
    bars: tuple[Bar, ...] = ()

    @classmethod
    def of(cls, title: str, lines: Iterable[Bar | str], rows: Sequence[tuple[str, ...]] = ()) -> Section:
        """A section of lines, behind a table where there are rows (the first is its head)."""
        said = list(lines)
        verdicts = tuple(line for line in said if isinstance(line, Bar))
        text = "\n".join([title, *([report.aligned(list(rows))] if rows else []), *(f"  {line}" for line in said)]) + "\n"
        told = "\n".join(f"- {line}" for line in said if not isinstance(line, Bar))
        parts = [f"## {title}", report.grid(rows[0], list(rows[1:])) if rows else "", told, report.judged(verdicts) if verdicts else ""]
        return cls(text=text, markdown="\n\n".join(part for part in parts if part) + "\n", bars=verdicts)

    @classmethod
    def comparing(cls, comparison: Comparison) -> Section:
        """The section of a data set."""
        verdicts = tuple(bars(comparison))
        return cls(text=report.text(comparison, list(verdicts)), markdown=report.markdown(comparison, list(verdicts)), bars=verdicts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A finished part: its sections, how long it took, and whether something went wrong in it."""

    sections: tuple[Section, ...]
    seconds: float
    failed: bool = False


class Kept:
    """Finished parts in a folder; only those of the same code, machine and arguments, all told by `stamp`, are taken again."""

    def __init__(self, folder: Path, stamp: str) -> None:
        self._folder, self._stamp = folder, stamp

    def put(self, part: str, done: Done) -> None:
        """Keep a part."""
        self._folder.mkdir(parents=True, exist_ok=True)
        stored = {"stamp": self._stamp, **dataclasses.asdict(done)}
        (self._folder / f"{part}.json").write_text(json.dumps(stored))

    def get(self, part: str) -> Done | None:
        """A part that was kept; None when there is none like it."""
        try:
            found = json.loads((self._folder / f"{part}.json").read_text())
        except OSError:
            return None
        if found["stamp"] != self._stamp:
            return None
        sections = (
            Section(text=one["text"], markdown=one["markdown"], bars=tuple(Bar(**bar) for bar in one["bars"])) for one in found["sections"]
        )
        return Done(sections=tuple(sections), seconds=found["seconds"])
