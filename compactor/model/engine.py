"""Engines as people choose them and runs report them: whether encoded row groups are copied as they are, and why some were decoded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

EngineMode = Literal["auto", "fuse", "stitch", "transcode"]
"""auto: copy large row groups, merge small files, decode the rest; fuse: merge whole small files, and decode the rest; stitch: copy
whatever may be copied; transcode: decode and encode everything."""

COPIED_BYTES = 20 * 1024 * 1024
"""Row groups of at least so many encoded bytes are copied unless somebody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """Which engine takes a row group. copied_bytes: encoded bytes from which on `auto` copies one instead of decoding it.

    verify: what fuse keeps compressed is decompressed once nevertheless.
    """

    mode: EngineMode = "auto"
    copied_bytes: int = COPIED_BYTES
    verify: bool = False

    @property
    def pays_debt(self) -> bool:
        """Whether small row groups that were copied once (smaller than COPIED_BYTES) are not copied again."""
        return self.mode != "stitch" and (self.mode != "auto" or self.copied_bytes >= COPIED_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedBecause:
    """Row groups that were decoded, not copied, for one reason. `code` is stable, `why` a sentence about one of them."""

    code: str
    why: str
    row_groups: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """What was not decoded. row_groups, bytes: copied as they were, encoded; stored_bytes: of those, what the store copied by itself, with
    store_requests. merged_files, merged_bytes: files that were merged page by page.
    """

    row_groups: int = 0
    bytes: int = 0
    stored_bytes: int = 0
    store_requests: int = 0
    merged_files: int = 0
    merged_bytes: int = 0

    def __add__(self, other: Copies) -> Copies:
        """Both together."""
        return Copies(
            row_groups=self.row_groups + other.row_groups,
            bytes=self.bytes + other.bytes,
            stored_bytes=self.stored_bytes + other.stored_bytes,
            store_requests=self.store_requests + other.store_requests,
            merged_files=self.merged_files + other.merged_files,
            merged_bytes=self.merged_bytes + other.merged_bytes,
        )


def together(reasons: Iterable[DecodedBecause]) -> tuple[DecodedBecause, ...]:
    """One element for each code, the most bytes first."""
    found: dict[str, DecodedBecause] = {}
    for one in reasons:
        known = found.get(one.code)
        counted = one if known is None else replace(known, row_groups=known.row_groups + one.row_groups, bytes=known.bytes + one.bytes)
        found[one.code] = counted
    return tuple(sorted(found.values(), key=lambda because: (-because.bytes, because.code)))
