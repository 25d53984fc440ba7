"""Notices maintenance of others that landed on top of ours and corrupted the table: deltalake 1.6.4 to 1.6.6 does so.

Those releases let a stale overwrite, delete-all or OPTIMIZE commit although the files it removes were already replaced by a compaction:
rows double or come back. The sign is exact: a foreign commit removes a (path, deletes) that one of our commits had removed before and
nobody added again. This module only reads and tells; it never repairs.
"""

from __future__ import annotations

from dataclasses import dataclass

from compactor.storage.base import ObjectStore
from compactor.tables.delta.landed import run_of
from compactor.tables.delta.log import list_log, read_entries
from compactor.tables.delta.restores import Key, is_untold, key_of, restored_to, restored_versions
from compactor.tables.delta.state import LogEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A foreign commit that was built on files we had replaced. `files`: paths it removed in vain; `replaced_by`: our versions."""

    version: int
    engine: str
    operation: str
    files: tuple[str, ...]
    replaced_by: tuple[int, ...]

    @property
    def message(self) -> str:
        """The finding in one sentence, for people."""
        ours = ", ".join(map(str, self.replaced_by))
        return (
            f"Version {self.version} ({self.operation} by {self.engine}) removes {len(self.files)} files that version {ours} had already "
            f"replaced: rows may be doubled or deleted rows back. Restore version {self.version - 1} and repeat that operation."
        )


def detect_rivals(store: ObjectStore, since_version: int) -> list[Rival]:
    """Such commits among the retained entries after `since_version`, in order of version, but those that a RESTORE has taken back.

    Only replacements by our commits after `since_version` are known to it; give the version before the oldest of ours that matters.
    Raises StorageError, TableCorrupt.
    """
    listing = list_log(store, since_version)
    if not listing.commits:
        return []
    oldest = _start_of_tail(sorted(listing.commits))
    newest = max(listing.commits)
    replaced: dict[Key, int] = {}
    rivals: list[Rival] = []
    untold = False
    for entry in read_entries(store, oldest - 1, newest, listing):
        if run_of(entry) is None:
            rivals.extend(_rival(entry, replaced))
        else:
            replaced.update((key_of(remove), entry.version) for remove in entry.removes)
        to = restored_to(entry)
        if to is not None:
            rivals = [rival for rival in rivals if rival.version <= to]
        untold |= bool(rivals) and is_untold(entry)
        for add in entry.adds:
            replaced.pop(key_of(add), None)
    if rivals and untold:
        restores = restored_versions(read_entries(store, oldest - 1, newest, listing))
        return [rival for rival in rivals if not any(to < rival.version < at for at, to in restores.items())]
    return rivals


def _start_of_tail(versions: list[int]) -> int:
    """The first version of the unbroken tail: what lies before a gap was cleaned away in part."""
    start = versions[-1]
    for version in reversed(versions):
        if version < start - 1:
            break
        start = version
    return start


def _rival(entry: LogEntry, replaced: dict[Key, int]) -> list[Rival]:
    vain = {remove["path"]: replaced[key_of(remove)] for remove in entry.removes if key_of(remove) in replaced}
    if not vain:
        return []
    info = entry.commit_info or {}
    rival = Rival(
        version=entry.version,
        engine=str(info.get("engineInfo") or info.get("clientVersion") or "an unnamed engine"),
        operation=str(info.get("operation") or "unnamed operation"),
        files=tuple(vain),
        replaced_by=tuple(sorted(set(vain.values()))),
    )
    return [rival]
