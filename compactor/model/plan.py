"""Plan: an ordered set of RewriteGroups against one snapshot version, with predictions, and a reason for every file left out.

Columnar: `groups` has one row a group, `inputs` one row a planned file. A RewriteGroup object exists only while its group is handled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

import pyarrow as pa

from compactor.model.policy import Policy
from compactor.model.snapshot import TableRef
from compactor.model.usage import Usage

PLAN_FORMAT_VERSION = 2


class GroupKind(StrEnum):
    """Why a group exists."""

    MERGE = "merge"  # small files become larger ones
    SPLIT = "split"  # an oversized file becomes several
    PURGE = "purge"  # deleted rows are dropped
    FORCE = "force"  # the user asked for a rewrite
    DEBT = "encode-debt"  # small row groups that were copied as they were are encoded anew


class LeftOut(StrEnum):
    """Why a live file is in no group. Every live file is planned or has one of these."""

    RIGHT_SIZE = "right-size"  # neither small nor oversized
    TOO_FEW = "too-few"  # too few small neighbours in its partition
    TOO_YOUNG = "too-young"  # landed less than min_age ago
    BUSY = "busy-partition"  # others wrote to its partition less than the quiet period ago
    OTHER_PARTITION = "not-selected"  # --where excludes its partition
    FINISHED = "finished"  # a compaction called it finished for a comparable target
    WRITE_AMPLIFICATION = "write-amplification"  # another rewrite would exceed the bound
    GROUP_CAP = "group-cap"  # the run's cap on groups
    BYTE_CAP = "byte-cap"  # the run's cap on bytes
    UNREADABLE = "unreadable"  # the format or survey says that it must not be rewritten
    QUARANTINED = "quarantined"  # an earlier run found it damaged
    INDIVISIBLE = "indivisible"  # oversized, but it holds a single row
    NOTHING_TO_PURGE = "nothing-to-purge"  # a purge was asked for, and it holds neither deleted rows nor dropped columns
    CLUSTERED = "clustered"  # a clustering of the table placed its rows; a plain rewrite would undo that


GROUPS_SCHEMA = pa.schema(
    [
        pa.field("group_id", pa.int32(), nullable=False),  # 0.. in order of execution
        pa.field("kind", pa.string(), nullable=False),  # GroupKind
        pa.field("partition_id", pa.int32(), nullable=False),
        pa.field("first_input", pa.int64(), nullable=False),  # row range in Plan.inputs
        pa.field("input_files", pa.int32(), nullable=False),
        pa.field("input_bytes", pa.int64(), nullable=False),
        pa.field("input_rows", pa.int64()),  # after deletes; null when the log does not say
        pa.field("output_files", pa.int32(), nullable=False),
        pa.field("output_bytes", pa.int64(), nullable=False),  # predicted
        pa.field("memory_bytes", pa.int64(), nullable=False),  # predicted peak under the run's memory bound
        pa.field("finishes", pa.bool_(), nullable=False),  # outputs count as finished for the target
        pa.field("generation", pa.int16(), nullable=False),  # of the outputs
        pa.field("read_requests", pa.int64()),  # predicted
        pa.field("write_requests", pa.int64()),  # predicted
        pa.field("copied_bytes", pa.int64()),  # predicted: in row groups that are copied as they are; null in plans of before
        pa.field("merged_bytes", pa.int64()),  # predicted: in files that are merged page by page; null in plans of before
    ]
)
INPUTS_SCHEMA = pa.schema(
    [
        pa.field("file", pa.int64(), nullable=False),  # row of Snapshot.files
        pa.field("path", pa.string(), nullable=False),
        pa.field("deletes_id", pa.string()),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("rows", pa.int64()),
        pa.field("deleted_rows", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a run may use, as far as planning needs to know: tasks at once, and the memory each of them may promise to stay within."""

    parallelism: int
    memory_bytes: int


class FileKey(NamedTuple):
    """Identity of a live file in the log: its path as written there and the identity of its deletes.

    A tuple, since sets of very many are made, and no hash and no comparison is as fast as a tuple's.
    """

    path: str
    deletes_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteGroup:
    """One group, materialised. `files` are rows of Snapshot.files, in the order in which rows are to be kept."""

    group_id: int
    kind: GroupKind
    partition_id: int
    files: tuple[int, ...]
    inputs: tuple[FileKey, ...]
    input_bytes: int
    input_rows: int | None
    output_files: int
    output_bytes: int
    memory_bytes: int
    finishes: bool
    generation: int


Prediction = Usage
"""What a plan will take, before anything is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """See the module. `left_out` counts reasons; `reasons` has one LeftOut string (or null: planned) for each row of Snapshot.files.

    compression: output bytes that were predicted for a byte of a file that others wrote.
    not_copied: input bytes that are neither copied as they are encoded nor merged, by reason, as far as log and survey tell.
    partitions: row i is the partition of `groups.partition_id` i, one nullable string column for each partition column, by its name.
    """

    table: TableRef
    version: int
    policy: Policy
    target_bytes: int
    groups: pa.Table
    inputs: pa.Table
    reasons: pa.Array
    left_out: tuple[tuple[LeftOut, int], ...]
    prediction: Prediction
    compression: float = 1.0
    not_copied: tuple[tuple[str, int], ...] = ()
    partitions: pa.Table = field(default_factory=lambda: pa.table({}))

    def __len__(self) -> int:
        return int(self.groups.num_rows)

    def __iter__(self) -> Iterator[RewriteGroup]:
        return (self.group(i) for i in range(len(self)))

    @property
    def not_yet(self) -> int:
        """Files that only time keeps out of it."""
        return sum(files for why, files in self.left_out if why in (LeftOut.TOO_YOUNG, LeftOut.BUSY))

    def by_id(self, group_id: int) -> RewriteGroup:
        """The group of that id; the rows of a plan that was applied later may lack some ids."""
        ids = self.groups["group_id"]
        if group_id < len(ids) and ids[group_id].as_py() == group_id:
            return self.group(group_id)
        return self.group(ids.to_pylist().index(group_id))

    def renumbered(self, first: int) -> Plan:
        """The same plan with its groups numbered from `first` on."""
        column = self.groups.schema.get_field_index("group_id")
        numbers = pa.array(range(first, first + len(self)), self.groups.schema.field(column).type)
        return replace(self, groups=self.groups.set_column(column, self.groups.schema.field(column), numbers))

    def group(self, index: int) -> RewriteGroup:
        """The group in row `index` of `groups`, as an object."""
        row = {name: self.groups.column(name)[index].as_py() for name in self.groups.schema.names}
        inputs = self.inputs.slice(row["first_input"], row["input_files"])
        paths, deletes = inputs["path"].to_pylist(), inputs["deletes_id"].to_pylist()
        return RewriteGroup(
            group_id=row["group_id"],
            kind=GroupKind(row["kind"]),
            partition_id=row["partition_id"],
            files=tuple(inputs["file"].to_pylist()),
            inputs=tuple(FileKey(path=p, deletes_id=d) for p, d in zip(paths, deletes, strict=True)),
            input_bytes=row["input_bytes"],
            input_rows=row["input_rows"],
            output_files=row["output_files"],
            output_bytes=row["output_bytes"],
            memory_bytes=row["memory_bytes"],
            finishes=row["finishes"],
            generation=row["generation"],
        )


LEFT_ALONE_SCHEMA = pa.schema([pa.field("path", pa.string(), nullable=False), pa.field("reason", pa.string(), nullable=False)])


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlan:
    """A plan as it is stored and carried to another machine, without the snapshot it was made on (see planning/artefact.py).

    plan_id: a digest of all that it says but the spelling of the table's URI. table_id: of the table it is for, wherever that is.
    In `plan`, `partitions` has only those of its groups, inputs have no row of a snapshot (`file` is -1), and `reasons` is empty.
    left_alone: path and reason of each file that is left out (LEFT_ALONE_SCHEMA); None when they are too many to be listed.
    """

    plan_id: str
    table_id: str
    plan: Plan
    left_alone: pa.Table | None = None

    @property
    def run_id(self) -> str:
        """The run that applies it: always the same, so that it is applied once."""
        return f"plan-{self.plan_id}"
