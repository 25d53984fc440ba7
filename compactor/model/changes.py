"""What the newest entries of a table's log changed, in neutral terms: enough to follow the table's health without loading it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that came or went. partition: its exact values, as one text; rows: None when the log does not say. generation, finished_for,
    encode_debt, clustered: as in FILES_SCHEMA. landed_ms: by the store's date of the entry. path: as the log has it, where somebody wants
    to know. tagged: whether tags were told; deltalake leaves them out of removes, so that without any nothing is known of the file's
    generation."""

    added: bool
    partition: str
    size_bytes: int
    rows: int | None = None
    deleted_rows: int = 0
    generation: int = 0
    finished_for_bytes: int = 0
    encode_debt_bytes: int = 0
    clustered: bool = False
    landed_ms: int = 0
    path: str = ""
    tagged: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCommit:
    """A commit of a table's history. keeps_rows: it only exchanged files, as compactions do. at_ms: as the log says, never going back."""

    version: int
    at_ms: int
    keeps_rows: bool
    changes: tuple[FileChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTail:
    """Entries after the version that was known. version: the newest. entry: what tells its log object from another of its name, None when
    there is none. commits: how many came, and how many of those were ours. changes: by others and by us, in order; written_ms: the newest
    date of an entry of others that changed data, 0 without. unclear: why the table has to be loaded to know more, else None."""

    version: int
    entry: str | None
    commits: int = 0
    ours: int = 0
    changes: tuple[FileChange, ...] = ()
    written_ms: int = 0
    unclear: str | None = None


def partition_text(values: dict[str, str | None]) -> str:
    """The exact values of a partition as one text, the same for the same values."""
    return "\x1f".join(f"{name}\x1e{'' if value is None else '=' + value}" for name, value in sorted(values.items()))


def partition_values(text: str) -> dict[str, str | None]:
    """The values that `partition_text` made the text of."""
    pairs = (part.split("\x1e", 1) for part in text.split("\x1f")) if text else ()
    return {name: value[1:] if value else None for name, value in pairs}
