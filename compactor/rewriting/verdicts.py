"""What stands against copying the row groups of a file as they are encoded, by its footer and by what the table asks of its files.

Says nothing of deleted rows and sizes, which no footer shows or which are a matter of choice. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from compactor.model.rewrite import ReadSpec, WriteSpec
from compactor.rewriting.arrow_writer import empty_footer
from compactor.rewriting.choose import Against
from compactor.rewriting.encoded import EncodedFile, chunks_of_group, encoded_file, runs_of
from compactor.rewriting.leaves import leaves as leaves_of
from compactor.rewriting.parquet_fields import CODECS, DATA_PAGE_V2, PAGE_ENCODING_TYPE, ColumnMetaData, FileMetaData
from compactor.rewriting.physical import Leaf, Node, difference, field_ids, leaves, tree
from compactor.rewriting.thrift_compact import Struct, ThriftProblem

_TRAILER_BYTES = 8
_DATA_PAGES = (0, DATA_PAGE_V2)
_UNREADABLE_CODECS = ("lzo", "lz4-hadoop")
"""Codecs that many readers do not have, or read in different ways."""
_MOST_DIGITS = 18
"""Decimals of more are always kept as bytes."""


def forms(read: ReadSpec, write: WriteSpec) -> Sequence[WriteSpec]:
    """How outputs of a table may keep decimals, the form that is preferred first."""
    small = any(pa.types.is_decimal(leaf.type) and leaf.type.precision <= _MOST_DIGITS for leaf in leaves_of(read.schema))
    return (write, replace(write, decimals="bytes")) if small else (write,)


def against_footer(footer: bytes, size_bytes: int, verdicts: Sequence[Verdicts]) -> list[str | None]:
    """By each of these verdicts the code of what stands against a file of this size with this footer, or against its first row group;
    None: nothing does."""
    try:
        file = encoded_file(footer, size_bytes - _TRAILER_BYTES - len(footer)) if verdicts else None
    except ThriftProblem as problem:
        return [unrepeatable(problem).code] * len(verdicts)
    return [None if file is None else _against(file, one) for one in verdicts]


def _against(file: EncodedFile, verdicts: Verdicts) -> str | None:
    try:
        against = verdicts.of_table() or verdicts.of_footer(file) or (verdicts.of_group(file, 0) if file.row_groups else None)
    except ThriftProblem as problem:
        against = unrepeatable(problem)
    return None if against is None else against.code


def unrepeatable(problem: ThriftProblem) -> Against:
    """The verdict on a footer that does not add up."""
    return Against(code="footer", why=f"Its footer cannot be repeated: {problem}.")


class Verdicts:
    """What is against files of one table. `leaves`: those of outputs, once a footer was looked at. Threads may share it."""

    def __init__(self, read: ReadSpec, write: WriteSpec) -> None:
        self._read, self._write = read, write
        self._ours: tuple[Node, ...] | None = None
        self.leaves: list[Leaf] = []
        self._compared: dict[tuple[Node, ...], str | None] = {}

    def of_table(self) -> Against | None:
        """What stands against every file of the table."""
        if self._read.row_ids is not None:
            return Against(code="row-tracking", why="The table tracks its rows, whose ids are kept beside them.")
        if len(self._read.constants):
            return Against(code="partition-columns", why="The table keeps its partition columns in its files.")
        return None

    def of_footer(self, file: EncodedFile) -> Against | None:
        """What stands against all row groups of a file. Raises ThriftProblem."""
        if file.encrypted:
            return Against(code="encrypted", why="It is encrypted.")
        if file.writer.faulty:
            name = f"written by {file.writer.name}, of a version" if file.writer.name else "written by somebody unknown,"
            return Against(code="writer", why=f"It was {name} whose faults readers must know of.")
        if self._ours is None:
            ours = tree(empty_footer(self._read.schema, self._write).structs(FileMetaData.SCHEMA))
            self.leaves, self._ours = leaves(ours), ours
        if file.nodes not in self._compared:
            self._compared[file.nodes] = difference(file.nodes, self._ours) or self._other_ids(file.nodes, self._ours)
        why = self._compared[file.nodes]
        return None if why is None else Against(code="schema", why=f"{why[0].upper()}{why[1:]}.")

    def _other_ids(self, theirs: Sequence[Node], ours: Sequence[Node]) -> str | None:
        """Where columns are found by field id, a file's ids must be the table's."""
        pairs = zip(field_ids(theirs), field_ids(ours), strict=True)
        other = self._read.match == "id" and any(wanted is not None and found != wanted for found, wanted in pairs)
        return "its columns have other field ids, or none" if other else None

    def of_group(self, file: EncodedFile, index: int) -> Against | None:
        """What stands against one row group."""
        try:
            chunks = chunks_of_group(file, index)
            runs_of(pages for _, _, pages in chunks)
            return self._of_pages([meta for _, meta, _ in chunks])
        except ThriftProblem as problem:
            return unrepeatable(problem)

    def _of_pages(self, metas: Sequence[Struct]) -> Against | None:
        """Codecs and page versions that may not be in an output."""
        codecs = {CODECS.get(meta.integer(ColumnMetaData.CODEC) or 0, "unknown") for meta in metas}
        wanted = {self._write.compression} if self._write.only_compression else codecs - {"unknown", *_UNREADABLE_CODECS}
        if not codecs <= wanted:
            asked = f", and the table asks for {self._write.compression}" if self._write.only_compression else ""
            return Against(code="codec", why=f"It is compressed with {sorted(codecs - wanted)[0]}{asked}.")
        # HAZARD: Arrow's writer calls its pages version 1 in the footer, whatever they are.
        known = self._write.page_version == "2.0" and all(_data_pages(meta) == {DATA_PAGE_V2} for meta in metas)
        if self._write.only_page_version and not known:
            return Against(code="page-version", why=f"Its pages are not known to be of version {self._write.page_version}.")
        return None


def _data_pages(meta: Struct) -> set[int | None]:
    """Kinds of data pages that a chunk says it has."""
    kinds = {stats.integer(PAGE_ENCODING_TYPE) for stats in meta.structs(ColumnMetaData.ENCODING_STATS)}
    return {kind for kind in kinds if kind in _DATA_PAGES}
