"""What a worker does with rows that changed on their way: nothing of the group stands, whatever happened between decoding and the store."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from support.rewriting import inline_deletes, job_of, keys, put, read_back, rewritten, run, streamed

from compactor.model.fingerprint import Fingerprint
from compactor.model.rewrite import GroupDropped, InputFile, ReadSpec, RewriteJob, RewriteResult, RowIds
from compactor.rewriting.chained import Chainer
from compactor.rewriting.fingerprint import fingerprint
from compactor.rewriting.fragment import DecodedRows, Fragment
from compactor.rewriting.sink import Sink
from compactor.storage.memory import MemoryStore, MemoryWriter

SCHEMA = pa.schema([("a", pa.int64()), ("s", pa.string()), ("x", pa.float64()), ("d", pa.decimal128(12, 2)), ("t", pa.list_(pa.string()))])
JOB = job_of(SCHEMA, compression="snappy")


def rows(first: int, count: int = 100) -> pa.Table:
    numbers = range(first, first + count)
    return pa.table(
        {
            "a": list(numbers),
            "s": [f"v{i}" for i in numbers],
            "x": [i / 2 for i in numbers],
            "d": [Decimal(i) / 4 for i in numbers],
            "t": [[f"e{i}", None] for i in numbers],
        },
        schema=SCHEMA,
    )


def inputs(store: MemoryStore, files: int = 3) -> list[InputFile]:
    return [put(store, f"in-{i}", rows(100 * i)) for i in range(files)]


def flipped(column: str, bit: int = 3) -> Callable[[pa.Table], pa.Table]:
    """Turns one bit of the first value of a column."""

    def fault(table: pa.Table) -> pa.Table:
        array = table[column].combine_chunks()
        buffers = [None if one is None else bytearray(one.to_pybytes()) for one in array.buffers()]
        last = buffers[-1]
        assert last is not None
        width = {"s": 1, "t": 1}.get(column, array.type.bit_width // 8 if column in "axd" else 1)
        last[array.offset * width if width > 1 else 0] ^= 1 << bit
        rebuilt = [None if one is None else pa.py_buffer(bytes(one)) for one in buffers]
        index = table.schema.get_field_index(column)
        if column == "t":
            values = pa.Array.from_buffers(pa.string(), len(array.values), rebuilt[2:])
            new = pa.ListArray.from_arrays(array.offsets, values)
        else:
            new = pa.Array.from_buffers(array.type, len(array), rebuilt, offset=array.offset)
        return table.set_column(index, table.schema.field(index), new)

    return fault


def exchanged(table: pa.Table) -> pa.Table:
    """Two values of one column change places."""
    order = [1, 0, *range(2, table.num_rows)]
    return table.set_column(0, table.schema.field(0), table.column(0).take(order))


FAULTS: dict[str, Callable[[pa.Table], pa.Table]] = {
    **{f"a flipped bit in {name}": flipped(name) for name in SCHEMA.names},
    "a flipped sign": flipped("x", 7),
    "two values exchanged": exchanged,
    "a lost batch": lambda table: table.slice(0, 0),
    "a doubled batch": lambda table: pa.concat_tables([table, table]),
    "one row lost and one doubled": lambda table: pa.concat_tables([table.slice(0, 1), table.slice(0, 1), table.slice(2)]),
}


def faulty_sink(fault: Callable[[pa.Table], pa.Table], nth: int) -> type[Sink]:
    """A sink into which the nth fragment comes changed."""

    class Faulty(Sink):
        written = 0

        def write(self, fragment: Fragment) -> None:
            Faulty.written += 1
            super().write(replace(fragment, rows=fault(fragment.rows)) if Faulty.written == nth else fragment)

    return Faulty


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("fault", FAULTS)
def test_rows_that_change_after_decoding_are_never_handed_over(fault: str, nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault between decoder and encoder drops the group, names it, and leaves none of its outputs."""
    monkeypatch.setattr("compactor.rewriting.rewrite.Sink", faulty_sink(FAULTS[fault], nth))
    if nth > 1:  # else there is one fragment, of all files together
        monkeypatch.setattr(Chainer, "takes", lambda *_: False)
    store = MemoryStore()
    outcome = run(store, JOB, inputs(store))
    assert isinstance(outcome, GroupDropped)
    assert (outcome.group_id, outcome.reason) == (7, "proof")
    assert "roup 7" in outcome.detail
    assert keys(store) == ["in-0", "in-1", "in-2"]


def test_counts_alone_do_not_see_a_changed_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the level `counts` the outputs are not read again, and nothing is claimed of their rows' values."""
    monkeypatch.setattr("compactor.rewriting.rewrite.Sink", faulty_sink(flipped("a"), 1))
    store = MemoryStore()
    result = rewritten(run(store, replace(JOB, proof="counts"), inputs(store)))
    assert (result.proof, result.fingerprint, result.proof_requests) == ("counts", None, 0)
    assert result.outputs[0].fingerprint is None


class Damaging(MemoryStore):
    """A store that keeps other bytes of data files than it was given, without a word."""

    def __init__(self, damage: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._damage = damage

    def open_writer(self, key: str) -> MemoryWriter:
        return DamagedWriter(self, key, self._damage)


class DamagedWriter(MemoryWriter):
    def __init__(self, store: MemoryStore, key: str, damage: Callable[[bytes], bytes]) -> None:
        super().__init__(store, key)
        self._damage = damage

    def close(self) -> int:
        size, self._buffer = len(self._buffer), bytearray(self._damage(bytes(self._buffer)))
        super().close()
        return size


def bit_at(position: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:position] + bytes([data[position] ^ 16]) + data[position + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: b"",
        *(bit_at(position) for position in (60, 700, 2000, -7)),
    ],
    ids=["half of it", "all but a byte", "nothing", "bit 60", "bit 700", "bit 2000", "length of the footer"],
)
def test_an_upload_that_is_not_what_was_sent_is_not_proven(damage: Callable[[bytes], bytes]) -> None:
    """Outputs are judged by what the store gives back: truncated or damaged ones drop the group."""
    store = Damaging(damage)
    outcome = run(store, job_of(SCHEMA, compression="none"), inputs(store))
    assert isinstance(outcome, GroupDropped)
    assert (outcome.group_id, outcome.reason) == (7, "proof"), outcome
    assert keys(store) == ["in-0", "in-1", "in-2"]


def test_an_output_that_vanishes_is_not_proven() -> None:
    """An upload that was acknowledged and is not there is no proof of anything; that is the store's or a vacuum's doing, and named."""

    class Forgetful(MemoryStore):
        def open_writer(self, key: str) -> MemoryWriter:
            return MemoryWriter(MemoryStore(), key)

    store = Forgetful()
    outcome = run(store, JOB, inputs(store))
    assert isinstance(outcome, GroupDropped)
    assert outcome.reason == "output-vanished"
    assert outcome.file is not None and outcome.file in outcome.detail


def test_a_proven_group_tells_its_fingerprint() -> None:
    """Deleted rows do not count; outputs have fingerprints of their own that add up; streams and whole files agree."""
    store = MemoryStore()
    files = [*inputs(store, 2), put(store, "in-2", rows(200), inline_deletes([0, 50]))]
    result = rewritten(run(store, JOB, files, outputs=3))
    assert (result.proof, result.input_rows) == ("full", 298)
    assert result.fingerprint == fingerprint(read_back(store, result))
    assert sum((output.fingerprint for output in result.outputs if output.fingerprint), Fingerprint()) == result.fingerprint
    assert [output.fingerprint.rows for output in result.outputs if output.fingerprint] == [output.rows for output in result.outputs]
    assert (result.proof_requests, result.proof_bytes_read) == (3, sum(output.size_bytes for output in result.outputs))
    assert streamed(store, JOB, files).fingerprint == result.fingerprint


def test_a_group_without_rows_is_proven() -> None:
    """All rows deleted: nothing is written, and nothing is what it should be."""
    store = MemoryStore()
    result = rewritten(run(store, JOB, [put(store, "in", rows(0, 3), inline_deletes([0, 1, 2]))]))
    assert (result.outputs, result.proof, result.fingerprint) == ((), "full", Fingerprint())


def tracked_job() -> RewriteJob:
    read = ReadSpec(schema=SCHEMA, constants=pa.schema([("p", pa.string())]), row_ids=RowIds(id_column="_id", version_column="_version"))
    return replace(JOB, read=read)


def test_row_ids_and_constants_are_part_of_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of rows are proven like values: rows of equal values that exchange their ids are other rows."""
    store = MemoryStore()
    files = [replace(file, base_row_id=1000 * i, row_version=i, constants=("one",)) for i, file in enumerate(inputs(store))]
    sound = rewritten(run(store, tracked_job(), files))
    assert isinstance(sound, RewriteResult)
    assert read_back(store, sound)["_id"].to_pylist()[100] == 1000
    for column in ("_id", "p"):

        def fault(table: pa.Table, column: str = column) -> pa.Table:
            index = table.schema.get_field_index(column)
            other = pa.array(["two"] * table.num_rows) if column == "p" else table.column(index).take(list(range(table.num_rows))[::-1])
            return table.set_column(index, table.schema.field(index), other)

        monkeypatch.setattr("compactor.rewriting.rewrite.Sink", faulty_sink(fault, 2))
        outcome = run(store, tracked_job(), files)
        assert isinstance(outcome, GroupDropped)
        assert outcome.reason == "proof"


def test_bits_may_turn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that changes under a decoded batch, while it waits for its row group, is noticed."""
    seen: list[np.ndarray] = []

    class Decaying(Sink):
        def write(self, fragment: Fragment) -> None:
            data = np.array(fragment.rows["a"].combine_chunks().to_numpy())
            seen.append(data)
            held = pa.Array.from_buffers(pa.int64(), len(data), [None, pa.py_buffer(data)])
            super().write(DecodedRows(rows=fragment.rows.set_column(0, SCHEMA.field(0), held)))

        def finish(self):  # type: ignore[no-untyped-def]
            seen[-1][17] ^= 1 << 40
            return super().finish()

    monkeypatch.setattr("compactor.rewriting.rewrite.Sink", Decaying)
    store = MemoryStore()
    outcome = run(store, JOB, inputs(store))
    assert isinstance(outcome, GroupDropped)
    assert outcome.reason == "proof"


def test_a_batch_is_fingerprinted_before_the_sink_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bit that turns in the decoded batch itself, as soon as the sink is given it, is noticed."""

    class Decaying(Sink):
        def write(self, fragment: Fragment) -> None:
            values = fragment.rows["a"].chunk(0).buffers()[1]
            ctypes.c_char.from_address(values.address).value = b"\x7f"
            super().write(fragment)

    monkeypatch.setattr("compactor.rewriting.rewrite.Sink", Decaying)
    store = MemoryStore()
    outcome = run(store, JOB, [put(store, "in", rows(0, 30_000))])
    assert isinstance(outcome, GroupDropped)
    assert outcome.reason == "proof"
