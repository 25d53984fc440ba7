"""Policy: a user's rules for a table. Pure numbers; where they come from is settings.py's business."""

from __future__ import annotations

from dataclasses import dataclass

from compactor.model.predicate import Predicate

MIB = 1024 * 1024
DEFAULT_TARGET_BYTES = 256 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Thresholds and caps of planning.

    target_bytes: size to aim at; None means the table's own (`delta.targetFileSize`), else DEFAULT_TARGET_BYTES.
    small_ratio / oversized_ratio: a file below small_ratio*target is small, above oversized_ratio*target oversized.
    min_input_files: fewer small files than this in a merge group are not worth a rewrite (unless they reach small_ratio*target together).
    max_deleted_ratio: a file with a larger share of deleted rows is rewritten even alone.
    max_encode_debt: a file with a larger share of its bytes in small row groups that were copied is rewritten; 1 means never.
    min_age_s: files whose landing the store dates younger than this wait.
    quiet_s: partitions that others wrote to more recently than this wait, unless many of their files want a rewrite.
    where: only partitions that satisfy it.
    max_groups / max_bytes: caps on one run's groups and input bytes; None means no cap.
    max_write_amplification: how often a byte may be rewritten at most (design rule 5).
    force_rewrite: rewrite every file once, whatever its size.
    purge: rewrite every file that holds deleted rows or columns which the schema no longer has, and no other.
    """

    target_bytes: int | None = None
    small_ratio: float = 0.75
    oversized_ratio: float = 1.8
    min_input_files: int = 5
    max_deleted_ratio: float = 0.05
    max_encode_debt: float = 1.0
    min_age_s: float = 0.0
    quiet_s: float = 0.0
    where: Predicate | None = None
    max_groups: int | None = None
    max_bytes: int | None = None
    max_write_amplification: int = 2
    force_rewrite: bool = False
    purge: bool = False
