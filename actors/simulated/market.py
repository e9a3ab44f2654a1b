"""The public market of a simulated exchange: a seeded walk of the best prices, told as the exchange's own frames.

A market second is 1/60 of a virtual one. Every price is a multiple of the tick size, the spread is one tick.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random

from actors.runtime.simulation import EPOCH, Scheduler
from actors.simulated.faults import Faults
from thunes.domain.executions import Execution
from thunes.domain.filters import round_down
from thunes.domain.matching import MatchingEngine
from thunes.domain.symbol_rules import SymbolRules
from thunes.messages import BookChanged, Candle, PublicTrade

SPEED = 60
UPDATE_SECONDS = 0.08
MINUTE_MS = 60_000
LEVELS = 4
DEEP, THIN_QUOTE = Decimal(100), Decimal("2.3")
"""What a level of the book displays: in base asset, or, when the book is thin, worth this."""
PRICES = {"BTCUSDT": Decimal(60_000), "ETHUSDT": Decimal(2_600)}
LONGEST_STEP = 0.0008
"""How far the price moves at most between two updates, as a fraction."""
TRADES_KEPT = 5_000


class Socket:
    """One connection of one actor. Frames arrive in order; while it is deaf they are lost, and nobody says so."""

    def __init__(
        self,
        scheduler: Scheduler,
        sockets: list[Socket],
        on_open: Callable[[], None],
        on_frame: Callable[[bytes, int], None],
        on_close: Callable[[str], None],
    ) -> None:
        self._scheduler = scheduler
        self._sockets = sockets
        self._on_open = on_open
        self._on_frame = on_frame
        self._on_close = on_close
        self.is_open = False
        self.deaf_until_ns = 0

    def open(self) -> None:
        self._scheduler.effect()
        self._sockets.append(self)
        self._scheduler.call_in(0.002, self._opened)

    def _opened(self) -> None:
        if self in self._sockets:
            self.is_open = True
            self._on_open()

    def close(self) -> None:
        self.is_open = False
        if self in self._sockets:
            self._sockets.remove(self)

    def send(self, frame: bytes) -> None:
        now_ns = self._scheduler.clock.now_ns
        if self.is_open and now_ns >= self.deaf_until_ns:
            self._on_frame(frame, now_ns)

    def drop(self, why: str) -> None:
        """The other side is gone."""
        if self.is_open:
            self.close()
            self._on_close(why)


class SymbolMarket:
    """One symbol's prices, trades and candles, since the beginning.

    `matched` is told what the market did to orders that rest.
    """

    def __init__(
        self,
        rules: SymbolRules,
        engine: MatchingEngine,
        scheduler: Scheduler,
        faults: Callable[[], Faults],
        matched: Callable[[Sequence[Execution]], object],
        seed: str,
    ) -> None:
        self.symbol = rules.symbol
        self.sockets: list[Socket] = []
        self.candles: list[Candle] = []
        self.trades: list[PublicTrade] = []
        self._rules = rules
        self._engine = engine
        self._scheduler = scheduler
        self._faults = faults
        self._matched = matched
        self._random = Random(f"market {seed} {rules.symbol}")
        self._ticks = int(PRICES[rules.symbol] / rules.tick_size)
        self._update_id = 0
        self._trade_id = 0
        self._open_ms = self.now_ms() // MINUTE_MS * MINUTE_MS
        self._path: list[Decimal] = []
        self._volume = Decimal(0)
        self.update()

    def now_ms(self) -> int:
        return int(EPOCH.timestamp()) * 1000 + self._scheduler.clock.now_ns * SPEED // 1_000_000

    def update(self) -> None:
        """The best prices move; sometimes somebody trades; a minute may close."""
        rng, now_ms = self._random, self.now_ms()
        self._ticks = max(100, self._ticks + int(self._ticks * LONGEST_STEP * (2 * rng.random() - 1)))
        tick = self._rules.tick_size
        bid, ask = self._ticks * tick, (self._ticks + 1) * tick
        depth = DEEP
        if rng.random() < self._faults().thin_book:
            depth = round_down(THIN_QUOTE / bid, self._rules.step_size)
        bids = tuple((bid - n * tick, depth) for n in range(LEVELS))
        asks = tuple((ask + n * tick, depth) for n in range(LEVELS))
        self._matched(self._engine.market(BookChanged(self.symbol, now_ms, bids, asks, snapshot=True)))
        self._update_id += 1
        self._close_minutes(now_ms)
        self._path.append(bid)
        self._send(
            f'{{"stream":"{self.symbol.lower()}@bookTicker","data":{{"u":{self._update_id},"s":"{self.symbol}",'
            f'"b":"{bid}","B":"{depth}","a":"{ask}","A":"{depth}"}}}}'
        )
        if self._update_id % 4 == 0:
            self._trade(bid, now_ms)

    def _trade(self, price: Decimal, now_ms: int) -> None:
        self._trade_id += 1
        trade = PublicTrade(self.symbol, self._trade_id, price, Decimal("0.01"), now_ms, buyer_is_maker=True)
        self.trades.append(trade)
        del self.trades[:-TRADES_KEPT]
        self._matched(self._engine.market(trade))
        self._volume += trade.quantity
        self._send(
            f'{{"stream":"{self.symbol.lower()}@trade","data":{{"e":"trade","E":{now_ms},"s":"{self.symbol}",'
            f'"t":{trade.trade_id},"p":"{price}","q":"{trade.quantity}","T":{now_ms},"m":true}}}}'
        )

    def _close_minutes(self, now_ms: int) -> None:
        while now_ms >= self._open_ms + MINUTE_MS:
            path = self._path or [self.candles[-1].close if self.candles else PRICES[self.symbol]]
            candle = Candle(
                self.symbol, "1m", self._open_ms, self._open_ms + MINUTE_MS - 1,
                path[0], max(path), min(path), path[-1], self._volume,
            )  # fmt: skip
            self.candles.append(candle)
            self._open_ms += MINUTE_MS
            self._path, self._volume = [path[-1]], Decimal(0)
            self._send(_kline(candle))

    def _send(self, frame: str) -> None:
        data = frame.encode()
        for socket in list(self.sockets):
            socket.send(data)


def _kline(c: Candle) -> str:
    return (
        f'{{"stream":"{c.symbol.lower()}@kline_1m","data":{{"e":"kline","E":{c.close_ms + 1},"s":"{c.symbol}","k":{{'
        f'"t":{c.open_ms},"T":{c.close_ms},"s":"{c.symbol}","i":"1m","o":"{c.open}","c":"{c.close}","h":"{c.high}",'
        f'"l":"{c.low}","v":"{c.volume}","n":1,"x":true,"q":"0","V":"0","Q":"0"}}}}}}'
    )
