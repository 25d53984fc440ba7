"""The predicate language of `--where`: a conjunction of simple comparisons on partition columns. Data only; parsing and typing are in
planning/where.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Operator = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`column op literal`; the literal is kept as written and typed when it meets the table's schema."""

    column: str
    operator: Operator
    literal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InList:
    """`column [NOT] IN (literal, …)`."""

    column: str
    literals: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NullTest:
    """`column IS [NOT] NULL`."""

    column: str
    negated: bool = False


Term = Comparison | InList | NullTest


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    """All terms must hold. `text` is what the user wrote."""

    text: str
    terms: tuple[Term, ...]
