"""A damaged input costs its own group and nothing else: exit code 6 with the file's name, nothing left behind, other groups committed."""

from __future__ import annotations

import json
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support import parquet_footer as footer
from support import reader
from support.conformance import FORCED, tree
from support.damage import Damage, damage, flipped, lying, strays, two_groups, victim
from support.delta_tables import HandTable, mask_rows, remove_of, write_checkpoint
from support.protocol_check import check_entry
from support.protocol_terms import check_terms
from support.reader_log import key_of, read_log
from support.rewriting import STREAMING

import compactor
from compactor.model.run import Run, RunStatus
from compactor.storage import open_store


def healthy_rows(table: HandTable) -> Counter[Any]:
    """Rows of the partition that is not damaged."""
    log = read_log(table.root)
    return Counter(row for add in log.adds.values() if add["partitionValues"] == {"p": "p1"} for row in reader.file_rows(log, add))


def costs_its_group(table: HandTable, name: str, **settings: object) -> Run:
    """Run, and hold what came of it against the claim of this module; `name` must be told."""
    before, healthy = read_log(table.root), healthy_rows(table)
    run = compactor.run(table.uri, settings=FORCED.model_copy(update=settings))
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 6), f"{run.status} {run.exit_code}: {run.reason}"
    assert name in (run.reason or ""), run.reason
    assert [drop.reason for drop in run.groups_dropped] == ["corrupt-file"]
    assert run.groups_committed == 1
    after = read_log(table.root)
    damaged = {key for key, add in before.adds.items() if add["partitionValues"] == {"p": "p0"}}
    assert damaged == {key for key, add in after.adds.items() if add["partitionValues"] == {"p": "p0"}}, (
        "files of the damaged group changed"
    )
    assert healthy_rows(table) == healthy
    assert not strays(table), "something is left behind"
    check_entry(open_store(table.uri), run.version or 0, {key_of(add): add for add in before.adds.values()}, parquet=True)
    check_terms(table.root, run.version or 0)
    return run


def fewer(data: bytes, where: tuple[int, ...]) -> bytes:
    return lying(where, lambda n: n - 3)(data)


@pytest.fixture(params=["whole", "streamed"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of reading an input: whole in memory, or range by range."""
    if request.param == "streamed":
        monkeypatch.setattr("compactor.rewriting.rewrite.divide", lambda _: STREAMING)
    return str(request.param)


FOOTERS: dict[str, Damage] = {
    "more-rows": lying(footer.NUM_ROWS, lambda n: n + 7),
    "fewer-rows": lying(footer.NUM_ROWS, lambda n: n - 7),
    "negative-rows": lying(footer.NUM_ROWS, lambda _: -1),
    "group-with-more-rows": lying(footer.ROW_GROUP_ROWS, lambda n: n + 3),
    "group-with-fewer-rows": lying(footer.ROW_GROUP_ROWS, lambda n: n - 3),
    "chunk-with-more-values": lying(footer.CHUNK_VALUES, lambda n: n + 10),
    "all-counts-smaller": lambda data: fewer(fewer(data, footer.NUM_ROWS), footer.ROW_GROUP_ROWS),
    "chunk-beyond-the-end": lying(footer.CHUNK_OFFSET, lambda n: n + 1_000_000),
    "chunk-before-the-start": lying(footer.CHUNK_OFFSET, lambda _: -4),
    "chunk-elsewhere": lying(footer.CHUNK_OFFSET, lambda n: n + 3),
    "chunk-too-long": lying(footer.CHUNK_COMPRESSED, lambda n: n + 1_000_000),
    "chunk-too-short": lying(footer.CHUNK_COMPRESSED, lambda n: n // 3),
    "another-codec": lying(footer.CHUNK_CODEC, lambda _: 6),
}
PIECES: dict[str, Damage] = {
    "empty": lambda _: b"",
    "only-magic": lambda _: b"PAR1",
    "half": lambda data: data[: len(data) // 2],
    "without-footer-length": lambda data: data[:-8],
    "without-last-byte": lambda data: data[:-1],
    "front-missing": lambda data: data[100:],
    "zeros": lambda data: bytes(len(data)),
    "footer-of-zeros": lambda data: data[:-200] + bytes(192) + data[-8:],
    "footer-length-too-large": lambda data: data[:-8] + struct.pack("<I", len(data) * 2) + b"PAR1",
    "footer-length-zero": lambda data: data[:-8] + struct.pack("<I", 0) + b"PAR1",
    "page-header-of-ones": lambda data: data[:4] + b"\xff" * 30 + data[34:],
}


@pytest.mark.parametrize("how", PIECES)
@pytest.mark.parametrize("told", [True, False], ids=["log-knows-the-size", "log-has-the-old-size"])
def test_pieces_of_a_file(how: str, told: bool, tmp_path: Path, reading: str) -> None:
    """A file of which a part is missing or overwritten."""
    table = two_groups(tmp_path / "t", use_dictionary=False)
    add = damage(table, PIECES[how], told=told)
    costs_its_group(table, add["path"])


@pytest.mark.parametrize("how", FOOTERS)
def test_footers_that_lie(how: str, tmp_path: Path, reading: str) -> None:
    """A footer whose rows, sizes, offsets or codec are not those of the data."""
    table = two_groups(tmp_path / "t", use_dictionary=False)
    add = damage(table, FOOTERS[how])
    costs_its_group(table, add["path"])


@pytest.mark.parametrize("where", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_flipped_bytes_with_checksums(where: float, codec: str, tmp_path: Path, reading: str) -> None:
    """Where a file has page checksums, a flipped byte is found although it could be decoded."""
    table = two_groups(tmp_path / "t", use_dictionary=False, write_page_checksum=True, compression=codec)
    add = damage(table, flipped(where))
    costs_its_group(table, add["path"])


def test_flipped_bytes_without_checksums(tmp_path: Path) -> None:
    """Without checksums a flipped byte of a plain value is another value to every reader: it is copied as it is, never worsened."""
    table = two_groups(tmp_path / "t", use_dictionary=False, compression="none")
    damage(table, flipped(0.5))
    before = reader.rows(table.root)
    run = compactor.run(table.uri, settings=FORCED)
    assert run.status is RunStatus.COMMITTED
    assert reader.rows(table.root) == before


@pytest.mark.parametrize("difference", [-5, 5, 100_000])
def test_a_log_with_another_size(difference: int, tmp_path: Path, reading: str) -> None:
    """The log's size of a whole file is wrong: the file is taken for what it is, or its group is left; rows are never lost."""
    table = two_groups(tmp_path / "t")
    add = victim(table)
    table.commit([{"add": {**add, "size": add["size"] + difference}}])
    before = reader.rows(table.root)
    run = compactor.run(table.uri, settings=FORCED)
    assert reader.rows(table.root) == before
    assert run.exit_code in (0, 6)
    assert run.exit_code == 0 or add["path"] in (run.reason or "")
    assert not strays(table)


def masked(table: HandTable, **changes: Any) -> dict[str, Any]:
    """The victim with a deletion vector whose descriptor has `changes`; its add."""
    add = victim(table)
    mask_rows(table, add, [1, 5, 7])
    found = victim_again(table, add["path"])
    if changes:
        table.commit([{"remove": remove_of(table, found)}])
        table.commit([{"add": {**found, "deletionVector": {**found["deletionVector"], **changes}}}])
    return victim_again(table, add["path"])


def victim_again(table: HandTable, path: str) -> dict[str, Any]:
    return next(add for add in table.live() if add["path"] == path)


def vector_file(table: HandTable) -> Path:
    (path,) = table.root.glob("deletion_vector_*.bin")
    return path


@pytest.mark.parametrize("changes", [{"cardinality": 4}, {"cardinality": 2}, {"sizeInBytes": 20}, {"offset": 1}], ids=str)
def test_vectors_that_are_not_what_the_log_says(changes: dict[str, int], tmp_path: Path) -> None:
    """A deletion vector of another cardinality, size or place than its descriptor tells."""
    table = two_groups(tmp_path / "t")
    add = masked(table, **changes)
    costs_its_group(table, add["path"])


@pytest.mark.parametrize("at", [-1, -6, -20], ids=["checksum", "bitmap", "header"])
def test_vectors_with_a_flipped_byte(at: int, tmp_path: Path) -> None:
    """A deletion vector that does not have its checksum: rows would come back, or go."""
    table = two_groups(tmp_path / "t")
    add = masked(table)
    path = vector_file(table)
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    costs_its_group(table, add["path"])


def test_vectors_cut_short(tmp_path: Path) -> None:
    """A deletion vector file that ends too early."""
    table = two_groups(tmp_path / "t")
    add = masked(table)
    path = vector_file(table)
    path.write_bytes(path.read_bytes()[:-10])
    costs_its_group(table, add["path"])


def test_vectors_beyond_the_file(tmp_path: Path) -> None:
    """A deletion vector that names a row that the file does not have."""
    table = two_groups(tmp_path / "t")
    mask_rows(table, victim(table), [1, 50])
    costs_its_group(table, next(add["path"] for add in table.live() if "deletionVector" in add))


@pytest.mark.parametrize("stats", ["not json", "", "[]", '{"numRecords":"many"}', '{"numRecords":5', '{"numRecords":-1}'])
def test_statistics_that_are_not_json(stats: str, tmp_path: Path) -> None:
    """Statistics are a hint that may be missing, and a rewrite computes them anew: a file whose statistics are no JSON is compacted.

    Its rows are counted by its footer, and what was wrong is gone.
    """
    table = two_groups(tmp_path / "t")
    table.commit([{"add": {**victim(table), "stats": stats}}])
    before, live = reader.rows(table.root), read_log(table.root).adds
    run = compactor.run(table.uri, settings=FORCED)
    assert (run.status, run.groups_committed) == (RunStatus.COMMITTED, 2), run.reason
    assert reader.rows(table.root) == before
    assert not live.keys() & read_log(table.root).adds.keys()
    check_terms(table.root, run.version or 0)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("which", ["first", "last"])
def test_a_log_entry_cut_in_the_middle(which: str, keep: float, tmp_path: Path) -> None:
    """An entry of which the end is missing: the table is damaged, by the entry's name, and not one byte changes."""
    table = two_groups(tmp_path / "t")
    entry = table.log / f"{0 if which == 'first' else table.version:020d}.json"
    data = entry.read_bytes()
    entry.write_bytes(data[: int(len(data) * keep)])
    refused_as_damaged(table, entry.name if keep else "")


@pytest.mark.parametrize("kind", ["classic", "multi-part", "v2-parquet", "v2-json"])
def test_a_damaged_checkpoint(kind: Any, tmp_path: Path) -> None:
    """A checkpoint cut in half: the entries before it are read instead; when they are gone, the table is damaged, by its name."""
    table = two_groups(tmp_path / "t")
    table.protocol["readerFeatures"].append("v2Checkpoint")
    table.protocol["writerFeatures"].append("v2Checkpoint")
    table.commit([{"protocol": table.protocol}])
    before = reader.rows(table.root)
    checkpoint = write_checkpoint(table, kind=kind)[0]
    checkpoint.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])
    for entry in table.log.glob("*.json"):
        if entry.stem.isdigit():
            entry.rename(entry.with_suffix(".kept"))
    refused_as_damaged(table, checkpoint.name)
    for entry in table.log.glob("*.kept"):
        entry.rename(entry.with_suffix(".json"))
    assert compactor.run(table.uri, settings=FORCED).status is RunStatus.COMMITTED
    checkpoint.unlink()
    assert reader.rows(table.root) == before


def refused_as_damaged(table: HandTable, name: str) -> None:
    untouched = tree(table.root)
    run = compactor.run(table.uri, settings=FORCED)
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 6), f"{run.status} {run.exit_code}: {run.reason}"
    assert name in (run.reason or ""), run.reason
    assert tree(table.root) == untouched


def test_an_entry_of_another_kind(tmp_path: Path) -> None:
    """Lines that are JSON but no actions: passed over where the protocol says so, damage where an action lacks what it must have."""
    table = two_groups(tmp_path / "t")
    with (table.log / f"{table.version:020d}.json").open("a") as entry:
        entry.write(json.dumps({"somethingNew": {"a": 1}}) + "\n")
    before = reader.rows(table.root)
    assert compactor.run(table.uri, settings=FORCED).status is RunStatus.COMMITTED
    assert reader.rows(table.root) == before
    with (table.log / f"{read_log(table.root).version:020d}.json").open("a") as entry:
        entry.write(json.dumps({"add": {"size": 1}}) + "\n")
    refused_as_damaged(table, f"{read_log_version(table):020d}.json")


def read_log_version(table: HandTable) -> int:
    return max(int(path.stem) for path in table.log.glob("*.json") if path.stem.isdigit())
