"""Files that were merged from inputs of one kind, for readers that share no code with us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from unit.rewriting.test_stitch import table

from compactor.ambient import VirtualClock
from compactor.model.engine import EngineChoice
from compactor.model.plan import FileKey
from compactor.model.rewrite import InputFile
from compactor.rewriting.rewrite import rewrite
from compactor.storage.memory import MemoryStore
from support import rewriting as kit
from support.parquet_writers import Kind

OUTPUT_CODECS = ("snappy", "zstd", "none")
ROWS, PAGE_BYTES = 250, 300


def merged(kind: Kind, codec: str, folder: Path) -> tuple[Path, pa.Table, Sequence[str]]:
    """A file merged from two of this kind and one of Arrow's between them; its rows; and why inputs were decoded instead, if any were."""
    rows = kind.held(table(0, 3 * ROWS)).combine_chunks()
    store, inputs = MemoryStore(), []
    for i in range(3):
        part = rows.slice(i * ROWS, ROWS)
        if i == 1:
            data = kit.parquet(part, compression="snappy")
        else:
            source = folder / "input.parquet"
            kind.write(part, source, PAGE_BYTES)
            data = source.read_bytes()
            source.unlink()
        store.put(f"in-{i}", data)
        inputs.append(InputFile(file=FileKey(path=f"in-{i}"), key=f"in-{i}", size_bytes=len(data)))
    made = replace(kit.job_of(rows.schema, compression=codec), engine=EngineChoice(mode="fuse"))
    result = rewrite(made, kit.task_of(inputs), store, VirtualClock())
    path = folder / f"{kind.name}.parquet"
    path.write_bytes(store.get(result.outputs[0].key))
    return path, rows, [because.why for because in result.decoded if because.code != "few"]


def coming_again(folder: Path) -> tuple[Path, pa.Table]:
    """A file merged from three of Arrow's whose numbers are unique but for some that come again, near or far behind, so that compressed
    pages were kept with copies for those; and its rows."""
    count, again = 18_000, {5: 1, 9000: 20, 17_000: 30, 17_500: 17_000}
    orders = [row // 2 if row % 7 else row // 2 + 1 for row in range(count)]
    store, parts, inputs = MemoryStore(), [], []
    for i in range(3):
        keys = [1_000_000 + (row + i * count) * 7919 % 200_003 for row in range(count)]
        for at, first in again.items():
            keys[at] = keys[first]
        cents = pa.array([Decimal(key * 37 % 9_999_991) / 100 for key in keys], pa.decimal128(12, 2))
        ids = range(i * count, (i + 1) * count)
        parts.append(pa.table({"id": ids, "key": keys, "order": orders, "cents": cents}))
        inputs.append(kit.put(store, f"in-{i}.parquet", parts[-1], compression="snappy"))
    made = replace(kit.job_of(parts[0].schema, compression="snappy"), engine=EngineChoice(mode="fuse"))
    result = rewrite(made, kit.task_of(inputs), store, VirtualClock())
    assert (result.engine, result.decoded) == ("fuse", ())
    path = folder / "coming-again.parquet"
    path.write_bytes(store.get(result.outputs[0].key))
    return path, pa.concat_tables(parts)
