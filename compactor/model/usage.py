"""Usage: what a run takes, predicted before it or measured after it; Prices and Cost: the same in money.

Pure arithmetic on figures that others found out. A price list is data that its user may replace; nothing here knows a cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

GB = 10**9
MONTH_S = 30 * 86_400.0
_NOT_ADDED = frozenset({"peak_memory_bytes", "held_s", "cost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Money, by what it is paid for. `held_storage`: keeping the replaced files until vacuum may remove them."""

    currency: str
    requests: float
    compute: float
    transfer: float
    held_storage: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.requests + self.compute + self.transfer + self.held_storage

    def plus(self, other: Cost) -> Cost:
        """Both, by one price list."""
        return Cost(
            currency=self.currency,
            requests=self.requests + other.requests,
            compute=self.compute + other.compute,
            transfer=self.transfer + other.transfer,
            held_storage=self.held_storage + other.held_storage,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run takes.

    copied_bytes: of the input bytes, what is copied as it is encoded; merged_bytes: what is merged page by page.
    requests: reads and writes of data files; proof_requests of the reads, and proof_bytes, to read outputs again. task_s: seconds of all
    tasks together, one CPU each; seconds: of the run, by the wall. cross_region_bytes: of the bytes read, written and read again, those
    that cross a region's border. held_bytes, held_s: bytes of replaced files, and how long they stay before vacuum may remove them.
    cost: None without a price list.
    """

    input_files: int = 0
    input_bytes: int = 0
    output_files: int = 0
    output_bytes: int = 0
    requests: int = 0
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    read_requests: int = 0
    write_requests: int = 0
    task_s: float = 0.0
    cross_region_bytes: int = 0
    held_bytes: int = 0
    held_s: float = 0.0
    proof_requests: int = 0
    proof_bytes: int = 0
    copied_bytes: int = 0
    merged_bytes: int = 0
    cost: Cost | None = None

    def and_then(self, later: Usage) -> Usage:
        """What this and what follows it take together: sums, and the higher of the peaks. What is held is held as long as the longer."""
        together = {f.name: getattr(self, f.name) + getattr(later, f.name) for f in fields(self) if f.name not in _NOT_ADDED}
        return replace(
            self,
            **together,
            peak_memory_bytes=max(self.peak_memory_bytes, later.peak_memory_bytes),
            held_s=max(self.held_s, later.held_s),
            cost=later.cost if self.cost is None else self.cost if later.cost is None else self.cost.plus(later.cost),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """A price list. GB are 10^9 bytes, a month has 30 days. kms_per_1000: requests to a key management service; a list may leave it out."""

    name: str
    currency: str
    get_per_1000: float
    put_per_1000: float
    storage_per_gb_month: float
    cross_region_per_gb: float
    vcpu_hour: float
    kms_per_1000: float = 0.0

    def cost(self, usage: Usage) -> Cost:
        """What `usage` costs by this list."""
        return Cost(
            currency=self.currency,
            requests=(usage.read_requests * self.get_per_1000 + usage.write_requests * self.put_per_1000) / 1000,
            compute=usage.task_s / 3600 * self.vcpu_hour,
            transfer=usage.cross_region_bytes / GB * self.cross_region_per_gb,
            held_storage=usage.held_bytes / GB * usage.held_s / MONTH_S * self.storage_per_gb_month,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Economy:
    """What a table's surroundings add to a plan's figures. crosses_regions: its bucket is in another region than the workers."""

    prices: Prices | None = None
    crosses_regions: bool = False
    retention_s: float = 0.0

    def priced(self, usage: Usage, held_bytes: int) -> Usage:
        """`usage` with bytes over a region's border, replaced files held until vacuum, and the cost of all of it."""
        crossing = usage.input_bytes + usage.output_bytes + usage.proof_bytes if self.crosses_regions else 0
        placed = replace(usage, cross_region_bytes=crossing, held_bytes=held_bytes, held_s=self.retention_s, cost=None)
        return placed if self.prices is None else replace(placed, cost=self.prices.cost(placed))


def usage_of(body: Mapping[str, Any] | None) -> Usage | None:
    """A Usage from what `asdict` makes of one, None from nothing. Fields that are not known here are passed over. Raises KeyError."""
    if body is None:
        return None
    known = {field.name: body[field.name] for field in fields(Usage) if field.name in body}
    cost = body.get("cost")
    return Usage(**{**known, "cost": None if cost is None else Cost(**{field.name: cost[field.name] for field in fields(Cost)})})
