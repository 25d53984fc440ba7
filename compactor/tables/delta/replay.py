"""Which files are live: log entries applied to a checkpoint, to an older snapshot, or to nothing. Pure and columnar.

Protocol section "Action Reconciliation". A file is identified by its canonical path and its deletion vector; within one commit removes
come before adds. However a version is reached, the result is the same: rows, partitions and sources are put into one canonical form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from compactor.errors import TableCorrupt
from compactor.model.snapshot import FILES_SCHEMA, PartitionColumn, Snapshot, TableRef
from compactor.tables.delta.clustering import keeps_clustering
from compactor.tables.delta.columns import FoundAdd, Piece, deletes_id, factorise, no_files, piece_of_adds
from compactor.tables.delta.compression import learn
from compactor.tables.delta.log import entry_key
from compactor.tables.delta.paths import canonical
from compactor.tables.delta.protocol import features_in_force, mapping_mode, parse_metadata, parse_protocol, physical_name
from compactor.tables.delta.state import Action, DeltaState, Learned, LogEntry, Metadata, Protocol

FOLD_ACTIONS = 100_000
"""File actions of JSON entries that are held as Python objects at once, at most (a single larger commit excepted)."""
_TAIL = 32

Key = tuple[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A version half-way: what a checkpoint or a snapshot says before the entries after it are applied. Version -1: nothing."""

    version: int = -1
    protocol: Protocol | None = None
    metadata: Metadata | None = None
    domains: Mapping[str, str] = field(default_factory=dict)
    in_commit_timestamp_ms: int | None = None
    pieces: tuple[Piece, ...] = ()
    engines: tuple[str, ...] = ()
    learned: Learned = field(default_factory=Learned)
    checkpoint_version: int | None = None


def build(ref: TableRef, base: Base, entries: Iterable[LogEntry]) -> Snapshot:
    """The snapshot after `entries` (ascending, without gaps, the first right after `base`).

    Raises TableCorrupt when entries are missing, when there is no protocol or metadata, or when an action is malformed.
    """
    pending: list[LogEntry] = []
    actions = 0
    for entry in entries:
        expected = base.version + len(pending) + 1
        if entry.version != expected:
            raise TableCorrupt(f"The log entry {ref.uri}/{entry_key(expected)} is missing although later versions exist.")
        pending.append(entry)
        actions += len(entry.adds) + len(entry.removes)
        if actions >= FOLD_ACTIONS:
            base, pending, actions = fold(ref, base, pending), [], 0
    return _finish(ref, fold(ref, base, pending) if pending else base)


def apply(snapshot: Snapshot, entries: Iterable[LogEntry]) -> Snapshot:
    """The snapshot after further entries; equal to one loaded from scratch."""
    return build(snapshot.table, base_of(snapshot), entries)


def base_of(snapshot: Snapshot) -> Base:
    """A snapshot as something to apply entries to."""
    state = snapshot.state
    assert isinstance(state, DeltaState)
    return Base(
        version=snapshot.version,
        protocol=state.protocol,
        metadata=state.metadata,
        domains=state.domains,
        in_commit_timestamp_ms=state.in_commit_timestamp_ms,
        pieces=(Piece(files=snapshot.files, partitions=snapshot.partitions, sources=state.sources),),
        engines=state.engines,
        learned=state.learned,
        checkpoint_version=state.checkpoint_version,
    )


def partition_columns(metadata: Metadata, features: frozenset[str], name: str) -> tuple[PartitionColumn, ...]:
    """The partition columns with their physical names. Raises TableCorrupt, naming the table, when one is not a primitive of the schema."""
    fields = {f["name"]: f for f in metadata.schema["fields"]}
    folded = {key.lower(): f for key, f in fields.items()}
    mode = mapping_mode(metadata, features)
    columns = []
    for column in metadata.partition_columns:
        found = fields.get(column) or folded.get(column.lower())
        if found is None or not isinstance(found["type"], str):
            raise TableCorrupt(f'The table {name} is partitioned by "{column}", which is not a plain column of its schema.')
        columns.append(PartitionColumn(name=found["name"], physical_name=physical_name(found, mode), type=found["type"]))
    return tuple(columns)


def fold(ref: TableRef, base: Base, entries: Sequence[LogEntry]) -> Base:
    """`base` after `entries`. Files that die within `entries` never become a row."""
    domains, engines, learned = dict(base.domains), list(base.engines), base.learned
    changed_protocol = next((entry.protocol for entry in reversed(entries) if entry.protocol), None)
    changed_metadata = next((entry.metadata for entry in reversed(entries) if entry.metadata), None)
    protocol = parse_protocol(changed_protocol, ref.uri) if changed_protocol else base.protocol
    metadata = parse_metadata(changed_metadata, ref.uri) if changed_metadata else base.metadata
    for entry in entries:
        fold_domains(domains, entry.domains)
        learned = learn(learned, entry)
        engine = (entry.commit_info or {}).get("engineInfo")
        if isinstance(engine, str) and engine not in engines:
            engines.append(engine)
    names = _partition_names(ref, protocol, metadata)
    live, touched = _fold_files(ref, entries)
    pieces = [_without(piece, touched) for piece in base.pieces] if touched else list(base.pieces)
    if live:
        pieces.append(piece_of_adds(live, names))
    stamp = (entries[-1].commit_info or {}).get("inCommitTimestamp")
    return replace(
        base,
        version=entries[-1].version,
        protocol=protocol,
        metadata=metadata,
        domains=domains,
        in_commit_timestamp_ms=stamp if isinstance(stamp, int) else None,
        pieces=tuple(pieces),
        engines=tuple(engines),
        learned=learned,
    )


def _partition_names(ref: TableRef, protocol: Protocol | None, metadata: Metadata | None) -> tuple[str, ...]:
    """Physical names of the partition columns; an entry without a protocol or metadata before it breaks the log."""
    if protocol is None or metadata is None:
        what = "protocol" if protocol is None else "metaData"
        raise TableCorrupt(f"The log of {ref.uri} has no {what} action.")
    return tuple(column.physical_name for column in partition_columns(metadata, features_in_force(protocol), ref.uri))


def fold_domains(domains: dict[str, str], actions: Sequence[Action]) -> None:
    """Apply domainMetadata actions in order; a removed domain disappears."""
    for action in actions:
        if action.get("removed"):
            domains.pop(str(action.get("domain")), None)
        else:
            domains[str(action.get("domain"))] = str(action.get("configuration") or "")


def _fold_files(ref: TableRef, entries: Sequence[LogEntry]) -> tuple[list[FoundAdd], set[Key]]:
    """Adds that are live after `entries`, and every key that they removed or added (gone from whatever came before)."""
    live: dict[Key, FoundAdd] = {}
    touched: set[Key] = set()
    for entry in entries:
        for remove in entry.removes:
            key = _key(remove, entry, ref)
            touched.add(key)
            live.pop(key, None)
        source = entry_key(entry.version)
        for add, line in zip(entry.adds, entry.add_lines, strict=True):
            key = _key(add, entry, ref)
            touched.add(key)
            live[key] = FoundAdd(add, source, line, entry.modified_ms)
    return list(live.values()), touched


def _key(action: Action, entry: LogEntry, ref: TableRef) -> Key:
    try:
        vector = action.get("deletionVector")
        return canonical(action["path"]), deletes_id(vector) if vector else None
    except (KeyError, TypeError, AttributeError) as error:
        raise TableCorrupt(f"The log entry {ref.uri}/{entry_key(entry.version)} has a file action without a proper path.") from error


def _without(piece: Piece, touched: set[Key]) -> Piece:
    """A piece without the files of these keys.

    A path may be spelled in several ways, yet a million are not decoded: last bytes, which decoding leaves alone, narrow the rows down.
    """
    count = piece.files.num_rows
    if not count:
        return piece
    rows = _candidates(piece.files["path"], touched)
    if not len(rows):
        return piece
    some = piece.files.select(["path", "deletes_id"]).take(pa.array(rows))
    keys = zip(some["path"].to_pylist(), some["deletes_id"].to_pylist(), strict=True)
    dead = rows[[(canonical(path), deletes) in touched for path, deletes in keys]]
    if not len(dead):
        return piece
    keep = np.ones(count, bool)
    keep[dead] = False
    return replace(piece, files=piece.files.filter(pa.array(keep)))


def _candidates(paths: pa.ChunkedArray, touched: set[Key]) -> npt.NDArray[np.int64]:
    """Rows whose canonical path may be among the keys. A percent escape may reach two bytes into the tail."""
    tails = {path.encode("utf-8", "surrogateescape")[-_TAIL:] for path, _ in touched}
    raw = pc.cast(paths, pa.binary())
    mask = pc.is_in(pc.binary_slice(raw, -_TAIL), value_set=pa.array(list(tails), pa.binary()))
    if pc.any(pc.match_substring(paths, "%")).as_py() or pc.any(pc.starts_with(paths, "file:")).as_py():
        encoded = pc.match_substring(pc.binary_slice(raw, -_TAIL - 2), "%")
        mask = pc.or_(mask, pc.or_(encoded, pc.starts_with(paths, "file:")))
    rows: npt.NDArray[np.int64] = np.flatnonzero(mask.to_numpy(zero_copy_only=False))
    return rows


def _finish(ref: TableRef, base: Base) -> Snapshot:
    names = _partition_names(ref, base.protocol, base.metadata)
    assert base.protocol is not None and base.metadata is not None
    files, partitions, sources = combine(base.pieces, names)
    features = features_in_force(base.protocol)
    return Snapshot(
        table=ref,
        version=base.version,
        table_id=base.metadata.id,
        properties=dict(base.metadata.configuration),
        features=features,
        partition_columns=partition_columns(base.metadata, features, ref.uri),
        partitions=partitions,
        files=files,
        keeps_clustering=keeps_clustering(features, base.domains),
        state=DeltaState(
            protocol=base.protocol,
            metadata=base.metadata,
            domains=dict(base.domains),
            in_commit_timestamp_ms=base.in_commit_timestamp_ms,
            sources=sources,
            checkpoint_version=base.checkpoint_version,
            engines=base.engines,
            learned=base.learned,
        ),
    )


def combine(pieces: Sequence[Piece], names: Sequence[str]) -> tuple[pa.Table, pa.Table, tuple[str, ...]]:
    """Files, partitions and sources of all pieces in canonical form: files by (modified_ms, path), partitions by value, sources by key."""
    pieces = [piece for piece in pieces if piece.files.num_rows] or [no_files(names)]
    maps = [_renamed(piece.partitions, names) for piece in pieces]
    first_partition = np.cumsum([0, *(table.num_rows for table in maps)])
    first_source = np.cumsum([0, *(len(piece.sources) for piece in pieces)])
    files = pa.concat_tables([piece.files for piece in pieces])
    counts = [piece.files.num_rows for piece in pieces]
    partition = _numbers(files, "partition_id") + np.repeat(first_partition[:-1], counts)
    source = _numbers(files, "source") + np.repeat(first_source[:-1], counts)
    partition_ids, partitions = _canonical_partitions(partition, maps, names)
    source_ids, sources = _canonical_sources(source, [key for piece in pieces for key in piece.sources])
    files = files.set_column(
        FILES_SCHEMA.get_field_index("partition_id"), FILES_SCHEMA.field("partition_id"), pa.array(partition_ids, pa.int32())
    )
    files = files.set_column(FILES_SCHEMA.get_field_index("source"), FILES_SCHEMA.field("source"), pa.array(source_ids, pa.int32()))
    keys = [("modified_ms", "ascending"), ("path", "ascending"), ("deletes_id", "ascending")]
    order = pc.sort_indices(files, sort_keys=keys)
    if not np.array_equal(order.to_numpy(), np.arange(len(order))):
        files = files.take(order)
    return files.combine_chunks(), partitions, sources


def _numbers(files: pa.Table, name: str) -> npt.NDArray[np.int64]:
    numbers: npt.NDArray[np.int64] = files[name].to_numpy().astype(np.int64)
    return numbers


def _renamed(partitions: pa.Table, names: Sequence[str]) -> pa.Table:
    """Partition maps with exactly the columns of `names`; one that a map lacks is null (the table was partitioned otherwise then)."""
    if list(names) == partitions.column_names or not names:
        return partitions if names else partitions.select([])
    have = set(partitions.column_names)
    columns = [partitions[name] if name in have else pa.nulls(partitions.num_rows, pa.string()) for name in names]
    return pa.table(columns, schema=pa.schema([pa.field(name, pa.string()) for name in names]))


def _canonical_partitions(
    ids: npt.NDArray[np.int64], maps: Sequence[pa.Table], names: Sequence[str]
) -> tuple[npt.NDArray[np.int32], pa.Table]:
    if not names:
        return factorise([], len(ids), names)
    every = pa.concat_tables(maps)
    used, inverse = np.unique(ids, return_inverse=True)
    live = every.take(pa.array(used))
    ranks, partitions = factorise([live[name] for name in names], live.num_rows, names)
    return ranks[inverse], partitions.combine_chunks()


def _canonical_sources(ids: npt.NDArray[np.int64], keys: Sequence[str]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    used = np.unique(ids)
    live = sorted({keys[i] for i in used})
    rank = {key: position for position, key in enumerate(live)}
    lookup = np.zeros(max(1, len(keys)), np.int64)
    lookup[used] = [rank[keys[i]] for i in used]
    return lookup[ids], tuple(live)
