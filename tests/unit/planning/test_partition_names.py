"""How people name partitions: columns and values as `column=value`, joined by slashes, which may be part of both."""

from __future__ import annotations

import pytest

from compactor.errors import UsageError
from compactor.model.predicate import Comparison, NullTest
from compactor.planning.explain import of_partition


@pytest.mark.parametrize(
    ("text", "columns", "terms"),
    [
        ("day=1/region=eu", ("day", "region"), [("day", "1"), ("region", "eu")]),
        ("region=eu", ("day", "region"), [("region", "eu")]),
        ("path=a/b=c/day=null", ("path", "day"), [("path", "a/b=c"), ("day", None)]),
        ("p art/é=é/ü", ("p art/é",), [("p art/é", "é/ü")]),
        ("day=", ("day",), [("day", "")]),
        ("day=it's", ("day",), [("day", "it's")]),
        ("other=1/day=2", ("day",), [("other", "1"), ("day", "2")]),
    ],
)
def test_names_and_values_may_have_slashes(text: str, columns: tuple[str, ...], terms: list[tuple[str, str | None]]) -> None:
    """A partition is cut only where the name of a partition column follows; a name that is none is left for the table to refuse."""
    found = of_partition(text, columns).terms
    expected = [
        NullTest(column=name) if value is None else Comparison(column=name, operator="=", literal="'" + value.replace("'", "''") + "'")
        for name, value in terms
    ]
    assert list(found) == expected


@pytest.mark.parametrize("text", ["", "day", "=1", "day=1/x"])
def test_what_is_no_partition_is_said(text: str) -> None:
    """A text that names no column is refused, with an example."""
    with pytest.raises(UsageError, match="is not a partition such as"):
        of_partition(text, ("region",))
