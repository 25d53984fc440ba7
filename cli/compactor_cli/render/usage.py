"""What a run takes as text: predicted beside actual, and money."""

from __future__ import annotations

from compactor.model.run import Run
from compactor.model.usage import Usage
from compactor.units import format_bytes, format_seconds
from compactor_cli.output import aligned


def surroundings(usage: Usage) -> list[tuple[str, str]]:
    """Rows for what depends on where the table is: replaced files held until vacuum, traffic over a region's border, cost."""
    rows = []
    if usage.held_bytes and usage.held_s:
        rows.append(("held", f"{format_bytes(usage.held_bytes)} of replaced files for {format_seconds(usage.held_s)}, until vacuum"))
    if usage.cross_region_bytes:
        rows.append(("across regions", f"about {format_bytes(usage.cross_region_bytes)}"))
    if usage.cost is not None:
        rows.append(("cost", f"about {money(usage)}"))
    return rows


def compared(run: Run) -> list[str]:
    """A table of predicted and actual figures; nothing for a run that has none."""
    if run.predicted is None or run.actual is None:
        return []
    rows = [("", "PREDICTED", "ACTUAL"), *zip(_NAMES, _figures(run.predicted), _figures(run.actual), strict=True)]
    return ["", *aligned(rows, right=frozenset({1, 2}), indent="  ")]


def money(usage: Usage) -> str:
    """The cost in all: `1.25 USD`, small amounts with two digits that count; `-` without a price list."""
    if usage.cost is None:
        return "-"
    return f"{amount(usage.cost.total)} {usage.cost.currency}"


def amount(total: float) -> str:
    """A sum of money without its currency: `1.25`, `0.000037`."""
    return f"{total:.2f}" if total >= 1 or total == 0 else f"{float(f'{total:.2g}'):.10f}".rstrip("0")


_NAMES = ("files in", "files out", "bytes in", "bytes out", "requests", "time", "memory", "cost")


def _figures(usage: Usage) -> tuple[str, ...]:
    return (
        f"{usage.input_files:,}",
        f"{usage.output_files:,}",
        format_bytes(usage.input_bytes),
        format_bytes(usage.output_bytes),
        f"{usage.requests:,}",
        format_seconds(usage.seconds),
        format_bytes(usage.peak_memory_bytes),
        money(usage),
    )
