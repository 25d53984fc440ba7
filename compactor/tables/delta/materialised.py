"""Partition columns inside data files: which tables must or should have them, and the values that outputs get.

Protocol sections "Iceberg Compatibility V1" and "V2", and the feature `materializePartitionColumns`: there they must be written, behind the
data columns. The property `delta.writePartitionColumnsToParquet` only asks for it. They never have statistics. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from compactor.model.rewrite import Bound
from compactor.model.snapshot import Snapshot
from compactor.tables.base import Refusal
from compactor.tables.delta.iceberg import compat_version
from compactor.tables.delta.partition_values import typed_value
from compactor.tables.delta.state import Metadata

FEATURE = "materializePartitionColumns"
PROPERTY = "delta.writePartitionColumnsToParquet"


def materialised(snapshot: Snapshot, metadata: Metadata) -> tuple[str, ...]:
    """Physical names of the partition columns that outputs must hold, or are asked to hold and can."""
    if _demand(metadata, snapshot.features) is None and (not _asked(metadata) or _doubtful(snapshot)):
        return ()
    return tuple(column.physical_name for column in snapshot.partition_columns)


def materialised_refusals(snapshot: Snapshot, metadata: Metadata) -> list[Refusal]:
    """A partition value that must be written into files although nobody can say exactly what it is."""
    demand = _demand(metadata, snapshot.features)
    doubt = _doubtful(snapshot) if demand is not None else None
    if doubt is None:
        return []
    return [Refusal(reason=f"feature:{demand}", why=f"{demand} demands partition values inside the files, but {doubt}.")]


def constants(snapshot: Snapshot, names: tuple[str, ...], partition_id: int) -> tuple[Bound | None, ...]:
    """The values of the partition columns `names` in one partition. Raises ValueError where materialised_refusals would have refused."""
    if not names:
        return ()
    values: Mapping[str, str | None] = snapshot.partitions.slice(partition_id, 1).to_pylist()[0]
    kinds = {column.physical_name: column.type for column in snapshot.partition_columns}
    return tuple(typed_value(values[name], kinds[name]) for name in names)


def _demand(metadata: Metadata, features: frozenset[str]) -> str | None:
    """The feature that demands partition columns in files, if the table has one and is partitioned."""
    version = compat_version(metadata, features)
    if not metadata.partition_columns:
        return None
    return f"icebergCompatV{version}" if version is not None else FEATURE if FEATURE in features else None


def _asked(metadata: Metadata) -> bool:
    return metadata.configuration.get(PROPERTY, "false").strip().lower() == "true"


def _doubtful(snapshot: Snapshot) -> str | None:
    """The first partition value that has no exact meaning, in half a sentence."""
    for column in snapshot.partition_columns:
        values: pa.ChunkedArray = snapshot.partitions[column.physical_name]
        for text in pc.unique(values).to_pylist():
            try:
                typed_value(text, column.type)
            except ValueError as error:
                return f'"{text}" in the partition column "{column.name}" cannot be read as {column.type}: {error}'
    return None
