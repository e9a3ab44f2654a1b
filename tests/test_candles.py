"""Candles of trades, and candles of candles."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.candles import CandleBuilder, aggregate, interval_name, open_of
from thunes.domain.intervals import interval_ms
from thunes.messages import Candle, PublicTrade

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
NOON_MS = 1_735_732_800_000
"""2025-01-01T12:00:00Z, a Wednesday."""


def trade(offset_ms: int, price: str, quantity: str = "1", *, maker: bool = False) -> PublicTrade:
    return PublicTrade("BTCUSDT", offset_ms, Decimal(price), Decimal(quantity), NOON_MS + offset_ms, maker)


def candles_of(trades: list[PublicTrade], length_ms: int) -> list[Candle]:
    """Closed ones, and the one being formed."""
    builder = CandleBuilder("BTCUSDT", length_ms)
    closed = [candle for each in trades for candle in builder.add(each)]
    return [*closed, builder.current] if builder.current else closed


def test_a_candle_has_the_first_highest_lowest_and_last_price_of_its_minute() -> None:
    trades = [trade(0, "10", "1"), trade(10, "12", "2", maker=True), trade(20, "9", "3"), trade(59_999, "11", "4")]
    candle = candles_of([*trades, trade(60_000, "99")], MINUTE)[0]
    assert (candle.open, candle.high, candle.low, candle.close) == tuple(map(Decimal, ("10", "12", "9", "11")))
    assert (candle.volume, candle.quote_volume, candle.trades) == (Decimal(10), Decimal(105), 4)
    assert (candle.taker_base, candle.taker_quote) == (Decimal(8), Decimal(81))
    assert (candle.open_ms, candle.close_ms, candle.interval) == (NOON_MS, NOON_MS + 59_999, "1m")
    assert candle.closed


def test_a_minute_without_a_trade_is_flat_at_the_last_price() -> None:
    quiet = candles_of([trade(0, "10"), trade(1, "11"), trade(3 * MINUTE, "12")], MINUTE)[1:3]
    for minute, candle in enumerate(quiet, 1):
        assert {candle.open, candle.high, candle.low, candle.close} == {Decimal(11)}
        assert (candle.volume, candle.trades, candle.open_ms) == (Decimal(0), 0, NOON_MS + minute * MINUTE)


def test_the_candle_being_formed_is_not_closed_and_opens_with_its_first_trade() -> None:
    forming = candles_of([trade(0, "10"), trade(MINUTE + 5, "13")], MINUTE)[-1]
    assert not forming.closed
    assert (forming.open, forming.low) == (Decimal(13), Decimal(13))


def test_time_alone_closes_candles_once_a_price_is_known() -> None:
    builder = CandleBuilder("BTCUSDT", MINUTE)
    assert builder.current is None
    assert builder.advance(NOON_MS) == ()
    builder.begin(NOON_MS + 1, Decimal(7))
    assert builder.advance(NOON_MS + MINUTE - 1) == ()
    (closed,) = builder.advance(NOON_MS + MINUTE)
    assert (closed.close, closed.trades, closed.closed) == (Decimal(7), 0, True)


def test_a_known_price_does_not_replace_what_was_traded() -> None:
    builder = CandleBuilder("BTCUSDT", MINUTE)
    builder.add(trade(0, "10"))
    builder.begin(NOON_MS + 5, Decimal(99))
    assert builder.current is not None
    assert builder.current.close == Decimal(10)


def test_a_late_trade_counts_for_the_candle_being_formed() -> None:
    late = candles_of([trade(MINUTE, "10"), trade(MINUTE - 1, "12")], MINUTE)
    assert len(late) == 1
    assert (late[0].high, late[0].trades) == (Decimal(12), 2)


@pytest.mark.parametrize(
    "name", ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "3d", "1w"]
)
def test_an_interval_is_named_as_the_exchange_names_it(name: str) -> None:
    assert interval_name(interval_ms(name)) == name


@pytest.mark.parametrize("length_ms", [0, -1000, 1500])
def test_a_length_without_a_name_is_refused(length_ms: int) -> None:
    with pytest.raises(ValueError, match="has no name"):
        CandleBuilder("BTCUSDT", length_ms)


def test_weeks_begin_on_monday() -> None:
    monday_ms = NOON_MS - 12 * HOUR - 2 * DAY
    assert open_of(NOON_MS, 7 * DAY) == monday_ms
    assert open_of(monday_ms - 1, 7 * DAY) == monday_ms - 7 * DAY


TRADES = st.lists(
    st.tuples(st.integers(0, 3 * HOUR), st.integers(1, 500), st.integers(1, 1000), st.booleans()),
    min_size=1,
    max_size=60,
).map(lambda rows: [trade(at, str(price), str(size), maker=maker) for at, price, size, maker in sorted(rows)])


@given(trades=TRADES, length_ms=st.sampled_from([3 * MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR]))
def test_minutes_add_up_to_what_the_trades_make(trades: list[PublicTrade], length_ms: int) -> None:
    added_up = list(aggregate(candles_of(trades, MINUTE), length_ms))
    made = candles_of(trades, length_ms)
    # The builder's first candle begins with its interval, the minutes with the first trade's: the same trades.
    assert added_up == made


def test_a_longer_candle_is_closed_with_its_last_minute() -> None:
    minutes = candles_of([trade(minute * MINUTE, "10") for minute in range(6)], MINUTE)
    assert [candle.closed for candle in aggregate(minutes, 5 * MINUTE)] == [True, False]
    assert [candle.closed for candle in aggregate(minutes[:4], 5 * MINUTE)] == [False]


def test_candles_without_counts_add_up_by_their_volume() -> None:
    minutes = [replace(each, trades=0) for each in candles_of([trade(0, "10"), trade(MINUTE, "14")], MINUTE)]
    (whole,) = aggregate(minutes, 5 * MINUTE)
    assert (whole.high, whole.close, whole.volume) == (Decimal(14), Decimal(14), Decimal(2))


def test_candles_that_do_not_fit_into_longer_ones_are_refused() -> None:
    minutes = candles_of([trade(0, "10")], 3 * MINUTE)
    with pytest.raises(ValueError, match="do not add up to 5m"):
        list(aggregate(minutes, 5 * MINUTE))
