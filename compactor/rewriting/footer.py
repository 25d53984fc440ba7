"""Reads Parquet footers: the survey of a few chosen files before planning, and the facts that readers size their batches by.

Never reads column data. Parquet format, "File format": the file ends in the footer, its 4-byte length, and `PAR1` (`PARE`: encrypted).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.errors import ObjectMissing, ObjectTooShort
from compactor.model.rewrite import ReadSpec, WriteSpec
from compactor.model.survey import FileFacts, RowGroupFacts, Survey
from compactor.rewriting.conform import Conformer, Match, match_fields
from compactor.rewriting.leaves import is_list
from compactor.rewriting.problems import FileProblem
from compactor.rewriting.ranged import RangedFile
from compactor.rewriting.variant import is_variant
from compactor.rewriting.verdicts import Verdicts, against_footer, forms
from compactor.storage.base import ObjectStore

_GUESS_BYTES = 64 * 1024
_TRAILER_BYTES = 8
_SURVEYS_IN_FLIGHT = 16


def survey_files(store: ObjectStore, files: Sequence[tuple[str, str, int]], read: ReadSpec, write: WriteSpec | None = None) -> Survey:
    """The footers of `files` (log path, key, size in bytes), many at a time, and which of them `read` cannot be applied to.

    write: how outputs would be written; with it, what stands against copying their row groups as they are.

    A file that is gone or whose footer cannot be read is left out: whoever rewrites it says why. Raises StorageError when the store fails
    for another reason than that one file.
    """
    verdicts = () if write is None else tuple(Verdicts(read, form) for form in forms(read, write))
    with ThreadPoolExecutor(min(_SURVEYS_IN_FLIGHT, max(1, len(files))), thread_name_prefix="survey") as pool:
        looks = list(pool.map(lambda file: _look(store, (read, verdicts), *file), files))
    return Survey(
        files={look.facts.path: look.facts for look in looks if look.facts is not None},
        unreadable={path: look.problem for (path, _, _), look in zip(files, looks, strict=True) if look.problem is not None},
        requests=sum(look.requests for look in looks),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One footer. `problem`: why the file must not be rewritten."""

    requests: int
    facts: FileFacts | None = None
    problem: str | None = None


def _look(store: ObjectStore, specs: tuple[ReadSpec, Sequence[Verdicts]], path: str, key: str, size_bytes: int) -> _Look:
    read, verdicts = specs
    try:
        footer, requests = footer_bytes(store, key, size_bytes)
        metadata = _metadata(footer, key)
        schema = metadata.schema.to_arrow_schema()
        file = pa.PythonFile(RangedFile(store, key, size_bytes), "r")
        check_chunks(pq.ParquetFile(file, metadata=metadata, buffer_size=_GUESS_BYTES, pre_buffer=False))
    except (FileProblem, ObjectMissing, ObjectTooShort, pa.ArrowException, OSError):
        return _Look(requests=2)
    facts = file_facts(path, metadata)
    try:
        Conformer(schema, read.schema, read.match)
    except FileProblem as problem:
        return _Look(requests=requests, facts=facts, problem=f"{key}: {problem}")
    found = against_footer(footer, size_bytes, verdicts)
    against = None if None in found else next(iter(found), None)
    return _Look(requests=requests, facts=replace(facts, extra_columns=has_extra_columns(schema, read), not_copied=against))


def has_extra_columns(schema: pa.Schema, read: ReadSpec) -> bool:
    """Whether a file of this schema holds something, at any depth outside variants, that `read` does not ask for."""
    columns = [field for field in schema if field.name not in read.tolerated]
    return _has_extra(columns, list(read.schema), read.match)


def _has_extra(source: list[pa.Field], target: list[pa.Field], match: Match) -> bool:
    found = match_fields(source, target, match)
    if len({i for i in found if i is not None}) < len(source):
        return True
    pairs = [(source[i].type, field.type) for i, field in zip(found, target, strict=True) if i is not None]
    return any(_has_extra_below(have, want, match) for have, want in pairs)


def _has_extra_below(have: pa.DataType, want: pa.DataType, match: Match) -> bool:
    if is_variant(want):
        return False
    if pa.types.is_struct(have) and pa.types.is_struct(want):
        return _has_extra(list(have), list(want), match)
    if pa.types.is_map(have) and pa.types.is_map(want):
        return _has_extra_below(have.key_type, want.key_type, match) or _has_extra_below(have.item_type, want.item_type, match)
    return is_list(have) and is_list(want) and _has_extra_below(have.value_type, want.value_type, match)


def _metadata(footer: bytes, key: str) -> pq.FileMetaData:
    framed = b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"
    try:
        return pq.read_metadata(pa.BufferReader(framed))
    except (pa.ArrowException, OSError, EOFError) as error:
        raise FileProblem("corrupt-file", f"The footer of {key} cannot be read: {error}") from error


def footer_bytes(store: ObjectStore, key: str, size_bytes: int) -> tuple[bytes, int]:
    """The bytes of the footer of an object of known size, and how many requests that took: one, or two when the footer is large.

    Raises FileProblem when there is no footer, StorageError.
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
    return bytes(tail[len(tail) - length - _TRAILER_BYTES : -_TRAILER_BYTES]), requests


def footer_length(tail: bytes | memoryview) -> int:
    """Bytes of the footer of a file that ends in `tail`. Raises FileProblem when it is no Parquet file, or an encrypted one."""
    magic = bytes(tail[-4:])
    if magic == b"PARE":
        raise FileProblem("unsupported-file", "it is encrypted")
    if magic != b"PAR1" or len(tail) < _TRAILER_BYTES:
        raise FileProblem("corrupt-file", "it does not end as a Parquet file does")
    return int(struct.unpack("<I", tail[-8:-4])[0])


def check_chunks(file: pq.ParquetFile) -> None:
    """Raises what pyarrow raises, or FileProblem, for a footer with a malformed column chunk.

    Reads no data where the file is buffered, and nothing is buffered before it is asked for; else it reads all of it.

    HAZARD: `RowGroupMetaData.column` of pyarrow ends the whole process on such a chunk (of a damaged footer, or of a column that is
    encrypted), because a C++ exception passes through it. Making a reader, of no rows, meets the same exception and raises it properly,
    so that must be done before anybody asks for a column of a footer that is not our own.
    """
    for group in range(file.metadata.num_row_groups):
        try:
            for _ in file.reader.iter_batches(0, row_groups=[group], column_indices=None, use_threads=False):
                break
        except OSError as error:
            if "decrypt" in str(error).lower():
                raise FileProblem("unsupported-file", "it is encrypted") from error
            raise


def checked_rows(metadata: pq.FileMetaData) -> int:
    """Rows of a file. Raises FileProblem when what its footer counts does not add up: reading on would lose rows or make some up."""
    rows, counted = int(metadata.num_rows), 0
    flat = metadata.num_columns > 0 and metadata.schema.column(0).max_repetition_level == 0
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        counted += group.num_rows
        if group.num_rows < 0 or (flat and group.column(0).num_values != group.num_rows):
            raise FileProblem("corrupt-file", f"its footer counts {group.num_rows} rows in row group {i}, whose first column has others")
    if counted != rows:
        raise FileProblem("corrupt-file", f"its footer counts {rows} rows, its row groups {counted}")
    return rows


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
