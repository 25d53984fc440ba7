"""Parquet files with something in them changed, chained between two good ones, each seed a case: refused, or exactly the rows that pyarrow
reads of each by itself.

    python -m support.chain_mutations 100 200      cases 100 to 199: counts of outcomes at last

In a process of its own, because damage may end one. `lenient`: pyarrow refuses a file for side matters of its footer, which chains leave
out; `named alone`: the chain cannot be read, so that its files are read one by one.
"""

from __future__ import annotations

import io
import json
import sys
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.rewriting.native import KERNELS
from support.fuse_mutations import changed, same
from support.mutations import mutated, original

_WRITERS = 7
_OPTIONS = {"coerce_int96_timestamp_unit": "us", "arrow_extensions_enabled": False, "page_checksum_verification": True}


def main(first: int, last: int) -> None:
    """Every case from `first` to before `last`; ends the process with 1 for a wrong one."""
    outcomes: Counter[str] = Counter()
    for seed in range(first, last):
        outcome = case(seed)
        outcomes[outcome] += 1
        if outcome == "WRONG":
            print(json.dumps({"seed": seed}), flush=True)
    print(json.dumps(outcomes), flush=True)
    sys.exit(bool(outcomes["WRONG"]))


def case(seed: int) -> str:
    """What becomes of the file of this seed between two good ones of its writer."""
    data = mutated(seed) if seed % 2 else changed(4 * seed)
    for writer in range(_WRITERS):
        good = original(writer)
        try:
            whole = chained([good, data, good])
        except KERNELS.FuseRefused:  # type: ignore[union-attr]
            continue
        return _judged(good, data, whole)
    return "refused"


def chained(files: list[bytes]) -> bytes:
    """The files as one. Raises the kernel's FuseRefused."""
    assert KERNELS is not None
    parts, _, tail = KERNELS.chain(files)
    return b"".join([b"PAR1", *(file[start:end] for file, (start, end) in zip(files, parts, strict=True)), tail])


def _judged(good: bytes, data: bytes, whole: bytes) -> str:
    found, alone, around = _read(whole), _read(data), _read(good)
    assert around is not None
    if found is None:
        return "named alone"
    n = around.num_rows
    if not same(found.slice(0, n), around) or not same(found.slice(found.num_rows - n), around):
        return "WRONG"
    if alone is None:
        return "lenient"
    return "equal" if same(found.slice(n, found.num_rows - 2 * n), alone) else "WRONG"


def _read(data: bytes) -> pa.Table | None:
    try:
        return pq.ParquetFile(io.BytesIO(data), **_OPTIONS).read(use_threads=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return None


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
