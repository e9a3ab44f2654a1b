"""What the exchange says is whole and in order, or it is said what is missing."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunes.domain.market import (
    Accepted,
    ExecutionReport,
    Fill,
    Gap,
    MarketGuard,
    OrderAnswer,
    Stale,
    order_status,
)
from thunes.exchange.frames import decode_market
from thunes.messages import Candle, OrderStatus, PublicTrade, Side, Tick

D = Decimal
MINUTE = 60_000
START = 1_700_000_040_000


def tick(update_id: int) -> Tick:
    return Tick("BTCUSDT", D(99), D(1), D(100), D(1), update_id, 0, 0)


def trade(trade_id: int, time_ms: int = START) -> PublicTrade:
    return PublicTrade("BTCUSDT", trade_id, D(100), D(1), time_ms, False)


def candle(open_ms: int) -> Candle:
    return Candle("BTCUSDT", "1m", open_ms, open_ms + MINUTE - 1, D(1), D(1), D(1), D(1), D(1))


@pytest.fixture
def guard() -> MarketGuard:
    return MarketGuard("BTCUSDT", "1m")


class TestTicks:
    def test_an_update_id_that_grows_is_accepted_whatever_the_step(self, guard: MarketGuard) -> None:
        assert [guard.tick(tick(u)) for u in (7, 8, 5_000)] == [Accepted(), Accepted(), Accepted()]

    @pytest.mark.parametrize("late", [6, 7])
    def test_an_older_or_repeated_update_is_stale_and_changes_nothing(self, guard: MarketGuard, late: int) -> None:
        guard.tick(tick(7))
        assert guard.tick(tick(late)) == Stale()
        assert guard.tick(tick(8)) == Accepted()

    def test_another_connection_may_number_its_updates_from_anywhere(self, guard: MarketGuard) -> None:
        guard.tick(tick(5_000))
        guard.reconnected()
        assert guard.tick(tick(3)) == Accepted()


class TestTrades:
    def test_the_first_trade_may_have_any_id(self, guard: MarketGuard) -> None:
        assert guard.trade(trade(3_735_683_259)) == Accepted()

    def test_contiguous_ids_are_accepted(self, guard: MarketGuard) -> None:
        assert [guard.trade(trade(n)) for n in (5, 6, 7)] == [Accepted()] * 3

    def test_a_gap_names_the_first_and_the_last_id_that_are_missing(self, guard: MarketGuard) -> None:
        guard.trade(trade(5))
        assert guard.trade(trade(9)) == Gap(6, 8)
        assert guard.trade(trade(10)) == Accepted()

    @pytest.mark.parametrize("late", [4, 5])
    def test_a_trade_seen_before_is_stale(self, guard: MarketGuard, late: int) -> None:
        guard.trade(trade(5))
        assert guard.trade(trade(late)) == Stale()

    def test_a_reconnection_forgives_no_missing_trade(self, guard: MarketGuard) -> None:
        guard.trade(trade(5))
        guard.reconnected()
        assert guard.trade(trade(7)) == Gap(6, 6)

    @given(st.lists(st.integers(1, 60), max_size=80))
    def test_what_was_accepted_and_what_is_missing_cover_every_id_once(self, ids: list[int]) -> None:
        guard = MarketGuard("BTCUSDT", "1m")
        covered: list[int] = []
        for number in ids:
            match guard.trade(trade(number)):
                case Gap(first, last):
                    covered += [*range(first, last + 1), number]
                case Accepted():
                    covered.append(number)
        assert covered == (list(range(ids[0], max(ids) + 1)) if ids else [])


class TestCandles:
    def test_candles_an_interval_apart_are_accepted(self, guard: MarketGuard) -> None:
        assert [guard.candle(candle(START + n * MINUTE)) for n in range(3)] == [Accepted()] * 3

    def test_a_gap_names_the_open_times_of_the_first_and_the_last_missing_candle(self, guard: MarketGuard) -> None:
        guard.candle(candle(START))
        assert guard.candle(candle(START + 4 * MINUTE)) == Gap(START + MINUTE, START + 3 * MINUTE)

    def test_a_candle_that_closes_twice_is_stale_the_second_time(self, guard: MarketGuard) -> None:
        guard.candle(candle(START))
        assert guard.candle(candle(START)) == Stale()
        assert guard.candle(candle(START - MINUTE)) == Stale()

    def test_the_next_candle_opens_an_interval_after_the_last(self) -> None:
        guard = MarketGuard("BTCUSDT", "15m")
        guard.candle(candle(START))
        assert guard.next_candle_ms == START + 15 * MINUTE


def test_market_time_is_the_newest_venue_time_seen(guard: MarketGuard) -> None:
    guard.trade(trade(1, START + 500))
    assert guard.market_ms == START + 500
    guard.trade(trade(2, START + 400))
    assert guard.market_ms == START + 500
    guard.candle(candle(START))
    assert guard.market_ms == START + MINUTE


def test_a_report_says_the_same_as_a_rest_answer() -> None:
    fill = Fill(9, D(100), D(1), D(100), D("0.1"), "USDT", START, False)
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "client_order_id": "a-1",
        "order_id": 5,
        "status": OrderStatus.PARTIALLY_FILLED,
        "side": Side.BUY,
        "order_type": "LIMIT",
        "quantity": D(2),
        "price": D(100),
        "executed": D(1),
        "cumulative_quote": D(100),
        "time_ms": START,
    }
    report = ExecutionReport(**fields, execution="TRADE", fill=fill)
    assert report.as_answer() == OrderAnswer(**fields, fills=(fill,))
    assert ExecutionReport(**fields, execution="NEW").as_answer() == OrderAnswer(**fields)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("NEW", OrderStatus.NEW),
        ("PENDING_NEW", OrderStatus.NEW),
        ("PARTIALLY_FILLED", OrderStatus.PARTIALLY_FILLED),
        ("FILLED", OrderStatus.FILLED),
        ("CANCELED", OrderStatus.CANCELED),
        ("PENDING_CANCEL", OrderStatus.NEW),
        ("REJECTED", OrderStatus.REJECTED),
        ("EXPIRED", OrderStatus.EXPIRED),
        ("EXPIRED_IN_MATCH", OrderStatus.EXPIRED),
    ],
)
def test_every_documented_status_is_known(word: str, status: OrderStatus) -> None:
    assert order_status(word) is status


def test_an_undocumented_status_is_an_error() -> None:
    with pytest.raises(ValueError, match="MAYBE"):
        order_status("MAYBE")


def recorded(folder: Path, symbol: str) -> Iterator[Tick | PublicTrade]:
    with gzip.open(folder / "binance-spot-capture" / f"{symbol}-2024-08-08.jsonl.gz", "rb") as lines:
        for line in lines:
            event = decode_market(line.partition(b" ")[2], received_ns=0, market_ms=0)
            if isinstance(event, Tick | PublicTrade):
                yield event


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_a_recording_without_a_loss_is_accepted_whole(shared_data: Path, symbol: str) -> None:
    guard = MarketGuard(symbol, "1m")
    verdicts = {
        type(guard.tick(event) if isinstance(event, Tick) else guard.trade(event))
        for event in recorded(shared_data, symbol)
    }
    assert verdicts == {Accepted}


def test_a_trade_cut_out_of_a_recording_is_named(shared_data: Path) -> None:
    trades = [event for event in recorded(shared_data, "ETHUSDT") if isinstance(event, PublicTrade)][:50]
    cut = trades.pop(20)
    guard = MarketGuard("ETHUSDT", "1m")
    gaps = [verdict for trade in trades if isinstance(verdict := guard.trade(trade), Gap)]
    assert gaps == [Gap(cut.trade_id, cut.trade_id)]
