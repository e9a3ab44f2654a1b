"""The kline source: files of candles played as trades that add up to them."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.candles import CandleBuilder, aggregate
from tests.exchange import kline_tables
from tests.exchange.conftest import SHARED
from tests.exchange.kline_tables import (
    BASE_MS,
    DOWN,
    FLAT,
    HOUR_MS,
    MINUTE_MS,
    UP,
    Figures,
    candles_of,
    decimals,
    figures_of,
    line,
    opened,
    replayed,
    table,
)
from thunes.domain.orderbook import OrderBook
from thunes.errors import SourceError
from thunes.messages import BookChanged, Candle, MarketEvent, PublicTrade

KLINES = SHARED / "klines"
BOTH = ("BTCUSDT", "ETHUSDT")
published = pytest.mark.skipif(not KLINES.is_dir(), reason=f"{KLINES} with published candles is absent")

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return partial(kline_tables.write, tmp_path)


@pytest.mark.parametrize("seed", range(5))
def test_trades_add_up_to_exactly_the_candles(write: Write, seed: int) -> None:
    rows = [UP, DOWN, UP, (*FLAT[:4], "7")]
    assert replayed(write(table(*rows)), seed=seed) == [decimals(row) for row in rows]


PRICES = st.lists(st.integers(1, 10**7), min_size=4, max_size=4)
VOLUMES = st.decimals(min_value="0", max_value="1e9", places=8) | st.sampled_from(
    [Decimal(text) for text in ("0", "0.00000001", "0.00000003", "1", "5E+3", "92233720368")]
)


def as_figures(prices: list[int], volume: Decimal) -> tuple[str, ...]:
    opened_at, closed_at, *rest = (Decimal(price).scaleb(-2) for price in prices)
    every = (opened_at, closed_at, *rest)
    return tuple(map(str, (opened_at, max(every), min(every), closed_at, volume)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.builds(as_figures, PRICES, VOLUMES), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_any_candles_come_out_to_the_last_digit(write: Write, rows: list[tuple[str, ...]], seed: int) -> None:
    events = list(opened(write(table(*rows)), seed=seed).play())
    assert [figures_of(candle) for candle in candles_of(events)] == [decimals(row) for row in rows]
    assert all(event.time_ms <= later.time_ms for event, later in pairwise(events))


def test_nobody_trades_in_a_candle_without_volume(write: Write) -> None:
    still = ("99.00", "99.00", "99.00", "99.00", "0")
    events = list(opened(write(table(DOWN, still, still, DOWN))).play())
    quiet = range(BASE_MS + MINUTE_MS, BASE_MS + 3 * MINUTE_MS)
    assert not [event for event in events if isinstance(event, PublicTrade) and event.time_ms in quiet]
    assert [event for event in events if event.time_ms in quiet]
    assert [figures_of(candle) for candle in candles_of(events)] == [
        decimals(row) for row in (DOWN, still, still, DOWN)
    ]


def test_the_low_comes_first_in_a_candle_that_rises_and_the_high_in_one_that_falls(write: Write) -> None:
    def turns(figures: Figures) -> list[Decimal]:
        prices = [event.price for event in opened(write(table(figures))).play() if isinstance(event, PublicTrade)]
        return sorted({Decimal(figures[1]), Decimal(figures[2])}, key=prices.index)

    assert turns(UP) == [Decimal("99.50"), Decimal("100.90")]
    assert turns(DOWN) == [Decimal("101.00"), Decimal("98.00")]


def test_a_path_depends_on_the_seed_and_on_nothing_else(write: Write) -> None:
    path = write(table(UP, DOWN))
    assert list(opened(path, seed=3).play()) == list(opened(path, seed=3).play())
    assert list(opened(path, seed=3).play()) != list(opened(path, seed=4).play())


@pytest.mark.parametrize("figures", [UP, DOWN, ("0.02", "0.05", "0.01", "0.01", "9")])
def test_the_book_is_a_tick_wide_deep_and_stands_where_trades_are(write: Write, figures: Figures) -> None:
    book = OrderBook()
    for event in opened(write(table(figures, figures))).play():
        if isinstance(event, BookChanged):
            book.apply(event)
            assert book.best_bid is not None
            assert book.best_ask is not None
            assert book.best_ask[0] - book.best_bid[0] == Decimal("0.01")
            assert len(book.asks) >= 20
            assert book.best_ask[0] * book.best_ask[1] > 1000
        elif isinstance(event, PublicTrade):
            side = book.bids if event.buyer_is_maker else book.asks
            assert side.best == event.price


def test_there_are_several_trades_a_candle_with_numbers_that_go_up_by_one(write: Write) -> None:
    events = list(opened(write(table(UP, DOWN, UP))).play())
    trades = [event for event in events if isinstance(event, PublicTrade)]
    assert [trade.trade_id for trade in trades] == list(range(1, len(trades) + 1))
    assert all(8 <= candle.trades <= 20 for candle in candles_of(events))
    assert sum(isinstance(event, BookChanged) for event in events) < 3 * 30


def test_prices_finer_than_the_symbols_tick_are_played_as_they_are(write: Write) -> None:
    fine = ("100.0003", "100.0009", "99.9991", "100.0001", "5")
    assert replayed(write(table(fine))) == [decimals(fine)]


def test_longer_candles_are_played_over_their_whole_time(write: Write) -> None:
    path = write(table(UP, DOWN, length=HOUR_MS), name="BTCUSDT-1h-2021-06.csv")
    events = list(opened(path).play())
    assert [figures_of(each) for each in candles_of(events, length=HOUR_MS)] == [decimals(UP), decimals(DOWN)]
    minutes = candles_of(events)
    assert sum(candle.trades > 0 for candle in minutes) > 80
    assert [figures_of(candle) for candle in aggregate(minutes, HOUR_MS)] == [decimals(UP), decimals(DOWN)]


def test_the_interval_is_read_off_the_spacing_where_the_name_lacks_it(write: Write) -> None:
    path = write(table(UP, DOWN, length=HOUR_MS), name="BTCUSDT.csv")
    assert replayed(path, length=HOUR_MS) == [decimals(UP), decimals(DOWN)]


def test_the_market_begins_when_all_symbols_have_candles(write: Write, tmp_path: Path) -> None:
    write(table(UP, DOWN, UP))
    write(table(UP, base=BASE_MS + MINUTE_MS), name="ETHUSDT-1m.csv")
    source = opened(tmp_path, *BOTH)
    events = list(source.play())
    assert source.start_ms == BASE_MS + MINUTE_MS
    assert [figures_of(candle) for candle in candles_of(events)] == [decimals(DOWN), decimals(UP)]
    assert [(event.symbol, isinstance(event, BookChanged) and event.snapshot) for event in events[:2]] == [
        ("BTCUSDT", True),
        ("ETHUSDT", True),
    ]


def test_a_gap_in_time_is_flat(write: Write) -> None:
    rows = [line(BASE_MS, UP), line(BASE_MS + 3 * MINUTE_MS, UP)]
    assert [volume for *_, volume in replayed(write(rows))] == [Decimal(UP[4]), 0, 0, Decimal(UP[4])]


def taken_up_anywhere(path: Path, symbols: Sequence[str], whole: Sequence[MarketEvent], stops: Sequence[int]) -> None:
    source, ahead = opened(path, *symbols), 500
    for stop in stops:
        for _ in islice(source.play(), stop):
            pass
        before = max(stop, len(symbols))
        taken_up = list(islice(source.play(source.checkpoint()), len(symbols) + ahead))
        assert taken_up[len(symbols) :] == whole[before : before + ahead]
        books = {symbol: OrderBook() for symbol in symbols}
        for event in whole[:before]:
            if isinstance(event, BookChanged):
                books[event.symbol].apply(event)
        now_ms = whole[before - 1].time_ms
        expected = [BookChanged(symbol, now_ms, *book.levels(), True) for symbol, book in books.items()]
        assert taken_up[: len(symbols)] == expected


def test_a_market_is_taken_up_anywhere_as_if_it_had_not_stopped(write: Write, tmp_path: Path) -> None:
    still = ("99.00", "99.00", "99.00", "99.00", "0")
    write(table(UP, DOWN, still, still, DOWN, UP))
    write(table(UP, UP, DOWN, still, base=BASE_MS + MINUTE_MS), name="ETHUSDT-1m.csv")
    whole = list(opened(tmp_path, *BOTH).play())
    taken_up_anywhere(tmp_path, BOTH, whole, range(1, len(whole) + 1))


def test_a_checkpoint_of_another_source_is_refused(write: Write) -> None:
    source = opened(write(table(UP, UP)))
    for other in ("{}", "nonsense", opened(write(table(UP, UP)), seed=9).checkpoint()):
        with pytest.raises(SourceError, match="use a new --home"):
            list(source.play(other))


@published
@pytest.mark.parametrize("symbol", ["BTCUSDT", "DOGEUSDT"])
def test_published_candles_come_out_to_the_last_digit(symbol: str) -> None:
    with gzip.open(KLINES / f"{symbol}-1m-2021-06.csv.gz", "rt") as file:
        rows = [decimals(row.split(",")[1:6]) for row in islice(file, 2000)]
    builder, closed = CandleBuilder(symbol, MINUTE_MS), list[Candle]()
    for event in opened(KLINES, symbol).play():
        if isinstance(event, PublicTrade):
            closed += builder.add(event)
        if len(closed) >= len(rows):
            break
    assert [figures_of(candle) for candle in closed[: len(rows)]] == rows


@published
def test_published_candles_are_taken_up_anywhere() -> None:
    whole = list(islice(opened(KLINES, *BOTH).play(), 20_000))
    taken_up_anywhere(KLINES, BOTH, whole, sorted(Random(7).sample(range(19_000), 4)))
