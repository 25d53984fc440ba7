"""Statistics as JSON, case by case (the properties are in tests/properties)."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from compactor.model.rewrite import Bound, ColumnStatistics, OutputFile
from compactor.tables.delta.state import Metadata
from compactor.tables.delta.statistics import leaf_types, stats_json, string_prefix


def text_of(kind: str, low: Bound | None, high: Bound | None, prefix: int = 32) -> str:
    column = ColumnStatistics(path=("c",), null_count=1, minimum=low, maximum=high)
    return stats_json(OutputFile(key="k", size_bytes=1, rows=2, statistics=(column,)), {("c",): kind}, tight_bounds=None, prefix=prefix)


@pytest.mark.parametrize(
    ("kind", "low", "high", "expected"),
    [
        ("decimal(30,10)", Decimal("12345678901234567890.1234567899"), Decimal("1E+5"), '"c":12345678901234567890.1234567899|"c":100000'),
        ("decimal(30,10)", Decimal("-0.00"), Decimal("1.000E-7"), '"c":0.00|"c":0.0000001000'),
        ("timestamp", 1_704_067_200_123_999, 1_704_067_200_124_000, '"c":"2024-01-01T00:00:00.123Z"|"c":"2024-01-01T00:00:00.124Z"'),
        ("timestamp", -1, -1_000, '"c":"1969-12-31T23:59:59.999Z"|"c":"1969-12-31T23:59:59.999Z"'),
        ("timestamp_ntz", 0, 1, '"c":"1970-01-01T00:00:00.000"|"c":"1970-01-01T00:00:00.000"'),
        ("timestamp", -(10**18), 10**18, "|"),
        ("date", -1, 19_723, '"c":"1969-12-31"|"c":"2024-01-01"'),
        ("date", -(10**7), 10**7, "|"),
        ("double", -0.0, float("inf"), '"c":-0.0|'),
        ("float", 0.0, -0.0, '"c":-0.0|"c":0.0'),
        ("float", 0.10000000149011612, 1e300, '"c":0.10000000149011612|"c":1e+300'),
        ("double", float("nan"), 1.0, "|"),
        ("long", None, None, "|"),
        ("string", "é" * 40, "é" * 40, '"c":"' + "é" * 32 + '"|"c":"' + "é" * 32 + '\U0010ffff"'),
        ("string", "a" * 31 + "😀b", "a" * 31 + "😀b", '"c":"' + "a" * 31 + '"|"c":"' + "a" * 31 + '\U0010ffff"'),
        ("string", "a" * 33, "a" * 33, '"c":"' + "a" * 32 + '"|"c":"' + "a" * 32 + '\\u007f"'),
        ("string", "", "a" * 32 + "\x7f", '"c":""|"c":"' + "a" * 32 + '\U0010ffff"'),
        ("string", "", "a" * 32 + "\U0010ffff" * 20, '"c":""|'),
        ("string", "", "a" * 32 + "\U0010ffffa", '"c":""|"c":"' + "a" * 32 + '\U0010ffff\\u007f"'),
    ],
)
def test_bounds_as_written(kind: str, low: Bound | None, high: Bound | None, expected: str) -> None:
    """Each kind of bound, byte for byte."""
    mins, maxs = expected.split("|")
    text = text_of(kind, low, high).replace("\x7f", "\\u007f")
    assert text == f'{{"numRecords":2,"minValues":{{{mins}}},"maxValues":{{{maxs}}},"nullCount":{{"c":1}}}}'


def test_the_prefix_of_strings_is_the_tables() -> None:
    """`delta.dataSkippingStringPrefixLength` cuts bounds where it says; nonsense leaves the default."""
    assert json.loads(text_of("string", "abcdef", "abcdef", prefix=3)) == {
        "numRecords": 2, "minValues": {"c": "abc"}, "maxValues": {"c": "abc\x7f"}, "nullCount": {"c": 1},
    }  # fmt: skip
    assert [string_prefix({"delta.dataSkippingStringPrefixLength": text}) for text in ("7", "0", "x")] == [7, 32, 32]
    assert string_prefix({}) == 32


def test_leaves_go_by_physical_names() -> None:
    """Under column mapping statistics are nested by physical names; arrays and maps are no leaves with a type."""
    inner = {"name": "x", "type": "long", "nullable": True, "metadata": {"delta.columnMapping.physicalName": "col-2"}}
    struct = {"name": "s", "type": {"type": "struct", "fields": [inner]}, "metadata": {"delta.columnMapping.physicalName": "col-1"}}
    array = {"name": "l", "type": {"type": "array", "elementType": "long", "containsNull": True}, "metadata": {}}
    schema = {"type": "struct", "fields": [struct, array]}

    def types(mode: str, *features: str) -> dict[tuple[str, ...], str]:
        configuration = {"delta.columnMapping.mode": mode}
        metadata = Metadata(id="i", name=None, schema=schema, partition_columns=(), configuration=configuration, raw={})
        return leaf_types(metadata, frozenset(features))

    assert types("name", "columnMapping") == {("col-1", "col-2"): "long"}
    assert types("none", "columnMapping") == types("name") == {("s", "x"): "long"}
