"""Deletion vector descriptors, as workers need them (protocol section "Deletion Vectors", "Derived Fields"). Pure; reads no vector.

Forms of storage: `u`, a file named by a UUID below the table's root; `p`, a path; `i`, inline.
"""

from __future__ import annotations

import struct
from uuid import UUID

from compactor.errors import TableCorrupt
from compactor.model.rewrite import Deletes
from compactor.tables.delta.paths import object_key
from compactor.tables.delta.state import Action

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
_UUID_CHARACTERS = 20


def deletes_of(vector: Action, table_uri: str, *, external: bool = False) -> Deletes:
    """Where the deleted positions of a file are; `external`: also outside the table's folder.

    Raises TableCorrupt for a malformed descriptor, TableRefused for a path outside that is not allowed.
    """
    try:
        kind, text = vector["storageType"], vector["pathOrInlineDv"]
        size_bytes, cardinality, offset = int(vector["sizeInBytes"]), int(vector["cardinality"]), int(vector.get("offset") or 0)
        if min(size_bytes, cardinality, offset) < 0:
            raise ValueError(size_bytes, cardinality, offset)
        if kind == "i":
            return Deletes(inline=decode_z85(text)[:size_bytes], size_bytes=size_bytes, cardinality=cardinality)
        if kind == "u":
            name = f"deletion_vector_{UUID(bytes=decode_z85(text[-_UUID_CHARACTERS:]))}.bin"
            key = "/".join(part for part in (text[:-_UUID_CHARACTERS].strip("/"), name) if part)
            if ".." in key.split("/"):
                raise ValueError(key)
            return Deletes(key=key, offset=offset, size_bytes=size_bytes, cardinality=cardinality)
        if kind == "p":
            return Deletes(
                key=object_key(text, table_uri, external=external), offset=offset, size_bytes=size_bytes, cardinality=cardinality
            )
    except (KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise TableCorrupt(f"The log of {table_uri} holds a malformed deletion vector descriptor.") from error
    raise TableCorrupt(f'The log of {table_uri} holds a deletion vector of the unknown storage type "{kind}".')


def decode_z85(text: str) -> bytes:
    """Bytes of a Z85 text, five characters for four bytes. Raises ValueError or KeyError when it is none."""
    if len(text) % 5:
        raise ValueError("a Z85 text has a multiple of five characters")
    out = bytearray()
    for start in range(0, len(text), 5):
        value = 0
        for character in text[start : start + 5]:
            value = value * 85 + _VALUE[character]
        out += struct.pack(">I", value)
    return bytes(out)


def encode_z85(data: bytes) -> str:
    """`data`, a multiple of four bytes, as text."""
    text: list[str] = []
    for (value,) in struct.iter_unpack(">I", data):
        digits = []
        for _ in range(5):
            value, digit = divmod(value, 85)
            digits.append(_ALPHABET[digit])
        text += reversed(digits)
    return "".join(text)
