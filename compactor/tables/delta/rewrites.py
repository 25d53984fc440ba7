"""Commits that replaced files without changing rows, as `verify` reads them: removes and adds with all that is needed to read their files.

Ours carry our run id; of others, those whose every file action says `dataChange:false`. Files are read by the schema that was in force
right then. Reads the log only (protocol sections "Add File and Remove File", "Commit Provenance Information").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from compactor.errors import TableCorrupt, UsageError
from compactor.model.rewrite import Bound, InputFile, ReadSpec
from compactor.model.snapshot import PartitionColumn, Snapshot, TableRef
from compactor.model.verification import RecordedRewrite, RewrittenFile
from compactor.storage.base import ObjectStore
from compactor.tables.delta.conflicts import file_key
from compactor.tables.delta.landed import run_of
from compactor.tables.delta.loading import load_latest, load_version
from compactor.tables.delta.log import list_log, read_entries
from compactor.tables.delta.materialised import PROPERTY, materialised
from compactor.tables.delta.partition_values import typed_value
from compactor.tables.delta.paths import object_key
from compactor.tables.delta.proof_tags import commit_fingerprint, file_digest
from compactor.tables.delta.replay import Base, base_of, build
from compactor.tables.delta.row_tracking import numbering
from compactor.tables.delta.schema import read_spec
from compactor.tables.delta.state import Action, DeltaState, LogEntry
from compactor.tables.delta.vectors import deletes_of


def rewrites(store: ObjectStore, ref: TableRef, first: int | None, last: int | None) -> Iterator[RecordedRewrite]:
    """Our commits among the retained versions first to last, oldest first.

    Raises UsageError when the log has no such versions (any more), TableCorrupt, StorageError.
    """
    yield from (_recorded(entry, terms, ref) for entry, terms in _entries(store, ref, first, last) if run_of(entry) is not None)


def rewrite_at(store: ObjectStore, ref: TableRef, version: int) -> RecordedRewrite:
    """The rewrite that `version` is, whoever made it. Raises UsageError when it is none, TableCorrupt, StorageError."""
    ((entry, terms),) = _entries(store, ref, version, version)
    if run_of(entry) is None and not _keeps_rows(entry):
        raise UsageError(f"Version {version} of {ref.uri} does not claim to keep the table's rows, so there is nothing to verify.")
    return _recorded(entry, terms, ref)


def as_rewrite(snapshot: Snapshot, removed: Sequence[Action], added: Sequence[Action]) -> RecordedRewrite:
    """An exchange of files that is not in the log yet, on top of `snapshot`: raw adds of what goes and of what comes.

    Raises TableCorrupt, TableRefused for a path that may not be read.
    """
    terms = _terms(snapshot)
    files = [_file(action, terms, snapshot.table, added=False) for action in removed]
    files += [_file(action, terms, snapshot.table, added=True) for action in added]
    return RecordedRewrite(version=snapshot.version + 1, run_id=None, read=terms.read, files=tuple(files))


def _keeps_rows(entry: LogEntry) -> bool:
    return bool(entry.adds and entry.removes) and not any(action.get("dataChange", True) for action in (*entry.adds, *entry.removes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """How files of a version are read."""

    read: ReadSpec
    columns: tuple[PartitionColumn, ...]
    comparable: bool


def _entries(store: ObjectStore, ref: TableRef, first: int | None, last: int | None) -> Iterator[tuple[LogEntry, _Terms]]:
    """Entries with the terms in force after each."""
    listing = list_log(store)
    newest = listing.newest
    if newest is None:
        load_latest(store, ref)  # says what there is instead of a table
        return
    upto = newest if last is None else last
    if upto > newest:
        raise UsageError(f"The table {ref.uri} has no version {upto}; the latest is {newest}.")
    oldest = upto
    while oldest - 1 in listing.commits and oldest - 1 >= (first or 0):
        oldest -= 1
    if oldest not in listing.commits or (first is not None and oldest > first):
        raise UsageError(f"The log entry of version {upto if oldest not in listing.commits else first} of {ref.uri} is gone.")
    base = _base_before(store, ref, oldest, upto)
    terms: _Terms | None = None
    for entry in read_entries(store, oldest - 1, upto, listing):
        if terms is None or entry.protocol or entry.metadata:
            snapshot = build(ref, replace(base, version=entry.version - 1), [replace(entry, adds=(), add_lines=(), removes=())])
            base, terms = base_of(snapshot), _terms(snapshot)
        yield entry, terms


def _base_before(store: ObjectStore, ref: TableRef, version: int, upto: int) -> Base:
    """What was in force before `version`, without files; from the oldest version that can still be loaded where that one cannot."""
    if version == 0:
        return Base()
    for known in (version - 1, version, *range(version + 1, upto + 1)):
        try:
            return replace(base_of(load_version(store, ref, known)), pieces=())
        except UsageError:
            continue  # its checkpoint has been cleaned away
    raise TableCorrupt(f"No version of {ref.uri} up to {upto} can be loaded, so that the schema of its files is not known.")


def _terms(snapshot: Snapshot) -> _Terms:
    state = snapshot.state
    assert isinstance(state, DeltaState)
    read = read_spec(state.metadata, snapshot.features, materialised(snapshot, state.metadata))
    # Where partition columns in files are only asked for, having them depended on the values of all partitions at that time.
    asked = state.metadata.configuration.get(PROPERTY, "false").strip().lower() == "true"
    return _Terms(read=read, columns=snapshot.partition_columns, comparable=not (asked and snapshot.partition_columns))


def _recorded(entry: LogEntry, terms: _Terms, ref: TableRef) -> RecordedRewrite:
    tags = (entry.commit_info or {}).get("tags")
    ours = isinstance(tags, dict) and terms.comparable and run_of(entry) is not None
    files = [_file(action, terms, ref, added=False) for action in entry.removes] + [
        _file(action, terms, ref, added=True) for action in entry.adds
    ]
    return RecordedRewrite(
        version=entry.version,
        run_id=run_of(entry),
        read=terms.read,
        files=tuple(files),
        recorded=commit_fingerprint(tags) if ours and isinstance(tags, dict) else None,
    )


def _file(action: Action, terms: _Terms, ref: TableRef, *, added: bool) -> RewrittenFile:
    vector = action.get("deletionVector")
    values = action.get("partitionValues") or {}
    base, version = numbering(action)
    file = InputFile(
        file=file_key(action),
        key=object_key(action["path"], ref.uri),
        size_bytes=int(action.get("size") or 0),
        deletes=deletes_of(vector, ref.uri) if vector else None,
        base_row_id=base,
        row_version=version,
        constants=_constants(terms, values),
    )
    partition = {column.name: values.get(column.physical_name) for column in terms.columns}
    digest = file_digest(action.get("tags") or {}) if terms.comparable and added else None
    return RewrittenFile(input=file, added=added, partition=partition, digest=digest)


def _constants(terms: _Terms, values: Action) -> tuple[Bound | None, ...]:
    kinds = {column.physical_name: column.type for column in terms.columns}
    names: Sequence[str] = terms.read.constants.names
    return tuple(typed_value(values.get(name), kinds[name]) for name in names)
