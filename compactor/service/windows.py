"""Windows of time in which tables may be compacted: `30 1 * * mon-fri for 4h in Europe/Berlin`. Pure; the caller says what time it is.

A window opens at each minute of the cron expression, on the wall clock of its zone, and stays open for its length in real time. Where the
clock jumps forward over an opening it opens by the offset from before the jump; where an hour comes twice it opens at the first of the two.
Five fields as cron(5) has them: minute, hour, day of month, month, day of week (0 and 7 are Sunday, names are understood); of the two kinds
of days either suffices when both are restricted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from compactor.errors import UsageError
from compactor.units import parse_seconds

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_S = 7 * 86_400.0
_SEARCHED_DAYS = 5 * 366
"""How far ahead an opening is looked for: the 29th of February comes within it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When it opens, for how long, and on whose clock. `text`: as it was written."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    length_s: float
    zone: str

    def left_s(self, now_ms: int) -> float:
        """Seconds until it closes; 0 while it is closed. Openings that overlap are one."""
        zone = _zone(self.zone)
        since = now_ms / 1000 - self.length_s
        first = datetime.fromtimestamp(since, zone).date() - timedelta(days=1)  # an opening may be moved into the next day
        last = datetime.fromtimestamp(now_ms / 1000, zone).date()
        open_until = 0.0
        for day in _from(first, (last - first).days + 1):
            for opening_s in self._openings(day, zone):
                if since < opening_s <= now_ms / 1000:
                    open_until = max(open_until, opening_s + self.length_s)
        return max(0.0, open_until - now_ms / 1000)

    def opens_in_s(self, now_ms: int) -> float | None:
        """Seconds until it opens next, from now on; 0 while it is open; None when it does not open within five years."""
        if self.left_s(now_ms) > 0:
            return 0.0
        zone = _zone(self.zone)
        today = datetime.fromtimestamp(now_ms / 1000, zone).date()
        for day in _from(today - timedelta(days=1), _SEARCHED_DAYS):
            ahead = [opening_s for opening_s in self._openings(day, zone) if opening_s >= now_ms / 1000]
            if ahead:
                return min(ahead) - now_ms / 1000
        return None

    def _openings(self, day: date, zone: ZoneInfo) -> Iterator[float]:
        """Seconds since the epoch of the openings of a day."""
        if day.month not in self.months or not self._on(day):
            return
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                yield datetime.combine(day, clock_time(hour, minute), zone).astimezone(UTC).timestamp()

    def _on(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.either_day else in_month and in_week


def open_left_s(windows: Iterable[Window], now_ms: int) -> float:
    """Seconds for which any of the windows stays open; 0 when all are closed, infinite when there are none to keep to."""
    windows = tuple(windows)
    return max(window.left_s(now_ms) for window in windows) if windows else float("inf")


def opens_in_s(windows: Iterable[Window], now_ms: int) -> float | None:
    """Seconds until the first of the windows is open; 0 when one is or there are none; None when none ever opens."""
    windows = tuple(windows)
    if not windows:
        return 0.0
    return min((left for window in windows if (left := window.opens_in_s(now_ms)) is not None), default=None)


@lru_cache(maxsize=4096)
def parse_window(text: str) -> Window:
    """A window from `MINUTE HOUR DAY MONTH WEEKDAY for TIME [in ZONE]`; UTC unless a zone is named. Raises UsageError."""
    cron, marked, rest = text.partition(" for ")
    length, _, zone = rest.partition(" in ")
    fields = cron.split()
    if not marked or len(fields) != 5:
        raise UsageError(f'"{text}" is not a window such as "0 1 * * * for 5h in Europe/Berlin".')
    length_s = parse_seconds(length.strip())
    if not 60 <= length_s <= _LONGEST_S:
        raise UsageError(f'"{text}": a window is open for between 1m and 7d.')
    zone = zone.strip() or "UTC"
    _zone(zone)
    minutes, hours, days, months, weekdays = fields
    return Window(
        text=text,
        minutes=_field(minutes, 0, 59, ()),
        hours=_field(hours, 0, 23, ()),
        days=_field(days, 1, 31, ()),
        months=_field(months, 1, 12, _MONTHS),
        weekdays=frozenset(day % 7 for day in _field(weekdays, 0, 7, _DAYS)),
        either_day=not days.startswith("*") and not weekdays.startswith("*"),
        length_s=length_s,
        zone=zone,
    )


def _field(text: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    """The values of one field: lists of `*`, `n` and `n-m`, each with `/step` if need be."""
    values: set[int] = set()
    for part in text.split(","):
        span, stepped, step = part.partition("/")
        first, ranged, last = span.partition("-")
        begin = low if span == "*" else _value(first, low, high, names)
        end = high if span == "*" or (stepped and not ranged) else _value(last, low, high, names) if ranged else begin
        every = _value(step, 1, high, ()) if stepped else 1
        if end < begin:
            raise UsageError(f'"{part}" ends before it begins.')
        values.update(range(begin, end + 1, every))
    return frozenset(values)


def _value(text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + (1 if names is _MONTHS else 0)
    if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
        raise UsageError(f'"{text}" is not between {low} and {high}, as its place in a cron expression asks.')
    return int(text)


def _from(first: date, days: int) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range(days))


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f'"{name}" is not a time zone such as "Europe/Berlin".') from None
