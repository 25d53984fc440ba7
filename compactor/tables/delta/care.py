"""DeltaCare: the port `TableCare` for Delta Lake. Binds a table, its store and the user's options; what it says is found elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from compactor.ambient.ports import Ambient
from compactor.errors import TableCorrupt, TableRefused
from compactor.model.findings import MOST_FILES, Finding, FindingKind, LiveFile, Observed
from compactor.model.plan import FileKey
from compactor.model.rewrite import InputFile, ReadSpec
from compactor.model.snapshot import Snapshot, TableRef
from compactor.storage.base import ObjectStore
from compactor.storage.external import is_external
from compactor.tables.base import Gate
from compactor.tables.care import Named
from compactor.tables.delta import named
from compactor.tables.delta.actions import raw_adds
from compactor.tables.delta.announce import announce
from compactor.tables.delta.checkpoint_check import CheckpointFault, checkpoint_faults
from compactor.tables.delta.contradictions import contradictions
from compactor.tables.delta.log import list_log
from compactor.tables.delta.options import DeltaOptions
from compactor.tables.delta.paths import object_key
from compactor.tables.delta.retention import retention_s
from compactor.tables.delta.schema import read_spec
from compactor.tables.delta.state import Action, DeltaState
from compactor.tables.delta.statistics import leaf_types
from compactor.tables.delta.table import DeltaTable
from compactor.tables.delta.vain import VainRemoves, vain_removes
from compactor.tables.delta.vectors import deletes_of

_NO_COLUMNS = pa.schema([])


class DeltaCare:
    """One Delta table, for maintenance. See tables/care.py for what each method promises."""

    def __init__(self, ref: TableRef, store: ObjectStore, ambient: Ambient, options: DeltaOptions) -> None:
        self._ref, self._store, self._ambient, self._options = ref, store, ambient, options
        self._table = DeltaTable(ref, store, ambient, options)

    @property
    def ref(self) -> TableRef:
        return self._ref

    def load(self) -> Snapshot:
        return self._table.load()

    def gate(self, snapshot: Snapshot) -> Gate:
        return self._table.gate(snapshot)

    def retention_s(self, snapshot: Snapshot) -> float:
        return retention_s(snapshot.properties)

    def past(self) -> Iterator[Finding]:
        listing = list_log(self._store)
        try:
            yield from map(_of_vain, vain_removes(self._store, self._ref, listing))
        except TableCorrupt as error:
            yield _not_examined(f"Removes of past commits were not examined: {error}")
        try:
            yield from map(_of_checkpoint, checkpoint_faults(self._store, self._ref, listing))
        except (TableCorrupt, TableRefused) as error:
            yield _not_examined(f"Not all checkpoints were examined: {error}")

    def checkpoint_date(self, snapshot: Snapshot) -> tuple[int | None, int | None]:
        checkpoints = list_log(self._store).checkpoints
        if not checkpoints:
            return None, None
        return checkpoints[-1].version, max(part.modified_ms for part in checkpoints[-1].parts)

    def named(self) -> Named:
        return named.everything_named(self._store, self._ref)

    def needed_since(self, cutoff_ms: int) -> Named:
        return named.named_since(self._store, self._ref, cutoff_ms)

    def named_after(self, version: int) -> Named:
        return named.named_after(self._store, self._ref, version)

    def reading(self, snapshot: Snapshot) -> ReadSpec:
        spec = read_spec(_state(snapshot).metadata, snapshot.features, ())
        return replace(spec, constants=_NO_COLUMNS, row_ids=None)

    def places(self, snapshot: Snapshot, start: int, stop: int) -> list[LiveFile]:
        files = snapshot.files.slice(start, stop - start)
        return [self._place(path, size) for path, size in zip(files["path"].to_pylist(), files["size_bytes"].to_pylist(), strict=True)]

    def live_files(self, snapshot: Snapshot, rows: Sequence[int]) -> list[LiveFile]:
        return [self._live_file(add) for add in raw_adds(self._store, snapshot, rows)]

    def contradictions(self, snapshot: Snapshot, file: LiveFile, observed: Observed) -> tuple[str, ...]:
        types = leaf_types(_state(snapshot).metadata, snapshot.features)
        return contradictions(file.claims, observed, types, masked=file.input.deletes is not None)

    def announce(self, operation: str, parameters: Mapping[str, object], metrics: Mapping[str, str]) -> int:
        told = {"operationParameters": parameters, "operationMetrics": metrics}
        return announce(self._store, self._ref, self._ambient, self._options, operation, told)

    def _live_file(self, add: Action) -> LiveFile:
        found, vector, claims = self._place(str(add["path"]), int(add["size"])), add.get("deletionVector"), add.get("stats")
        found = replace(found, claims=claims if isinstance(claims, str) else None)
        if not vector:
            return found
        try:
            deletes = deletes_of(vector, self._ref.uri, external=self._options.external_paths)
        except TableRefused:
            return replace(found, hidden=True)
        return replace(found, input=replace(found.input, deletes=deletes))

    def _place(self, path: str, size_bytes: int) -> LiveFile:
        file = InputFile(file=FileKey(path=path), key=path, size_bytes=size_bytes)
        try:
            key = object_key(path, self._ref.uri, external=self._options.external_paths)
        except TableRefused:
            return LiveFile(input=file, hidden=True)
        return LiveFile(input=file if key == path else replace(file, key=key), external=is_external(key))


def _state(snapshot: Snapshot) -> DeltaState:
    assert isinstance(snapshot.state, DeltaState)
    return snapshot.state


def _of_vain(found: VainRemoves) -> Finding:
    before = f", which version {', '.join(map(str, found.removed_by))} had already removed" if found.removed_by else ""
    why = f"{found.operation} by {found.engine} in version {found.version} removes {len(found.files):,} files that were not live{before}"
    if found.undone_by is not None:
        kind, why = FindingKind.UNDONE, f"{why}; version {found.undone_by} restored the table to one before that."
        advice = "Nothing is left to do, unless that operation was wanted: then repeat it."
    else:
        kind, why = FindingKind.REMOVED_TWICE, f"{why}: rows may be doubled, or deleted ones back."
        advice = f"Restore version {found.version - 1}, repeat that operation, and keep deltalake 1.6.4 to 1.6.6 away from the table."
    return Finding(
        kind=kind,
        why=why,
        advice=advice,
        files=(*found.files, *found.added)[:MOST_FILES],
        count=len(found.files),
        version=found.version,
        engine=found.engine,
        operation=found.operation,
        related=found.removed_by,
    )


def _of_checkpoint(fault: CheckpointFault) -> Finding:
    return Finding(
        kind=FindingKind.WRONG_CHECKPOINT,
        why=f"The checkpoint of version {fault.version} does not say what the log says: {fault.why}",
        advice="Readers that start from it see another table. Delete it and _last_checkpoint while the commits before it are there, and "
        "let a sound engine write a new one.",
        files=fault.files[:MOST_FILES],
        count=len(fault.files),
        version=fault.version,
    )


def _not_examined(why: str) -> Finding:
    return Finding(kind=FindingKind.NOT_EXAMINED, why=why, advice="Repair what the sentence names, and run doctor again.")
