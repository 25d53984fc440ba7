"""Windows: when they are open, on whose clock, and what is no window."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactor.errors import UsageError
from compactor.service.windows import open_left_s, opens_in_s, parse_window

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("window", "now", "left_h"),
    [
        ("0 1 * * * for 5h", "2026-03-02T00:59", 0),
        ("0 1 * * * for 5h", "2026-03-02T01:00", 5),
        ("0 1 * * * for 5h", "2026-03-02T05:30", 0.5),
        ("0 1 * * * for 5h", "2026-03-02T06:00", 0),
        ("0 22 * * * for 4h", "2026-03-02T00:30", 1.5),
        ("0 22 * * fri for 60h", "2026-03-09T09:00", 1),  # from Friday evening into Monday
        ("0 */6 * * * for 1h", "2026-03-02T12:15", 0.75),
        ("30 1-3/2 * * * for 30m", "2026-03-02T03:45", 0.25),
        ("0 0 1,15 * * for 24h", "2026-03-15T12:00", 12),
        ("0 0 1 * mon for 24h", "2026-03-02T12:00", 12),  # a Monday that is not the first: either day suffices
        ("0 0 1 * mon for 24h", "2026-03-03T12:00", 0),
        ("0 0 * mar 7 for 24h", "2026-03-01T12:00", 12),  # Sunday is 7 too
        ("0 0 * * * for 24h", "2026-03-02T12:00", 12),
    ],
)
def test_how_long_a_window_stays_open(window: str, now: str, left_h: float) -> None:
    """From its opening for its length, over midnight too; the moment at which it closes is closed."""
    assert parse_window(window).left_s(at(now)) == pytest.approx(left_h * 3600)


@pytest.mark.parametrize(
    ("now", "left_min"),
    [
        ("2026-03-29T01:59:00+01:00", 0),
        ("2026-03-29T03:29:00+02:00", 0),
        ("2026-03-29T03:30:00+02:00", 60),  # 02:30 does not exist that night: it opens when it would have been
        ("2026-10-25T02:30:00+02:00", 60),
        ("2026-10-25T02:30:00+01:00", 0),  # the second 02:30 of that night opens nothing
        ("2026-07-01T02:45:00+02:00", 45),
        ("2026-12-01T02:45:00+01:00", 45),
    ],
)
def test_clocks_that_jump(now: str, left_min: float) -> None:
    """A window opens once a day by the wall clock of its zone, whatever the clock does, and is open for its length in real time."""
    window = parse_window("30 2 * * * for 1h in Europe/Berlin")
    assert window.left_s(int(datetime.fromisoformat(now).timestamp() * 1000)) == pytest.approx(left_min * 60)


def test_when_it_opens_next() -> None:
    """Zero while it is open, else until the next opening; none when there is none."""
    window = parse_window("0 1 * * * for 1h in Europe/Berlin")
    assert window.opens_in_s(at("2026-03-02T01:30", "Europe/Berlin")) == 0
    assert window.opens_in_s(at("2026-03-02T23:00", "Europe/Berlin")) == 2 * 3600
    assert parse_window("0 0 29 feb * for 1h").opens_in_s(at("2026-03-01T00:00")) == (date(2028, 2, 29) - date(2026, 3, 1)).total_seconds()
    assert parse_window("0 0 31 feb * for 1h").opens_in_s(at("2026-03-01T00:00")) is None


def test_several_windows() -> None:
    """The widest that is open counts; no window at all is always open."""
    windows = [parse_window("0 1 * * * for 2h"), parse_window("0 2 * * * for 3h")]
    assert open_left_s(windows, at("2026-03-02T02:00")) == 3 * 3600
    assert opens_in_s(windows, at("2026-03-02T00:00")) == 3600
    assert (open_left_s([], 0), opens_in_s([], 0)) == (float("inf"), 0.0)


@settings(max_examples=200, deadline=None)
@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    length=st.integers(1, 48 * 60),
    now_min=st.integers(29_454_960, 30_500_000),
)
def test_against_counting_the_minutes(hour: int, minute: int, length: int, now_min: int) -> None:
    """A daily window is open exactly when the wall clock showed its minute within its length before."""
    window = parse_window(f"{minute} {hour} * * * for {length}m in America/Sao_Paulo")  # its clock does not jump any more
    now = datetime.fromtimestamp(now_min * 60, UTC)
    zone = ZoneInfo("America/Sao_Paulo")
    ago = next(
        (n for n in range(length) if (lambda t: (t.hour, t.minute) == (hour, minute))((now - timedelta(minutes=n)).astimezone(zone))), None
    )
    assert window.left_s(int(now.timestamp() * 1000)) == pytest.approx(0 if ago is None else (length - ago) * 60)


@pytest.mark.parametrize(
    "text",
    [
        *("", "0 1 * * *", "0 1 * * for 5h", "60 1 * * * for 5h", "0 24 * * * for 5h", "0 1 0 * * for 5h", "0 1 * 13 * for 5h"),
        *("0 1 * * 8 for 5h", "0 5-1 * * * for 5h", "0 1 * * * for 30s", "0 1 * * * for 8d", "0 1 * * * for 5h in Mars/Olympus"),
        *("0 */0 * * * for 5h", "0 -1 * * * for 5h", "a 1 * * * for 5h", "0 1 * * * for 5h in ../../etc/passwd", "² 1 * * * for 5h"),
    ],
)
def test_what_is_no_window(text: str) -> None:
    """It is said what is wrong; nothing is guessed."""
    with pytest.raises(UsageError):
        parse_window(text)
