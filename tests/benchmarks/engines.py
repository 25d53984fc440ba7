"""One run of one engine in this process: `python -m tests.benchmarks.engines ENGINE TABLE OUT CODEC TARGET_BYTES [OPTIONS]`.

Prints one JSON object: seconds of the run beyond interpreter start and imports, processor seconds, memory before it, and what the engine
says of itself. Engines that know no Delta write Parquet files into OUT.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compactor.storage.local_copies import FLUSH_BYTES, start_flushing
from tests.benchmarks.choice import PREFIX, flags
from tests.benchmarks.contents import live_files
from tests.benchmarks.measure import proportional_bytes

if TYPE_CHECKING:
    from compactor.model.run import Run

COPY_BYTES = 256 * 1024
"""What stays in a processor's cache between being read and being written: larger buffers take longer."""
LARGE_BYTES = 1024 * 1024
"""Files of less are copied in one thread: others would wait for the interpreter."""
Go = Callable[[], dict[str, Any]]


def deltalake_compact(table: str, _out: Path, codec: str | None, target_bytes: int) -> Go:
    """The incumbent, ready to go, writing with `codec` or as it does by default."""
    from deltalake import DeltaTable, WriterProperties

    properties = None if codec is None else WriterProperties(compression=codec.upper())

    def go() -> dict[str, Any]:
        DeltaTable(table).optimize.compact(target_size=target_bytes, writer_properties=properties)
        return {}

    return go


def duckdb_copy(table: str, out: Path, codec: str, target_bytes: int) -> Go:
    """DuckDB's COPY of all files into files of about the target; by partition where the table has some."""
    import duckdb

    files = live_files(Path(table))
    parted = "part=" in files[0]
    size = "PARTITION_BY (part)" if parted else f"FILE_SIZE_BYTES {target_bytes}"

    def go() -> dict[str, Any]:
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        options = f"FORMAT parquet, COMPRESSION {codec}, {size}"
        connection.execute(f"COPY (SELECT * FROM read_parquet(?)) TO '{out}' ({options})", [files])
        return {}

    return go


def polars_sink(table: str, out: Path, codec: str, _target_bytes: int) -> Go:
    """A scan of all files into one."""
    import polars

    files = live_files(Path(table))
    out.mkdir()

    def go() -> dict[str, Any]:
        polars.scan_parquet(files).sink_parquet(out / "all.parquet", compression=codec)  # type: ignore[arg-type]
        return {}

    return go


def byte_copy(table: str, out: Path, _codec: str, target_bytes: int, *, flushed: bool = False) -> Go:
    """The bytes of all files one after the other into files of about the target, in as many threads as there are processors where files are
    large: what no engine can beat, and no reader can read. flushed: they are on the disk at the end, as a commit wants them."""
    files = live_files(Path(table))
    out.mkdir()

    def go() -> dict[str, Any]:
        jobs: list[tuple[str, int, int]] = []
        targets: list[int] = []
        place = target_bytes
        for file in files:
            if place >= target_bytes:
                targets.append(os.open(out / f"{len(targets)}.bytes", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                place = 0
            jobs.append((file, targets[-1], place))
            place += Path(file).stat().st_size
        threads = (os.cpu_count() or 1) if Path(files[0]).stat().st_size >= LARGE_BYTES else 1
        with ThreadPoolExecutor(threads) as pool:
            size = sum(pool.map(lambda some: _copied(some, flushed=flushed), [jobs[i::threads] for i in range(threads)]))
            if flushed:
                list(pool.map(os.fsync, targets))
        for target in targets:
            os.close(target)
        return {"bytes": size}

    return go


def _copied(jobs: list[tuple[str, int, int]], *, flushed: bool) -> int:
    """Copy files to their places; how many bytes."""
    buffer = memoryview(bytearray(COPY_BYTES))
    copied = 0
    for file, target, place in jobs:
        begun = at = place
        with Path(file).open("rb", buffering=0) as source:
            while length := source.readinto(buffer):
                at += os.pwrite(target, buffer[:length], at)
                if flushed and at - begun >= FLUSH_BYTES:
                    start_flushing(target, begun, at - begun)
                    begun = at
        copied += at - place
    return copied


def ours(engine: str, proof: str, table: str, target_bytes: int, options: dict[str, Any]) -> Go:
    """A run of ours through the façade, ready to go; the codec is the table's property."""
    import compactor
    from compactor.model.events import Event, GroupFinished
    from tests.benchmarks.startup import import_run

    import_run()
    if table.startswith("s3://"):
        import compactor.storage.s3  # what a run through S3 imports besides
    settings = compactor.load_settings(flags={**flags(engine, proof), "target_size": str(target_bytes), **options}, env={})
    ran: dict[str, int] = {}

    def note(event: Event) -> None:
        if isinstance(event, GroupFinished):
            for name in event.result.engine.split("+"):
                ran[name] = ran.get(name, 0) + 1

    def go() -> dict[str, Any]:
        run = compactor.run(table, settings=settings, sink=note)
        if run.status not in ("committed", "nothing-to-do"):
            raise SystemExit(f"{engine} at {proof}: {run.status}: {run.reason}")
        return {
            "ran": ran,
            "bytes_removed": run.bytes_removed,
            "bytes_added": run.bytes_added,
            "predicted_bytes": run.predicted.peak_memory_bytes if run.predicted else 0,
            "requests": run.actual.requests if run.actual else 0,
            "predicted_requests": run.predicted.requests if run.predicted else 0,
            "groups": run.groups_committed,
            "task_s": run.actual.task_s if run.actual else 0.0,
            "timings": _stages(run),
        }

    return go


def _stages(run: Run) -> dict[str, float] | None:
    """Where the time of a run went, if it was asked."""
    if run.timings is None:
        return None
    driver = {f"run: {stage}": seconds for stage, seconds in run.timings.driver}
    return driver | {f"tasks: {stage}": seconds for stage, seconds in run.timings.tasks}


OTHERS: dict[str, Callable[[str, Path, str, int], Go]] = {
    "deltalake": deltalake_compact,
    "deltalake-default": lambda table, out, _codec, target_bytes: deltalake_compact(table, out, None, target_bytes),
    "duckdb": duckdb_copy,
    "polars": polars_sink,
    "copy": byte_copy,
    "copy-flushed": lambda table, out, codec, target_bytes: byte_copy(table, out, codec, target_bytes, flushed=True),
}


def processor_s() -> float:
    """Processor seconds of this process and of those children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main(engine: str, table: str, out: str, codec: str, target_bytes: str, options: str = "{}") -> None:
    """See the module."""
    if engine.startswith(f"{PREFIX}:"):
        _, name, proof = engine.split(":")
        from compactor.ambient.lean import choose_allocator, collect_seldom, leave_pandas

        choose_allocator(os.environ)  # as the command does, in a process that is its own
        collect_seldom()
        leave_pandas()
        go = ours(name, proof, table, int(target_bytes), json.loads(options))
    else:
        go = OTHERS[engine](table, Path(out), codec, int(target_bytes))
    base_bytes, before_s, started = proportional_bytes("self"), processor_s(), time.perf_counter()
    told = go()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "processor_s": processor_s() - before_s, "base_bytes": base_bytes, **told}))


if __name__ == "__main__":
    main(*sys.argv[1:])
