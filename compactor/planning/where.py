"""The `--where` language: a conjunction of comparisons on partition columns, parsed to model values and evaluated typed. Pure.

    term    := column op literal | column [NOT] IN (literal, …) | column IS [NOT] NULL        joined by AND
    op      := = != <> < <= > >=
    literal := 'text' ('' is a quote) | number | TRUE | FALSE | DATE 'yyyy-mm-dd' | TIMESTAMP 'yyyy-mm-dd hh:mm:ss'
    column  := name | `name` | "name"

Nothing else is understood, so that nobody's filter is understood wrongly. Null behaves as in SQL: it matches IS NULL and nothing else.
Literals keep their quotes in the model; they get a type when they meet the table's columns (see planning/literals.py).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

import numpy as np
import pyarrow as pa

from compactor.errors import TableCorrupt, UsageError
from compactor.model.predicate import Comparison, InList, NullTest, Operator, Predicate, Term
from compactor.model.snapshot import PartitionColumn
from compactor.planning.columns import Bools
from compactor.planning.literals import Value, parser_for

UNDERSTOOD = "understood are comparisons (= != <> < <= > >=), [NOT] IN (…) and IS [NOT] NULL on partition columns, joined by AND"

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^']|'')*')
    |(?P<quoted>`(?:[^`]|``)+`|"(?:[^"]|"")+")
    |(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<word>[^\W\d]\w*)
    |(?P<operator><=|>=|<>|!=|=|<|>)
    |(?P<mark>[(),]))""",
    re.VERBOSE,
)
_KEYWORDS = frozenset({"AND", "OR", "NOT", "IN", "IS", "NULL", "TRUE", "FALSE", "LIKE", "BETWEEN"})
_COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_QUOTED_ONLY = frozenset({"string", "binary", "date", "timestamp", "timestamp_ntz"})


def parse(text: str) -> Predicate:
    """The predicate that `text` spells. Raises UsageError, with one sentence on what is understood, for anything else."""
    return _Parser(text).predicate()


def select(predicate: Predicate, partition_columns: Sequence[PartitionColumn], partitions: pa.Table) -> Bools:
    """Which partitions satisfy `predicate`: one boolean a row of `partitions` (Snapshot.partitions), so indexed by partition_id.

    Raises UsageError for a column that is no partition column or a literal that does not fit its type, TableCorrupt for a partition value
    that is none of its type.
    """
    mask = np.ones(partitions.num_rows, dtype=np.bool_)
    for term in predicate.terms:
        column = _column(term.column, partition_columns)
        mask &= _matches(term, column, partitions[column.physical_name])
    return mask


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._tokenise(text)
        self._at = 0

    def predicate(self) -> Predicate:
        terms = [self._term()]
        while self._at < len(self._tokens):
            self._expect("AND")
            terms.append(self._term())
        return Predicate(text=self._text, terms=tuple(terms))

    def _tokenise(self, text: str) -> list[tuple[str, str]]:
        tokens, at = [], 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                self._fail(text[at:].lstrip()[:20])
            kind = str(match.lastgroup)
            word = match[kind]
            if kind == "word" and word.upper() in _KEYWORDS:
                kind, word = "keyword", word.upper()
            tokens.append((kind, word))
            at = match.end()
        return tokens

    def _term(self) -> Term:
        column = self._column()
        kind, word = self._next()
        if kind == "operator":
            return Comparison(column=column, operator=cast(Operator, "!=" if word == "<>" else word), literal=self._literal())
        if word == "IS" and kind == "keyword":
            negated = self._accept("NOT")
            self._expect("NULL")
            return NullTest(column=column, negated=negated)
        negated = kind == "keyword" and word == "NOT"
        if negated:
            kind, word = self._next()
        if (kind, word) != ("keyword", "IN"):
            self._fail(word)
        return InList(column=column, literals=self._list(), negated=negated)

    def _column(self) -> str:
        kind, word = self._next()
        if kind == "quoted":
            return word[1:-1].replace(word[0] * 2, word[0])
        if kind != "word":
            self._fail(word)
        return word

    def _list(self) -> tuple[str, ...]:
        self._expect("(")
        literals = [self._literal()]
        while self._accept(","):
            literals.append(self._literal())
        self._expect(")")
        return tuple(literals)

    def _literal(self) -> str:
        kind, word = self._next()
        if kind == "word" and word.upper() in ("DATE", "TIMESTAMP") and self._peek()[0] == "string":
            return f"{word.upper()} {self._next()[1]}"
        if kind not in ("string", "number") and (kind, word) not in (("keyword", "TRUE"), ("keyword", "FALSE")):
            self._fail(word)
        return word

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "the end")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _accept(self, word: str) -> bool:
        kind, found = self._peek()
        if kind in ("keyword", "mark") and found == word:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            self._fail(self._peek()[1])

    def _fail(self, near: str) -> NoReturn:
        raise UsageError(f'The filter "{self._text}" is not understood near "{near}"; {UNDERSTOOD}.')


def _column(name: str, columns: Sequence[PartitionColumn]) -> PartitionColumn:
    exact = [c for c in columns if c.name == name]
    found = exact or [c for c in columns if c.name.lower() == name.lower()]
    if len(found) == 1:
        return found[0]
    if not columns:
        raise UsageError(f'"{name}" is not a partition column: the table is not partitioned.')
    names = ", ".join(c.name for c in columns)
    raise UsageError(f'"{name}" is not a partition column of the table; its partition columns are {names}.')


def _matches(term: Term, column: PartitionColumn, values: pa.ChunkedArray) -> Bools:
    """Each distinct value of the column is parsed and compared once; partitions only look their value up."""
    encoded = values.combine_chunks().dictionary_encode()
    distinct: list[str | None] = encoded.dictionary.to_pylist()
    indices = encoded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)
    distinct.append(None)
    if isinstance(term, NullTest):
        holds = [bool(text) == term.negated for text in distinct]
    else:
        test = _test(term, column)
        holds = [bool(text) and test(_value(str(text), column)) for text in distinct]
    verdict: Bools = np.array(holds, dtype=np.bool_)[indices]
    return verdict


def _test(term: Comparison | InList, column: PartitionColumn) -> Callable[[Value], bool]:
    if isinstance(term, Comparison):
        compare, wanted = _COMPARE[term.operator], _typed(term.literal, column)
        return lambda value: compare(value, wanted)
    listed, negated = frozenset(_typed(literal, column) for literal in term.literals), term.negated
    return lambda value: (value in listed) != negated


def _typed(literal: str, column: PartitionColumn) -> Value:
    """The literal as a value of the column. Quoted text is taken for any type, as SQL casts it; other literals only for their own."""
    prefix, quote, rest = literal.partition("'")
    kind = prefix.strip()
    text = rest[:-1].replace("''", "'") if quote else literal
    parser = parser_for(column.type)
    if parser is None:
        raise UsageError(f'Partition column "{column.name}" is of type {column.type}, which cannot be compared; use IS [NOT] NULL.')
    is_boolean = literal in ("TRUE", "FALSE")
    fits = (
        (quote and kind == "")
        or (kind == "DATE" and column.type in ("date", "timestamp", "timestamp_ntz"))
        or (kind == "TIMESTAMP" and column.type in ("timestamp", "timestamp_ntz"))
        or (not quote and column.type not in _QUOTED_ONLY and is_boolean == (column.type == "boolean"))
    )
    try:
        if fits:
            return parser(text)
    except ValueError:
        pass
    raise UsageError(f'{literal} does not fit partition column "{column.name}", which is of type {column.type}.')


def _value(text: str, column: PartitionColumn) -> Value:
    parser = parser_for(column.type)
    try:
        if parser is not None:
            return parser(text)
    except ValueError:
        pass
    raise TableCorrupt(f'Partition column "{column.name}" of type {column.type} holds "{text}", which is no such value.')
