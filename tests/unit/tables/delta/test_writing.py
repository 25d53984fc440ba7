"""Table properties to WriteSpec."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compactor.errors import TableRefused
from compactor.tables.delta.protocol import parse_metadata
from compactor.tables.delta.state import Metadata
from compactor.tables.delta.writing import parse_column_list, property_refusals, write_spec

NONE: frozenset[str] = frozenset()


def field(name: str, kind: Any, number: int) -> dict[str, Any]:
    ids = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": f"c{number}"}
    return {"name": name, "type": kind, "nullable": True, "metadata": ids}


FIELDS = [
    field("a", "long", 1),
    field("p", "string", 2),
    field("s", {"type": "struct", "fields": [field("x", "string", 4), field("Y.z", "boolean", 5)]}, 3),
    field("l", {"type": "array", "elementType": "long", "containsNull": True}, 6),
    field("b", "binary", 7),
    field("d", "date", 8),
]


def metadata(**properties: str) -> Metadata:
    schema = json.dumps({"type": "struct", "fields": FIELDS})
    return parse_metadata({"id": "i", "schemaString": schema, "partitionColumns": ["p"], "configuration": properties}, "t")


def columns(**properties: str) -> list[tuple[str, bool]]:
    spec = write_spec(metadata(**properties), NONE)
    return [("/".join(column.path), column.bounds) for column in spec.statistics]


ALL = [("a", True), ("s/x", True), ("s/Y.z", False), ("l", False), ("b", False), ("d", True)]


def test_defaults() -> None:
    """Without properties: zstd, page version 1, the first 32 leaves, bounds where the protocol has them, strings cut at 32."""
    spec = write_spec(metadata(), NONE)
    assert (spec.compression, spec.page_version, spec.string_prefix) == ("zstd", "1.0", 32)
    assert columns() == ALL


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"delta.dataSkippingNumIndexedCols": "3"}, ALL[:3]),
        ({"delta.dataSkippingNumIndexedCols": "0"}, []),
        ({"delta.dataSkippingNumIndexedCols": "-1"}, ALL),
        ({"delta.dataSkippingNumIndexedCols": "many"}, ALL),
        ({"delta.dataSkippingStatsColumns": "D, s", "delta.dataSkippingNumIndexedCols": "0"}, [ALL[1], ALL[2], ALL[5]]),
        ({"delta.dataSkippingStatsColumns": "s.`y.Z`,p,nothing"}, [ALL[2]]),
        ({"delta.dataSkippingStatsColumns": "s.x"}, [ALL[1]]),
    ],
)
def test_statistics_columns(properties: dict[str, str], expected: list[tuple[str, bool]]) -> None:
    """Leaves are counted in the order of the schema without partition columns; a list of names wins, a struct means all of its leaves."""
    assert columns(**properties) == expected


def test_statistics_are_keyed_by_physical_names() -> None:
    """Under column mapping the list has logical names, the statistics physical ones."""
    properties = {"delta.columnMapping.mode": "name", "delta.dataSkippingStatsColumns": "s.x,a"}
    spec = write_spec(metadata(**properties), frozenset({"columnMapping"}))
    assert [column.path for column in spec.statistics] == [("c1",), ("c3", "c4")]


@pytest.mark.parametrize(
    ("codec", "version", "expected"),
    [("SNAPPY", "2.0.0", ("snappy", "2.0")), ("uncompressed", "1.0.0", ("none", "1.0")), ("lz4_raw", "2.12.0", ("lz4", "2.0"))],
)
def test_codec_and_page_version(codec: str, version: str, expected: tuple[str, str]) -> None:
    """Known values are taken over."""
    spec = write_spec(metadata(**{"delta.parquet.compression.codec": codec, "delta.parquet.format.version": version}), NONE)
    assert (spec.compression, spec.page_version) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [("delta.parquet.compression.codec", "lzo"), ("delta.parquet.format.version", "3.0.0"), ("delta.parquet.format.version", "new")],
)
def test_unknown_values_are_refused_by_name(key: str, value: str) -> None:
    """An unknown codec or format version refuses the table and names key and value."""
    described = metadata(**{key: value})
    assert [r.reason for r in property_refusals(described)] == [f"property:{key}"]
    with pytest.raises(TableRefused, match=value):
        write_spec(described, NONE)


def test_column_lists() -> None:
    """Back-ticks protect dots, commas and back-ticks; spaces around names do not count."""
    assert parse_column_list(" a ,b.c, `d.e`.f,`x``y`, `a,b`") == [("a",), ("b", "c"), ("d.e", "f"), ("x`y",), ("a,b",)]
    assert parse_column_list("") == []
