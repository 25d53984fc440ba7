"""What replicas of a service share, in object storage below `<state>/service/`. Small objects; each has one writer, or is made once.

    replicas/<id>.json   what a replica runs and has spent, with a beat: rewritten by itself every round; one that does not beat is gone
    paused/<table>.json  somebody paused the table: made and deleted by people
    asked/<table>.json   somebody asked for a run: made by people, deleted by the replica that begins it
    notices/<id>-….json  log entries that were told of, so that messages may be deleted; read by all, and by whoever starts later
    fleet.jsonl          what was known of all tables, to start from: a cache, which any replica replaces

Nothing here is what correctness rests on. A newer format of a cache is passed over, so that neighbouring releases can work side by side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from compactor.ambient.ports import Ambient
from compactor.coordination.documents import decode, encode
from compactor.errors import CompactorError, ObjectMissing
from compactor.service.fleet_file import fleet_tables
from compactor.service.ledger import Ledger, Spend, WindowAccount
from compactor.storage.base import ObjectMeta, ObjectStore

FORMAT_VERSION = 1
FOLDER = "service/"
_GONE_ROUNDS, _GONE_S = 3, 30.0
"""A replica whose beat did not change for so many of its rounds and so long besides, on the watcher's own clock, is gone."""
_NAME_LENGTH = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a replica tells of itself. running: table to run id. round_s: from beat to beat."""

    replica: str
    beat: int = 0
    round_s: float = 60.0
    running: Mapping[str, str] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(slots=True)
class _Watched:
    beat: int
    since_s: float


class Shared:
    """The shared objects, as one replica sees them. Every method may raise StorageError."""

    def __init__(self, store: ObjectStore, ambient: Ambient) -> None:
        self._store, self._ambient = store, ambient
        self._beats: dict[str, _Watched] = {}
        self._reports: dict[ObjectMeta, dict[str, Any]] = {}
        self._marks: dict[tuple[str, int, int], dict[str, Any]] = {}

    @property
    def uri(self) -> str:
        """Where all of it is."""
        return f"{self._store.uri}/{FOLDER}"

    def report(self, report: Report) -> None:
        """Tell the others."""
        body = {"replica": report.replica, "beat": report.beat, "running": dict(report.running)}
        self._put(f"replicas/{report.replica}.json", "replica", {**body, "round_s": report.round_s, "ledger": ledger_object(report.ledger)})

    def others(self, me: str) -> tuple[list[Report], list[Report]]:
        """The other replicas that live, and those that do not beat any more: what those have spent today counts all the same."""
        alive: list[Report] = []
        gone: list[Report] = []
        now_s = self._ambient.clock.monotonic_s()
        known, self._reports = self._reports, {}
        for item in self._store.list(f"{FOLDER}replicas/"):
            if item.key == f"{FOLDER}replicas/{me}.json":
                continue
            # Of replicas that are gone many may be left on a day of crashes: what has not changed is not read again.
            body = known.get(item) or self._read(item.key, "replica")
            if body is None:
                continue
            self._reports[item] = body
            found = Report(
                replica=body["replica"],
                beat=body["beat"],
                round_s=float(body.get("round_s", 60.0)),
                running=body["running"],
                ledger=ledger_of(body["ledger"]),
            )
            watched = self._beats.get(found.replica)
            if watched is None or watched.beat != found.beat:
                watched = self._beats[found.replica] = _Watched(found.beat, now_s)
            (alive if now_s - watched.since_s < _GONE_ROUNDS * found.round_s + _GONE_S else gone).append(found)
        return alive, gone

    def leave(self, me: str) -> None:
        """Say that this replica runs nothing any more. What it has spent today stays."""
        body = self._read(f"{FOLDER}replicas/{me}.json", "replica")
        if body is not None:
            self._put(f"replicas/{me}.json", "replica", {**_plain(body), "running": {}})

    def forget(self, replica: str) -> None:
        """Remove the report of a replica that is gone, once the day that it spent in is over."""
        self._store.delete([f"{FOLDER}replicas/{replica}.json"])

    def mark(self, kind: str, table: str, by: str) -> None:
        """`paused` or `asked`. Again is no fault."""
        body = {"table": table, "by": by, "at_ms": self._ambient.clock.now_ms()}
        self._put(f"{kind}/{name_of(table)}.json", kind, body)

    def unmark(self, kind: str, table: str) -> None:
        """Take it back. Where there was none is no fault."""
        self._store.delete([f"{FOLDER}{kind}/{name_of(table)}.json"])

    def marked(self, kind: str) -> dict[str, str]:
        """Tables that are so marked, and by whom."""
        found = {}
        kept: dict[tuple[str, int, int], dict[str, Any]] = {}
        for item in self._store.list(f"{FOLDER}{kind}/"):
            identity = (item.key, item.size_bytes, item.modified_ms)
            body = self._marks.get(identity) or self._read(item.key, kind)
            if body is not None:
                kept[identity] = body
                found[str(body["table"])] = str(body["by"])
        self._marks = {key: body for key, body in self._marks.items() if not key[0].startswith(f"{FOLDER}{kind}/")} | kept
        return found

    def note(self, me: str, notices: Mapping[str, int]) -> str:
        """Keep that these tables have new versions. When this returns, it will not be forgotten. Answers the name that it is kept under."""
        name = f"{FOLDER}notices/{me}-{self._ambient.ids.new()}.json"
        self._store.put(name, encode("notices", FORMAT_VERSION, {"notices": dict(notices)}))
        return name

    def noted(self, seen: set[str]) -> dict[str, int]:
        """What was kept since, and is not among `seen`, which is brought forward."""
        newest: dict[str, int] = {}
        keys = [item.key for item in self._store.list(f"{FOLDER}notices/")]
        for key in keys:
            if key not in seen:
                body = self._read(key, "notices")
                for table, version in (body["notices"] if body else {}).items():
                    newest[table] = max(newest.get(table, -1), int(version))
        seen.clear()
        seen.update(keys)
        return newest

    def clear_notices(self, older_than_ms: float) -> None:
        """Remove those that everybody has had the time to read, by the store's own dates."""
        now_ms = self._store.now_ms()
        old = [item.key for item in self._store.list(f"{FOLDER}notices/") if now_ms - item.modified_ms > older_than_ms]
        if old:
            self._store.delete(old)

    def save_fleet(self, data: bytes) -> None:
        """Keep what is known of all tables."""
        self._store.put(f"{FOLDER}fleet.jsonl", data)

    def load_fleet(self) -> bytes | None:
        """What was kept, None when nothing was."""
        try:
            return bytes(self._store.get(f"{FOLDER}fleet.jsonl"))
        except ObjectMissing:
            return None

    def known_tables(self) -> frozenset[str] | None:
        """Tables that were looked after when that was kept; None where nothing of use was."""
        kept = self.load_fleet()
        return None if kept is None else fleet_tables(kept)

    def _put(self, name: str, kind: str, body: Mapping[str, Any]) -> None:
        self._store.put(f"{FOLDER}{name}", encode(kind, FORMAT_VERSION, body))

    def _read(self, key: str, kind: str) -> dict[str, Any] | None:
        """None when it is gone, or is of a newer release: then it says nothing that this one could rely on."""
        try:
            return decode(self._store.get(key), kind, FORMAT_VERSION, f"{self._store.uri}/{key}")
        except ObjectMissing:
            return None
        except CompactorError as error:
            if error.exit_code in (3, 6):
                return None
            raise


def name_of(table: str) -> str:
    """A name for an object about a table: its URI made safe, or a digest of it where that is too long for a file's name."""
    name = quote(table, safe="")
    return name if len(name) <= _NAME_LENGTH else hashlib.sha256(table.encode()).hexdigest()


def ledger_object(ledger: Ledger) -> dict[str, Any]:
    """The ledger as JSON."""
    return {
        "day": ledger.day,
        "groups": {name: [spend.gb_hours, spend.money] for name, spend in ledger.groups.items()},
        "windows": {text: [a.closes_ms, a.spent.gb_hours, a.spent.money] for text, a in ledger.windows.items()},
    }


def ledger_of(body: Mapping[str, Any]) -> Ledger:
    """The ledger that `ledger_object` wrote."""
    return Ledger(
        day=int(body["day"]),
        groups={name: Spend(gb_hours=gb, money=money) for name, (gb, money) in body["groups"].items()},
        windows={
            text: WindowAccount(closes_ms=int(closes), spent=Spend(gb_hours=gb, money=money))
            for text, (closes, gb, money) in body["windows"].items()
        },
    )


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in ("format_version", "kind")}
