"""Prices are data: read from a file, checked by name, and multiplied."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compactor.errors import SettingsError
from compactor.model.usage import Economy, Usage, usage_of
from compactor.prices import DEFAULT_PRICES, load_prices
from compactor.tables.delta.retention import retention_s

USAGE = Usage(input_bytes=6 * 10**9, output_bytes=4 * 10**9, read_requests=10_000, write_requests=1000, task_s=7200.0)


def test_the_default_list_prices_a_run() -> None:
    """By hand: 10,000 GETs, 1,000 PUTs, two hours of a CPU, 10 GB over a border, 6 GB held for ten days."""
    priced = Economy(prices=load_prices(None), crosses_regions=True, retention_s=10 * 86_400.0).priced(USAGE, held_bytes=6 * 10**9)
    cost = priced.cost
    assert cost is not None
    assert cost.requests == pytest.approx(0.004 + 0.005)
    assert cost.compute == pytest.approx(2 * 0.04048)
    assert cost.transfer == pytest.approx(10 * 0.02)
    assert cost.held_storage == pytest.approx(6 * 0.023 / 3)
    assert cost.total == pytest.approx(0.009 + 0.08096 + 0.2 + 0.046)


def test_one_region_moves_nothing_over_a_border() -> None:
    """Transfer is free where the bucket is."""
    priced = Economy(prices=load_prices(None)).priced(USAGE, held_bytes=0)
    assert priced.cost is not None
    assert (priced.cross_region_bytes, priced.cost.transfer, priced.cost.held_storage) == (0, 0.0, 0.0)


def test_without_prices_there_is_no_cost() -> None:
    """Unknown is not zero."""
    assert Economy().priced(USAGE, held_bytes=1).cost is None


def test_a_list_of_ones_own_replaces_the_default(tmp_path: Path) -> None:
    """A copy of the default with other numbers, as TOML or JSON."""
    body = {"name": "ours", "currency": "EUR", "get_per_1000": 1, "put_per_1000": 2, "storage_per_gb_month": 3}
    body |= {"cross_region_per_gb": 4, "vcpu_hour": 5}
    (tmp_path / "p.json").write_text(json.dumps(body))
    assert load_prices(str(tmp_path / "p.json")).vcpu_hour == 5
    (tmp_path / "p.toml").write_text(DEFAULT_PRICES.read_text().replace("USD", "EUR"))
    assert load_prices(str(tmp_path / "p.toml")).currency == "EUR"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ", "is not TOML"),
        ("gold_per_1000 = 1", "gold_per_1000: there is no such price"),
        ('name = "x"', "currency: this price is missing"),
        (DEFAULT_PRICES.read_text().replace("0.023", "-1"), "storage_per_gb_month: -1 is not a price of zero or more"),
        (DEFAULT_PRICES.read_text().replace("0.023", "nan"), "storage_per_gb_month: nan is not a price"),
        (DEFAULT_PRICES.read_text().replace("0.023", "true"), "storage_per_gb_month: True is not a price"),
        (DEFAULT_PRICES.read_text().replace('"USD"', "1"), "currency: 1 is not a text"),
    ],
)
def test_a_bad_list_is_named(tmp_path: Path, text: str, said: str) -> None:
    """One sentence with the file and the key."""
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(SettingsError, match=rf"p\.toml.*{said}"):
        load_prices(str(tmp_path / "p.toml"))


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    """No fallback to prices that nobody asked for."""
    with pytest.raises(SettingsError, match=r"none\.toml cannot be read"):
        load_prices(str(tmp_path / "none.toml"))


def test_usage_of_a_later_version_is_read() -> None:
    """Fields that are not known here are passed over."""
    assert usage_of({"requests": 3, "later": 1, "cost": None}) == Usage(requests=3)
    assert usage_of(None) is None


@pytest.mark.parametrize(
    ("text", "days"),
    [(None, 7), ("interval 1 week", 7), ("interval 30 days", 30), ("INTERVAL 48 HOURS", 2), ("interval 1 day 12 hours", 1.5), ("soon", 7)],
)
def test_retention_as_delta_spells_it(text: str | None, days: float) -> None:
    """Intervals of one or several units; a week when nothing is said."""
    properties = {} if text is None else {"delta.deletedFileRetentionDuration": text}
    assert retention_s(properties) == days * 86_400


def test_two_plans_of_one_run_take_the_sum_of_what_they_take() -> None:
    """A second plan within a run adds to what was predicted, but its peak is beside the first one's, not on top of it."""
    prices = load_prices(str(DEFAULT_PRICES))
    first = replace(USAGE, peak_memory_bytes=7, held_s=5.0, cost=prices.cost(USAGE))
    second = Usage(input_bytes=10, read_requests=1, peak_memory_bytes=9, held_s=2.0, cost=prices.cost(Usage(read_requests=1)))
    both = first.and_then(second)
    assert (both.input_bytes, both.read_requests, both.peak_memory_bytes, both.held_s) == (6 * 10**9 + 10, 10_001, 9, 5.0)
    assert both.cost is not None and first.cost is not None and second.cost is not None
    assert both.cost.total == pytest.approx(first.cost.total + second.cost.total)
    assert first.and_then(Usage()).cost == first.cost and Usage().and_then(first).cost == first.cost
