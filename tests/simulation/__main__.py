"""`make simulate SEEDS=100`: plays that many worlds, each twice, and prints what came of them.

Every seed is a hostile world, played twice; a world with two services at default settings, whose figures are held against their bars; and
for every fourth, both once more with a rival that doubles rows. How far it is goes to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence

from simulation.cast import Cast
from simulation.figures import DEFINITIONS, Figures
from simulation.shrink import reproduction, trouble
from simulation.world import World

TOLD_EVERY = 25


def main() -> int:
    """1 when a seed failed or was not the same twice."""
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--crashing", type=float, default=0.25, help="how probable it is that a compactor's process dies")
    parser.add_argument("--once", action="store_true", help="do not play each seed a second time")
    parser.add_argument("--replay", help="play one world again, as a failure has printed it")
    arguments = parser.parse_args()
    if arguments.replay is not None:
        why = trouble(Cast.parse(arguments.replay))
        print(why or "It goes right.")
        return int(why is not None)
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    totals: Counter[str] = Counter()
    failed: list[str] = []
    hostile, service = Figures(), Figures()
    for seed in seeds:
        _hostile(seed, arguments.crashing, not arguments.once, (totals, hostile, failed))
        _played(World(seed, arguments.crashing, service=True), service, failed, "of services, ")
        if seed % 4 == 0:
            _beside_a_rival(seed, arguments.crashing, (totals, service, failed))
        _tell(seed - arguments.first + 1, arguments.seeds, failed)
    for name, number in totals.items():
        print(f"{name:38} {number}")
    _print_figures(hostile, service)
    for sentence in failed:
        print(f"FAILED {sentence}", file=sys.stderr)
    return 1 if failed else 0


def _tell(done: int, seeds: int, failed: Sequence[str]) -> None:
    """How far it is."""
    if done % TOLD_EVERY == 0 or done == seeds:
        print(f"{done} of {seeds} seeds, {len(failed)} worlds went wrong", file=sys.stderr, flush=True)


def _beside_a_rival(seed: int, crashing: float, sums: tuple[Counter[str], Figures, list[str]]) -> None:
    """The two worlds with a rival that doubles rows."""
    totals, service, failed = sums
    for world, figures in ((World(seed, crashing, stale=True), None), (World(seed, crashing, stale=True, service=True), service)):
        _played(world, figures, failed, "with a rival that doubles rows, ")
        totals.update({"worlds with a rival that doubles rows": 1, "broken by it, named and left alone": int(world.damaged)})


def _hostile(seed: int, crashing: float, twice: bool, sums: tuple[Counter[str], Figures, list[str]]) -> None:
    totals, figures, failed = sums
    world = World(seed, crashing)
    try:
        report = world.play()
        if twice and World(seed, crashing).play() != report:
            failed.append(f"seed {seed}: not the same twice")
    except AssertionError as error:
        failed.append(f"{error}\n{reproduction(world.cast)}")
        return
    _count(world, figures)
    totals.update({"worlds": 1, "calls": report.calls, "audits": report.audits, "rows deleted meanwhile, kept deleted": report.masked_rows})
    totals.update({f"runs that ended {ending}": times for ending, times in report.endings})


def _played(world: World, figures: Figures | None, failed: list[str], what: str) -> None:
    """One world that is played once."""
    try:
        world.play()
    except AssertionError as error:
        failed.append(f"{what}{error}\n{reproduction(world.cast)}")
        return
    if figures is not None:
        _count(world, figures)


def _count(world: World, figures: Figures) -> None:
    figures.runs(world.seed, world.attempts)
    if world.vectors:
        figures.files(*world.outputs())


def _print_figures(hostile: Figures, service: Figures) -> None:
    print("\n".join(DEFINITIONS))
    print("two services of one machine, at default settings: runs that")
    print("\n".join(service.lines(bars=True)))
    print("two compactors that race, most without a lease, and are taken for dead after 3 seconds of silence: runs that")
    print("\n".join(hostile.lines()))
    for sentence in (*service.missed, *hostile.missed)[:20]:
        print(f"  missed: {sentence}")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # threads of actors that died in the middle may be anywhere, and a library's own end then aborts the process
