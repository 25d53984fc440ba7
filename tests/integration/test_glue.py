"""Discovery in an AWS Glue Data Catalog (moto): what is a Delta table, where it lies, and what is passed over by name."""

from __future__ import annotations

from typing import Any

import pytest
from support.moto_s3 import REGION, MotoS3

from compactor.errors import StorageError
from compactor.model.snapshot import TableRef
from compactor.model.storage import StorageOptions
from compactor.service import glue
from compactor.service.config import GlueSource
from compactor.service.config_file import parse_config
from compactor.service.discovery import Neighbour
from compactor.service.glue import glue_tables
from compactor.service.sources import read_sources

TABLES: dict[str, dict[str, Any]] = {
    "spark": {
        "Parameters": {"spark.sql.sources.provider": "delta"},
        "StorageDescriptor": {
            "Location": "s3://lake/prod.db/spark-__PLACEHOLDER__",
            "SerdeInfo": {"Parameters": {"path": "s3://lake/prod/spark", "serialization.format": "1"}},
        },
    },
    "athena": {"Parameters": {"table_type": "DELTA"}, "StorageDescriptor": {"Location": "s3a://lake/prod/athena/"}},
    "crawled": {"Parameters": {"classification": "delta"}, "StorageDescriptor": {"Location": "s3://lake/tmp/crawled"}},
    "ice": {"Parameters": {"table_type": "ICEBERG"}, "StorageDescriptor": {"Location": "s3://lake/ice"}},
    "raw": {"Parameters": {"classification": "parquet"}, "StorageDescriptor": {"Location": "s3://lake/raw"}},
    "linked": {"Parameters": {"EXTERNAL": "TRUE"}, "StorageDescriptor": {"Location": "s3://lake/prod/athena/_symlink_format_manifest"}},
    "view": {"TableType": "VIRTUAL_VIEW"},
    "nowhere": {"Parameters": {"table_type": "delta"}},
}


@pytest.fixture(scope="module")
def catalogue(moto_s3: MotoS3) -> str:
    client = moto_s3.client("glue")
    for database in ("prod_a", "dev_a"):
        client.create_database(DatabaseInput={"Name": database})
    for name, table in TABLES.items():
        client.create_table(DatabaseName="prod_a", TableInput={"Name": name, **table})
    client.create_table(DatabaseName="dev_a", TableInput={"Name": "dev", **TABLES["athena"]})
    return moto_s3.endpoint_url


def test_delta_tables_and_their_neighbours(catalogue: str) -> None:
    """Tables registered by Spark, Athena and crawlers are found at their real location; everything else is named with its reason."""
    source = GlueSource(databases=("prod_*",), region=REGION, endpoint_url=catalogue, exclude=("**/tmp/**",))
    found = list(glue_tables(source, StorageOptions()))
    assert {item.uri for item in found if isinstance(item, TableRef)} == {"s3://lake/prod/spark", "s3://lake/prod/athena"}
    passed = {item.uri: item.reason for item in found if isinstance(item, Neighbour)}
    assert passed == {
        "s3://lake/tmp/crawled": "excluded",
        "glue://prod_a/ice": "iceberg",
        "glue://prod_a/raw": "parquet",
        "glue://prod_a/linked": "symlink",
        "glue://prod_a/view": "not-delta",
        "glue://prod_a/nowhere": "not-delta",
    }


def test_every_page_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases and tables come in pages, and the token of each asks for the next (moto has no pages of tables)."""
    asked: list[tuple[str, Any]] = []

    class Paginator:
        def __init__(self, operation: str) -> None:
            self.operation = operation

        def paginate(self, **arguments: Any) -> list[dict[str, Any]]:
            asked.append((self.operation, arguments))
            if self.operation == "get_databases":
                return [{"DatabaseList": [{"Name": "a"}]}, {"DatabaseList": [{"Name": "b"}]}]
            return [{"TableList": [{"Name": f"t{page}", **TABLES["athena"]}]} for page in range(2)]

    class Client:
        def get_paginator(self, operation: str) -> Paginator:
            return Paginator(operation)

    monkeypatch.setattr(glue, "_client", lambda *_: Client())
    assert len(list(glue_tables(GlueSource(catalog_id="42"), StorageOptions()))) == 4
    assert asked[1] == ("get_tables", {"CatalogId": "42", "DatabaseName": "a"})


def test_a_catalogue_that_cannot_be_read(catalogue: str) -> None:
    """One that is out of reach is an error in one sentence; in a service it is a reading that takes nothing away."""
    source = GlueSource(region=REGION, endpoint_url="http://127.0.0.1:9")
    quick = StorageOptions(connect_timeout_s=0.2, request_timeout_s=0.2)
    with pytest.raises(StorageError):
        list(glue_tables(source, quick))
    config = parse_config(
        f'state = "state"\n[[source]]\ntables = ["s3://lake/x"]\n[[source]]\nglue = "dev_*"\nendpoint_url = "{catalogue}"\n'
        f'region = "{REGION}"\n',
        "f.toml",
    )
    listed, glued = read_sources(config)
    assert [item.uri for item in (*listed.found, *glued.found) if isinstance(item, TableRef)] == ["s3://lake/x", "s3://lake/prod/athena"]
    assert (listed.problem, glued.problem) == (None, None)
