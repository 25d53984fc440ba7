"""Proves that outputs hold the rows of their inputs: reads files from the store once more, decodes them and compares fingerprints.

What is compared was added up from the inputs' rows as soon as they were decoded, so what goes wrong after that, in memory, in the encoder
or on the way to the store, shows. Row groups that were copied as they were are proven by the digests of their bytes, and so is everything
else in their outputs that no encoder made. Reads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from compactor.errors import ObjectMissing, ObjectTooShort
from compactor.model.fingerprint import Fingerprint
from compactor.model.plan import FileKey
from compactor.model.rewrite import InputFile, ReadSpec
from compactor.rewriting.arrow_reader import rows_of
from compactor.rewriting.budget import Budget, divide
from compactor.rewriting.checksum import checksum_of_bytes
from compactor.rewriting.copying import IN_FLIGHT, PIECE_BYTES, pieces
from compactor.rewriting.fetch import Fetcher
from compactor.rewriting.opened import Opener
from compactor.rewriting.output import Written
from compactor.rewriting.pools import pool_for
from compactor.rewriting.problems import FileProblem, at_file
from compactor.rewriting.reader import Reader
from compactor.storage.base import ObjectStore

_NO_COLUMNS = pa.schema([])
_MOST_FETCHED = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAgain:
    """Fingerprints of files, in their order, and what reading them took."""

    fingerprints: tuple[Fingerprint, ...]
    bytes_read: int
    requests: int

    @property
    def sum(self) -> Fingerprint:
        """Of all files together."""
        return sum(self.fingerprints, Fingerprint())


def reading_budget(memory_bytes: int) -> Budget:
    """A budget for a pass that only reads: no row groups wait, so that much more may be fetched with one request each."""
    share = max(1, min(_MOST_FETCHED, memory_bytes // 8))
    budget = divide(memory_bytes)
    return replace(budget, fetch=max(budget.fetch, share), whole_file=max(budget.whole_file, share))


def fingerprint_files(files: Sequence[InputFile], spec: ReadSpec, store: ObjectStore, budget: Budget) -> ReadAgain:
    """The rows of each file as `spec` reads them, without deleted ones, by Arrow. Raises FileProblem that names the file, StorageError."""
    fetcher = Fetcher(files, store, budget)
    opener = Opener(spec, store, budget)
    found = []
    for fetched in fetcher:
        with at_file(fetched.input):
            opened = opener.open(fetched)
        found.append(rows_of(opened, budget))
    return ReadAgain(fingerprints=tuple(found), bytes_read=fetcher.bytes_read, requests=fetcher.requests)


def read_outputs(written: Sequence[Written], reader: Reader, store: ObjectStore, budget: Budget) -> ReadAgain:
    """The fingerprints of the rows of outputs that were encoded here, as the store holds them; bytes that were copied are held against
    their digests. An output that cannot be read is not proven.

    Raises FileProblem("proof"), or FileProblem("output-vanished") when it is gone, that names the output; StorageError.
    """
    files = [InputFile(file=FileKey(path=one.file.key), key=one.file.key, size_bytes=one.file.size_bytes) for one in written]
    try:
        fetcher = Fetcher(files, store, budget)
        found = [reader.of(fetched, written[fetched.index].decoded) for fetched in fetcher]
        again = ReadAgain(fingerprints=tuple(found), bytes_read=fetcher.bytes_read, requests=fetcher.requests)
        copied = [_check_copied(one, store, budget) for one in written]
        return replace(again, bytes_read=again.bytes_read + sum(copied), requests=again.requests + sum(map(_requests, written)))
    except FileProblem as problem:
        if problem.reason in ("out-of-memory", "proof"):
            raise
        raise FileProblem("proof", f"An output could not be read again: {problem}", path=problem.path) from problem
    except ObjectMissing as error:
        key = next((one.file.key for one in written if one.file.key in str(error)), None)
        raise FileProblem("output-vanished", f"An output was deleted before it was proven: {error}", path=key) from error
    except ObjectTooShort as error:
        raise FileProblem("proof", f"An output is shorter than what was written: {error}") from error


def _check_copied(written: Written, store: ObjectStore, budget: Budget) -> int:
    """Hold what was copied into an output against its digests; bytes read. Raises FileProblem("proof"), StorageError."""
    pool = pool_for(store, IN_FLIGHT, "prove")
    try:
        for copied in written.copied:
            if checksum_of_bytes(pieces(_Stored(store, written.file.key), copied.place, pool, budget.stream)) != copied.digest:
                where = f"bytes {copied.place.start:,} to {copied.place.end - 1:,} of {written.file.key}"
                raise FileProblem("proof", f"What was copied to {where}, read again, is not what was read.", path=written.file.key)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return sum(copied.place.length for copied in written.copied)


@dataclass(frozen=True, slots=True)
class _Stored:
    """An object of the store, as an Origin."""

    store: ObjectStore
    key: str

    def read(self, start: int, length: int) -> bytes | memoryview:
        (data,) = self.store.get_ranges(self.key, [(start, length)])
        return data


def _requests(written: Written) -> int:
    """Requests that looking at copied bytes again takes."""
    return sum(-(-copied.place.length // PIECE_BYTES) for copied in written.copied)


def checksum_of(written: Sequence[Written], rows: Fingerprint) -> Fingerprint:
    """Of copied bytes and decoded rows (whose fingerprint is `rows`) together; see model/fingerprint.py."""
    copied = sum(int.from_bytes(copied.digest, "big") for one in written for copied in one.copied)
    return Fingerprint(sum=copied, rows=sum(one.file.rows for one in written) - rows.rows) + rows


def as_written(spec: ReadSpec) -> ReadSpec:
    """How outputs are read: what inputs have as constants is stored in them."""
    return replace(spec, schema=pa.schema([*spec.schema, *spec.constants]), constants=_NO_COLUMNS)


def check_equal(group_id: int, inputs: Fingerprint, outputs: Fingerprint) -> None:
    """Raises FileProblem("proof") when the rows differ."""
    if inputs != outputs:
        raise FileProblem(
            "proof",
            f"The outputs of group {group_id}, read again, do not hold the rows of its inputs: {inputs.rows} rows with fingerprint "
            f"{inputs.digest} were read, {outputs.rows} rows with fingerprint {outputs.digest} are in the outputs.",
        )
