"""Known vulnerabilities in the pinned dependencies, by pip-audit: `python tests/audit.py <pip-audit>`.

Ends with 1 when there are some, with 0 when there are none, and says so when the database cannot be reached: then nothing is known, and
what was not looked up is never called sound.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


def verdict(report: dict[str, Any] | None) -> tuple[int, list[str]]:
    """The exit code, and lines for people. report: pip-audit's JSON, None when there is none."""
    found = [] if report is None else report["dependencies"]
    unknown = [one["name"] for one in found if "skip_reason" in one]
    if len(unknown) == len(found):
        return 0, ["Skipped: the database of vulnerabilities was not reached, so nothing is known."]
    lines = [
        f"{one['name']} {one['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'no release'}"
        for one in found
        for flaw in one.get("vulns", ())
    ]
    code = 1 if lines else 0
    lines += [f"Not looked up: {', '.join(unknown)}."] if unknown else []
    return code, [*lines, f"{len(found) - len(unknown)} of {len(found)} dependencies were looked up."]


def main(tool: str) -> int:
    """Run the tool and say what it found."""
    command = [tool, "--requirement", str(CONSTRAINTS), "--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = None
        print(done.stderr.strip()[-400:], file=sys.stderr)
    code, lines = verdict(report)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
