"""One output file: row groups in, decoded or encoded, streamed to an object that appears whole at the end or not at all.

Decoded rows are encoded by Arrow's writer. Encoded row groups are copied as they are, by the store itself where it can. An output without
an encoded row group has the writer's own footer, byte for byte; else the footer is ours (assembly.py). What it says is what is reported. A
failure or abort leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.ambient.stopwatch import stage
from compactor.model.engine import COPIED_BYTES, Copies
from compactor.model.rewrite import OutputFile, WriteSpec
from compactor.rewriting.arrow_writer import empty_footer, open_writer
from compactor.rewriting.assembly import MAGIC, Assembly, Moves
from compactor.rewriting.checksum import checksum_of_bytes
from compactor.rewriting.column_statistics import StatisticsCollector
from compactor.rewriting.copying import pieces
from compactor.rewriting.encoded import chunks_of_group, encoded_file, extras_of, repeatable
from compactor.rewriting.fragment import EncodedRowGroup, Origin, Range
from compactor.rewriting.problems import FileProblem
from compactor.rewriting.tap import Tap
from compactor.storage.base import ObjectWriter

_BUFFER_BYTES = 1024 * 1024
_TRAILER_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """Bytes of an output that were not made by the encoder, and their checksum as they were when they were handed over."""

    place: Range
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A finished output. decoded: indices of its row groups that were encoded here (None: all of them).

    copies: what was copied as it was; copied: what to look at again, when that was asked for.
    """

    file: OutputFile
    decoded: tuple[int, ...] | None = None
    copied: tuple[Copied, ...] = ()
    copies: Copies = field(default_factory=Copies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying:
    """How encoded bytes are brought: threads that fetch them, how many may be on their way, and whether their digests are taken."""

    pool: Executor
    in_flight_bytes: int
    digests: bool


class Output:
    """A Parquet file being written. Not thread-safe: one thread at a time."""

    def __init__(self, key: str, writer: ObjectWriter, schema: pa.Schema, spec: WriteSpec, copying: Copying) -> None:
        self.key = key
        self._tap = Tap(writer)
        self._object, self._copying = writer, copying
        self._schema, self._spec = schema, spec
        self._statistics = StatisticsCollector(schema, spec.statistics, spec.string_prefix)
        self._parquet: pq.ParquetWriter | None = None
        self._stream: pa.NativeFile | None = None
        self._footers: list[pq.FileMetaData] = []
        self._assembly: Assembly | None = None
        self._decoded: list[int] = []
        self._copied: list[Copied] = []
        self._copies = Copies()
        self._debt_bytes = 0

    @property
    def bytes_written(self) -> int:
        """Encoded bytes so far, as far as they left the buffers."""
        return self._tap.position

    def write_row_group(self, rows: pa.Table, dictionaries: Sequence[str]) -> None:
        """Append a row group. `dictionaries`: Parquet paths of the columns to write with one; counts where Arrow's writer begins only.

        Raises FileProblem where an input held values that its types do not have, such as decimals of more digits.
        """
        if self._parquet is None:
            self._tap.begin_part(len(MAGIC))
            self._stream = pa.BufferedOutputStream(pa.PythonFile(self._tap, mode="w"), _BUFFER_BYTES)
            self._parquet = open_writer(self._stream, self._spec, rows, dictionaries, self._footers)
        self._statistics.add(rows)
        try:
            self._parquet.write_table(rows, row_group_size=max(1, rows.num_rows))
        except pa.ArrowInvalid as error:
            raise _unfit(rows, error) from error

    def append(self, fragment: EncodedRowGroup) -> None:
        """Append a row group as it is. Raises StorageError, FileProblem."""
        assembly = self._end_of_encoding()
        if fragment.fresh:
            self._decoded.append(len(assembly))
        else:
            self._copies += Copies(row_groups=1, bytes=fragment.size_bytes)
            self._debt_bytes += fragment.size_bytes if fragment.size_bytes < COPIED_BYTES else 0
        bring = self._bring if fragment.fresh else self._copy
        moves = [(run, bring(fragment.origin, run)) for run in fragment.runs]
        assembly.add(fragment.group, Moves(moves), fragment.extras)
        self._statistics.add_found(fragment.found)

    def finish(self) -> Written:
        """Write the footer and publish the object; what is reported is what the footer says."""
        if self._assembly is None:
            footer = self._close_encoder()
            self._statistics.absorb(footer)
            rows = footer.num_rows
        else:
            self._put(self._end_of_encoding().tail(self._tap.position))
            rows = self._assembly.rows
        with stage("write"):
            size_bytes = self._object.close()
        copies = self._copies.row_groups > 0
        return Written(
            file=OutputFile(
                key=self.key,
                size_bytes=size_bytes,
                rows=rows,
                statistics=self._statistics.finish(),
                encode_debt_bytes=self._debt_bytes,
            ),
            decoded=tuple(self._decoded) if copies else None,
            copied=tuple(self._copied) if copies else (),
            copies=self._copies,
        )

    def abort(self) -> None:
        """Give up; nothing of the object stays. Never raises."""
        self._tap.shut = True
        with contextlib.suppress(Exception):
            if self._parquet is not None:
                self._parquet.close()
        self._object.abort()

    def _bring(self, origin: Origin, run: Range) -> int:
        """Write bytes that lie in memory at the end of the output; where they begin there."""
        start = self._tap.position
        for begin in range(run.start, run.end, _BUFFER_BYTES):
            self._tap.put(origin.read(begin, min(_BUFFER_BYTES, run.end - begin)))
        return start

    def _copy(self, origin: Origin, run: Range) -> int:
        """Copy bytes to the end of the output; where they begin there."""
        start, copying = self._tap.position, self._copying
        if not copying.digests:
            if not self._stored(origin, run):
                for data in self._pieces(origin, run):
                    self._tap.put(data)
            return start
        spares = origin.key is not None and self._object.spares_sending(run.length)
        digest = checksum_of_bytes(self._passed_on(origin, run, keep=spares))
        self._copied.append(Copied(place=Range(start, run.length), digest=digest))
        if spares and not self._stored(origin, run):
            for data in self._pieces(origin, run):
                self._tap.put(data)
        return start

    def _stored(self, origin: Origin, run: Range) -> bool:
        """Whether the store has copied the bytes to the end of the output, most of them by itself."""
        stored = None if origin.key is None else self._object.copy_range(origin.key, run.start, run.length)
        if stored is None:
            return False
        self._copies += Copies(stored_bytes=stored.size_bytes, store_requests=stored.requests)
        self._tap.position += run.length
        return True

    def _passed_on(self, origin: Origin, run: Range, *, keep: bool) -> Iterator[bytes | memoryview]:
        """The pieces, written to the output as they come unless they are kept back."""
        for data in self._pieces(origin, run):
            yield data
            if not keep:
                self._tap.put(data)

    def _pieces(self, origin: Origin, run: Range) -> Iterator[bytes | memoryview]:
        return pieces(origin, run, self._copying.pool, self._copying.in_flight_bytes)

    def _put(self, data: bytes) -> None:
        if self._copying.digests:
            self._copied.append(Copied(place=Range(self._tap.position, len(data)), digest=checksum_of_bytes([data])))
        self._tap.put(data)

    def _end_of_encoding(self) -> Assembly:
        """What Arrow's writer has under way becomes row groups of the assembly; its own footer is not written."""
        if self._assembly is None:
            self._assembly = Assembly(empty_footer(self._schema, self._spec), created_by())
            if self._parquet is None:
                self._put(MAGIC)
        if self._parquet is not None and self._stream is not None:
            self._stream.flush()
            at = self._tap.tell()
            with self._tap.holding_back() as held:
                footer = self._close_encoder()
            self._statistics.absorb(footer)
            self._take_over(self._assembly, held.getvalue(), at)
        return self._assembly

    def _take_over(self, assembly: Assembly, tail: bytes, at: int) -> None:
        """Row groups that Arrow's writer made, by the `tail` that it wrote from `at` on in its own counting."""
        (length,) = struct.unpack("<I", tail[-_TRAILER_BYTES:-4])
        footer = len(tail) - _TRAILER_BYTES - length
        file = encoded_file(tail[footer:-_TRAILER_BYTES], at + footer)
        origin, moves = _Held(tail, at), Moves([(Range(0, file.end), self._tap.shift)])
        for index in range(len(file.row_groups)):
            end = max((pages.end for _, _, pages in chunks_of_group(file, index)), default=at)
            assert end <= at, "pages are written before the writer is closed"
            self._decoded.append(len(assembly))
            assembly.add(repeatable(file, index, file.leaves), moves, extras_of(file, index, origin))

    def _close_encoder(self) -> pq.FileMetaData:
        assert self._parquet is not None and self._stream is not None
        self._parquet.close()
        self._stream.close()
        self._parquet = self._stream = None
        return self._footers.pop()


class _Held:
    """The end of what Arrow's writer wrote, as an Origin: indexes are read from it."""

    key = None

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def read(self, start: int, length: int) -> bytes:
        return self._data[start - self._at : start - self._at + length]


def created_by() -> str:
    """Who footers of ours name as their writer, in the form that readers look for."""
    from compactor import __version__

    return f"lakehouse-compactor version {__version__}"


def _unfit(rows: pa.Table, error: pa.ArrowInvalid) -> FileProblem:
    """Why rows cannot be encoded, with the column where a look at all values finds it."""
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as found:
            why = str(found).rpartition("Invalid: ")[2]
            return FileProblem("corrupt-file", f'An input holds a value in column "{name}" that is none of its type: {why}.')
    return FileProblem("corrupt-file", f"An input holds a value that cannot be written: {error}.")
