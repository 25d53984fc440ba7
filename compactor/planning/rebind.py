"""A stored plan meets the table as it is now: which of its groups still stand, file by file, and what has drifted. Pure and columnar.

A group stands when each of its files is live with the same deletes and the same size, in one partition. What stands is executed exactly as
planned; the rest is dropped with a sentence that names the file. Nothing of the stored plan is believed that the snapshot can tell better:
partition, row of the snapshot and generation come from there, and memory is what the machine at hand allows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compactor.errors import TableRefused, UsageError
from compactor.model.plan import GROUPS_SCHEMA, INPUTS_SCHEMA, Plan, Resources, SavedPlan
from compactor.model.rewrite import GroupDropped
from compactor.model.snapshot import Snapshot
from compactor.planning.columns import Bools, Int64s, named_partitions, positions_in
from compactor.planning.cost import Assumptions
from compactor.planning.groups import reduce_runs
from compactor.planning.predict import predict

DRIFTED = "drifted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebound:
    """`plan`: the groups that still stand, under their own ids, bound to the snapshot. `drifted`: the others."""

    plan: Plan
    drifted: tuple[GroupDropped, ...]


def rebind(saved: SavedPlan, snapshot: Snapshot, resources: Resources, assumed: Assumptions) -> Rebound:
    """Bind a stored plan to the snapshot of its table, wherever that is reached now.

    Raises TableRefused when it was made for another table, UsageError when it names a file twice.
    """
    if saved.table_id != snapshot.table_id:
        raise TableRefused(
            f"The plan is for the table {saved.table_id} (made at {saved.plan.table.uri}), and {snapshot.table.uri} is another one.",
            reason="other-table",
        )
    inputs, groups = saved.plan.inputs, saved.plan.groups
    keys = _keys(inputs)
    if pc.count_distinct(keys).as_py() != inputs.num_rows:
        raise UsageError("The plan names a file twice; plan again.")
    row = _rows_of(snapshot.files, keys)
    live = row >= 0
    same_size = live & (_live(snapshot, "size_bytes", row) == _column(inputs, "size_bytes"))
    starts = _column(groups, "first_input")
    partition = _live(snapshot, "partition_id", row)
    split = reduce_runs(np.maximum, partition, starts) != reduce_runs(np.minimum, partition, starts)
    stands = (reduce_runs(np.minimum, same_size, starts) > 0) & ~split
    drifted = tuple(_why(saved, snapshot, index, live, same_size) for index in np.flatnonzero(~stands).tolist())
    return Rebound(plan=_standing(saved, snapshot, stands, row, resources, assumed), drifted=drifted)


def _standing(saved: SavedPlan, snapshot: Snapshot, stands: Bools, row: Int64s, resources: Resources, assumed: Assumptions) -> Plan:
    groups, inputs = saved.plan.groups, saved.plan.inputs
    counts = _column(groups, "input_files")
    kept = np.repeat(stands, counts)
    starts = _column(groups, "first_input")
    generation = np.minimum(reduce_runs(np.maximum, _live(snapshot, "generation", row), starts) + 1, np.iinfo(np.int16).max)
    columns = {
        "partition_id": _live(snapshot, "partition_id", row[starts])[stands],
        "first_input": np.cumsum(counts[stands]) - counts[stands],
        "memory_bytes": np.minimum(_column(groups, "memory_bytes"), resources.memory_bytes)[stands],
        "generation": generation[stands],
    }
    standing = groups.filter(pa.array(stands))
    for name, values in columns.items():
        at = GROUPS_SCHEMA.get_field_index(name)
        standing = standing.set_column(at, GROUPS_SCHEMA.field(at), pa.array(values).cast(GROUPS_SCHEMA.field(at).type))
    files = inputs.filter(pa.array(kept)).set_column(0, INPUTS_SCHEMA.field("file"), pa.array(row[kept]))
    return replace(
        saved.plan,
        table=snapshot.table,
        version=snapshot.version,
        groups=standing.combine_chunks(),
        inputs=files.combine_chunks(),
        prediction=predict(standing, resources.parallelism, assumed),
        partitions=named_partitions(snapshot),
    )


def _rows_of(files: pa.Table, keys: pa.ChunkedArray) -> Int64s:
    """For each key the row of the live file that has it, or -1."""
    at, which = positions_in(_keys(files), keys.to_pylist())
    rows = np.full(len(keys), -1, dtype=np.int64)
    rows[which] = at
    return rows


def _keys(files: pa.Table) -> pa.ChunkedArray:
    """Path and identity of the deletes, as one string."""
    return pc.binary_join_element_wise(files["path"], pc.fill_null(files["deletes_id"], ""), "\n")


def _live(snapshot: Snapshot, name: str, row: Int64s) -> Int64s:
    """A column of the live files at these rows, -1 for row -1."""
    return np.append(_column(snapshot.files, name), -1)[row]


def _column(table: pa.Table, name: str) -> Int64s:
    values: Int64s = table[name].to_numpy().astype(np.int64, copy=False)
    return values


def _why(saved: SavedPlan, snapshot: Snapshot, index: int, live: Bools, same_size: Bools) -> GroupDropped:
    """What is wrong with a group, by its first file that is not as planned."""
    group = saved.plan.group(index)
    first = saved.plan.groups["first_input"][index].as_py()
    wrong = np.flatnonzero(~same_size[first : first + len(group.inputs)]).tolist()
    if not wrong:
        return GroupDropped(group_id=group.group_id, reason=DRIFTED, detail="Its files are no longer in one partition.")
    path = group.inputs[wrong[0]].path
    rest = f", and {len(wrong) - 1:,} more of its {len(group.inputs):,} files have changed" if len(wrong) > 1 else ""
    if live[first + wrong[0]]:
        problem = "has another size than when the plan was made"
    elif pc.any(pc.equal(snapshot.files["path"], path)).as_py():
        problem = "has had rows deleted since the plan was made"
    else:
        problem = f"is no longer live in version {snapshot.version}"
    return GroupDropped(group_id=group.group_id, reason=DRIFTED, detail=f"{path} {problem}{rest}.", file=path)
