"""Survey: what the footers of a few chosen files say, read before planning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroupFacts:
    """One row group as its footer describes it."""

    rows: int
    compressed_bytes: int
    uncompressed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """One file as its footer describes it. `largest_chunk_bytes`: the largest compressed column chunk.

    extra_columns: it holds columns that the table's schema no longer has. not_copied: a code for why its row groups cannot be copied as
    they are, whatever their size; None when nothing in the footer stands against it.
    """

    path: str
    row_groups: tuple[RowGroupFacts, ...]
    largest_chunk_bytes: int
    extra_columns: bool = False
    not_copied: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Footers by log path. Files that were not surveyed, or that the cap left out, are simply absent.

    unreadable: log path to one sentence, for files of which the footer (or the format) says that they must not be rewritten.
    """

    files: Mapping[str, FileFacts] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    requests: int = 0
