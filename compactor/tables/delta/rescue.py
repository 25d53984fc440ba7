"""Saves a group whose inputs lost rows to others while it was rewritten: the rows that they deleted are deleted in its outputs too. And one
whose table lost columns: its rows are proven once more, as they are without them.

Judged by what is live at the version to build on, never by single winners, and from the inputs as they were read, so that every attempt is
computed anew. Proven as a whole: live inputs with their deletes must hold the rows of the outputs with theirs, read from the store. Then
vectors are written as files below the table's root, and nothing else. Those of an attempt that lost go with the run, as its outputs do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from pyroaring import BitMap64

from compactor.errors import ObjectMissing, StorageError, StorageUnavailable, TableCorrupt, TableRefused
from compactor.model.commit import CommitRequest, FinishedGroup
from compactor.model.fingerprint import Fingerprint
from compactor.model.plan import FileKey
from compactor.model.positions import FRAME_BYTES, unframe, unpack
from compactor.model.rewrite import OutputFile
from compactor.model.snapshot import Snapshot
from compactor.model.verification import ReadFiles
from compactor.storage.base import ObjectStore
from compactor.tables.delta.actions import raw_adds
from compactor.tables.delta.iceberg import compat_version
from compactor.tables.delta.masking import Source, inline_vector, masks, vector_file
from compactor.tables.delta.paths import encode_path
from compactor.tables.delta.rewrites import as_rewrite
from compactor.tables.delta.row_tracking import keeps_row_ids, numbering
from compactor.tables.delta.salvage import Rescued, rows_of
from compactor.tables.delta.state import Action, DeltaState
from compactor.tables.delta.vectors import deletes_of

ENABLED = "delta.enableDeletionVectors"
_FAILURES = (TableCorrupt, TableRefused, StorageError, ValueError, MemoryError)

Live = Mapping[FileKey, tuple[FileKey, Action]]
"""Of inputs as they were read: how each is live now, and its raw add. Those that are gone are not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescuer:
    """Rescues groups of one request. read: the raw adds of all inputs as they were read; prove: reads files, None where nobody can."""

    store: ObjectStore
    request: CommitRequest
    read: Mapping[FileKey, Action]
    prove: ReadFiles | None

    def rescue(self, group_id: int, target: Snapshot) -> Rescued | str:
        """The group as it can be committed on `target`, or why it cannot, in words; no words where the table knows no such deletes.

        Raises StorageUnavailable: that is no fault of the group, which may be saved later.
        """
        ratio = self.request.max_deleted_ratio
        if ratio is None or self.request.purge or not _possible(target):
            return ""
        try:
            return self._rescued(self._group(group_id), target, ratio)
        except StorageUnavailable:
            raise
        except _FAILURES as error:
            return f"its deletes could not be followed: {error}"

    def reproven(self, group: Rescued, target: Snapshot) -> Rescued | str:
        """The group, or what was saved of it, with the fingerprint that its rows have at `target`, where columns were dropped since it was
        read; or why it cannot be had, in words. A purge does not leave such columns in its outputs."""
        if self.request.purge:
            return "it was to be purged"
        try:
            return self._proven(group, target)
        except _FAILURES as error:
            return f"its rows could not be proven once more: {error}"

    def _group(self, group_id: int) -> FinishedGroup:
        return next(group for group in self.request.groups if group.result.group_id == group_id)

    def _rescued(self, group: FinishedGroup, target: Snapshot, ratio: float) -> Rescued | str:
        rows = rows_of(target, {key.path for key in group.inputs})
        live = _live(self.store, target, group.inputs, rows)
        changed = self._changed(live, target)
        if changed is not None:
            return changed
        if not live:
            return "all of its rows are deleted now"
        found = masks(group.result, [self._source(key, live.get(key), target) for key in group.inputs], ratio)
        if isinstance(found, str):
            return found
        pairs = list(zip(group.result.outputs, found, strict=True))
        vectors = tuple(inline_vector(mask) if len(mask) else None for mask in found)
        if not _counts_agree(target, rows, sum(output.rows - len(mask) for output, mask in pairs)):
            return "its rows by the log are not those that its outputs would have"
        adds = dict(live.values())
        rescued = Rescued(
            group=replace(group, inputs=tuple(key for key, _ in live.values())),
            adds=adds,
            vectors=vectors,
            rows=sum(map(len, found)),
        )
        proven = self._proven(rescued, target)
        return proven if isinstance(proven, str) else replace(proven, vectors=tuple(self._stored(pairs)))

    def _stored(self, pairs: Sequence[tuple[OutputFile, BitMap64]]) -> Iterator[Action | None]:
        """The descriptors of vectors that are in the store now. Raises StorageError."""
        for output, mask in pairs:
            if not len(mask):
                yield None
                continue
            file = vector_file(mask, output.key)
            self.store.put(file.key, file.data)
            yield file.descriptor

    def _changed(self, live: Live, target: Snapshot) -> str | None:
        """What else is different about an input than its deletes."""
        state = target.state
        assert isinstance(state, DeltaState)
        tracked = keeps_row_ids(state.metadata, target.features)
        for key, (_, add) in live.items():
            before = self.read[key]
            if tracked and numbering(before) != numbering(add):
                return f"{key.path} was given other row ids"
            if (before.get("partitionValues") or {}) != (add.get("partitionValues") or {}):
                return f"{key.path} was given other partition values"
        return None

    def _source(self, key: FileKey, live: tuple[FileKey, Action] | None, target: Snapshot) -> Source:
        read = self._positions(self.read[key], target)
        if live is None:
            return Source(read=read, now=None)
        now, add = live
        return Source(read=read, now=read if now == key else self._positions(add, target))

    def _positions(self, add: Action, target: Snapshot) -> BitMap64:
        """The deleted rows of a file. Raises ValueError, TableCorrupt, TableRefused, StorageError."""
        vector = add.get("deletionVector")
        if not vector:
            return BitMap64()
        deletes = deletes_of(vector, target.table.uri)
        if deletes.inline is not None or deletes.key is None:
            return unpack(deletes.inline or b"", deletes.cardinality, "the log")
        try:
            (framed,) = self.store.get_ranges(deletes.key, [(deletes.offset, deletes.size_bytes + FRAME_BYTES)])
        except ObjectMissing as error:
            raise TableCorrupt(f"The deletion vector file {self.store.uri}/{deletes.key} is missing.") from error
        return unpack(unframe(framed, deletes.size_bytes, deletes.key), deletes.cardinality, deletes.key)

    def _proven(self, rescued: Rescued, target: Snapshot) -> Rescued | str:
        """The group with the fingerprint of the rows that are left, where it was proven by rows."""
        result = rescued.group.result
        if result.fingerprint is None:
            return rescued
        if self.prove is None:
            return "nobody can prove its rows now"
        values = next(iter(rescued.adds.values())).get("partitionValues") or {}
        outputs = [
            {"path": encode_path(output.key), "partitionValues": values, "size": output.size_bytes}
            | ({} if vector is None else {"deletionVector": vector})
            for output, vector in zip(result.outputs, rescued.vectors, strict=True)
        ]
        rewrite = as_rewrite(target, list(rescued.adds.values()), outputs)
        readings = dict(self.prove(rewrite.read, [file.input for file in rewrite.files]))
        sides = {True: Fingerprint(), False: Fingerprint()}
        for i, file in enumerate(rewrite.files):
            reading = readings[i]
            if not isinstance(reading, Fingerprint):
                return f"{file.input.file.path} could not be read to prove its rows"
            sides[file.added] += reading
        if sides[True] != sides[False]:
            return "its outputs without the rows deleted since do not hold the rows of its inputs"
        return replace(rescued, group=replace(rescued.group, result=replace(result, fingerprint=sides[True])))


def _possible(target: Snapshot) -> bool:
    """Whether rows may be deleted by vectors at this version."""
    state = target.state
    assert isinstance(state, DeltaState)
    enabled = target.properties.get(ENABLED, "false").strip().lower() == "true"
    return enabled and "deletionVectors" in target.features and compat_version(state.metadata, target.features) is None


def _live(store: ObjectStore, target: Snapshot, keys: Sequence[FileKey], rows: pa.Array) -> Live:
    """For each of the files that is live, whatever its deletes now: how it is live, and its raw add. rows: of their paths in `target`."""
    some = target.files.select(["path", "deletes_id"]).take(rows).to_pydict()
    now = [FileKey(path=path, deletes_id=deletes) for path, deletes in zip(some["path"], some["deletes_id"], strict=True)]
    adds = raw_adds(store, target, rows.to_pylist()) if now else []
    by_path = {key.path: (key, add) for key, add in zip(now, adds, strict=True)}
    return {key: by_path[key.path] for key in keys if key.path in by_path}


def _counts_agree(target: Snapshot, live: pa.Array, rows: int) -> bool:
    """Whether the log, where it counts rows, counts as many in these live files as outputs will show."""
    some = target.files.take(live)
    counts = pc.subtract(some["rows"], some["deleted_rows"]).to_pylist()
    return None in counts or sum(counts) == rows
