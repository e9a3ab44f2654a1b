"""Weight, order counts and bans, at chosen wall times."""

from __future__ import annotations

import pytest

from thunes.errors import ExchangeError
from thunes.exchange.simulator.limits import AddressLimits, LimitSettings, OrderCounts, Window

NOON = 1_700_000_040.0  # a multiple of 60 s, so that windows start here


def refusal(action: object, *arguments: object) -> ExchangeError:
    assert callable(action)
    with pytest.raises(ExchangeError) as caught:
        action(*arguments)
    return caught.value


def test_a_window_starts_again_at_multiples_of_its_period() -> None:
    window = Window(10, 50)
    window.add(NOON + 9.9, 7)
    assert window.count(NOON + 9.99) == 7
    assert window.count(NOON + 10.0) == 0


def test_weight_over_the_limit_is_429_with_the_seconds_until_the_next_minute() -> None:
    address = AddressLimits(LimitSettings(weight_per_minute=10))
    address.charge(NOON, 10)
    error = refusal(address.charge, NOON + 20, 1)
    assert (error.code, error.status, error.retry_after) == (-1003, 429, 40)
    assert "current limit is 10 request weight per 1 MINUTE" in error.message
    address.charge(NOON + 60, 10)


def test_an_address_that_does_not_back_off_is_banned_and_longer_each_time() -> None:
    address = AddressLimits(LimitSettings(weight_per_minute=1, refusals_before_ban=2))
    address.charge(NOON, 1)
    for _ in range(2):
        assert refusal(address.charge, NOON, 1).status == 429
    first = refusal(address.charge, NOON, 1)
    assert (first.status, first.retry_after) == (418, 120)
    assert f"IP banned until {int((NOON + 120) * 1000)}" in first.message
    assert refusal(address.charge, NOON + 119, 0).status == 418
    later = NOON + 120
    address.charge(later, 1)
    for _ in range(2):
        refusal(address.charge, later, 1)
    assert refusal(address.charge, later, 1).retry_after == 240


def test_raw_requests_are_limited_whatever_they_weigh() -> None:
    address = AddressLimits(LimitSettings(raw_requests_per_5m=2))
    address.charge(NOON, 0)
    address.charge(NOON, 0)
    assert refusal(address.charge, NOON, 0).message == "Too many requests queued."


def test_connections_of_an_address_are_limited() -> None:
    address = AddressLimits(LimitSettings(connections_per_5m=1))
    address.connect(NOON, 2)
    assert refusal(address.connect, NOON, 2).code == -1034


def test_the_eleventh_order_of_ten_is_refused_with_the_limit_named() -> None:
    counts = OrderCounts(LimitSettings(orders_per_10s=10))
    for _ in range(10):
        counts.check(NOON)
        counts.placed(NOON)
    error = refusal(counts.check, NOON + 4)
    assert (error.code, error.status, error.retry_after) == (-1015, 429, 6)
    assert error.message == "Too many new orders; current limit is 10 orders per 10 SECOND."
    counts.check(NOON + 10)


def test_the_first_fill_gives_back_one_order_to_a_taker_and_more_to_a_maker() -> None:
    counts = OrderCounts(LimitSettings())
    for _ in range(7):
        counts.placed(NOON)
    counts.first_fill(NOON, maker=False)
    assert counts.ten_seconds.count(NOON) == 6
    counts.first_fill(NOON, maker=True)
    assert counts.ten_seconds.count(NOON) == 1
    counts.first_fill(NOON, maker=True)
    assert [row["count"] for row in counts.rows(NOON)] == [0, 0]
