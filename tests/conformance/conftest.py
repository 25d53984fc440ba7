"""One ClickHouse for all conformance tests, and the verdicts that they reached, so that the report need not judge again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.clickhouse import ClickHouse
from support.conformance import Verdict


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with ClickHouse(tmp_path_factory.getbasetemp()) as judge:
        yield judge


@pytest.fixture(scope="session")
def verdicts() -> dict[str, Verdict]:
    """What this session found so far, by the report's name of the table."""
    return {}
