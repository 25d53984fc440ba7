"""Add actions as Arrow columns: from parsed JSON, or from the batches of a Parquet checkpoint. One row a file, in the order given.

Protocol sections "Add File", "Per-file Statistics", "Deletion Vectors" (unique id). Pure. Never a Python object a file for a Parquet batch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from compactor.errors import TableCorrupt
from compactor.model.snapshot import FILES_SCHEMA
from compactor.tables.delta.clustering import CUBE_TAG
from compactor.tables.delta.state import Action

GENERATION_TAG = "compactor.generation"
FINISHED_TAG = "compactor.finishedFor"
DEBT_TAG = "compactor.encodeDebt"
_OUR_TAGS = (GENERATION_TAG, FINISHED_TAG, DEBT_TAG)

_FAST_ROWS = r'^\{"numRecords": ?(?P<n>\d{1,18})[,}]'
_GENERATION = re.compile(r"\d{1,4}")
_BYTES = re.compile(r"\d{1,18}")

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some live files, not yet in canonical form: `files` has FILES_SCHEMA, its ids index this piece's own `partitions` and `sources`."""

    files: pa.Table
    partitions: pa.Table
    sources: tuple[str, ...]


def no_files(partition_names: Sequence[str]) -> Piece:
    """A piece without files."""
    return Piece(
        files=FILES_SCHEMA.empty_table(),
        partitions=partition_table([pa.array([], pa.string())] * len(partition_names), partition_names),
        sources=(),
    )


def partition_table(columns: Sequence[pa.Array], names: Sequence[str]) -> pa.Table:
    """Partition maps as a table; a table without partition columns has the one empty map."""
    if not names:
        return pa.table({"": pa.array([None], pa.string())}).select([])
    return pa.table(list(columns), schema=pa.schema([pa.field(name, pa.string()) for name in names]))


def factorise(columns: Sequence[pa.ChunkedArray], rows: int, names: Sequence[str]) -> tuple[npt.NDArray[np.int32], pa.Table]:
    """Ids of distinct partition maps for `rows` rows, and the maps, sorted by their values with nulls last."""
    if not names:
        return np.zeros(rows, np.int32), partition_table([], [])
    codes = np.zeros(rows, np.int64)
    for column in columns:
        encoded = pc.dictionary_encode(_one(column), null_encoding="encode")
        codes = codes * max(1, len(encoded.dictionary)) + encoded.indices.to_numpy(zero_copy_only=False)
        codes = np.unique(codes, return_inverse=True)[1]
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    distinct = partition_table([_one(column).take(pa.array(first)) for column in columns], names)
    order = pc.sort_indices(distinct, sort_keys=[(name, "ascending") for name in names]).to_numpy()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[inverse], distinct.take(pa.array(order))


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def map_values(maps: pa.MapArray, key: str) -> pa.Array:
    """The value under `key` in each map, null where the map is null or lacks it; the last one wins."""
    offsets = maps.offsets.to_numpy()
    inner = slice(int(offsets[0]), int(offsets[-1])) if len(offsets) else slice(0, 0)
    keys, items = maps.keys[inner], maps.items[inner]
    hits = np.flatnonzero(pc.fill_null(pc.equal(keys, key), False).to_numpy(zero_copy_only=False))
    owner = np.repeat(np.arange(len(maps)), np.diff(offsets))[hits]
    position = np.full(len(maps), -1, np.int64)
    position[owner] = hits
    return items.take(pa.array(position, mask=position < 0)).cast(pa.string())


def rows_of_stats(stats: pa.Array) -> pa.Array:
    """`numRecords` of statistics as JSON text: null where there are none, or where they are no statistics at all."""
    fast = pc.cast(pc.struct_field(pc.extract_regex(stats, _FAST_ROWS), "n"), pa.int64())
    slow = np.flatnonzero(pc.and_(pc.is_null(fast), pc.is_valid(stats)).to_numpy(zero_copy_only=False))
    if not len(slow):
        return fast
    answers = [_exact_rows(text) for text in stats.take(pa.array(slow)).to_pylist()]
    mask = np.zeros(len(stats), bool)
    mask[slow] = True
    return pc.replace_with_mask(fast, pa.array(mask), pa.array(answers, pa.int64()))


def _exact_rows(text: str) -> int | None:
    try:
        parsed = orjson.loads(text)
    except ValueError:
        return None
    rows = parsed.get("numRecords") if isinstance(parsed, dict) else None
    return rows if isinstance(rows, int) and not isinstance(rows, bool) and 0 <= rows < 2**63 else None


def number_tags(values: pa.Array, pattern: re.Pattern[str], kind: pa.DataType) -> pa.Array:
    """Tags that are plain digits, as numbers; null for anything else."""
    good = pc.match_substring_regex(values, f"^(?:{pattern.pattern})$")
    return pc.cast(pc.if_else(pc.fill_null(good, False), values, pa.scalar(None, pa.string())), kind)


def tag_columns(generations: pa.Array, finished: pa.Array, debts: pa.Array) -> dict[str, pa.Array]:
    """Columns from the text of our tags."""
    generation = pc.min_element_wise(number_tags(generations, _GENERATION, pa.int16()), pa.scalar(32767, pa.int16()), skip_nulls=False)
    return {
        "generation": pc.fill_null(generation, pa.scalar(0, pa.int16())),
        "finished_for_bytes": number_tags(finished, _BYTES, pa.int64()),
        "encode_debt_bytes": number_tags(debts, _BYTES, pa.int64()),
    }


def deletes_id(vector: Action | None) -> str | None:
    """Identity of a deletion vector, or None without one."""
    if not vector:
        return None
    offset = vector.get("offset")
    return f"{vector['storageType']}{vector['pathOrInlineDv']}" + (f"@{offset}" if offset is not None else "")


class FoundAdd(NamedTuple):
    """An add action of a JSON file: where it stood and when that file landed."""

    action: Action
    source: str
    line: int
    landed_ms: int


def piece_of_adds(found: Sequence[FoundAdd], partition_names: Sequence[str]) -> Piece:
    """Columns of add actions parsed from JSON. Raises TableCorrupt, naming the log file, for one that lacks a required field."""
    try:
        return _piece_of_adds(found, partition_names)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, pa.ArrowException):
        for one in found:
            try:
                _piece_of_adds([one], partition_names)
            except (KeyError, TypeError, AttributeError, ValueError, OverflowError, pa.ArrowException) as error:
                raise TableCorrupt(f"The add action in line {one.line + 1} of {one.source} is incomplete or malformed.") from error
        raise


def _piece_of_adds(found: Sequence[FoundAdd], partition_names: Sequence[str]) -> Piece:
    adds = [one.action for one in found]
    sources = tuple(dict.fromkeys(one.source for one in found))
    index = {source: i for i, source in enumerate(sources)}
    tags = [add.get("tags") or {} for add in adds]
    vectors = [add.get("deletionVector") for add in adds]
    maps = [add.get("partitionValues") or {} for add in adds] if partition_names else []
    values = [pa.array([entry.get(name) for entry in maps], pa.string()) for name in partition_names]
    ids, partitions = factorise(values, len(adds), partition_names)
    columns = {
        "path": pa.array([add["path"] for add in adds], pa.string()),
        "size_bytes": pa.array([add["size"] for add in adds], pa.int64()),
        "rows": rows_of_stats(pa.array([add.get("stats") for add in adds], pa.string())),
        "deleted_rows": pa.array([vector["cardinality"] if vector else 0 for vector in vectors], pa.int64()),
        "deletes_id": pa.array([deletes_id(vector) for vector in vectors], pa.string()),
        "partition_id": pa.array(ids),
        "modified_ms": pa.array([add.get("modificationTime") or 0 for add in adds], pa.int64()),
        "landed_ms": pa.array([one.landed_ms for one in found], pa.int64()),
        **tag_columns(*(pa.array([tag.get(name) for tag in tags], pa.string()) for name in _OUR_TAGS)),
        "clustered": pa.array(
            [bool(add.get("clusteringProvider")) or CUBE_TAG in tag for add, tag in zip(adds, tags, strict=True)], pa.bool_()
        ),
        "source": pa.array([index[one.source] for one in found], pa.int32()),
        "source_row": pa.array([one.line for one in found], pa.int64()),
    }
    return Piece(files=checked(columns), partitions=partitions, sources=sources)


def checked(columns: dict[str, pa.Array]) -> pa.Table:
    """The columns as a table of FILES_SCHEMA. Raises ValueError when a required one has a null."""
    for column in FILES_SCHEMA:
        if not column.nullable and columns[column.name].null_count:
            raise ValueError(column.name)
    return pa.table([columns[name] for name in FILES_SCHEMA.names], schema=FILES_SCHEMA)


def piece_of_batch(adds: pa.StructArray, rows: Rows, source: str, landed_ms: int, partition_names: Sequence[str]) -> Piece:
    """Columns of the `add` structs of a Parquet checkpoint (none of them null), which stood in `rows` of `source`.

    Raises ValueError when a required field is missing.
    """
    child = {field.name: pc.struct_field(adds, field.name) for field in adds.type}
    count = len(adds)
    nothing = pa.nulls(count, pa.string())
    maps = child.get("partitionValues")
    values = [map_values(maps, name) if maps is not None else nothing for name in partition_names]
    ids, partitions = factorise(values, count, partition_names)
    tags = child.get("tags")
    ours = tags is not None and tags.null_count < count
    provider = child.get("clusteringProvider")
    cubes = map_values(tags, CUBE_TAG) if ours else nothing
    identity, deleted = _vector_columns(child.get("deletionVector"), count)
    columns = {
        "path": child["path"].cast(pa.string()),
        "size_bytes": child["size"].cast(pa.int64()),
        "rows": _rows_of_batch(child, count),
        "deleted_rows": deleted,
        "deletes_id": identity,
        "partition_id": pa.array(ids),
        "modified_ms": pc.fill_null(child["modificationTime"].cast(pa.int64()), 0),
        "landed_ms": pa.array(np.full(count, landed_ms, np.int64)),
        **tag_columns(*(map_values(tags, name) if ours else nothing for name in _OUR_TAGS)),
        "clustered": cubes.is_valid() if provider is None else pc.or_(cubes.is_valid(), provider.is_valid()),
        "source": pa.array(np.zeros(count, np.int32)),
        "source_row": pa.array(rows),
    }
    return Piece(files=checked(columns), partitions=partitions, sources=(source,))


def _rows_of_batch(child: dict[str, pa.Array], count: int) -> pa.Array:
    if "stats_parsed" in child:
        parsed = pc.struct_field(child["stats_parsed"], "numRecords").cast(pa.int64())
        return pc.coalesce(parsed, rows_of_stats(child["stats"].cast(pa.string()))) if "stats" in child else parsed
    return rows_of_stats(child["stats"].cast(pa.string())) if "stats" in child else pa.nulls(count, pa.int64())


def _vector_columns(vectors: pa.StructArray | None, count: int) -> tuple[pa.Array, pa.Array]:
    """Columns deletes_id and deleted_rows."""
    if vectors is None or vectors.null_count == count:
        return pa.nulls(count, pa.string()), pa.array(np.zeros(count, np.int64))
    part = {name: pc.struct_field(vectors, name) for name in ("storageType", "pathOrInlineDv", "offset", "cardinality")}
    suffix = pc.fill_null(pc.binary_join_element_wise("", part["offset"].cast(pa.string()), "@"), "")
    identity = pc.binary_join_element_wise(part["storageType"], part["pathOrInlineDv"], suffix, "")
    return identity, pc.fill_null(part["cardinality"].cast(pa.int64()), 0)
