"""What every actor is handed: the post, the clocks, the settings, and the ways to the outside."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from actors.runtime.clock import Clock, Ids
from actors.runtime.post import Post
from thunes.domain.books import Books
from thunes.domain.figures import ExchangeFigures
from thunes.domain.filters import SymbolRules
from thunes.domain.market import AccountBalances, Fill, OrderAnswer
from thunes.messages import Candle, OrderType, PublicTrade, Side
from thunes.settings import Settings
from thunes.storage.books import BooksStore
from thunes.storage.home import Home
from thunes.storage.journal import JournalFile
from thunes.strategies.base import Strategy


class Timers(Protocol):
    """Messages in wall time; a timer is known by its (name, key), and setting it again moves it."""

    def after(self, seconds: float, name: str, key: str, message: Any) -> None: ...
    def cancel(self, name: str, key: str) -> None: ...


class Rest(Protocol):
    """The exchange's REST side as actors use it (`thunes.exchange.binance.BinanceRest`). One for each thread."""

    def klines(self, symbol: str, interval: str, *, limit: int, start_ms: int | None = None) -> tuple[Candle, ...]: ...
    def trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[PublicTrade, ...]: ...
    def account(self) -> AccountBalances: ...
    def open_orders(self, symbol: str | None = None) -> tuple[OrderAnswer, ...]: ...
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
        client_order_id: str,
    ) -> OrderAnswer: ...
    def cancel(self, symbol: str, client_order_id: str) -> OrderAnswer: ...
    def sync_clock(self) -> None: ...
    @property
    def figures(self) -> ExchangeFigures: ...


class Socket(Protocol):
    """A connection that is opened and closed by an actor and read on a thread of its own."""

    def open(self) -> None: ...
    def close(self) -> None: ...


SocketFactory = Callable[..., Socket]
"""Called with `on_open`, `on_frame` and `on_close`; a market socket also with its `streams`."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ways to the outside, as factories: an actor opens its own, so that no two share one."""

    open_journal: Callable[[], JournalFile]
    read_journal: Callable[[int], Any]
    open_books: Callable[[], BooksStore]
    rest: Callable[[], Rest]
    market_socket: SocketFactory
    account_socket: SocketFactory
    strategy: Callable[[str], Strategy]
    exchange_figures: Callable[[], ExchangeFigures]


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
    home: Home
    rules: dict[str, SymbolRules]
    post: Post
    clock: Clock
    ids: Ids
    timers: Timers
    ports: Ports
    start_loop: Callable[[str, Callable[[], None]], None]
    spawn: Callable[[str, Callable[[], None]], None]
    log: logging.Logger
    board: Board = field(default_factory=Board)
    carry: dict[str, Any] = field(default_factory=dict)
    """What an incarnation leaves to its replacement, by name."""

    def load_books(self) -> Books:
        """The books as the journal on the disk has them: the projection, and what it has not seen yet."""
        store = self.ports.open_books()
        try:
            books = store.load()
        finally:
            store.close()
        for event in self.ports.read_journal(books.seq):
            books.apply(event)
        return books
