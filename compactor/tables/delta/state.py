"""DeltaState: what only the Delta adapter knows of a snapshot, carried in `Snapshot.state`; and the value of one parsed log entry.

Raw actions are plain dicts exactly as in the log (JSON), never re-typed: what we do not understand must survive being copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Action = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The protocol action (protocol section "Protocol Evolution"). Features are empty for legacy versions (reader < 3, writer < 7)."""

    min_reader_version: int
    min_writer_version: int
    reader_features: frozenset[str] = frozenset()
    writer_features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The metaData action. `schema` is schemaString parsed; `configuration` are the table properties."""

    id: str
    name: str | None
    schema: Mapping[str, Any]
    partition_columns: tuple[str, ...]
    configuration: Mapping[str, str]
    raw: Action = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What commits of ours tell of compression (compression.py).

    version, used: of the newest one, and the ratio of its plan. taken, made: bytes of files of others before and after, over all of them.
    """

    version: int = -1
    used: float = 1.0
    taken: float = 0.0
    made: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaState:
    """Everything about a version that is not in the neutral Snapshot.

    domains: live domain metadata, domain to configuration string.
    in_commit_timestamp_ms: of this version's own entry; None when absent or not known.
    sources: keys of the log objects that live files came from; Snapshot.files.source indexes it, source_row is the row of a Parquet file or
      the line number of a JSON file.
    checkpoint_version: of the newest complete checkpoint seen, or None.
    engines: distinct engineInfo strings of the retained JSON entries that were read, oldest first; learned: from those of ours among them.
    """

    protocol: Protocol
    metadata: Metadata
    domains: Mapping[str, str]
    in_commit_timestamp_ms: int | None
    sources: tuple[str, ...]
    checkpoint_version: int | None
    engines: tuple[str, ...] = ()
    learned: Learned = field(default_factory=Learned)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One commit, `_delta_log/<version>.json`, parsed: raw actions by kind, with the line number of each add."""

    version: int
    modified_ms: int
    commit_info: Action | None
    protocol: Action | None
    metadata: Action | None
    domains: Sequence[Action]
    adds: Sequence[Action]
    add_lines: Sequence[int]
    removes: Sequence[Action]
    transactions: Sequence[Action]
    changes: Sequence[Action] = ()
