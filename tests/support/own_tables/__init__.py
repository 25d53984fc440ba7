"""The project's own small tables, one for every feature of the format, so that a clone without the public tables covers them all."""

from support.own_tables import deletes, evolution, history, mapping, partitions, types, writers  # noqa: F401 - they register their tables
from support.own_tables.registry import OWN_TABLES, OwnTable

__all__ = ["OWN_TABLES", "OwnTable"]
