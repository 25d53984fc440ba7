"""Files that were merged from inputs of one kind, for readers that share no code with us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
