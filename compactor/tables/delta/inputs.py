"""The planned files as workers need them: keys, sizes, deletion vectors. Looked up once for a whole plan, before anything is written.

A deletion vector that the log names but the store does not have is damage that concerns the table, not one group: it is found here, so
that nothing of such a table is touched. Data files are not looked for: that would cost a request a file, and reading them tells anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from compactor.errors import ConflictGaveUp, TableCorrupt
from compactor.model.plan import FileKey, Plan, RewriteGroup
from compactor.model.rewrite import Deletes, InputFile
from compactor.model.snapshot import Snapshot
from compactor.storage.base import ObjectStore
from compactor.tables.delta.actions import raw_adds
from compactor.tables.delta.loading import refresh
from compactor.tables.delta.materialised import constants, materialised
from compactor.tables.delta.paths import object_key
from compactor.tables.delta.row_tracking import keeps_row_ids, numbering
from compactor.tables.delta.salvage import live_rows
from compactor.tables.delta.state import DeltaState
from compactor.tables.delta.vectors import deletes_of

_LOOKS_IN_FLIGHT = 16


def planned_inputs(
    store: ObjectStore, snapshot: Snapshot, plan: Plan, *, external: bool = False
) -> Callable[[RewriteGroup], tuple[InputFile, ...]]:
    """A function from a group of `plan` to its files; `external`: some may lie outside the table's folder.

    Raises TableCorrupt when a deletion vector is missing, ConflictGaveUp when only because its file was replaced since, StorageError.
    """
    uri = snapshot.table.uri
    state = snapshot.state
    assert isinstance(state, DeltaState)
    tracked = keeps_row_ids(state.metadata, snapshot.features)
    planned = plan.inputs["file"] if tracked else plan.inputs["file"].filter(plan.inputs["deletes_id"].is_valid())
    looked_up: list[int] = planned.to_pylist()
    adds = dict(zip(looked_up, raw_adds(store, snapshot, looked_up) if looked_up else [], strict=True))
    deletes = {row: deletes_of(add["deletionVector"], uri, external=external) for row, add in adds.items() if add.get("deletionVector")}
    numbers = {row: numbering(add) for row, add in adds.items()} if tracked else {}
    inside = materialised(snapshot, state.metadata)
    _check_presence(store, snapshot, deletes)
    known = snapshot.files.select(["size_bytes", "rows"])

    def inputs_of(group: RewriteGroup) -> tuple[InputFile, ...]:
        rows = list(group.files)
        columns = known.take(rows).to_pydict()
        values = constants(snapshot, inside, group.partition_id)
        found = []
        for row, key, size, count in zip(rows, group.inputs, columns["size_bytes"], columns["rows"], strict=True):
            base, version = numbers.get(row, (None, None))
            where = object_key(key.path, uri, external=external)
            found.append(
                InputFile(
                    file=key,
                    key=where,
                    size_bytes=size,
                    rows=count,
                    deletes=deletes.get(row),
                    base_row_id=base,
                    row_version=version,
                    constants=values,
                )
            )
        return tuple(found)

    return inputs_of


def _check_presence(store: ObjectStore, snapshot: Snapshot, deletes: Mapping[int, Deletes]) -> None:
    keys = sorted({each.key for each in deletes.values() if each.key is not None})
    if not keys:
        return
    with ThreadPoolExecutor(min(_LOOKS_IN_FLIGHT, len(keys)), thread_name_prefix="vectors") as pool:
        missing = {key for key, found in zip(keys, pool.map(store.head, keys), strict=True) if found is None}
    if not missing:
        return
    some = snapshot.files.select(["path", "deletes_id"]).take([row for row, each in deletes.items() if each.key in missing]).to_pylist()
    files = [FileKey(path=file["path"], deletes_id=file["deletes_id"]) for file in some]
    if live_rows(refresh(store, snapshot), files):
        raise TableCorrupt(f"The deletion vector file {store.uri}/{min(missing)} is missing, although the log of the table needs it.")
    raise ConflictGaveUp(f"{files[0].path} was replaced while the run began, and its deletion vector is gone; nothing was done.")
