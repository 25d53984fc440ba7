"""No predicate that is pruned by our statistics loses a row: random data is compacted, then every file that a reader would skip is scanned.

Two prunings are tried: one written here after the protocol's rules for readers ("Per-file Statistics"), and that of deltalake's SQL engine.
"""

from __future__ import annotations

import datetime
import json
import math
import operator
import shutil
import tempfile
from collections.abc import Callable, Iterator
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from support.delta_tables import make_table
from support.same_rows import FORCED

import compactor
from compactor.model.run import RunStatus

EXACT = Context(prec=60)
EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - civil arithmetic
MS = datetime.timedelta(milliseconds=1)
MOMENTS = st.datetimes(datetime.datetime(1600, 1, 1), datetime.datetime(9999, 12, 30))  # noqa: DTZ001 - civil times
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00'"), max_size=6),
    st.builds(lambda stem, end: stem * 31 + end, st.sampled_from("a\x7e\uffff\U0010ffff"), st.text("a\x7fz\U0010ffff", max_size=40)),
)
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "n": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "f": (pa.float64(), st.floats(allow_nan=True, allow_infinity=True)),
    "d": (pa.decimal128(38, 10), st.integers(-(10**37), 10**37).map(lambda digits: Decimal(digits).scaleb(-10, EXACT))),
    "s": (pa.string(), TEXTS),
    "day": (pa.date32(), MOMENTS.map(datetime.datetime.date)),
    "t": (pa.timestamp("us"), MOMENTS),
}
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
Row = dict[str, Any]


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows of three partitions, with nulls, and with neighbours of each other's values."""
    rows = []
    for i in range(draw(st.integers(3, 9))):
        rows.append({"p": i % 3, **{name: draw(st.none() | values) for name, (_, values) in COLUMNS.items()}})
    for row in rows:
        if isinstance(row["t"], datetime.datetime) and draw(st.booleans()):
            row["t"] += datetime.timedelta(microseconds=draw(st.integers(-2, 2)))
    return rows


def key(value: Any) -> Any:
    """A value as readers compare it: texts by their bytes, NaN above all numbers."""
    if isinstance(value, float):
        return (1, 0.0) if math.isnan(value) else (0, value)
    return value.encode() if isinstance(value, str) else value


def bounds(stats: dict[str, Any], name: str) -> tuple[Any, Any]:
    """Minimum and maximum that a reader may rely on, a timestamp's maximum widened to the end of its millisecond."""
    low, high = stats["minValues"].get("c", {}).get(name), stats["maxValues"].get("c", {}).get(name)
    read: Callable[[Any], Any] = {
        "n": int, "f": float, "d": Decimal, "s": str, "day": datetime.date.fromisoformat, "t": datetime.datetime.fromisoformat,
    }[name]  # fmt: skip
    low, high = None if low is None else read(low), None if high is None else read(high)
    return low, high + MS if name == "t" and high is not None else high


def may_match(stats: dict[str, Any], name: str, sign: str, value: Any) -> bool:
    """Whether a reader must open the file for `name sign value`."""
    nulls, rows = stats["nullCount"]["c"][name], stats["numRecords"]
    if sign == "is null":
        return bool(nulls > 0)
    if nulls == rows:
        return False
    low, high = bounds(stats, name)
    if low is not None and sign in ("=", "<", "<=") and not COMPARE["<=" if sign != "<" else "<"](key(low), key(value)):
        return False
    return not (high is not None and sign in ("=", ">", ">=") and not COMPARE[">=" if sign != ">" else ">"](key(high), key(value)))


def holds(row: Row, name: str, sign: str, value: Any) -> bool:
    """Whether a row satisfies the predicate."""
    if sign == "is null":
        return row[name] is None
    return row[name] is not None and COMPARE[sign](key(row[name]), key(value))


def predicates(rows: list[Row]) -> Iterator[tuple[str, str, Any]]:
    """Comparisons of every column with values that occur in it."""
    for name in COLUMNS:
        yield name, "is null", None
        for value in {repr(row[name]): row[name] for row in rows if row[name] is not None}.values():
            for sign in COMPARE:
                yield name, sign, value


def literal(name: str, value: Any) -> str:
    """A value as SQL."""
    match name:
        case "n":
            return f"cast('{value}' as bigint)"
        case "d":
            return f"cast('{value:f}' as decimal(38, 10))"
        case "f":
            return f"cast('{value!r}' as double)"
        case "day":
            return f"date '{value}'"
        case "t":
            return f"arrow_cast('{value.isoformat()}', 'Timestamp(Microsecond, None)')"
    return f"'{value}'"


@settings(max_examples=15, deadline=None)
@given(tables())
def test_no_predicate_loses_a_row(rows: list[Row]) -> None:
    """For random data, of every column and comparison with its own values, a pruned file holds no row that a full scan finds."""
    folder = Path(tempfile.mkdtemp())
    try:
        _check(folder / "t", rows)
    finally:
        shutil.rmtree(folder)


def _check(root: Path, rows: list[Row]) -> None:
    fields = [pa.field(name, kind) for name, (kind, _) in COLUMNS.items()]
    data = pa.table({
        "p": pa.array([row["p"] for row in rows], pa.int64()),
        "c": pa.array([{name: row[name] for name in COLUMNS} for row in rows], pa.struct(fields)),
    })  # fmt: skip
    table = make_table(root, data, files=2, partition_by=["p"], features=["timestampNtz"])
    assert compactor.run(table.uri, settings=FORCED).status is RunStatus.COMMITTED
    table.resume()
    files = [(json.loads(add["stats"], parse_float=Decimal), pq.read_table(root / add["path"])["c"].to_pylist()) for add in table.live()]
    assert len(files) == 3
    asked = list(predicates(rows))
    for name, sign, value in asked:
        for stats, stored in files:
            if not may_match(stats, name, sign, value):
                lost = [row for row in stored if holds(row, name, sign, value)]
                assert not lost, f"{name} {sign} {value!r} prunes {lost[0][name]!r}, bounds {bounds(stats, name)}"
    _by_deltalake(root, rows, [one for one in asked if one[0] != "f"][:: max(1, len(asked) // 25)])


def _by_deltalake(root: Path, rows: list[Row], asked: list[tuple[str, str, Any]]) -> None:
    from deltalake import DeltaTable, QueryBuilder

    builder = QueryBuilder().register("t", DeltaTable(str(root)))
    for name, sign, value in asked:
        where = f"c['{name}'] is null" if sign == "is null" else f"c['{name}'] {sign} {literal(name, value)}"
        found: Any = builder.execute(f"select count(*) as n from t where {where}").read_all()
        expected = sum(holds(row, name, sign, value) for row in rows)
        assert pa.table(found)["n"].to_pylist() == [expected], where
