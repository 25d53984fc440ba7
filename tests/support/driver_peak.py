"""A process of its own that loads, judges and plans a table, or opens it with deltalake, and prints what that took beyond its imports.

python -m support.driver_peak plan|open FOLDER WARM_UP_FOLDER      ->  {"seconds", "peak_bytes", "files", "kept_bytes"}
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any


def measured(what: str, folder: Path, warm_up: Path) -> dict[str, Any]:
    """Run that process."""
    tests, root = Path(__file__).parents[1], Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(root)])}
    command = [sys.executable, "-m", "support.driver_peak", what, str(folder), str(warm_up)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    return answer


def status(name: str) -> int:
    """Bytes of a field of /proc/self/status: VmRSS, VmHWM."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def _plan(folder: str) -> tuple[int, int]:
    from compactor.model.survey import Survey
    from compactor.pipeline import prepare
    from compactor.settings import Settings
    from compactor.wiring import open_ports

    settings = Settings()
    ports = replace(open_ports(folder, settings), survey=lambda _snapshot, _rows: Survey())  # there are no data files
    kept = prepare(ports, settings.policy()).snapshot.files
    return kept.num_rows, kept.nbytes


def _open(folder: str) -> tuple[int, int]:
    from deltalake import DeltaTable

    DeltaTable(folder)
    return 0, 0


def main() -> None:
    """See the module."""
    what, folder, warm_up = sys.argv[1:]
    work = _plan if what == "plan" else _open
    work(warm_up)
    before, started = status("VmRSS"), time.perf_counter()
    files, kept = work(folder)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_bytes": status("VmHWM") - before, "files": files, "kept_bytes": kept}))


if __name__ == "__main__":
    main()
