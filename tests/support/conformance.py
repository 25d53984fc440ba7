"""Compacts one table in place and lets everybody judge: independent readers before and after, the protocol, a checkpoint written on top.

An engine is a judge of a table only where it read the original as the independent reader does; then it must read the result so too. A
refused or untouched table must not have changed by one byte. What came out is a Verdict; nothing here raises for a wrong compaction.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import pyarrow as pa

import compactor
from compactor.model.run import Run, RunStatus
from compactor.storage import open_store
from support import reader
from support.clickhouse import ClickHouse
from support.golden import oracle
from support.protocol_check import check_entry
from support.protocol_terms import check_terms
from support.reader_log import Log, key_of, read_log
from support.table_traits import traits

Outcome = Literal["rewritten identical", "nothing to do", "refused", "wrong"]
Rows = Counter[Any]
FORCED = compactor.Settings(force_rewrite=True, executor="serial")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one table. left: files that stayed live. judges: who read the original rightly, and so judged the result.

    problems: why it is wrong.
    """

    name: str
    traits: tuple[str, ...]
    outcome: Outcome
    why: str
    rows: int = 0
    files_before: int = 0
    files_after: int = 0
    left: int = 0
    judges: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """A reader, and what it found in the original."""

    read: Callable[[Path], Rows]
    truth: Rows


@dataclass(slots=True, kw_only=True)
class _Case:
    name: str
    root: Path
    log: Log
    truth: Rows
    untouched: dict[str, str]
    judges: dict[str, _Judge]
    problems: list[str] = field(default_factory=list)

    def held(self, what: str, check: Callable[[], None]) -> None:
        """Run a check; what it raises is a problem."""
        try:
            check()
        except Exception as error:  # noqa: BLE001 - whatever a judge cannot do with the result is a finding
            told = f"{what}: {type(error).__name__} {error}"
            self.problems.append(told.replace(str(self.root), self.name)[:600])


def tree(folder: Path, *, journal: bool = True) -> dict[str, str]:
    """Every file below a folder with a digest of its bytes; without `journal` not what a failed run tells later ones."""
    digests = {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}
    told = ("_compactor/runs/", "_compactor/quarantine.json")
    return {name: digest for name, digest in digests.items() if journal or not name.startswith(told)}


def judge(root: Path, name: str, clickhouse: ClickHouse, settings: compactor.Settings = FORCED) -> Verdict:
    """Compact the table at `root`, which is below ClickHouse's folder, and say what came of it."""
    log = read_log(root)
    truth = reader.rows(log)
    case = _Case(name=name, root=root, log=log, truth=truth, untouched=tree(root), judges=_judges(root, log, truth, clickhouse))
    marks = traits(log)
    run = compactor.run(str(root), settings=settings)
    outcome, why = _ended(case, run)
    after = read_log(root)
    return Verdict(
        name=name,
        traits=marks,
        outcome="wrong" if case.problems else outcome,
        why=_without_folders(root, name, why),
        rows=sum(truth.values()),
        files_before=len(log.adds),
        files_after=len(after.adds),
        left=len(log.adds.keys() & after.adds.keys()),
        judges=tuple(case.judges),
        problems=tuple(case.problems),
    )


def judge_damaged(root: Path, name: str, settings: compactor.Settings = FORCED) -> Verdict:
    """The same for a damaged or incomplete table: it must be refused (exit 3), be called damaged (6) or have nothing to do, with a reason,
    and keep every byte."""
    before = tree(root)
    run = compactor.run(str(root), settings=settings)
    problems = []
    if run.exit_code not in (3, 6) and (run.status, run.exit_code) != (RunStatus.NOTHING_TO_DO, 0):
        problems.append(f"{run.status} with exit code {run.exit_code}")
    if not run.reason:
        problems.append("no reason is given")
    if tree(root, journal=run.exit_code != 6) != before:
        problems.append("bytes of the table changed")
    why = _without_folders(root, name, f"exit {run.exit_code}: {run.reason}")
    return Verdict(name=name, traits=(), outcome="wrong" if problems else "refused", why=why, problems=tuple(problems))


def _without_folders(root: Path, name: str, text: str) -> str:
    return text.replace(str(root), name).replace(str(root.parent), "…")


def _judges(root: Path, log: Log, truth: Rows, clickhouse: ClickHouse) -> dict[str, _Judge]:
    """Everybody who reads the original as the independent reader does; the public tables' own reader by itself."""
    judges = {"reader": _Judge(read=reader.rows, truth=truth)}
    engines: dict[str, Callable[[Path], pa.Table]] = {"deltalake": by_deltalake, "clickhouse": clickhouse.table}
    for name, engine in engines.items():

        def read(root: Path, engine: Callable[[Path], pa.Table] = engine) -> Rows:
            return reader.engine_rows(engine(root), log.fields)

        with contextlib.suppress(Exception):
            if read(root) == truth:
                judges[name] = _Judge(read=read, truth=truth)
    if oracle is not None:
        with contextlib.suppress(Exception):
            judges["oracle"] = _Judge(read=_by_oracle, truth=_by_oracle(root))
    return judges


def by_deltalake(root: Path) -> pa.Table:
    """All rows by deltalake's SQL engine. Raises whatever it raises."""
    from deltalake import DeltaTable, QueryBuilder

    found: Any = QueryBuilder().register("t", DeltaTable(str(root))).execute("select * from t").read_all()
    return pa.table(found)


def _by_oracle(root: Path) -> Rows:
    rows: Rows = oracle.ref_rows(str(root))
    return rows


def _ended(case: _Case, run: Run) -> tuple[Outcome, str]:
    match run.status:
        case RunStatus.COMMITTED:
            _check_commit(case, run)
            return "rewritten identical", "; ".join(sorted({drop.detail for drop in run.groups_dropped}))
        case RunStatus.REFUSED if run.exit_code == 3 and run.reason:
            case.held("refused", lambda: _same_tree(case))
            return "refused", run.reason
        case RunStatus.NOTHING_TO_DO if run.exit_code == 0 and (run.reason or not case.log.adds):
            case.held("nothing to do", lambda: _same_tree(case))
            return "nothing to do", run.reason or "no live files"
    case.problems.append(f"{run.status} with exit code {run.exit_code}: {run.reason}".replace(str(case.root), case.name))
    return "wrong", str(run.reason)


def _same_tree(case: _Case) -> None:
    assert tree(case.root) == case.untouched, "bytes of the table changed"


def _check_commit(case: _Case, run: Run) -> None:
    version = run.version or 0
    live = {key_of(add): add for add in case.log.adds.values()}
    case.held("entry", lambda: check_entry(open_store(str(case.root)), version, live, parquet=True))
    case.held("terms", lambda: check_terms(case.root, version))
    for name, judge in case.judges.items():
        case.held(name, lambda judge=judge: _check_rows(judge, case.root))  # type: ignore[misc]
    case.held("rows reported", lambda: _check_reported(case, run))
    case.held("checkpoint", lambda: _check_checkpoint(case, version))
    case.held("second run", lambda: _check_fixed_point(case))


def _check_rows(judge: _Judge, root: Path) -> None:
    found = judge.read(root)
    lost, extra = judge.truth - found, found - judge.truth
    assert not lost and not extra, (
        f"{lost.total()} rows lost, e.g. {next(iter(lost), None)}; {extra.total()} extra, e.g. {next(iter(extra), None)}"
    )


def _check_reported(case: _Case, run: Run) -> None:
    stayed = [add for add in case.log.adds.values() if key_of(add) in read_log(case.root).adds]
    rest = sum(len(reader.file_rows(case.log, add)) for add in stayed)
    assert run.rows + rest == case.truth.total(), f"{run.rows} rows reported, {rest} not rewritten, {case.truth.total()} in all"


def _check_checkpoint(case: _Case, version: int) -> None:
    """A checkpoint of our commit, with every entry up to it gone, reads the same; where deltalake can open the table at all."""
    other = case.root.with_name(f"{case.root.name}-checkpointed")
    shutil.copytree(case.root, other)
    try:
        if not _checkpoint(other, None):
            assert not _checkpoint(other, case.log.version), "deltalake could checkpoint the original, but not the result"
            return
        for path in (other / "_delta_log").glob("0*.json"):
            if ".checkpoint" not in path.name or int(path.name[:20]) < version:
                path.unlink()
        for path in (other / "_delta_log").glob("0*.checkpoint*.parquet"):
            if int(path.name[:20]) < version:
                path.unlink()
        for name in case.judges.keys() & {"reader", "oracle"}:
            _check_rows(case.judges[name], other)
        ours = {unquote(path) for path in compactor.load(str(other)).files["path"].to_pylist()}
        assert ours == {path for path, _ in read_log(case.root).adds}, "our own reader finds other files in the checkpoint"
    finally:
        shutil.rmtree(other)


def _checkpoint(root: Path, version: int | None) -> bool:
    """Have deltalake write one; whether it could."""
    from deltalake import DeltaTable

    try:
        DeltaTable(str(root), version=version).create_checkpoint()
    except Exception:  # noqa: BLE001 - deltalake lacks a feature of the table
        return False
    return True


def _check_fixed_point(case: _Case) -> None:
    """With an ordinary policy a second run rewrites nothing."""
    before = tree(case.root)
    run = compactor.run(str(case.root), settings=compactor.Settings(executor="serial"))
    assert run.status in (RunStatus.NOTHING_TO_DO, RunStatus.REFUSED), f"a second run ended {run.status}: {run.reason}"
    assert tree(case.root) == before, "a second run changed bytes"
