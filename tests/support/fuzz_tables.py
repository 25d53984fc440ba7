"""Random Delta tables, each from a seed: nested schemas that evolve, files of several writers, deletion vectors, odd partitions.

Built on HandTable's log; shares no code with the compactor.
"""

from __future__ import annotations

import copy
import json
import uuid
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa

from support.delta_tables import Action, HandTable, mask_rows
from support.fuzz_values import arrow_field, random_field, random_value, widened
from support.own_tables.registry import add_file, resized

FEATURES = ["appendOnly", "invariants", "columnMapping", "deletionVectors", "timestampNtz", "typeWidening"]
PARTITIONS: dict[str, list[str | None]] = {
    "string": ["a", "a b", "x:y", "100%", "é", "__HIVE_DEFAULT_PARTITION__", "", None],
    "integer": ["-1", "0", "7", None],
    "decimal(6,2)": ["-1.50", "-0.25", "1234.00", None],
    "date": ["1969-12-31", "2024-02-29", None],
    "boolean": ["true", "false", None],
    "timestamp": ["2021-09-08 11:11:11", "1969-12-31 23:59:59.999999", None],
    "double": ["NaN", "-0.0", "1.0E10", None],
}


class FuzzTable:
    """One table under a seed. `grow` commits random files, `evolve` changes the schema, `delete` gives files deletion vectors."""

    def __init__(self, seed: int, root: Path) -> None:
        self.chance = Random(seed)
        self.mapping = self.chance.choice(("none", "none", "name", "id"))
        self._last_id = 0
        self.fields = [self._numbered(random_field(self.chance, f"c{i}", 3)) for i in range(self.chance.randint(1, 6))]
        kinds = self.chance.sample(list(PARTITIONS), self.chance.choice((0, 0, 1, 2)))
        self.parts = [self._numbered({"name": f"p{i}", "type": kind, "nullable": True, "metadata": {}}) for i, kind in enumerate(kinds)]
        self.table = HandTable(root, pa.schema([]), [part["name"] for part in self.parts], [], self.mapping != "none")
        self.table.protocol = {
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": ["columnMapping", "deletionVectors", "timestampNtz", "typeWidening"],
            "writerFeatures": FEATURES,
        }
        self.table.commit([{"protocol": self.table.protocol}, {"metaData": self._metadata()}], "CREATE TABLE")

    def _numbered(self, field: Action) -> Action:
        """With ids and physical names at every level, where columns are mapped."""
        if self.mapping != "none":
            self._last_id += 1
            about = {"delta.columnMapping.id": self._last_id, "delta.columnMapping.physicalName": f"col-{self._last_id}"}
            field["metadata"] = {**about, **field["metadata"]}
            self._number_below(field["type"])
        return field

    def _number_below(self, kind: Any) -> None:
        if isinstance(kind, dict):
            for inner in kind.get("fields", ()):
                self._numbered(inner)
            for name in ("elementType", "valueType"):
                self._number_below(kind.get(name))

    def _metadata(self) -> Action:
        properties = {"delta.enableDeletionVectors": "true", "delta.enableTypeWidening": "true"}
        if self.mapping != "none":
            properties |= {"delta.columnMapping.mode": self.mapping, "delta.columnMapping.maxColumnId": str(self._last_id)}
        if (indexed := self.chance.choice((None, None, "0", "3", "-1"))) is not None:
            properties["delta.dataSkippingNumIndexedCols"] = indexed
        order = [*self.fields[:1], *self.parts, *self.fields[1:]]
        self.table.metadata = {
            "id": self.table.metadata.get("id") or str(uuid.UUID(int=self.chance.getrandbits(128))),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": order}),
            "partitionColumns": [part["name"] for part in self.parts],
            "configuration": properties,
            "createdTime": self.table.tick(),
        }
        return self.table.metadata

    def evolve(self) -> None:
        """One or two changes of the schema: columns added, dropped, renamed, widened; members of structs too."""
        for _ in range(self.chance.randint(1, 2)):
            self.chance.choice((self._add, self._drop, self._rename, self._widen, self._add_member))()
        self.table.commit([{"metaData": self._metadata()}], "CHANGE COLUMN")

    def _add(self) -> None:
        name = f"n{self.chance.getrandbits(30)}"
        self.fields.insert(self.chance.randint(0, len(self.fields)), self._numbered(random_field(self.chance, name, 2)))

    def _drop(self) -> None:
        if self.mapping != "none" and len(self.fields) > 1:
            self.fields.pop(self.chance.randrange(len(self.fields)))

    def _rename(self) -> None:
        if self.mapping != "none":
            self.chance.choice(self.fields)["name"] = self.chance.choice(
                [f"r{self.chance.getrandbits(30)}", f"odd, (name) {self.chance.random()}"]
            )

    def _widen(self) -> None:
        field = self.chance.choice(self._leaves(self.fields) or self.fields)
        wider = widened(self.chance, field["type"]) if isinstance(field["type"], str) else None
        if wider is not None:
            changes = field["metadata"].setdefault("delta.typeChanges", [])
            changes.append({"fromType": field["type"], "toType": wider})
            field["type"] = wider

    def _leaves(self, fields: list[Action]) -> list[Action]:
        """Fields of plain types, members of structs among them."""
        found = []
        for field in fields:
            if isinstance(field["type"], str):
                found.append(field)
            elif field["type"]["type"] == "struct":
                found += self._leaves(field["type"]["fields"])
        return found

    def _add_member(self) -> None:
        structs = [field for field in self.fields if isinstance(field["type"], dict) and field["type"]["type"] == "struct"]
        if structs:
            members = self.chance.choice(structs)["type"]["fields"]
            member = self._numbered(random_field(self.chance, f"m{self.chance.getrandbits(30)}", 1))
            members.insert(self.chance.randint(0, len(members)), member)

    def grow(self) -> None:
        """A commit of one to four files with rows of the current schema."""
        self.table.commit([{"add": self._file()} for _ in range(self.chance.randint(1, 4))])

    def _file(self) -> Action:
        n = self.chance.choice((0, 1, 2, self.chance.randint(3, 60)))
        nulls = self.chance.choice((0.0, 0.2, 0.9, 1.0))
        left_out = self.chance.random() < 0.1 and len(self.fields) > 1
        fields = copy.deepcopy(self.fields[1:] if left_out else self.fields)
        if self.chance.random() < 0.2:
            self.chance.shuffle(fields)
        stored = [arrow_field(field, self.mapping) for field in fields]
        if self.mapping == "none" and self.chance.random() < 0.1:
            stored = [field.with_name(field.name.upper()) for field in stored]
        columns = [
            pa.array([random_value(self.chance, field["type"], nulls, self.mapping) for _ in range(n)], one.type)
            for field, one in zip(fields, stored, strict=True)
        ]
        partition = {arrow_field(part, self.mapping).name: self.chance.choice(PARTITIONS[part["type"]]) for part in self.parts}
        folder = self.chance.choice(["", "ab/", "p=a b/", "p=100%25/"]) if self.parts else ""
        return self._written(pa.table(columns, schema=pa.schema(stored)), partition, folder)

    def _written(self, rows: pa.Table, partition: dict[str, str | None], folder: str) -> Action:
        """The file by a random writer with random settings."""
        name, stats = f"{uuid.UUID(int=self.chance.getrandbits(128))}.parquet", self.chance.random() < 0.8
        add = add_file(self.table, rows, partition=partition, folder=folder, stats=stats, name=name, **self._options(rows))
        flat = self.mapping == "none" and rows.num_rows and all(str(field.type) in _FLAT_ARROW for field in rows.schema)
        if flat and self.chance.random() < 0.5:
            target = self.table.root / folder / name
            self.chance.choice((_by_polars, _by_duckdb))(rows, target)
            return resized(add, target)
        return add

    def _options(self, rows: pa.Table) -> dict[str, Any]:
        choose = self.chance.choice
        zoneless = any("timestamp[us]" in str(field.type) for field in rows.schema)
        return {
            "compression": choose(("snappy", "zstd", "gzip", "none", "lz4", "brotli")),
            "row_group_size": choose((1, 3, 17, 1000)),
            "data_page_version": choose(("1.0", "2.0")),
            "data_page_size": choose((100, 1000, 1 << 20)),  # below about 50 pyarrow writes pages that it cannot read again
            "use_dictionary": choose((True, False)),
            "dictionary_pagesize_limit": choose((1, 1 << 20)),
            "write_statistics": choose((True, False)),
            "write_page_index": choose((True, False)),
            "write_page_checksum": choose((True, False)),
            "store_schema": choose((True, False)),
            "store_decimal_as_integer": choose((True, False)),
            "use_deprecated_int96_timestamps": not zoneless and choose((True, False)),
        }

    def delete(self) -> None:
        """Deletion vectors for some of the files that have none; some delete every row."""
        for add in list(self.table.live()):
            if "deletionVector" in add or self.chance.random() < 0.6 or "stats" not in add:
                continue
            n = json.loads(add["stats"])["numRecords"]
            gone = self.chance.choice((range(n), self.chance.sample(range(n), self.chance.randint(0, n))))
            mask_rows(self.table, add, sorted(gone), self.chance.choice(("u", "i", "p")), self.chance.choice(("", "ab")))


_FLAT_ARROW = {"int8", "int16", "int32", "int64", "float", "double", "bool", "string", "date32[day]"}


def _by_polars(rows: pa.Table, target: Path) -> None:
    import polars

    polars.DataFrame(rows).write_parquet(target, row_group_size=7)


def _by_duckdb(rows: pa.Table, target: Path) -> None:
    import duckdb

    text = str(target).replace("'", "''")
    with duckdb.connect(config={"threads": 1}) as session:
        session.register("given", rows)
        session.execute(f"copy given to '{text}' (format parquet, row_group_size 2048)")
