"""A writer that changes the schema of a table with mapped columns: adds, drops and renames columns, and widens one. It writes no rows; a
dropped column takes its values with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from simulation.appender import Appender, field_of
from simulation.reader import Row, columns_of

Field = dict[str, Any]
_FIXED = frozenset({"id", "p"})
_FIRST_NEW = 10
"""Columns that come later have numbers from here on, so that none is ever used twice."""


class Evolver(Appender):
    """One writer. Every change is made to the schema as it is when its version is taken."""

    def story(self, steps: int, deletes: float) -> None:
        """`steps` changes, where one is possible."""
        for step in range(steps):
            self._clock.sleep(self._random.uniform(0.1, 5))
            change = self._random.choice([self._add_column, self._add_column, self._drop, self._rename, self._widen])
            while not self._changed(lambda fields, step=step, change=change: change(fields, step)):  # type: ignore[misc]
                pass

    def _changed(self, change: Callable[[list[Field]], list[Field]]) -> bool:
        state = self._look()
        schema = json.loads(state.metadata["schemaString"])
        after = {**state.metadata, "schemaString": json.dumps({**schema, "fields": change(schema["fields"])})}
        rows = frozenset(map(_Shown(after), self._history.at(state.version + 1)))
        return self._commit(state.version + 1, [{"metaData": after}], rows)

    def _add_column(self, fields: list[Field], step: int) -> list[Field]:
        number = _FIRST_NEW + step
        return [*fields, field_of(f"c{number}", "string", number, f"col-{number}")]

    def _drop(self, fields: list[Field], _step: int) -> list[Field]:
        """Any column but those that every row here has."""
        able = [field["name"] for field in fields if _physical(field) not in ("id", "note", "p")]
        gone = self._random.choice(able) if able else None
        return [field for field in fields if field["name"] != gone]

    def _rename(self, fields: list[Field], step: int) -> list[Field]:
        able = [field["name"] for field in fields if _physical(field) not in _FIXED]
        chosen = self._random.choice(able)
        return [{**field, "name": f"renamed{step}"} if field["name"] == chosen else field for field in fields]

    def _widen(self, fields: list[Field], _step: int) -> list[Field]:
        return [_widened(field) if field["type"] == "integer" else field for field in fields]


class _Shown:
    """Rows as a table shows them whose columns may be fewer."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._names = {name for name, _ in columns_of(metadata)}

    def __call__(self, row: Row) -> Row:
        return (*row[:3], *(pair for pair in row[3:] if pair[0] in self._names))


def _physical(field: Field) -> str:
    name: str = field["metadata"]["delta.columnMapping.physicalName"]
    return name


def _widened(field: Field) -> Field:
    change = {"delta.typeChanges": [{"fromType": "integer", "toType": "long"}]}
    return {**field, "type": "long", "metadata": {**field["metadata"], **change}}
