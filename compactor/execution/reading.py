"""A pass over many files that only reads: the fingerprint of each file's rows, in threads of this process, within a memory bound. Or
what else a `Gaze` makes of them.

A file that is gone or damaged is an answer, not an error. Files are taken in small batches, so that many are fetched while others are
decoded. Writes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from compactor.errors import ObjectMissing
from compactor.model.rewrite import InputFile, ReadSpec
from compactor.model.verification import Damaged, Gone
from compactor.rewriting.budget import Budget
from compactor.rewriting.observe import observe_files
from compactor.rewriting.problems import FileProblem
from compactor.rewriting.proof import fingerprint_files, reading_budget
from compactor.storage.base import ObjectStore, in_memory

_BATCH_FILES = 64
_BATCH_BYTES = 32 * 1024 * 1024

Found = list[tuple[int, Any]]
Gaze = Callable[[Sequence[InputFile], ReadSpec, ObjectStore, Budget], Sequence[Any]]
"""What is made of some files, in their order: a function at the top of a module, so that clusters can be given it."""


def fingerprints(files: Sequence[InputFile], read: ReadSpec, store: ObjectStore, budget: Budget) -> Sequence[Any]:
    """The fingerprint of each file's rows."""
    return fingerprint_files(files, read, store, budget).fingerprints


def observations(files: Sequence[InputFile], read: ReadSpec, store: ObjectStore, budget: Budget) -> Sequence[Any]:
    """What each file holds, to be held against statistics."""
    return observe_files(files, read, store, budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPass:
    """Reads with `parallelism` threads that share `memory_bytes`."""

    store: ObjectStore
    parallelism: int
    memory_bytes: int
    gaze: Gaze = fingerprints

    def __call__(self, read: ReadSpec, files: Sequence[InputFile]) -> Iterator[tuple[int, Any]]:
        """Position and reading of each file, in order. Raises StorageError, and MemoryError when one file needs more than there is."""
        each = self.memory_bytes // self.parallelism
        if in_memory(self.store):  # a simulation makes its calls in one order
            for batch in batches(files):
                yield from read_batch(self.store, read, batch, self.memory_bytes, self.gaze)
            return
        with ThreadPoolExecutor(self.parallelism, thread_name_prefix="read") as pool:
            waiting = batches(files)
            running: deque[Future[Found]] = deque()
            try:
                while True:
                    for batch in islice(waiting, 2 * self.parallelism - len(running)):
                        running.append(pool.submit(read_batch, self.store, read, batch, each, self.gaze))
                    if not running:
                        return
                    yield from running.popleft().result()
            finally:
                for future in running:
                    future.cancel()


def batches(files: Sequence[InputFile]) -> Iterator[list[tuple[int, InputFile]]]:
    """The files with their positions, a few dozen small ones or a single large one together."""
    gathered: list[tuple[int, InputFile]] = []
    size_bytes = 0
    for i, file in enumerate(files):
        if gathered and (len(gathered) >= _BATCH_FILES or size_bytes + file.size_bytes > _BATCH_BYTES):
            yield gathered
            gathered, size_bytes = [], 0
        gathered.append((i, file))
        size_bytes += file.size_bytes
    if gathered:
        yield gathered


def read_batch(
    store: ObjectStore, read: ReadSpec, batch: Sequence[tuple[int, InputFile]], memory_bytes: int, gaze: Gaze = fingerprints
) -> Found:
    """Position and reading of each file of one batch. When one stands in the way of the others, each is read by itself."""
    budget = reading_budget(memory_bytes)
    try:
        found = gaze([file for _, file in batch], read, store, budget)
        return [(i, value) for (i, _), value in zip(batch, found, strict=True)]
    except ObjectMissing:
        alone: Gone | Damaged = Gone()
    except FileProblem as problem:
        if problem.reason == "out-of-memory":
            raise MemoryError(str(problem)) from problem
        alone = Damaged(why=str(problem), unsupported=problem.reason == "unsupported-file")
    if len(batch) == 1:
        return [(batch[0][0], alone)]
    return [one for item in batch for one in read_batch(store, read, [item], memory_bytes, gaze)]
