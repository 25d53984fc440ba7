"""What groups will take: memory, requests, seconds. Pure arithmetic on log sizes and surveyed footers; nothing is measured here.

Memory is the bound of a streaming rewrite, never the size of its files: bytes in flight, one decoded batch, and one output row group
that is being encoded (decoded rows and encoded pages of it side by side). A worker with less keeps the promise by fewer bytes in flight
and smaller row groups, so a group's figure is never above what one task may use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from compactor.model.survey import FileFacts
from compactor.model.usage import Economy
from compactor.planning.columns import Int64s

MIB = 1024 * 1024

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Figures that predictions rest on.

    compression: output bytes per live input byte. bytes_per_s: input bytes one task rewrites in a second. request_s: what a request adds.
    part_bytes: size of a ranged read, of a multipart part, and the limit up to which a file is one request.
    in_flight_bytes, batch_bytes, row_group_bytes: a worker's buffers. expansion: decoded bytes per encoded byte where no footer says.
    floor_bytes: what a task needs before it holds any data. economy: prices, regions and retention, where somebody knows them.
    """

    compression: float = 1.0
    bytes_per_s: float = 60.0 * MIB
    request_s: float = 0.002
    part_bytes: int = 16 * MIB
    in_flight_bytes: int = 64 * MIB
    batch_bytes: int = 64 * MIB
    row_group_bytes: int = 128 * MIB
    expansion: float = 4.0
    floor_bytes: int = 32 * MIB
    economy: Economy = field(default_factory=Economy)


def largest_decoded(facts: FileFacts) -> int:
    """Bytes of the largest row group of a surveyed file, decoded."""
    return max((g.uncompressed_bytes for g in facts.row_groups), default=0)


def decoded_by_path(facts: Mapping[str, FileFacts]) -> Int64s:
    """largest_decoded of each surveyed file, in the mapping's order."""
    return np.array([largest_decoded(f) for f in facts.values()], dtype=np.int64)


def read_requests(size_bytes: Int64s, part_bytes: int) -> Int64s:
    """GETs to read each file: one for a small file, else one for the footer and one a range."""
    requests: Int64s = np.where(size_bytes <= part_bytes, 1, 1 + -(-size_bytes // part_bytes))
    return requests


def write_requests(output_bytes: Int64s, outputs: Int64s, part_bytes: int) -> Int64s:
    """PUTs to write each group's outputs: one for a small output, else one a part and two for the upload around them."""
    each = output_bytes // np.maximum(1, outputs)
    one: Int64s = np.where(each <= part_bytes, 1, 2 + -(-each // part_bytes))
    return outputs * one


def group_memory(inputs: Int64s, largest: Int64s, each_output: Int64s, bound: int, assumed: Assumptions) -> Int64s:
    """Predicted peak of each group, at most `bound`.

    inputs: encoded input bytes. largest: decoded bytes of its largest row group (or whole file). each_output: encoded bytes of one output.
    """
    in_flight = np.minimum(inputs, assumed.in_flight_bytes)
    batch = np.minimum(largest, assumed.batch_bytes)
    encoding = np.minimum(each_output, assumed.row_group_bytes)
    need = assumed.floor_bytes + in_flight + batch + np.floor(encoding * (1.0 + assumed.expansion)).astype(np.int64)
    peak: Int64s = np.minimum(need, bound).astype(np.int64)
    return peak


def decoded_estimate(size_bytes: Int64s, surveyed: tuple[Int64s, Int64s], assumed: Assumptions) -> Int64s:
    """Decoded bytes of the largest row group of each file. `surveyed`: positions of surveyed files, and what their footers say."""
    decoded: Int64s = np.floor(size_bytes * assumed.expansion).astype(np.int64)
    at, known = surveyed
    decoded[at] = known
    return decoded


def task_seconds(inputs: Int64s, requests: Int64s, assumed: Assumptions) -> Floats:
    """Seconds of each group by itself."""
    each: Floats = inputs / assumed.bytes_per_s + requests * assumed.request_s
    return each


def run_seconds(each: Floats, parallelism: int) -> float:
    """Seconds of a run: the even share of all groups, or the longest group alone where that is more."""
    if each.shape[0] == 0:
        return 0.0
    return float(max(each.sum() / max(1, min(parallelism, each.shape[0])), each.max()))
