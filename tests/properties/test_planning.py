"""Properties of plans, over generated tables and policies.

Sizes are in units of a thousandth of the target, so that generated tables meet every threshold often.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.planning_worlds import WorldFile, carried_out, plan_of, snapshot_of

from compactor.model.health import Compact
from compactor.model.plan import GroupKind, LeftOut, Plan
from compactor.model.policy import MIB, Policy
from compactor.planning.assess import assess
from compactor.planning.decide import confirm, decide
from compactor.planning.where import parse

TARGET = 1000 * 1000
UNIT = TARGET // 1000

sizes = st.one_of(st.integers(1, 60), st.integers(1, 800), st.integers(700, 2000), st.integers(1, 6000)).map(lambda n: n * UNIT)


@st.composite
def world_files(draw: st.DrawFn) -> list[WorldFile]:
    """Up to forty files in up to three partitions: some compacted before, some with deletes, some of unknown rows, some young."""
    files = []
    for i in range(draw(st.integers(0, 40))):
        generation = draw(st.sampled_from([0, 0, 0, 0, 1, 2, 3]))
        rows = draw(st.sampled_from([None, 0, 1, 2, 100, 100, 100, 100]))
        deleted = draw(st.sampled_from([0, 0, 0, 0, 3, 20, 95, 100])) if rows is None or rows == 100 else 0
        files.append(
            WorldFile(
                path=f"f{draw(st.integers(0, 99))}-{i}",
                size_bytes=draw(sizes),
                partition=draw(st.sampled_from(["a", "b", None])),
                rows=rows,
                deleted_rows=deleted,
                generation=generation,
                finished_for_bytes=draw(st.sampled_from([None, TARGET, TARGET // 2, TARGET // 3, 3 * TARGET])) if generation else None,
                debt_bytes=draw(st.sampled_from([None, None, 1, 10**7])) if generation else None,
                modified_ms=draw(st.integers(0, 5)),
                landed_ms=draw(st.sampled_from([0, 0, 0, 9_000])),
            )
        )
    return sorted(files, key=lambda f: (f.modified_ms, f.path))


policies = st.builds(
    Policy,
    target_bytes=st.just(TARGET),
    small_ratio=st.sampled_from([0.75, 0.75, 0.5, 0.9]),
    oversized_ratio=st.sampled_from([1.8, 1.8, 1.2, 3.0]),
    min_input_files=st.integers(1, 6),
    max_deleted_ratio=st.sampled_from([0.05, 0.5]),
    max_encode_debt=st.sampled_from([1.0, 0.5, 0.0]),
    min_age_s=st.sampled_from([0.0, 0.0, 5.0]),
    where=st.sampled_from([None, None, parse("p IS NOT NULL"), parse("p = 'a'")]),
    max_write_amplification=st.integers(1, 3),
)
caps = st.fixed_dictionaries(
    {"max_groups": st.one_of(st.none(), st.integers(0, 4)), "max_bytes": st.one_of(st.none(), st.integers(0, 6000).map(lambda n: n * UNIT))}
)
NOW_MS = 10_000


compressions = st.sampled_from([1.0, 1.0, 0.1, 0.35, 0.7, 0.95, 1.2, 1.7])


def _plan(files: list[WorldFile], policy: Policy, compression: float = 1.0) -> Plan:
    if policy.where is not None and all(f.partition is None for f in files):
        policy = replace(policy, where=None)
    return plan_of(files, policy, now_ms=NOW_MS, compression=compression)


@settings(deadline=None)
@given(world_files(), policies, caps, st.booleans())
def test_every_file_is_planned_once_or_has_one_reason(files: list[WorldFile], policy: Policy, cap: dict[str, int], force: bool) -> None:
    """Every live file is an input of exactly one group or has exactly one reason, and the reasons are counted."""
    plan = _plan(files, replace(policy, force_rewrite=force, **cap))
    planned = Counter(i for group in plan for i in group.files)
    reasons = plan.reasons.to_pylist()
    assert [planned[i] + (reasons[i] is not None) for i in range(len(files))] == [1] * len(files)
    assert dict(plan.left_out) == Counter(LeftOut(r) for r in reasons if r is not None)
    assert [f.path for group in plan for f in group.inputs] == [files[i].path for group in plan for i in group.files]


@settings(deadline=None)
@given(world_files(), policies, st.booleans())
def test_groups_keep_partitions_and_order(files: list[WorldFile], policy: Policy, force: bool) -> None:
    """No group mixes partitions, and its inputs stand in file order."""
    for group in _plan(files, replace(policy, force_rewrite=force)):
        members = [files[i] for i in group.files]
        assert len({f.partition for f in members}) == 1
        assert members == sorted(members, key=lambda f: (f.modified_ms, f.path))


@settings(deadline=None)
@given(world_files(), policies, st.booleans(), compressions)
def test_outputs_are_balanced(files: list[WorldFile], policy: Policy, force: bool, compression: float) -> None:
    """Several outputs of a partition get 0.75 to 1.25 targets each (as far as there are rows to divide), a single one less than 1.5,
    and no group is longer than its cuts need."""
    plan = _plan(files, replace(policy, force_rewrite=force), compression)
    packed = Counter(g.partition_id for g in plan if g.kind is GroupKind.MERGE)
    for group in plan:
        divisible = group.input_rows is None or group.input_rows > group.output_files
        several = group.output_files > 1 or (group.kind is GroupKind.MERGE and packed[group.partition_id] > 1)
        if divisible and several and group.kind is not GroupKind.PURGE:
            assert 3 * TARGET * group.output_files <= 4 * group.output_bytes <= 5 * TARGET * group.output_files
        elif divisible and group.kind is GroupKind.MERGE:
            assert 2 * group.output_bytes < 3 * TARGET
        assert group.kind is not GroupKind.MERGE or group.output_files <= 4
        assert group.kind is not GroupKind.SPLIT or group.output_files >= 2


@settings(deadline=None)
@given(world_files(), policies, compressions)
def test_a_merge_removes_files(files: list[WorldFile], policy: Policy, compression: float) -> None:
    """A merge always leaves fewer files than it takes, and only a purge, a split or an encode debt takes a file alone."""
    for group in _plan(files, policy, compression):
        assert group.kind is not GroupKind.FORCE
        assert group.kind is not GroupKind.MERGE or len(group.files) > group.output_files
        assert group.kind is not GroupKind.MERGE or len(group.files) >= 2


@settings(deadline=None)
@given(world_files(), policies, caps, st.randoms(use_true_random=False))
def test_plans_do_not_depend_on_row_order(files: list[WorldFile], policy: Policy, cap: dict[str, int], rng: random.Random) -> None:
    """Shuffling the rows of a snapshot changes no group and no file's reason; planning twice gives equal plans."""
    policy = replace(policy, **cap)
    shuffled = rng.sample(files, len(files))
    one, again, other = _plan(files, policy), _plan(files, policy), _plan(shuffled, policy)
    assert one.groups.equals(again.groups) and one.inputs.equals(again.inputs) and one.reasons.equals(again.reasons)
    assert one.groups.equals(other.groups)
    assert one.inputs.drop_columns(["file"]).equals(other.inputs.drop_columns(["file"]))
    assert one.prediction == other.prediction and one.left_out == other.left_out
    by_path = dict(zip([f.path for f in shuffled], other.reasons.to_pylist(), strict=True))
    assert one.reasons.to_pylist() == [by_path[f.path] for f in files]


@settings(max_examples=300, deadline=None)
@given(world_files(), policies, st.randoms(use_true_random=False), compressions)
def test_a_compacted_table_is_a_fixed_point(files: list[WorldFile], policy: Policy, rng: random.Random, compression: float) -> None:
    """After a plan has been carried out, whatever sizes its outputs turned out to have, a second plan is empty."""
    first = _plan(files, policy, compression)
    after = carried_out(files, first, lambda: rng.uniform(0.3, 1.3))
    second = _plan(after, policy, compression)
    assert len(second) == 0, [(g.kind, [after[i] for i in g.files]) for g in second]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(20, 350), st.sampled_from([0, 0, 0, 1, 1, 2])), min_size=2, max_size=9),
    st.integers(2, 3),
    st.randoms(use_true_random=False),
)
def test_nearly_filled_partitions_are_fixed_points(sizes: list[tuple[int, int]], bound: int, rng: random.Random) -> None:
    """An unfinished output that turned out larger, beside others that wait, gives a second run nothing to do."""
    policy = Policy(target_bytes=TARGET, min_input_files=2, max_write_amplification=bound)
    files = [
        WorldFile(path=f"{i}", size_bytes=size * UNIT, rows=100, generation=min(generation, bound), modified_ms=i)
        for i, (size, generation) in enumerate(sizes)
    ]
    after = carried_out(files, plan_of(files, policy), lambda: rng.uniform(1.0, 1.3))
    assert len(plan_of(after, policy)) == 0


@settings(deadline=None)
@given(world_files(), policies, st.booleans())
def test_no_table_with_a_plan_is_skipped(files: list[WorldFile], policy: Policy, force: bool) -> None:
    """Deciding on health alone never skips a table for which there would have been groups."""
    policy = replace(policy, force_rewrite=force)
    plan = _plan(files, policy)
    decision = decide(assess(snapshot_of(files), policy, TARGET), policy)
    assert isinstance(decision, Compact) or len(plan) == 0
    assert isinstance(confirm(decision, plan), Compact) == (len(plan) > 0)


@settings(max_examples=150, deadline=None)
@given(policies, st.randoms(use_true_random=False), st.booleans())
def test_bytes_are_rewritten_at_most_w_times(policy: Policy, rng: random.Random, targets_change: bool) -> None:
    """No sequence of appends and runs rewrites a byte more than W times, even when outputs shrink or grow, targets change, and what is
    predicted of new files changes."""
    policy = replace(policy, min_age_s=0.0, where=None)
    files: list[WorldFile] = []
    for step in range(12):
        for i in range(rng.randint(0, 8)):
            size = rng.choice([rng.randint(1, 60), rng.randint(1, 900), rng.randint(1, 4000)]) * UNIT
            files.append(WorldFile(path=f"{step}-{i}", size_bytes=size, rows=1000, partition=rng.choice("ab"), modified_ms=step))
        target = rng.choice([TARGET, 3 * TARGET, TARGET // 3]) if targets_change else TARGET
        planned = _plan(files, replace(policy, target_bytes=target), rng.choice([1.0, 1.0, 0.2, 0.6, 1.4]))
        files = carried_out(files, planned, lambda: rng.uniform(0.3, 1.3), at_ms=100 + step)
        files = [replace(f, debt_bytes=rng.choice([None, f.size_bytes])) for f in files]  # by runs that copied what is small
        assert max((f.rewrites for f in files), default=0) <= policy.max_write_amplification
        assert all(f.rewrites == f.generation for f in files)


@settings(deadline=None)
@given(world_files(), policies, caps, st.booleans())
def test_caps_hold(files: list[WorldFile], policy: Policy, cap: dict[str, int | None], force: bool) -> None:
    """A capped plan stays within its caps, is part of the uncapped one, and leaves nothing out for a cap that had room."""
    whole = _plan(files, replace(policy, force_rewrite=force))
    plan = _plan(files, replace(policy, force_rewrite=force, **cap))
    taken = sum(g.input_bytes for g in plan)
    assert cap["max_groups"] is None or len(plan) <= cap["max_groups"]
    assert cap["max_bytes"] is None or taken <= cap["max_bytes"]
    all_inputs = [g.inputs for g in whole]
    positions = [all_inputs.index(g.inputs) for g in plan]
    assert positions == sorted(positions)
    if cap["max_bytes"] is not None and cap["max_groups"] is None:
        left = [g for i, g in enumerate(whole) if i not in positions]
        assert all(g.input_bytes > cap["max_bytes"] - taken for g in left)


@pytest.mark.parametrize(("bound", "most_rewritten", "most_files"), [(1, 1.0, 25), (2, 2.0, 12)])
def test_dripping(bound: int, most_rewritten: float, most_files: int) -> None:
    """100 files of 2.1 MB dripped into a 32 MiB target with a run after every fifth stay within the bound and end as few files."""
    policy = Policy(target_bytes=32 * MIB, max_write_amplification=bound)
    files: list[WorldFile] = []
    rewritten = 0
    for i in range(100):
        files.append(WorldFile(path=f"drip-{i:03d}", size_bytes=2_100_000, rows=2100, modified_ms=i))
        if i % 5 == 4:
            plan = plan_of(files, policy)
            rewritten += plan.prediction.input_bytes
            files = carried_out(files, plan, lambda: 1.0, at_ms=i)
    assert rewritten <= most_rewritten * 100 * 2_100_000
    assert len(files) <= most_files
    assert sum(f.rows or 0 for f in files) > 100 * 2100 - 100
