"""What a log entry says of the proof of a rewrite: tags of its commitInfo, and one of each file that it adds. Pure.

compactor.proof                 the level: counts, bytes or full, the least of what was proven of the commit's groups
compactor.fingerprint           of all rows that the commit rewrote, 32 hexadecimal digits; of a file: the algorithm, a colon, digits
compactor.fingerprintRows       how many rows those are
compactor.proofReaders          who read files for the proof: native, arrow, or both with a plus between them
compactor.fingerprintAlgorithm  who makes such digits; others cannot be compared with ours
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from compactor.model.fingerprint import FINGERPRINT_ALGORITHM, Fingerprint, readers_together
from compactor.model.rewrite import OutputFile, RewriteResult

PROOF_TAG = "compactor.proof"
FINGERPRINT_TAG = "compactor.fingerprint"
ROWS_TAG = "compactor.fingerprintRows"
ALGORITHM_TAG = "compactor.fingerprintAlgorithm"
READERS_TAG = "compactor.proofReaders"

_DIGEST = re.compile(r"[0-9a-f]{32}")


def commit_tags(results: Sequence[RewriteResult]) -> dict[str, str]:
    """Tags of the commitInfo of an entry with these groups. The level is that of the least proven of them."""
    full = [result.fingerprint for result in results if result.proof == "full" and result.fingerprint is not None]
    checked = [result.checksum for result in results if result.proof == "bytes" and result.checksum is not None]
    if len(full) + len(checked) < len(results):
        return {PROOF_TAG: "counts"}
    algorithms = sorted({result.checksum_algorithm for result in results if result.checksum is not None and result.proof == "bytes"})
    if len(algorithms) > 1:  # a dead run of an older version had finished some of the groups: their sums do not add up with ours
        return {PROOF_TAG: "bytes"}
    total = sum((*full, *checked), Fingerprint())
    level, algorithm = ("bytes", algorithms[0]) if checked else ("full", FINGERPRINT_ALGORITHM)
    readers = readers_together(result.proof_readers for result in results)
    told = {READERS_TAG: readers} if readers else {}
    return {PROOF_TAG: level, FINGERPRINT_TAG: total.digest, ROWS_TAG: str(total.rows), ALGORITHM_TAG: algorithm, **told}


def file_tags(output: OutputFile) -> dict[str, str]:
    """Tags of an added file."""
    return {} if output.fingerprint is None else {FINGERPRINT_TAG: f"{FINGERPRINT_ALGORITHM}:{output.fingerprint.digest}"}


def commit_fingerprint(tags: Mapping[str, Any]) -> Fingerprint | None:
    """What a commitInfo says of its rows; None when it says nothing that can be compared."""
    digest, rows = str(tags.get(FINGERPRINT_TAG)), str(tags.get(ROWS_TAG))
    if tags.get(ALGORITHM_TAG) != FINGERPRINT_ALGORITHM or not _DIGEST.fullmatch(digest) or not rows.isdecimal():
        return None
    return Fingerprint(sum=int(digest, 16), rows=int(rows))


def file_digest(tags: Mapping[str, Any]) -> str | None:
    """The digest that a file was written with; None when it has none that can be compared."""
    algorithm, _, digest = str(tags.get(FINGERPRINT_TAG)).partition(":")
    return digest if algorithm == FINGERPRINT_ALGORITHM and _DIGEST.fullmatch(digest) else None
