"""Very small tables on their way through the sink: put together before they are encoded, in their order, with every value. And what Arrow
reads as dictionaries is checked before that is done."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from support.rewriting import inline_deletes, job_of, put, read_back, rewritten, run

from compactor.model.rewrite import GroupDropped
from compactor.rewriting.encoder import Encoder
from compactor.storage.memory import MemoryStore

NESTED = pa.struct([("x", pa.float64()), ("zone", pa.string())])
SCHEMA = pa.schema([("a", pa.int64()), ("city", pa.string()), ("tags", pa.list_(pa.string())), ("place", NESTED)])


def rows(first: int, count: int) -> pa.Table:
    """Each file has cities of its own, so that dictionaries differ; some values are null."""
    numbers = range(first, first + count)
    columns = {
        "a": numbers,
        "city": [None if i % 7 == 0 else f"city-{(i // 20 + i % 2) % 13}" for i in numbers],
        "tags": [None if i % 5 == 0 else [f"t{i % 3}"] * (i % 4) for i in numbers],
        "place": [None if i % 11 == 0 else {"x": i / 2, "zone": f"z{i % 9}"} for i in numbers],
    }
    return pa.table(columns, schema=SCHEMA)


def test_many_tiny_files_are_few_tables_for_the_encoder_and_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file between tiny ones, deleted rows and dictionaries that differ change neither order nor values."""
    handed: list[int] = []
    write = Encoder.write

    def noting(self: Encoder, gathered: Sequence[pa.Table]) -> int:
        handed.append(len(gathered))
        return write(self, gathered)

    monkeypatch.setattr(Encoder, "write", noting)
    store = MemoryStore()
    counts = [20] * 150 + [6000] + [20] * 150
    inputs, expected, first = [], [], 0
    for i, count in enumerate(counts):
        gone = [3, 4, 17] if i % 10 == 0 else []
        inputs.append(put(store, f"f{i}", rows(first, count), inline_deletes(gone) if gone else None))
        expected += [first + at for at in range(count) if at not in gone]
        first += count
    result = rewritten(run(store, job_of(SCHEMA), inputs, 2))
    found = read_back(store, result)
    assert found.to_pylist() == rows(0, first).take(expected).to_pylist()
    assert sum(handed) < len(counts) // 2


def test_an_index_beyond_its_dictionary_is_a_damaged_file() -> None:
    """Arrow hands out dictionaries as it finds them; nothing is made of an index that leads nowhere."""
    schema = pa.schema([("city", pa.string())])
    store = MemoryStore()
    table = pa.table({"city": [f"c{i % 3}" for i in range(3000)]}, schema=schema)
    sound = put(store, "sound", table, compression="none")
    damaged = put(store, "damaged", table, compression="none")
    data = bytes(store.get("damaged"))
    indices = b"\x24\x49\x92"  # 0, 1, 2 again and again, two bits each
    assert data.count(indices) > 100
    store.put("damaged", data.replace(indices, b"\xff\xff\xff", 1))
    outcome = run(store, job_of(schema), [sound, damaged])
    assert isinstance(outcome, GroupDropped)
    assert outcome.reason == "corrupt-file"
