"""The synthetic market: the same for the same seed, shaped like a real one, and lively enough to be traded on."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from itertools import islice, pairwise, takewhile
from math import log
from random import Random
from statistics import fmean, median, pstdev

import orjson
import pytest

from tests.candles import CandleBuilder
from thunes.domain.orderbook import OrderBook
from thunes.errors import SourceError
from thunes.exchange.simulator.rules import entries, symbol_rules, table
from thunes.exchange.simulator.sources import Source, open_source
from thunes.messages import BookChanged, Candle, MarketEvent, PublicTrade, TopChanged

BOTH = ("BTCUSDT", "ETHUSDT")
MINUTE_MS, SECOND_MS = 60_000, 1_000
TICK = Decimal("0.01")


def opened(seed: int = 1, symbols: Sequence[str] = BOTH, trend: float = 1.0) -> Source:
    rules = symbol_rules(entries(symbols))
    return open_source("synthetic", symbols=symbols, seed=seed, trend=trend, rules=rules)


def first_minutes(source: Source, minutes: int) -> list[MarketEvent]:
    end_ms = source.start_ms + minutes * MINUTE_MS
    return list(takewhile(lambda event: event.time_ms < end_ms, source.play()))


def candles_of(events: Sequence[MarketEvent], symbol: str) -> list[Candle]:
    """Those that closed."""
    builder = CandleBuilder(symbol, MINUTE_MS)
    trades = (event for event in events if isinstance(event, PublicTrade) and event.symbol == symbol)
    return [candle for trade in trades for candle in builder.add(trade)]


def test_equal_seeds_make_equal_markets_and_others_do_not() -> None:
    assert first_minutes(opened(3), 2) == first_minutes(opened(3), 2)
    assert first_minutes(opened(3), 2) != first_minutes(opened(4), 2)


def test_a_symbol_goes_the_same_way_whoever_else_is_traded() -> None:
    alone = first_minutes(opened(symbols=("ETHUSDT",)), 3)
    beside = [event for event in first_minutes(opened(), 3) if event.symbol == "ETHUSDT"]
    assert alone == beside


def test_time_never_goes_back_and_trade_numbers_go_up_by_one() -> None:
    events = first_minutes(opened(), 30)
    assert all(event.time_ms <= later.time_ms for event, later in pairwise(events))
    for symbol in BOTH:
        numbers = [event.trade_id for event in events if isinstance(event, PublicTrade) and event.symbol == symbol]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_market_is_taken_up_anywhere_as_if_it_had_not_stopped() -> None:
    source = opened()
    whole = list(islice(source.play(), 6_000))
    for stop in (1, 2, 3, *Random(2).sample(range(4, 5_000), 6)):
        for _ in islice(source.play(), stop):
            pass
        place = source.checkpoint()
        assert len(place) < 1_000
        before = max(stop, 2)
        first, second, *later = islice(source.play(place), 902)
        assert later == whole[before : before + 900]
        books = {symbol: OrderBook() for symbol in BOTH}
        for event in whole[:before]:
            if isinstance(event, BookChanged):
                books[event.symbol].apply(event)
        for event in (first, second):
            assert isinstance(event, BookChanged)
            assert event == BookChanged(event.symbol, event.time_ms, *books[event.symbol].levels(), True)
            assert whole[before - 1].time_ms >= event.time_ms > whole[before - 1].time_ms - MINUTE_MS


def test_an_empty_checkpoint_is_the_beginning() -> None:
    assert next(iter(opened().play(""))) == next(iter(opened().play()))


@pytest.mark.parametrize("place", ["nonsense", "{}", orjson.dumps({"source": "klines"}).decode()])
def test_a_checkpoint_of_another_source_is_refused(place: str) -> None:
    with pytest.raises(SourceError):
        next(iter(opened().play(place)))


def kurtosis(values: Sequence[float]) -> float:
    """Of a normal distribution it is 3."""
    mean = fmean(values)
    return fmean((each - mean) ** 4 for each in values) / fmean((each - mean) ** 2 for each in values) ** 2


def autocorrelation(values: Sequence[float]) -> float:
    """At lag 1."""
    mean = fmean(values)
    joint = sum((each - mean) * (later - mean) for each, later in pairwise(values))
    return joint / sum((each - mean) ** 2 for each in values)


HOURS = 4
SEEDS = range(1, 6)


@cache
def second_mids(seed: int, symbol: str) -> tuple[tuple[float, ...], float]:
    """The middle of the book at the end of each second of some hours, and the share of seconds a tick wide."""
    source = opened(seed, (symbol,))
    book, mids, narrow, second_ms = OrderBook(), list[float](), 0, source.start_ms + SECOND_MS
    for event in first_minutes(source, HOURS * 60):
        while event.time_ms >= second_ms:
            assert book.best_bid is not None
            assert book.best_ask is not None
            bid, ask = book.best_bid[0], book.best_ask[0]
            mids.append(float(bid + ask) / 2)
            narrow += ask - bid == TICK
            second_ms += SECOND_MS
        if not isinstance(event, PublicTrade):
            book.apply(event)
    return tuple(mids), narrow / len(mids)


def returns(prices: Sequence[float]) -> list[float]:
    return [log(later / price) for price, later in pairwise(prices)]


@pytest.mark.parametrize("symbol", BOTH)
@pytest.mark.parametrize("seed", SEEDS)
def test_returns_over_a_second_have_fat_tails_and_the_spread_is_mostly_a_tick(seed: int, symbol: str) -> None:
    mids, narrow = second_mids(seed, symbol)
    assert 5 < kurtosis(returns(mids)) < 60
    assert 0.8 <= narrow <= 0.95


def test_large_moves_follow_large_moves() -> None:
    sizes = [[abs(each) for each in returns(second_mids(seed, symbol)[0][::60])] for seed in SEEDS for symbol in BOTH]
    assert median(autocorrelation(each) for each in sizes) > 0.2
    assert sum(autocorrelation(each) > 0.15 for each in sizes) >= 0.7 * len(sizes)


@pytest.mark.parametrize("symbol", BOTH)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_days_volatility_is_plausible(seed: int, symbol: str) -> None:
    minutes = returns(second_mids(seed, symbol)[0][::60])
    assert 0.02 < pstdev(minutes) * 1440**0.5 < 0.12
    assert max(map(abs, minutes)) < 0.02


def test_symbols_go_their_own_ways() -> None:
    first, second = (returns(second_mids(1, symbol)[0][::60]) for symbol in BOTH)
    means = fmean(first), fmean(second)
    joint = fmean((one - means[0]) * (other - means[1]) for one, other in zip(first, second, strict=True))
    assert abs(joint / pstdev(first) / pstdev(second)) < 0.25


def test_the_book_is_deep_and_every_trade_meets_its_best_price() -> None:
    books = {symbol: OrderBook() for symbol in BOTH}
    for event in first_minutes(opened(), 30):
        book = books[event.symbol]
        if isinstance(event, PublicTrade):
            assert (book.bids if event.buyer_is_maker else book.asks).best == event.price
            continue
        assert not isinstance(event, TopChanged)
        book.apply(event)
        assert 20 <= len(book.bids) <= 40
        assert 20 <= len(book.asks) <= 40
        assert book.best_ask is not None
        assert book.best_ask[0] * book.best_ask[1] > 2_000


def test_somebody_trades_every_minute_and_the_book_changes_once_or_twice_a_second() -> None:
    events = first_minutes(opened(), 60)
    for symbol in BOTH:
        assert all(candle.trades > 0 for candle in candles_of(events, symbol))
        changes = sum(isinstance(event, BookChanged) and event.symbol == symbol for event in events)
        assert 1 <= changes / 3600 <= 2


@pytest.mark.parametrize("symbol", tuple(table()))
def test_every_symbol_of_the_exchange_has_a_market(symbol: str) -> None:
    source = opened(symbols=(symbol,))
    rules = symbol_rules(entries((symbol,)))[symbol]
    book = OrderBook()
    for event in first_minutes(source, 2):
        if isinstance(event, BookChanged):
            book.apply(event)
        elif isinstance(event, PublicTrade):
            assert event.price % rules.tick_size == 0
            assert event.quantity % rules.step_size == 0
            assert event.quantity > 0
    assert book.best_bid is not None
    assert book.best_bid[0] >= 100 * rules.tick_size


def test_history_is_a_thousand_minutes_without_a_gap_that_end_where_the_market_begins() -> None:
    source = opened()
    history = source.history("BTCUSDT", source.start_ms, 1_000)
    assert len(history) == 1_000
    assert history[-1].close_ms == source.start_ms - 1
    assert all(candle.close_ms + 1 == later.open_ms for candle, later in pairwise(history))
    assert all(candle.low <= min(candle.open, candle.close) for candle in history)
    assert all(candle.high >= max(candle.open, candle.close) for candle in history)
    assert all(candle.closed and candle.trades > 0 and candle.volume > 0 for candle in history)
    opening = candles_of(first_minutes(source, 2), "BTCUSDT")[0].open
    assert abs(opening / history[-1].close - 1) < Decimal("0.005")


def test_history_is_cut_by_time_and_number() -> None:
    source = opened()
    history = source.history("ETHUSDT", source.start_ms, 50)
    assert source.history("ETHUSDT", source.start_ms + 5 * MINUTE_MS, 50) == history
    assert source.history("ETHUSDT", source.start_ms - 20 * MINUTE_MS, 30) == history[:30]
    assert source.history("ETHUSDT", source.start_ms - 20 * MINUTE_MS + 1, 1) == history[30:31]
    assert source.history("ETHUSDT", 0, 50) == ()


class Crossover:
    """Averages of 10 and 50 closes with an RSI of 14 below 70 to buy, and a stop 2 % below the entry."""

    def __init__(self) -> None:
        self.closes: list[float] = []
        self.gain = self.loss = 0.0
        self.entry: float | None = None
        self.stopped = False
        self.round_trips = 0

    def above(self) -> bool:
        return fmean(self.closes[-10:]) > fmean(self.closes[-50:])

    def close(self, price: float, trading: bool) -> None:
        ready, before = len(self.closes) >= 50, len(self.closes) >= 50 and self.above()
        if self.closes:
            change = price - self.closes[-1]
            self.gain += (max(change, 0.0) - self.gain) / min(len(self.closes), 14)
            self.loss += (max(-change, 0.0) - self.loss) / min(len(self.closes), 14)
        self.closes.append(price)
        if not (ready and trading) or before == self.above():
            return
        if not before and self.entry is None and 100 * self.gain / (self.gain + self.loss) < 70:
            self.entry = price
        elif before and self.entry is not None:
            self.sell()

    def bid(self, price: float) -> None:
        if self.entry is not None and price <= self.entry * 0.98:
            self.stopped = True
            self.sell()

    def sell(self) -> None:
        self.entry = None
        self.round_trips += 1


def traded(seed: int, symbol: str, minutes: int) -> Crossover:
    """The strategy after so many minutes of market."""
    source, strategy = opened(seed, (symbol,)), Crossover()
    for candle in source.history(symbol, source.start_ms, 200):
        strategy.close(float(candle.close), trading=False)
    builder, book = CandleBuilder(symbol, MINUTE_MS), OrderBook()
    for event in first_minutes(source, minutes + 1):
        closed = builder.advance(event.time_ms)
        for candle in closed:
            strategy.close(float(candle.close), trading=True)
        if len(strategy.closes) == 200 + minutes:
            break
        if isinstance(event, PublicTrade):
            builder.add(event)
        else:
            book.apply(event)
            assert book.best_bid is not None
            strategy.bid(float(book.best_bid[0]))
    return strategy


def test_a_crossover_strategy_buys_and_sells_within_fifty_minutes_whatever_the_seed() -> None:
    runs = {seed: [traded(seed, symbol, 50) for symbol in BOTH] for seed in range(1, 11)}
    round_trips = {seed: sum(run.round_trips for run in of_seed) for seed, of_seed in runs.items()}
    assert min(round_trips.values()) >= 1, round_trips
    assert median(round_trips.values()) > 1
    assert not any(run.stopped for of_seed in runs.values() for run in of_seed)


def test_without_a_trend_the_market_drifts_less() -> None:
    def swing(trend: float) -> float:
        spans = []
        for seed in range(1, 9):
            source = opened(seed, ("BTCUSDT",), trend)
            closes = [float(each.close) for each in source.history("BTCUSDT", source.start_ms, 1_000)]
            averages = [fmean(closes[at : at + 10]) for at in range(0, 1_000, 10)]
            spans.append(pstdev(returns(averages)))
        return fmean(spans)

    assert swing(0.0) < 0.8 * swing(1.0) < 0.8 * swing(3.0)
