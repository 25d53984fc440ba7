"""Parquet files that were valid until something in their structure was changed, and what a worker makes of them, each seed a case.

    python -m support.mutations 100 200          cases 100 to 199: one line before each, one with its outcome after it
    python -m support.mutations 100 200 stitch   the same with encoded row groups copied wherever that is possible

In a process of its own, because what is looked for is that it ends: a worker refuses the file's group, or its outputs hold exactly what
pyarrow reads of the file.
"""

from __future__ import annotations

import datetime
import functools
import io
import json
import random
import resource
import sys
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.model.engine import EngineChoice
from compactor.model.plan import FileKey
from compactor.model.rewrite import GroupDropped, InputFile, ReadSpec, RewriteJob, StatisticsColumn, WriteSpec
from compactor.model.storage import StorageOptions
from compactor.storage.memory import MemoryStore
from support.parquet_footer import (
    BINARY,
    BYTE,
    FALSE,
    INTEGERS,
    LIST,
    STRUCT,
    TRUE,
    Field,
    Items,
    Reader,
    everything,
    joined,
    member,
    packed,
    split,
)
from support.reader import Convert, converter, locate, python_values
from support.rewriting import keys, put, run, streamed

MOST_MEMORY_BYTES = 6 * 1024**3
_POINT = pa.struct([("x", pa.int32()), ("tags", pa.list_(pa.string()))])
_WRITERS: list[dict[str, Any]] = [
    {},
    {"use_dictionary": False, "compression": "none"},
    {"data_page_version": "2.0", "compression": "zstd", "row_group_size": 17},
    {
        "use_dictionary": False,
        "column_encoding": {"n": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY", "x": "BYTE_STREAM_SPLIT"},
        "compression": "gzip",
    },
    {"data_page_size": 64, "write_batch_size": 5, "use_deprecated_int96_timestamps": True},
    {"write_page_checksum": True, "write_page_index": True, "compression": "lz4"},
    {"dictionary_pagesize_limit": 16, "compression": "brotli", "store_schema": False},
]
FIELDS: list[dict[str, Any]] = [
    {"name": "n", "type": "long"},
    {"name": "s", "type": "string"},
    {"name": "x", "type": "double"},
    {"name": "d", "type": "decimal(20,3)"},
    {"name": "t", "type": "timestamp"},
    {"name": "b", "type": "boolean"},
    {
        "name": "p",
        "type": {
            "type": "struct",
            "fields": [{"name": "x", "type": "integer"}, {"name": "tags", "type": {"type": "array", "elementType": "string"}}],
        },
    },
]


@functools.cache
def rows(n: int = 60) -> pa.Table:
    """What all files hold before they are changed."""
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    return pa.table(
        {
            "n": pa.array([None if i % 9 == 0 else i * 7 for i in range(n)], pa.int64()),
            "s": [None if i % 7 == 0 else f"word {i % 5}" for i in range(n)],
            "x": [i / 8 for i in range(n)],
            "d": pa.array([i * 1000 for i in range(n)], pa.decimal128(20, 3)),
            "t": pa.array([start + datetime.timedelta(minutes=i) for i in range(n)], pa.timestamp("us", "UTC")),
            "b": [i % 3 == 0 for i in range(n)],
            "p": pa.array([None if i % 6 == 0 else {"x": i, "tags": [f"t{j}" for j in range(i % 4)]} for i in range(n)], _POINT),
        }
    )


@functools.cache
def original(writer: int) -> bytes:
    """The valid file of one of the writers."""
    buffer = io.BytesIO()
    pq.write_table(rows(), buffer, **_WRITERS[writer])
    return buffer.getvalue()


def mutated(seed: int) -> bytes:
    """A file with one to three changes."""
    chance = random.Random(seed)
    data = original(chance.randrange(len(_WRITERS)))
    for _ in range(chance.choice((1, 1, 2, 3))):
        how = chance.choices((_footer, _page_header, _bytes, _length), weights=(6, 3, 2, 1))[0]
        try:
            data = how(data, chance)
        except (ValueError, IndexError, StopIteration, AttributeError, TypeError):
            return data  # an earlier change took the structure apart
    return data


def _footer(data: bytes, chance: random.Random) -> bytes:
    body, footer = split(data)
    _change(footer, chance)
    return joined(body, footer)


def _page_header(data: bytes, chance: random.Random) -> bytes:
    """The first page of some chunk gets another header; sometimes of another length."""
    groups = member(split(data)[1], 4).value.values
    chunks = member(chance.choice(groups), 1).value.values
    described = member(chance.choice(chunks), 3).value
    offsets = [field.value for field in described if field.id in (9, 11)]  # of the first data page, of the dictionary
    at = chance.choice(offsets)
    reader = Reader(data, at)
    header = reader.struct()
    _change(header, chance)
    new = packed(header)
    end = reader.at if chance.random() < 0.7 else at + len(new)
    return data[:at] + new + data[end:]


def _bytes(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _length(data: bytes, chance: random.Random) -> bytes:
    at, more = chance.randrange(len(data)), chance.randint(1, 50)
    return data[:at] + data[at + more :] if chance.random() < 0.5 else data[:at] + bytes(more) + data[at:]


def _change(fields: list[Field], chance: random.Random) -> None:
    """One value somewhere becomes another, or is gone, or is there twice."""
    container, i, kind = chance.choice(list(everything(fields)))
    held = container[i]
    value = held.value if isinstance(held, Field) else held
    if chance.random() < 0.15:
        chance.choice((container.pop, lambda at: container.insert(at, held)))(i)
    elif isinstance(held, Field):
        held.value = _other(value, kind, chance)
    else:
        container[i] = _other(value, kind, chance)


def _other(value: Any, kind: int, chance: random.Random) -> Any:
    if kind in INTEGERS:
        near = [value + 1, value - 1, -value, value * 2, value // 2, 0, -1, 1, chance.randrange(12), chance.randrange(1 << 20)]
        return chance.choice([*near, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)]) & (0x7F if kind == BYTE else -1)
    if kind in (TRUE, FALSE):
        return not value
    if kind == BINARY:
        return chance.choice([value[: len(value) // 2], value + b"x", b"", bytes(reversed(value)), b"\xff" * len(value)])
    if kind == LIST and isinstance(value, Items) and value.values:
        return Items(value.kind, chance.choice([value.values[:-1], value.values + value.values[-1:], value.values[::-1], []]))
    if kind == STRUCT:
        return value[:-1]
    return value


def expected(data: bytes) -> Counter[Any]:
    """What pyarrow reads of the file, as the columns of the table. Raises whatever it raises."""
    file = pq.ParquetFile(io.BytesIO(data), coerce_int96_timestamp_unit="us", arrow_extensions_enabled=False)
    known = {field["name"] for field in FIELDS}
    return _counted(file.read(columns=[name for name in file.schema_arrow.names if name.lower() in known]))


def _counted(stored: pa.Table) -> Counter[Any]:
    columns = []
    for field in FIELDS:
        at = locate(list(stored.schema), field, "none")
        convert: Convert = (lambda _: None) if at is None else converter(stored.schema.field(at).type, field["type"], "none")
        columns.append([convert(v) for v in (python_values(stored.column(at)) if at is not None else [None] * stored.num_rows)])
    return Counter(zip(*columns, strict=True))


def case(seed: int) -> str:
    """What a worker makes of the file: refused, or equal; raises AssertionError for anything else."""
    data = mutated(seed)
    store = MemoryStore()
    inputs = [put(store, "a.parquet", rows())]
    store.put("b.parquet", data)
    inputs.append(type(inputs[0])(file=type(inputs[0].file)(path="b.parquet"), key="b.parquet", size_bytes=len(data)))
    job = RewriteJob(root_uri="memory://mutations", storage=StorageOptions(), read=ReadSpec(schema=_schema()), write=WriteSpec())
    outcome: Any
    if seed % 2:
        outcome = run(store, job, inputs)
    else:
        from compactor.rewriting.problems import FileProblem

        try:
            outcome = streamed(store, job, inputs)
        except FileProblem as problem:
            outcome = GroupDropped(group_id=7, reason=problem.reason, detail=str(problem), file=problem.path)
    if isinstance(outcome, GroupDropped):
        assert outcome.reason in ("corrupt-file", "unsupported-file", "out-of-memory"), outcome
        assert outcome.file == "b.parquet" and "b.parquet" in outcome.detail, outcome
        assert keys(store) == ["a.parquet", "b.parquet"], "something is left behind"
        return outcome.reason
    found: Counter[Any] = Counter()
    for output in outcome.outputs:
        found += _counted(pq.ParquetFile(pa.BufferReader(store.get(output.key))).read())
    wanted = _counted(rows()) + (Counter() if outcome.left_out else expected(data))
    assert found == wanted, f"{sum((wanted - found).values())} rows lost, {sum((found - wanted).values())} extra"
    return "left out" if outcome.left_out else "equal"


def copied_case(seed: int) -> str:
    """What copying the file's row groups makes of it: refused, equal, or as unreadable as the file itself; raises AssertionError for
    anything else."""
    data = mutated(seed)
    store = MemoryStore()
    store.put("b.parquet", data)
    inputs = [put(store, "a.parquet", rows()), InputFile(file=FileKey(path="b.parquet"), key="b.parquet", size_bytes=len(data))]
    job = RewriteJob(
        root_uri="memory://mutations",
        storage=StorageOptions(),
        read=ReadSpec(schema=_schema()),
        write=WriteSpec(statistics=tuple(StatisticsColumn(path=(name,), bounds=name != "b") for name in ("n", "s", "x", "d", "t", "b"))),
        engine=EngineChoice(mode="stitch"),
    )
    outcome = run(store, job, inputs)
    if isinstance(outcome, GroupDropped):
        assert outcome.reason in ("corrupt-file", "unsupported-file", "out-of-memory", "proof"), outcome
        assert keys(store) == ["a.parquet", "b.parquet"], "something is left behind"
        return outcome.reason
    try:
        wanted = _counted(rows()) + (Counter() if outcome.left_out else expected(data))
    except (pa.ArrowException, OSError, ValueError):
        wanted = None
    try:
        found: Counter[Any] = Counter()
        for output in outcome.outputs:
            found += _counted(pq.ParquetFile(pa.BufferReader(store.get(output.key))).read())
    except (pa.ArrowException, OSError, ValueError):
        assert wanted is None, "the file can be read, its copy cannot"
        return "unreadable before and after"
    untouched = _counted(rows()) + _counted(rows())
    assert found == (untouched if wanted is None else wanted), f"{outcome.engine}: other rows than pyarrow reads of the file"
    return f"{outcome.engine}: {'left out' if outcome.left_out else 'equal'}"


def _schema() -> pa.Schema:
    return rows().schema


def main() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    first, end = map(int, sys.argv[1:3])
    judged = copied_case if sys.argv[3:] == ["stitch"] else case
    for seed in range(first, end):
        print(json.dumps({"begin": seed}), flush=True)
        try:
            told = judged(seed)
        except Exception as error:  # noqa: BLE001 - told to whoever asked for the cases
            told = f"WRONG {type(error).__name__}: {error}"
        print(json.dumps({"seed": seed, "outcome": told[:300]}), flush=True)


if __name__ == "__main__":
    main()
