"""What a run is handed, and what it knows of its table before it writes anything. Values only; wiring.py puts the adapters in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from compactor.ambient.ports import Ambient
from compactor.coordination.lease import Lease
from compactor.coordination.quarantine import Quarantine
from compactor.coordination.records import RunRecords
from compactor.coordination.recovery import Recovery
from compactor.execution.base import Executor
from compactor.model.commit import CommitBounds
from compactor.model.engine import EngineChoice
from compactor.model.events import Sink
from compactor.model.fingerprint import ProofLevel, ProofReader
from compactor.model.health import Decision, Health
from compactor.model.plan import Plan, Resources
from compactor.model.rewrite import GroupDropped
from compactor.model.snapshot import Snapshot
from compactor.model.storage import StorageOptions
from compactor.model.survey import Survey
from compactor.model.usage import Economy
from compactor.model.verification import ReadFiles
from compactor.planning.cost import Assumptions
from compactor.storage.base import ObjectStore
from compactor.tables.base import Checkpointer, Table

SurveyFiles = Callable[[Snapshot, Sequence[int]], Survey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything a run touches. `resources` and `executor` are asked only when needed: nothing-to-do starts no workers.

    not_merged: the code of what stands against merging small files page by page; None: nothing that is known.
    """

    table: Table
    store: ObjectStore
    storage: StorageOptions
    ambient: Ambient
    resources: Callable[[], Resources]
    executor: Callable[[], Executor]
    checkpointer: Checkpointer
    records: RunRecords
    recovery: Recovery
    quarantine: Quarantine
    lease: Lease
    survey: SurveyFiles
    sink: Sink
    economy: Callable[[Snapshot], Economy]
    proof: ProofLevel = "full"
    proof_reader: ProofReader = "auto"
    engine: EngineChoice = field(default_factory=EngineChoice)
    not_merged: Callable[[Snapshot], str | None] = lambda _: "small"
    read_files: ReadFiles | None = None
    timed: bool = False
    bounds: CommitBounds = field(default_factory=CommitBounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is known of a table before anything is written."""

    snapshot: Snapshot
    health: Health
    decision: Decision
    plan: Plan
    assumed: Assumptions
    drifted: tuple[GroupDropped, ...] = ()
