"""What the user may choose for Delta tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from compactor.model.storage import StorageOptions

Rivals = Literal["warn", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDBOptions:
    """The DynamoDB table that arbitrates; names and region as Spark's defaults. storage: how to find credentials; no secret."""

    table: str = "delta_log"
    region: str = "us-east-1"
    endpoint_url: str | None = None
    storage: StorageOptions = field(default_factory=StorageOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaOptions:
    """arbiter: who decides which writer gets the next version, as `--arbiter` spells it; None leaves it to the store where that is safe.

    rivals: what to do about writers in the log that are known to damage tables beside a compactor.
    accept_damage: a table that such a writer has damaged may be compacted as it is.
    max_commit_attempts: how often a commit that others overtake is tried again.
    external_paths: files outside the table's folder, which the log names by absolute URIs, may be read.
    dynamodb: where the DynamoDB arbiter is; given without being chosen as arbiter, its entries are a reason to refuse the table.
    memory_bytes: what the process may use to load and plan; a table that is known to need more is refused. None: no bound.
    """

    arbiter: str | None = None
    rivals: Rivals = "warn"
    accept_damage: bool = False
    max_commit_attempts: int = 64
    memory_bytes: int | None = None
    external_paths: bool = False
    dynamodb: DynamoDBOptions | None = None
