"""Merged outputs that are read natively for their proof: what is wrong with them shows, and what is wrong with that reader shows too."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import rewriting as kit
from unit.rewriting.test_proof import Damaging, bit_at

from compactor.ambient import VirtualClock
from compactor.model.engine import EngineChoice
from compactor.model.fingerprint import Fingerprint
from compactor.model.rewrite import GroupDropped, InputFile, ReadSpec, RewriteResult, TaskOutcome
from compactor.rewriting.native import KERNELS, STATUS
from compactor.rewriting.native_reader import NativeFile, NativeReader
from compactor.rewriting.rewrite import rewrite
from compactor.storage.memory import MemoryStore

pytestmark = pytest.mark.skipif(KERNELS is None, reason=f"The native package is {STATUS}.")

SCHEMA = pa.schema(
    [
        ("a", pa.int64()),
        ("word", pa.string()),
        ("x", pa.float64()),
        ("tags", pa.list_(pa.string())),
        ("p", pa.struct([("u", pa.int32()), ("v", pa.string())])),
    ]
)
JOB = replace(kit.job_of(SCHEMA, compression="none"), engine=EngineChoice(mode="fuse"))
FILES, ROWS = 30, 40


def rows(first: int) -> pa.Table:
    numbers = range(first, first + ROWS)
    return pa.table(
        {
            "a": [i * 7919 % 100_003 for i in numbers],
            "word": [["left", "right", None, "under"][i % 4] for i in numbers],
            "x": [i / 8 for i in numbers],
            "tags": [None if i % 9 == 0 else [f"t{i % 5}"] * (i % 4) for i in numbers],
            "p": [None if i % 11 == 0 else {"u": i % 3, "v": f"v{i}"} for i in numbers],
        },
        schema=SCHEMA,
    )


def inputs(store: MemoryStore) -> list[InputFile]:
    return [kit.put(store, f"in-{i:02d}", rows(i * ROWS)) for i in range(FILES)]


def merged(damage: Callable[[bytes], bytes] = bytes) -> tuple[MemoryStore, TaskOutcome]:
    store = Damaging(damage)
    return store, kit.run(store, JOB, inputs(store))


def test_a_merged_group_says_who_proved_it() -> None:
    """Natively where that is possible; by Arrow alone where that was asked for, with the same fingerprint."""
    store = MemoryStore()
    files = inputs(store)
    natively = kit.rewritten(kit.run(store, JOB, files))
    by_arrow = kit.rewritten(kit.run(MemoryStoreOf(store), replace(JOB, proof_reader="arrow"), files))
    assert (natively.engine, natively.proof, natively.proof_readers) == ("fuse", "full", "native")
    assert (by_arrow.engine, by_arrow.proof, by_arrow.proof_readers) == ("fuse", "full", "arrow")
    assert natively.fingerprint == by_arrow.fingerprint


class MemoryStoreOf(MemoryStore):
    """A store with the inputs of another."""

    def __init__(self, other: MemoryStore) -> None:
        super().__init__()
        for key in kit.keys(other):
            if key.startswith("in-"):
                self.put(key, bytes(other.get(key)))


def test_no_flipped_bit_of_a_merged_output_is_committed() -> None:
    """Wherever a bit turns in pages, levels, dictionaries or footer: the group is dropped, or its rows are read as if nothing had."""
    store, outcome = merged()
    key = kit.rewritten(outcome).outputs[0].key
    sound, proven = pq.read_table(pa.BufferReader(store.get(key))), 0
    size = len(store.get(key))
    for position in range(4, size, max(1, size // 250)):
        store, outcome = merged(bit_at(position))
        if isinstance(outcome, GroupDropped):
            assert (outcome.reason, outcome.file is None or "out/" in outcome.file) == ("proof", True), (position, outcome)
            continue
        proven += 1
        assert pq.read_table(pa.BufferReader(store.get(key))).equals(sound), position
    assert proven < 60, "most bits of a file mean something"


def exchanged(one: bytes, other: bytes) -> Callable[[bytes], bytes]:
    """The first of each change places."""

    def damage(data: bytes) -> bytes:
        at, to = data.index(one), data.index(other)
        assert len(one) == len(other)
        out = bytearray(data)
        out[at : at + len(one)], out[to : to + len(one)] = other, one
        return bytes(out)

    return damage


def test_two_exchanged_entries_of_a_dictionary_are_noticed() -> None:
    """Every index is valid and every count is right; the rows are others."""
    store, outcome = merged(exchanged(b"\x05\0\0\0right", b"\x05\0\0\0under"))
    assert isinstance(outcome, GroupDropped)
    assert (outcome.reason, kit.keys(store)) == ("proof", [f"in-{i:02d}" for i in range(FILES)])


def forgetful(column: str) -> type[NativeReader]:
    """A native reader that never reads one of the columns, neither of inputs nor of outputs: its sums agree with each other."""

    class Forgetful(NativeReader):
        def __init__(self, spec: ReadSpec, columns: Collection[str] | None = None) -> None:
            super().__init__(spec, [name for name in columns or spec.schema.names if name != column])

    return Forgetful


@pytest.mark.parametrize("column", SCHEMA.names)
def test_a_reader_that_is_wrong_in_the_same_way_everywhere_is_caught_by_the_witness(column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow reads an input too, and the run names it; nothing of the group is left."""
    monkeypatch.setattr("compactor.rewriting.reader.NativeReader", forgetful(column))
    store, outcome = merged()
    assert isinstance(outcome, GroupDropped)
    assert (outcome.reason, outcome.file is not None and outcome.file.startswith("in-")) == ("proof", True)
    assert "Two readers do not agree on all columns" in outcome.detail
    assert kit.keys(store) == [f"in-{i:02d}" for i in range(FILES)]


def test_a_reader_that_is_wrong_about_outputs_only_is_caught_by_the_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    """One column of the output is asked of both, and named."""
    right = NativeFile.sum

    def wrong(self: NativeFile, *args: object) -> Fingerprint:
        found = right(self, *args)  # type: ignore[arg-type]
        return replace(found, sum=found.sum ^ 1)

    monkeypatch.setattr(NativeFile, "sum", wrong)
    store, outcome = merged()
    assert isinstance(outcome, GroupDropped)
    assert outcome.reason == "proof" and 'agree on column "' in outcome.detail and outcome.file is not None
    assert outcome.file.startswith("out/")
    assert kit.keys(store) == [f"in-{i:02d}" for i in range(FILES)]


def test_outputs_that_were_encoded_are_read_natively_too() -> None:
    """Whatever made them: rows that Arrow decoded and encoded are proven by another reader."""
    store = MemoryStore()
    job = replace(JOB, engine=EngineChoice(mode="transcode"), write=replace(JOB.write, compression="zstd"))
    result = kit.run(store, job, inputs(store), outputs=2)
    assert isinstance(result, RewriteResult)
    assert (result.engine, result.proof, result.proof_readers) == ("transcode", "full", "native")


def test_large_outputs_are_read_by_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row group after row group, under a small budget; what is read and asked for is counted."""
    monkeypatch.setattr("compactor.rewriting.ranged.TAIL_BYTES", 2048)
    store = MemoryStore()
    task = kit.task_of(inputs(store))
    job, budget = replace(JOB, engine=EngineChoice(mode="transcode")), replace(kit.STREAMING, fetch=64 * 1024)
    result = rewrite(job, task, store, VirtualClock(), budget)
    assert (result.proof, result.proof_readers) == ("full", "native")
    assert result.proof_bytes_read > 0 and result.proof_requests > 1
