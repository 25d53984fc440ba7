"""What a log entry says of proofs: who read, and checksums only where they add up."""

from __future__ import annotations

from dataclasses import replace

from compactor.model.fingerprint import CHECKSUM_ALGORITHM, Fingerprint
from compactor.model.rewrite import Concat, RewriteResult
from compactor.tables.delta.proof_tags import commit_tags

FULL = RewriteResult(
    group_id=0,
    attempt=0,
    engine="fuse",
    input_rows=2,
    outputs=(),
    row_map=Concat(offsets=()),
    proof="full",
    fingerprint=Fingerprint(sum=5, rows=2),
    proof_readers="native",
)
BYTES = replace(
    FULL, proof="bytes", fingerprint=None, checksum=Fingerprint(sum=7, rows=3), checksum_algorithm=CHECKSUM_ALGORITHM, proof_readers=None
)


def test_readers_of_all_groups_are_named() -> None:
    """Natively, by Arrow, or both; nothing is said of groups of versions that did not keep it."""
    assert commit_tags([FULL, replace(FULL, proof_readers="arrow")])["compactor.proofReaders"] == "arrow+native"
    assert "compactor.proofReaders" not in commit_tags([replace(FULL, proof_readers=None)])


def test_checksums_of_two_algorithms_are_not_added_up() -> None:
    """What a dead run of an older version had finished is committed without a sum that nobody could compare."""
    old = replace(BYTES, checksum_algorithm="bytes-1")
    assert commit_tags([BYTES, FULL])["compactor.fingerprintAlgorithm"] == "bytes-2"
    assert commit_tags([old, FULL])["compactor.fingerprintAlgorithm"] == "bytes-1"
    assert commit_tags([BYTES, old]) == {"compactor.proof": "bytes"}
    assert commit_tags([BYTES])["compactor.fingerprint"] == f"{7:032x}"
