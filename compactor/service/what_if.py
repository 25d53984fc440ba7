"""Wires a replay: reads a table's history, and hands it to replay.py with the table's target, prices and machine. Writes nothing."""

from __future__ import annotations

from compactor.model.snapshot import TableRef
from compactor.planning.cost import assume
from compactor.planning.target import effective_target
from compactor.service.policies import TablePolicy
from compactor.service.replay import Replayed, Rules, replay
from compactor.tables.delta.past import read_past
from compactor.wiring import open_ports


def what_if(uri: str, policy: TablePolicy, every_s: float) -> Replayed:
    """The history of the table at `uri` under a policy. Raises NotATable, TableCorrupt, StorageError, UsageError."""
    ports = open_ports(uri, policy.settings.model_copy(update={"lease": "off"}))
    base, commits = read_past(ports.store, TableRef(uri=ports.store.uri))
    rules = policy.settings.policy()
    assumed = assume(ports.table.read_spec(base).schema, 1.0, ports.economy(base), ports.proof)
    return replay(
        base,
        commits,
        Rules(
            policy=rules,
            target_bytes=effective_target(rules, ports.table.target_bytes(base)),
            windows=policy.windows,
            min_gain_files=policy.min_gain_files,
            every_s=every_s,
            quiet_s=float(getattr(rules, "quiet_s", 0.0)),
            memory_bytes=ports.resources().memory_bytes,
        ),
        assumed,
    )
