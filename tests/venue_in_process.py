"""A world for actors under test: the real tree, journal, books and matching engine, with the wire in process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.runtime.clock import RandomIds, SystemClock
from actors.runtime.post import Post
from actors.runtime.threads import Signal, ThreadTimers, run_loop, spawn, stack_of
from actors.simulated.answers import as_answer, as_fill
from actors.tree import plant, tree
from actors.wire import LiveWire
from actors.world import Identity, Ports, World
from thunes.alerts.alert import Alert, Level
from thunes.alerts.outbox import Outbox
from thunes.domain.executions import OrderRequest
from thunes.domain.figures import ExchangeFigures, MachineFigures
from thunes.domain.market import AccountBalances, Fill, OrderAnswer, OwnTrade
from thunes.domain.matching import MatchingEngine
from thunes.domain.symbol_rules import SymbolRules
from thunes.errors import KilledMeanwhile
from thunes.exchange.simulator import rules as simulator_rules
from thunes.messages import BookChanged, Candle, OrderType, PublicTrade, Record, Side, Tick
from thunes.settings import load
from thunes.storage.books import BooksStore
from thunes.storage.home import Home
from thunes.storage.journal import JournalFile, read_events
from thunes.strategies.base import Holding, Strategy, params_hash
from thunes.strategies.sma_crossover import SmaCrossover

ACCOUNT = "tester"
D = Decimal


def rules_of(*symbols: str) -> dict[str, SymbolRules]:
    return simulator_rules.symbol_rules(simulator_rules.entries(symbols))


@dataclass
class Venue:
    """The exchange in process: one matching engine behind one lock, as the real one is behind one loop."""

    rules: dict[str, SymbolRules]
    engine: MatchingEngine = field(init=False)
    lock: threading.Lock = field(default_factory=threading.Lock)
    before_place: Callable[[str], None] = lambda _client_order_id: None
    """Called with each order's id when it reaches the exchange: the place to raise, or to look at the disk."""
    after_place: Callable[[str], None] = lambda _client_order_id: None
    placed: list[str] = field(default_factory=list)
    fills: dict[int, list[Fill]] = field(default_factory=dict)
    trades: dict[tuple[str, int], OwnTrade] = field(default_factory=dict)
    now_ms: int = 1_735_689_600_000

    def __post_init__(self) -> None:
        self.engine = MatchingEngine(self.rules, maker_fee=D("0.001"), taker_fee=D("0.001"))
        self.engine.open_account(ACCOUNT, {"USDT": D(10_000), "BTC": D(0), "ETH": D(0)})
        for symbol, price in (("BTCUSDT", D(60_000)), ("ETHUSDT", D(2_600))):
            if symbol in self.rules:
                self.show_book(symbol, price)

    def show_book(self, symbol: str, price: Decimal) -> None:
        tick = self.rules[symbol].tick_size
        bids = tuple((price - tick * n, D(1_000)) for n in range(10))
        asks = tuple((price + tick * (n + 1), D(1_000)) for n in range(10))
        self.engine.market(BookChanged(symbol, self.now_ms, bids, asks, snapshot=True))

    def tick(self, symbol: str, update_id: int, received_ns: int) -> Tick:
        bid, ask = self.engine.book(symbol).best_bid, self.engine.book(symbol).best_ask
        assert bid is not None
        assert ask is not None
        return Tick(symbol, bid[0], bid[1], ask[0], ask[1], update_id, self.now_ms, received_ns)

    def totals(self) -> dict[str, Decimal]:
        with self.lock:
            return {asset: balance.total for asset, balance in self.engine.balances(ACCOUNT).items()}


class EngineRest:
    """The REST adapter's methods, straight on the engine."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    @property
    def figures(self) -> ExchangeFigures:
        return ExchangeFigures(0, 0.0)

    def sync_clock(self) -> None:
        """Both sides read one clock."""

    def klines(self, symbol: str, interval: str, *, limit: int, start_ms: int | None = None) -> tuple[Candle, ...]:
        return ()

    def trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[PublicTrade, ...]:
        return ()

    def account(self) -> AccountBalances:
        with self._venue.lock:
            return {a: (b.free, b.locked) for a, b in self._venue.engine.balances(ACCOUNT).items()}

    def open_orders(self, symbol: str | None = None) -> tuple[OrderAnswer, ...]:
        with self._venue.lock:
            return tuple(as_answer(order) for order in self._venue.engine.open_orders(ACCOUNT, symbol))

    def order(self, symbol: str, client_order_id: str) -> OrderAnswer:
        with self._venue.lock:
            return as_answer(self._venue.engine.order(ACCOUNT, symbol, client_order_id=client_order_id))

    def my_trades(
        self, symbol: str, *, order_id: int | None = None, from_id: int | None = None
    ) -> tuple[tuple[int, Fill], ...]:
        assert order_id is not None
        return tuple((order_id, fill) for fill in self._venue.fills.get(order_id, ()))

    def own_trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[OwnTrade, ...]:
        with self._venue.lock:
            found = [trade for (of, _), trade in sorted(self._venue.trades.items()) if of == symbol]
        return tuple(found[-limit:] if from_id is None else [t for t in found if t.fill.trade_id >= from_id][:limit])

    def order_by_id(self, symbol: str, order_id: int) -> OrderAnswer:
        with self._venue.lock:
            return as_answer(self._venue.engine.order(ACCOUNT, symbol, order_id=order_id))

    def place(
        self,
        *,
        symbol: str,
        side: Side,
        order_type: OrderType,
        quantity: Decimal,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
        client_order_id: str,
        unless: Callable[[], bool] | None = None,
    ) -> OrderAnswer:
        venue = self._venue
        venue.before_place(client_order_id)
        if unless is not None and unless():
            raise KilledMeanwhile(0, "Not sent: killed meanwhile.")
        request = OrderRequest(symbol, side, order_type, quantity, None, price, client_order_id=client_order_id)
        with venue.lock:
            executions = venue.engine.place(ACCOUNT, request, venue.now_ms)
            venue.placed.append(client_order_id)
            fills = tuple(as_fill(e.fill) for e in executions if e.fill is not None)
            venue.fills[executions[-1].order.order_id] = list(fills)
            order_id = executions[-1].order.order_id
            venue.trades |= {(symbol, fill.trade_id): OwnTrade(order_id, side, fill) for fill in fills}
            venue.show_book(symbol, D(60_000) if symbol == "BTCUSDT" else D(2_600))
        venue.after_place(client_order_id)
        return as_answer(executions[-1].order, fills)

    def cancel(self, symbol: str, client_order_id: str) -> OrderAnswer:
        with self._venue.lock:
            first, *_ = self._venue.engine.cancel(
                ACCOUNT, symbol, client_order_id=client_order_id, cancel_id="cancel", now_ms=self._venue.now_ms
            )
            return as_answer(first.order)


def cancel_open(venue: Venue, symbol: str) -> None:
    with venue.lock:
        if venue.engine.open_orders(ACCOUNT, symbol):
            venue.engine.cancel_all(ACCOUNT, symbol, venue.now_ms, "cancel")


class NoSocket:
    """A connection that opens and brings nothing: the test tells the actors what came."""

    def __init__(self, *_streams: Any, on_open: Callable[[], None], **_callbacks: Any) -> None:
        self._on_open = on_open

    def open(self) -> None:
        self._on_open()

    def close(self) -> None:
        """Nothing to close."""


class Idle(Strategy):
    """Wants nothing: the test is the strategy."""

    name = "idle"
    warmup = 0

    def on_candle(self, candle: Candle, holding: Holding | None) -> None:
        self.candles += 1


UNHINDERED = {
    "THUNES_RISK__COOL_DOWN": "0",
    "THUNES_RISK__MAX_ORDERS_PER_MINUTE": "1000000",
    "THUNES_RISK__MAX_DAILY_LOSS": "9000",
    "THUNES_RISK__STALE_AFTER": "3600",
}


class Nobody:
    """A messenger without anybody to tell."""

    chats: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    ignored = 0

    def start(self) -> None: ...
    def send(self, *_: Any) -> None: ...
    def stop(self) -> None: ...

    def wait(self, _seconds: float) -> bool:
        return False


def make_world(home: Path, venue: Venue, environ: dict[str, str] | None = None, **ports: Any) -> World:
    """A world on `venue` under `home`; `ports` replace single ways to the outside."""
    settings = load(environ=UNHINDERED if environ is None else environ, flags={"symbols": ",".join(venue.rules)})
    clock, place = SystemClock(), Home(home)
    place.prepare()
    post = Post(clock.monotonic_ns)
    database = f"sqlite:///{place.database}"
    doors = {
        "open_journal": lambda: JournalFile.open(place.logs, wall=clock.wall, git_sha="test"),
        "read_journal": lambda after: read_events(place.logs, after),
        "open_books": lambda: BooksStore(database),
        "rest": lambda: EngineRest(venue),
        "market_socket": NoSocket,
        "account_socket": NoSocket,
        "strategy": lambda symbol: Idle(symbol, Idle.parameters_type()),
        "wire": lambda world, name: LiveWire(world, name, world.ports.rest),
        "cancel_open": lambda symbol: cancel_open(venue, symbol),
        "machine_figures": lambda: MachineFigures(0, 0),
        "open_outbox": lambda: Outbox(place.outbox),
        "messenger": Nobody(),
        "summary": lambda began, ended: Alert(Level.INFO, f"SUMMARY {ended}", f"lines {began} to {ended}"),
        "exchange_figures": lambda: ExchangeFigures(0, 0.0),
    }
    return World(
        settings=settings,
        symbols=tuple(venue.rules),
        identity=Identity("0", "test", "homehome", "sim", params_hash(SmaCrossover.parameters_type())),
        home=place,
        rules=venue.rules,
        post=post,
        clock=clock,
        ids=RandomIds(),
        timers=ThreadTimers(clock, post.tell),
        ports=Ports(**{**doors, **ports}),
        start_loop=run_loop,
        spawn=spawn,
        stack_of=stack_of,
        chance=lambda: 0.5,
        log=logging.getLogger("thunes.test"),
    )


@dataclass
class Running:
    """The tree alive in this process."""

    world: World
    venue: Venue
    ready: Signal
    ended: Signal

    def tell(self, name: str, message: Any) -> None:
        self.world.post.tell(name, message)

    def figures(self, name: str) -> Any:
        return self.world.board.figures.get(name)

    def show_ticks(self, update_id: int = 1) -> None:
        for symbol in self.world.symbols:
            self.tell("risk", self.venue.tick(symbol, update_id, self.world.clock.monotonic_ns()))

    def stop(self) -> str:
        from actors.protocol import Shutdown

        if not self.ended.is_set():
            self.tell("supervisor", Shutdown())
        assert self.ended.wait(10), "the tree did not stop"
        self.world.timers.stop()  # type: ignore[attr-defined]
        return str(self.ended.value or "")


def start(world: World, venue: Venue) -> Running:
    """Plant the tree and wait until it is synced with the venue."""
    opening = {"opening_balances": dict(venue.totals()), "opening_trades": dict.fromkeys(world.symbols, 0)}
    birth = Record("SYSTEM_STARTED", metadata=opening)
    ready, ended = plant(world, tree(world.symbols), birth)
    return Running(world, venue, ready, ended)
