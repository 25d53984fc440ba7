"""One ClickHouse for all conformance tests, and the verdicts that they reached, so that the report need not judge again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from support.clickhouse import ClickHouse
from support.conformance import Verdict
from support.storage_servers import StorageServer, binary_of, started


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with ClickHouse(tmp_path_factory.getbasetemp()) as judge:
        yield judge


@pytest.fixture(scope="session")
def verdicts() -> dict[str, Verdict]:
    """What this session found so far, by the report's name of the table."""
    return {}


@pytest.fixture(scope="session")
def storage_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], StorageServer]]:
    """A function from a name among NAMES to that server, begun when it is asked for first."""
    running: dict[str, StorageServer] = {}
    with ExitStack() as stack:

        def server(name: str) -> StorageServer:
            if name not in running:
                running[name] = stack.enter_context(started(name, binary_of(name), tmp_path_factory.mktemp(name) / "data"))
            return running[name]

        yield server
