"""The --where language: what it understands, what it refuses, and that values are compared by type."""

from __future__ import annotations

import pyarrow as pa
import pytest

from compactor.errors import TableCorrupt, UsageError
from compactor.model.predicate import Comparison, InList, NullTest
from compactor.model.snapshot import PartitionColumn
from compactor.planning.where import parse, select


def _selected(text: str, column_type: str, values: list[str | None], name: str = "c") -> list[str | None]:
    """The values of one partition column (physical name `col-1`) whose partitions `text` selects."""
    columns = [PartitionColumn(name=name, physical_name="col-1", type=column_type)]
    mask = select(parse(text), columns, pa.table({"col-1": pa.array(values, pa.string())}))
    return [value for value, chosen in zip(values, mask.tolist(), strict=True) if chosen]


def test_every_form_is_parsed() -> None:
    """All forms of the language, in any case and spacing, become terms in order."""
    text = "a='it''s' and `b c` <> -1.5 AND \"d\"\"e\">=DATE '2026-01-01' AND f NOT in (1,2) AND g IN ('x') AND h is not null AND i IS NULL"
    assert parse(text).terms == (
        Comparison(column="a", operator="=", literal="'it''s'"),
        Comparison(column="b c", operator="!=", literal="-1.5"),
        Comparison(column='d"e', operator=">=", literal="DATE '2026-01-01'"),
        InList(column="f", literals=("1", "2"), negated=True),
        InList(column="g", literals=("'x'",)),
        NullTest(column="h", negated=True),
        NullTest(column="i"),
    )


@pytest.mark.parametrize(
    "text",
    ["", "  ", "a", "a =", "= 1", "a = 1 OR b = 2", "NOT a = 1", "a = 1 AND", "a LIKE 'x%'", "a BETWEEN 1 AND 2", "(a = 1)", "a = b",
     "a == 1", "a = 'open", "a = NULL", "a IN ()", "a IN (1", "a IN (NULL)", "a IS 1", "lower(a) = 'x'", "a = 1; drop", "a = 1 b = 2",
     "a = 1x", "a NOT = 1", "a = 1.2.3", "a = #", "1 = a", "a IS NOT"],
)  # fmt: skip
def test_anything_else_is_refused_in_one_sentence(text: str) -> None:
    """What is not understood is an error that says what is."""
    with pytest.raises(UsageError, match=r"is not understood near .*understood are comparisons .* joined by AND\.$"):
        parse(text)


@pytest.mark.parametrize(
    ("column_type", "values", "text", "expected"),
    [
        ("integer", ["9", "10", "-1", None], "c > 9", ["10"]),
        ("integer", ["9", "007"], "c = '7'", ["007"]),
        ("byte", ["1", "2"], "c NOT IN (1)", ["2"]),
        ("short", ["1", "2"], "c != 1", ["2"]),
        ("long", ["9223372036854775807", "1"], "c >= 9223372036854775807", ["9223372036854775807"]),
        ("double", ["1.0", "1e2", "NaN", "-0.0", "Infinity"], "c >= 100", ["1e2", "NaN", "Infinity"]),
        ("double", ["-0.0", "0.0"], "c = 0", ["-0.0", "0.0"]),
        ("double", ["NaN", "1"], "c = 'NaN'", ["NaN"]),
        ("float", ["0.1", "0.2"], "c = 0.1", ["0.1"]),
        ("decimal(10,2)", ["-1.50", "-1.5", "10.00", "9"], "c <= -1.5", ["-1.50", "-1.5"]),
        ("decimal(2,2)", ["0.00", "0.10"], "c = 0", ["0.00"]),
        ("date", ["2026-01-02", "2025-12-31"], "c < DATE '2026-01-01'", ["2025-12-31"]),
        ("date", ["2026-01-02", "2025-12-31"], "c >= '2026-01-01'", ["2026-01-02"]),
        ("timestamp", ["2021-09-08 11:11:11", "2021-09-08T11:11:11.000000Z", "2021-09-08 13:11:11+02:00", "2021-09-08 11:11:12"],
         "c = TIMESTAMP '2021-09-08 11:11:11'", ["2021-09-08 11:11:11", "2021-09-08T11:11:11.000000Z", "2021-09-08 13:11:11+02:00"]),
        ("timestamp", ["2021-09-08 00:00:00.5", "2021-09-08 00:00:00"], "c > DATE '2021-09-08'", ["2021-09-08 00:00:00.5"]),
        ("timestamp_ntz", ["2021-09-08 11:11:11.123456", "2021-09-08 11:11:11"], "c > '2021-09-08 11:11:11.123'",
         ["2021-09-08 11:11:11.123456"]),
        ("boolean", ["true", "false", "TRUE"], "c = TRUE", ["true", "TRUE"]),
        ("boolean", ["true", "false"], "c = 'false'", ["false"]),
        ("string", ["b", "a", "10", "9", "é"], "c >= 'a'", ["b", "a", "é"]),
        ("string", ["10", "9"], "c < '9'", ["10"]),
        ("binary", ["\u0001\u0002", "z"], "c = 'z'", ["z"]),
    ],
)  # fmt: skip
def test_values_are_compared_by_type(column_type: str, values: list[str | None], text: str, expected: list[str]) -> None:
    """Partition values are strings in the log and are compared as what they stand for."""
    assert _selected(text, column_type, values) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("c = 1", ["1"]), ("c != 1", ["2"]), ("c < 9", ["1", "2"]), ("c IN (1)", ["1"]), ("c NOT IN (1)", ["2"]),
     ("c IS NULL", [None, ""]), ("c IS NOT NULL", ["1", "2"]), ("c = 1 AND c = 2", [])],
)  # fmt: skip
def test_null_matches_nothing_but_is_null(text: str, expected: list[str | None]) -> None:
    """Null, which a log spells as null or as the empty string, matches IS NULL and no comparison at all."""
    assert _selected(text, "integer", ["1", "2", None, ""]) == expected


@pytest.mark.parametrize(
    ("column_type", "literal"),
    [("byte", "300"), ("integer", "1.5"), ("integer", "'x'"), ("integer", "TRUE"), ("integer", "1e3"), ("long", "9223372036854775808"),
     ("decimal(5,2)", "1.234"), ("decimal(5,2)", "1234"), ("decimal(5,2)", "'NaN'"), ("float", "1e300"), ("double", "'abc'"),
     ("date", "'2026-13-01'"), ("date", "20260101"), ("date", "TIMESTAMP '2026-01-01 00:00:00'"), ("timestamp", "'yesterday'"),
     ("timestamp_ntz", "'2026-01-01 00:00:00Z'"), ("boolean", "1"), ("boolean", "'yes'"), ("string", "5"), ("string", "TRUE"),
     ("string", "DATE '2026-01-01'"), ("double", "DATE '2026-01-01'"), ("interval", "'x'")],
)  # fmt: skip
def test_literals_that_do_not_fit_are_refused(column_type: str, literal: str) -> None:
    """A literal that is no value of the column's type is an error that names the column, never a filter that selects nothing."""
    with pytest.raises(UsageError, match='"c"'):
        _selected(f"c = {literal}", column_type, ["1"])


def test_columns_are_found_by_name() -> None:
    """A name means the column of that very name, or the only one that differs in case; values are found by the physical name."""
    assert _selected("region = 'x'", "string", ["x", "y"], name="Region") == ["x"]
    two = [PartitionColumn(name="a", physical_name="p1", type="string"), PartitionColumn(name="A", physical_name="p2", type="string")]
    assert select(parse("A = 'x'"), two, pa.table({"p1": ["x", "y"], "p2": ["y", "x"]})).tolist() == [False, True]


def test_other_columns_are_refused_with_the_partition_columns() -> None:
    """An unknown or ordinary column is an error that names the columns that can be used, or says that there are none."""
    with pytest.raises(UsageError, match=r'"value" is not a partition column of the table; its partition columns are c\.'):
        _selected("value = 1", "integer", ["1"])
    with pytest.raises(UsageError, match="the table is not partitioned"):
        select(parse("a = 1"), [], pa.table([pa.nulls(1)], names=["_"]).select([]))


def test_a_damaged_partition_value_is_the_tables_fault() -> None:
    """A partition value that is none of its type is reported as damage, with the value."""
    with pytest.raises(TableCorrupt, match='"c" of type date holds "soon"'):
        _selected("c > '2026-01-01'", "date", ["soon"])
