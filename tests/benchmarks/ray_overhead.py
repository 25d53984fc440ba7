"""What Ray costs a run: start and scheduling beside a minute of work, on a cluster of the run's own and on one that is there already; and
what a core does in a task of a cluster, beside what it does for deltalake and for our own workers.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from compactor.execution.machine import processors
from tests.benchmarks import data
from tests.benchmarks.bars import Bar
from tests.benchmarks.compare import ENGINES, Bench
from tests.benchmarks.datasets import SETS
from tests.benchmarks.measure import ROOT, measure
from tests.benchmarks.section import Section

LIMIT = 0.02
BYTES_A_FILE = 250
PER_CORE = ("D1", "D3", "D6")
CORE_SHARE = 0.9
MODULE = "tests.benchmarks.pretended"


def ray_section(bench: Bench) -> Section:
    """A minute of pretended work at scale 0.5 and above, and a real run beside the same one without Ray."""
    return Section.of("Ray", _lines(bench))


def _lines(bench: Bench) -> Iterator[Bar | str]:
    share = min(1.0, 2 * bench.scale)
    large, small = (max(4, round(120 * share)), 1.0), (max(40, round(1200 * share)), 0.025)
    bench.say("Ray, a cluster of its own")
    yield from _overhead("a cluster of its own, tasks of a second", measure("-m", MODULE, "local", *map(str, large)).printed)
    with _cluster() as (address, token):
        bench.say("Ray, a cluster that is there")
        yield from _overhead("a cluster that is there, tasks of a second", _joined(address, token, large))
        yield from _overhead("a cluster that is there, groups of 25 ms", _joined(address, token, small))
        for name in PER_CORE:
            yield from _by_core(bench, name, address, token)
    yield from _real(bench)


def _with(token: str) -> dict[str, str]:
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}


def _joined(address: str, token: str, work: tuple[int, float]) -> dict[str, float]:
    return measure("-m", MODULE, address, *map(str, work), environment=_with(token)).printed


def _overhead(where: str, told: dict[str, float]) -> Iterator[Bar | str]:
    spent = told["start_s"] + told["scheduling_s"]
    total = spent + told["work_s"]
    found = f"{spent / total:.1%} of {total:.1f} s (start {told['start_s']:.2f} s, scheduling {told['scheduling_s']:.2f} s)"
    yield Bar(about=f"{where}: start and scheduling", wanted=f"below {LIMIT:.0%}", found=found, met=spent < LIMIT * total)
    yield f"{where}: {told['close_s']:.2f} s to close"
    size = told["bytes_a_file"]
    wanted = f"at most {BYTES_A_FILE} bytes a file"
    yield Bar(about=f"{where}: what travels", wanted=wanted, found=f"{size:.0f} bytes a file", met=size <= BYTES_A_FILE)


@contextmanager
def _cluster() -> Iterator[tuple[str, str]]:
    """Address and token of a cluster in a process of its own, which ends with this."""
    token = secrets.token_hex(32)
    surroundings = {**os.environ, **_with(token), "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}"}
    command = [sys.executable, "-m", MODULE, "host"]
    process = subprocess.Popen(command, cwd=ROOT, env=surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.stdout.readline().strip(), token
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


def _by_core(bench: Bench, name: str, address: str, token: str) -> Iterator[Bar | str]:
    """Merging by tasks of a cluster that is there, each with one core, beside deltalake and our own workers with all cores here."""
    runs = {
        "deltalake": ("deltalake", {}),
        "local": ("compactor:fuse:counts", {"executor": "local", "memory": "512MiB"}),
        "ray": ("compactor:fuse:counts", {"executor": "ray", "ray_address": address, "memory": "256MiB"}),
    }
    found: dict[str, list[dict[str, float]]] = {who: [] for who in runs}
    for _ in range(min(3, bench.repetitions)):
        for who, (engine, options) in runs.items():
            bench.say(f"Ray, {name} by {who}")
            found[who].append(_run(bench, name, engine, options, _with(token) if who == "ray" else None))
    seconds = {who: statistics.median(told["seconds"] for told in each) for who, each in found.items()}
    task_s = statistics.median(told["task_s"] for told in found["ray"])
    here, there = seconds["deltalake"] / seconds["local"], seconds["deltalake"] * processors() / max(1e-9, task_s)
    yield Bar(
        about=f"{name} by fuse on a cluster that is there, by core: against deltalake",
        wanted=f"at least {CORE_SHARE:.0%} of what this machine's own workers reach (×{here:.2f})",
        found=f"×{there:.2f}",
        met=there >= CORE_SHARE * here,
    )
    whole = ", ".join(f"{seconds[who]:.2f} s by {who}" for who in runs)
    yield f"{name}: {whole}; {task_s:.2f} s of a core in tasks on Ray"


def _run(bench: Bench, name: str, engine: str, options: dict[str, object], environment: dict[str, str] | None = None) -> dict[str, float]:
    """One run on a fresh copy of the data."""
    (wanted,) = (one for one in SETS if one.name == name)
    source = wanted.make(bench.cache, bench.scale)
    table = data.copy(source.folder, bench.work / "table", source.codec)
    command = ("-m", ENGINES, engine, str(table), "", source.codec, str(source.target_bytes), json.dumps(options))
    try:
        return measure(*command, environment=environment).printed
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)


def _real(bench: Bench) -> Iterator[str]:
    """D1 by worker processes and by Ray, both begun for the run."""
    found: dict[str, list[float]] = {"local": [], "ray": []}
    for _ in range(min(3, bench.repetitions)):
        for executor, seconds in found.items():
            bench.say(f"Ray, D1 by {executor}")
            seconds.append(_run(bench, "D1", "compactor:auto:counts", {"executor": executor, "parallelism": 2})["seconds"])
    local, ray = (statistics.median(seconds) for seconds in found.values())
    yield f"D1: {local:.2f} s by worker processes or threads here, {ray:.2f} s on a Ray cluster that was started for the run"
