"""Plans as JSON lines: read back as written, equal for equal plans, never believed when damaged, refused by name when newer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.planning_worlds import WorldFile, plan_of, snapshot_of

from compactor.errors import TableRefused, UsageError
from compactor.model.plan import SavedPlan
from compactor.model.policy import Policy
from compactor.model.snapshot import TableRef
from compactor.planning import artefact
from compactor.planning.artefact import decode, encode, save
from compactor.planning.where import parse

POLICY = Policy(target_bytes=20_000, where=parse("p IS NOT NULL"), max_groups=3)


def files(count: int = 40) -> list[WorldFile]:
    """Small files in partitions `a`, `ü "b"` and null, one of them with deletes."""
    parts = ["a", 'ü "b"', None]
    return [
        WorldFile(path=f"f{i:03d}", size_bytes=1000 + i, partition=parts[i % 3], rows=10, deleted_rows=5 * (i == 3), modified_ms=i)
        for i in range(count)
    ]


def saved(policy: Policy = POLICY, world: list[WorldFile] | None = None) -> SavedPlan:
    world = files() if world is None else world
    return save(plan_of(world, policy), snapshot_of(world))


def test_a_plan_is_read_back_as_written() -> None:
    """All that a plan says survives, line ends and all, and is written again byte for byte."""
    plan = saved()
    lines = list(encode(plan))
    found = decode((f"{line}\n" for line in lines), "x")
    assert list(encode(found)) == lines
    assert (found.plan_id, found.table_id, found.plan.policy, found.plan.left_out) == (
        plan.plan_id, plan.table_id, plan.plan.policy, plan.plan.left_out,
    )  # fmt: skip
    assert found.left_alone is not None and found.left_alone.equals(plan.left_alone)
    assert sum(count for _, count in plan.plan.left_out) == len(found.left_alone) > 0
    assert found.plan.groups.equals(plan.plan.groups) and found.plan.inputs.equals(plan.plan.inputs)
    assert found.plan.prediction == plan.plan.prediction
    assert found.plan.partitions.equals(plan.plan.partitions)


@pytest.mark.parametrize("world", [[], [replace(file, partition=None) for file in files()]], ids=["no groups", "no partitions"])
def test_plans_without_groups_or_partitions_are_plans(world: list[WorldFile]) -> None:
    """Nothing to do, and tables without partitions, are kept too."""
    plan = saved(replace(POLICY, where=None), world)
    assert list(encode(decode(encode(plan), "x"))) == list(encode(plan))


def test_many_batches_are_one_plan() -> None:
    """More groups than fit into one batch of the encoder come back in order."""
    world = [WorldFile(path=f"f{i:05d}", size_bytes=90_000, rows=100, modified_ms=i) for i in range(2500)]
    plan = saved(Policy(target_bytes=20_000), world)
    assert len(plan.plan) == 2500
    assert decode(encode(plan), "x").plan.inputs.equals(plan.plan.inputs)


def test_equal_plans_are_equal_bytes_wherever_the_table_is() -> None:
    """The id says what is to be done to which table, not how its URI is spelled."""
    plan = saved()
    assert list(encode(saved())) == list(encode(plan))
    world = files()
    elsewhere = snapshot_of(world)
    copied = save(replace(plan_of(world, POLICY), table=TableRef(uri="s3://copy/t")), elsewhere)
    assert copied.plan_id == plan.plan_id
    assert save(plan_of(world, POLICY), replace(elsewhere, table_id="other")).plan_id != plan.plan_id
    assert saved(replace(POLICY, max_groups=2)).plan_id != plan.plan_id


def test_too_many_files_left_out_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that leaves more files alone than are listed says how many, and not which; it is a plan like any other."""
    monkeypatch.setattr(artefact, "LISTED", 3)
    plan = saved()
    lines = list(encode(plan))
    assert plan.left_alone is None and not any("files" in json.loads(line) for line in lines)
    assert decode(lines, "x").plan.left_out == plan.plan.left_out


def test_plans_of_the_first_format_are_read() -> None:
    """They list no files left out; their ids are what they were."""
    header, *groups = encode(replace(saved(), left_alone=None))
    old = {key: value for key, value in json.loads(header).items() if key != "left_out_listed"} | {"format_version": 1}
    digest = hashlib.sha256(
        json.dumps({k: v for k, v in old.items() if k not in ("plan_id", "table")}, ensure_ascii=False, separators=(",", ":")).encode()
    )
    for line in groups:
        digest.update(line.encode())
    old["plan_id"] = digest.hexdigest()[:32]
    found = decode([json.dumps(old), *groups], "x")
    assert (found.plan_id, found.left_alone) == (old["plan_id"], None)
    assert found.plan.groups.equals(saved().plan.groups)


def test_the_encoder_streams() -> None:
    """The header is there before any group was looked at."""
    lines = encode(saved())
    assert json.loads(next(lines))["groups"] == 2


def damaged() -> Iterator[tuple[str, list[str]]]:
    """The plan's lines with one thing wrong."""
    lines = list(encode(saved()))
    yield "last group lost", lines[:-1]
    yield "a group doubled", [*lines[:3], *lines[2:]]
    yield "groups swapped", [lines[0], lines[2], lines[1], *lines[3:]]
    yield "files left out lost", lines[:3]
    yield "another reason", [line.replace('"left_out":"not-selected"', '"left_out":"whim"') for line in lines]
    yield "cut short", [*lines[:-1], lines[-1][:40]]
    yield "a size changed", [line.replace('"f001",null,1001', '"f001",null,1002') for line in lines]
    yield "a policy changed", [lines[0].replace('"min_input_files":5', '"min_input_files":2'), *lines[1:]]
    yield "an id changed", [lines[0].replace(saved().plan_id, "0" * 32), *lines[1:]]
    yield "no object", [lines[0], "[]", *lines[2:]]
    yield "a group without files", [lines[0], json.dumps({**json.loads(lines[1]), "inputs": [], "input_files": 0}), *lines[2:]]
    yield "another kind", [lines[0], lines[1].replace('"merge"', '"blend"'), *lines[2:]]
    yield "a field lost", [lines[0].replace('"table_id"', '"table_name"'), *lines[1:]]


@pytest.mark.parametrize(("lines"), [pytest.param(lines, id=name) for name, lines in damaged()])
def test_a_damaged_plan_is_named(lines: list[str]) -> None:
    """Whatever was lost, cut, swapped or edited: one sentence with the file's name, and no plan."""
    assert lines != list(encode(saved()))
    with pytest.raises(UsageError, match=r"The plan x\.jsonl is damaged"):
        decode(lines, "x.jsonl")


@pytest.mark.parametrize("text", ["", "hello", "[]", "{}", '{"kind":"plan"}', '{"format_version":1,"kind":"run"}', "null"])
def test_what_is_no_plan_is_said_to_be_none(text: str) -> None:
    """Any other file is not taken for a damaged plan."""
    with pytest.raises(UsageError, match=r"x\.jsonl is not a plan"):
        decode([text], "x.jsonl")


def test_a_newer_format_is_refused_by_name() -> None:
    """What a later version of the compactor planned is not guessed at."""
    lines = list(encode(saved()))
    newer = lines[0].replace('"format_version":2', '"format_version":3')
    with pytest.raises(TableRefused, match=r"x\.jsonl has format version 3.*reads up to 2") as refused:
        decode([newer, *lines[1:]], "x.jsonl")
    assert refused.value.reason == "newer-format:plan"
