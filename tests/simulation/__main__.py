"""`make simulate SEEDS=100`: plays that many worlds, each twice, and prints what came of them."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from simulation.world import World


def main() -> int:
    """1 when a seed failed or was not the same twice."""
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--crashing", type=float, default=0.25, help="how probable it is that a compactor's process dies")
    parser.add_argument("--once", action="store_true", help="do not play each seed a second time")
    arguments = parser.parse_args()
    totals: Counter[str] = Counter()
    failed: list[str] = []
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        try:
            report = World(seed, arguments.crashing).play()
            if not arguments.once and World(seed, arguments.crashing).play() != report:
                failed.append(f"seed {seed}: not the same twice")
        except AssertionError as error:
            failed.append(str(error))
            continue
        totals.update(
            {"worlds": 1, "calls": report.calls, "audits": report.audits, "rows deleted meanwhile, kept deleted": report.masked_rows}
        )
        totals.update({"bytes of outputs written": report.written_bytes, "bytes of outputs committed": report.committed_bytes})
        totals.update({f"runs that ended {ending}": times for ending, times in report.endings})
    for seed in range(arguments.first, arguments.first + arguments.seeds, 4):
        world = World(seed, arguments.crashing, stale=True)
        try:
            world.play()
        except AssertionError as error:
            failed.append(f"with a rival that doubles rows, {error}")
        totals.update({"worlds with a rival that doubles rows": 1, "broken by it, named and left alone": int(world.damaged)})
    for name, number in totals.items():
        print(f"{name:38} {number}")
    for sentence in failed:
        print(f"FAILED {sentence}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
