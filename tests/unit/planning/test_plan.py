"""Plans as tables: schemas, materialised groups, predictions, and a million files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from support.planning_worlds import WorldFile, plan_of, snapshot_of

from compactor.model.engine import EngineChoice
from compactor.model.plan import GROUPS_SCHEMA, INPUTS_SCHEMA, FileKey, GroupKind, Resources
from compactor.model.policy import MIB, Policy
from compactor.model.snapshot import FILES_SCHEMA, Snapshot, TableRef
from compactor.model.survey import FileFacts, RowGroupFacts, Survey
from compactor.model.usage import Economy, Prices, Usage
from compactor.planning.cost import Assumptions
from compactor.planning.plan import plan

TARGET = 100 * MIB
MERGE = [WorldFile(path=f"f{i}", size_bytes=20 * MIB, rows=100, modified_ms=i) for i in range(5)]


def test_tables_have_their_schemas() -> None:
    """Groups and inputs carry exactly the schemas of the model, also when there is nothing in them."""
    for files in (MERGE, []):
        planned = plan_of(files, Policy(target_bytes=TARGET))
        assert planned.groups.schema.equals(GROUPS_SCHEMA) and planned.inputs.schema.equals(INPUTS_SCHEMA)
        assert planned.reasons.type == pa.string() and len(planned.reasons) == len(files)


def test_a_group_names_its_inputs() -> None:
    """A materialised group holds rows of the snapshot and the identities of its files, deletes included."""
    files = [*MERGE[:4], WorldFile(path="d", size_bytes=20 * MIB, rows=100, deleted_rows=50, modified_ms=9)]
    (group,) = plan_of(files, Policy(target_bytes=TARGET))
    assert group.files == (0, 1, 2, 3, 4)
    assert group.inputs == (*(FileKey(path=f"f{i}") for i in range(4)), FileKey(path="d", deletes_id="dv-d"))
    assert (group.kind, group.input_rows, group.output_bytes) == (GroupKind.MERGE, 450, 90 * MIB)


def test_prediction_follows_its_assumptions() -> None:
    """Compression shrinks the outputs and so changes what is packed; throughput and requests make the seconds."""
    assumed = Assumptions(compression=0.5, bytes_per_s=10.0 * MIB, request_s=0.0, part_bytes=16 * MIB)
    resources = Resources(parallelism=1, memory_bytes=1024 * MIB)
    planned = plan(snapshot_of(MERGE * 2), Survey(), Policy(target_bytes=TARGET), resources, assumptions=assumed)
    assert planned.prediction.output_bytes == 100 * MIB and planned.prediction.output_files == 1
    assert planned.prediction.seconds == 20.0
    assert planned.prediction.requests == 10 * (1 + 2) + (2 + 7)


def test_reading_outputs_again_is_predicted() -> None:
    """A full proof reads every output once more: its requests, bytes, seconds and money are in the prediction, and none at `counts`."""
    prices = dict.fromkeys(("put_per_1000", "storage_per_gb_month", "cross_region_per_gb", "vcpu_hour"), 0.0)
    economy = Economy(prices=Prices(name="test", currency="EUR", get_per_1000=1.0, **prices), crosses_regions=True)
    counts = Assumptions(economy=economy, columns=3)
    full = replace(counts, proof="full", proof_bytes_per_s=1.0 * MIB)
    small = [WorldFile(path=f"s{i}", size_bytes=5 * MIB, rows=100, modified_ms=i) for i in range(6)]
    for files, again in ((small, 1), (MERGE * 2, 1 + 8 * 3 + 25)):
        one, other = (_predicted(files, assumed) for assumed in (counts, full))
        assert (one.proof_requests, one.proof_bytes) == (0, 0)
        assert (other.proof_requests, other.proof_bytes) == (again, one.output_bytes)
        assert other.read_requests - one.read_requests == other.requests - one.requests == again
        assert other.seconds - one.seconds == pytest.approx(one.output_bytes / MIB + again * full.request_s)
        assert other.cross_region_bytes - one.cross_region_bytes == one.output_bytes
        assert other.cost is not None and one.cost is not None
        assert other.cost.requests - one.cost.requests == pytest.approx(again / 1000)


def _predicted(files: list[WorldFile], assumed: Assumptions) -> Usage:
    resources = Resources(parallelism=1, memory_bytes=1024 * MIB)
    return plan(snapshot_of(files), Survey(), Policy(target_bytes=200 * MIB), resources, assumptions=assumed).prediction


def test_memory_stays_within_what_a_task_may_use() -> None:
    """A group's memory is never above the bound, and a small group asks for less."""
    files = [WorldFile(path="big", size_bytes=4096 * MIB, rows=10**6), *MERGE]
    huge = RowGroupFacts(rows=10**6, compressed_bytes=1, uncompressed_bytes=2**34)
    facts = FileFacts(path="big", row_groups=(huge,), largest_chunk_bytes=1)
    resources = Resources(parallelism=2, memory_bytes=256 * MIB)
    planned = plan(snapshot_of(files), Survey(files={"big": facts}), Policy(target_bytes=TARGET), resources)
    assert 100 * MIB < max(g.memory_bytes for g in planned) == planned.prediction.peak_memory_bytes <= 256 * MIB
    small = plan_of([WorldFile(path=f"s{i}", size_bytes=1000, rows=1, modified_ms=i) for i in range(5)], Policy(target_bytes=TARGET))
    assert small.prediction.peak_memory_bytes < 40 * MIB


def test_a_surveyed_row_group_replaces_the_estimate() -> None:
    """Where a footer was read, the decoded size of its largest row group counts, and not a guess from the file's size."""
    files = [WorldFile(path="big", size_bytes=500 * MIB, rows=10**6)]

    def memory(decoded: int) -> int:
        groups = (RowGroupFacts(rows=10**6, compressed_bytes=1, uncompressed_bytes=decoded),)
        survey = Survey(files={"big": FileFacts(path="big", row_groups=groups, largest_chunk_bytes=1)})
        resources = Resources(parallelism=1, memory_bytes=2**40)
        return plan(snapshot_of(files), survey, Policy(target_bytes=TARGET), resources).prediction.peak_memory_bytes

    assert memory(5 * MIB) < memory(20 * MIB) < memory(2**31) == memory(2**32)


def test_files_of_one_instant_are_ordered_by_path() -> None:
    """File order is (modified_ms, path), also when a snapshot's rows come otherwise and all files are of one instant."""
    files = [WorldFile(path=f"f{i}", size_bytes=20 * MIB, rows=100) for i in (4, 3, 2, 1, 0)]
    (group,) = plan_of(files, Policy(target_bytes=TARGET))
    assert [f.path for f in group.inputs] == ["f0", "f1", "f2", "f3", "f4"] and group.files == (4, 3, 2, 1, 0)


def test_the_target_in_force_may_be_the_tables() -> None:
    """A target passed to plan() wins and is what the plan records."""
    resources = Resources(parallelism=1, memory_bytes=MIB)
    planned = plan(snapshot_of(MERGE), Survey(), Policy(), resources, target_bytes=20 * MIB)
    assert planned.target_bytes == 20 * MIB and len(planned) == 0


def test_generations_stop_at_the_columns_limit() -> None:
    """A generation that no longer fits its column stays at the largest that does."""
    files = [WorldFile(path="old", size_bytes=TARGET, rows=10, deleted_rows=9, generation=32767)]
    (group,) = plan_of(files, Policy(target_bytes=TARGET))
    assert group.generation == 32767


def test_a_million_files() -> None:
    """A million files in a hundred thousand partitions are planned without a Python object a file, in bins of whole partitions."""
    count, partitions = 1_000_000, 100_000
    ids = np.arange(count) % partitions
    zeros = np.zeros(count, dtype=np.int64)
    columns = {
        "path": pa.array(np.char.add("part-", np.char.zfill(np.arange(count).astype(str), 9))),
        "size_bytes": 1000 + np.arange(count) % 777,
        "rows": zeros + 10,
        "deleted_rows": zeros,
        "deletes_id": pa.nulls(count, pa.string()),
        "partition_id": ids.astype(np.int32),
        "modified_ms": np.arange(count) // 100,
        "landed_ms": zeros,
        "generation": zeros.astype(np.int16),
        "finished_for_bytes": pa.nulls(count, pa.int64()),
        "encode_debt_bytes": pa.nulls(count, pa.int64()),
        "clustered": zeros.astype(bool),
        "source": zeros.astype(np.int32),
        "source_row": zeros,
    }
    snapshot = Snapshot(
        table=TableRef(uri="memory://big"),
        version=1,
        table_id="big",
        properties={},
        features=frozenset(),
        partition_columns=(),
        partitions=pa.table({"p": [str(i) for i in range(partitions)]}),
        files=pa.table(columns, schema=FILES_SCHEMA),
    )
    planned = plan(snapshot, Survey(), Policy(target_bytes=10_000), Resources(parallelism=2, memory_bytes=2**30))
    assert len(planned) == partitions and planned.left_out == ()
    assert planned.groups["input_files"].unique().to_pylist() == [10]
    assert planned.prediction.input_files == count


@pytest.mark.parametrize("why", [None, "kernels"])
def test_what_will_be_merged_is_predicted(why: str | None) -> None:
    """Small files without deleted rows are merged, in less time, where nothing stands against it; the others' bytes have their reasons."""
    small = [WorldFile(path=f"s{i}", size_bytes=2 * MIB, rows=100, modified_ms=i) for i in range(20)]
    masked = [WorldFile(path="d", size_bytes=2 * MIB, rows=100, deleted_rows=1, modified_ms=30)]
    mid = [WorldFile(path="m", size_bytes=18 * MIB, rows=100, modified_ms=31)]
    resources = Resources(parallelism=1, memory_bytes=1024 * MIB)
    assumed = Assumptions(engine=EngineChoice(mode="auto"), not_merged=why)
    planned = plan(snapshot_of([*small, *masked, *mid]), Survey(), Policy(target_bytes=TARGET), resources, assumptions=assumed)
    merged = 0 if why else 40 * MIB
    assert planned.prediction.merged_bytes == planned.groups["merged_bytes"].to_pylist()[0] == merged
    assert dict(planned.not_copied) == ({"kernels": 58 * MIB, "deletes": 2 * MIB} if why else {"large": 18 * MIB, "deletes": 2 * MIB})
    taken = (60 * MIB - merged) / assumed.bytes_per_s + merged / assumed.merged_bytes_per_s
    assert planned.prediction.seconds == pytest.approx(taken + planned.prediction.requests * assumed.request_s)


def test_files_in_which_outputs_end_are_not_merged() -> None:
    """A file of more than half an output is divided, so its rows are decoded."""
    files = [WorldFile(path="large", size_bytes=10 * MIB, rows=100, modified_ms=0)]
    assumed = Assumptions(engine=EngineChoice(mode="auto"), not_merged=None)
    resources = Resources(parallelism=1, memory_bytes=1024 * MIB)
    planned = plan(snapshot_of(files), Survey(), Policy(target_bytes=2 * MIB), resources, assumptions=assumed)
    assert planned.groups["output_files"].to_pylist() == [5]
    assert (planned.prediction.merged_bytes, dict(planned.not_copied)) == (0, {"large": 10 * MIB})
