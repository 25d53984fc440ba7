"""Writes docs/conformance.md: what became of every public table and every table of the project's own, by feature and by table.

    make conformance        judges all tables and writes the document
    make conformance ARGS=--check   fails when the document is not what would be written

Never edited by hand. It needs the public tables (../shared/golden). Nothing in it depends on the machine, the day or a random name.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from support.clickhouse import ClickHouse
from support.conformance import Verdict, judge, judge_damaged
from support.golden import BROKEN, GOLDEN_MISSING, TABLES
from support.own_tables import OWN_TABLES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
OUTCOMES = ("rewritten identical", "nothing to do", "refused", "wrong")
_OWN, _DAMAGED = "own/", "damaged/"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEAD = """# Conformance

Written by `make conformance`; do not edit.

Every table is copied and compacted with `--force-rewrite`. Then everybody judges who read the original rightly: two readers that share
no code with the compactor (the project's own, and the one that comes with the public tables), deltalake's SQL engine, and ClickHouse with
its own reader of Delta logs. Each must find the same rows as before. The entry is held against the protocol (dataChange, paths and deletion
vectors, sizes, rows, partition values, timestamps, row ids, stored columns and field ids), the statistics against the rows of the files; a
checkpoint written on top, with all entries before it removed, must read the same; a second run must rewrite nothing. A table that is
refused or has nothing to do must not have changed by one byte.

"""


def judge_all(folder: Path, known: Mapping[str, Verdict] | None = None) -> dict[str, Verdict]:
    """A verdict on every table, by its name in the report; those in `known` are taken as they are. Works below `folder`."""
    found = dict(known or {})
    with ClickHouse(folder) as clickhouse:
        for source in TABLES:
            if source.name not in found:
                shutil.copytree(source, folder / source.name)
                found[source.name] = judge(folder / source.name, source.name, clickhouse)
        for own in OWN_TABLES.values():
            if f"{_OWN}{own.name}" not in found:
                own.build(folder / own.name)
                found[f"{_OWN}{own.name}"] = judge(folder / own.name, own.name, clickhouse)
    for source in BROKEN:
        if f"{_DAMAGED}{source.name}" not in found:
            shutil.copytree(source, folder / _DAMAGED / source.name)
            found[f"{_DAMAGED}{source.name}"] = judge_damaged(folder / _DAMAGED / source.name, source.name)
    return found


def render(verdicts: Mapping[str, Verdict]) -> str:
    """The document."""
    own, damaged = _below(_OWN, verdicts), _below(_DAMAGED, verdicts)
    public = {name: verdict for name, verdict in sorted(verdicts.items()) if "/" not in name}
    live = [verdict for verdict in public.values() if verdict.files_before]
    done = sum(verdict.outcome == "rewritten identical" for verdict in live)
    wrong = sum(verdict.outcome == "wrong" for verdict in verdicts.values())
    parts = [
        _HEAD,
        f"Of {len(public)} public tables {len(live)} have live files; {done} of those are rewritten identically. ",
        f"Of {len(own)} tables of the project's own {sum(v.outcome == 'rewritten identical' for v in own.values())} are. ",
        f"{wrong} {'table is' if wrong == 1 else 'tables are'} wrong.\n\n",
        "## By feature\n\nA table counts for everything that is special about it.\n\n",
        *_by_feature([*public.values(), *own.values()]),
        "\n## Public tables\n\n",
        *_by_table(public),
        "\n## Tables of the project's own\n\n",
        *_by_table(own),
        "\n## Damaged public tables\n\nIncomplete or damaged logs: nothing of them may change.\n\n",
        "| table | outcome |\n|-|-|\n",
        *(f"| {name} | {'; '.join(map(_safe, verdict.problems)) or _plain(verdict)} |\n" for name, verdict in damaged.items()),
    ]
    return "".join(parts)


def _below(prefix: str, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    return {name.removeprefix(prefix): verdict for name, verdict in sorted(verdicts.items()) if name.startswith(prefix)}


def _by_feature(verdicts: Iterable[Verdict]) -> Iterable[str]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    whys: dict[str, set[str]] = defaultdict(set)
    for verdict in verdicts:
        for trait in verdict.traits:
            counts[trait][verdict.outcome] += 1
            if verdict.outcome == "refused":
                whys[trait].add(_plain(verdict))
    yield f"| what is special | {' | '.join(OUTCOMES)} | why refused |\n|-|-|-|-|-|-|\n"
    for trait in sorted(counts, key=str.lower):
        numbers = " | ".join(str(counts[trait][outcome] or "") for outcome in OUTCOMES)
        yield f"| {trait} | {numbers} | {' '.join(sorted(whys[trait]))} |\n"


def _by_table(verdicts: Mapping[str, Verdict]) -> Iterable[str]:
    yield "| table | rows | files | outcome | judges | remarks |\n|-|-|-|-|-|-|\n"
    for name, verdict in verdicts.items():
        files = f"{verdict.files_before} → {verdict.files_after}" if verdict.outcome == "rewritten identical" else str(verdict.files_before)
        judges = ", ".join(sorted(verdict.judges)) if verdict.outcome == "rewritten identical" else ""
        remarks = "; ".join(map(_safe, verdict.problems)) if verdict.problems else _plain(verdict)
        if verdict.outcome == "rewritten identical" and verdict.left:
            remarks = f"{verdict.left} {'file stays' if verdict.left == 1 else 'files stay'}. {remarks}".strip()
        yield f"| {name} | {verdict.rows} | {files} | {verdict.outcome} | {judges} | {remarks} |\n"


def _plain(verdict: Verdict) -> str:
    return _safe(verdict.why)


def _safe(text: str) -> str:
    """Without random names and what would break the Markdown table."""
    return _UUID.sub("…", text).replace("|", "\\|").replace("\n", " ").strip()


def main() -> int:
    """Write the document, or with --check compare it. Exit 1 when something is wrong or not current."""
    if GOLDEN_MISSING:
        print(f"The report needs all tables, but {GOLDEN_MISSING}.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        verdicts = judge_all(Path(folder))
    text = render(verdicts)
    if "--check" in sys.argv[1:]:
        return 0 if DOCUMENT.is_file() and DOCUMENT.read_text(encoding="utf-8") == text else 1
    DOCUMENT.write_text(text, encoding="utf-8")
    counts = Counter(verdict.outcome for verdict in verdicts.values())
    print(f"{DOCUMENT.name}: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES))
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
