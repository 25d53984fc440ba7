"""Reads Parquet footers: the survey of a few chosen files before planning, and the facts that readers size their batches by.

Never reads column data. Parquet format, "File format": the file ends in the footer, its 4-byte length, and `PAR1` (`PARE`: encrypted).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.model.survey import FileFacts, RowGroupFacts, Survey
from compactor.rewriting.problems import FileProblem
from compactor.storage.base import ObjectStore

_GUESS_BYTES = 64 * 1024
_TRAILER_BYTES = 8
_SURVEYS_IN_FLIGHT = 16


def survey_files(store: ObjectStore, files: Sequence[tuple[str, str, int]]) -> Survey:
    """The footers of `files` (log path, key, size in bytes), many at a time. A file whose footer cannot be read is left out.

    Raises StorageError when the store fails for another reason than that one file.
    """
    with ThreadPoolExecutor(min(_SURVEYS_IN_FLIGHT, max(1, len(files))), thread_name_prefix="survey") as pool:
        found = list(pool.map(lambda file: _survey(store, *file), files))
    return Survey(files={facts.path: facts for facts, _ in found if facts is not None}, requests=sum(requests for _, requests in found))


def _survey(store: ObjectStore, path: str, key: str, size_bytes: int) -> tuple[FileFacts | None, int]:
    try:
        metadata, requests = read_footer(store, key, size_bytes)
    except FileProblem:
        return None, 2
    return file_facts(path, metadata), requests


def read_footer(store: ObjectStore, key: str, size_bytes: int) -> tuple[pq.FileMetaData, int]:
    """The footer of an object of known size, and how many requests that took: one, or two when the footer is large.

    Raises FileProblem when there is no readable footer, StorageError.
    """
    guess = min(size_bytes, _GUESS_BYTES)
    (tail,) = store.get_ranges(key, [(size_bytes - guess, guess)])
    requests = 1
    length = footer_length(tail)
    if length > size_bytes - 4:
        raise FileProblem("corrupt-file", f"{key} is shorter than its footer claims")
    if length + _TRAILER_BYTES > guess:
        needed = length + _TRAILER_BYTES
        (tail,) = store.get_ranges(key, [(size_bytes - needed, needed)])
        requests = 2
    framed = b"PAR1" + bytes(tail[len(tail) - length - _TRAILER_BYTES :])
    try:
        return pq.read_metadata(pa.BufferReader(framed)), requests
    except (pa.ArrowException, OSError, EOFError) as error:
        raise FileProblem("corrupt-file", f"The footer of {key} cannot be read: {error}") from error


def footer_length(tail: bytes | memoryview) -> int:
    """Bytes of the footer of a file that ends in `tail`. Raises FileProblem when it is no Parquet file, or an encrypted one."""
    magic = bytes(tail[-4:])
    if magic == b"PARE":
        raise FileProblem("unsupported-file", "it is encrypted")
    if magic != b"PAR1" or len(tail) < _TRAILER_BYTES:
        raise FileProblem("corrupt-file", "it does not end as a Parquet file does")
    return int(struct.unpack("<I", tail[-8:-4])[0])


def file_facts(path: str, metadata: pq.FileMetaData) -> FileFacts:
    """What a plan needs to know of a footer."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    chunks = [[group.column(j).total_compressed_size for j in range(group.num_columns)] for group in groups]
    return FileFacts(
        path=path,
        row_groups=tuple(
            RowGroupFacts(rows=group.num_rows, compressed_bytes=sum(sizes), uncompressed_bytes=group.total_byte_size)
            for group, sizes in zip(groups, chunks, strict=True)
        ),
        largest_chunk_bytes=max((size for sizes in chunks for size in sizes), default=0),
    )
