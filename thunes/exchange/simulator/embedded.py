"""The embedded exchange, put together: `await Embedded.start(...)` in a running loop, then talk to it over loopback."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from thunes.domain.executions import Balance
from thunes.domain.matching import MatchingEngine
from thunes.errors import HomeInUse, OperatorError
from thunes.exchange.simulator import endpoints, rules
from thunes.exchange.simulator.api_keys import ApiKeys
from thunes.exchange.simulator.clock import MarketClock
from thunes.exchange.simulator.connections import ConnectionSettings
from thunes.exchange.simulator.dispatch import Credentials, Dispatcher
from thunes.exchange.simulator.exchange import Exchange, Fees, Parts
from thunes.exchange.simulator.history import History
from thunes.exchange.simulator.hub import Hub
from thunes.exchange.simulator.limits import Limits, LimitSettings
from thunes.exchange.simulator.market import Market
from thunes.exchange.simulator.market_data import MarketData
from thunes.exchange.simulator.player import Player
from thunes.exchange.simulator.server import HOST, Server
from thunes.exchange.simulator.signing import new_key
from thunes.exchange.simulator.source_protocol import SYNTHETIC, Source
from thunes.exchange.simulator.sources import open_source
from thunes.exchange.simulator.store import ENDLESS, Account, Span, Store
from thunes.exchange.simulator.trading import Trading
from thunes.exchange.simulator.ws_api import Accounts

ACCOUNT = "default"
QUOTE = "USDT"
CLIENT_ID_LENGTH = 22
KLINE_EVERY_WALL_S = 0.25
KLINE_EVERY_MARKET_S = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """What an embedded exchange plays, and how. `home` is the root of what it writes; `balance` is in USDT."""

    home: Path
    port: int = 0
    source: str = SYNTHETIC
    seed: int = 1
    speed: float | None = None
    """None: 60 for the synthetic market, 1 for a recording."""
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    trend: float = 1.0
    fee: Decimal = Decimal("0.001")
    balance: Decimal = Decimal(10_000)
    key_may_withdraw: bool = False
    """Whether the account's key says so of itself; nothing can be withdrawn here."""
    public_key: Ed25519PublicKey | None = None
    """The account's key is an Ed25519 one, registered with this; its secret then signs nothing."""
    limits: LimitSettings = field(default_factory=LimitSettings)
    connections: ConnectionSettings = field(default_factory=ConnectionSettings)

    @property
    def played_speed(self) -> float:
        if self.speed is not None:
            return self.speed
        return 60.0 if self.source == SYNTHETIC else 1.0

    def identity(self) -> dict[str, Any]:
        """What a database is bound to: a place in one market means nothing in another."""
        synthetic = self.source == SYNTHETIC
        return {
            "source": SYNTHETIC if synthetic else str(Path(self.source).resolve()),
            "seed": self.seed,
            "symbols": ",".join(self.symbols),
            **({"trend": self.trend} if synthetic else {}),
        }


def lock(home: Path) -> IO[str]:
    """Hold the exchange of this home until the file is closed. Raises HomeInUse while another process does."""
    folder = home / "data"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "exchange.lock").open("a+")
    except OSError as error:
        raise OperatorError(f"{folder} cannot be written ({error.strerror}): choose another --home") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise HomeInUse(
            f"{folder} is in use by another exchange (process {holder}): stop it or use another --home"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


class Embedded:
    """A running exchange with one account."""

    def __init__(self, options: Options, source: Source, wall: Callable[[], float]) -> None:
        self._options = options
        self._source = source
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Gets an exception when the database cannot be written: the exchange has to end then."""
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
        self.exchange = self._assemble(wall)
        self._history = History(self._store, self.exchange.parts.market, source.history, source.start_ms)
        parts = self.exchange.parts
        self._player = Player(source, self.exchange, parts.clock, parts.hub, self._loop.time)
        self._server = self._serve()
        self.playing: asyncio.Future[None] = self._loop.create_future()
        """Ends when the source does."""
        self._tending: asyncio.Future[None] = self.playing

    @classmethod
    async def start(cls, options: Options, wall: Callable[[], float]) -> Embedded:
        """Open the source, take up the market where it was left, listen, and play.

        Raises OperatorError for what a person has to mend, PortInUse where the port is taken.
        """
        served = rules.symbol_rules(rules.entries(options.symbols))
        source = open_source(
            options.source, symbols=options.symbols, seed=options.seed, trend=options.trend, rules=served
        )
        return await cls.play(options, source, wall)

    @classmethod
    async def play(cls, options: Options, source: Source, wall: Callable[[], float]) -> Embedded:
        """The same with a source that is open."""
        running = cls(options, source, wall)
        try:
            running._resume()
            await running._server.start(options.port)
        except BaseException:
            running._close()
            raise
        running.playing = asyncio.create_task(running._player.run())
        running._tending = asyncio.create_task(running._player.tend())
        return running

    async def stop(self) -> None:
        """Save the place, tell the clients, and end."""
        for task in (self.playing, self._tending):
            task.cancel()
            await asyncio.wait([task])
        if not self.failed.done():
            self.exchange.save()
            self.failed.cancel()
        await self._server.stop()
        self._close()

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
    def api_secret(self) -> str:
        """Empty where the account's key is an Ed25519 one, whose secret only its owner has."""
        return self.account.api_secret if self._options.public_key is None else ""

    def credentials(self, key: str) -> Credentials | None:
        """Whose key it is; None where nobody's."""
        if key != self.account.api_key:
            return None
        return Credentials(self.account.api_secret, self.account.name, self._options.public_key)

    # putting together

    def _open_account(self) -> Account:
        """The account, made with a fresh key at the first start."""
        account = self._store.account(ACCOUNT)
        if account is None:
            account = Account(ACCOUNT, new_key(), new_key())
            balances = {asset: Balance() for asset in (QUOTE, *rules.assets(rules.entries(self._options.symbols)))}
            balances[QUOTE] = Balance(self._options.balance)
            self._store.add_account(account, balances)
        return account

    def _assemble(self, wall: Callable[[], float]) -> Exchange:
        options, place = self._options, self._store.place()
        served = rules.entries(options.symbols)
        typed = rules.symbol_rules(served)
        engine = MatchingEngine(typed, maker_fee=options.fee, taker_fee=options.fee)
        start_ms = self._source.start_ms if place is None else place["market_ms"]
        clock = MarketClock(self._loop.time, options.played_speed, start_ms)
        hub = Hub()
        lockstep = options.played_speed == 0
        market = Market(
            {symbol: engine.book(symbol) for symbol in typed},
            hub,
            self._stored,
            (lambda: clock.now_ms() / 1000) if lockstep else self._loop.time,
            KLINE_EVERY_MARKET_S if lockstep else KLINE_EVERY_WALL_S,
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
                accounts=Accounts(),
                hub=hub,
                fees=Fees(options.fee, options.fee),
                wall=wall,
                new_id=lambda: new_key()[:CLIENT_ID_LENGTH],
                failed=self._fail,
            )
        )

    def _serve(self) -> Server:
        parts = self.exchange.parts
        keys = ApiKeys(int(parts.wall() * 1000), may_withdraw=self._options.key_may_withdraw)
        table = endpoints.rest(MarketData(self.exchange, self._history), Trading(self.exchange), keys)
        dispatcher = Dispatcher(self, parts.limits, parts.wall)
        methods = endpoints.by_method(table)
        return Server(dispatcher, table, methods, parts.hub, parts.accounts, self._options.connections)

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
            parts.engine.restore(orders, {ACCOUNT: balances}, *sequences)
        self._player.prime(parts.clock.now_ms())
        self.exchange.save()
