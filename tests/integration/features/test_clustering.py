"""Of clustered tables only files that no clustering has placed are rewritten, and clustering columns have statistics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.delta_tables import HandTable, append, make_table, mask_rows, table_of, write_checkpoint
from support.same_rows import FORCED, compacted

import compactor
from compactor import pipeline
from compactor.model.events import Event, GroupFinished
from compactor.model.plan import LeftOut
from compactor.model.run import RunStatus

UNFORCED = FORCED.model_copy(update={"force_rewrite": False})
DOMAIN = {
    "clustering": ("delta.clustering", json.dumps({"clusteringColumns": [["c"]], "domainName": "delta.clustering"})),
    "liquid": ("delta.liquid", json.dumps({"clusteringColumns": [{"physicalName": ["c"]}], "domainName": "delta.liquid"})),
}


def clustered(root: Path, feature: str = "clustering", domain: str | None = None, **properties: str) -> HandTable:
    """Ten files of a table clustered by its last column; a clustering has placed the first four, in two ways of saying so."""
    rows = table_of(n=range(100), s=["a"] * 100, c=range(100))
    name, text = DOMAIN[feature]
    features = ["appendOnly", "deletionVectors", "domainMetadata", "invariants", feature]
    table = make_table(root, rows, files=10, features=features, domains={name: domain or text}, properties=properties)
    marks: list[dict[str, Any]] = [{"clusteringProvider": "liquid"}, {"tags": {"ZCUBE_ID": "1", "ZCUBE_ZORDER_BY": "[]"}}] * 2
    table.commit([{"add": {**add, **mark, "dataChange": False}} for add, mark in zip(table.live()[:4], marks, strict=True)], "OPTIMIZE")
    return table


@pytest.mark.parametrize("feature", ["clustering", "liquid"])
@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("forced", [False, True])
def test_placed_files_stay(tmp_path: Path, feature: str, checkpoint: bool, forced: bool) -> None:
    """Files with a clustering provider or a cube's tag stay, even forced or heavy with deletes; the others become one without either."""
    table = clustered(tmp_path / "t", feature)
    mask_rows(table, table.live()[0], [0, 1, 2, 3])
    placed = {add["path"] for add in table.live() if "clusteringProvider" in add or "tags" in add}
    if checkpoint:
        write_checkpoint(table)
        for path in table.log.glob("*.json"):
            path.unlink()
    settings = FORCED if forced else UNFORCED
    assert dict(compactor.plan(table.uri, settings=settings).left_out)[LeftOut.CLUSTERED] == 4
    run = compactor.run(table.uri, settings=settings)
    table.resume()
    assert (run.status, run.files_removed, run.files_added, run.rows) == (RunStatus.COMMITTED, 6, 1, 60)
    (new,) = [add for add in table.live() if add["path"] not in placed]
    assert "clusteringProvider" not in new
    assert not {"ZCUBE_ID", "ZCUBE_ZORDER_BY"} & set(new["tags"])
    assert placed < {add["path"] for add in table.live()}


def test_clustering_columns_always_have_statistics(tmp_path: Path) -> None:
    """A clustering column has its statistics although the table's properties ask for none of it."""
    table = clustered(tmp_path / "t", **{"delta.dataSkippingNumIndexedCols": "1"})
    compacted(table)
    stats = next(json.loads(add["stats"]) for add in table.live() if "-a0-" in add["path"])
    assert (stats["minValues"], stats["maxValues"]) == ({"n": 40, "c": 40}, {"n": 99, "c": 99})
    assert stats["nullCount"] == {"n": 0, "c": 0}


def test_a_table_that_is_clustered_by_nothing_keeps_nothing_back(tmp_path: Path) -> None:
    """After CLUSTER BY NONE files may be rewritten whoever placed them."""
    table = clustered(tmp_path / "t", domain=json.dumps({"clusteringColumns": []}))
    compacted(table)
    assert len(table.live()) == 1


@pytest.mark.parametrize(("column", "committed"), [("n", True), ("other", False)])
def test_a_change_of_clustering_columns_meanwhile(tmp_path: Path, column: str, committed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the clustering columns change during a run, its outputs are committed only if they have statistics of the new ones."""
    monkeypatch.setattr(pipeline, "REPLANS", 0)
    table = make_table(
        tmp_path / "t",
        pa.table({"n": range(50), "other": ["x"] * 50, "c": range(50)}),
        files=10,
        features=["appendOnly", "domainMetadata", "invariants", "clustering"],
        domains=dict([DOMAIN["clustering"]]),
        properties={"delta.dataSkippingStatsColumns": "n"},
    )
    met: list[int] = []

    def interfere(event: Event) -> None:
        if isinstance(event, GroupFinished) and not met:
            text = json.dumps({"clusteringColumns": [[column]]})
            met.append(table.commit([{"domainMetadata": {"domain": "delta.clustering", "configuration": text, "removed": False}}]))

    run = compactor.run(table.uri, settings=FORCED, sink=interfere)
    assert run.status is (RunStatus.COMMITTED if committed else RunStatus.CONFLICT)


def test_a_malformed_domain_is_damage(tmp_path: Path) -> None:
    """Clustering columns that cannot be read end the run with exit code 6 before anything is written."""
    table = clustered(tmp_path / "t", domain="{}x")
    append(table, table_of(n=[1], s=["b"], c=[1]))
    run = compactor.run(table.uri, settings=FORCED)
    assert (run.exit_code, "delta.clustering" in (run.reason or "")) == (6, True)
