"""Globs over table URIs. Pure. `*` stays within one folder, `**` crosses them, `?` is one character; everything else is itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


def matches(uri: str, globs: Iterable[str]) -> str | None:
    """The first of the globs that this URI fits, else None."""
    uri = uri.rstrip("/")
    return next((glob for glob in globs if _compiled(glob).fullmatch(uri)), None)


@lru_cache(maxsize=4096)
def _compiled(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(/\*\*$|\*\*/|\*\*|\*|\?)", glob.rstrip("/"))
    # "a/**" fits a itself too, and "**/b" fits b: a star of folders may stand for none.
    meanings = {"/**": "(?:/.*)?", "**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meanings.get(part, re.escape(part)) for part in parts), re.DOTALL)
