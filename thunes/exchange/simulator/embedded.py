"""The embedded exchange, put together: `await Embedded.start(...)` in a running loop, then talk to it over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

from thunes.domain.executions import Balance
from thunes.domain.matching import MatchingEngine
from thunes.exchange.simulator import endpoints, rules
from thunes.exchange.simulator.api_keys import ApiKeys
from thunes.exchange.simulator.clock import MarketClock
from thunes.exchange.simulator.control import Control
from thunes.exchange.simulator.dispatch import Credentials, Dispatcher
from thunes.exchange.simulator.exchange import Exchange, Parts
from thunes.exchange.simulator.exchange_lock import lock
from thunes.exchange.simulator.faults import Faults
from thunes.exchange.simulator.history import History
from thunes.exchange.simulator.hub import Hub
from thunes.exchange.simulator.latency import Latency
from thunes.exchange.simulator.limits import Limits
from thunes.exchange.simulator.list_trading import ListTrading
from thunes.exchange.simulator.live_player import LivePlayer
from thunes.exchange.simulator.live_source import LiveSource
from thunes.exchange.simulator.loopback import HOST
from thunes.exchange.simulator.market import Market
from thunes.exchange.simulator.market_data import MarketData
from thunes.exchange.simulator.methods import REQUESTS
from thunes.exchange.simulator.metrics import MetricsPort
from thunes.exchange.simulator.options import Options
from thunes.exchange.simulator.player import Player
from thunes.exchange.simulator.random_faults import befall, schedule
from thunes.exchange.simulator.server import Server
from thunes.exchange.simulator.signing import new_key
from thunes.exchange.simulator.source_protocol import LIVE, Source
from thunes.exchange.simulator.sources import open_source
from thunes.exchange.simulator.store import ENDLESS, Account, Span, Store
from thunes.exchange.simulator.trading import Trading
from thunes.exchange.simulator.ws_api import Accounts

__all__ = ["Embedded", "Options"]

ACCOUNT = "default"
QUOTE = "USDT"
CLIENT_ID_LENGTH = 22
KLINE_EVERY_WALL_S = 0.25
KLINE_EVERY_MARKET_S = 2.0


async def close(source: Source | LiveSource) -> None:
    """Let go of what a source holds; only a live one holds something."""
    if isinstance(source, LiveSource):
        await source.close()


class Embedded:
    """A running exchange with one account."""

    def __init__(self, options: Options, source: Source | LiveSource, wall: Callable[[], float]) -> None:
        self._options = options
        self._source = source
        self._entries = source.served if isinstance(source, LiveSource) else rules.entries(options.symbols)
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Gets an exception when the database cannot be written: the exchange has to end then."""
        self.faults = Faults(self._loop.time, REQUESTS, options.symbols)
        for name, values in options.trouble.faults:
            self.faults.arm(name, values)
        self._lock = lock(options.home)
        try:
            self._store = Store(options.home / "data" / "exchange.db")
        except BaseException:
            self._lock.close()
            raise
        try:
            self._store.claim(options.identity())
        except BaseException:
            self._store.close()
            self._lock.close()
            raise
        self.account = self._open_account()
        self.exchange = self._assemble(lambda: wall() + self.faults.offset_s())
        self._history = History(self._store, self.exchange.parts.market, source.history, source.start_ms)
        parts = self.exchange.parts
        self._player = (
            LivePlayer(source, self.exchange, self._loop.time)
            if isinstance(source, LiveSource)
            else Player(source, self.exchange, parts.clock, parts.hub, self._loop.time)
        )
        self._server = self._serve()
        self._control = Control(self.faults, self.state)
        self._metrics = MetricsPort(self.state)
        self.playing: asyncio.Future[None] = self._loop.create_future()
        """Ends when the source does."""
        self._beside: tuple[asyncio.Future[None], ...] = ()
        """What runs beside the playing of the source."""

    @classmethod
    async def start(cls, options: Options, wall: Callable[[], float]) -> Embedded:
        """Open the source, take up the market where it was left, listen, and play.

        Raises OperatorError for what a person has to mend, PortInUse where the port is taken, NetworkError where a live
        market cannot be reached.
        """
        if options.source == LIVE:
            return await cls.play(options, await LiveSource.open(options.live, options.symbols), wall)
        served = rules.symbol_rules(rules.entries(options.symbols))
        source = open_source(
            options.source, symbols=options.symbols, seed=options.seed, trend=options.trend, rules=served
        )
        return await cls.play(options, source, wall)

    @classmethod
    async def play(cls, options: Options, source: Source | LiveSource, wall: Callable[[], float]) -> Embedded:
        """The same with a source that is open; it is closed with the exchange."""
        try:
            running = cls(options, source, wall)
            try:
                running._resume()
                await running._listen()
            except BaseException:
                running._close()
                raise
        except BaseException:
            await close(source)
            raise
        running.playing = asyncio.create_task(running._player.run())
        running._beside = (asyncio.create_task(running._player.tend()),)
        if (trouble := options.trouble).rate:
            coming = schedule(Random(trouble.seed), trouble.rate, options.symbols)
            running._beside += (asyncio.create_task(befall(running.faults, coming)),)
        return running

    async def stop(self) -> None:
        """Save the place, tell the clients, and end."""
        for task in (self.playing, *self._beside):
            task.cancel()
            await asyncio.wait([task])
        if not self.failed.done():
            self.exchange.save()
            self.failed.cancel()
        await self._stop_listening()
        await close(self._source)
        self._close()

    async def _listen(self) -> None:
        options = self._options
        await self._server.start(options.port)
        try:
            if options.trouble.control_port is not None:
                await self._control.start(options.trouble.control_port)
            if options.metrics_port is not None:
                await self._metrics.start(options.metrics_port)
        except BaseException:
            await self._stop_listening()
            raise

    async def _stop_listening(self) -> None:
        for port in (self._metrics, self._control, self._server):
            await port.stop()

    def _close(self) -> None:
        self._store.close()
        self._lock.close()

    @property
    def rest(self) -> str:
        return f"http://{HOST}:{self._server.port}"

    @property
    def stream(self) -> str:
        return f"ws://{HOST}:{self._server.port}"

    @property
    def ws_api(self) -> str:
        return f"{self.stream}/ws-api/v3"

    @property
    def control(self) -> str:
        """Where faults are armed; empty where nowhere."""
        return "" if self._options.trouble.control_port is None else self._control.url

    @property
    def metrics(self) -> str:
        """Where Prometheus may read; empty where nowhere."""
        return "" if self._options.metrics_port is None else self._metrics.url

    @property
    def api_secret(self) -> str:
        """Empty where the account's key is an Ed25519 one, whose secret only its owner has."""
        return self.account.api_secret if self._options.public_key is None else ""

    def credentials(self, key: str) -> Credentials | None:
        """Whose key it is; None where nobody's."""
        if key != self.account.api_key:
            return None
        return Credentials(self.account.api_secret, self.account.name, self._options.public_key)

    def state(self) -> dict[str, Any]:
        """What the control endpoint says of the exchange, and what its metrics are made of."""
        parts, links = self.exchange.parts, self._server.links
        return {
            "market_ms": parts.clock.now_ms(),
            "wall_ms": int(parts.wall() * 1000),
            "connections": {streams: links.count(streams) for streams in ("market", "account")},
            "account_subscriptions": parts.accounts.listening(ACCOUNT),
            "orders": parts.engine.dump().next_order_id - 1,
            "orders_open": len(parts.engine.open_orders(ACCOUNT)),
            "requests": dict(self._server.answered),
            "faults_fired": self.faults.fired_total,
            "held": self.faults.holding(),
            "source_ended": self.playing.done(),
        }

    # putting together

    def _open_account(self) -> Account:
        """The account, made with a fresh key at the first start."""
        account = self._store.account(ACCOUNT)
        if account is None:
            account = Account(ACCOUNT, new_key(), new_key())
            balances = {asset: Balance() for asset in (QUOTE, *rules.assets(self._entries))}
            balances[QUOTE] = Balance(self._options.balance)
            self._store.add_account(account, balances)
        return account

    def _assemble(self, wall: Callable[[], float]) -> Exchange:
        options, place, fees = self._options, self._store.place(), self._options.fees
        served = self._entries
        typed = rules.symbol_rules(served)
        share = options.queue_ahead
        engine = MatchingEngine(typed, maker_fee=fees.maker, taker_fee=fees.taker, queue_share=share)
        start_ms = self._source.start_ms if place is None else place["market_ms"]
        clock = MarketClock(self._loop.time, options.played_speed, start_ms)
        hub = Hub(self.faults)
        lockstep = options.played_speed == 0
        market = Market(
            {symbol: engine.book(symbol) for symbol in typed},
            hub,
            self._stored,
            (lambda: clock.now_ms() / 1000) if lockstep else self._loop.time,
            KLINE_EVERY_MARKET_S if lockstep else KLINE_EVERY_WALL_S,
            counts=not isinstance(self._source, LiveSource),
        )
        return Exchange(
            Parts(
                served=served,
                rules=typed,
                engine=engine,
                market=market,
                clock=clock,
                store=self._store,
                limits=Limits(options.limits),
                accounts=Accounts(self.faults),
                hub=hub,
                fees=fees,
                wall=wall,
                new_id=lambda: new_key()[:CLIENT_ID_LENGTH],
                failed=self._fail,
            )
        )

    def _serve(self) -> Server:
        parts = self.exchange.parts
        keys = ApiKeys(int(parts.wall() * 1000), may_withdraw=self._options.key_may_withdraw)
        trading = Trading(self.exchange)
        lists = ListTrading(self.exchange, trading)
        table = endpoints.rest(MarketData(self.exchange, self._history), trading, lists, keys)
        dispatcher = Dispatcher(self, parts.limits, parts.wall)
        methods, connections, delay = endpoints.by_method(table), self._options.connections, self._options.delay
        median_s = delay.median_s if self._options.played_speed else 0.0
        latency = Latency(median_s, delay.spread, Random(delay.seed))
        return Server(dispatcher, table, methods, parts.hub, parts.accounts, connections, self.faults, latency)

    def _stored(self, symbol: str, start_ms: int, end_ms: int) -> list[Any]:
        return self._store.bars(symbol, Span(start_ms=start_ms, end_ms=end_ms, limit=ENDLESS, newest=False))

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)

    # taking up

    def _resume(self) -> None:
        """Bring back what the last run left, then the books that the source goes on with."""
        parts, place = self.exchange.parts, self._store.place()
        balances = self._store.balances(ACCOUNT)
        for symbol, listing in parts.market.listings.items():
            trades = self._store.trades(symbol)
            for trade in trades:
                parts.engine.market(trade)
            if place is not None:
                listing.resume(place["listings"][symbol], trades)
                continue
            for candle in self._source.history(symbol, self._source.start_ms, 1):
                listing.chart.begin(self._source.start_ms, candle.close)
        if place is None:
            parts.engine.open_account(ACCOUNT, {asset: balance.free for asset, balance in balances.items()})
        else:
            self.exchange.checkpoint = place["checkpoint"]
            queues = place["queues"]
            orders = [
                replace(order, queue_ahead=Decimal(queues.get(str(order.order_id), "0")))
                for order in self._store.open_orders()
            ]
            sequences = place["next_order_id"], place["next_trade_id"], place["next_execution_id"]
            lists, next_list_id = self._store.open_lists(), place.get("next_list_id", 0)
            parts.engine.restore(orders, {ACCOUNT: balances}, *sequences, lists, next_list_id)
        self._player.prime(parts.clock.now_ms())
        self.exchange.save()
