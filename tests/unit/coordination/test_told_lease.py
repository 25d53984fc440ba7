"""What becomes of a lease is told, once each, and counted by the metrics of a service."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.delta_tables import make_table, table_of

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.ambient.owners import UnknownOwners
from compactor.coordination.lease import TableLease, Terms, Watch
from compactor.coordination.told_lease import ToldLease
from compactor.errors import ConflictGaveUp, Superseded
from compactor.model.events import Event, LeaseChanged
from compactor.service.overview import Overview
from compactor.service.telemetry.metrics import Metrics
from compactor.settings import Settings
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.verbs import run as run_table


class Place:
    """Leases of one table, each told to the metrics of a process of its own."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = MemoryStore(MemoryBucket("leases", self.clock), "t")

    def lease(self, metrics: Metrics, watch: Watch | None = None) -> ToldLease:
        lease = TableLease(
            store=self.store,
            prefix="_compactor/",
            ambient=Ambient(clock=self.clock, ids=SeededIds(id(metrics)), randomness=SeededRandomness(0)),
            owners=UnknownOwners(),
            watch=watch or Watch(),
            terms=Terms(ttl_s=90, pulse=False),
        )
        return ToldLease(lease, lambda event: metrics.run("t", event))


def counted(metrics: Metrics) -> dict[str, float]:
    """What a scrape says of leases, zeros left out."""
    lines = metrics.page(Overview(replica="r", state_uri="s")).decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("compactor_leases"))
    short = {
        name.removeprefix("compactor_leases_").replace('total{state="', "").removesuffix('"}'): float(it) for name, it in values.items()
    }
    return {name: value for name, value in short.items() if value}


def test_taken_and_returned() -> None:
    """A lease that is held counts as held until it is given back, however its run ends."""
    metrics = Metrics()
    with pytest.raises(ZeroDivisionError), Place().lease(metrics).held("r"):
        assert counted(metrics) == {"taken": 1, "held": 1}
        raise ZeroDivisionError
    assert counted(metrics) == {"taken": 1, "returned": 1}


def test_refused_taken_over_and_lost() -> None:
    """Who finds it held is refused; who finds its holder silent takes it over; and the holder learns that it was lost."""
    place, first, second, watch = Place(), Metrics(), Metrics(), Watch()
    lease = place.lease(first)
    with pytest.raises(Superseded), lease.held("first"):
        with pytest.raises(ConflictGaveUp), place.lease(second, watch).held("second"):
            pytest.fail("two hold it")
        assert counted(second) == {"refused": 1}
        place.clock.sleep(90)
        with place.lease(second, watch).held("second"):
            assert counted(second) == {"refused": 1, "taken-over": 1, "held": 1}
            lease.check()
    assert counted(first) == {"taken": 1, "lost": 1}
    assert counted(second) == {"refused": 1, "taken-over": 1, "returned": 1}


@pytest.mark.parametrize(("lease", "told"), [("on", ["taken", "returned"]), ("off", [])])
def test_runs_tell(tmp_path: Path, lease: str, told: list[str]) -> None:
    """A run that takes the lease says so to its sink; one that takes none says nothing."""
    table = make_table(tmp_path / "t", table_of(n=range(40)), files=8)
    heard: list[Event] = []
    settings = Settings.model_validate({"executor": "serial", "min_input_files": 2, "memory": "512MiB", "lease": lease})
    assert run_table(str(table.root), settings, run_id=None, dry_run=False, sink=heard.append).exit_code == 0
    assert [event.state.value for event in heard if isinstance(event, LeaseChanged)] == told
