"""Tables of an AWS Glue Data Catalog: its databases, their tables, and where those lie. Reads the catalogue; opens no table.

A Delta table is known by its parameters, however it was registered: `table_type` or `spark.sql.sources.provider` says delta, or a crawler's
`classification`. Spark keeps the real location in the serde's `path`. What is not Delta is named, and so is what only looks at one
(a view, a manifest of symlinks).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compactor.errors import CompactorError, UsageError
from compactor.model.snapshot import TableRef
from compactor.model.storage import StorageOptions
from compactor.service.config import GlueSource
from compactor.service.discovery import Filter, Found, Neighbour
from compactor.service.globs import matches
from compactor.storage import normalise_uri
from compactor.storage.aws import aws_session, boto_options
from compactor.storage.s3_errors import SDK_FAILURES, s3_error

_MARKS = ("table_type", "spark.sql.sources.provider", "classification")
_MANIFEST = "_symlink_format_manifest"


def glue_tables(source: GlueSource, options: StorageOptions) -> Iterator[Found]:
    """The tables of the databases that fit the source's globs. Raises StorageError, CredentialsMissing."""
    name = "the AWS Glue Data Catalog"
    catalogue = {"CatalogId": source.catalog_id} if source.catalog_id else {}
    chosen = Filter(include=source.include, exclude=source.exclude)
    try:
        client = _client(source, options, name)
        for database in _pages(client, "get_databases", "DatabaseList", catalogue):
            if matches(database["Name"], source.databases) is None:
                continue
            for table in _pages(client, "get_tables", "TableList", {**catalogue, "DatabaseName": database["Name"]}):
                yield _found(table, f"glue://{database['Name']}/{table['Name']}", chosen)
    except SDK_FAILURES as error:
        raise s3_error(error, name) from None


def _client(source: GlueSource, options: StorageOptions, name: str) -> Any:
    arguments = boto_options(options, service="glue")
    if source.endpoint_url:
        arguments["endpoint_url"] = source.endpoint_url
    if source.region:
        arguments["region_name"] = source.region
    return aws_session(options, name).client("glue", **arguments)


def _pages(client: Any, operation: str, key: str, arguments: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key, [])


def _found(table: Mapping[str, Any], entry: str, chosen: Filter) -> Found:
    """`entry`: what a table that is passed over is called."""
    parameters = {key.lower(): str(value).lower() for key, value in (table.get("Parameters") or {}).items()}
    descriptor = table.get("StorageDescriptor") or {}
    location = str(((descriptor.get("SerdeInfo") or {}).get("Parameters") or {}).get("path") or descriptor.get("Location") or "")
    if _MANIFEST in location:
        return Neighbour(uri=entry, reason="symlink", why="it is a manifest of symlinks into a table; register the table itself")
    if "delta" not in {parameters.get(mark) for mark in _MARKS}:
        kind = next((parameters[mark] for mark in _MARKS if parameters.get(mark)), str(table.get("TableType", "table")).lower())
        reason = kind if kind in ("iceberg", "hudi", "parquet") else "not-delta"
        return Neighbour(uri=entry, reason=reason, why=f"it is of kind {kind}; only Delta tables are compacted")
    try:
        uri = normalise_uri(location)
    except (UsageError, CompactorError) as error:
        return Neighbour(uri=entry, reason="not-delta", why=f"its location cannot be used: {error}")
    why = chosen.why_not(uri)
    return TableRef(uri=uri) if why is None else Neighbour(uri=uri, reason="excluded", why=why)
