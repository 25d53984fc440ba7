"""DeltaTable: inputs for workers, gate, target size, history."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.delta_tables import HandTable, append, make_table, mask_rows, remove_files, vector_bytes, write_checkpoint

from compactor.ambient import VirtualClock, system_ambient
from compactor.errors import TableCorrupt, TableRefused
from compactor.model.plan import GROUPS_SCHEMA, INPUTS_SCHEMA, Plan, Prediction
from compactor.model.policy import Policy
from compactor.model.rewrite import InputFile
from compactor.model.snapshot import Snapshot, TableRef
from compactor.storage.local import LocalStore
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.tables.delta.options import DeltaOptions
from compactor.tables.delta.table import DeltaTable
from compactor.tables.delta.vectors import deletes_of

ROWS = pa.table({"a": pa.array(range(12), pa.int64()), "p": pa.array(["x y%", "é", None] * 4)})


class S3Like(MemoryStore):
    """A store in memory that calls itself S3."""

    @property
    def uri(self) -> str:
        return "s3://bucket/t"


def on_s3(table: HandTable, **options: Any) -> DeltaTable:
    store = S3Like(MemoryBucket("s3", VirtualClock()), "t")
    for file in sorted(table.root.rglob("*")):
        if file.is_file():
            store.put(str(file.relative_to(table.root)), file.read_bytes())
    return DeltaTable(TableRef(uri=store.uri), store, system_ambient(), DeltaOptions(**options))


def on_disk(table: HandTable, **options: Any) -> DeltaTable:
    return DeltaTable(TableRef(uri=table.uri), LocalStore(table.uri), system_ambient(), DeltaOptions(**options))


def plan_of(snapshot: Snapshot, rows: list[int]) -> Plan:
    """A plan of one group with these rows."""
    files = snapshot.files.take(rows)
    count = len(rows)
    columns = {name: files[name] for name in ("path", "deletes_id", "size_bytes", "rows", "deleted_rows")}
    inputs = pa.table({"file": pa.array(rows, pa.int64()), **columns}, schema=INPUTS_SCHEMA)
    group = {
        "group_id": 0, "kind": "merge", "partition_id": 0, "first_input": 0, "input_files": count, "input_bytes": 0, "input_rows": None,
        "output_files": 1, "output_bytes": 0, "memory_bytes": 0, "finishes": False, "generation": 1,
    }  # fmt: skip
    groups = pa.Table.from_pylist([group], schema=GROUPS_SCHEMA)
    return Plan(
        table=snapshot.table, version=snapshot.version, policy=Policy(), target_bytes=1, groups=groups, inputs=inputs,
        reasons=pa.nulls(snapshot.files.num_rows, pa.string()), left_out=(), prediction=Prediction(),
    )  # fmt: skip


def inputs_of(opened: DeltaTable, snapshot: Snapshot, rows: list[int]) -> tuple[InputFile, ...]:
    plan = plan_of(snapshot, rows)
    return opened.inputs(snapshot, plan)(plan.group(0))


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize(("storage", "prefix"), [("u", ""), ("u", "ab"), ("i", ""), ("p", "")])
def test_inputs_are_what_a_worker_can_open(storage: Any, prefix: str, checkpointed: bool, tmp_path: Path) -> None:
    """Keys are real object names and deletes point at the right bytes, whatever form the descriptor has."""
    table = make_table(tmp_path / "t", ROWS, partition_by=["p"], features=["deletionVectors"])
    masked = mask_rows(table, table.live()[1], [0, 1, 3], storage, prefix)
    if checkpointed:
        write_checkpoint(table)
    opened = on_disk(table)
    snapshot = opened.load()
    row = next(i for i, f in enumerate(snapshot.files.to_pylist()) if f["deletes_id"] is not None)
    other = (row + 1) % snapshot.files.num_rows
    inputs = inputs_of(opened, snapshot, [other, row])
    store = LocalStore(table.uri)
    for one in inputs:
        assert len(store.get(one.key)) == one.size_bytes
    assert (inputs[0].deletes, inputs[1].rows) == (None, 4)
    deletes = inputs[1].deletes
    assert deletes is not None
    assert deletes.cardinality == 3
    if deletes.inline is not None:
        found = deletes.inline
    else:
        assert deletes.key is not None
        size, found = store.get_ranges(deletes.key, [(deletes.offset, 4), (deletes.offset + 4, deletes.size_bytes)])
        assert int.from_bytes(bytes(size), "big") == deletes.size_bytes
    assert bytes(found) == vector_bytes([0, 1, 3])
    assert masked["path"] == inputs[1].file.path


def test_a_missing_vector_file_is_corruption(tmp_path: Path) -> None:
    """A deletion vector file that is gone is found when the inputs are looked up, before anything is read or written."""
    table = make_table(tmp_path / "t", ROWS, features=["deletionVectors"])
    mask_rows(table, table.live()[0], [0])
    next(table.root.glob("*.bin")).unlink()
    opened = on_disk(table)
    with pytest.raises(TableCorrupt, match="deletion vector file"):
        inputs_of(opened, opened.load(), [0])


@pytest.mark.parametrize(
    "vector",
    [
        {"storageType": "u", "pathOrInlineDv": "short", "sizeInBytes": 1, "cardinality": 1},
        {"storageType": "u", "pathOrInlineDv": "§" * 20, "sizeInBytes": 1, "cardinality": 1},
        {"storageType": "u", "pathOrInlineDv": "#" * 20, "sizeInBytes": 1, "cardinality": 1},
        {"storageType": "u", "pathOrInlineDv": "../" + "0" * 20, "sizeInBytes": 1, "cardinality": 1},
        {"storageType": "i", "pathOrInlineDv": "abc", "sizeInBytes": 1, "cardinality": 1},
        {"storageType": "x", "pathOrInlineDv": "", "sizeInBytes": 1, "cardinality": 1},
        {"storageType": "i", "pathOrInlineDv": "00000"},
        {"storageType": "u", "pathOrInlineDv": "0" * 20, "offset": 1, "sizeInBytes": -5, "cardinality": 1},
        {"storageType": "u", "pathOrInlineDv": "0" * 20, "offset": -1, "sizeInBytes": 5, "cardinality": 1},
    ],
)
def test_malformed_vectors_are_corrupt(vector: dict[str, Any]) -> None:
    """A descriptor that cannot be understood is corruption, never a guess."""
    with pytest.raises(TableCorrupt):
        deletes_of(vector, "s3://b/t")


def test_a_vector_outside_the_table_is_refused() -> None:
    """An absolute vector path must lie below the root."""
    with pytest.raises(TableRefused):
        deletes_of({"storageType": "p", "pathOrInlineDv": "s3://other/x.bin", "sizeInBytes": 1, "cardinality": 1}, "s3://b/t")


SPARK = "Apache-Spark/3.5.3 Delta-Lake/3.2.1"


@pytest.mark.parametrize("engine", [SPARK, "Databricks-Runtime/15.4.x-scala2.12"])
@pytest.mark.parametrize("hidden", [False, True])
def test_spark_on_s3_needs_a_choice(engine: str, hidden: bool, tmp_path: Path) -> None:
    """A Spark writer in the retained log refuses the table on S3 until an arbiter is named, also where its commits are old."""
    table = make_table(tmp_path / "t", ROWS)
    table.engine = engine
    append(table, ROWS)
    table.engine = None
    if hidden:
        write_checkpoint(table)
    append(table, ROWS)
    opened = on_s3(table)
    refusals = opened.gate(opened.load()).refusals
    assert [r.reason for r in refusals] == ["arbiter:unclear"]
    assert "--arbiter conditional-put" in refusals[0].why
    assert engine in refusals[0].why
    chosen = on_s3(table, arbiter="conditional-put")
    assert chosen.gate(chosen.load()).refusals == ()
    local = on_disk(table).gate(on_disk(table).load())
    assert (local.refusals, [w.code for w in local.warnings]) == ((), ["spark-on-disk"])


def test_a_large_commit_is_searched_at_both_ends(tmp_path: Path) -> None:
    """The writer of a large old commit is found, wherever its commitInfo stands, without its actions being read."""
    table = make_table(tmp_path / "t", ROWS)
    add = table.live()[0]
    table.commit([{"add": {**add, "path": f"f{i}"}} for i in range(400)])
    entry = table.log / f"{1:020d}.json"
    first, *rest = entry.read_text().splitlines()
    last = json.dumps({"commitInfo": {**json.loads(first)["commitInfo"], "engineInfo": SPARK}})
    entry.write_text("\n".join([*rest, last]) + "\n")
    assert entry.stat().st_size > 64 * 1024
    write_checkpoint(table)
    append(table, ROWS)
    opened = on_s3(table)
    assert [r.reason for r in opened.gate(opened.load()).refusals] == ["arbiter:unclear"]


def test_a_dynamodb_arbiter_in_use_refuses(tmp_path: Path) -> None:
    """Entries below _delta_log/.tmp mean that DynamoDB decides: the table is refused on S3 even with conditional-put chosen."""
    table = make_table(tmp_path / "t", ROWS)
    staged = table.log / ".tmp"
    staged.mkdir()
    (staged / f"{1:020d}.json.abc").write_text("{}")
    opened = on_s3(table, arbiter="conditional-put")
    assert [r.reason for r in opened.gate(opened.load()).refusals] == ["arbiter:dynamodb"]
    assert on_disk(table).gate(on_disk(table).load()).refusals == ()


@pytest.mark.parametrize(("engine", "named"), [("delta-rs:py-1.6.4", True), ("delta-rs:py-1.6.6", True), ("delta-rs:py-1.6.3", False),
                                               ("delta-rs:py-1.6.7", False), ("delta-rs:py-1.6.60", False)])  # fmt: skip
def test_rivals_are_named(engine: str, named: bool, tmp_path: Path) -> None:
    """deltalake 1.6.4 to 1.6.6 gives a warning by name, or refuses the table when so configured."""
    table = make_table(tmp_path / "t", ROWS)
    table.engine = engine
    append(table, ROWS)
    warned = on_disk(table).gate(on_disk(table).load())
    assert [(w.code, engine in w.message) for w in warned.warnings] == [("rivals", True)] * named
    refused = on_disk(table, rivals="refuse").gate(on_disk(table).load())
    assert [r.reason for r in refused.refusals] == ["rivals"] * named


@pytest.mark.parametrize("path", ["/elsewhere/x.parquet", "s3://other/t/x.parquet", "a/%2e%2e/%2E%2E/x.parquet"])
def test_files_outside_the_root_refuse_the_table(path: str, tmp_path: Path) -> None:
    """One file outside the root, as shallow clones have them, refuses the whole table by name."""
    table = make_table(tmp_path / "t", ROWS)
    table.commit([{"add": {**table.live()[0], "path": path}}])
    gate = on_disk(table).gate(on_disk(table).load())
    assert [(r.reason, path in r.why) for r in gate.refusals] == [("external-path", True)]


def test_absolute_paths_of_the_root_pass(tmp_path: Path) -> None:
    """An absolute URI of the table's own folder is an ordinary file of it."""
    table = make_table(tmp_path / "t", ROWS)
    add = table.live()[0]
    shutil.copy(table.root / add["path"], table.root / "copy.parquet")
    table.commit([{"add": {**add, "path": f"file://{table.root}/copy.parquet"}}])
    opened = on_disk(table)
    snapshot = opened.load()
    assert opened.gate(snapshot).refusals == ()
    rows = [i for i, p in enumerate(snapshot.files["path"].to_pylist()) if p.startswith("file:")]
    assert inputs_of(opened, snapshot, rows)[0].key == "copy.parquet"


def test_stale_manifests_are_warned_of(tmp_path: Path) -> None:
    """Symlink manifests are not updated by a compaction, and the owner is told."""
    table = make_table(tmp_path / "t", ROWS, properties={"delta.compatibility.symlinkFormatManifest.enabled": "true"})
    assert [w.code for w in on_disk(table).gate(on_disk(table).load()).warnings] == ["stale-manifest"]


@pytest.mark.parametrize(("text", "size"), [("104857600", 104857600), ("128mb", 128 << 20), ("1 GiB", 1 << 30), ("64k", 65536),
                                            ("big", None), ("0", None), (None, None)])  # fmt: skip
def test_target_size_of_the_table(text: str | None, size: int | None, tmp_path: Path) -> None:
    """delta.targetFileSize is bytes or a size with binary units; what cannot be read does not count."""
    table = make_table(tmp_path / "t", ROWS, properties={"delta.targetFileSize": text} if text else {})
    assert on_disk(table).target_bytes(on_disk(table).load()) == size


def test_history_is_newest_first(tmp_path: Path) -> None:
    """History tells operation, engine, run and files of each retained version, newest first, down to the first gap."""
    table = make_table(tmp_path / "t", ROWS, files=2)
    for _ in range(70):
        append(table, ROWS.slice(0, 1))
    gone = table.live()[:2]
    remove_files(table, gone)
    table.commit([], "OPTIMIZE", tags={"compactor.runId": "run-7"}, engineInfo="e/1")
    history = on_disk(table).history()
    assert [h.version for h in history] == list(range(72, -1, -1))
    assert (history[0].operation, history[0].engine, history[0].run_id) == ("OPTIMIZE", "e/1", "run-7")
    assert (history[1].operation, history[1].files_removed, history[1].bytes_removed) == ("DELETE", 2, sum(add["size"] for add in gone))
    assert (history[2].files_added, history[2].run_id) == (1, None)
    assert [h.version for h in on_disk(table).history(3)] == [72, 71, 70]
    write_checkpoint(table)
    (table.log / f"{40:020d}.json").unlink()
    assert on_disk(table).history()[-1].version == 41
