"""Parquet files whose structure was changed at random: a worker refuses them or reads what pyarrow reads, and its process never ends.

FUZZ_CASES in the environment says how many, two for each random table (`make fuzz`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.mutations import original, rows
from support.rewriting import job_of, put, run

from compactor.model.plan import FileKey
from compactor.model.rewrite import GroupDropped, InputFile
from compactor.storage.memory import MemoryStore

CASES = 2 * int(os.environ.get("FUZZ_CASES", "200"))
TESTS = Path(__file__).resolve().parents[1]
ONCE_FATAL = [49, 363]
"""Cases that once ended the process or went beyond a dictionary; in the range of every run."""


@pytest.mark.timeout(60 + CASES)
def test_changed_structure_is_copied_for_what_it_is_or_refused() -> None:
    """Where row groups are copied, a changed file is refused, gives exactly pyarrow's rows, or is as unreadable as it was before."""
    command = [sys.executable, "-m", "support.mutations", "0", str(CASES), "stitch"]
    ended = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=60 + CASES, check=False)
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, f"case {told[-1]} ended the process: {ended.stderr[-500:]}"
    outcomes = {line["seed"]: line["outcome"] for line in told if "seed" in line}
    assert {seed: told for seed, told in outcomes.items() if told.startswith("WRONG")} == {}
    kinds = Counter(outcomes.values())
    assert min(kinds[kind] for kind in ("stitch: equal", "unreadable before and after", "corrupt-file")) > CASES // 20


@pytest.mark.timeout(60 + CASES)
def test_changed_structure_is_refused_or_read_as_pyarrow_reads_it() -> None:
    """Whatever is changed in footers, page headers and data: refused by the file's name with nothing left, or exactly pyarrow's rows."""
    assert max(ONCE_FATAL) < CASES
    command = [sys.executable, "-m", "support.mutations", "0", str(CASES)]
    ended = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=60 + CASES, check=False)
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, f"case {told[-1]} ended the process: {ended.stderr[-500:]}"
    outcomes = {line["seed"]: line["outcome"] for line in told if "seed" in line}
    assert len(outcomes) == CASES
    assert {seed: outcome for seed, outcome in outcomes.items() if outcome.startswith("WRONG")} == {}
    kinds = Counter(outcomes.values())
    assert kinds["corrupt-file"] > CASES / 4, "the changes do too little"
    assert kinds["equal"] > CASES / 10, "the changes do too much"


def test_the_changes_are_seen_by_the_judge() -> None:
    """The unchanged files are read as pyarrow reads them, so that it is the changes that make the difference."""
    for writer in range(7):
        assert pq.read_table(pa.BufferReader(original(writer))).num_rows == rows().num_rows


def test_an_encrypted_file_with_a_plain_footer_is_left_out() -> None:
    """A file whose footer can be read, but whose columns are encrypted each with a key of its own, is left alone and not called damaged."""
    store = MemoryStore()
    whole = put(store, "a.parquet", rows().select(["n", "s"]))
    data = encrypted(rows().select(["n", "s"]))
    assert data[-4:] == b"PAR1"
    store.put("b.parquet", data)
    secret = InputFile(file=FileKey(path="b.parquet"), key="b.parquet", size_bytes=len(data))
    outcome = run(store, job_of(rows().select(["n", "s"]).schema), [whole, secret])
    assert isinstance(outcome, GroupDropped)
    assert (outcome.reason, outcome.file) == ("unsupported-file", "b.parquet")
    assert "encrypted" in outcome.detail


def encrypted(table: pa.Table) -> bytes:
    import pyarrow.parquet.encryption as pe

    class NoVault(pe.KmsClient):  # type: ignore[misc]
        """Keys that are not wrapped at all."""

        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
            return key_bytes.hex().encode()

        def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
            return bytes.fromhex(wrapped_key.decode())

    factory = pe.CryptoFactory(lambda _: NoVault())
    how = pe.EncryptionConfiguration(footer_key="f", column_keys={"k": ["s"]}, plaintext_footer=True)
    sink = pa.BufferOutputStream()
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), how)
    with pq.ParquetWriter(sink, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
