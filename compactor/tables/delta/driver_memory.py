"""What the driver needs for a table of so many live files, known before anything of them is read. Pure arithmetic; refuses with the number.

The figures are peaks of a process beyond its imports while it loads, judges and plans, held by a test and printed by `make bench-log`:
a snapshot keeps about 160 bytes a file, sorting it and planning need copies of that, and what is being decoded of a checkpoint comes on
top.
"""

from __future__ import annotations

from compactor.errors import TableRefused
from compactor.units import format_bytes

BYTES_PER_FILE = 650
"""Peak of loading and planning, for each live file."""
BATCH_ROWS = 32_768
"""Rows of a checkpoint that are decoded at once."""
_DECODED_FILES = 100_000
_DECODED_FILE_BYTES = 2_500
"""What decoding takes beside that: a row group of the checkpoint, fetched, and batches of it as actions."""
_ENTRY_EXPANSION = 9
"""A JSON entry is parsed as a whole: bytes of its objects, its text and the columns made of them, by byte of the entry."""
_CHECKPOINT_BYTES_PER_FILE = 2_500
"""What deltalake takes at its peak to open a table and write a checkpoint of it."""
_CHECKPOINT_BYTES = 128 * 1024 * 1024


def snapshot_bytes(files: int) -> int:
    """Bytes that a process needs to load and plan a table of so many live files, beyond what it had with everything imported."""
    return files * BYTES_PER_FILE + min(files, _DECODED_FILES) * _DECODED_FILE_BYTES


def checkpoint_bytes(files: int) -> int:
    """Bytes that the process of its own which writes a checkpoint of so many live files needs."""
    return _CHECKPOINT_BYTES + files * _CHECKPOINT_BYTES_PER_FILE


def check_files(table: str, files: int, memory_bytes: int | None) -> None:
    """Raises TableRefused (reason `memory`), with the numbers, when a snapshot of so many live files does not fit into `memory_bytes`."""
    need = snapshot_bytes(files)
    if memory_bytes is not None and need > memory_bytes:
        raise TableRefused(
            f"{table} has up to {files:,} live files; to plan them takes about {format_bytes(need)} of memory ({BYTES_PER_FILE} bytes a "
            f"file), and this run may use {format_bytes(memory_bytes)}. Give it more with --memory, on a machine that has it.",
            reason="memory",
        )


def check_entry(entry: str, size_bytes: int, memory_bytes: int | None) -> None:
    """Raises TableRefused (reason `memory`), with the numbers, when a log entry of this size cannot be parsed within `memory_bytes`."""
    need = size_bytes * _ENTRY_EXPANSION
    if memory_bytes is not None and need > memory_bytes:
        raise TableRefused(
            f"The log entry {entry} has {format_bytes(size_bytes)}; to read it takes about {format_bytes(need)} of memory, and this run "
            f"may use {format_bytes(memory_bytes)}. Give it more with --memory, or have the table's engine write a checkpoint.",
            reason="memory",
        )
