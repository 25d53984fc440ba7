"""Proves that outputs hold the rows of their inputs: reads files from the store once more, decodes them and compares fingerprints.

What is compared was added up from the inputs' rows as soon as they were decoded, so what goes wrong after that, in memory, in the encoder
or on the way to the store, shows. Reads only; says nothing about bytes that were copied without being decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from compactor.errors import ObjectMissing
from compactor.model.fingerprint import Fingerprint
from compactor.model.plan import FileKey
from compactor.model.rewrite import InputFile, OutputFile, ReadSpec
from compactor.rewriting.budget import Budget, divide
from compactor.rewriting.fetch import Fetcher
from compactor.rewriting.fingerprint import Fingerprinter
from compactor.rewriting.memory import MemoryMeter
from compactor.rewriting.opened import Opener
from compactor.rewriting.problems import FileProblem, at_file, named
from compactor.rewriting.transcode import transcode
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


def fingerprint_files(
    files: Sequence[InputFile], spec: ReadSpec, store: ObjectStore, budget: Budget, meter: MemoryMeter | None = None
) -> ReadAgain:
    """The rows of each file as `spec` reads them, without deleted ones. Raises FileProblem that names the file, StorageError."""
    fetcher = Fetcher(files, store, budget)
    opener = Opener(spec, store, budget)
    found = []
    for fetched in fetcher:
        with at_file(fetched.input):
            opened = opener.open(fetched)
        fingerprinter = Fingerprinter()
        row_groups = range(opened.file.metadata.num_row_groups)
        for fragment in named(fetched.input, transcode(opened, row_groups, budget) if row_groups else iter(())):
            fingerprinter.add(fragment.rows)
            if meter is not None:
                meter.sample()
        found.append(fingerprinter.result())
    return ReadAgain(fingerprints=tuple(found), bytes_read=fetcher.bytes_read, requests=fetcher.requests)


def read_outputs(outputs: Sequence[OutputFile], spec: ReadSpec, store: ObjectStore, budget: Budget, meter: MemoryMeter) -> ReadAgain:
    """The fingerprints of outputs as the store holds them. An output that cannot be read is not proven.

    Raises FileProblem("proof") that names the output, StorageError.
    """
    files = [InputFile(file=FileKey(path=output.key), key=output.key, size_bytes=output.size_bytes) for output in outputs]
    try:
        return fingerprint_files(files, as_written(spec), store, budget, meter)
    except FileProblem as problem:
        if problem.reason == "out-of-memory":
            raise
        raise FileProblem("proof", f"An output could not be read again: {problem}", path=problem.path) from problem
    except ObjectMissing as error:
        raise FileProblem("proof", f"An output vanished before it was proven: {error}") from error


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
