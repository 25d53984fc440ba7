"""The bars for slow appends: 100 files of 2.1 MB dripped into a target of 32 MiB, with a run after every fifth.

At W = 1 each byte is rewritten at most 1.0 times and at most 25 files stand at the end; at W = 2 at most 2.0 times and at most 12 files.
Played twice over: by planning alone, at full size; and by whole runs of the pipeline on real files, which are smaller by `scale`.

    make simulate-drip            cd tests && python -m simulation.drip --scale 1
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from support.lake import Lake
from support.planning_worlds import WorldFile, carried_out, plan_of

from compactor.model.policy import MIB, Policy

FILES, EVERY, FILE_BYTES, TARGET = 100, 5, 2_100_000, 32 * MIB
BARS = {1: (1.0, 25), 2: (2.0, 12)}
"""W to the most that a byte may be rewritten, and the most files at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dripped:
    """What came of it. rewritten: bytes rewritten for each byte appended; most: of any byte (any row, end to end)."""

    how: str
    bound: int
    rewritten: float
    most: int
    files: int

    @property
    def within(self) -> bool:
        """Whether the bars hold."""
        rewritten, files = BARS[self.bound]
        return self.rewritten <= rewritten and self.most <= self.bound and self.files <= files


def replayed(bound: int) -> Dripped:
    """By planning alone; outputs have the sizes that were predicted."""
    policy = Policy(target_bytes=TARGET, max_write_amplification=bound)
    files: list[WorldFile] = []
    rewritten = 0
    for i in range(FILES):
        files.append(WorldFile(path=f"drip-{i:03d}", size_bytes=FILE_BYTES, rows=2100, modified_ms=i))
        if i % EVERY == EVERY - 1:
            plan = plan_of(files, policy)
            rewritten += plan.prediction.input_bytes
            files = carried_out(files, plan, lambda: 1.0, at_ms=1000 + i)
    most = max(file.rewrites for file in files)
    return Dripped(how="replay", bound=bound, rewritten=rewritten / (FILES * FILE_BYTES), most=most, files=len(files))


def carried(bound: int, scale: int) -> Dripped:
    """By whole runs on real files, counted row by row."""
    lake = Lake(bound)
    for i in range(FILES):
        lake.append(FILE_BYTES // scale)
        if i % EVERY == EVERY - 1:
            lake.run(target_size=TARGET // scale, max_write_amplification=bound)
    last = lake.run(target_size=TARGET // scale, max_write_amplification=bound)
    assert last.files_removed == 0, "a run after the last run found something to do"
    rewritten = lake.rewritten_bytes / lake.appended_bytes
    return Dripped(how=f"runs, 1/{scale}", bound=bound, rewritten=rewritten, most=lake.most_rewritten, files=len(lake.live()))


def figures(scale: int) -> Iterator[Dripped]:
    """Both ways for each W."""
    for bound in BARS:
        yield replayed(bound)
        yield carried(bound, scale)


def main() -> int:
    """1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="make simulate-drip")
    parser.add_argument("--scale", type=int, default=20, help="real files are smaller by this factor; 1 is full size")
    missed = False
    print(f"{'W':>2}  {'how':<12}  {'rewritten a byte':>20}  {'most of any row':>16}  {'files at the end':>20}")
    for done in figures(parser.parse_args().scale):
        most, files = BARS[done.bound]
        missed |= not done.within
        rewritten, stand = f"{done.rewritten:.3f} (bar {most:.1f})", f"{done.files} (bar {files})"
        print(
            f"{done.bound:>2}  {done.how:<12}  {rewritten:>20}  {done.most:>16}  {stand:>20}{'' if done.within else '  MISSED'}", flush=True
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
