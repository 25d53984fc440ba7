"""A process that compacts a table and is killed (SIGKILL, by itself) at one boundary: `python -m support.killed URI EXECUTOR BOUNDARY`.

A boundary is `before|after OPERATION PATTERN`: the first call of that operation on the driver's store whose key matches. Where workers have
stores of their own (processes, Ray), only the driver's calls count; the workers go on as long as they can. With Ray everything is done on
its cluster, also what worker processes would begin with.
"""

from __future__ import annotations

import fnmatch
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from compactor.coordination.records import Care
from compactor.model.storage import StorageOptions
from compactor.pipeline import run_table
from compactor.settings import Settings
from compactor.storage import open_store
from compactor.wiring import wire

T = TypeVar("T")


def settings(executor: str, options: StorageOptions | None = None) -> Settings:
    """Small groups; `options` for S3."""
    chosen: dict[str, Any] = {"executor": executor, "target_size": "1MiB", "min_input_files": 2, "parallelism": 2}
    if executor == "ray":
        chosen |= {"ray_address": "local", "memory": "256MiB"}
    if options is not None:
        chosen |= {"endpoint_url": options.endpoint_url, "region": options.region, "path_style": options.path_style}
    return Settings(**chosen)


class KillingStore:
    """A store whose user dies at the boundary. Passes everything else on."""

    def __init__(self, inner: Any, boundary: str) -> None:
        self._inner = inner
        self._when, self._operation, self._pattern = boundary.split()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def at(self, operation: str, key: str, act: Callable[[], T]) -> T:
        hit = operation == self._operation and fnmatch.fnmatch(key, self._pattern)
        if hit and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = act()
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def create(self, key: str, data: bytes) -> Any:
        return self.at("create", key, lambda: self._inner.create(key, data))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.at("delete", key, lambda key=key: self._inner.delete([key]))  # type: ignore[misc]

    def open_writer(self, key: str) -> Any:
        return _KillingWriter(self, key, self._inner.open_writer(key))


class _KillingWriter:
    def __init__(self, store: KillingStore, key: str, inner: Any) -> None:
        self._store, self._key, self._inner = store, key, inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, data: bytes | memoryview) -> int:
        return self._store.at("write", self._key, lambda: self._inner.write(data))

    def close(self) -> int:
        return self._store.at("close", self._key, self._inner.close)

    def __enter__(self) -> _KillingWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: object) -> None:
        self.close() if kind is None else self._inner.abort()


def main(uri: str, executor: str, boundary: str) -> None:
    """Compact the table; ends by SIGKILL when the boundary is met, else with 0 and a word on how the run ended."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    options = StorageOptions(endpoint_url=endpoint, region=os.environ.get("AWS_DEFAULT_REGION"), path_style=True) if endpoint else None
    chosen = settings(executor, options)
    if executor == "ray":
        from compactor.execution.ray_session import Connection

        setattr(Connection, "starting", False)  # noqa: B010 - so that a run waits for its cluster
    store = KillingStore(open_store(uri, chosen.storage()), boundary)
    run = run_table(wire(store, chosen, care=Care(keep_bytes=0)), chosen.policy())
    print(f"The run ended {run.status}: {run.reason} {[drop.detail for drop in run.groups_dropped]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
