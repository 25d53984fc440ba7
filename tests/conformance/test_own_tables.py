"""The project's own small tables, one for every feature: rewritten with the same rows by every judge, or left for the reason expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import reader
from support.clickhouse import ClickHouse
from support.conformance import FORCED, Verdict, judge
from support.own_tables import OWN_TABLES, OwnTable

import compactor

pytestmark = pytest.mark.xdist_group("conformance")
"""The report takes over what these tests found, so they run in one process."""


@pytest.mark.parametrize("own", OWN_TABLES.values(), ids=OWN_TABLES)
def test_own_table(own: OwnTable, tmp_path: Path, clickhouse: ClickHouse, verdicts: dict[str, Verdict]) -> None:
    """The table ends as expected: every judge who read the original rightly reads the result so, and the entry is lawful."""
    root = tmp_path / own.name
    own.build(root)
    verdict = verdicts[f"own/{own.name}"] = judge(root, own.name, clickhouse)
    assert verdict.outcome == own.ending, "\n".join([verdict.why, *verdict.problems])
    assert own.why in verdict.why
    if own.ending == "rewritten identical":
        assert verdict.left == own.left
        assert verdict.files_before > own.left, "nothing was there to rewrite"


def test_the_judges_see_changes(tmp_path: Path) -> None:
    """The independent reader tells rows apart that differ in one value, in a null, or in how often they occur."""
    import pyarrow as pa
    from support.delta_tables import make_table

    seen = []
    for i, values in enumerate(([1, 2, None], [1, 2, 3], [1, 2, 2], [1, None, None], [2, 1, None])):
        make_table(tmp_path / str(i), pa.table({"n": pa.array(values, pa.int64())}))
        seen.append(reader.rows(tmp_path / str(i)))
    assert seen[0] == seen[4]
    assert all(seen[0] != other for other in seen[1:4])


def test_changes_are_invisible_to_the_change_feed(tmp_path: Path) -> None:
    """What deltalake tells of a table's changes is the same before and after a compaction."""
    import pyarrow as pa
    from deltalake import DeltaTable

    own = OWN_TABLES["change-data-feed-of-deltalake"]
    own.build(tmp_path / "t")

    def changes() -> list[tuple[object, ...]]:
        found = pa.table(DeltaTable(str(tmp_path / "t")).load_cdf(starting_version=0).read_all())
        return sorted(tuple(row.values()) for row in found.to_pylist())

    before = changes()
    assert compactor.run(str(tmp_path / "t"), settings=FORCED).files_removed > 0
    assert before == changes()
    assert len(before) > 5
