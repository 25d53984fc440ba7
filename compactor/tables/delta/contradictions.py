"""What the statistics of a file claim and its rows refute: readers skip files by them, so a false one loses rows from answers. Pure.

Protocol section "Per-file Statistics". Only what certainly excludes a row that is there counts: bounds may be wide, a maximum of
timestamps stands for its whole millisecond, NaN is passed over (writers disagree about it), and a text that cannot be understood claims
nothing. Null counts are exact unless rows were deleted or bounds are said to be wide.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from compactor.model.findings import Observed
from compactor.model.rewrite import ColumnStatistics
from compactor.tables.delta.statistics import LeafTypes

_INTEGERS = frozenset({"byte", "short", "integer", "long"})
_UNIX_DAY = datetime.date(1970, 1, 1).toordinal()
_MICROSECOND = datetime.timedelta(microseconds=1)
_MILLISECOND_US = 1000


def contradictions(claims: str | None, observed: Observed, types: LeafTypes, *, masked: bool) -> tuple[str, ...]:
    """A phrase for each false claim. masked: rows of the file are deleted, of which `observed` tells nothing but their number."""
    claimed = _parsed(claims)
    if claimed is None:
        return ()
    found: list[str] = []
    rows = claimed.get("numRecords")
    if isinstance(rows, int) and rows != observed.rows:
        found.append(f"numRecords is {rows:,}, the file has {observed.rows:,} rows")
    exact = not masked and claimed.get("tightBounds", True) is not False
    for column in observed.columns:
        found += _of_column(claimed, column, types.get(column.path, ""), exact)
    return tuple(found)


def _parsed(claims: str | None) -> dict[str, Any] | None:
    try:
        claimed = json.loads(claims, parse_float=Decimal) if claims else None
    except (ValueError, RecursionError):
        return None
    return claimed if isinstance(claimed, dict) else None


def _of_column(claimed: Mapping[str, Any], column: ColumnStatistics, kind: str, exact: bool) -> list[str]:
    name, found = ".".join(column.path), []
    nulls = _at(claimed.get("nullCount"), column.path)
    if exact and isinstance(nulls, int) and nulls != column.null_count:
        found.append(f"nullCount of {name} is {nulls:,}, there are {column.null_count:,}")
    low, high = (_value(_at(claimed.get(side), column.path), kind) for side in ("minValues", "maxValues"))
    if _too_high(low, column):
        found.append(f"minimum of {name} is {_shown(low)}, there is {_shown(column.minimum)}")
    if _too_low(high, column, kind):
        found.append(f"maximum of {name} is {_shown(high)}, there is {_shown(column.maximum)}")
    return found


def _too_high(low: Any, column: ColumnStatistics) -> bool:
    """Whether a claimed minimum lies above a value that is there. Of a long text only the beginning is known."""
    least = column.minimum
    if low is None or least is None or not _comparable(low, least) or least >= low:
        return False
    if isinstance(low, float) and least == float(np.float32(low)):
        return False
    return not (column.minimum_cut and isinstance(low, str) and low.startswith(str(least)))


def _too_low(high: Any, column: ColumnStatistics, kind: str) -> bool:
    """Whether a claimed maximum lies below a value that is there."""
    most = column.maximum
    if high is None or most is None or not _comparable(high, most):
        return False
    if kind == "double" and most == float(np.float32(high)):  # told by its digits when the column was a float
        return False
    return bool(most > (high + _MILLISECOND_US - 1 if kind.startswith("timestamp") else high))


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _value(claim: Any, kind: str) -> Any:
    """A claimed bound as observed ones are typed; None when there is none, or nobody can say what it means."""
    if claim is None or isinstance(claim, bool | dict | list):
        return None
    try:
        if kind in _INTEGERS:
            return claim if isinstance(claim, int) else None
        if kind == "float":
            return float(np.float32(float(claim)))
        if kind == "double":
            return float(claim)
        if kind.startswith("decimal"):
            return Decimal(claim) if isinstance(claim, int | Decimal) else None
        if kind == "string":
            return claim if isinstance(claim, str) else None
        if kind == "date":
            return datetime.date.fromisoformat(claim).toordinal() - _UNIX_DAY
        return _microseconds(claim, zoned=kind == "timestamp") if kind in ("timestamp", "timestamp_ntz") else None
    except (ValueError, TypeError, OverflowError, ArithmeticError):
        return None


def _microseconds(text: str, *, zoned: bool) -> int | None:
    moment = datetime.datetime.fromisoformat(text)
    if (moment.tzinfo is not None) != zoned:
        return None
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC if zoned else None)
    return (moment - epoch) // _MICROSECOND


def _comparable(claim: Any, value: Any) -> bool:
    return isinstance(claim, str) == isinstance(value, str) and claim == claim


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
