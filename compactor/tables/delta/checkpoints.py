"""Checkpoints: classic, multi-part, and v2 (JSON or Parquet, with or without sidecars), read into columns.

Protocol sections "Checkpoints", "V2 Spec", "Sidecar File Information". Reads only; which checkpoint to use is loading.py's choice.
Files are never Python objects here: Parquet batches become Arrow columns of the snapshot at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compactor.errors import TableCorrupt
from compactor.model.snapshot import TableRef
from compactor.storage.base import ObjectMeta, ObjectStore
from compactor.tables.delta.columns import FoundAdd, Piece, no_files, piece_of_adds, piece_of_batch
from compactor.tables.delta.driver_memory import check_files
from compactor.tables.delta.log import LOG, CheckpointFiles, parse_lines
from compactor.tables.delta.parquet_source import ParquetSource
from compactor.tables.delta.paths import object_key
from compactor.tables.delta.protocol import features_in_force, parse_metadata, parse_protocol
from compactor.tables.delta.replay import Base, fold_domains, partition_columns
from compactor.tables.delta.state import Action

_OPEN_BYTES = 64 * 1024 * 1024
"""Of many parts so much stays in memory between the look at their small actions and the reading of their files; the rest is read again."""
_SMALL = ("protocol", "metaData", "domainMetadata", "sidecar")
_VECTOR = ("storageType", "pathOrInlineDv", "offset", "cardinality")


@dataclass(slots=True)
class _Found:
    """What the parts of a checkpoint hold besides Parquet adds. `adds`: how many those are, at most."""

    actions: dict[str, list[Action]] = field(default_factory=lambda: {kind: [] for kind in _SMALL})
    json_adds: list[FoundAdd] = field(default_factory=list)
    parquet: list[tuple[ObjectMeta, ParquetSource | None]] = field(default_factory=list)
    adds: int = 0
    open_bytes: int = 0


def read_checkpoint(store: ObjectStore, ref: TableRef, files: CheckpointFiles, memory_bytes: int | None = None) -> Base:
    """The version that a checkpoint describes. Raises TableCorrupt, naming a file, when part of it is damaged; StorageError; TableRefused
    when its files do not fit into `memory_bytes`, before they are read."""
    found = _Found()
    landed_ms = max(part.modified_ms for part in files.parts)
    for part in files.parts:
        _open(store, part, landed_ms, found)
    first = f"{store.uri}/{files.parts[0].key}"
    for sidecar in tuple(found.actions["sidecar"]):
        _open(store, _sidecar_object(sidecar, store, first), landed_ms, found)
    check_files(ref.uri, found.adds + len(found.json_adds), memory_bytes)
    protocol = parse_protocol(_only(found, "protocol", first), ref.uri)
    metadata = parse_metadata(_only(found, "metaData", first), ref.uri)
    names = tuple(column.physical_name for column in partition_columns(metadata, features_in_force(protocol), ref.uri))
    pieces: list[Piece] = []
    for part, opened in found.parquet:
        source = opened or ParquetSource(store, part.key, part.size_bytes)
        pieces.extend(_pieces(source, part.key, f"{store.uri}/{part.key}", landed_ms, names))
    if found.json_adds:
        pieces.append(piece_of_adds(found.json_adds, names))
    domains: dict[str, str] = {}
    fold_domains(domains, found.actions["domainMetadata"])
    return Base(
        version=files.version,
        protocol=protocol,
        metadata=metadata,
        domains=domains,
        pieces=tuple(pieces) or (no_files(names),),
        checkpoint_version=files.version,
    )


def _only(found: _Found, kind: str, name: str) -> Action:
    actions = found.actions[kind]
    if not actions:
        raise TableCorrupt(f"The checkpoint {name} has no {kind} action.")
    return actions[-1]


def _open(store: ObjectStore, part: ObjectMeta, landed_ms: int, found: _Found) -> None:
    """Read the small actions of one file; leave its Parquet adds for later, when the partition columns are known."""
    if part.key.endswith(".json"):
        for line, action in enumerate(parse_lines(store.get(part.key), f"{store.uri}/{part.key}")):
            for kind in _SMALL:
                if action.get(kind):
                    found.actions[kind].append(action[kind])
            if action.get("add"):
                found.json_adds.append(FoundAdd(action=action["add"], source=part.key, line=line, landed_ms=landed_ms))
        return
    source = ParquetSource(store, part.key, part.size_bytes)
    found.adds += source.count("add.path")
    found.open_bytes += part.size_bytes
    found.parquet.append((part, source if found.open_bytes <= _OPEN_BYTES else None))
    present = [kind for kind in _SMALL if kind in source.schema.names]
    for _, batch in source.batches(present) if present else ():
        for kind in present:
            column = batch.column(kind)
            if column.null_count < len(column):
                found.actions[kind].extend(_tidy(row) for row in column.drop_null().to_pylist(maps_as_pydicts="strict"))


def _tidy(row: dict[str, Any]) -> Action:
    """A Parquet action as in JSON: absent fields left out."""
    return {key: value for key, value in row.items() if value is not None}


def _sidecar_object(sidecar: Action, store: ObjectStore, name: str) -> ObjectMeta:
    path = sidecar.get("path")
    if not isinstance(path, str) or not path:
        raise TableCorrupt(f"The checkpoint {name} has a sidecar without a path.")
    key = object_key(path, store.uri) if ":" in path or path.startswith("/") else f"{LOG}_sidecars/{unquote(path)}"
    return ObjectMeta(key=key, size_bytes=int(sidecar.get("sizeInBytes") or 0), modified_ms=0)


def _pieces(source: ParquetSource, key: str, name: str, landed_ms: int, names: Sequence[str]) -> list[Piece]:
    """Columns of the adds of one file. Statistics as text are read only where the parsed ones do not tell the rows."""
    have = source.struct_fields("add")
    if "path" not in have:
        return []
    parsed = "stats_parsed" in have and "numRecords" in _children(source, "stats_parsed")
    pieces: list[Piece] = []
    for piece in _read(source, key, name, landed_ms, _columns(source, names, parsed=parsed, text=not parsed), names):
        if parsed and "stats" in have and piece.files["rows"].null_count:
            return list(_read(source, key, name, landed_ms, _columns(source, names, parsed=True, text=True), names))
        pieces.append(piece)
    return pieces


def _children(source: ParquetSource, field_name: str) -> tuple[str, ...]:
    kind = source.schema.field("add").type.field(field_name).type
    return tuple(child.name for child in kind) if pa.types.is_struct(kind) else ()


def _columns(source: ParquetSource, names: Sequence[str], *, parsed: bool, text: bool) -> list[str]:
    have = source.struct_fields("add")
    wanted = [
        "path",
        "size",
        "modificationTime",
        "tags",
        "clusteringProvider",
        *(["partitionValues"] if names else []),
        *(["stats"] if text else []),
    ]
    columns = [f"add.{name}" for name in wanted if name in have]
    if "deletionVector" in have:
        columns += [f"add.deletionVector.{name}" for name in _VECTOR if name in _children(source, "deletionVector")]
    return [*columns, *(["add.stats_parsed.numRecords"] if parsed else [])]


def _read(source: ParquetSource, key: str, name: str, landed_ms: int, columns: list[str], names: Sequence[str]) -> Iterator[Piece]:
    for first, batch in source.batches(columns):
        adds = batch.column("add")
        there = pc.is_valid(pc.struct_field(adds, "path")).to_numpy(zero_copy_only=False)
        if not there.any():
            continue
        try:
            yield piece_of_batch(adds.filter(pa.array(there)), np.flatnonzero(there) + first, key, landed_ms, names)
        except (KeyError, ValueError, TypeError, pa.ArrowException) as error:
            raise TableCorrupt(f"The checkpoint file {name} has an incomplete or malformed add action.") from error
