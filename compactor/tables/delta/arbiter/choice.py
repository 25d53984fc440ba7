"""From the configured name of an arbiter to the arbiter. Another mechanism is one more name here and one more module beside it."""

from __future__ import annotations

from compactor.errors import SettingsError
from compactor.tables.delta.arbiter.base import Arbiter
from compactor.tables.delta.arbiter.conditional_put import ConditionalPut

CONDITIONAL_PUT = "conditional-put"


def arbiter_for(name: str | None) -> Arbiter:
    """The arbiter called `name`; None means put-if-absent, the rule of the protocol. Raises SettingsError for an unknown name."""
    if name in (None, CONDITIONAL_PUT):
        return ConditionalPut()
    raise SettingsError(f'"{name}" is no commit arbiter; choose "{CONDITIONAL_PUT}".')
