"""Partition maps that say the same in other words (protocol section "Partition Value Serialization")."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from support.delta_tables import Action, HandTable, make_table, remove_of
from support.same_rows import rows_of

import compactor
from compactor.model.run import RunStatus
from compactor.model.verification import Verdict

SETTINGS = compactor.Settings(executor="serial", min_input_files=2)


def written_as(root: Path, column: pa.Array, maps: list[Action]) -> HandTable:
    """A table of one partition, with a file for each of these maps."""
    table = make_table(root, pa.table({"n": range(len(column)), "p": column}), files=len(maps), partition_by=["p"])
    live = table.live()
    table.commit([{"remove": remove_of(table, add)} for add in live])
    table.commit([{"add": {**add, "partitionValues": values}} for add, values in zip(live, maps, strict=True)])
    return table


def test_a_column_that_is_left_out_of_a_map_is_null(tmp_path: Path) -> None:
    """Files whose map says null and files whose map says nothing are one partition; the output's map says null."""
    table = written_as(tmp_path / "t", pa.nulls(12, pa.string()), [{}, {"p": None}, {}, {"p": None}])
    before = rows_of(table)
    run = compactor.run(table.uri, settings=SETTINGS)
    assert (run.status, run.exit_code, run.files_removed, run.files_added) == (RunStatus.COMMITTED, 0, 4, 1), run.reason
    table.resume()
    (add,) = table.live()
    assert add["partitionValues"] == {"p": None}
    after = rows_of(table)
    assert {name: after[name] for name in before} == before
    (verdict,) = compactor.verify(table.uri).commits
    assert verdict.verdict is Verdict.EQUAL


FORMS = {"integer": (pa.array([1] * 12, pa.int32()), ("1", "01")), "boolean": (pa.array([True] * 12), ("true", "True"))}


@pytest.mark.parametrize(("column", "forms"), FORMS.values(), ids=FORMS)
def test_values_in_other_words_stay_as_they_are(tmp_path: Path, column: pa.Array, forms: tuple[str, str]) -> None:
    """Equal values that are written differently are partitions of their own: each group keeps its files' words, and none is mixed."""
    table = written_as(tmp_path / "t", column, [{"p": forms[i % 2]} for i in range(4)])
    before = rows_of(table)
    run = compactor.run(table.uri, settings=SETTINGS)
    assert (run.status, run.files_removed, run.files_added, run.groups_dropped) == (RunStatus.COMMITTED, 4, 2, ()), run.reason
    table.resume()
    assert sorted(add["partitionValues"]["p"] for add in table.live()) == sorted(forms)
    assert rows_of(table) == before
