"""Public market data over REST and the WebSocket API (rest-api.md, "General endpoints" and "Market Data endpoints")."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from thunes.errors import ExchangeError
from thunes.exchange.simulator import payloads, rules
from thunes.exchange.simulator.chart import DAY_MS, INTERVALS
from thunes.exchange.simulator.dispatch import Act, Call
from thunes.exchange.simulator.exchange import Exchange
from thunes.exchange.simulator.history import History
from thunes.exchange.simulator.params import SYMBOL, Params, not_valid
from thunes.exchange.simulator.store import ENDLESS, Span
from thunes.exchange.simulator.tables import MINUTE_MS
from thunes.messages import PublicTrade

ZERO = Decimal(0)
AVERAGE_MINUTES = 5


class MarketData:
    """The public endpoints of one exchange."""

    def __init__(self, exchange: Exchange, history: History) -> None:
        self._exchange = exchange
        self._parts = exchange.parts
        self._history = history

    def ping(self, _call: Call) -> Act:
        """`GET /api/v3/ping`."""
        return dict

    def time(self, _call: Call) -> Act:
        """`GET /api/v3/time`: wall time, which requests are signed with."""
        return lambda: {"serverTime": self._wall_ms()}

    def info(self, call: Call) -> Act:
        """`GET /api/v3/exchangeInfo`."""
        params = call.params
        names = self._names(params) or list(self._parts.served)
        show_sets = not params.has("showPermissionSets") or params.boolean("showPermissionSets")
        if params.has("permissions") and "SPOT" not in (params.text("permissions") or ""):
            names = []
        if params.text("symbolStatus") not in (None, "TRADING"):
            names = []

        def act() -> Any:
            entries = [dict(self._parts.served[name]) for name in names]
            if not show_sets:
                entries = [entry | {"permissionSets": []} for entry in entries]
            return rules.exchange_info(entries, self._parts.limits.rows(), self._wall_ms())

        return act

    def depth(self, call: Call) -> Act:
        """`GET /api/v3/depth`."""
        symbol = self._exchange.symbol(call.params)
        limit = call.params.limit(100, 5000)

        def act() -> Any:
            self._parts.market.settle_depth(symbol, self._parts.clock.now_ms())
            listing = self._parts.market.listings[symbol]
            return payloads.depth(listing.update_id, *listing.book.levels(limit))

        return act

    def trades(self, call: Call) -> Act:
        """`GET /api/v3/trades`."""
        symbol, limit = self._exchange.symbol(call.params), call.params.limit(500, 1000)
        return lambda: [payloads.public_trade(each) for each in self._newest(symbol, limit)]

    def old_trades(self, call: Call) -> Act:
        """`GET /api/v3/historicalTrades`: as far back as the tape is kept."""
        symbol, limit = self._exchange.symbol(call.params), call.params.limit(500, 1000)
        from_id = call.params.integer("fromId")

        def act() -> Any:
            found = self._newest(symbol, limit) if from_id is None else self._from(symbol, from_id, limit)
            return [payloads.public_trade(each) for each in found]

        return act

    def aggregates(self, call: Call) -> Act:
        """`GET /api/v3/aggTrades`."""
        symbol, limit = self._exchange.symbol(call.params), call.params.limit(500, 1000)
        from_id = call.params.integer("fromId")
        start, end = call.params.time_ms("startTime"), call.params.time_ms("endTime")
        if from_id is not None and (start is not None or end is not None):
            raise ExchangeError(-1128, "Combination of optional parameters invalid.")

        def act() -> Any:
            if from_id is not None:
                return [payloads.aggregate_trade(each) for each in self._from(symbol, from_id, limit)]
            tape = [t for t in self._tape(symbol) if (start or 0) <= t.time_ms <= (ENDLESS if end is None else end)]
            return [payloads.aggregate_trade(each) for each in (tape[-limit:] if start is None else tape[:limit])]

        return act

    def klines(self, call: Call) -> Act:
        """`GET /api/v3/klines`."""
        params = call.params
        symbol = self._exchange.symbol(params)
        interval = params.required("interval")
        if interval not in INTERVALS:
            raise ExchangeError(-1120, "Invalid interval.")
        if params.text("timeZone") not in (None, "0", "00", "0:00", "00:00", "+0:00", "+00:00", "-0:00", "-00:00"):
            raise not_valid("timeZone")
        start, end = params.time_ms("startTime"), params.time_ms("endTime")
        limit = params.limit(500, 1000)
        span = Span(start_ms=start or 0, end_ms=ENDLESS if end is None else end, limit=limit, newest=start is None)
        return lambda: [payloads.kline(bar) for bar in self._history.candles(symbol, interval, span)]

    def average(self, call: Call) -> Act:
        """`GET /api/v3/avgPrice`."""
        symbol = self._exchange.symbol(call.params)

        def act() -> Any:
            newest = self._newest(symbol, 1)
            closed_ms = newest[-1].time_ms if newest else self._parts.clock.now_ms()
            price = payloads.figure(self._parts.engine.average_price(symbol))
            return {"mins": AVERAGE_MINUTES, "price": price, "closeTime": closed_ms}

        return act

    def price(self, call: Call) -> Act:
        """`GET /api/v3/ticker/price`."""
        return self._tickers(call, lambda symbol: payloads.price_ticker(symbol, self._parts.engine.last_price(symbol)))

    def book(self, call: Call) -> Act:
        """`GET /api/v3/ticker/bookTicker`."""
        return self._tickers(call, lambda symbol: payloads.book_ticker(symbol, self._parts.engine.book(symbol)))

    def day(self, call: Call) -> Act:
        """`GET /api/v3/ticker/24hr`: over the last 1,440 minutes."""
        kind = call.params.text("type")
        if kind not in (None, "FULL", "MINI"):
            raise ExchangeError(-1139, "Invalid ticker type.")
        return self._tickers(call, lambda symbol: self._day(symbol, kind == "MINI"))

    def _day(self, symbol: str, mini: bool) -> dict[str, Any]:
        now_ms = self._parts.clock.now_ms()
        span = Span(start_ms=now_ms - DAY_MS, end_ms=now_ms, limit=DAY_MS // MINUTE_MS)
        newest = self._newest(symbol, 1)
        book = self._parts.engine.book(symbol)
        last = self._parts.engine.last_price(symbol)
        bars = self._history.minutes(symbol, span)
        return payloads.day_ticker(symbol, bars, (last, newest[-1].quantity if newest else ZERO), book, now_ms, mini)

    def _tickers(self, call: Call, ticker: Callable[[str], dict[str, Any]]) -> Act:
        """One object for `symbol`, else an array: of `symbols`, or of all."""
        if call.params.text("symbolStatus") not in (None, "TRADING", "HALT", "BREAK"):
            raise ExchangeError(-1122, "Invalid symbolStatus.")
        names = self._names(call.params)
        if call.params.has("symbol"):
            return lambda: ticker(names[0])
        return lambda: [ticker(name) for name in names or self._parts.served]

    def _names(self, params: Params) -> list[str]:
        """The symbols that were asked for; none stands for all. Raises ExchangeError -1121 or -1128."""
        if params.has("symbol") and params.has("symbols"):
            raise ExchangeError(-1128, "Combination of optional parameters invalid.")
        one = params.text("symbol", SYMBOL)
        names = [one] if one is not None else params.names("symbols") or []
        if any(name not in self._parts.served for name in names):
            raise ExchangeError(-1121, "Invalid symbol.")
        return names

    def _tape(self, symbol: str) -> list[PublicTrade]:
        return list(self._parts.market.listings[symbol].trades)

    def _newest(self, symbol: str, limit: int) -> list[PublicTrade]:
        return self._tape(symbol)[-limit:]

    def _from(self, symbol: str, from_id: int, limit: int) -> list[PublicTrade]:
        return [each for each in self._tape(symbol) if each.trade_id >= from_id][:limit]

    def _wall_ms(self) -> int:
        return int(self._parts.wall() * 1000)
