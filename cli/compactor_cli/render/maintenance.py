"""What doctor finds, as text."""

from __future__ import annotations

from compactor.maintenance.installation import Installation
from compactor.model.findings import Diagnosis, Finding
from compactor.units import format_bytes, format_seconds

_MOST_FILES = 5


def finding_lines(finding: Finding) -> list[str]:
    """What is wrong, which files, and what to do."""
    sizes = [] if finding.bytes is None else [format_bytes(finding.bytes)]
    ages = [] if finding.oldest_s is None else [f"{format_seconds(finding.youngest_s or 0.0)} to {format_seconds(finding.oldest_s)} old"]
    more = f" ({', '.join(sizes + ages)})" if sizes or ages else ""
    rest = max(finding.count, len(finding.files)) - _MOST_FILES
    return [
        f"{'DAMAGE' if finding.is_damage else 'note'}: {finding.why}{more}",
        *(f"  {path}" for path in finding.files[:_MOST_FILES]),
        *([f"  and {rest:,} more"] if rest > 0 and finding.files else []),
        f"  {finding.advice}",
    ]


def summary_line(found: Diagnosis) -> str:
    """All of it in a line."""
    damage = sum(finding.is_damage for finding in found.findings)
    verdict = f"{damage:,} finding{'s' if damage != 1 else ''} of damage" if damage else "no damage found"
    looked = "log, folder and data" if found.data else "log and folder"
    age = "" if found.checkpoint_age_s is None else f" {format_seconds(found.checkpoint_age_s)} ago"
    last = "no checkpoint" if found.checkpoint_version is None else f"checkpoint of version {found.checkpoint_version}{age}"
    size = f"{found.files:,} files, {format_bytes(found.bytes)}"
    return f"{found.table}, version {found.version}, {size}, {last}: {verdict} ({looked} examined)"


def installation_lines(found: Installation) -> list[str]:
    """One fact a line."""
    return [
        f"Python {found.python} on {found.system}",
        *(f"{name} {version or 'is not installed'}" for name, version in found.versions.items()),
        f"native kernels: {found.native}",
        f"executors: {', '.join(found.executors)}",
        f"{found.processors} processors, {format_bytes(found.memory_bytes)} of {format_bytes(found.memory_limit_bytes)} memory for a run",
    ]
