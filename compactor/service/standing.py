"""What the service knows of a table between loads: for each partition, the files that a run would touch. Pure.

`taken` reads it off a snapshot; `followed` brings it forward by what new entries of the log changed, so that an unchanged table costs one
LIST and a written one the entries that are new. The two agree on any history (a property test plays them against each other); where entries
do not tell enough, `unclear` says why the table has to be loaded. What a run really does is decided by its plan alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from compactor.model.changes import FileChange, LogTail, partition_text
from compactor.model.policy import Policy
from compactor.model.snapshot import Snapshot
from compactor.planning.columns import FileColumns, file_columns, heavy_with_deletes, indebted

SMALL, OVERSIZED, HEAVY, OLD, EXEMPT, DEBTOR = range(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Of one partition: files that a run would touch, and their live bytes, by why. old: small ones whose next rewrite is their last, which
    wait until the partition fills a target. exempt: files that a run would touch, had not one finished them. deleted_bytes: in those with
    many deletes. indebted: those that are rewritten for their encode debt alone. written_ms: when others last wrote it, by the store's
    dates; 0 when not known."""

    small: int = 0
    small_bytes: int = 0
    oversized: int = 0
    oversized_bytes: int = 0
    heavy: int = 0
    heavy_bytes: int = 0
    deleted_bytes: int = 0
    written_ms: int = 0
    old: int = 0
    old_bytes: int = 0
    exempt: int = 0
    indebted: int = 0
    indebted_bytes: int = 0

    def plus(self, kind: int, sign: int, sizes: tuple[int, int]) -> Tally:
        """With a file more (sign 1) or less (-1). sizes: its live and its deleted bytes."""
        live, deleted = sign * sizes[0], sign * sizes[1]
        if kind == SMALL:
            return replace(self, small=self.small + sign, small_bytes=self.small_bytes + live)
        if kind == EXEMPT:
            return replace(self, exempt=self.exempt + sign)
        if kind == DEBTOR:
            return replace(self, indebted=self.indebted + sign, indebted_bytes=self.indebted_bytes + live)
        if kind == OLD:
            return replace(self, old=self.old + sign, old_bytes=self.old_bytes + live)
        if kind == OVERSIZED:
            return replace(self, oversized=self.oversized + sign, oversized_bytes=self.oversized_bytes + live)
        return replace(self, heavy=self.heavy + sign, heavy_bytes=self.heavy_bytes + live, deleted_bytes=self.deleted_bytes + deleted)

    @property
    def files(self) -> int:
        """All of them."""
        return self.small + self.old + self.oversized + self.heavy + self.indebted

    @property
    def adds_up(self) -> bool:
        """Whether nothing was taken away that was not there."""
        counted = (self.small, self.small_bytes, self.old, self.old_bytes, self.oversized, self.oversized_bytes, self.exempt)
        return min(*counted, self.heavy, self.heavy_bytes, self.deleted_bytes, self.indebted, self.indebted_bytes) >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What makes a file one that a run would touch: thresholds of the policy with the target in force."""

    target_bytes: int
    small_ratio: float
    oversized_ratio: float
    max_deleted_ratio: float
    max_write_amplification: int
    keeps_clustering: bool = False
    max_encode_debt: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """entry: of the log object of `version`, to notice that it was replaced. files, bytes: of the whole table. unclear: why it has to be
    loaded to know more, else None."""

    version: int
    entry: str | None
    terms: Terms
    partition_names: tuple[str, ...] = ()
    files: int = 0
    bytes: int = 0
    partitions: Mapping[str, Tally] = field(default_factory=dict)
    unclear: str | None = None


def terms_of(policy: Policy, target_bytes: int, keeps_clustering: bool) -> Terms:
    """The terms under a policy."""
    return Terms(
        target_bytes=target_bytes,
        small_ratio=policy.small_ratio,
        oversized_ratio=policy.oversized_ratio,
        max_deleted_ratio=policy.max_deleted_ratio,
        max_write_amplification=policy.max_write_amplification,
        keeps_clustering=keeps_clustering,
        max_encode_debt=policy.max_encode_debt,
    )


def taken(snapshot: Snapshot, terms: Terms, entry: str | None) -> Standing:
    """The standing of a snapshot."""
    columns = file_columns(snapshot.files, {})
    clustered = snapshot.files["clustered"].to_numpy(zero_copy_only=False)[columns.row]
    kinds = _kinds(columns, clustered, terms)
    touched = np.flatnonzero(kinds >= 0)
    names = tuple(column.physical_name for column in snapshot.partition_columns)
    tallies: dict[str, Tally] = {}
    if touched.size:
        partitions = snapshot.partitions.to_pylist()
        for index in touched.tolist():
            key = partition_text({name: partitions[int(columns.partition[index])][name] for name in names})
            live, size = int(columns.live_bytes[index]), int(columns.size_bytes[index])
            tally = tallies.get(key, Tally()).plus(int(kinds[index]), 1, (live, size - live))
            tallies[key] = replace(tally, written_ms=max(tally.written_ms, _written(columns, index)))
    return Standing(
        version=snapshot.version,
        entry=entry,
        terms=terms,
        partition_names=names,
        files=len(columns),
        bytes=int(columns.size_bytes.sum()),
        partitions=tallies,
    )


def followed(standing: Standing, tail: LogTail) -> Standing:
    """The standing after what came."""
    tallies = dict(standing.partitions)
    files, size = standing.files, standing.bytes
    for change in tail.changes:
        sign = 1 if change.added else -1
        files, size = files + sign, size + sign * change.size_bytes
        _follow(tallies, change, standing.terms)
    unclear = tail.unclear or standing.unclear or _untold(standing, tail)
    if unclear is None and not all(tally.adds_up for tally in tallies.values()):
        unclear = "what was removed does not add up with what was there"
    kept = {key: tally for key, tally in tallies.items() if tally.files or tally.exempt}
    return replace(standing, version=tail.version, entry=tail.entry, files=files, bytes=size, partitions=kept, unclear=unclear)


def _untold(standing: Standing, tail: LogTail) -> str | None:
    """Why it is not known which file went: one without its tags, from a partition where tags make a difference for some."""
    columns = _columns(tail.changes)
    kinds = _kinds(columns, np.zeros(len(tail.changes), dtype=np.bool_), standing.terms)
    mixed = {key for key, tally in standing.partitions.items() if tally.old or tally.exempt}
    mixed |= {change.partition for change in tail.changes if change.added and change.generation}
    debtors = {key for key, tally in standing.partitions.items() if tally.indebted}
    debtors |= {change.partition for change in tail.changes if change.added and change.encode_debt_bytes}
    for change, kind in zip(tail.changes, kinds.tolist(), strict=True):
        told = change.added or change.tagged
        if not told and (change.partition in debtors or (kind in (SMALL, OVERSIZED) and change.partition in mixed)):
            return "a file was removed without its tags"
    return None


def _follow(tallies: dict[str, Tally], change: FileChange, terms: Terms) -> None:
    columns = _columns([change])
    kind = int(_kinds(columns, np.array([change.clustered]), terms)[0])
    tally = tallies.get(change.partition, Tally())
    if kind >= 0:
        live = int(columns.live_bytes[0])
        tally = tally.plus(kind, 1 if change.added else -1, (live, change.size_bytes - live))
    if change.added and change.generation == 0:
        tally = replace(tally, written_ms=max(tally.written_ms, change.landed_ms))
    if kind >= 0 or change.partition in tallies:
        tallies[change.partition] = tally


def _kinds(files: FileColumns, clustered: np.ndarray, terms: Terms) -> np.ndarray:
    """SMALL, OVERSIZED, HEAVY, OLD, EXEMPT, DEBTOR or -1 for each file; the rules of planning/classify.py, as far as the log tells."""
    target = terms.target_bytes
    heavy = heavy_with_deletes(files.rows, files.deleted_rows, terms.max_deleted_ratio)
    small = (files.size_bytes < terms.small_ratio * target) & (4 * files.live_bytes < 3 * target)
    oversized = (files.live_bytes > terms.oversized_ratio * target) & (2 * files.live_bytes >= 3 * target)
    finished = (files.finished_for > 0) & (target <= 2 * files.finished_for) & (~oversized | (2 * target >= files.finished_for))
    debtor = indebted(files.debt_bytes, files.size_bytes, terms.max_encode_debt)
    debtor &= small | (4 * files.live_bytes >= 3 * target) | (files.generation < terms.max_write_amplification - 1)
    debtor &= files.generation < terms.max_write_amplification
    exempt = ((finished & ~debtor) | (files.generation >= terms.max_write_amplification)) & ~heavy
    if terms.keeps_clustering:
        exempt |= clustered.astype(np.bool_)
    merged = np.where(files.generation >= terms.max_write_amplification - 1, OLD, SMALL)
    kinds = np.where(heavy, HEAVY, np.where(oversized, OVERSIZED, np.where(small, merged, np.where(debtor, DEBTOR, -1))))
    kinds[exempt & (kinds >= 0)] = EXEMPT
    return kinds


def _columns(changes: Iterable[FileChange]) -> FileColumns:
    changes = list(changes)

    def ints(values: Iterable[int]) -> np.ndarray:
        return np.array(list(values), dtype=np.int64)

    rows, deleted = ints(-1 if c.rows is None else c.rows for c in changes), ints(c.deleted_rows for c in changes)
    size = ints(c.size_bytes for c in changes)
    share = np.where((rows > 0) & (deleted > 0), np.clip((rows - deleted) / np.maximum(rows, 1), 0, 1), 1.0)
    share[rows == 0] = 0.0
    return FileColumns(
        row=np.arange(len(changes)),
        partition=np.zeros(len(changes), dtype=np.int64),
        size_bytes=size,
        rows=rows,
        deleted_rows=deleted,
        landed_ms=ints(c.landed_ms for c in changes),
        generation=ints(c.generation for c in changes),
        debt_bytes=ints(c.encode_debt_bytes for c in changes),
        finished_for=ints(c.finished_for_bytes for c in changes),
        live_bytes=np.floor(size * share).astype(np.int64),
    )


def _written(columns: FileColumns, index: int) -> int:
    return 0 if columns.generation[index] else int(columns.landed_ms[index])
