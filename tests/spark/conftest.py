"""One Spark session for the whole suite; without it, every test here is skipped with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.modules import module_at
from support.spark import Spark, SparkTable

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    """The session. `make test-spark` has fetched what it needs and says so in the environment."""
    if os.environ.get("TEST_SPARK") != "1":
        pytest.skip("the Spark suite runs by `make test-spark`")
    prepare = module_at("spark_prepare", HERE / "prepare.py")
    if (why := prepare.prepare()) is not None:
        pytest.skip(why)
    with Spark(prepare.PYTHON, HERE / "server.py", prepare.jars_folder(), tmp_path_factory.mktemp("spark")) as session:
        yield session


@pytest.fixture
def make(spark: Spark, tmp_path: Path) -> Callable[[str, str], SparkTable]:
    """A function from the columns and the rest of a CREATE TABLE to a table."""

    def build(columns: str, more: str = "") -> SparkTable:
        table = SparkTable(spark, tmp_path / "table")
        table.sql(f"create table {{t}} {'(' + columns + ')' if columns else ''} using delta {more}")
        return table

    return build
