"""Where the pages of a column chunk are and how their values are encoded, told from their headers. Shares no code with the compactor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from support.parquet_footer import Reader, member

DICTIONARY_PAGE = 2
PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY = 0, 2, 8
_HEADERS = {0: (5, 2), DICTIONARY_PAGE: (7, 2), 3: (8, 4)}
"""Of each type of page: which field its own header is, and which field of that its encoding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page from its header to its end."""

    kind: int
    encoding: int
    values: int
    start: int
    end: int


def pages(data: bytes, column: int, row_group: int = 0) -> list[Page]:
    """The pages of a column chunk in their order."""
    chunk = pq.read_metadata(pa.BufferReader(data)).row_group(row_group).column(column)
    at = min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset)
    end, found = at + chunk.total_compressed_size, []
    while at < end:
        reader = Reader(data, at)
        header = reader.struct()
        kind = member(header, 1).value
        own, encoding = _HEADERS[kind]
        told = member(header, own).value
        stop = reader.at + member(header, 3).value
        found.append(Page(kind=kind, encoding=member(told, encoding).value, values=member(told, 1).value, start=at, end=stop))
        at = stop
    return found


def turns(chunk: Sequence[Page]) -> bool:
    """Whether some data pages have the dictionary and others have none."""
    return len({page.encoding in (PLAIN_DICTIONARY, RLE_DICTIONARY) for page in chunk if page.kind != DICTIONARY_PAGE}) > 1
