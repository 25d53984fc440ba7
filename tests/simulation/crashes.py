"""`make simulate-crashes CRASHES=1000`: plays worlds in which nearly every compactor dies somewhere, until so many have, and prints how
many bytes are left that neither a version nor an intent accounts for once the runs after them are through.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass

from simulation.shrink import reproduction
from simulation.world import World

CRASHING = 0.95


@dataclass(slots=True)
class Toll:
    """What came of the worlds so far."""

    worlds: int = 0
    crashes: int = 0
    written_bytes: int = 0
    left_bytes: int = 0


def play_until(crashes: int, first: int = 0) -> tuple[Toll, list[str]]:
    """Worlds from seed `first` on until that many processes have died; and what went wrong, in words."""
    toll, failed = Toll(), []
    while toll.crashes < crashes:
        world = World(first + toll.worlds, CRASHING)
        toll.worlds += 1
        try:
            world.play()
        except AssertionError as error:
            failed.append(f"{error}\n{reproduction(world.cast)}")
        toll.crashes += world.crashes
        toll.left_bytes += world.left_bytes()
        toll.written_bytes += sum(sum(written.files.values()) for written in world.outputs()[0])
    return toll, failed


def main() -> int:
    """1 when something was left over or went wrong."""
    parser = argparse.ArgumentParser(prog="make simulate-crashes")
    parser.add_argument("--crashes", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    toll, failed = play_until(arguments.crashes, arguments.first)
    print(f"worlds                              {toll.worlds:>12,}")
    print(f"compactors that died in the middle  {toll.crashes:>12,}")
    print(f"bytes that compactors had written   {toll.written_bytes:>12,}")
    print(f"bytes unaccounted for               {toll.left_bytes:>12,}")
    for sentence in failed:
        print(f"FAILED {sentence}", file=sys.stderr)
    return 1 if failed or toll.left_bytes else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # threads of actors that died in the middle may be anywhere, and a library's own end then aborts the process
