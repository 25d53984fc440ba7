"""Brings the bytes of a range piece by piece, the next ones under way while one is used, within a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future

from compactor.rewriting.fragment import Origin, Range

PIECE_BYTES = 8 * 1024 * 1024
IN_FLIGHT = 4


def pieces(origin: Origin, run: Range, pool: Executor, most_bytes: int) -> Iterator[bytes | memoryview]:
    """The bytes of `run` in order. What is here or under way stays within `most_bytes`, or is one piece. Raises what reading raises."""
    size = max(1, min(PIECE_BYTES, most_bytes // 2))
    ahead = max(1, min(IN_FLIGHT, most_bytes // size - 1))
    coming: deque[Future[bytes | memoryview]] = deque()
    begin = run.start
    try:
        while begin < run.end or coming:
            while begin < run.end and len(coming) < ahead:
                coming.append(pool.submit(origin.read, begin, min(size, run.end - begin)))
                begin += size
            yield coming.popleft().result()
    finally:
        for future in coming:
            future.cancel()
