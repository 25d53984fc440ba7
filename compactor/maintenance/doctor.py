"""Examines one version of a table: what the log shows of the past, and whether the store holds what the log names. Only reads.

The folder is listed once; no file is asked for by itself, but deletion vectors (they are read) and what lies elsewhere. With an `observe`
every live file is read, and its rows are held against its statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from compactor.coordination.claims import Claims
from compactor.errors import ObjectMissing, TableCorrupt, TableRefused
from compactor.maintenance.inventory import Inventory, total_bytes
from compactor.model.findings import MOST_FILES, Diagnosis, Finding, FindingKind, LiveFile, Observed, ObserveFiles
from compactor.model.rewrite import InputFile
from compactor.model.snapshot import Snapshot
from compactor.model.verification import Damaged, Gone
from compactor.rewriting.problems import FileProblem
from compactor.rewriting.row_filter import load_deletes
from compactor.storage.base import ObjectMeta, ObjectStore
from compactor.tables.care import TableCare

BLOCK_FILES = 5_000
"""Live files that are looked up in the log at once."""
_VECTORS_IN_FLIGHT = 16
_OLD_AFTER_INTERVALS = 10
_RESTORE_FILES = "Restore a version from before, or bring the files back from a backup or an older version of the bucket's objects."
OnFinding = Callable[[Finding], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined. claims: reads what runs that have not ended may still need; observe: reads files, None to leave them unread."""

    table: TableCare
    store: ObjectStore
    claims: Callable[[], Claims]
    observe: ObserveFiles | None = None


def examine(patient: Patient, on_finding: OnFinding | None = None) -> Diagnosis:
    """All findings, damage of the past first. Raises what loading the table raises, StorageError, ExecutionFailed."""
    table = patient.table
    snapshot = table.load()
    now_ms = patient.store.now_ms()
    findings: list[Finding] = []
    for finding in _findings(patient, snapshot, now_ms):
        findings.append(finding)
        if on_finding is not None:
            on_finding(finding)
    version, date_ms = table.checkpoint_date(snapshot)
    return Diagnosis(
        table=table.ref.uri,
        version=snapshot.version,
        files=snapshot.files.num_rows,
        bytes=pc.sum(snapshot.files["size_bytes"]).as_py() or 0,
        data=patient.observe is not None,
        findings=tuple(findings),
        checkpoint_version=version,
        checkpoint_age_s=None if date_ms is None else max(0.0, (now_ms - date_ms) / 1000),
    )


def _findings(patient: Patient, snapshot: Snapshot, now_ms: int) -> Iterator[Finding]:
    yield from patient.table.past()
    listing = _listed(patient, snapshot)
    yield from _misplaced(patient, snapshot, listing.objects)
    yield from _bad_vectors(patient, snapshot)
    if patient.observe is not None:
        yield from _unlike_their_claims(patient, snapshot, patient.observe)
    yield from _old_checkpoint(patient.table, snapshot)
    yield from _orphans(patient, listing, now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """The folder as one listing showed it, the log apart. files: those that may be files of the table, whether it names them or not."""

    objects: Mapping[str, int]
    files: Sequence[ObjectMeta]


def _listed(patient: Patient, snapshot: Snapshot) -> _Listing:
    inventory = Inventory.of(snapshot.partition_columns)
    objects: dict[str, int] = {}
    files: list[ObjectMeta] = []
    for item in patient.store.list(""):
        if inventory.is_file(item):
            files.append(item)
        if not item.key.startswith("_delta_log/"):
            objects[item.key] = item.size_bytes
    return _Listing(objects=objects, files=inventory.outside_of_others(files))


def _blocks(patient: Patient, snapshot: Snapshot, rows: Sequence[int]) -> Iterator[list[LiveFile]]:
    for start in range(0, len(rows), BLOCK_FILES):
        yield patient.table.live_files(snapshot, rows[start : start + BLOCK_FILES])


def _misplaced(patient: Patient, snapshot: Snapshot, objects: Mapping[str, int]) -> Iterator[Finding]:
    """Live files that the listing does not show as the log describes them."""
    missing: list[LiveFile] = []
    other: list[LiveFile] = []
    unread = 0
    for start in range(0, snapshot.files.num_rows, BLOCK_FILES):
        for file in patient.table.places(snapshot, start, start + BLOCK_FILES):
            size = _size(patient.store, file, objects)
            if size == -1:
                unread += 1
            elif size is None:
                missing.append(file)
            elif size != file.input.size_bytes:
                other.append(file)
    missing, other = _still_live(patient, missing), _still_live(patient, other)
    if missing:
        why = f"{len(missing):,} live files are not in the store, {_path(missing[0])} for one"
        yield _of_files(FindingKind.MISSING, f"{why}.", _RESTORE_FILES, missing)
    if other:
        first = other[0]
        have = _size(patient.store, first, objects)
        why = f"{len(other):,} live files do not have the size that the log says; {_path(first)} has {have:,} bytes"
        yield _of_files(FindingKind.OTHER_SIZE, f"{why} instead of {first.input.size_bytes:,}.", _RESTORE_FILES, other)
    if unread:
        why = f"{unread:,} live files lie outside the table's folder and were not looked at."
        yield Finding(kind=FindingKind.NOT_EXAMINED, why=why, advice="Pass --allow-external-paths to look there, too.", count=unread)


def _size(store: ObjectStore, file: LiveFile, objects: Mapping[str, int]) -> int | None:
    """None when the file is missing, -1 when it lies where nobody may look."""
    if file.hidden:
        return -1
    if not file.external:
        return objects.get(file.input.key)
    found = store.head(file.input.key)
    return None if found is None else found.size_bytes


def _still_live(patient: Patient, files: list[LiveFile]) -> list[LiveFile]:
    """Those that the latest version names, too: others may have been replaced and vacuumed meanwhile."""
    if not files:
        return files
    live = set(patient.table.load().files["path"].to_pylist())
    return [file for file in files if _path(file) in live]


def _bad_vectors(patient: Patient, snapshot: Snapshot) -> Iterator[Finding]:
    """Deletion vectors of live files that cannot be read, or are not what the log says."""
    masked = np.flatnonzero(snapshot.files["deletes_id"].is_valid().to_numpy()).tolist()
    bad: list[tuple[LiveFile, str]] = []
    with ThreadPoolExecutor(_VECTORS_IN_FLIGHT, thread_name_prefix="vectors") as pool:
        for block in _blocks(patient, snapshot, masked):
            near = [file for file in block if not file.hidden]
            whys = pool.map(lambda file: _fault_of_vector(patient.store, file.input), near)
            bad += [(file, why) for file, why in zip(near, whys, strict=True) if why is not None]
    if bad:
        why = f"The deletion vectors of {len(bad):,} live files cannot be used: {bad[0][1]}"
        advice = "Rows of these files can neither be shown nor hidden rightly. Restore a version from before."
        yield _of_files(FindingKind.BAD_VECTOR, why, advice, [file for file, _ in bad])


def _fault_of_vector(store: ObjectStore, file: InputFile) -> str | None:
    assert file.deletes is not None
    try:
        load_deletes(file.deletes, store)
    except FileProblem as problem:
        return str(problem)
    except ObjectMissing:
        return f"{file.deletes.key} is missing."
    return None


def _unlike_their_claims(patient: Patient, snapshot: Snapshot, observe: ObserveFiles) -> Iterator[Finding]:
    """Files that cannot be decoded, and files whose rows their statistics exclude."""
    lies: list[tuple[LiveFile, str]] = []
    corrupt: list[tuple[LiveFile, str]] = []
    strange: list[tuple[LiveFile, str]] = []
    try:
        spec = patient.table.reading(snapshot)
    except TableRefused as refused:
        yield Finding(kind=FindingKind.NOT_EXAMINED, why=f"Files were not read: {refused}", advice="This program cannot read them.")
        return
    for block in _blocks(patient, snapshot, range(snapshot.files.num_rows)):
        near = [file for file in block if not file.hidden]
        for position, look in observe(spec, [file.input for file in near]):
            match look:
                case Observed():
                    if said := patient.table.contradictions(snapshot, near[position], look):
                        lies.append((near[position], said[0]))
                case Damaged(why=why, unsupported=unsupported):
                    (strange if unsupported else corrupt).append((near[position], why))
                case Gone():
                    pass  # the listing has shown it
    if corrupt:
        yield _of_files(FindingKind.CORRUPT, f"{len(corrupt):,} live files cannot be read: {_first(corrupt)}", _RESTORE_FILES, corrupt)
    if lies:
        path = _path(min(lies, key=_by_path)[0])
        why = f"The statistics of {len(lies):,} live files exclude rows that are there; of {path}: {_first(lies)}."
        advice = (
            "Queries that filter by these columns lose rows. Rewrite the files: run --force-rewrite, with --where for their partitions."
        )
        yield _of_files(FindingKind.WRONG_STATISTICS, why, advice, lies)
    if strange:
        why = f"{len(strange):,} live files were not examined: {_first(strange)}"
        yield _of_files(FindingKind.NOT_EXAMINED, why, "They may be whole; this program cannot read them.", strange)


def _by_path(found: tuple[LiveFile, str]) -> str:
    return _path(found[0])


def _first(found: Sequence[tuple[LiveFile, str]]) -> str:
    """What is said about the first file by path: passes over files answer in any order."""
    return min(found, key=_by_path)[1]


def _old_checkpoint(table: TableCare, snapshot: Snapshot) -> Iterator[Finding]:
    version, _ = table.checkpoint_date(snapshot)
    text = snapshot.properties.get("delta.checkpointInterval", "")
    interval = int(text) if text.isdecimal() and int(text) > 0 else 10
    behind = snapshot.version - (-1 if version is None else version)
    if behind > _OLD_AFTER_INTERVALS * interval:
        since = "there is no checkpoint" if version is None else f"the last checkpoint is of version {version}"
        why = f"Readers replay {behind:,} commits: {since}."
        advice = "Let the table's engine write a checkpoint; a run of this program writes one when its commit is due for it."
        yield Finding(kind=FindingKind.OLD_CHECKPOINT, why=why, advice=advice, count=behind, version=version)


def _orphans(patient: Patient, listing: _Listing, now_ms: int) -> Iterator[Finding]:
    """Files that nobody names, by the log as it is after the listing and after the intents: what was begun by then is claimed or named."""
    try:
        claims = patient.claims()
        named = patient.table.named()
    except (TableCorrupt, TableRefused) as error:
        yield Finding(kind=FindingKind.NOT_EXAMINED, why=f"Orphans were not looked for: {error}", advice="See to what the sentence names.")
        return
    orphans = [item for item in listing.files if item.key not in named and item.key not in claims]
    if not orphans:
        return
    ages = [max(0.0, (now_ms - item.modified_ms) / 1000) for item in orphans]
    yield Finding(
        kind=FindingKind.ORPHANS,
        why=f"{len(orphans):,} files are named by no retained version.",
        advice="Young ones may belong to a writer that is at work; vacuum removes those that are older than the retention.",
        files=tuple(item.key for item in orphans[:MOST_FILES]),
        count=len(orphans),
        bytes=total_bytes(orphans),
        oldest_s=max(ages),
        youngest_s=min(ages),
    )


def _path(file: LiveFile) -> str:
    return file.input.file.path


def _of_files(kind: FindingKind, why: str, advice: str, files: Sequence[LiveFile] | Sequence[tuple[LiveFile, str]]) -> Finding:
    paths = sorted(_path(file[0] if isinstance(file, tuple) else file) for file in files)
    return Finding(kind=kind, why=why, advice=advice, files=tuple(paths[:MOST_FILES]), count=len(paths))
