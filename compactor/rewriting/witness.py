"""The second witness of a proof: what the native reader says is held against Arrow, on a small part of what it read.

Of each output one column of a row group, of each row group that was merged one input (or a column of one) is read by Arrow too. Which one
follows from names alone, so that a run that is repeated asks the same, and files of one table are not all asked the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.model.fingerprint import Fingerprint
from compactor.model.rewrite import InputFile, ReadSpec
from compactor.rewriting.problems import FileProblem

_SHARE = 0.05
"""Of the bytes that are proven, what Arrow reads too at most, where columns are that small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What both readers are asked: the rows of some row groups, of which only some columns count."""

    row_groups: Sequence[int]
    spec: ReadSpec
    of: str


def about_input(key: str, size_bytes: int, all_bytes: int, metadata: pq.FileMetaData, spec: ReadSpec) -> Question:
    """Of an input everything where it is a small part of what is merged with it, else a column."""
    if size_bytes <= _SHARE * all_bytes or not metadata.num_row_groups:
        return Question(row_groups=range(metadata.num_row_groups), spec=spec, of="all columns")
    return about_output(key, range(metadata.num_row_groups), metadata, spec)


def about_output(key: str, row_groups: Sequence[int], metadata: pq.FileMetaData, spec: ReadSpec) -> Question:
    """One column of a row group: the first small one in an order that the name gives, or the smallest."""
    group = min(row_groups, key=lambda i: rank(key, i))
    sizes = _column_bytes(metadata.row_group(group))
    share = _SHARE * sum(metadata.row_group(i).total_byte_size for i in row_groups)
    fields = sorted((field for field in spec.schema if field.name in sizes), key=lambda field: rank(key, field.name))
    fields = fields or list(spec.schema)[:1]
    smallest = min(fields, key=lambda field: sizes.get(field.name, 0), default=None)
    chosen = next((field for field in fields if sizes.get(field.name, 0) <= share), smallest)
    columns = [] if chosen is None else [chosen]
    name = "no column" if chosen is None else f'column "{chosen.name}"'
    return Question(row_groups=(group,), spec=replace(spec, schema=pa.schema(columns)), of=name)


def _column_bytes(group: pq.RowGroupMetaData) -> dict[str, int]:
    """Bytes of each top-level column by the name that the file has for it."""
    found: dict[str, int] = {}
    for i in range(group.num_columns):
        chunk = group.column(i)
        name = chunk.path_in_schema.partition(".")[0]
        found[name] = found.get(name, 0) + chunk.total_uncompressed_size
    return found


def rank(*names: object) -> bytes:
    """A place in an order that only names decide."""
    return hashlib.blake2b("\0".join(map(str, names)).encode("utf-8", "surrogateescape"), digest_size=8).digest()


def check_agree(file: InputFile, of: str, native: Fingerprint, arrow: Fingerprint) -> None:
    """Raises FileProblem("proof") where the readers do not say the same."""
    if native != arrow:
        said = f"{native.rows} rows with fingerprint {native.digest} by the native one, {arrow.rows} rows with {arrow.digest} by Arrow"
        why = f"Two readers do not agree on {of} of {file.key}: {said}. --proof-reader arrow has Arrow alone read everything."
        raise FileProblem("proof", why, path=file.file.path)
