"""What changed between two stored plans: groups, the files in them, the policy, and why other files are left out. Pure.

A group is the same when it has the same files in the same order and is to become the same; a group of the newer plan that shares files with
one of the older is that one changed (the pair that shares most); the rest was added or removed. A file moves when its group is not its
older group changed, or when it is left out for another reason; where both plans list the files they leave out, it is said why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from compactor.model.plan import FileKey, RewriteGroup, SavedPlan

_COMPARED = ("kind", "output_files", "finishes", "generation")
_ABOUT_POLICY = ("target_bytes", "where")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """A group of one of the plans, without its files. `partition`: column and value, as the log writes it."""

    group_id: int
    kind: str
    partition: tuple[tuple[str, str | None], ...]
    input_files: int
    input_bytes: int
    output_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """One group, before and after: how many files joined and left it."""

    old: GroupSummary
    new: GroupSummary
    joined: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMove:
    """A file, and the group that plans it: None where it is in no group. old_reason, new_reason: why it is left out, if known."""

    path: str
    old_group: int | None
    new_group: int | None
    old_reason: str | None = None
    new_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDiff:
    """See the module. `settings`: what of policy and target differs, as (name, old, new); `left_out`: reasons with other counts."""

    old: SavedPlan
    new: SavedPlan
    same_table: bool
    unchanged: int
    added: tuple[GroupSummary, ...]
    removed: tuple[GroupSummary, ...]
    changed: tuple[GroupChange, ...]
    files: tuple[FileMove, ...]
    settings: tuple[tuple[str, object, object], ...]
    left_out: tuple[tuple[str, int, int], ...]

    @property
    def empty(self) -> bool:
        """Whether the two would do the same for the same reasons."""
        return self.same_table and not (self.added or self.removed or self.changed or self.files or self.settings or self.left_out)


def diff(old: SavedPlan, new: SavedPlan) -> PlanDiff:
    """What `new` does otherwise than `old`. Groups in the order of their plans, files by path."""
    before, after = list(old.plan), list(new.plan)
    pairs = _pairs(before, after)
    changed, unchanged = [], 0
    for group in after:
        if group.group_id not in pairs:
            continue
        earlier = pairs[group.group_id]
        if earlier.inputs == group.inputs and all(getattr(earlier, name) == getattr(group, name) for name in _COMPARED):
            unchanged += 1
            continue
        was, now = set(earlier.inputs), set(group.inputs)
        ends = {"old": _summary(old, earlier), "new": _summary(new, group)}
        changed.append(GroupChange(**ends, joined=len(now - was), left=len(was - now)))
    kept = {earlier.group_id for earlier in pairs.values()}
    return PlanDiff(
        old=old,
        new=new,
        same_table=old.table_id == new.table_id,
        unchanged=unchanged,
        added=tuple(_summary(new, group) for group in after if group.group_id not in pairs),
        removed=tuple(_summary(old, group) for group in before if group.group_id not in kept),
        changed=tuple(changed),
        files=tuple(_with_reasons(_moves(before, after, {now: was.group_id for now, was in pairs.items()}), old, new)),
        settings=tuple(_settings(old, new)),
        left_out=tuple(_left_out(old, new)),
    )


def _pairs(before: list[RewriteGroup], after: list[RewriteGroup]) -> dict[int, RewriteGroup]:
    """Id of a newer group to the older group that it is, each at most once: most shared files first, then in order."""
    home = {key: group for group in before for key in group.inputs}
    shared = Counter((group.group_id, home[key].group_id) for group in after for key in group.inputs if key in home)
    by_id = {group.group_id: group for group in before}
    pairs: dict[int, RewriteGroup] = {}
    taken: set[int] = set()
    for (now, was), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
        if now not in pairs and was not in taken:
            pairs[now] = by_id[was]
            taken.add(was)
    return pairs


def _summary(saved: SavedPlan, group: RewriteGroup) -> GroupSummary:
    columns = saved.plan.partitions.column_names
    return GroupSummary(
        group_id=group.group_id,
        kind=str(group.kind),
        partition=tuple((name, saved.plan.partitions[name][group.partition_id].as_py()) for name in columns),
        input_files=len(group.inputs),
        input_bytes=group.input_bytes,
        output_files=group.output_files,
    )


def _moves(before: list[RewriteGroup], after: list[RewriteGroup], became: Mapping[int, int]) -> Iterator[FileMove]:
    was, now = _homes(before), _homes(after)
    for key in sorted({**was, **now}, key=lambda key: (key.path, key.deletes_id or "")):
        old, new = was.get(key), now.get(key)
        if old is None or new is None or became.get(new) != old:
            yield FileMove(path=key.path, old_group=old, new_group=new)


def _with_reasons(moves: Iterator[FileMove], old: SavedPlan, new: SavedPlan) -> list[FileMove]:
    """The moves with reasons, and the files that are left out in both plans, but for another reason; by path."""
    was, now = _reasons(old), _reasons(new)
    told = [replace(move, old_reason=was.get(move.path), new_reason=now.get(move.path)) for move in moves]
    others = (path for path in was.keys() & now.keys() if was[path] != now[path])
    told += [FileMove(path=path, old_group=None, new_group=None, old_reason=was[path], new_reason=now[path]) for path in others]
    return sorted(told, key=lambda move: move.path)


def _reasons(saved: SavedPlan) -> dict[str, str]:
    listed = saved.left_alone
    return {} if listed is None else dict(zip(listed["path"].to_pylist(), listed["reason"].to_pylist(), strict=True))


def _homes(groups: list[RewriteGroup]) -> dict[FileKey, int]:
    return {key: group.group_id for group in groups for key in group.inputs}


def _settings(old: SavedPlan, new: SavedPlan) -> Iterator[tuple[str, object, object]]:
    yield from _unequal("target_bytes", old.plan.target_bytes, new.plan.target_bytes)
    one, other = asdict(old.plan.policy), asdict(new.plan.policy)
    for name in one:
        if name not in _ABOUT_POLICY:
            yield from _unequal(name, one[name], other[name])
    where = tuple(saved.plan.policy.where.text if saved.plan.policy.where else None for saved in (old, new))
    yield from _unequal("where", *where)


def _unequal(name: str, one: object, other: object) -> Iterator[tuple[str, object, object]]:
    if one != other:
        yield name, one, other


def _left_out(old: SavedPlan, new: SavedPlan) -> Iterator[tuple[str, int, int]]:
    one, other = dict(old.plan.left_out), dict(new.plan.left_out)
    for reason in dict.fromkeys([*one, *other]):
        if one.get(reason, 0) != other.get(reason, 0):
            yield str(reason), one.get(reason, 0), other.get(reason, 0)
