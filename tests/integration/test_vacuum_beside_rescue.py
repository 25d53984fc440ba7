"""Vacuum without any retention beside a run that is about to name deletion vectors of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.delta_tables import make_table, mask_rows, table_of
from support.same_rows import FORCED, rows_of

import compactor
from compactor.model.events import Event, GroupFinished
from compactor.model.run import RunStatus
from compactor.tables.delta import commit


def test_vectors_that_a_run_is_about_to_commit_are_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a rescued group has written for rows that others deleted stays, as its outputs do, however short the retention."""
    options = {"features": ["deletionVectors"], "properties": {"delta.enableDeletionVectors": "true"}}
    table = make_table(tmp_path / "t", table_of(n=range(60)), files=4, **options)
    build, swept = commit.build_entry, []

    def sink(event: Event) -> None:
        if isinstance(event, GroupFinished):
            mask_rows(table, table.live()[0], [1, 2])

    def late(*arguments: object) -> bytes:
        if not swept:
            (table.root / "deletion_vector_3d47cdf2-7573-5548-ae7b-a4dc58c0072b.bin").write_bytes(b"left by somebody")
            swept.append(compactor.vacuum(table.uri, settings=FORCED, retention="0s", allow_short_retention=True, dry_run=False))
        return build(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(commit, "build_entry", late)
    run = compactor.run(table.uri, settings=FORCED.model_copy(update={"max_deleted_ratio": 0.5}), sink=sink)
    assert run.status is RunStatus.COMMITTED
    assert swept[0].paths == ("deletion_vector_3d47cdf2-7573-5548-ae7b-a4dc58c0072b.bin",)
    assert {sum(rows.values()) for rows in rows_of(table).values()} == {58}
