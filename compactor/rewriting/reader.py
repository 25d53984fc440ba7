"""Reads files for the proof of a group: natively where that is possible, by Arrow where it is not, and a little of everything by both.

Arrow has the last word on a file that the native reader leaves: it reads it, or says what is wrong with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from compactor.model.fingerprint import Fingerprint, ProofReader
from compactor.model.rewrite import ReadSpec
from compactor.rewriting.arrow_reader import rows_of
from compactor.rewriting.budget import Budget
from compactor.rewriting.fetch import Fetched
from compactor.rewriting.memory import MemoryMeter
from compactor.rewriting.native_reader import NativeFile, NativeReader, Unread
from compactor.rewriting.opened import Opened, Opener
from compactor.rewriting.problems import at_file
from compactor.rewriting.ranged import RangedFile
from compactor.rewriting.witness import Question, about_input, about_output, check_agree, rank
from compactor.storage.base import ObjectStore

_TRAILER_BYTES = 8
_LARGEST_GROUP_BYTES = 64 * 1024 * 1024
"""Encoded row groups are read natively all at once; larger ones are streamed by Arrow."""


class Reader:
    """Reads files as one ReadSpec says. used: who read any of them alone or first."""

    def __init__(self, spec: ReadSpec, store: ObjectStore, budget: Budget, meter: MemoryMeter | None, choice: ProofReader) -> None:
        self._spec, self._store, self._budget, self._meter = spec, store, budget, meter
        self._opener = Opener(spec, store, budget)
        self._native = _native(spec, choice)
        self.used: set[str] = set()

    @property
    def is_native(self) -> bool:
        """Whether files are read natively, as far as they can be."""
        return self._native is not None

    def whole(self, files: Sequence[Fetched]) -> Fingerprint:
        """All rows of files that are in memory whole and have no deleted rows. Raises FileProblem, StorageError."""
        sums: Sequence[Fingerprint | str] = [""] * len(files)
        if self._native is not None:
            sums = self._native.sums([memoryview(file.source) for file in files], self._budget.stream)  # type: ignore[arg-type]
        total = Fingerprint()
        asked: list[tuple[Fetched, Fingerprint]] = []
        for file, found in zip(files, sums, strict=True):
            if isinstance(found, str):
                found = self._by_arrow(file, None)
            else:
                self.used.add("native")
                asked.append((file, found))
            total += found
        if asked:
            all_bytes = sum(file.size_bytes for file, _ in asked)
            file, found = min(asked, key=lambda one: rank(one[0].input.key))
            self._ask_input(file, found, all_bytes)
        return total

    def of(self, file: Fetched, row_groups: Sequence[int] | None = None) -> Fingerprint:
        """The rows of a file without deleted rows, or of some of its row groups. Raises FileProblem, StorageError."""
        try:
            return self._natively(file, row_groups)
        except Unread:
            return self._by_arrow(file, row_groups)

    def _by_arrow(self, file: Fetched, row_groups: Sequence[int] | None) -> Fingerprint:
        self.used.add("arrow")
        return rows_of(self._open(file, self._opener), self._budget, self._meter, row_groups)

    def _natively(self, file: Fetched, row_groups: Sequence[int] | None) -> Fingerprint:
        if self._native is None:
            raise Unread("Arrow reads everything")
        tail = _tail(file)
        known = self._native.opened(tail)
        wanted = range(known.row_groups) if row_groups is None else row_groups
        total = sum((self._sum(file, known, i) for i in wanted), Fingerprint())
        self.used.add("native")
        if wanted:
            opened = self._open(file, self._opener)
            question = about_output(file.input.key, wanted, opened.file.metadata, self._spec)
            self._ask(file, tail, question)
        return total

    def _sum(self, file: Fetched, known: NativeFile, row_group: int) -> Fingerprint:
        chunks = known.chunks(row_group)
        if sum(length for _, length in chunks) > _LARGEST_GROUP_BYTES:
            raise Unread("a row group is too large to be read at once")
        if isinstance(file.source, RangedFile) and (path := file.source.path) is not None:
            file.source.count(len(chunks), sum(length for _, length in chunks))
            return known.sum_stored(row_group, path, self._budget.fetch)
        return known.sum(row_group, [_bytes(file, start, length) for start, length in chunks], self._budget.fetch)

    def _ask_input(self, file: Fetched, found: Fingerprint, all_bytes: int) -> None:
        opened = self._open(file, self._opener)
        question = about_input(file.input.key, file.size_bytes, all_bytes, opened.file.metadata, self._spec)
        if question.spec is not self._spec:
            with contextlib.suppress(Unread):
                self._ask(file, _tail(file), question)
                return
        check_agree(file.input, "all columns", found, rows_of(opened, self._budget, self._meter))

    def _ask(self, file: Fetched, tail: bytes, question: Question) -> None:
        """Ask both. Raises FileProblem("proof") where they do not agree, Unread where the native reader does not answer."""
        known = NativeReader(question.spec).opened(tail)
        said = sum((self._sum(file, known, i) for i in question.row_groups), Fingerprint())
        opened = self._open(file, Opener(question.spec, self._store, self._budget))
        arrow = rows_of(opened, self._budget, self._meter, question.row_groups)
        check_agree(file.input, question.of, said, arrow)

    def _open(self, file: Fetched, opener: Opener) -> Opened:
        with at_file(file.input):
            return opener.open(file)


def _native(spec: ReadSpec, choice: ProofReader) -> NativeReader | None:
    try:
        return NativeReader(spec) if choice == "auto" else None
    except Unread:
        return None


def _tail(file: Fetched) -> bytes:
    """The end of a file, its whole footer included. Raises Unread where its length makes no sense."""
    size = file.size_bytes
    if isinstance(file.source, RangedFile):
        file.source.seek(max(0, size - 1))
        file.source.read()  # from now on it keeps its end
    if size < _TRAILER_BYTES:
        raise Unread("it is too short for a footer")
    length = int.from_bytes(_bytes(file, size - _TRAILER_BYTES, 4), "little") + _TRAILER_BYTES
    if length > size:
        raise Unread("its footer is longer than the file")
    return bytes(_bytes(file, size - length, length))


def _bytes(file: Fetched, start: int, length: int) -> memoryview:
    source = file.source
    if isinstance(source, RangedFile):
        return memoryview(source.range(start, length))
    if start + length > len(source):
        raise Unread("a column chunk goes beyond its file")
    return memoryview(source)[start : start + length]
