"""What compactions cost writers of other engines: little beside a service at its defaults; and the models say what is known of them."""

from __future__ import annotations

from typing import Any

import pytest

from simulation import aborts
from simulation.conflict_models import JUDGES, Transaction, Winner

MINE = Transaction(partition="a", low=10, high=20, read=frozenset({"mine", "other"}))


def file(path: str = "new", partition: str = "a", bounds: tuple[int, int] = (0, 100), *, changes: bool = True) -> dict[str, Any]:
    return {"path": path, "partitionValues": {"p": partition}, "bounds": bounds, "dataChange": changes}


WINNERS = {
    "append": Winner(adds=(file(),), removes=(), blind=True),
    "append elsewhere": Winner(adds=(file(partition="b"),), removes=(), blind=True),
    "append of other ids": Winner(adds=(file(bounds=(21, 30)),), removes=(), blind=True),
    "update": Winner(adds=(file(),), removes=(file("theirs"),), blind=False),
    "update of a file that was read": Winner(adds=(file(bounds=(21, 30)),), removes=(file("mine"),), blind=False),
    "compaction of what was read": Winner(adds=(file(changes=False),), removes=(file("mine", changes=False),), blind=False),
    "compaction beside": Winner(adds=(file(changes=False),), removes=(file("theirs", changes=False),), blind=False),
    "compaction elsewhere": Winner(
        adds=(file(partition="b", changes=False),), removes=(file("far", partition="b", changes=False),), blind=False
    ),
}
ABORTS = {
    "append": {"serial", "deltalake"},
    "append elsewhere": set(),
    "append of other ids": set(),
    "update": {"spark", "serial", "deltalake"},
    "update of a file that was read": {"spark", "serial", "deltalake"},
    "compaction of what was read": {"spark", "serial", "deltalake"},
    "compaction beside": {"deltalake"},
    "compaction elsewhere": set(),
}


@pytest.mark.parametrize("winner", WINNERS)
def test_writers_judge_as_is_known_of_them(winner: str) -> None:
    """Which winner makes which writer begin anew."""
    assert {name for name, judge in JUDGES.items() if not judge(MINE, [WINNERS[winner]])} == ABORTS[winner]


def test_a_service_at_its_defaults_costs_writers_little() -> None:
    """In half a working day no writer aborts two points more often beside a service, which compacts meanwhile; one that does not wait for
    busy partitions would cost them many times that."""
    found = {way: (rates, ours) for way, rates, ours in aborts.figures(range(1), 3.0)}
    alone, beside, careless = (found[way][0] for way in ("without us", "serve", "not waiting"))
    assert found["serve"][1]["files removed"] > 100
    for name, shown in alone.items():
        assert shown.began > 50
        assert beside[name].rate - shown.rate < aborts.BAR_POINTS
    assert max(careless[name].rate - alone[name].rate for name in alone) > 5 * aborts.BAR_POINTS
