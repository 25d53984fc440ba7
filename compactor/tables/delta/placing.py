"""In which folder outputs are put (protocol section "Data Files": folders carry no meaning). Pure.

Beside the group's first input, so that the layout stays; under a short prefix of its own where the table randomises its prefixes, so that
an object store spreads the load; at the root when the first input lies elsewhere, since nothing of ours is ever written there.
"""

from __future__ import annotations

import hashlib

from compactor.errors import TableRefused
from compactor.model.snapshot import Snapshot
from compactor.tables.delta.paths import object_key

RANDOMISE = "delta.randomizeFilePrefixes"
LENGTH = "delta.randomPrefixLength"
_DEFAULT_LENGTH = 2
_LONGEST = 32
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def beside(snapshot: Snapshot, first: str, stem: str) -> str:
    """A path of the log in whose folder the outputs of a group belong that begins with the file `first`. Depends on its arguments alone.

    stem: the unique part of the outputs' names, from which a randomised prefix is made.
    """
    if snapshot.properties.get(RANDOMISE, "false").strip().lower() == "true":
        return f"{_prefix(stem, snapshot.properties.get(LENGTH, ''))}/{stem}"
    try:
        object_key(first, snapshot.table.uri)
    except TableRefused:
        return stem
    return first


def _prefix(stem: str, length: str) -> str:
    count = int(length) if length.strip().isdecimal() and 1 <= int(length) <= _LONGEST else _DEFAULT_LENGTH
    digest = hashlib.sha256(stem.encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:count])
