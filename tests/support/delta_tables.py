"""Delta tables with real rows on a local disk, written by hand with plain JSON and pyarrow, so that any feature of the protocol can be
had; and a few written by `deltalake`, as users' tables are. Shares no code with the compactor.

    table = make_table(tmp_path / "t", table_of(ints=range(100)), files=10, partition_by=["p"])
    append(table, table_of(ints=range(5)))
    mask_rows(table, table.live()[0], [1, 2])      # a deletion vector
    write_checkpoint(table, kind="v2-json", sidecars=2, stats="struct")
"""

from __future__ import annotations

import json
import struct
import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Action = dict[str, Any]
READER_FEATURES = frozenset(
    {
        "catalogManaged", "columnMapping", "deletionVectors", "timestampNtz", "typeWidening", "typeWidening-preview", "v2Checkpoint",
        "vacuumProtocolCheck", "variantShredding", "variantShredding-preview", "variantType", "variantType-preview",
    }
)  # fmt: skip
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_EPOCH_MS = 1_767_225_600_000
VARIANT = pa.struct([pa.field("metadata", pa.binary(), False), pa.field("value", pa.binary(), False)])
_PRIMITIVES = {
    pa.string(): "string",
    pa.int64(): "long",
    pa.int32(): "integer",
    pa.int16(): "short",
    pa.int8(): "byte",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.binary(): "binary",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp",
    pa.timestamp("us"): "timestamp_ntz",
    pa.null(): "void",
}


@dataclass
class HandTable:
    """A table under construction: where it is, what its files must look like, and what its next version is."""

    root: Path
    schema: pa.Schema
    partition_by: list[str]
    fields: list[Action]
    mapped: bool
    version: int = -1
    clock_ms: int = _EPOCH_MS
    adds: dict[tuple[str, str | None], Action] = field(default_factory=dict)
    protocol: Action = field(default_factory=dict)
    metadata: Action = field(default_factory=dict)
    engine: str | None = None
    next_row_id: int | None = None
    domains: dict[str, Action] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return str(self.root)

    @property
    def log(self) -> Path:
        return self.root / "_delta_log"

    def live(self) -> list[Action]:
        """The live adds, oldest first."""
        return list(self.adds.values())

    def tick(self) -> int:
        """A modification time, one second later than the last."""
        self.clock_ms += 1000
        return self.clock_ms

    def commit(self, actions: Iterable[Action], operation: str = "WRITE", **info: Any) -> int:
        """Write the next entry, commitInfo first; returns its version."""
        actions = list(actions)
        self.version += 1
        actions += self._numbered([action["add"] for action in actions if "add" in action])
        body: Action = {"timestamp": self.tick(), "operation": operation, "operationParameters": {}, **info}
        if self.engine is not None:
            body["engineInfo"] = self.engine
        lines = [{"commitInfo": body}, *actions]
        self.log.mkdir(parents=True, exist_ok=True)
        (self.log / f"{self.version:020d}.json").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        for removed in (action["remove"] for action in actions if "remove" in action):
            self.adds.pop(identity(removed), None)
        for added in (action["add"] for action in actions if "add" in action):
            self.adds[identity(added)] = added
        self.domains |= {action["domainMetadata"]["domain"]: action["domainMetadata"] for action in actions if "domainMetadata" in action}
        return self.version

    def _numbered(self, adds: Sequence[Action]) -> list[Action]:
        """Row ids for those files that have none, where the table tracks rows; the new high-water mark as an action."""
        fresh = [add for add in adds if "baseRowId" not in add]
        if self.next_row_id is None or not fresh:
            return []
        for add in fresh:
            add |= {"baseRowId": self.next_row_id, "defaultRowCommitVersion": self.version}
            self.next_row_id += json.loads(add["stats"])["numRecords"]
        mark = json.dumps({"rowIdHighWaterMark": self.next_row_id - 1})
        return [{"domainMetadata": {"domain": "delta.rowTracking", "configuration": mark, "removed": False}}]

    def resume(self) -> None:
        """Take over what others have committed since: version, live files, row ids."""
        known = {int(path.stem): path for path in self.log.glob("*.json") if path.stem.isdigit()}
        for version in range(self.version + 1, max(known) + 1):
            actions = [json.loads(line) for line in known[version].read_text(encoding="utf-8").split("\n") if line]
            for removed in (action["remove"] for action in actions if "remove" in action):
                self.adds.pop(identity(removed), None)
            for added in (action["add"] for action in actions if "add" in action):
                self.adds[identity(added)] = added
            for domain in (action["domainMetadata"] for action in actions if "domainMetadata" in action):
                self.domains[domain["domain"]] = domain
                if domain["domain"] == "delta.rowTracking" and self.next_row_id is not None:
                    self.next_row_id = json.loads(domain["configuration"])["rowIdHighWaterMark"] + 1
            self.version = version


def identity(action: Action) -> tuple[str, str | None]:
    """Path and unique id of the deletion vector."""
    vector = action.get("deletionVector")
    if not vector:
        return action["path"], None
    offset = vector.get("offset")
    return action["path"], f"{vector['storageType']}{vector['pathOrInlineDv']}" + (f"@{offset}" if offset is not None else "")


def table_of(**columns: Any) -> pa.Table:
    """A table of plain Python columns."""
    return pa.table({name: list(values) for name, values in columns.items()})


def delta_type(kind: pa.DataType) -> Any:
    """The type as schemaString spells it."""
    if kind in _PRIMITIVES:
        return _PRIMITIVES[kind]
    if is_variant(kind):
        return "variant"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_struct(kind):
        return {"type": "struct", "fields": [_field(child) for child in kind]}
    if pa.types.is_map(kind):
        return {
            "type": "map", "keyType": delta_type(kind.key_type), "valueType": delta_type(kind.item_type), "valueContainsNull": True,
        }  # fmt: skip
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": delta_type(kind.value_type), "containsNull": True}
    raise ValueError(kind)


def is_variant(kind: pa.DataType) -> bool:
    """Whether the type is VARIANT, which no other struct equals: its children may not be null."""
    return bool(kind == VARIANT) and not kind.field(0).nullable


def variants(values: Sequence[bytes | None]) -> pa.Array:
    """Variants with these bytes as values; None is a null."""
    parts = [pa.array([b"\x01\x00" if value is not None else b"" for value in values]), pa.array([value or b"" for value in values])]
    return pa.StructArray.from_arrays(parts, fields=list(VARIANT), mask=pa.array([value is None for value in values]))


def _field(child: pa.Field) -> Action:
    return {"name": child.name, "type": delta_type(child.type), "nullable": True, "metadata": {}}


def _number(fields: list[Action], start: int = 0) -> int:
    """Give every field an id and a physical name, depth first; returns the last id."""
    for one in fields:
        start += 1
        one["metadata"] = {"delta.columnMapping.id": start, "delta.columnMapping.physicalName": f"col-{start}"}
        kind = one["type"]
        while isinstance(kind, dict) and kind["type"] != "struct":
            kind = kind.get("elementType", kind.get("valueType"))
        if isinstance(kind, dict):
            start = _number(kind["fields"], start)
    return start


def _physical(child: pa.Field, described: Action, mapped: bool) -> pa.Field:
    """The field as it is stored in a file."""
    kind, spelled = child.type, described["type"]
    if spelled == "variant":
        kind = VARIANT
    elif pa.types.is_struct(kind):
        kind = pa.struct([_physical(kind.field(i), inner, mapped) for i, inner in enumerate(spelled["fields"])])
    elif pa.types.is_map(kind):
        kind = pa.map_(kind.key_type, _physical(kind.item_field, {"type": spelled["valueType"], "metadata": {}}, mapped).type)
    elif pa.types.is_list(kind):
        inner = {"type": spelled["elementType"], "metadata": {}, "name": kind.value_field.name}
        kind = pa.list_(_physical(kind.value_field, inner, mapped and pa.types.is_struct(kind.value_type)).with_name("element"))
    about = described["metadata"]
    if not mapped or "delta.columnMapping.id" not in about:
        return pa.field(child.name, kind)
    field_id = str(about["delta.columnMapping.id"])
    return pa.field(about["delta.columnMapping.physicalName"], kind, metadata={"PARQUET:field_id": field_id})


def make_table(
    root: Path,
    rows: pa.Table,
    *,
    files: int = 1,
    partition_by: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
    features: Sequence[str] | None = None,
    mapping: Literal["none", "name", "id"] = "none",
    versions: tuple[int, int] = (1, 2),
    field_metadata: Mapping[str, Action] | None = None,
    domains: Mapping[str, str] | None = None,
) -> HandTable:
    """A table whose version 0 holds `rows` in about `files` files (per partition at least one).

    features: names for a protocol of version (3, 7); None keeps the legacy `versions`.
    mapping: column mapping, with ids and physical names.
    field_metadata: more metadata for top-level fields, by name.
    domains: domain metadata. Files get row ids when `features` has rowTracking.
    """
    fields = [_field(child) for child in rows.schema]
    properties = dict(properties or {})
    if mapping != "none":
        properties |= {"delta.columnMapping.mode": mapping, "delta.columnMapping.maxColumnId": str(_number(fields))}
        versions = (2, 5) if features is None else versions
    for one in fields:
        one["metadata"] |= (field_metadata or {}).get(one["name"], {})
    table = HandTable(root, rows.schema, list(partition_by), fields, mapping != "none")
    table.protocol = {"minReaderVersion": versions[0], "minWriterVersion": versions[1]}
    if features is not None:
        readers = sorted(READER_FEATURES & set(features))
        table.protocol = {"minReaderVersion": 3 if readers else 1, "minWriterVersion": 7, "writerFeatures": list(features)}
        if readers:
            table.protocol["readerFeatures"] = readers
    table.metadata = {
        "id": str(uuid.uuid4()),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": list(partition_by),
        "configuration": properties,
        "createdTime": table.tick(),
    }
    if "rowTracking" in (features or ()) and properties.get("delta.rowTrackingSuspended") != "true":
        table.next_row_id = 0
    adds = [{"add": add} for part in _cut(rows, files) for add in write_files(table, part)] if rows.num_rows else []
    more = [{"domainMetadata": {"domain": name, "configuration": text, "removed": False}} for name, text in (domains or {}).items()]
    table.commit([{"protocol": table.protocol}, {"metaData": table.metadata}, *more, *adds], "CREATE TABLE")
    return table


def _cut(rows: pa.Table, files: int) -> list[pa.Table]:
    edges = [round(i * rows.num_rows / files) for i in range(files + 1)]
    return [rows.slice(a, b - a) for a, b in pairwise(edges) if b > a]


def append(table: HandTable, rows: pa.Table, *, files: int = 1) -> int:
    """One more commit with `rows`; returns its version."""
    return table.commit([{"add": add} for part in _cut(rows, files) for add in write_files(table, part)])


def write_files(table: HandTable, rows: pa.Table) -> list[Action]:
    """Data files with `rows`, one for each partition among them; returns their adds, which are not committed."""
    if not table.partition_by:
        return [_write_file(table, rows, {})]
    keys = rows.select(table.partition_by).group_by(table.partition_by, use_threads=False).aggregate([]).to_pylist()
    adds = []
    for key in keys:
        mask = pa.array([True] * rows.num_rows)
        for name, value in key.items():
            same = pc.is_null(rows[name]) if value is None else pc.fill_null(pc.equal(rows[name], value), False)
            mask = pc.and_(mask, same)
        adds.append(_write_file(table, rows.filter(mask), key))
    return adds


def _stored(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """The column under the names of `kind`. (A cast would look for children by name, and fill with null those it does not find.)"""
    whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return _renamed(whole.take(pa.array(range(len(whole)), pa.int64())), kind)


def _renamed(array: pa.Array, kind: pa.DataType) -> pa.Array:
    mask = array.is_null() if array.null_count else None
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays(
            [_renamed(array.field(i), kind.field(i).type) for i in range(kind.num_fields)], fields=list(kind), mask=mask
        )
    if pa.types.is_map(kind):
        keys, items = _renamed(array.keys, kind.key_type), _renamed(array.items, kind.item_type)
        return pa.MapArray.from_arrays(array.offsets, keys, items, type=kind, mask=mask)
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(array.offsets, _renamed(array.values, kind.value_type), type=kind, mask=mask)
    return array.cast(kind)


def _write_file(table: HandTable, rows: pa.Table, partition: Mapping[str, Any]) -> Action:
    described = {one["name"]: one for one in table.fields}
    data = [child for child in rows.schema if child.name not in table.partition_by and child.type != pa.null()]
    schema = pa.schema([_physical(child, described[child.name], table.mapped) for child in data])
    stored = pa.table([_stored(rows[child.name], field.type) for child, field in zip(data, schema, strict=True)], schema=schema)
    folder = "".join(f"{name}={_directory(value)}/" for name, value in partition.items())
    name = f"{folder}part-00000-{uuid.uuid4()}-c000.snappy.parquet"
    target = table.root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(stored, target, compression="snappy")
    stats = {"numRecords": rows.num_rows, **_bounds(stored)}
    names = {one["name"]: one["metadata"].get("delta.columnMapping.physicalName", one["name"]) for one in table.fields}
    return {
        "path": quote(name, safe="/=-._~!$&'()*+,;@"),
        "partitionValues": {names[key]: partition_text(value) for key, value in partition.items()},
        "size": target.stat().st_size,
        "modificationTime": table.tick(),
        "dataChange": True,
        "stats": json.dumps(stats, separators=(",", ":")),
    }


def partition_text(value: Any) -> str | None:
    """A partition value as the log spells it."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _directory(value: Any) -> str:
    return "__HIVE_DEFAULT_PARTITION__" if value in (None, "") else quote(str(value), safe=" -._~")


def _bounds(stored: pa.Table) -> Action:
    """Statistics of the integer and short string columns."""
    low, high, nulls = {}, {}, {}
    for child in stored.schema:
        column = stored[child.name]
        nulls[child.name] = column.null_count
        if pa.types.is_integer(child.type) and column.null_count < len(column):
            extremes = pc.min_max(column).as_py()
            low[child.name], high[child.name] = extremes["min"], extremes["max"]
    return {"minValues": low, "maxValues": high, "nullCount": nulls}


def remove_files(table: HandTable, adds: Sequence[Action], *, data_change: bool = True) -> int:
    """A commit that removes these files."""
    return table.commit([{"remove": remove_of(table, add, data_change=data_change)} for add in adds], "DELETE")


def remove_of(table: HandTable, add: Action, *, data_change: bool = True) -> Action:
    """The remove of a live add."""
    copied = {key: add[key] for key in ("path", "partitionValues", "size", "deletionVector") if key in add}
    return {**copied, "deletionTimestamp": table.tick(), "dataChange": data_change, "extendedFileMetadata": True}


def mask_rows(table: HandTable, add: Action, positions: Sequence[int], storage: Literal["u", "i", "p"] = "u", prefix: str = "") -> Action:
    """A commit that gives a live file a deletion vector over these physical positions; returns its new add.

    The table's protocol must have the feature deletionVectors.
    """
    new = {**add, "deletionVector": write_vector(table, positions, storage, prefix), "modificationTime": table.tick()}
    table.commit([{"remove": remove_of(table, add)}, {"add": new}], "DELETE")
    return new


def write_vector(table: HandTable, positions: Sequence[int], storage: Literal["u", "i", "p"] = "u", prefix: str = "") -> Action:
    """A deletion vector, written where `storage` says (two vectors in one file for `u` and `p`); returns its descriptor."""
    data = vector_bytes(positions)
    descriptor: Action = {"storageType": storage, "sizeInBytes": len(data), "cardinality": len(set(positions))}
    if storage == "i":
        padded = data + b"\0" * (-len(data) % 4)
        return {**descriptor, "pathOrInlineDv": encode_z85(padded)}
    name = uuid.uuid4()
    target = table.root / prefix / f"deletion_vector_{name}.bin"
    target.parent.mkdir(parents=True, exist_ok=True)
    other = vector_bytes([0, 7])
    framed = [b"\x01", *(struct.pack(">I", len(part)) + part + struct.pack(">I", zlib.crc32(part)) for part in (other, data))]
    target.write_bytes(b"".join(framed))
    where = f"{prefix}{encode_z85(name.bytes)}" if storage == "u" else str(target.resolve())
    return {**descriptor, "pathOrInlineDv": where, "offset": len(framed[0]) + len(framed[1])}


def vector_bytes(positions: Iterable[int]) -> bytes:
    """A deletion vector as stored: the magic number and a 64-bit roaring bitmap in portable form."""
    from pyroaring import BitMap64

    return struct.pack("<I", 1681511377) + BitMap64(positions).serialize()


def encode_z85(data: bytes) -> str:
    """Z85 text of bytes whose number is a multiple of four."""
    out = []
    for (value,) in struct.iter_unpack(">I", data):
        digits = []
        for _ in range(5):
            value, digit = divmod(value, 85)
            digits.append(Z85[digit])
        out.extend(reversed(digits))
    return "".join(out)


CheckpointKind = Literal["classic", "multi-part", "v2-json", "v2-parquet", "v2-classic"]


def write_checkpoint(
    table: HandTable,
    *,
    kind: CheckpointKind = "classic",
    parts: int = 2,
    sidecars: int = 0,
    stats: Literal["json", "struct", "both", "mixed", "none"] = "json",
    hint: bool = True,
) -> list[Path]:
    """A checkpoint of the current version; returns its files, those of sidecars last. Version 2 kinds need the feature v2Checkpoint."""
    small = [{"protocol": table.protocol}, {"metaData": table.metadata}, *({"domainMetadata": one} for one in table.domains.values())]
    adds = [{"add": add} for add in table.live()]
    stem, number = f"{table.version:020d}.checkpoint", table.version
    written: list[Path] = []
    if kind.startswith("v2"):
        small.insert(0, {"checkpointMetadata": {"version": number, "tags": None}})
        extra = _write_sidecars(table, adds, sidecars, stats) if sidecars else []
        small += [{"sidecar": {"path": p.name, "sizeInBytes": p.stat().st_size, "modificationTime": table.tick()}} for p in extra]
        actions = small + ([] if sidecars else adds)
        name = f"{stem}.parquet" if kind == "v2-classic" else f"{stem}.{uuid.uuid4()}.{'json' if kind == 'v2-json' else 'parquet'}"
        written.append(_write_actions(table.log / name, actions, stats))
        written += extra
    elif kind == "multi-part":
        shares = [
            small + adds[: len(adds) // parts],
            *(adds[len(adds) * i // parts : len(adds) * (i + 1) // parts] for i in range(1, parts)),
        ]
        for i, share in enumerate(shares, 1):
            written.append(_write_actions(table.log / f"{stem}.{i:010d}.{parts:010d}.parquet", share, stats))
    else:
        written.append(_write_actions(table.log / f"{stem}.parquet", small + adds, stats))
    if hint:
        size = len(small) + len(adds)
        more = {"parts": parts} if kind == "multi-part" else {}
        (table.log / "_last_checkpoint").write_text(json.dumps({"version": number, "size": size, **more}))
    return written


def _write_sidecars(table: HandTable, adds: list[Action], count: int, stats: str) -> list[Path]:
    folder = table.log / "_sidecars"
    folder.mkdir(exist_ok=True)
    cuts = [adds[len(adds) * i // count : len(adds) * (i + 1) // count] for i in range(count)]
    return [_write_actions(folder / f"{uuid.uuid4()}.parquet", cut, stats) for cut in cuts]


_STRINGS = pa.map_(pa.string(), pa.string())
_ACTIONS = {
    "protocol": pa.struct(
        {
            "minReaderVersion": pa.int32(),
            "minWriterVersion": pa.int32(),
            "readerFeatures": pa.list_(pa.string()),
            "writerFeatures": pa.list_(pa.string()),
        }
    ),
    "metaData": pa.struct(
        {
            "id": pa.string(),
            "format": pa.struct({"provider": pa.string(), "options": _STRINGS}),
            "schemaString": pa.string(),
            "partitionColumns": pa.list_(pa.string()),
            "configuration": _STRINGS,
            "createdTime": pa.int64(),
        }
    ),
    "checkpointMetadata": pa.struct({"version": pa.int64(), "tags": _STRINGS}),
    "sidecar": pa.struct({"path": pa.string(), "sizeInBytes": pa.int64(), "modificationTime": pa.int64(), "tags": _STRINGS}),
    "domainMetadata": pa.struct({"domain": pa.string(), "configuration": pa.string(), "removed": pa.bool_()}),
}
_ADD = {
    "path": pa.string(),
    "partitionValues": _STRINGS,
    "size": pa.int64(),
    "modificationTime": pa.int64(),
    "dataChange": pa.bool_(),
    "tags": _STRINGS,
    "deletionVector": pa.struct(
        {
            "storageType": pa.string(),
            "pathOrInlineDv": pa.string(),
            "offset": pa.int32(),
            "sizeInBytes": pa.int32(),
            "cardinality": pa.int64(),
        }
    ),
    "clusteringProvider": pa.string(),
    "baseRowId": pa.int64(),
    "defaultRowCommitVersion": pa.int64(),
}


def _write_actions(target: Path, actions: list[Action], stats: str) -> Path:
    """A file of actions: JSON lines, or Parquet with statistics as text, as a struct, both or none; mixed: the struct has gaps."""
    if target.suffix == ".json":
        target.write_text("".join(json.dumps(action) + "\n" for action in actions), encoding="utf-8")
        return target
    kind = dict(_ADD)
    if stats in ("json", "both", "mixed"):
        kind["stats"] = pa.string()
    if stats in ("struct", "both", "mixed"):
        kind["stats_parsed"] = pa.struct({"numRecords": pa.int64(), "tightBounds": pa.bool_()})
    schema = pa.schema([("add", pa.struct(kind)), *_ACTIONS.items()])
    rows = [action if stats == "mixed" and i % 2 else _with_parsed(action) for i, action in enumerate(actions)]
    pq.write_table(pa.Table.from_pylist([{key: _pairs(value) for key, value in row.items()} for row in rows], schema=schema), target)
    return target


def _with_parsed(action: Action) -> Action:
    add = action.get("add")
    if not add or "stats" not in add:
        return action
    return {"add": {**add, "stats_parsed": {"numRecords": json.loads(add["stats"])["numRecords"], "tightBounds": None}}}


def _pairs(body: Action) -> Action:
    """Maps as lists of pairs, as pyarrow takes them."""
    maps = {key: list(body[key].items()) for key in ("partitionValues", "tags", "configuration") if isinstance(body.get(key), dict)}
    if "format" in body:
        maps["format"] = {**body["format"], "options": list(body["format"]["options"].items())}
    return {**body, **maps}


def write_with_deltalake(root: Path, batches: Sequence[pa.Table], *, partition_by: Sequence[str] = (), **more: Any) -> None:
    """A table as deltalake's users have it: one commit for each of `batches`."""
    from deltalake import write_deltalake

    for rows in batches:
        write_deltalake(str(root), rows, mode="append", partition_by=list(partition_by) or None, **more)
