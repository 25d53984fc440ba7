"""A scan as text: one line a table, printed as it is found; the histogram of a single table."""

from __future__ import annotations

from compactor.model.health import Compact, Health
from compactor.service.discovery import FailedTable, Neighbour, ScanEntry
from compactor.units import format_bytes
from compactor_cli.output import aligned, counted

HEADER = f"{'FILES':>11}  {'SIZE':>9}  {'SMALL':>5}  {'OVERSIZED':>9}  {'DECISION':<11}  TABLE"


def entry_line(entry: ScanEntry) -> str:
    """One line: files, size, share of small files, oversized files, decision, table and why."""
    match entry:
        case Neighbour():
            return _line(("-", "-", "-", "-", "passed over"), entry.uri, entry.why)
        case FailedTable():
            return _line(("-", "-", "-", "-", "failed"), entry.table.uri, entry.why)
        case _:
            health = entry.health
            decision = "compact" if isinstance(entry.decision, Compact) else "skip"
            numbers = (f"{health.files:,}", format_bytes(health.bytes), small_share(health), f"{health.oversized_files:,}", decision)
            return _line(numbers, entry.table.uri, entry.decision.why)


def _line(cells: tuple[str, str, str, str, str], uri: str, why: str) -> str:
    files, size, small, oversized, decision = cells
    return f"{files:>11}  {size:>9}  {small:>5}  {oversized:>9}  {decision:<11}  {uri} ({why.rstrip('.')})"


def small_share(health: Health) -> str:
    """Small files as a share of all files: `99%`. Never rounded to 0% or 100% when it is neither."""
    if health.files == 0:
        return "0%"
    share = 100 * health.small_files / health.files
    if 0 < share < 1:
        return "<1%"
    if 99 < share < 100:
        return ">99%"
    return f"{share:.0f}%"


def health_lines(health: Health) -> list[str]:
    """What a reader meets: target, rows, requests of a full scan, and the histogram of file sizes."""
    rows = "unknown" if health.rows is None else f"{health.rows:,}"
    deleted = f", {health.deleted_rows:,} of them deleted" if health.deleted_rows else ""
    facts = [
        ("target", format_bytes(health.target_bytes)),
        ("rows", rows + deleted),
        ("partitions", f"{health.partitions.num_rows:,}"),
        ("full scan", f"{health.scan_requests:,} requests, {format_bytes(health.bytes)}"),
    ]
    if health.encode_debt_bytes:
        facts.append(("encode debt", f"{format_bytes(health.encode_debt_bytes)} in small row groups that were copied as they are"))
    return [*aligned(facts, indent="  "), *_histogram(health)]


def _histogram(health: Health) -> list[str]:
    filled = [bucket for bucket in health.histogram if bucket.files]
    if not filled:
        return []
    most = max(bucket.files for bucket in filled)
    rows = []
    for bucket in filled:
        upto = "and above" if bucket.to_bytes is None else f"to {format_bytes(bucket.to_bytes)}"
        bar = "█" * max(1, round(30 * bucket.files / most))
        rows.append((format_bytes(bucket.from_bytes), upto, counted(bucket.files, "file"), format_bytes(bucket.bytes), bar))
    return aligned(rows, right=frozenset({0, 2, 3}), indent="  ")
