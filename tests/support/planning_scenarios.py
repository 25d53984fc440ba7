"""The little language of tests/scenarios/planning: a policy, live files, and what planning makes of them.

Any text before the first section says what the scenario claims.

policy:
  target 100MiB                       (any field of Policy; target, where, and memory and tasks of the run as well)
files:
  name size [p=value] [rows=n|?] [deleted=n] [gen=n] [finished=size] [age=duration] [row-group=size] [unreadable] [current|stale]
       [busy|contested]
  name*3 10MiB                        (name1, name2, name3)
plan:
  ...                                 (from here on: written by the test, reviewed as a diff)

Files are in file order as written. A file has a row for each 1000 bytes unless it says otherwise; files without an age are a day old.
`current` and `stale`: its footer was read and has no dropped columns, or has some. `busy`: others append to its
partition; `contested`: they change its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

from compactor.model.health import Health
from compactor.model.plan import Plan, Resources, SavedPlan
from compactor.model.policy import Policy
from compactor.model.snapshot import Snapshot
from compactor.model.survey import FileFacts, RowGroupFacts, Survey
from compactor.planning.artefact import save
from compactor.planning.assess import assess
from compactor.planning.decide import confirm, decide
from compactor.planning.explain import FileExplanation, PartitionExplanation, explain_file, explain_partitions, of_partition
from compactor.planning.plan import plan
from compactor.planning.survey import to_survey
from compactor.planning.target import effective_target
from compactor.planning.where import parse
from compactor.units import format_bytes, parse_bytes, parse_seconds
from support.planning_worlds import BYTES_A_ROW, RESOURCES, WorldFile, snapshot_of

NOW_MS = 1_000_000_000


@dataclass
class _World:
    policy: Policy = field(default_factory=Policy)
    resources: Resources = RESOURCES
    files: list[WorldFile] = field(default_factory=list)
    facts: dict[str, FileFacts] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    busy: dict[str | None, bool] = field(default_factory=dict)

    def snapshot(self) -> Snapshot:
        """The files as a snapshot."""
        found = snapshot_of(self.files, now_ms=NOW_MS)
        partitions = found.partitions["p"].to_pylist() if found.partition_columns else [None]
        return replace(found, busy={i: self.busy[value] for i, value in enumerate(partitions) if value in self.busy})


def outcome(story: str) -> str:
    """Plan, reasons, health and decision for a scenario, as text."""
    world = read(story)
    snapshot = world.snapshot()
    target = effective_target(world.policy, None)
    survey = Survey(files=world.facts, unreadable=world.unreadable)
    planned = plan(snapshot, survey, world.policy, world.resources)
    health = assess(snapshot, world.policy, target)
    surveyed = [world.files[row].path for row in to_survey(snapshot, world.policy, target).tolist()]
    lines = [*_plan_lines(snapshot, planned), *_left_lines(world, planned), "health:", *_health_lines(health), "decision:"]
    decision = confirm(decide(health, world.policy), planned)
    lines.append(f"  {type(decision).__name__.lower()}: {decision.why}")
    if surveyed:
        lines += ["to survey:", f"  {' '.join(surveyed)}"]
    return "\n".join(lines) + "\n"


def saved_plan(story: str) -> SavedPlan:
    """The plan of a scenario as it is kept."""
    world = read(story)
    snapshot = world.snapshot()
    return save(plan(snapshot, Survey(files=world.facts, unreadable=world.unreadable), world.policy, world.resources), snapshot)


def explained(story: str, question: str) -> FileExplanation | PartitionExplanation:
    """The answer to `file NAME`, `partition NAME` or `table`, for a scenario."""
    world = read(story)
    snapshot = world.snapshot()
    planned = plan(snapshot, Survey(files=world.facts, unreadable=world.unreadable), world.policy, world.resources)
    kind, _, name = question.partition(" ")
    if kind == "file":
        return explain_file(snapshot, planned, name)
    return explain_partitions(snapshot, planned, of_partition(name) if kind == "partition" else None)


def read(story: str) -> _World:
    world, section = _World(), ""
    for line in story.splitlines():
        if line and not line.startswith(" "):
            section = line
        elif line.strip() and section == "policy:":
            _policy_line(world, *line.strip().split(" ", 1))
        elif line.strip() and section == "files:":
            _file_line(world, line.split())
    return world


def _policy_line(world: _World, key: str, value: str) -> None:
    if key == "memory":
        world.resources = replace(world.resources, memory_bytes=parse_bytes(value))
    elif key == "tasks":
        world.resources = replace(world.resources, parallelism=int(value))
    elif key == "where":
        world.policy = replace(world.policy, where=parse(value))
    elif key in ("target", "max_bytes"):
        world.policy = replace(world.policy, **{"target_bytes" if key == "target" else key: parse_bytes(value)})
    elif key in ("force_rewrite", "purge"):
        world.policy = replace(world.policy, **{key: value == "yes"})
    else:
        assert key in {f.name for f in fields(Policy)}, key
        world.policy = replace(world.policy, **{key: float(value) if "." in value else int(value)})


def _file_line(world: _World, words: list[str]) -> None:
    name, _, count = words[0].partition("*")
    options = dict(word.partition("=")[::2] for word in words[2:])
    size = parse_bytes(words[1])
    rows = options.get("rows", str(size // BYTES_A_ROW))
    age_ms = int(parse_seconds(options.get("age", "1d")) * 1000)
    for i in range(int(count or 1)):
        path = f"{name}{i + 1}" if count else name
        world.files.append(
            WorldFile(
                path=path,
                size_bytes=size,
                partition=options.get("p"),
                rows=None if rows == "?" else int(rows),
                deleted_rows=int(options.get("deleted", 0)),
                generation=int(options.get("gen", 0)),
                finished_for_bytes=parse_bytes(options["finished"]) if "finished" in options else None,
                debt_bytes=parse_bytes(options["debt"]) if "debt" in options else None,
                modified_ms=len(world.files),
                landed_ms=NOW_MS - age_ms,
            )
        )
        if "row-group" in options:
            decoded = parse_bytes(options["row-group"])
            group = RowGroupFacts(rows=1000, compressed_bytes=size, uncompressed_bytes=decoded)
            world.facts[path] = FileFacts(path=path, row_groups=(group,), largest_chunk_bytes=size)
        if "current" in options or "stale" in options:
            world.facts[path] = FileFacts(path=path, row_groups=(), largest_chunk_bytes=0, extra_columns="stale" in options)
        if "busy" in options or "contested" in options:
            world.busy[options.get("p")] = "contested" in options
        if "unreadable" in options:
            world.unreadable[path] = "encrypted"


def _plan_lines(snapshot: Snapshot, planned: Plan) -> Iterator[str]:
    yield "plan:"
    for group in planned:
        place = "" if not snapshot.partition_columns else f" p={snapshot.partitions['p'][group.partition_id].as_py()}"
        files = "no file" if group.output_files == 0 else f"{group.output_files} x {_size(group.output_bytes // group.output_files)}"
        rows = "?" if group.input_rows is None else f"{group.input_rows}"
        end = ", finished" if group.finishes else ""
        yield f"  {group.group_id} {group.kind}{place}: {_names([f.path for f in group.inputs])}"
        then = f"{files}, generation {group.generation}{end}, memory {_size(group.memory_bytes)}"
        yield f"    {_size(group.input_bytes)}, {rows} rows -> {then}"
    p = planned.prediction
    yield (
        f"  in all {p.input_files} files, {_size(p.input_bytes)} -> {p.output_files} files, {_size(p.output_bytes)};"
        f" {p.requests} requests, {p.seconds:.1f} s, peak {_size(p.peak_memory_bytes)}"
    )


def _left_lines(world: _World, planned: Plan) -> Iterator[str]:
    yield "left out:"
    reasons = planned.reasons.to_pylist()
    for why, count in planned.left_out:
        paths = [f.path for f, reason in zip(world.files, reasons, strict=True) if reason == why]
        yield f"  {why} {count}: {_names(paths)}"


def _health_lines(health: Health) -> Iterator[str]:
    rows = "?" if health.rows is None else health.rows
    counted = f"{rows} rows of which {health.deleted_rows} deleted"
    yield f"  {health.files} files, {_size(health.bytes)}, {counted}, {health.scan_requests} requests a scan"
    yield (
        f"  small {health.small_files} ({_size(health.small_bytes)}), oversized {health.oversized_files} ({_size(health.oversized_bytes)}),"
        f" heavy with deletes {health.deletes_heavy_files}"
    )
    for bucket in health.histogram:
        if bucket.files:
            end = "" if bucket.to_bytes is None else f" to {_size(bucket.to_bytes)}"
            yield f"  from {_size(bucket.from_bytes)}{end}: {bucket.files} ({_size(bucket.bytes)})"


def _size(size: int) -> str:
    return format_bytes(size).replace(" ", "")


def _names(paths: list[str]) -> str:
    """Paths, with stretches of consecutive numbers of one name written as a1..a5."""
    out: list[str] = []
    for path in paths:
        stem = path.rstrip("0123456789")
        first, _, last = out[-1].partition("..") if out else ("", "", "")
        latest = last or first
        follows = path != stem and out and latest.rstrip("0123456789") == stem and latest != stem
        if follows and int(latest[len(stem) :]) + 1 == int(path[len(stem) :]):
            out[-1] = f"{first}..{path}"
        else:
            out.append(path)
    return " ".join(out)
