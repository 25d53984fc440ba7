"""`make bench-log`: a log of FILES live files (default 1,000,000), loaded and planned by us and opened by deltalake, each in a process.

Prints the ratios of time and peak memory (best of three, alternating), the driver's need per live file, and what that makes for ten times
as many. Exit code 1 when a ratio is above its bar.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.big_log import write_big_log
from support.driver_peak import measured

from compactor.tables.delta.driver_memory import BYTES_PER_FILE, checkpoint_bytes, snapshot_bytes
from compactor.units import format_bytes

TIME_BAR, MEMORY_BAR = 2.0, 1.0


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-log-") as folder:
        big, tiny = Path(folder, "big"), Path(folder, "tiny")
        size = write_big_log(big, told.files)
        write_big_log(tiny, 10)
        rounds = [(measured("plan", big, tiny), measured("open", big, tiny)) for _ in range(told.rounds)]
    ours, theirs = (_best([pair[i] for pair in rounds]) for i in (0, 1))
    seconds, peak = ours["seconds"] / theirs["seconds"], ours["peak_bytes"] / theirs["peak_bytes"]
    print(f"{told.files:,} live files, a checkpoint of {format_bytes(size)}")
    print(f"  load, gate, assess and plan   {ours['seconds']:6.2f} s   peak {format_bytes(ours['peak_bytes'])}")
    print(f"  deltalake opens it            {theirs['seconds']:6.2f} s   peak {format_bytes(theirs['peak_bytes'])}")
    print(f"  ratio of time {seconds:.2f} (bar {TIME_BAR}), of memory {peak:.2f} (bar {MEMORY_BAR})")
    print(
        f"  driver per live file: {ours['peak_bytes'] / told.files:.0f} bytes at the peak, {ours['kept_bytes'] / told.files:.0f} kept; ",
        end="",
    )
    print(f"checked beforehand with {BYTES_PER_FILE} ({format_bytes(snapshot_bytes(told.files))} for these)")
    print(f"  on paper, {10 * told.files:,} files: {format_bytes(snapshot_bytes(10 * told.files))} to plan, ", end="")
    print(f"{format_bytes(checkpoint_bytes(10 * told.files))} for the process that writes a checkpoint")
    return int(seconds > TIME_BAR or peak > MEMORY_BAR)


def _best(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: min(one[key] for one in found) for key in found[0]}


if __name__ == "__main__":
    sys.exit(main())
