"""The pass of reading.py over a Ray cluster, by Ray Data: descriptions of files go out, fingerprints come back, no rows travel.

Each worker opens the table's store by itself, with credentials found there. The cluster is joined, checked and left as RayExecutor does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from compactor.errors import ExecutionFailed
from compactor.execution.on_ray import RayExecutor
from compactor.execution.reading import Gaze, batches, fingerprints, read_batch
from compactor.model.rewrite import InputFile, ReadSpec
from compactor.model.storage import StorageOptions


@dataclass(frozen=True, slots=True)
class _Batch:
    """Files with their positions. An object of its own, so that Ray Data does not take it apart into columns."""

    files: list[tuple[int, InputFile]]


@dataclass(frozen=True, slots=True)
class _Found:
    """Readings with the positions of their files."""

    readings: list[tuple[int, Any]]


class RayPass:
    """Reads with as many tasks as the cluster of `executor` has room for. The executor stays the caller's to close."""

    def __init__(self, executor: RayExecutor, root_uri: str, storage: StorageOptions, gaze: Gaze = fingerprints) -> None:
        self._executor, self._root_uri, self._storage, self._gaze = executor, root_uri, storage, gaze

    def __call__(self, read: ReadSpec, files: Sequence[InputFile]) -> Iterator[tuple[int, Any]]:
        """Position and reading of each file, in any order. Raises ExecutionFailed, and StorageError as a worker met it."""
        rows = [{"batch": _Batch(batch)} for batch in batches(files)]
        if not rows:
            return
        self._executor.wait()
        memory_bytes = self._executor.capacity().memory_per_task_bytes
        import ray

        ray.data.DataContext.get_current().enable_progress_bars = False
        shared = ray.put((self._root_uri, self._storage, read, memory_bytes, self._gaze))
        batched = ray.data.from_items(rows, override_num_blocks=len(rows))
        answers = batched.map(read_on_worker, fn_kwargs={"shared": shared}, num_cpus=1, memory=memory_bytes)
        try:
            for answer in answers.iter_rows():
                yield from answer["found"].readings
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, Exception) else ExecutionFailed(f"A worker of the Ray cluster failed: {error}") from error
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise ExecutionFailed(f"The Ray cluster was lost while files were read: {error}") from error


def read_on_worker(row: dict[str, Any], *, shared: Any) -> dict[str, _Found]:
    """What runs on a worker: one batch of files."""
    import ray

    from compactor.storage import open_store

    root_uri, storage, read, memory_bytes, gaze = ray.get(shared)
    return {"found": _Found(read_batch(open_store(root_uri, storage), read, row["batch"].files, memory_bytes, gaze))}
