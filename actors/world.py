"""What every actor is handed: the post, the clocks, the settings, and the ways to the outside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from actors.protocol import WireReply
from actors.runtime.clock import Clock, Ids
from actors.runtime.post import Post
from thunes.alerts.alert import Alert, Due, Level
from thunes.domain.books import Books
from thunes.domain.figures import ExchangeFigures, MachineFigures
from thunes.domain.filters import SymbolRules
from thunes.domain.journal import AuditEvent
from thunes.domain.market import AccountBalances, Fill, OrderAnswer, OwnTrade
from thunes.domain.orders import OrderState
from thunes.messages import Candle, OrderType, PublicTrade, Record, Side
from thunes.settings import Settings
from thunes.strategies.base import Strategy

if TYPE_CHECKING:
    from actors.runtime.actor import Actor


class Timers(Protocol):
    """Messages in wall time; a timer is known by its (name, key), and setting it again moves it."""

    def after(self, seconds: float, name: str, key: str, message: Any) -> None: ...
    def cancel(self, name: str, key: str) -> None: ...


class Rest(Protocol):
    """What actors read of the exchange on the spot (`thunes.exchange.binance.BinanceRest`). One for each thread."""

    def klines(self, symbol: str, interval: str, *, limit: int, start_ms: int | None = None) -> tuple[Candle, ...]: ...
    def trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[PublicTrade, ...]: ...
    def account(self) -> AccountBalances: ...
    def open_orders(self, symbol: str | None = None) -> tuple[OrderAnswer, ...]: ...
    def own_trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[OwnTrade, ...]: ...
    def order_by_id(self, symbol: str, order_id: int) -> OrderAnswer: ...
    def sync_clock(self) -> None: ...
    @property
    def figures(self) -> ExchangeFigures: ...


class TradingRest(Rest, Protocol):
    """What a live wire does over REST besides."""

    def order(self, symbol: str, client_order_id: str) -> OrderAnswer: ...
    def my_trades(
        self, symbol: str, *, order_id: int | None = None, from_id: int | None = None
    ) -> tuple[tuple[int, Fill], ...]: ...
    def place(
        self,
        *,
        symbol: str,
        side: Side,
        order_type: OrderType,
        quantity: Any,
        price: Any = None,
        stop_price: Any = None,
        client_order_id: str,
        unless: Callable[[], bool] | None = None,
    ) -> OrderAnswer: ...
    def place_oco(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        *,
        take_profit: Decimal,
        stop_price: Decimal,
        stop_limit: Decimal,
        list_id: str,
        take_profit_id: str,
        stop_id: str,
    ) -> tuple[OrderAnswer, OrderAnswer]: ...
    def cancel(self, symbol: str, client_order_id: str) -> OrderAnswer: ...


class KillMarker(Protocol):
    """The kill switch as a mark on the disk (`thunes.storage.home.Home`)."""

    def write_kill(self, reason: str, source: str, since: str) -> None: ...
    def clear_kill(self) -> None: ...
    def kill_active(self) -> bool: ...
    def kill_reason(self) -> str: ...


class Journal(Protocol):
    """The journal as its one owner writes it (`thunes.storage.journal.JournalFile`)."""

    @property
    def seq(self) -> int: ...
    @property
    def head(self) -> str: ...
    def append(self, record: Record) -> AuditEvent: ...
    def commit(self) -> None: ...
    def close(self) -> None: ...


class Outbox(Protocol):
    """Alerts on their way to people, on disk (`thunes.alerts.outbox.Outbox`)."""

    def keep(self, alerts: Iterable[tuple[Alert, Iterable[str]]], now_ms: int, **notes: int) -> None: ...
    def note(self, name: str) -> int | None: ...
    def next(self, channel: str, now_ms: int, least: Level = ...) -> tuple[Due, ...]: ...
    def told(self, channel: str, numbers: Sequence[int]) -> None: ...
    def not_told(self, channel: str, numbers: Sequence[int]) -> None: ...
    def escalate(self, late_on: Sequence[str], to: Sequence[str], before_ms: int) -> int: ...
    def pending(self) -> int: ...
    def waiting(self) -> tuple[str, ...]: ...
    def forget(self, channels: Iterable[str]) -> int: ...
    def close(self) -> None: ...


class Messenger(Protocol):
    """Who carries a message to people, on a thread of its own (`thunes.alerts.messenger.Messenger`).

    What became of each is told to AlertActor as an Outcome, once. `wait` returns when something was told, and whether
    it was, within so many seconds.
    """

    @property
    def chats(self) -> tuple[str, ...]: ...
    @property
    def second(self) -> tuple[str, ...]: ...
    @property
    def ignored(self) -> int: ...
    def start(self) -> None: ...
    def send(self, channel: str, numbers: tuple[int, ...], text: str, picture: bytes | None) -> None: ...
    def wait(self, seconds: float) -> bool: ...
    def stop(self) -> None: ...


class Store(Protocol):
    """The books' projection (`thunes.storage.books.BooksStore`)."""

    def load(self) -> Books: ...
    def save(self, books: Books, events: Sequence[AuditEvent]) -> None: ...
    def close(self) -> None: ...


class Socket(Protocol):
    """A connection that is opened and closed by an actor and read on a thread of its own."""

    def open(self) -> None: ...
    def close(self) -> None: ...


class Wire(Protocol):
    """One OrderActor's way to the exchange: each request's outcome is returned on the spot, or told later as Replied.

    One of the two, once, for every request but `cancel`, whose outcome is always told.
    """

    def place(self, state: OrderState) -> WireReply | None: ...
    def place_pair(self, stop: OrderState, sale: OrderState) -> tuple[WireReply, ...] | None: ...
    def query(self, state: OrderState) -> WireReply | None: ...
    def fills(self, state: OrderState, answer: OrderAnswer) -> WireReply | None: ...
    def cancel(self, state: OrderState) -> None: ...


SocketFactory = Callable[..., Socket]
"""Called with `on_open`, `on_frame` and `on_close`; a market socket also with its `streams`."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ways to the outside, as factories: an actor opens its own, so that no two share one."""

    open_journal: Callable[[], Journal]
    read_journal: Callable[[int], Iterable[AuditEvent]]
    open_books: Callable[[], Store]
    rest: Callable[[], Rest]
    wire: Callable[[World, str], Wire]
    market_socket: SocketFactory
    account_socket: SocketFactory
    strategy: Callable[[str], Strategy]
    cancel_open: Callable[[str], None]
    """Cancel all that is open of a symbol, over a connection of its own: for when its OrderActor cannot."""
    exchange_figures: Callable[[], ExchangeFigures]
    machine_figures: Callable[[], MachineFigures]
    open_outbox: Callable[[], Outbox]
    messenger: Messenger
    summary: Callable[[int, int], Alert]
    """What the journal's lines from the first seq to the second came to, with a picture where one can be drawn."""


@dataclass(slots=True)
class Board:
    """Where each actor publishes its figures: one reference each, replaced whole, so that readers need no lock."""

    figures: dict[str, Any] = field(default_factory=dict)
    handled: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the journal and the metrics say of this build and home."""

    version: str
    git_sha: str
    home_id: str
    venue: str
    params_hash: str


@dataclass(frozen=True, slots=True)
class World:
    """One system's surroundings, made once by the entry point (or by the simulation) and handed to every actor."""

    settings: Settings
    symbols: tuple[str, ...]
    identity: Identity
    home: KillMarker
    rules: dict[str, SymbolRules]
    post: Post
    clock: Clock
    ids: Ids
    timers: Timers
    ports: Ports
    start_loop: Callable[[Actor], None]
    spawn: Callable[[str, Callable[[], None]], None]
    stack_of: Callable[[str], str]
    chance: Callable[[], float]
    log: logging.Logger
    board: Board = field(default_factory=Board)
    carry: dict[str, Any] = field(default_factory=dict)
    """What an incarnation leaves to its replacement, by name."""

    def projected(self, store: Store) -> Books:
        """What the store holds, or empty books when it is ahead of the journal, as after a loss of power."""
        books = store.load()
        newest = next(iter(self.ports.read_journal(books.seq - 1)), None) if books.seq else None
        if books.seq and (newest is None or newest.seq != books.seq):
            self.log.error("The books' database is ahead of the journal (seq %d): it is made anew.", books.seq)
            return Books()
        return books

    def load_books(self) -> Books:
        """The books as the journal on the disk has them: the projection, and what it has not seen yet."""
        store = self.ports.open_books()
        try:
            books = self.projected(store)
        finally:
            store.close()
        for event in self.ports.read_journal(books.seq):
            books.apply(event)
        return books
