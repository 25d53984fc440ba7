"""A stored plan held against a later snapshot: what stands is executed as planned, what has drifted is named."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from support.planning_worlds import RESOURCES, WorldFile, plan_of, snapshot_of

from compactor.errors import TableRefused, UsageError
from compactor.model.plan import Resources, SavedPlan
from compactor.model.policy import MIB, Policy
from compactor.model.snapshot import Snapshot
from compactor.model.usage import Economy, Prices
from compactor.planning.artefact import decode, encode, save
from compactor.planning.cost import Assumptions
from compactor.planning.rebind import Rebound, rebind

POLICY = Policy(target_bytes=20_000)


def world() -> list[WorldFile]:
    """Three partitions of six small files: three groups."""
    return [WorldFile(path=f"{p}/{i}", size_bytes=1000 + i, partition=p, rows=10, modified_ms=i) for i in range(6) for p in "abc"]


def saved() -> SavedPlan:
    plan = save(plan_of(world(), POLICY), snapshot_of(world()))
    assert len(plan.plan) == 3
    return decode(encode(plan), "x")


def bound(files: list[WorldFile], resources: Resources = RESOURCES) -> Rebound:
    return rebind(saved(), snapshot_of(files), resources, Assumptions())


def test_an_unchanged_table_gets_the_plan_as_it_was() -> None:
    """Nothing drifted: the plan is the one that planning would make, bound to rows of the snapshot."""
    fresh = plan_of(world(), POLICY)
    found = bound(world())
    assert found.drifted == ()
    assert found.plan.groups.equals(fresh.groups)
    assert found.plan.inputs.equals(fresh.inputs)
    assert found.plan.prediction == fresh.prediction


def test_rows_of_a_later_snapshot_are_found() -> None:
    """New files, in new partitions, before and between: inputs and partitions are those of the later snapshot."""
    new = [WorldFile(path=f"0/{i}", size_bytes=10, partition="0", rows=1) for i in range(9)]
    files = [*new, *reversed(world())]
    found = bound(files)
    assert found.drifted == ()
    for group in found.plan:
        assert [files[row].path for row in group.files] == [key.path for key in group.inputs]
        assert {files[row].partition for row in group.files} == {found_partition(snapshot_of(files), group.partition_id)}


def found_partition(snapshot: Snapshot, partition_id: int) -> str | None:
    value = snapshot.partitions["p"][partition_id].as_py()
    assert value is None or isinstance(value, str)
    return value


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda file: None, "b/2 is no longer live in version 7."),
        (lambda file: replace(file, deleted_rows=1), "b/2 has had rows deleted since the plan was made."),
        (lambda file: replace(file, size_bytes=7), "b/2 has another size than when the plan was made."),
        (lambda file: replace(file, partition="a"), "Its files are no longer in one partition."),
    ],
    ids=["gone", "deleted from", "resized", "moved"],
)
def test_a_group_that_drifted_is_dropped_with_its_file(change: object, sentence: str) -> None:
    """One file changed: its group is dropped by its own id, the others stand under theirs."""
    assert callable(change)
    files = [changed for file in world() if (changed := change(file) if file.path == "b/2" else file) is not None]
    found = bound(files)
    number = next(group.group_id for group in saved().plan if group.inputs[0].path == "b/0")
    assert [(drop.group_id, drop.reason, drop.detail) for drop in found.drifted] == [(number, "drifted", sentence)]
    assert [group.group_id for group in found.plan] == [i for i in range(3) if i != number]
    for group in found.plan:
        assert found.plan.by_id(group.group_id) == group
        assert [files[row].path for row in group.files] == [key.path for key in group.inputs]
    assert found.plan.prediction.input_files == 12


def test_how_much_of_a_group_changed_is_said() -> None:
    """Three files gone: the first is named, the others are counted."""
    (drop,) = bound([file for file in world() if file.path not in ("a/1", "a/3", "a/5")]).drifted
    assert drop.detail == "a/1 is no longer live in version 7, and 2 more of its 6 files have changed."
    assert drop.file == "a/1"


def test_an_empty_table_leaves_nothing() -> None:
    """Every group drifts when every file is gone."""
    found = bound([])
    assert (len(found.plan), len(found.drifted)) == (0, 3)


def test_another_table_is_refused() -> None:
    """The id of the table decides, not its place."""
    with pytest.raises(TableRefused, match="is another one") as refused:
        rebind(saved(), replace(snapshot_of(world()), table_id="other"), RESOURCES, Assumptions())
    assert refused.value.reason == "other-table"


def test_a_file_planned_twice_is_refused() -> None:
    """A plan that would commit a file's rows twice is none, however it came about."""
    plan = saved()
    twice = plan.plan.inputs.take(pa.array([0, 0, *range(2, 18)]))
    with pytest.raises(UsageError, match="names a file twice"):
        rebind(replace(plan, plan=replace(plan.plan, inputs=twice)), snapshot_of(world()), RESOURCES, Assumptions())


def test_the_machine_and_the_log_know_better() -> None:
    """Memory is capped by the machine at hand; generations come from the log, so that no stored plan undercuts the bound."""
    files = [replace(file, generation=1) for file in world()]
    found = bound(files, Resources(parallelism=1, memory_bytes=2 * MIB))
    assert max(found.plan.groups["memory_bytes"].to_pylist()) == 2 * MIB
    assert found.plan.groups["generation"].to_pylist() == [2, 2, 2]


def test_predictions_are_made_anew() -> None:
    """Prices and regions of the machine that applies the plan count, not of the one that made it."""
    prices = Prices(
        name="x", currency="EUR", get_per_1000=1.0, put_per_1000=0.0, storage_per_gb_month=0.0, cross_region_per_gb=1e9, vcpu_hour=0.0
    )
    economy = Economy(prices=prices, crosses_regions=True, retention_s=60.0)
    usage = rebind(saved(), snapshot_of(world()), RESOURCES, Assumptions(economy=economy)).plan.prediction
    assert usage.cost is not None
    assert (usage.cost.currency, usage.cost.requests) == ("EUR", 18 / 1000)
    assert usage.cost.transfer == usage.cross_region_bytes == usage.input_bytes + usage.output_bytes
    assert (usage.held_bytes, usage.held_s) == (usage.input_bytes, 60.0)
