"""Which planned files a newer version still has, as they were planned. Pure and columnar."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from compactor.model.plan import FileKey, Plan
from compactor.model.snapshot import Snapshot


def first_gone(snapshot: Snapshot, keys: Sequence[FileKey]) -> FileKey | None:
    """The first of these files that is not live in `snapshot` with the same deletes; None when all are."""
    column = snapshot.files["path"]
    rows = pc.indices_nonzero(pc.is_in(column, value_set=pa.array([key.path for key in keys], column.type)))
    found = snapshot.files.select(["path", "deletes_id"]).take(rows).to_pydict()
    live = set(zip(found["path"], found["deletes_id"], strict=True))
    return next((key for key in keys if (key.path, key.deletes_id) not in live), None)


def paths_gone(snapshot: Snapshot, plan: Plan) -> frozenset[str]:
    """Paths of planned files that are not live in `snapshot`, whatever their deletes."""
    planned = plan.inputs["path"]
    there = pc.is_in(planned, value_set=snapshot.files["path"].combine_chunks().cast(planned.type))
    return frozenset(planned.filter(pc.invert(there)).to_pylist())
