"""What a worker is told (RewriteJob, RewriteTask) and what it answers (RewriteResult or GroupDropped). Small values without table data.

A job is shared by all tasks of a run; a task is one attempt at one group. `ReadSpec` is made by the table format, so that rewriting knows
no log; typed statistics come back, so that a log's JSON stays in the format's adapter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

import pyarrow as pa

from compactor.model.engine import Copies, DecodedBecause, EngineChoice
from compactor.model.fingerprint import Fingerprint, ProofLevel, ProofReader, Proven
from compactor.model.plan import FileKey
from compactor.model.storage import StorageOptions

Bound = int | float | str | bytes | bool | Decimal
"""A value of a statistic or of a constant column: dates as days, timestamps as microseconds since 1970 (UTC or local), others plain."""

_NO_COLUMNS = pa.schema([])


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletes:
    """Where the deleted positions of one file are: a 64-bit roaring bitmap, inline or framed in a range of an object.

    inline: the serialised bitmap itself (magic number included). Otherwise object `key` holds at `offset` a big-endian 32-bit size, which
    must equal `size_bytes`, that many bytes of bitmap, and their big-endian CRC-32 (Delta protocol, "Deletion Vector File Storage Format").
    cardinality: how many positions it must hold.
    """

    inline: bytes | None = None
    key: str | None = None
    offset: int = 0
    size_bytes: int = 0
    cardinality: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One file to read. `key`: the object's key below the job's root (decoded); size_bytes as the log says (0: unknown, ask the store).

    base_row_id, row_version: what rows without an id or version of their own have: base_row_id plus their physical position, row_version.
    constants: values of ReadSpec.constants in this file, in its order.
    """

    file: FileKey
    key: str
    size_bytes: int
    rows: int | None = None
    deletes: Deletes | None = None
    base_row_id: int | None = None
    row_version: int | None = None
    constants: tuple[Bound | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowIds:
    """Two 64-bit columns, last in every output, that keep the id of each row and the version that wrote it; inputs may have them too."""

    id_column: str
    version_column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSpec:
    """How to read a file rightly, whatever its own schema.

    schema: the physical columns to produce, in order, with physical names, current types, and PARQUET:field_id metadata at every level
      where the table has ids. A column that a file lacks is null; a column that is not here is dropped; a narrower type is widened.
      Everything in it may be null but keys of maps, and the two binaries of a variant, which is a struct of `metadata` and `value`.
    match: how columns of a file are found: by exact name (falling back to a unique case-insensitive match) or by field id.
    constants: columns that follow those of `schema` in every output, each with one value a file (InputFile.constants); what a file itself
      holds under their names does not count.
    row_ids: None where rows have no ids to keep.
    tolerated: top-level columns that a file may hold besides, without holding something that was dropped.
    """

    schema: pa.Schema
    match: Literal["name", "id"] = "name"
    constants: pa.Schema = _NO_COLUMNS
    row_ids: RowIds | None = None
    tolerated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsColumn:
    """A leaf to collect statistics for: its path of physical names, whether minimum and maximum are wanted, and for strings how many
    UTF-16 units a bound may have (workers keep what is needed to cut there)."""

    path: tuple[str, ...]
    bounds: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSpec:
    """How outputs are written.

    compression: a Parquet codec in pyarrow's spelling (`zstd`, `snappy`, `none`, …); page_version `1.0` or `2.0`.
    row_group_bytes: encoded size to aim at for a row group; the memory bound may make them smaller, never larger than row_group_rows.
    statistics: leaves to collect statistics for; string_prefix: characters a string bound keeps.
    only_compression, only_page_version: the table asks for them, so that pages of another kind may not be copied as they are.
    decimals: the form of those of up to 18 digits, whole numbers or bytes.
    """

    compression: str = "zstd"
    compression_level: int | None = None
    page_version: Literal["1.0", "2.0"] = "1.0"
    row_group_bytes: int = 128 * 1024 * 1024
    row_group_rows: int = 1_048_576
    statistics: tuple[StatisticsColumn, ...] = ()
    string_prefix: int = 32
    only_compression: bool = False
    only_page_version: bool = False
    decimals: Literal["numbers", "bytes"] = "numbers"


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteJob:
    """What all tasks of a run share. `proof`: how outputs are held against inputs before a group may be committed, proof_reader: who reads
    them for that. `timed`: whether tasks say where their time went."""

    root_uri: str
    storage: StorageOptions
    read: ReadSpec
    write: WriteSpec
    proof: ProofLevel = "full"
    proof_reader: ProofReader = "auto"
    engine: EngineChoice = field(default_factory=EngineChoice)
    timed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteTask:
    """One attempt at one group.

    output_prefix: key prefix of the outputs below the root, ending in `/` or empty; output i of this attempt is
      `{output_prefix}{stem}-a{attempt}-{i:05d}.{codec}.parquet`. The stem is unique to the group of the run and is in the intent, so
      that everything an attempt may have written can be found by listing `{output_prefix}{stem}-`.
    output_files: how many outputs to make, split evenly by input bytes (one row at least each).
    memory_bytes: the predicted peak, buffers included; what is asked of a place for it.
    budget_bytes: what the run allows any task, which buffers and row groups are sized by; 0: memory_bytes.
    frugality: how often those sizes are halved, after an attempt that needed more than there was.
    """

    group_id: int
    attempt: int
    inputs: tuple[InputFile, ...]
    output_prefix: str
    stem: str
    output_files: int
    memory_bytes: int
    budget_bytes: int = 0
    frugality: int = 0

    @property
    def buffer_bytes(self) -> int:
        """What buffers and row groups are sized by."""
        return (self.budget_bytes or self.memory_bytes) >> self.frugality


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnStatistics:
    """Statistics of one leaf over one output. Bounds are None when there is no value, a NaN, or when none were asked for.

    minimum/maximum of strings are cut to a longer prefix than any log writes (`minimum_cut`/`maximum_cut` say so).
    """

    path: tuple[str, ...]
    null_count: int
    minimum: Bound | None = None
    maximum: Bound | None = None
    minimum_cut: bool = False
    maximum_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """One file written: its key below the root (not encoded), exact size, rows, statistics; its rows' fingerprint when it was proven.

    encode_debt_bytes: in row groups that were copied although they are small, so that readers go on paying for them.
    """

    key: str
    size_bytes: int
    rows: int
    statistics: tuple[ColumnStatistics, ...] = ()
    fingerprint: Fingerprint | None = None
    encode_debt_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """RowMap when order is kept: surviving row r of input i is row offsets[i] + r of the concatenated outputs."""

    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permuted:
    """RowMap when order is not kept: `reference` is the key of an object that holds the permutation."""

    reference: str


RowMap = Concat | Permuted


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLeftOut:
    """An input whose footer showed that it must not be rewritten: none of its rows was read. `why`: a sentence that names it."""

    file: FileKey
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteResult:
    """A group rewritten. `input_rows`: rows read and not deleted, counted from the files themselves; must equal the outputs' sum.

    engine: `transcode`, `stitch`, or both with a plus between them. copies, decoded: what was copied, and why the rest was not.
    left_out: inputs that stay as they are; everything else here, the row map too, is about the other inputs.
    proof: how far the group was proven; at `full`, `fingerprint` is that of its rows, the same for inputs and outputs; at `bytes`,
      checksum is that of its copied bytes and decoded rows together, by checksum_algorithm. proof_bytes_read and proof_requests are
      what reading the outputs again took (bytes_read and requests are about the inputs). proof_readers: `native` or `arrow`, whoever
      read files for it, or both with a plus between them; beside `native` Arrow reads a little of the same.
    stages: seconds of each stage of a task that was asked for them, in all its threads.
    """

    group_id: int
    attempt: int
    engine: str
    input_rows: int
    outputs: tuple[OutputFile, ...]
    row_map: RowMap
    bytes_read: int = 0
    requests: int = 0
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    left_out: tuple[InputLeftOut, ...] = ()
    proof: Proven = "counts"
    fingerprint: Fingerprint | None = None
    proof_bytes_read: int = 0
    proof_requests: int = 0
    proof_readers: str | None = None
    checksum: Fingerprint | None = None
    checksum_algorithm: str = "bytes-1"
    copies: Copies = field(default_factory=Copies)
    decoded: tuple[DecodedBecause, ...] = ()
    stages: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDropped:
    """A group that was not rewritten or not committed. `reason` is a stable code, `detail` a sentence that names file and cause.

    Codes: input-vanished, output-vanished, table-changed, taken-over, contention (conflicts); corrupt-file, unsupported-file,
    out-of-memory, worker-lost, deadline, storage, proof, cancelled.
    """

    group_id: int
    reason: str
    detail: str
    file: str | None = None


TaskOutcome = RewriteResult | GroupDropped
