"""Which version a RESTORE went back to: what was damaged in between is taken back by it. Pure.

Writers that restore by version say so. By timestamp they say a time, in a zone or a rounding of their own (Spark the user's text, deltalake
milliseconds), so that no clock decides here: it is the latest version before whose live files are those after the RESTORE.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from compactor.tables.delta.columns import deletes_id
from compactor.tables.delta.paths import canonical
from compactor.tables.delta.state import Action, LogEntry

Key = tuple[str, str | None]


def is_restore(entry: LogEntry) -> bool:
    """Whether a commit says that it is a RESTORE."""
    return (entry.commit_info or {}).get("operation") == "RESTORE"


def restored_to(entry: LogEntry) -> int | None:
    """The version that a RESTORE went back to, where it says so."""
    parameters = (entry.commit_info or {}).get("operationParameters")
    if not is_restore(entry) or not isinstance(parameters, dict):
        return None
    to = str(parameters.get("version", "")).strip('"')
    return int(to) if to.isdecimal() else None


def is_untold(entry: LogEntry) -> bool:
    """Whether a RESTORE does not say to which version it went back."""
    return is_restore(entry) and restored_to(entry) is None


def key_of(action: Action) -> Key:
    """Identity of a file action, however its path is spelled."""
    return canonical(action["path"]), deletes_id(action.get("deletionVector"))


@dataclass(slots=True)
class _Past:
    """Whether each file that was touched is live, and for each version which files it changed, and from what."""

    live: dict[Key, bool] = field(default_factory=dict)
    changes: list[tuple[int, list[tuple[Key, bool]]]] = field(default_factory=list)

    def take(self, entry: LogEntry, vain: Collection[tuple[int, Key]]) -> None:
        changed: list[tuple[Key, bool]] = []
        for remove in entry.removes:
            key = key_of(remove)
            changed.append((key, self.live.get(key, (entry.version, key) not in vain)))
            self.live[key] = False
        for add in entry.adds:
            key = key_of(add)
            changed.append((key, self.live.get(key, False)))
            self.live[key] = True
        self.changes.append((entry.version, changed))

    def like_now(self) -> int | None:
        """The latest earlier version with the live files of now; None when no version that is known has them."""
        other: set[Key] = set()
        for version, changed in reversed(self.changes):
            for key, before in reversed(changed):
                (other.discard if before == self.live[key] else other.add)(key)
            if not other:
                return version - 1
        return None


def restored_versions(entries: Iterable[LogEntry], vain: Collection[tuple[int, Key]] = ()) -> dict[int, int]:
    """For each RESTORE among these commits (ascending, without gaps) the version that it went back to, where that can be told.

    vain: removes, by version, of files that were not live although nothing before shows it.
    """
    past = _Past()
    found: dict[int, int] = {}
    for entry in entries:
        past.take(entry, vain)
        if is_restore(entry):
            told = restored_to(entry)
            to = past.like_now() if told is None else told
            if to is not None:
                found[entry.version] = to
    return found
