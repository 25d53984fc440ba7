"""Looks at one table: by the tail of its log where its standing is known, by loading it where not. Reads only.

A table is loaded when it is new, when its log did not tell enough, when the rules for it have changed, and every now and then. Loading
decides nothing about a run but the gate: what a table may not be compacted for is known before its turn comes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from compactor.errors import AccessDenied, CompactorError, TableRefused
from compactor.model.policy import Policy
from compactor.model.snapshot import Snapshot
from compactor.pipeline import gate
from compactor.planning.target import effective_target
from compactor.planning.where import select
from compactor.ports import Ports
from compactor.service.config import ServiceConfig
from compactor.service.policies import PROPERTY, TablePolicy, policy_of
from compactor.service.rates import rates_of
from compactor.service.standing import Standing, Terms, followed, taken, terms_of
from compactor.service.table_state import Looked, TableState, looked, not_looked
from compactor.service.work import takes, work_of
from compactor.storage import open_store
from compactor.storage.base import ObjectStore
from compactor.tables.delta.tail import identity_of, read_tail
from compactor.wiring import open_ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """How tables are looked at. memory_bytes: what a run may use, for what it is predicted to take. reassess_s: when a load is due anew."""

    config: ServiceConfig
    memory_bytes: int

    def look(self, state: TableState, now_s: float) -> TableState:
        """The state after a look. Never raises a CompactorError: what is wrong is in the state."""
        known = state.policy or policy_of(self.config, state.uri, {})
        try:
            return looked(state, self._look(state, known, now_s), now_s)
        except CompactorError as error:
            why = f"{error} It is tried again at the next look."
            return not_looked(state, known, why if isinstance(error, AccessDenied) else str(error), now_s)

    def _look(self, state: TableState, known: TablePolicy, now_s: float) -> Looked:
        standing = state.standing
        due = now_s - state.loaded_s >= self.config.pace.reassess_s
        rules = known.settings.policy()
        if standing is None or standing.unclear is not None or due or not _fits(standing.terms, rules):
            return self._load(state, known)
        store = open_store(state.uri, known.settings.storage())
        tail = read_tail(store, standing.version, standing.entry, standing.partition_names)
        if tail.version == standing.version and tail.unclear is None and state.takes and not state.work.hot_files:
            same = standing if tail.entry == standing.entry else replace(standing, entry=tail.entry)
            return Looked(policy=known, standing=same, work=state.work, takes=state.takes, problem=state.problem)
        written = sum(change.size_bytes for change in tail.changes if change.added and not change.generation)
        standing = followed(standing, tail)
        again = standing.unclear is not None or rules.where is not None  # which partitions are meant is known from their values alone
        found = self._load(state, known) if again else self._measured(known, standing, store, state.problem)
        return replace(found, written_bytes=written)

    def _load(self, state: TableState, known: TablePolicy) -> Looked:
        ports = open_ports(state.uri, known.settings)
        snapshot = ports.table.load()
        policy = policy_of(self.config, state.uri, snapshot.properties)
        rules = policy.settings.policy()
        target = effective_target(rules, ports.table.target_bytes(snapshot))
        terms = terms_of(rules, target, snapshot.keeps_clustering)
        standing = taken(_selected(snapshot, rules), terms, identity_of(ports.store, snapshot.version))
        problem = _refusal(ports, snapshot) if policy.enabled else None
        owner = {name: value for name, value in snapshot.properties.items() if name.startswith(PROPERTY)}
        return replace(self._measured(policy, standing, ports.store, problem), loaded=True, owner=owner)

    def _measured(self, policy: TablePolicy, standing: Standing, store: ObjectStore, problem: tuple[str, str] | None) -> Looked:
        rules: Policy = policy.settings.policy()
        now_ms = store.now_ms() if rules.quiet_s > 0 and standing.partitions else 0
        work = work_of(standing, min_input_files=rules.min_input_files, quiet_s=rules.quiet_s, store_now_ms=now_ms)
        rates = rates_of(policy.settings, self.memory_bytes)
        return Looked(policy=policy, standing=standing, work=work, takes=takes(work, rates), problem=problem)


def _fits(terms: Terms, rules: Policy) -> bool:
    """Whether files were counted by these rules: not so after a restart with others."""
    target = rules.target_bytes or terms.target_bytes
    return replace(terms, target_bytes=target) == terms_of(rules, target, terms.keeps_clustering) and target == terms.target_bytes


def _selected(snapshot: Snapshot, rules: Policy) -> Snapshot:
    """The snapshot with the files that a run may touch by the rules' `where`. Raises UsageError when that does not fit the table."""
    if rules.where is None:
        return snapshot
    chosen = select(rules.where, snapshot.partition_columns, snapshot.partitions)
    return replace(snapshot, files=snapshot.files.filter(pa.array(chosen[snapshot.files["partition_id"].to_numpy()])))


def _refusal(ports: Ports, snapshot: Snapshot) -> tuple[str, str] | None:
    try:
        gate(ports, snapshot)
    except TableRefused as refusal:
        return refusal.reason, str(refusal)
    return None
