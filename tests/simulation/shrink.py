"""Makes a world that goes wrong smaller, as long as it goes wrong: fewer actors, steps, faults and files. Deterministic."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace

from simulation.cast import Cast, Role
from simulation.world import World

Fails = Callable[[Cast], str | None]
"""What went wrong in a world, or None."""


def shrink(cast: Cast, fails: Fails, most: int = 300) -> tuple[Cast, str]:
    """The smallest world found in `most` plays that still goes wrong, and what goes wrong in it. Raises ValueError when nothing does."""
    why = fails(cast)
    if why is None:
        raise ValueError("this world does not go wrong")
    plays = 0
    smaller = True
    while smaller:
        smaller = False
        for other in _smaller(cast):
            plays += 1
            if plays > most:
                return cast, why
            found = fails(other)
            if found is not None:
                cast, why, smaller = other, found, True
                break
    return cast, why


def trouble(cast: Cast) -> str | None:
    """What goes wrong when this world is played; None when nothing does."""
    try:
        World(cast.seed, cast=cast).play()
    except AssertionError as error:
        return str(error)
    return None


def reproduction(cast: Cast) -> str:
    """The smallest world like this one that goes wrong, what does, and how to play it again: some lines of text."""
    if trouble(cast) is None:
        return "  It goes right when it is played again."
    smallest, why = shrink(cast, trouble)
    actors = ", ".join(f"{role.name} ({role.steps})" for role in smallest.roles)
    return f"  smallest: {why}\n  actors: {actors}; files: {smallest.files}\n  {command(smallest)}"


def command(cast: Cast) -> str:
    """What plays this world again."""
    return f"cd tests && ../.venv/bin/python -m simulation --replay {shlex.quote(cast.to_text())}"


def _smaller(cast: Cast) -> Iterator[Cast]:
    """Worlds with one thing less each, large things first."""
    roles = cast.roles
    for at in range(len(roles)):
        yield replace(cast, roles=(*roles[:at], *roles[at + 1 :]))
    for at, role in enumerate(roles):
        for less in _less(role):
            yield replace(cast, roles=(*roles[:at], less, *roles[at + 1 :]))
    for files in sorted({1, cast.files // 2, cast.files - 1}):
        if 0 < files < cast.files:
            yield replace(cast, files=files)
    if cast.evolving and not any(role.kind == "evolver" for role in roles):
        yield replace(cast, evolving=False)
    if cast.vectors and not any(role.kind == "changer" for role in roles):
        yield replace(cast, vectors=False)
    if cast.lease and not cast.service:
        yield replace(cast, lease=False)


def _less(role: Role) -> Iterator[Role]:
    if role.crash_at is not None:
        yield replace(role, crash_at=None)
    if role.cut is not None:
        yield replace(role, cut=None)
    for at in range(len(role.faults)):
        yield replace(role, faults=(*role.faults[:at], *role.faults[at + 1 :]))
    for steps in sorted({1, role.steps - 1}):
        if 0 < steps < role.steps:
            yield replace(role, steps=steps)
