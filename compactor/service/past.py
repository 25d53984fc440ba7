"""The files that a table would have had under other compactions than it had: its history with ours in it. Pure.

What others wrote is followed file by file. A file that was merged here lives on as a part of its output: when history removes or masks it,
the output loses as much. Commits of history that only exchanged files (compactions, by us or others) are left out, and what they made is
traced back to what others wrote, so that later removes find it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from compactor.model.changes import FileChange, PastCommit, partition_text, partition_values
from compactor.model.plan import Plan
from compactor.model.snapshot import FILES_SCHEMA, Snapshot


@dataclass(slots=True)
class _Live:
    """A file, and what of others it holds: their paths, with bytes, rows and deleted rows of each."""

    file: FileChange
    parts: dict[str, tuple[int, int, int]] = field(default_factory=dict)


class Past:
    """The world. Starts with a snapshot; `apply` and `compact` tell what changed, for a Standing to follow."""

    def __init__(self, base: Snapshot) -> None:
        self._base = base
        self._names = [column.physical_name for column in base.partition_columns]
        self._live: dict[str, _Live] = {}
        self._within: dict[str, str] = {}
        self._lineage: dict[str, tuple[str, ...]] = {}
        self._outputs = 0
        partitions = base.partitions.to_pylist()
        for row in base.files.to_pylist():
            values = {name: partitions[row["partition_id"]][name] for name in self._names}
            file = FileChange(
                added=True,
                partition=partition_text(values),
                size_bytes=row["size_bytes"],
                rows=row["rows"],
                deleted_rows=row["deleted_rows"],
                generation=row["generation"],
                finished_for_bytes=row["finished_for_bytes"] or 0,
                encode_debt_bytes=row["encode_debt_bytes"] or 0,
                clustered=row["clustered"],
                landed_ms=row["landed_ms"],
                path=row["path"],
            )
            self._add(file, {file.path: _part(file)})

    @property
    def files(self) -> int:
        """Live files."""
        return len(self._live)

    @property
    def bytes(self) -> int:
        """Their bytes."""
        return sum(one.file.size_bytes for one in self._live.values())

    def apply(self, commit: PastCommit) -> list[FileChange]:
        """What a commit of history changes here."""
        if commit.keeps_rows:
            self._trace(commit.changes)
            return []
        added = {change.path: change for change in commit.changes if change.added}
        changed: list[FileChange] = []
        for change in commit.changes:
            if not change.added:
                again = added.pop(change.path, None)
                changed += self._mask(again) if again is not None else self._remove(change.path)
        for change in added.values():
            if change.path not in self._within:
                self._add(change, {change.path: _part(change)})
                changed.append(change)
        return changed

    def compact(self, plan: Plan, at_ms: int) -> list[FileChange]:
        """What the plan's groups change, if they come out as predicted."""
        changed: list[FileChange] = []
        for group in plan:
            inputs = [self._live[key.path] for key in group.inputs]
            parts: dict[str, tuple[int, int, int]] = {}
            for one in inputs:
                changed.append(replace(one.file, added=False))
                parts.update({path: (size, rows - masked, 0) for path, (size, rows, masked) in one.parts.items()})
                del self._live[one.file.path]
            if not group.output_files:
                self._forget(parts)
                continue
            for share in _shares(parts, group.output_files):
                self._outputs += 1
                file = FileChange(
                    added=True,
                    partition=inputs[0].file.partition,
                    size_bytes=group.output_bytes // group.output_files,
                    rows=sum(part[1] for part in share.values()),
                    generation=group.generation,
                    finished_for_bytes=plan.target_bytes if group.finishes else 0,
                    landed_ms=at_ms,
                    path=f"replayed-{self._outputs}",
                )
                self._add(file, share)
                changed.append(file)
        return changed

    def snapshot(self, now_ms: int) -> Snapshot:
        """The world as planning sees it."""
        ordered = sorted(self._live.values(), key=lambda one: (one.file.landed_ms, one.file.path))
        texts = list(dict.fromkeys(one.file.partition for one in ordered))
        ids = {text: number for number, text in enumerate(texts)}
        values = [partition_values(text) for text in texts]
        rows = [_row(one.file, ids[one.file.partition], number) for number, one in enumerate(ordered)]
        partitions = {name: pa.array([value.get(name) for value in values], pa.string()) for name in self._names}
        return replace(
            self._base,
            partitions=pa.table(partitions) if partitions else self._base.partitions.slice(0, 1),
            files=pa.Table.from_pylist(rows, schema=FILES_SCHEMA),
            store_now_ms=now_ms,
        )

    def _add(self, file: FileChange, parts: dict[str, tuple[int, int, int]]) -> None:
        self._live[file.path] = _Live(file=file, parts=parts)
        self._within.update(dict.fromkeys(parts, file.path))

    def _forget(self, parts: Iterable[str]) -> None:
        for part in parts:
            self._within.pop(part, None)

    def _trace(self, changes: Iterable[FileChange]) -> None:
        """A compaction of history: what it made stands for what it took, divided among its outputs by size."""
        taken: dict[str, list[str]] = {}
        made: dict[str, list[FileChange]] = {}
        for change in changes:
            if change.added:
                made.setdefault(change.partition, []).append(change)
            else:
                origin = self._origins(change.path)
                place = self._place(origin, change.partition)
                taken.setdefault(place, []).extend(origin)
        for place, outputs in made.items():
            origins = taken.get(place, [])
            cut = [round(len(origins) * number / len(outputs)) for number in range(len(outputs) + 1)]
            for number, output in enumerate(outputs):
                self._lineage[output.path] = tuple(origins[cut[number] : cut[number + 1]])

    def _place(self, origin: Sequence[str], said: str) -> str:
        return next((self._live[self._within[path]].file.partition for path in origin if path in self._within), said)

    def _origins(self, path: str) -> tuple[str, ...]:
        return self._lineage.get(path, (path,))

    def _remove(self, path: str) -> list[FileChange]:
        changed: list[FileChange] = []
        for origin in self._origins(path):
            name = self._within.pop(origin, None)
            if name is None:
                continue
            one = self._live[name]
            size, rows, masked = one.parts.pop(origin)
            changed.append(replace(one.file, added=False))
            # Deleted, not gone: as long as others are in the merged file its rows stay there, until it is purged.
            one.parts[f"{origin}#gone"] = (size, rows, rows)
            if all(part[2] >= part[1] for part in one.parts.values()):
                del self._live[name]
                self._forget(one.parts)
            else:
                one.file = replace(one.file, deleted_rows=min(one.file.rows or 0, one.file.deleted_rows + rows - masked))
                changed.append(one.file)
        return changed

    def _mask(self, again: FileChange) -> list[FileChange]:
        """The same file with other deletes."""
        origins = [path for path in self._origins(again.path) if path in self._within]
        if not origins:
            return []
        name = self._within[origins[0]]
        one = self._live[name]
        size, rows, before = one.parts[origins[0]]
        one.parts[origins[0]] = (size, rows, again.deleted_rows)
        was = one.file
        one.file = replace(was, deleted_rows=max(0, was.deleted_rows + again.deleted_rows - before))
        return [replace(was, added=False), one.file]


def _part(file: FileChange) -> tuple[int, int, int]:
    return file.size_bytes, file.rows or 0, file.deleted_rows


def _shares(parts: dict[str, tuple[int, int, int]], outputs: int) -> list[dict[str, tuple[int, int, int]]]:
    """The parts in order, divided among outputs; each is counted in one of them, though rows of it may be in two."""
    items = [item for item in parts.items() if item[1][1] > 0 or not item[0].endswith("#gone")]
    cut = [round(len(items) * number / outputs) for number in range(outputs + 1)]
    return [dict(items[cut[number] : cut[number + 1]]) for number in range(outputs)]


def _row(file: FileChange, partition_id: int, number: int) -> dict[str, object]:
    return {
        "path": file.path,
        "size_bytes": file.size_bytes,
        "rows": file.rows,
        "deleted_rows": file.deleted_rows,
        "deletes_id": f"deletes-{file.deleted_rows}" if file.deleted_rows else None,
        "partition_id": partition_id,
        "modified_ms": file.landed_ms,
        "landed_ms": file.landed_ms,
        "generation": file.generation,
        "finished_for_bytes": file.finished_for_bytes or None,
        "encode_debt_bytes": file.encode_debt_bytes or None,
        "clustered": file.clustered,
        "source": 0,
        "source_row": number,
    }
