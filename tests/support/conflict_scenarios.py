"""The little language of tests/scenarios/conflicts: a table, rewritten groups, versions that others took, and the verdicts.

Any text before the first section says what the scenario claims.

table:
  columns = a long, b string          (the default; `b string not null` is understood)
  partitioned by p
  feature deletionVectors
  property delta.enableDeletionVectors = true
  domain delta.clustering = {"clusteringColumns": [["a"]]}
groups:
  0 = one two@v1 statistics a,b       (@v1: the file's deletion vector; statistics: of its one output)
version 6, DELETE by Spark:
  add f / remove f / add f@v2 / touch f (added again unchanged)
  feature x / no feature x / property k = v / no property k / columns = ... / partitioned by q / new id
  domain d = json / no domain d / transaction app
verdicts:
  0 kept: ...
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from compactor.model.commit import FinishedGroup
from compactor.model.plan import FileKey
from compactor.model.rewrite import ColumnStatistics, Concat, OutputFile, RewriteResult
from compactor.tables.delta.conflicts import Terms, judge
from compactor.tables.delta.state import Action, LogEntry, Metadata

_VERSION = re.compile(r"version (\d+), (.+) by (.+)")


@dataclass
class _World:
    """The table as the lines read so far leave it."""

    features: set[str] = field(default_factory=set)
    properties: dict[str, str] = field(default_factory=dict)
    columns: str = "a long, b string"
    partitioned_by: tuple[str, ...] = ()
    table_id: str = "table"
    domains: dict[str, str] = field(default_factory=dict)

    def terms(self) -> Terms:
        metadata = Metadata(
            id=self.table_id,
            name=None,
            schema={"type": "struct", "fields": [_column(text) for text in re.split(r",\s*(?![^(]*\))", self.columns)]},
            partition_columns=self.partitioned_by,
            configuration=dict(self.properties),
            raw={},
        )
        return Terms(features=frozenset(self.features), metadata=metadata, domains=dict(self.domains))

    def change(self, line: str) -> None:
        """One line about the table's terms."""
        gone = line.startswith("no ")
        kind, _, rest = line.removeprefix("no ").partition(" ")
        key, _, value = (part.strip() for part in rest.partition("="))
        if kind == "feature":
            (self.features.discard if gone else self.features.add)(key)
        elif kind in ("property", "domain"):
            target = self.properties if kind == "property" else self.domains
            target.pop(key, None) if gone else target.__setitem__(key, value)
        elif kind == "columns":
            self.columns = value
        elif kind == "partitioned":
            self.partitioned_by = tuple(rest.removeprefix("by ").split())
        elif line == "new id":
            self.table_id = "another"
        else:
            raise AssertionError(f"not understood: {line}")


def _column(text: str) -> dict[str, Any]:
    """`a long`, `a long not null`, `a:phys#3 long` (physical name and id), `s struct<x long; y long>`, `l array<long!>` (no nulls)."""
    name, _, kind = text.strip().partition(" ")
    nullable = not kind.endswith(" not null")
    kind = kind.removesuffix(" not null")
    name, _, mapped = name.partition(":")
    physical, _, number = mapped.partition("#")
    metadata: dict[str, Any] = {}
    if mapped:
        metadata = {"delta.columnMapping.physicalName": physical, "delta.columnMapping.id": int(number)}
    shape: Any = kind
    if kind.startswith("struct<"):
        shape = {"type": "struct", "fields": [_column(part) for part in kind[7:-1].split(";")]}
    elif kind.startswith("array<"):
        element = kind[6:-1]
        shape = {"type": "array", "elementType": element.removesuffix("!"), "containsNull": not element.endswith("!")}
    return {"name": name, "type": shape, "nullable": nullable, "metadata": metadata}


def _file(text: str) -> Action:
    path, _, vector = text.partition("@")
    action: Action = {"path": path}
    if vector:
        action["deletionVector"] = {"storageType": "u", "pathOrInlineDv": vector, "offset": 1}
    return action


def _group(line: str) -> FinishedGroup:
    number, _, rest = line.partition("=")
    names, _, statistics = rest.partition("statistics")
    actions = [_file(name) for name in names.split()]
    inputs = tuple(
        FileKey(path=a["path"], deletes_id=f"u{a['deletionVector']['pathOrInlineDv']}@1" if "deletionVector" in a else None)
        for a in actions
    )
    columns = tuple(ColumnStatistics(path=tuple(name.strip().split(".")), null_count=0) for name in statistics.split(",") if name.strip())
    output = OutputFile(key=f"out-{number.strip()}.parquet", size_bytes=10, rows=1, statistics=columns)
    result = RewriteResult(
        group_id=int(number), attempt=1, engine="test", input_rows=1, outputs=(output,), row_map=Concat(offsets=(0,) * len(inputs))
    )
    return FinishedGroup(inputs=inputs, result=result, generation=1, finished_for_bytes=None)


def _winner(title: str) -> LogEntry:
    match = _VERSION.fullmatch(title)
    assert match, title
    info = {"operation": match[2], "engineInfo": match[3]}
    return LogEntry(
        version=int(match[1]), modified_ms=0, commit_info=info, protocol=None, metadata=None, domains=(), adds=[], add_lines=(), removes=[],
        transactions=(),
    )  # fmt: skip


def verdicts(text: str) -> str:
    """The verdicts section for a scenario, as text."""
    world, before = _World(), None
    groups: list[FinishedGroup] = []
    winners: list[LogEntry] = []
    section = ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            section = line.removesuffix(":")
            if section.startswith("version "):
                before = before or world.terms()
                winners.append(_winner(section))
        elif section == "table" and line.strip():
            world.change(line.strip())
        elif section == "groups" and line.strip():
            groups.append(_group(line.strip()))
        elif section.startswith("version ") and line.strip():
            winners[-1] = _act(winners[-1], line.strip(), world)
    found = judge(groups, winners, before or world.terms(), world.terms())
    return "".join(f"  {v.group_id} {'kept' if v.kept else 'dropped, ' + str(v.reason)}: {v.detail}\n" for v in found)


def _act(winner: LogEntry, line: str, world: _World) -> LogEntry:
    kind, _, name = line.partition(" ")
    if kind in ("add", "touch"):
        return replace(winner, adds=[*winner.adds, _file(name)])
    if kind == "remove":
        return replace(winner, removes=[*winner.removes, _file(name)])
    if kind == "transaction":
        return replace(winner, transactions=[{"appId": name, "version": 1}])
    world.change(line)
    return winner
