"""Where files are: odd characters, files that belong to another table, and prefixes that spread the load."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.delta_tables import HandTable, append, make_table, mask_rows, remove_of, table_of
from support.moto_s3 import MotoS3
from support.same_rows import FORCED, compacted, refused, tree

import compactor
from compactor.model.events import Event, Planned
from compactor.model.plan import LeftOut
from compactor.model.run import RunStatus

ODD = ["a b", "50%", "%41", "a:b", "a/b", "ü-é-名", "#hash?", "'quote\"", "a=b", "{x}", "^", "+plus+", "~", "back\\slash", "[y]", "*", " "]
ALLOWED = FORCED.model_copy(update={"allow_external_paths": True})


def test_odd_characters_in_partitions(tmp_path: Path) -> None:
    """Folders with spaces, percent signs, colons and letters of any script are found, and outputs land beside their inputs."""
    rows = pa.table({"n": range(2 * len(ODD)), "p": [ODD[i % len(ODD)] for i in range(2 * len(ODD))]})
    table = make_table(tmp_path / "t", rows, files=2, partition_by=["p"])
    folders = {unquote(add["path"]).rpartition("/")[0] for add in table.live()}
    run = compacted(table)
    assert (run.files_removed, run.files_added) == (2 * len(ODD), len(ODD))
    assert {unquote(add["path"]).rpartition("/")[0] for add in table.live()} == folders
    assert {add["partitionValues"]["p"] for add in table.live()} == set(ODD)
    assert all((table.root / unquote(add["path"])).is_file() for add in table.live())


@pytest.mark.parametrize("name", ["plain name.parquet", "100%.parquet", "a%2Fb.parquet", "ts=12:30.parquet", "日本.parquet"])
def test_odd_names_of_files(tmp_path: Path, name: str) -> None:
    """A path of the log is decoded once, however much of it its writer has encoded."""
    table = make_table(tmp_path / "t", table_of(n=range(4)), files=2)
    add = table.live()[0]
    (table.root / add["path"]).rename(table.root / name)
    spelled = quote(name, safe=":/=")
    table.commit([{"remove": remove_of(table, add)}, {"add": {**add, "path": spelled}}])
    run = compactor.run(table.uri, settings=FORCED)
    assert (run.status, run.files_removed, run.rows) == (RunStatus.COMMITTED, 2, 4), run.reason


def clone(tmp_path: Path, scheme: str) -> tuple[HandTable, HandTable]:
    """A table, one of its files with deletes, and a shallow clone of it with two files of its own."""
    source = make_table(tmp_path / "source", table_of(n=range(40), p=["a"] * 40), files=4, features=["deletionVectors"])
    mask_rows(source, source.live()[0], [1, 2], storage="p")
    copy = make_table(tmp_path / "clone", table_of(n=range(100, 110), p=["a"] * 10), files=2, features=["deletionVectors"])
    spelled = [{**add, "path": f"{scheme}{source.root}/{add['path']}"} for add in source.live()]
    copy.commit([{"add": add} for add in spelled], "CLONE")
    return source, copy


@pytest.mark.parametrize("scheme", ["", "file:", "file://"])
@pytest.mark.parametrize("executor", ["serial", "local"])
def test_a_shallow_clone_is_compacted_into_its_own_folder(tmp_path: Path, scheme: str, executor: str) -> None:
    """When allowed, files of the source are read, with their deletes, and never written beside: outputs are at the clone's root."""
    source, copy = clone(tmp_path, scheme)
    before = tree(source.root)
    run = compacted(copy, ALLOWED.model_copy(update={"executor": executor}), sql=not scheme)
    assert (run.files_removed, run.files_added, run.rows) == (6, 1, 48)
    (add,) = copy.live()
    assert "/" not in add["path"]
    assert tree(source.root) == before


def uploaded(moto: MotoS3, folder: Path, bucket: str, prefix: str) -> None:
    """The files below a folder as objects below a prefix."""
    for path in filter(Path.is_file, folder.rglob("*")):
        moto.client().put_object(Bucket=bucket, Key=f"{prefix}{path.relative_to(folder)}", Body=path.read_bytes())


def respelled(table: HandTable, spellings: list[str], place: str) -> None:
    """The table's first files again under other spellings of their paths, in a commit of their own. place: where the files are moved."""
    live = table.live()[: len(spellings)]
    moves = []
    for add, spelling in zip(live, spellings, strict=True):
        target = table.root / place / add["path"]
        target.parent.mkdir(exist_ok=True)
        (table.root / add["path"]).rename(target)
        moves += [{"remove": remove_of(table, add)}, {"add": {**add, "path": spelling.format(add["path"])}}]
    table.commit(moves)


@pytest.mark.parametrize("spelling", ["./{}", "x/./{}", "x//{}", ".//x/{}", "x%2F%2F{}"])
def test_segments_that_name_nothing(tmp_path: Path, spelling: str) -> None:
    """On a disk a path's dots and doubled slashes name nothing: the file is read, and the outputs' paths have none of them."""
    table = make_table(tmp_path / "t", table_of(n=range(8)), files=4)
    respelled(table, [spelling, spelling], "x" if "x" in spelling else "")
    run = compactor.run(table.uri, settings=FORCED)
    assert (run.status, run.files_removed, run.rows) == (RunStatus.COMMITTED, 4, 8), run.reason
    table.resume()
    (add,) = table.live()
    assert "//" not in add["path"] and "./" not in add["path"] and (table.root / add["path"]).is_file()


@pytest.mark.parametrize(("spelling", "files"), [("./{}", 4), ("x//{}", 2), ("x/%2F{}", 2)])
def test_empty_segments_in_an_object_store(tmp_path: Path, moto_s3: MotoS3, spelling: str, files: int) -> None:
    """There an empty segment is part of another object's name, which not every tool can ask for: the file is left alone, with its reason,
    in the plan as in the run, and the others are rewritten; a dot names nothing there either."""
    bucket = moto_s3.bucket()
    table = make_table(tmp_path / "t", table_of(n=range(8)), files=4)
    respelled(table, [spelling, spelling], "x" if "x" in spelling else "")
    uploaded(moto_s3, table.root, bucket.name, "t/")
    options = bucket.options
    place = {"endpoint_url": options.endpoint_url, "region": options.region, "path_style": True}
    settings = compactor.Settings(executor="serial", min_input_files=2, **place)
    planned = compactor.plan(f"{bucket.uri}/t", settings=settings)
    assert dict(planned.left_out) == ({LeftOut.UNREADABLE: 2} if files == 2 else {})
    run = compactor.run(f"{bucket.uri}/t", settings=settings)
    assert (run.status, run.exit_code, run.files_removed) == (RunStatus.COMMITTED, 0, files), run.reason
    assert sum("an empty part between slashes" in warning for warning in run.warnings) == 4 - files


@pytest.mark.parametrize("executor", ["serial", "local"])
def test_a_shallow_clone_of_a_table_in_another_bucket(tmp_path: Path, moto_s3: MotoS3, executor: str) -> None:
    """Files of the source are read from its bucket, with their deletes, and outputs are written to the clone's bucket alone."""
    moto = moto_s3
    source_bucket, bucket = moto.bucket(), moto.bucket()
    source = make_table(tmp_path / "source", table_of(n=range(40)), files=4, features=["deletionVectors"])
    mask_rows(source, source.live()[0], [1, 2], storage="i")
    copy = make_table(tmp_path / "clone", table_of(n=range(100, 110)), files=2, features=["deletionVectors"])
    copy.commit([{"add": {**add, "path": f"{source_bucket.uri}/source/{add['path']}"}} for add in source.live()], "CLONE")
    uploaded(moto, source.root, source_bucket.name, "source/")
    uploaded(moto, copy.root, bucket.name, "clone/")
    before = {item["Key"]: item["ETag"] for item in moto.client().list_objects_v2(Bucket=source_bucket.name)["Contents"]}
    place = {"endpoint_url": moto.endpoint_url, "region": source_bucket.options.region, "path_style": True, "executor": executor}
    run = compactor.run(f"{bucket.uri}/clone", settings=ALLOWED.model_copy(update=place))
    assert (run.status, run.files_removed, run.files_added, run.rows) == (RunStatus.COMMITTED, 6, 1, 48), run.reason
    after = {item["Key"]: item["ETag"] for item in moto.client().list_objects_v2(Bucket=source_bucket.name)["Contents"]}
    assert after == before
    entry = moto.client().get_object(Bucket=bucket.name, Key=f"clone/_delta_log/{run.version:020}.json")["Body"].read()
    (path,) = [action["add"]["path"] for action in map(json.loads, entry.splitlines()) if "add" in action]
    data = moto.client().get_object(Bucket=bucket.name, Key=f"clone/{path}")["Body"].read()
    expected = [*range(100, 110), *(n for n in range(40) if n not in masked(source))]
    assert sorted(pq.read_table(pa.BufferReader(data)).column("n").to_pylist()) == sorted(expected)


def masked(source: HandTable) -> set[int]:
    """The values of the rows that the first file's vector deletes."""
    found = next(add for add in source.live() if "deletionVector" in add)
    return set(pq.read_table(source.root / found["path"]).column("n").to_pylist()[1:3])


def test_a_purge_of_a_clone_reads_footers_of_the_source(tmp_path: Path) -> None:
    """The survey finds files of the source too."""
    source, copy = clone(tmp_path, "")
    before = tree(source.root)
    run = compacted(copy, ALLOWED.model_copy(update={"force_rewrite": False, "purge": True}))
    assert (run.files_removed, run.rows) == (1, 8)
    assert tree(source.root) == before


def test_without_permission_a_clone_is_refused(tmp_path: Path) -> None:
    """A file outside the table's folder is never read unless that is allowed."""
    _, copy = clone(tmp_path, "")
    refused(copy, "--allow-external-paths")


@pytest.mark.parametrize("path", ["../source/x.parquet", "/tmp/../etc/x.parquet", "file:///a/%2e%2e/x.parquet"])
def test_climbing_paths_are_refused_even_so(tmp_path: Path, path: str) -> None:
    """A path that climbs out of a folder fails the run even where external paths are allowed, and nothing is written."""
    table = make_table(tmp_path / "t", table_of(n=range(4)), files=2)
    table.commit([{"add": {**table.live()[0], "path": path}}])
    data = {name for name in tree(table.root) if name.endswith(".parquet")}
    run = compactor.run(table.uri, settings=ALLOWED)
    assert run.exit_code == 3
    assert {name for name in tree(table.root) if name.endswith(".parquet")} == data


@pytest.mark.parametrize(("length", "expected"), [(None, 2), ("5", 5), ("nonsense", 2)])
def test_randomised_prefixes(tmp_path: Path, length: str | None, expected: int) -> None:
    """Where the table wants random prefixes, outputs lie in a folder of so many letters and digits instead of their partition's."""
    properties = {"delta.randomizeFilePrefixes": "true", **({"delta.randomPrefixLength": length} if length else {})}
    rows = table_of(n=range(12), p=[f"p{i % 3}" for i in range(12)])
    table = make_table(tmp_path / "t", rows, files=2, partition_by=["p"], properties=properties)
    compacted(table)
    folders = [add["path"].rpartition("/")[0] for add in table.live()]
    assert all(re.fullmatch(rf"[0-9a-z]{{{expected}}}", folder) for folder in folders)
    assert len(set(folders)) > 1


def test_the_intent_knows_where_outputs_are(tmp_path: Path) -> None:
    """What the intent says of a group's place is where its outputs are, random prefixes and clones included, so that all can be found."""
    table = make_table(tmp_path / "t", table_of(n=range(12)), files=6, properties={"delta.randomizeFilePrefixes": "true"})
    seen: list[tuple[str, str]] = []

    def look(event: Event) -> None:
        if isinstance(event, Planned) or seen:
            return
        for path in (table.root / "_compactor").rglob("*.json"):
            groups = json.loads(path.read_text()).get("groups")
            seen.extend((group[1], group[2]) for group in groups or () if isinstance(group, list))

    run = compactor.run(table.uri, settings=FORCED, sink=look)
    assert run.status is RunStatus.COMMITTED
    table.resume()
    ((place, stem),) = set(seen)
    path = table.live()[0]["path"]
    assert path.startswith(f"{place.rpartition('/')[0]}/{stem}-")
    append(table, table_of(n=[1]))
