"""Compactions through S3: the project's S3-compatible server on loopback, which counts requests by kind, in this process.

The server is Python in one thread and holds objects in memory, so times are of the whole arrangement; what counts here are requests and the
processor time of the process that compacts.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.s3_server import S3Server, StoredObject, s3_server

from tests.benchmarks import choice, data
from tests.benchmarks.bars import Bar
from tests.benchmarks.compare import ENGINES, Bench, Wrong
from tests.benchmarks.contents import Contents, contents
from tests.benchmarks.datasets import SETS, Source
from tests.benchmarks.measure import Measured, measure
from tests.benchmarks.section import Section

SHARES = {"D1": 0.1, "D5": 1.0}
"""Of the scale: loopback through Python is slow, but what is copied in the store has to be enough beside what any run takes."""
MOST_REPETITIONS = 2
SERVER_COPY_LIMIT = 0.05
HEAD = ("engine", "seconds", "processor s", "requests", "predicted", "by kind")


@dataclass(slots=True)
class _Runs:
    measured: list[Measured] = field(default_factory=list)
    requests: list[Counter[str]] = field(default_factory=list)

    def row(self, engine: str) -> tuple[str, ...]:
        requests, printed = self.requests[-1], self.measured[-1].printed
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(requests.items()))
        predicted = f"{printed['predicted_requests']:,}, took {printed['requests']:,} of data" if "predicted_requests" in printed else ""
        seconds = statistics.median(one.printed["seconds"] for one in self.measured)
        return (choice.label(engine), f"{seconds:.2f}", f"{self.processor_s:.2f}", f"{requests.total():,}", predicted, kinds)

    @property
    def processor_s(self) -> float:
        return statistics.median(one.printed["processor_s"] for one in self.measured)


def s3_sections(bench: Bench) -> Iterator[Section]:
    """Small files and large row groups."""
    for wanted in SETS:
        if wanted.name in SHARES:
            source = wanted.make(bench.cache, bench.scale * SHARES[wanted.name])
            files = data.files_of(source.folder)
            size = sum(file.size_bytes for file in files) / 2**20
            title = f"S3, {wanted.name}: {wanted.title} ({len(files):,} files, {size:.1f} MiB; a server of the project's own on loopback)"
            found, left_out = _compare(bench, source, wanted.name)
            rows = [runs.row(engine) for engine, runs in found.items()]
            said, verdicts = [f"{choice.label(engine)}: {why}" for engine, why in left_out.items()], tuple(_bars(wanted.name, found))
            yield Section.of(title, [*said, *verdicts], (HEAD, *rows))


def _bars(name: str, found: dict[str, _Runs]) -> Iterator[Bar]:
    auto, transcode = (found.get(f"{choice.PREFIX}:{engine}:counts") for engine in ("auto", "transcode"))
    if name == "D5" and auto is not None and transcode is not None:
        share = auto.processor_s / transcode.processor_s
        about = "S3, D5 processor time by that of transcode"
        yield Bar(about=about, wanted=f"below {SERVER_COPY_LIMIT:.0%}", found=f"{share:.1%}", met=share < SERVER_COPY_LIMIT)


def _compare(bench: Bench, source: Source, name: str) -> tuple[dict[str, _Runs], dict[str, str]]:
    columns = pq.read_schema(source.folder / data.files_of(source.folder)[0].path).names
    before = contents(source.folder, columns)
    engines = ["deltalake", *choice.ours()]
    found: dict[str, _Runs] = {engine: _Runs() for engine in engines}
    left_out: dict[str, str] = {}
    with s3_server() as server:
        bucket = server.bucket("lake")
        options = json.dumps({**json.loads(bench.options), **_options(server)})
        repetitions = min(MOST_REPETITIONS, bench.repetitions)
        for repetition in range(repetitions):
            for engine in [engine for engine in engines if engine not in left_out]:
                bench.say(f"S3 {name} {repetition + 1}/{repetitions} {choice.label(engine)}")
                _upload(data.copy(source.folder, bench.work / "table", source.codec), server, bucket)
                command = ("-m", ENGINES, engine, f"s3://{bucket}/t", "", source.codec, str(source.target_bytes), options)
                try:
                    measured = measure(*command, environment=_environment(server))
                except RuntimeError as error:
                    if ":auto:" in engine:
                        raise Wrong(str(error)) from None
                    left_out[engine] = str(error).strip().splitlines()[-1]
                    continue
                found[engine].measured.append(measured)
                found[engine].requests.append(server.counts())
                if not repetition and _downloaded(server, bucket, bench.work / "got", columns) != before:
                    raise Wrong(f"{choice.label(engine)} changed the rows of {name} on S3")
                ran = measured.printed.get("ran", {})
                if ran and (asked := engine.split(":")[1]) != "auto" and asked not in ran:
                    left_out[engine] = f"not where it applies: {', '.join(ran)} ran instead"
    return {engine: runs for engine, runs in found.items() if runs.measured and engine not in left_out}, left_out


def _options(server: S3Server) -> dict[str, object]:
    reach = server.options()
    return {"endpoint_url": reach.endpoint_url, "region": reach.region, "path_style": True}


def _environment(server: S3Server) -> dict[str, str]:
    """For every engine alike: keys that fit no other store, and where this one is."""
    reach = server.options()
    return {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": str(reach.region),
        "AWS_ENDPOINT_URL": str(reach.endpoint_url),
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _upload(table: Path, server: S3Server, bucket: str) -> None:
    """The table as the only one of the bucket, and no request seen so far."""
    objects = server.buckets[bucket]
    for key in list(objects):
        del objects[key]  # one by one: the server keeps their names in order
    for number, path in enumerate(sorted(path for path in table.rglob("*") if path.is_file())):
        modified = path.stat().st_mtime
        key = f"t/{path.relative_to(table)}"
        objects[key] = StoredObject(data=path.read_bytes(), etag=f'"{number:032x}"', modified=modified, headers={})
    server.reset()


def _downloaded(server: S3Server, bucket: str, folder: Path, columns: list[str]) -> Contents:
    for key, stored in server.buckets[bucket].items():
        path = folder / key.removeprefix("t/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored.data)
    try:
        return contents(folder, columns)
    finally:
        for path in folder.rglob("*.*"):
            path.unlink() if path.is_file() else None
