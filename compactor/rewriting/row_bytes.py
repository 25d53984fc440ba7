"""How much larger than encoded the rows of a file may be once decoded, by its footer. Pure: reads no rows, decides nothing.

Encodings hide sizes: a run of equal integers in a list takes a few bits, a long value stands once in a dictionary page, and prefix
encoding (DELTA_BYTE_ARRAY) stores of each value only what differs from the one before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq

_WIDTHS = {"BOOLEAN": 0.125, "INT32": 4.0, "INT64": 8.0, "INT96": 8.0, "FLOAT": 4.0, "DOUBLE": 8.0, "BYTE_ARRAY": 4.0}
_ALIKE = 1.5
_PREFIXED = "DELTA_BYTE_ARRAY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hiding:
    """The leaves of files of one schema whose decoded size a footer does not plainly tell.

    repeated: leaves below a list or map and the bytes of one value, of long ones without their text; long: leaves with values of any length
    that are not read as dictionaries, and the top-level column of each.
    """

    repeated: tuple[tuple[int, float], ...]
    long: tuple[tuple[int, str], ...]

    def repeated_bytes(self, groups: Sequence[pq.RowGroupMetaData]) -> float:
        """Bytes of all values below lists and maps of these row groups."""
        return sum((float(group.column(i).num_values) * width for group in groups for i, width in self.repeated), 0.0)

    def expanding(self, groups: Sequence[pq.RowGroupMetaData]) -> tuple[dict[str, None], int, int]:
        """Columns that may hold repeated long values; the most that these may come to, and the longest that one of them may be."""
        columns: dict[str, None] = {}
        most = longest = 0
        for group in groups:
            for i, name in self.long:
                chunk = group.column(i)
                if chunk.has_dictionary_page or _PREFIXED in chunk.encodings:
                    columns[name] = None
                    most += chunk.num_values * chunk.total_uncompressed_size
                    longest = max(longest, chunk.total_uncompressed_size)
        return columns, most, longest


class Probed:
    """What reading the first rows of earlier files of one schema showed, so that files like them need not be probed again."""

    def __init__(self) -> None:
        self._footer_says = self._found = 0.0

    def recall(self, footer_says: float) -> float | None:
        """Hidden bytes of a row of a file whose footer allows `footer_says` of them, by files that allowed as many; None: look yourself."""
        return self._found if footer_says <= _ALIKE * self._footer_says else None

    def learn(self, footer_says: float, found: float) -> None:
        """A probe of a file whose footer allows `footer_says` hidden bytes of a row found this many."""
        self._footer_says, self._found = max(self._footer_says, footer_says), max(self._found, found)


def hiding_of(metadata: pq.FileMetaData, columns: Collection[str] | None, dictionaries: Collection[str]) -> Hiding:
    """For files with the schema of this one, of which only `columns` (None: all) are read, and `dictionaries` as such."""
    repeated, long = [], []
    for i in range(len(metadata.schema)):
        leaf = metadata.schema.column(i)
        top = leaf.path.partition(".")[0]
        if columns is not None and top not in columns and leaf.path not in columns:
            continue
        if leaf.max_repetition_level:
            repeated.append((i, _WIDTHS.get(leaf.physical_type) or float(leaf.length)))
        if leaf.physical_type == "BYTE_ARRAY" and leaf.path not in dictionaries:
            long.append((i, top))
    return Hiding(repeated=tuple(repeated), long=tuple(long))
