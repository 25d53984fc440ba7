"""The files of `_delta_log`: what is there (`list_log`) and what one commit says (`read_entry`).

Protocol sections "Delta Log Entries", "Checkpoints" (naming), "Last Checkpoint File". Reads only; decides nothing about liveness.
Checksum files, temporary files, log compactions, staged commits and multi-part checkpoints with missing parts are passed over.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson

from compactor.ambient.stopwatch import each
from compactor.errors import ObjectMissing, TableCorrupt
from compactor.storage.base import ObjectMeta, ObjectStore, in_memory
from compactor.tables.delta.columns import deletes_id
from compactor.tables.delta.paths import canonical
from compactor.tables.delta.state import Action, LogEntry

LOG = "_delta_log/"
LAST_CHECKPOINT = "_delta_log/_last_checkpoint"
IN_FLIGHT = 16
"""Log entries fetched at once."""

_COMMIT = re.compile(r"_delta_log/(\d{20})\.json")
_CHECKPOINT = re.compile(r"_delta_log/(\d{20})\.checkpoint(?:\.([0-9A-Za-z-]{36})\.(json|parquet)|\.(\d{10})\.(\d{10})\.parquet|\.parquet)")
_AFTER_NUMBERS = "_delta_log/:"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFiles:
    """One complete checkpoint: its parts in order (a single one unless multi-part)."""

    version: int
    parts: tuple[ObjectMeta, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogListing:
    """What a listing of the log showed.

    commits: objects `<version>.json` by version, ascending. checkpoints: complete ones, ascending by version, the best to read last.
    seen: whether anything of a log was there at all.
    """

    commits: Mapping[int, ObjectMeta] = field(default_factory=dict)
    checkpoints: tuple[CheckpointFiles, ...] = ()
    seen: bool = False

    @property
    def newest(self) -> int | None:
        """The newest version, or None when there is none."""
        candidates = [*list(self.commits)[-1:], *(c.version for c in self.checkpoints[-1:])]
        return max(candidates, default=None)

    def missing(self, after: int, upto: int) -> int | None:
        """The first version in (after, upto] without a commit, or None when there is no gap."""
        return next((v for v in range(after + 1, upto + 1) if v not in self.commits), None)


def entry_key(version: int) -> str:
    """Key of the commit of a version."""
    return f"{LOG}{version:020d}.json"


def list_log(store: ObjectStore, after_version: int | None = None) -> LogListing:
    """The commits and complete checkpoints of the log; with `after_version` only those of later versions. Raises StorageError."""
    commits: dict[int, ObjectMeta] = {}
    found: dict[tuple[int, str], list[ObjectMeta]] = {}
    seen = False
    for meta in each("list", store.list(LOG, start_after=None if after_version is None else entry_key(after_version))):
        if meta.key > _AFTER_NUMBERS:
            seen = True
            break
        if match := _COMMIT.fullmatch(meta.key):
            commits[int(match[1])] = meta
        elif match := _CHECKPOINT.fullmatch(meta.key):
            found.setdefault((int(match[1]), match[2] or match[5] or ""), []).append(meta)
    checkpoints = [CheckpointFiles(version=v, parts=tuple(parts)) for (v, kind), parts in found.items() if _complete(kind, parts)]
    if after_version is not None:
        checkpoints = [c for c in checkpoints if c.version > after_version]
    checkpoints.sort(key=lambda c: (c.version, -len(c.parts), c.parts[0].key))
    ordered = {v: commits[v] for v in sorted(commits) if after_version is None or v > after_version}
    return LogListing(commits=ordered, checkpoints=tuple(checkpoints), seen=seen or bool(ordered) or bool(found))


def _complete(kind: str, parts: list[ObjectMeta]) -> bool:
    """Whether every part is there; a single file always is."""
    return not kind.isdigit() or len(kind) != 10 or len(parts) == int(kind)


def read_entry(store: ObjectStore, version: int, modified_ms: int = 0) -> LogEntry | None:
    """The commit of a version, or None when it is not there. Raises TableCorrupt, naming the file, when it is no log entry."""
    try:
        data = store.get(entry_key(version))
    except ObjectMissing:
        return None
    return parse_entry(data, version, modified_ms, f"{store.uri}/{entry_key(version)}")


def read_entries(store: ObjectStore, after: int, upto: int, listing: LogListing | None = None) -> Iterator[LogEntry]:
    """The commits of versions (after, upto], in order, several fetched at once; `listing` gives them their dates.

    Raises TableCorrupt when one is missing or damaged. A store in memory is read one by one, so that a simulation repeats itself.
    """
    versions = range(after + 1, upto + 1)
    if len(versions) < 3 or in_memory(store):
        yield from (_required(store, version, listing, None) for version in versions)
        return
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="log") as pool:
        waiting: deque[tuple[int, Future[bytes | memoryview]]] = deque()
        try:
            for version in versions:
                waiting.append((version, pool.submit(store.get, entry_key(version))))
                if len(waiting) >= IN_FLIGHT:
                    yield _required(store, *_first(waiting, listing))
            while waiting:
                yield _required(store, *_first(waiting, listing))
        finally:
            for _, future in waiting:
                future.cancel()


Pending = deque[tuple[int, "Future[bytes | memoryview]"]]


def _first(waiting: Pending, listing: LogListing | None) -> tuple[int, LogListing | None, Future[bytes | memoryview]]:
    version, future = waiting.popleft()
    return version, listing, future


def _required(store: ObjectStore, version: int, listing: LogListing | None, future: Future[bytes | memoryview] | None) -> LogEntry:
    meta = listing.commits.get(version) if listing is not None else None
    name = f"{store.uri}/{entry_key(version)}"
    try:
        data = future.result() if future is not None else store.get(entry_key(version))
    except ObjectMissing as error:
        raise TableCorrupt(f"The log entry {name} is missing although later versions exist.") from error
    return parse_entry(data, version, meta.modified_ms if meta else 0, name)


def parse_entry(data: bytes | memoryview, version: int, modified_ms: int, name: str) -> LogEntry:
    """A commit from its bytes. `name` is what an error calls it. Raises TableCorrupt, also for one that adds what it removes."""
    by_kind: dict[str, list[Action]] = {}
    add_lines: list[int] = []
    for line, action in enumerate(parse_lines(data, name)):
        for kind, body in action.items():
            if body is None:
                continue
            by_kind.setdefault(kind, []).append(body)
            if kind == "add":
                add_lines.append(line)
    _check_lawful(by_kind.get("add", ()), by_kind.get("remove", ()), name)
    return LogEntry(
        version=version,
        modified_ms=modified_ms,
        commit_info=_last(by_kind, "commitInfo"),
        protocol=_last(by_kind, "protocol"),
        metadata=_last(by_kind, "metaData"),
        domains=by_kind.get("domainMetadata", ()),
        adds=by_kind.get("add", ()),
        add_lines=add_lines,
        removes=by_kind.get("remove", ()),
        transactions=by_kind.get("txn", ()),
        changes=by_kind.get("cdc", ()),
    )


def _check_lawful(adds: Sequence[Action], removes: Sequence[Action], name: str) -> None:
    """Protocol section "Add File and Remove File": one commit may not add and remove a path with the same deletes.

    Actions of a commit have no order, so it is open whether the file is live: readers decide it either way, and nobody may build on that.
    """
    if not adds or not removes:
        return
    removed = {canonical(remove["path"]): remove for remove in removes if isinstance(remove.get("path"), str)}
    for add in adds:
        remove = removed.get(canonical(add["path"])) if isinstance(add.get("path"), str) else None
        if remove is not None and _deletes(add) == _deletes(remove):
            why = "and a commit has no order by which to tell whether the file is live"
            raise TableCorrupt(f'The log file {name} adds and removes "{add["path"]}" at once, {why}; restore a version before it.')


def _deletes(action: Action) -> str | None:
    vector = action.get("deletionVector")
    return deletes_id(vector) if isinstance(vector, dict) else None


def _last(by_kind: Mapping[str, list[Action]], kind: str) -> Action | None:
    bodies = by_kind.get(kind)
    return bodies[-1] if bodies else None


def parse_lines(data: bytes | memoryview, name: str) -> list[dict[str, Any]]:
    """One object a line, in order; an empty line is an empty object, so that positions are line numbers from 0. Raises TableCorrupt."""
    raw = bytes(data)
    lines = raw.split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise TableCorrupt(f"The log file {name} is empty.")
    try:
        actions = _together(lines)
    except ValueError:
        actions = [_parse_line(line, number, name) for number, line in enumerate(lines, 1)]
    if len(actions) != len(lines):
        raise TableCorrupt(f"The log file {name} does not hold one JSON object a line.")
    for number, action in enumerate(actions, 1):
        if not _is_action(action):
            raise TableCorrupt(f"Line {number} of the log file {name} is not an action.")
    return list(actions)


def parse_chosen(data: bytes | memoryview, positions: Sequence[int], name: str) -> list[dict[str, Any] | None]:
    """The lines at these positions, from 0, as `parse_lines` has them; None where there is none. Raises TableCorrupt."""
    lines = bytes(data).split(b"\n")
    chosen = [lines[position] if position < len(lines) else b"null" for position in positions]
    try:
        actions = _together(chosen)
    except ValueError:
        actions = []
    if len(actions) == len(positions) and all(action is None or _is_action(action) for action in actions):
        return actions
    every = parse_lines(data, name)  # says which line is none
    return [every[position] if position < len(every) else None for position in positions]


def _together(lines: Sequence[bytes]) -> list[Any]:
    """Lines of JSON, parsed at once. Raises ValueError."""
    actions: list[Any] = orjson.loads(b"[" + b",".join(line if line.strip() else b"{}" for line in lines) + b"]")
    return actions


def _is_action(line: Any) -> bool:
    if type(line) is not dict:
        return False
    for body in line.values():  # noqa: SIM110 - a generator for each of millions of lines takes longer than the look
        if type(body) is not dict and body is not None:
            return False
    return True


def _parse_line(line: bytes, number: int, name: str) -> Any:
    try:
        return json.loads(line) if line.strip() else {}
    except ValueError as error:
        raise TableCorrupt(f"Line {number} of the log file {name} is not valid JSON; it may have been cut short.") from error
