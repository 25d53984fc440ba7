"""Reads the column chunks of one file in blocks, in the order in which rows need them, the next ones under way while one is decoded.

Blocks are as large as the read buffers of columns would be, so that there are no more requests than without; a block that is mostly used up
is cut down, and what that frees of the bound is where other blocks may come early. Nothing is asked for that is not going to be read: only
chunks of wanted columns, of one row group and the next. Rows need the chunks of a row group side by side, so what lies earliest in its
chunk is needed first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

import pyarrow.parquet as pq

IN_FLIGHT = 4

Data = bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Bytes of one column in one row group of a file."""

    row_group: int
    start: int
    length: int


@dataclass(slots=True, eq=False)
class _Lane:
    """A chunk that is being read. `held`: blocks by number, from an offset in the block on; `coming`: those under way; `coarse`: it has
    pages longer than a block, which are better fetched with one request when they are asked for."""

    chunk: Chunk
    position: int = 0
    coarse: bool = False
    held: dict[int, tuple[int, Data]] = field(default_factory=dict)
    coming: dict[int, Future[Data]] = field(default_factory=dict)


def chunks_of(metadata: pq.FileMetaData, leaves: Collection[int]) -> list[Chunk]:
    """Where these leaf columns lie in each row group, in the order of the file."""
    found = []
    for group in range(metadata.num_row_groups):
        for leaf in leaves:
            column = metadata.row_group(group).column(leaf)
            first = column.data_page_offset
            if column.has_dictionary_page and column.dictionary_page_offset:
                first = min(first, column.dictionary_page_offset)
            found.append(Chunk(row_group=group, start=first, length=column.total_compressed_size))
    return sorted((chunk for chunk in found if chunk.length > 0 and chunk.start >= 0), key=lambda chunk: chunk.start)


class ReadAhead:
    """Answers reads within chunks. What it holds stays below `most_bytes`, or at a block a column of a row group where that is more; a page
    that reaches over the end of a block comes on top."""

    def __init__(
        self, chunks: Sequence[Chunk], block_bytes: int, most_bytes: int, pool: Executor, fetch: Callable[[int, int], Data]
    ) -> None:
        """fetch: brings (start, length) of the object, in any thread."""
        self._lanes = [_Lane(chunk) for chunk in chunks]
        self._starts = [chunk.start for chunk in chunks]
        self._groups: dict[int, list[_Lane]] = {}
        for lane in self._lanes:
            self._groups.setdefault(lane.chunk.row_group, []).append(lane)
        self._block, self._most = block_bytes, most_bytes
        self._pool, self._fetch = pool, fetch
        self._group = min(self._groups, default=0)
        self.requests = self.bytes_read = self.peak_bytes = 0

    def read(self, start: int, length: int) -> Data | None:
        """These bytes; None when they do not lie in one of the chunks. Raises what `fetch` raises."""
        index = bisect_right(self._starts, start) - 1
        lane = self._lanes[index] if index >= 0 else None
        if lane is None or start + length > lane.chunk.start + lane.chunk.length:
            return None
        self._enter(lane.chunk.row_group)
        first, last = start - lane.chunk.start, start - lane.chunk.start + length
        lane.coarse |= length > self._block
        brought = self._complete(lane, first, last)
        parts = [self._part(lane, number, first, last) for number in self._numbers(first, last)]
        if self._leave_behind(lane, last) or brought:
            self._look_ahead()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def release(self) -> None:
        """Let go of everything; what is under way is of no use any more."""
        for lane in self._lanes:
            for future in lane.coming.values():
                future.cancel()
        self._lanes, self._starts, self._groups = [], [], {}

    def _numbers(self, first: int, last: int) -> range:
        """The blocks in which bytes `first` to `last` of a chunk lie."""
        return range(first // self._block, -(-last // self._block))

    def _complete(self, lane: _Lane, first: int, last: int) -> bool:
        """Have these bytes here; whether anything had to come. What is missing is fetched now, neighbouring blocks with one request."""
        runs: list[list[int]] = []
        came = False
        for number in self._numbers(first, last):
            if (future := lane.coming.pop(number, None)) is not None:
                lane.held[number] = (0, future.result())
                came = True
            needed = max(0, first - number * self._block)
            if number not in lane.held or lane.held[number][0] > needed:
                if runs and runs[-1][-1] == number - 1:
                    runs[-1].append(number)
                else:
                    runs.append([number])
        for run in runs:
            self._bring(lane, run)
        if came or runs:
            self.peak_bytes = max(self.peak_bytes, self._held())
        return came or bool(runs)

    def _bring(self, lane: _Lane, run: Sequence[int]) -> None:
        start, end = self._span(lane, run[0])[0], sum(self._span(lane, run[-1]))
        self._count(end - start)
        data = memoryview(self._fetch(start, end - start))
        for number in run:
            begin, length = self._span(lane, number)
            own = data[begin - start : begin - start + length]
            lane.held[number] = (0, own if len(run) == 1 else bytes(own))

    def _part(self, lane: _Lane, number: int, first: int, last: int) -> Data:
        cut, data = lane.held[number]
        begin = number * self._block + cut
        return memoryview(data)[max(0, first - begin) : last - begin]

    def _leave_behind(self, lane: _Lane, position: int) -> bool:
        """Drop what has been read, and of a block that is mostly read all but a copy of the rest; whether that freed anything."""
        lane.position = position
        done = [number for number in lane.held if (number + 1) * self._block <= position]
        for number in done:
            del lane.held[number]
        number = position // self._block
        cut, data = lane.held.get(number, (0, b""))
        used = position - number * self._block - cut
        if not used or 2 * used < len(data):
            return bool(done)
        lane.held[number] = (cut + used, bytes(memoryview(data)[used:]))
        return True

    def _enter(self, group: int) -> None:
        """Batches span two row groups at most: of those before, nothing is read any more."""
        if group != self._group:
            self._group = group
            for past in [known for known in self._groups if known < group - 1]:
                for lane in self._groups.pop(past):
                    lane.held.clear()
                    lane.coming.clear()

    def _look_ahead(self) -> None:
        """Have the blocks come that are needed next, while they fit beside what columns without any block will have to fetch."""
        lanes = [lane for group in (self._group, self._group + 1) for lane in self._groups.get(group, ()) if self._foreseeable(lane)]
        bare = {id(lane): self._next_span(lane)[1] for lane in self._groups.get(self._group, ()) if not (lane.held or lane.coming)}
        coming = sum(not future.done() for lane in self._near() for future in lane.coming.values())
        taken = self._held() + sum(bare.values()) + self._block // 2  # half a block: while one is cut down there are two of it
        for lane in sorted(lanes, key=lambda lane: (lane.chunk.row_group, self._next(lane) * self._block / lane.chunk.length)):
            start, length = self._next_span(lane)
            taken += length - bare.get(id(lane), 0)
            if coming >= IN_FLIGHT or taken > self._most:
                return
            self._count(length)
            lane.coming[self._next(lane)] = self._pool.submit(self._fetch, start, length)
            coming += 1

    def _foreseeable(self, lane: _Lane) -> bool:
        """Whether its next block may come early. A chunk's pages show their size before its second block is asked for."""
        number = self._next(lane)
        begun = number == 0 or (lane.position >= self._block // 2 and not lane.coarse)
        return begun and self._span(lane, number)[1] > 0

    def _near(self) -> Iterator[_Lane]:
        """Lanes of which anything may be here or under way."""
        return (lane for group in (self._group - 1, self._group, self._group + 1) for lane in self._groups.get(group, ()))

    def _next(self, lane: _Lane) -> int:
        """The first block at or after the position that is neither here nor under way."""
        number = lane.position // self._block
        while number in lane.held or number in lane.coming:
            number += 1
        return number

    def _next_span(self, lane: _Lane) -> tuple[int, int]:
        return self._span(lane, self._next(lane))

    def _span(self, lane: _Lane, number: int) -> tuple[int, int]:
        """Where a block lies in the object, and its length; none beyond the chunk."""
        begin = number * self._block
        return lane.chunk.start + begin, max(0, min(self._block, lane.chunk.length - begin))

    def _held(self) -> int:
        """Bytes that are here or under way."""
        here = sum(len(data) for lane in self._near() for _, data in lane.held.values())
        return here + sum(self._span(lane, number)[1] for lane in self._near() for number in lane.coming)

    def _count(self, length: int) -> None:
        self.requests += 1
        self.bytes_read += length
