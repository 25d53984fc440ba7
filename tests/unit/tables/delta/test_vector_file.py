"""Deletion vectors of ours: files that every reader understands, and never text inside the log."""

from __future__ import annotations

import json
from pathlib import Path

from pyroaring import BitMap64
from support.delta_tables import make_table, mask_rows, table_of
from support.reader_vectors import deleted_positions
from support.same_rows import FORCED

import compactor
from compactor.model.events import Event, GroupFinished
from compactor.model.run import RunStatus
from compactor.tables.delta.masking import vector_file
from compactor.tables.delta.vectors import deletes_of


def test_a_vector_file_is_what_its_descriptor_says(tmp_path: Path) -> None:
    """Another reader of vectors finds the file by its descriptor, in its frame, with its positions."""
    for positions in ([3], [0, 1, 70_000], range(0, 200_000, 3), [1 << 40]):
        file = vector_file(BitMap64(positions), "p=1/part-0.parquet")
        (tmp_path / file.key).write_bytes(file.data)
        assert deleted_positions(tmp_path, file.descriptor) == {*positions}
        assert deletes_of(file.descriptor, "s3://b/t").key == file.key


def test_a_name_never_stands_for_two_contents() -> None:
    """The same vector of the same output has one name; other positions, or another output, have another."""
    one = vector_file(BitMap64([1]), "a")
    assert one == vector_file(BitMap64([1]), "a")
    assert len({one.key, vector_file(BitMap64([2]), "a").key, vector_file(BitMap64([1]), "b").key}) == 3


def test_no_vector_of_ours_is_inside_the_log(tmp_path: Path) -> None:
    """Spark's VACUUM fails on a table of which the log holds a vector in its text, so a rescued group names a file."""
    options = {"features": ["deletionVectors"], "properties": {"delta.enableDeletionVectors": "true"}}
    table = make_table(tmp_path / "t", table_of(n=range(60)), files=4, **options)
    deleted: list[str] = []

    def interfere(event: Event) -> None:
        if isinstance(event, GroupFinished) and not deleted:
            deleted.append(table.live()[0]["path"])
            mask_rows(table, table.live()[0], [0, 14])

    run = compactor.run(table.uri, settings=FORCED, sink=interfere)
    assert run.status is RunStatus.COMMITTED, run.reason
    entry = (table.root / f"_delta_log/{run.version:020d}.json").read_text()
    adds = [json.loads(line)["add"] for line in entry.splitlines() if '"add"' in line[:10]]
    assert [(add["deletionVector"]["storageType"], len(deleted_positions(table.root, add["deletionVector"]))) for add in adds] == [("u", 2)]
