"""Candles: which interval a moment is in, and how minutes become longer candles."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.conftest import START_MS, trade
from thunes.exchange.simulator.chart import INTERVALS, Chart, added_up, as_json, bucket, from_json
from thunes.exchange.simulator.tables import MINUTE_MS, Bar
from thunes.messages import PublicTrade


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("interval", "first", "next_first"),
    [
        ("1m", "2024-02-29T13:47", "2024-02-29T13:48"),
        ("15m", "2024-02-29T13:45", "2024-02-29T14:00"),
        ("4h", "2024-02-29T12:00", "2024-02-29T16:00"),
        ("1d", "2024-02-29T00:00", "2024-03-01T00:00"),
        ("1w", "2024-02-26T00:00", "2024-03-04T00:00"),
        ("1M", "2024-02-01T00:00", "2024-03-01T00:00"),
    ],
)
def test_an_interval_is_aligned_to_utc_weeks_to_monday_and_months_to_the_first(
    interval: str, first: str, next_first: str
) -> None:
    assert bucket(interval, ms("2024-02-29T13:47:31")) == (ms(first), ms(next_first) - 1)


@given(st.sampled_from(INTERVALS), st.integers(0, 4_102_444_800_000))
def test_intervals_hold_their_moments_and_follow_one_another(interval: str, moment: int) -> None:
    first, last = bucket(interval, moment)
    assert first <= moment <= last
    assert bucket(interval, last + 1)[0] == last + 1
    assert bucket(interval, first) == (first, last)


def minutes_of(trades: list[PublicTrade], count: int) -> list[Bar]:
    """Closed minutes from START_MS on."""
    chart, bars = Chart("BTCUSDT"), []
    chart.begin(START_MS, Decimal(100))
    for number in range(count):
        for each in trades:
            if (each.time_ms - START_MS) // MINUTE_MS == number:
                chart.add(each)
        closed = chart.close()
        assert closed is not None
        bars.append(closed)
    return bars


TRADES = st.lists(
    st.tuples(st.integers(0, 9 * MINUTE_MS), st.integers(1, 10**6), st.integers(1, 10**6), st.booleans()), max_size=40
)


@given(TRADES)
def test_a_longer_candle_is_what_its_trades_make_it(drawn: list[tuple[int, int, int, bool]]) -> None:
    """The reference is written from the trades alone, without minutes."""
    trades = [
        trade(number, str(Decimal(price) / 100), str(Decimal(quantity) / 1000), START_MS + at, maker=maker)
        for number, (at, price, quantity, maker) in enumerate(sorted(drawn), 1)
    ]
    for bar in added_up(minutes_of(trades, 10), "5m"):
        candle = bar.candle
        inside = [each for each in trades if candle.open_ms <= each.time_ms <= candle.close_ms]
        assert candle.trades == len(inside)
        assert candle.volume == sum((each.quantity for each in inside), Decimal(0))
        assert candle.quote_volume == sum((each.price * each.quantity for each in inside), Decimal(0))
        taken = [each for each in inside if not each.buyer_is_maker]
        assert candle.taker_base == sum((each.quantity for each in taken), Decimal(0))
        before = [each.price for each in trades if each.time_ms < candle.open_ms][-1:] or [Decimal(100)]
        prices = [each.price for each in inside] or before
        assert (candle.open, candle.high, candle.low, candle.close) == (prices[0], max(prices), min(prices), prices[-1])
        ids = [each.trade_id for each in inside] or [-1]
        assert (bar.first_id, bar.last_id) == (ids[0], ids[-1])


def test_a_candle_is_closed_only_with_its_last_minute() -> None:
    bars = minutes_of([], 12)
    closed = {bar.candle.open_ms: bar.candle.closed for bar in added_up(bars, "5m")}
    last_ms = bars[-1].candle.close_ms
    assert closed == {first: bucket("5m", first)[1] <= last_ms for first in closed}
    assert set(closed.values()) == {True, False}


def test_a_forming_minute_survives_as_json() -> None:
    chart = Chart("BTCUSDT")
    chart.add(trade(7, "100.01", "0.5", START_MS + 5))
    assert chart.forming is not None
    assert from_json("BTCUSDT", as_json(chart.forming)) == chart.forming
