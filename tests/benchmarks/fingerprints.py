"""What the fingerprint of a row costs, native and by numpy, in turns: of rows that have just been decoded, as a run takes them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.rewriting import native
from compactor.rewriting.fingerprint import Fingerprinter
from tests.benchmarks.bars import Bar
from tests.benchmarks.rows import mixed_rows

ROWS = 262_144
WANTED = 2.0


def fingerprint_costs(repetitions: int) -> Iterator[Bar]:
    """Processor time a row of twelve mixed columns, in files as small inputs are, and in batches as outputs are read again."""
    for about, rows in (("files of 4,096 rows", 4096), ("batches of 32,768 rows", 32_768)):
        encoded = [_encoded(mixed_rows(seed, rows)) for seed in range(ROWS // rows)]
        runs = [(_ns_a_row(encoded, compiled=True), _ns_a_row(encoded, compiled=False)) for _ in range(max(3, repetitions))]
        compiled, plain = (statistics.median(column) for column in zip(*runs, strict=True))
        found = f"native {compiled:.0f} ns a row, numpy {plain:.0f} ns a row"
        there = native.KERNELS is not None
        yield Bar(
            about=f"the fingerprint of 12 columns, {about}",
            wanted=f"numpy's at least ×{WANTED:g} of native's",
            found=found if there else f"numpy {plain:.0f} ns a row; native kernels {native.STATUS}",
            met=plain >= WANTED * compiled if there else None,
        )


def _encoded(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="snappy")
    return sink.getvalue()


def _ns_a_row(files: list[pa.Buffer], *, compiled: bool) -> float:
    """Only adding up counts; each file is decoded right before it."""
    with mock.patch.object(native, "KERNELS", native.KERNELS if compiled else None):
        fingerprinter = Fingerprinter()
        spent_ns = 0
        for file in files:
            rows = pq.read_table(pa.BufferReader(file), read_dictionary=["city"], use_threads=False)
            started_ns = time.process_time_ns()
            fingerprinter.add(rows)
            spent_ns += time.process_time_ns() - started_ns
        started_ns = time.process_time_ns()
        total = fingerprinter.result().rows
        return (spent_ns + time.process_time_ns() - started_ns) / total
