"""Rows of the generated tables, the same for the same seed: events of twelve mixed columns, line items, very wide rows, tiny ones."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

START_US = 1_767_225_600_000_000
HOUR_US = 3_600_000_000
_WORDS = ["carefully", "quickly", "furiously", "slyly", "blithely", "ideas", "deposits", "accounts", "requests", "foxes", "pending", "bold"]
_FIRST_DAY = 8036
"""1992-01-02, as days since 1970."""


def mixed_rows(seed: int, rows: int) -> pa.Table:
    """Twelve columns of the kinds that event tables have: ids, measures, few and many strings, times, a decimal, a list, a struct."""
    rng = np.random.default_rng(seed)
    at = START_US + seed * HOUR_US + np.sort(rng.integers(0, HOUR_US, rows))
    ends = np.concatenate([[0], np.cumsum(rng.integers(0, 4, rows))]).astype(np.int32)
    names = {n: np.array([f"{n}_{i:03d}" for i in range(many)]) for n, many in (("city", 200), ("tag", 50), ("zone", 1000))}
    place = [pa.array(rng.uniform(-90, 90, rows)), pa.array(rng.uniform(-180, 180, rows)), pa.array(rng.choice(names["zone"], rows))]
    return pa.table(
        {
            "id": pa.array(np.arange(rows, dtype=np.int64) + seed * rows),
            "user_id": pa.array(rng.integers(0, 100_000, rows)),
            "amount": pa.array(rng.normal(100, 30, rows), mask=rng.random(rows) < 0.02),
            "score": pa.array(np.round(rng.random(rows), 2)),
            "city": pa.array(rng.choice(names["city"], rows), mask=rng.random(rows) < 0.05),
            "note": pa.array([f"{a:016x}-{i}" for i, a in enumerate(rng.integers(0, 2**63, rows).tolist())]),
            "at": pa.array(at, pa.timestamp("us", "UTC")),
            "flag": pa.array(rng.random(rows) < 0.3),
            "day": pa.array((at // (24 * HOUR_US)).astype(np.int32), pa.date32()),
            "price": _decimals(rng.integers(0, 10**7, rows), 12),
            "tags": pa.ListArray.from_arrays(ends, pa.array(rng.choice(names["tag"], ends[-1]))),
            "place": pa.StructArray.from_arrays(place, ["lat", "lon", "zone"]),
        }
    )


def lineitem_rows(seed: int, rows: int) -> pa.Table:
    """The sixteen columns of TPC-H's lineitem, with its types and about its distributions."""
    rng = np.random.default_rng(1_000_000 + seed)
    quantity = rng.integers(1, 51, rows)
    shipped = _FIRST_DAY + rng.integers(0, 2526, rows)
    words = np.array(_WORDS)
    comments = [" ".join(three) for three in words[rng.integers(0, len(words), (rows, 3))].tolist()]
    return pa.table(
        {
            "l_orderkey": pa.array(seed * rows + np.sort(rng.integers(0, rows, rows))),
            "l_partkey": pa.array(rng.integers(1, 200_001, rows)),
            "l_suppkey": pa.array(rng.integers(1, 10_001, rows)),
            "l_linenumber": pa.array(rng.integers(1, 8, rows).astype(np.int32)),
            "l_quantity": _decimals(quantity * 100, 15),
            "l_extendedprice": _decimals(quantity * rng.integers(90_000, 200_000, rows), 15),
            "l_discount": _decimals(rng.integers(0, 11, rows), 15),
            "l_tax": _decimals(rng.integers(0, 9, rows), 15),
            "l_returnflag": pa.array(np.array(["A", "N", "R"])[rng.integers(0, 3, rows)]),
            "l_linestatus": pa.array(np.array(["F", "O"])[rng.integers(0, 2, rows)]),
            "l_shipdate": _dates(shipped),
            "l_commitdate": _dates(shipped + rng.integers(-60, 60, rows)),
            "l_receiptdate": _dates(shipped + rng.integers(1, 31, rows)),
            "l_shipinstruct": pa.array(
                np.array(["COLLECT COD", "DELIVER IN PERSON", "NONE", "TAKE BACK RETURN"])[rng.integers(0, 4, rows)]
            ),
            "l_shipmode": pa.array(np.array(["AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"])[rng.integers(0, 7, rows)]),
            "l_comment": pa.array(comments),
        }
    )


def wide_rows(seed: int, rows: int, columns: int = 2000) -> pa.Table:
    """Many columns: doubles, integers of few values, and names, in turns."""
    rng = np.random.default_rng(2_000_000 + seed)
    names = np.array([f"name-{i}" for i in range(40)])
    kinds = (lambda: rng.random(rows), lambda: rng.integers(0, 1000, rows), lambda: names[rng.integers(0, 40, rows)])
    return pa.table({f"c{i:04d}": pa.array(kinds[i % 3]()) for i in range(columns)})


def tiny_rows(seed: int, rows: int) -> pa.Table:
    """Three columns, for tables of very many files."""
    rng = np.random.default_rng(3_000_000 + seed)
    return pa.table({"id": np.arange(rows) + seed * rows, "value": rng.random(rows), "name": [f"n{i}" for i in rng.integers(0, 9, rows)]})


def _dates(days: np.ndarray) -> pa.Array:
    return pa.array(days.astype(np.int32), pa.date32())


def _decimals(cents: np.ndarray, digits: int) -> pa.Array:
    wide = pa.array(cents.astype(np.int64)).cast(pa.decimal128(19, 0))
    return pa.Array.from_buffers(pa.decimal128(digits, 2), len(wide), wide.buffers())
