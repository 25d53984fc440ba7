"""What a run of a table would save and take, by its Standing: estimates for deciding whose turn it is. Pure.

The plan of a run predicts better, from more; this costs nothing. Requests saved are those of a full scan, counted as Health does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from compactor.model.usage import Prices, Usage
from compactor.planning.assess import SCAN_RANGE_BYTES
from compactor.planning.classify import BUSY_FILES
from compactor.planning.cost import Assumptions, read_requests, task_seconds, write_requests
from compactor.service.ledger import Spend
from compactor.service.standing import Standing, Tally, Terms

_GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """saves_files, saves_requests: for readers. hot_files: that would be saved in partitions that have to cool first, and cools_at_ms: when
    the first of those will have, by the store's clock (0 without)."""

    saves_files: int = 0
    saves_requests: int = 0
    deleted_bytes: int = 0
    input_files: int = 0
    input_bytes: int = 0
    output_files: int = 0
    output_bytes: int = 0
    hot_files: int = 0
    cools_at_ms: int = 0

    def worth(self, least_files: float) -> bool:
        """Whether a run is worth it: it saves so many files, or it has only files to split, to purge or to encode anew."""
        return self.saves_files >= least_files if self.saves_files else self.saves_requests > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """memory_bytes: of one task. kms: whether objects are encrypted with a key of KMS, which is a request more each time."""

    prices: Prices | None
    memory_bytes: int
    kms: bool = False
    proves: bool = True

    def kms_money(self, requests: int) -> float:
        """What the key management service takes for requests to the store."""
        return requests * self.prices.kms_per_1000 / 1000 if self.kms and self.prices is not None else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    """What a run takes: task_s of one CPU, and what of it is bounded."""

    task_s: float
    requests: int
    spend: Spend = field(default_factory=Spend)


def work_of(standing: Standing, *, min_input_files: int, quiet_s: float = 0.0, store_now_ms: int = 0) -> Work:
    """What there is to do now. quiet_s: partitions that others wrote more recently wait while few files
    of them want it; store_now_ms is only looked at then."""
    sums = np.zeros(7, dtype=np.int64)
    hot, cools_at = 0, 0
    for tally in standing.partitions.values():
        part = _of(tally, standing.terms, min_input_files)
        cool_ms = tally.written_ms + int(quiet_s * 1000)
        if quiet_s > 0 and cool_ms >= store_now_ms and 0 < part[3] < BUSY_FILES:
            hot += int(part[0])
            cools_at = min(cools_at or cool_ms, cool_ms)
        else:
            sums += part
    names = ("saves_files", "saves_requests", "deleted_bytes", "input_files", "input_bytes", "output_files", "output_bytes")
    return Work(**dict(zip(names, sums.tolist(), strict=True)), hot_files=hot, cools_at_ms=cools_at)


def _of(tally: Tally, terms: Terms, min_input_files: int) -> np.ndarray:
    target = terms.target_bytes
    saved = np.zeros(7, dtype=np.int64)
    files, size = _merged(tally, terms, min_input_files)
    outputs = max(1, round(size / target))
    if outputs < files:
        requests = 2 * files - outputs - max(outputs, -(-size // SCAN_RANGE_BYTES))
        saved += (files - outputs, max(1, requests), 0, files, size, outputs, size)
    if tally.oversized:
        pieces = max(tally.oversized + 1, round(tally.oversized_bytes / target))
        saved += (0, pieces - tally.oversized, 0, tally.oversized, tally.oversized_bytes, pieces, tally.oversized_bytes)
    if tally.heavy:
        ranges = max(1, tally.deleted_bytes // SCAN_RANGE_BYTES)
        whole = tally.heavy_bytes + tally.deleted_bytes
        saved += (0, tally.heavy + ranges, tally.deleted_bytes, tally.heavy, whole, tally.heavy, tally.heavy_bytes)
    if tally.indebted:
        saved += (0, tally.indebted, 0, tally.indebted, tally.indebted_bytes, tally.indebted, tally.indebted_bytes)
    return saved


def _merged(tally: Tally, terms: Terms, min_input_files: int) -> tuple[int, int]:
    """Small files that would be merged, and their bytes: all that fill a target, with something new among them, else enough of those that
    may be rewritten again afterwards (planning/grouping.py)."""
    files, size = tally.small + tally.old, tally.small_bytes + tally.old_bytes
    if 4 * size >= 3 * terms.target_bytes and (tally.small or terms.max_write_amplification == 1):
        return files, size
    enough = tally.small >= min_input_files or tally.small_bytes >= terms.small_ratio * terms.target_bytes
    return (tally.small, tally.small_bytes) if tally.small > 1 and enough else (0, 0)


def takes(work: Work, rates: Rates) -> Takes:
    """What a run that does all of it takes."""
    if not work.input_files:
        return Takes(task_s=0.0, requests=0, spend=Spend())
    assumed = Assumptions()
    size = np.array([work.input_bytes // work.input_files], dtype=np.int64)
    reads = int(read_requests(size, assumed.part_bytes)[0]) * work.input_files
    writes = int(write_requests(np.array([work.output_bytes]), np.array([work.output_files]), assumed.part_bytes)[0])
    again = writes if rates.proves else 0
    seconds = float(task_seconds(np.array([work.input_bytes]), np.array([reads + writes]), assumed)[0])
    seconds += work.output_bytes / assumed.proof_bytes_per_s if rates.proves else 0.0
    usage = Usage(read_requests=reads + again, write_requests=writes, task_s=seconds)
    money = 0.0
    if rates.prices is not None:
        money = rates.prices.cost(usage).total + rates.kms_money(reads + again + writes)
    gb_hours = rates.memory_bytes / _GIB * seconds / 3600
    return Takes(task_s=seconds, requests=reads + again + writes, spend=Spend(gb_hours=gb_hours, money=money))
