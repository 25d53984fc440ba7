"""DeltaTable: the port `Table` for Delta Lake. Binds a table, its store and the user's options; every verb lives in a module of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from compactor.ambient.collector import uncollected
from compactor.ambient.ports import Ambient
from compactor.model.plan import Plan, RewriteGroup
from compactor.model.rewrite import InputFile, ReadSpec, WriteSpec
from compactor.model.snapshot import Snapshot, TableRef
from compactor.storage.base import ObjectStore
from compactor.tables.base import Gate, HistoryEntry, Permit, Refusal, TableWarning, always
from compactor.tables.delta import compression, loading
from compactor.tables.delta import gate as gating
from compactor.tables.delta import history as told
from compactor.tables.delta.arbiter.choice import DYNAMODB, arbiter_for, dynamodb
from compactor.tables.delta.clustering import clustering_columns
from compactor.tables.delta.engines import engines, is_ours
from compactor.tables.delta.inputs import planned_inputs
from compactor.tables.delta.known_entries import KnownEntries
from compactor.tables.delta.log import list_log
from compactor.tables.delta.log_access import LogAccess
from compactor.tables.delta.materialised import materialised
from compactor.tables.delta.options import DeltaOptions, DynamoDBOptions
from compactor.tables.delta.paths import object_key, unnameable
from compactor.tables.delta.placing import beside
from compactor.tables.delta.schema import holds_variants, read_spec
from compactor.tables.delta.state import DeltaState
from compactor.tables.delta.writing import write_spec

if TYPE_CHECKING:
    from compactor.model.commit import CommitOutcome, CommitRequest, Committed
    from compactor.model.recovery import References
    from compactor.model.verification import ReadFiles, RecordedRewrite

RIVALS_WITHIN = 100
"""How many versions a run looks back for damage by others, when one of them is known to do some."""
_SIZE = re.compile(r"(\d+)\s*([kmgtp]?)i?b?", re.IGNORECASE)
_EXPONENT = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


class DeltaTable:
    """One Delta table. See tables/base.py for what each method promises."""

    def __init__(self, ref: TableRef, store: ObjectStore, ambient: Ambient, options: DeltaOptions) -> None:
        self._ref, self._store, self._ambient, self._options = ref, store, ambient, options
        self._arbiter = arbiter_for(options, ambient)
        self._known = KnownEntries()

    @property
    def ref(self) -> TableRef:
        return self._ref

    def load(self, version: int | None = None) -> Snapshot:
        self._arbiter.recover(self._store)
        if version is None:
            return loading.load_latest(self._store, self._ref, self._options.memory_bytes)
        return loading.load_version(self._store, self._ref, version, self._options.memory_bytes)

    def refresh(self, snapshot: Snapshot) -> Snapshot:
        self._arbiter.recover(self._store)
        return loading.refresh(self._store, snapshot)

    def gate(self, snapshot: Snapshot) -> Gate:
        gate = gating.gate(self._store, self._options, snapshot)
        if self._options.dynamodb is not None and self._options.arbiter != DYNAMODB and self._store.uri.startswith("s3://"):
            gate = replace(gate, refusals=(*gate.refusals, *self._arbitrated_elsewhere(self._options.dynamodb)))
        if not any(warning.code == gating.RIVALS for warning in gate.warnings):
            return gate
        damage = self.rivals(max(-1, snapshot.version - RIVALS_WITHIN))
        if self._options.accept_damage:
            return replace(gate, warnings=(*gate.warnings, *damage))
        how = "Pass --accept-damage to compact the table as it is."
        return replace(gate, refusals=(*gate.refusals, *(Refusal(reason="damage", why=f"{found.message} {how}") for found in damage)))

    def _arbitrated_elsewhere(self, options: DynamoDBOptions) -> list[Refusal]:
        """The refusal of a table that has entries in DynamoDB while something else is to decide its versions."""
        if not dynamodb(options, self._ambient).has_entries(self._store):
            return []
        why = f"{self._ref.uri} has entries in the DynamoDB table {options.table}; without --arbiter dynamodb their writers lose commits."
        return [Refusal(reason="arbiter:dynamodb", why=why)]

    def target_bytes(self, snapshot: Snapshot) -> int | None:
        """`delta.targetFileSize`; its units are powers of 1024, as its readers take them. None when absent or unreadable."""
        match = _SIZE.fullmatch(snapshot.properties.get("delta.targetFileSize", "").strip())
        size = int(match[1]) * 1024 ** _EXPONENT[match[2].lower()] if match else 0
        return size or None

    def compression(self, snapshot: Snapshot) -> float:
        state = _state(snapshot)
        return compression.ratio(self._store, state.learned, snapshot.version, state.checkpoint_version)

    def needs_footers(self, snapshot: Snapshot) -> bool:
        return holds_variants(_state(snapshot).metadata)

    def read_spec(self, snapshot: Snapshot) -> ReadSpec:
        metadata = _state(snapshot).metadata
        return read_spec(metadata, snapshot.features, materialised(snapshot, metadata))

    def write_spec(self, snapshot: Snapshot) -> WriteSpec:
        state = _state(snapshot)
        return write_spec(state.metadata, snapshot.features, clustering_columns(snapshot.features, state.domains))

    def object_key(self, path: str) -> str:
        return object_key(path, self._ref.uri, external=self._options.external_paths)

    def unnameable(self, snapshot: Snapshot) -> Mapping[str, str]:
        return unnameable(snapshot.files["path"], self._ref.uri)

    def beside(self, snapshot: Snapshot, first: str, stem: str) -> str:
        return beside(snapshot, first, stem)

    def inputs(self, snapshot: Snapshot, plan: Plan) -> Callable[[RewriteGroup], tuple[InputFile, ...]]:
        return planned_inputs(self._store, snapshot, plan, external=self._options.external_paths)

    @uncollected()
    def publish(self, snapshot: Snapshot, request: CommitRequest, permit: Permit = always, prove: ReadFiles | None = None) -> CommitOutcome:
        from compactor.storage.patient import PatientStore
        from compactor.tables.delta import commit

        store = PatientStore(self._store, self._ambient)  # what is to be published is finished work
        log = LogAccess(store=store, ambient=self._ambient, options=self._options, known=self._known)
        return commit.publish(log, snapshot, request, permit, prove)

    def checkpoint_due(self, snapshot: Snapshot, version: int) -> bool:
        from compactor.tables.delta import checkpoint

        return checkpoint.due(snapshot, version)

    def recent_writes(self, snapshot: Snapshot, since_ms: int) -> Mapping[int, bool]:
        from compactor.tables.delta.activity import recent_writes

        return recent_writes(self._store, snapshot, since_ms, self._known)

    @uncollected()
    def rivals(self, since_version: int) -> Sequence[TableWarning]:
        from compactor.tables.delta.rivals import detect_rivals

        listing = list_log(self._store, since_version if since_version >= 0 else None)
        found = engines(self._store, listing)
        ours = [engine is not None and is_ours(engine) for engine in found]
        if not any(ours) or all(ours):
            return []  # nothing of ours that could have been undone, or nobody who could have: whole entries need not be read
        return [TableWarning(code="rival-damage", message=rival.message) for rival in detect_rivals(self._store, since_version)]

    def find_run(self, run_id: str) -> Committed | None:
        from compactor.tables.delta import commit

        return commit.find_run(self._store, run_id)

    def references(self, after_version: int, stems: Collection[str]) -> References:
        from compactor.tables.delta.references import references

        return references(self._store, self._ref.uri, after_version, stems)

    def rewrites(self, first: int | None = None, last: int | None = None) -> Iterator[RecordedRewrite]:
        from compactor.tables.delta import rewrites

        return rewrites.rewrites(self._store, self._ref, first, last)

    def rewrite_at(self, version: int) -> RecordedRewrite:
        from compactor.tables.delta import rewrites

        return rewrites.rewrite_at(self._store, self._ref, version)

    def history(self, limit: int | None = None) -> Sequence[HistoryEntry]:
        listing = list_log(self._store)
        if listing.newest is None:
            raise loading.absence(self._store, self._ref, listing)
        return told.history(self._store, listing, limit)


def _state(snapshot: Snapshot) -> DeltaState:
    assert isinstance(snapshot.state, DeltaState)
    return snapshot.state
