"""Plans as artefacts, to be kept, compared, applied elsewhere: JSON lines, which are a header, one group a line, and then the files that
are left out, a thousand a line. Pure: lines in, lines out.

Streamed both ways: one batch of groups is in Python objects at a time. Equal plans give equal bytes, and nothing secret is in them. The
header's plan_id is a digest of everything else but the spelling of the table's URI, so a damaged or edited file is noticed, and the same
plan has the same id wherever its table is reached from. Newer formats are refused by name; the first one listed no files left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from compactor.errors import TableRefused, UsageError
from compactor.model.plan import (
    GROUPS_SCHEMA,
    INPUTS_SCHEMA,
    LEFT_ALONE_SCHEMA,
    PLAN_FORMAT_VERSION,
    GroupKind,
    LeftOut,
    Plan,
    SavedPlan,
)
from compactor.model.policy import Policy
from compactor.model.snapshot import Snapshot, TableRef
from compactor.model.usage import Usage, usage_of
from compactor.planning.where import parse

LISTED = 100_000
"""Files left out are listed up to this many: a plan that does little for a large table stays small."""
_BATCH = 1000
_INPUT = tuple(name for name in INPUTS_SCHEMA.names if name != "file")
_GROUP = tuple(name for name in GROUPS_SCHEMA.names if name not in ("partition_id", "first_input"))
_LATER = ("copied_bytes", "merged_bytes")
"""Columns that plans of before lack."""
_NOT_DIGESTED = ("plan_id", "table")

Row = dict[str, Any]


def save(plan: Plan, snapshot: Snapshot) -> SavedPlan:
    """The plan with all that it needs to leave its snapshot behind."""
    used = plan.groups["partition_id"].unique()
    ids = pc.index_in(plan.groups["partition_id"], value_set=used)
    inputs = plan.inputs.set_column(0, INPUTS_SCHEMA.field("file"), pa.array([-1] * plan.inputs.num_rows, pa.int64()))
    at = GROUPS_SCHEMA.get_field_index("partition_id")
    groups = plan.groups.set_column(at, GROUPS_SCHEMA.field(at), ids)
    alone = Plan(
        table=plan.table,
        version=plan.version,
        policy=plan.policy,
        target_bytes=plan.target_bytes,
        groups=groups,
        inputs=inputs,
        reasons=pa.nulls(0, pa.string()),
        left_out=plan.left_out,
        prediction=plan.prediction,
        compression=plan.compression,
        not_copied=plan.not_copied,
        partitions=plan.partitions.take(used) if plan.partitions.num_columns else plan.partitions,
    )
    unnamed = SavedPlan(plan_id="", table_id=snapshot.table_id, plan=alone, left_alone=_left_alone(plan, snapshot))
    digest = _digest(_header(unnamed))
    for line in _lines(unnamed):
        digest.update(line.encode())
    return replace(unnamed, plan_id=digest.hexdigest()[:32])


def _left_alone(plan: Plan, snapshot: Snapshot) -> pa.Table | None:
    if sum(count for _, count in plan.left_out) > LISTED:
        return None
    every = pa.table([snapshot.files["path"], plan.reasons], names=LEFT_ALONE_SCHEMA.names)
    out = every.filter(pc.is_valid(every["reason"])).sort_by([("reason", "ascending"), ("path", "ascending")])
    return pa.table(out.columns, schema=LEFT_ALONE_SCHEMA)


def encode(saved: SavedPlan) -> Iterator[str]:
    """The lines, without line ends."""
    yield _line(_header(saved))
    yield from _lines(saved)


def decode(lines: Iterable[str], where: str) -> SavedPlan:
    """The plan in `lines` (line ends allowed). `where` names the file in messages.

    Raises UsageError when it is no plan or is damaged, TableRefused when its format is newer.
    """
    rows = (line.rstrip("\r\n") for line in lines)
    header = _read_header(next(rows, ""), where)
    digest, reader = _digest(header), _Reader()
    try:
        for line in rows:
            digest.update(line.encode())
            reader.take(json.loads(line))
        saved = _assemble(header, reader)
    except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise UsageError(f"The plan {where} is damaged.") from error
    if digest.hexdigest()[:32] != saved.plan_id or len(saved.plan) != header["groups"]:
        raise UsageError(f"The plan {where} is damaged: it is incomplete or has been changed since it was made.")
    return saved


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _digest(header: Mapping[str, Any]) -> hashlib._Hash:
    return hashlib.sha256(_line({key: value for key, value in header.items() if key not in _NOT_DIGESTED}).encode())


def _header(saved: SavedPlan) -> Row:
    plan = saved.plan
    return {
        "format_version": PLAN_FORMAT_VERSION,
        "kind": "plan",
        "plan_id": saved.plan_id,
        "table": plan.table.uri,
        "table_format": plan.table.format,
        "table_id": saved.table_id,
        "version": plan.version,
        "target_bytes": plan.target_bytes,
        "compression": plan.compression,
        "policy": {**asdict(plan.policy), "where": plan.policy.where.text if plan.policy.where else None},
        "groups": len(plan),
        "left_out": {str(reason): count for reason, count in plan.left_out},
        "left_out_listed": saved.left_alone is not None,
        "not_copied": dict(plan.not_copied),
        "prediction": asdict(plan.prediction),
        "partition_columns": saved.plan.partitions.column_names,
        "input_columns": list(_INPUT),
    }


def _lines(saved: SavedPlan) -> Iterator[str]:
    yield from _group_lines(saved)
    if saved.left_alone is None:
        return
    for reason in saved.left_alone["reason"].unique().to_pylist():
        paths = saved.left_alone.filter(pc.equal(saved.left_alone["reason"], reason))["path"]
        for begin in range(0, len(paths), _BATCH):
            yield _line({"left_out": reason, "files": paths.slice(begin, _BATCH).to_pylist()})


def _group_lines(saved: SavedPlan) -> Iterator[str]:
    groups, names = saved.plan.groups, saved.plan.partitions.column_names
    places = saved.plan.partitions.to_pylist() if names else []
    for begin in range(0, groups.num_rows, _BATCH):
        batch = groups.slice(begin, _BATCH).to_pylist()
        first, last = batch[0]["first_input"], batch[-1]
        inputs = saved.plan.inputs.slice(first, last["first_input"] + last["input_files"] - first).select(_INPUT).to_pydict()
        rows = list(zip(*(inputs[name] for name in _INPUT), strict=True))
        for group in batch:
            start = group["first_input"] - first
            place = {"partition": places[group["partition_id"]] if names else {}}
            yield _line({**{name: group[name] for name in _GROUP}, **place, "inputs": rows[start : start + group["input_files"]]})


def _read_header(line: str, where: str) -> Row:
    try:
        header = json.loads(line)
        kind, version = header["kind"], int(header["format_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{where} is not a plan; `compactor plan URI -o FILE` makes one.") from error
    if kind != "plan":
        raise UsageError(f"{where} is not a plan, but a {kind}.")
    if version > PLAN_FORMAT_VERSION:
        upto = f"this version of the compactor reads up to {PLAN_FORMAT_VERSION}, use a newer one"
        raise TableRefused(f"The plan {where} has format version {version}; {upto}.", reason="newer-format:plan")
    return dict(header)


class _Reader:
    """Collects group lines into Arrow, a batch at a time."""

    def __init__(self) -> None:
        self.partitions: dict[tuple[str | None, ...], int] = {}
        self.left_alone: list[tuple[str, str]] = []
        self._groups: list[pa.Table] = [GROUPS_SCHEMA.empty_table()]
        self._inputs: list[pa.Table] = [INPUTS_SCHEMA.empty_table()]
        self._rows: list[Row] = []
        self._files: list[tuple[Any, ...]] = []
        self._seen = 0

    def take(self, line: Row) -> None:
        """One group, or some files left out. Raises ValueError and its kin for a line that is neither."""
        if "left_out" in line:
            reason = LeftOut(line["left_out"]).value
            self.left_alone += [(path, reason) for path in line["files"]]
            return
        inputs = line["inputs"]
        if not inputs or len(inputs) != line["input_files"]:
            raise ValueError("a group without its files")
        GroupKind(line["kind"])
        place = self.partitions.setdefault(tuple(line["partition"].values()), len(self.partitions))
        told = {name: line.get(name) if name in _LATER else line[name] for name in _GROUP}
        self._rows.append({**told, "partition_id": place, "first_input": self._seen})
        self._files += [(-1, *columns) for columns in inputs]
        self._seen += len(inputs)
        if len(self._rows) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._groups.append(pa.Table.from_pylist(self._rows, schema=GROUPS_SCHEMA))
            columns = zip(*self._files, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, INPUTS_SCHEMA, strict=True)]
            self._inputs.append(pa.Table.from_arrays(arrays, schema=INPUTS_SCHEMA))
        self._rows, self._files = [], []

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """Groups and inputs."""
        self._flush()
        return pa.concat_tables(self._groups).combine_chunks(), pa.concat_tables(self._inputs).combine_chunks()


def _assemble(header: Row, reader: _Reader) -> SavedPlan:
    groups, inputs = reader.tables()
    names = list(header["partition_columns"])
    places = list(zip(*reader.partitions, strict=True)) if names and reader.partitions else [()] * len(names)
    named = [pa.array(values, pa.string()) for values in places]
    plan = Plan(
        table=TableRef(uri=header["table"], format=header["table_format"]),
        version=int(header["version"]),
        policy=_policy(header["policy"]),
        target_bytes=int(header["target_bytes"]),
        groups=groups,
        inputs=inputs,
        reasons=pa.nulls(0, pa.string()),
        left_out=tuple((LeftOut(reason), count) for reason, count in header["left_out"].items()),
        prediction=usage_of(header["prediction"]) or Usage(),
        compression=float(header["compression"]),
        not_copied=tuple((str(code), int(size)) for code, size in header.get("not_copied", {}).items()),
        partitions=pa.table(named, names=names),
    )
    listed = header.get("left_out_listed", False)
    columns = list(zip(*reader.left_alone, strict=True)) or [(), ()]
    left_alone = pa.table([pa.array(values, pa.string()) for values in columns], schema=LEFT_ALONE_SCHEMA) if listed else None
    return SavedPlan(plan_id=header["plan_id"], table_id=header["table_id"], plan=plan, left_alone=left_alone)


def _policy(body: Row) -> Policy:
    known = {field.name: body[field.name] for field in fields(Policy) if field.name in body}
    return Policy(**{**known, "where": parse(body["where"]) if body.get("where") else None})
