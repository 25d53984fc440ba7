"""How single values of the service file are read: each reader takes what TOML gives and returns the typed value, or says what is wanted."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from compactor.errors import UsageError
from compactor.service.windows import Window, parse_window
from compactor.units import parse_seconds

Reader = Callable[[Any], Any]
"""Raises Wrong or UsageError, without the key's name: `read` puts it before."""


class Wrong(ValueError):
    """A mistake in the file, in one sentence."""


def read(value: Any, reader: Reader, place: str) -> Any:
    """The value by its reader; `place` names the key. Raises Wrong."""
    try:
        return reader(value)
    except (Wrong, UsageError) as error:
        raise Wrong(f"{place}: {error}") from None


def known_keys(found: Iterable[str], valid: Sequence[str], place: str) -> None:
    """Raises Wrong for the first key that is none, with the nearest that is."""
    for key in found:
        if key not in valid:
            near = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
            raise Wrong(f"{place} {key}: there is no such key".lstrip() + (f"; did you mean {near[0]}?" if near else "."))


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong(f"{value!r} is not a text.")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """A text, or a list of them."""
    return tuple(text(item) for item in (value if isinstance(value, list) else [value]))


def truth(value: Any) -> bool:
    """true or false; the words too, as table properties have them."""
    if value in ("true", "false"):
        return bool(value == "true")
    if not isinstance(value, bool):
        raise Wrong(f"{value!r} is not true or false.")
    return value


def duration(at_least_s: float = 0.0) -> Reader:
    """A duration such as 15m, in seconds."""

    def reader(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Wrong(f'{value!r} is not a duration such as "15m".')
        seconds = parse_seconds(value)
        if not at_least_s <= seconds < math.inf:
            raise Wrong(f"{value!r} is not a duration of at least {at_least_s:g} s.")
        return seconds

    return reader


def number(*, above: float) -> Reader:
    """A finite number above this."""

    def reader(value: Any) -> float:
        try:
            found = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            found = math.nan
        if not above < found < math.inf:
            raise Wrong(f"{value!r} is not a number above {above:g}.")
        return found

    return reader


def whole(least: int, most: int | None = None) -> Reader:
    """A whole number within these bounds."""

    def reader(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
            raise Wrong(f"{value!r} is not a whole number of at least {least}{'' if most is None else f' and at most {most}'}.")
        return value

    return reader


def numbers_by_name(*, above: float) -> Reader:
    """Numbers by name, as in an inline table."""

    def reader(value: Any) -> Mapping[str, float]:
        if not isinstance(value, dict):
            raise Wrong(f"{value!r} is not a list of names and numbers.")
        return {name: read(each, number(above=above), name) for name, each in value.items()}

    return reader


def windows(value: Any) -> tuple[Window, ...]:
    """Windows as a list of texts, or as one text in which `;` divides them; `always` is none to keep to."""
    if value == "always":
        return ()
    parts = [part for item in texts(value) for part in item.split(";")]
    return tuple(parse_window(part.strip()) for part in parts)
