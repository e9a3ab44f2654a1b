"""The whole tree with approvals that no limit stands against, and an exchange that can be slow, deaf or refuse."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.protocol import Approved, Replied, Request, WireReply
from actors.runtime.clock import SystemClock
from actors.runtime.threads import ThreadTimers
from actors.simulated.answers import as_fill
from actors.wire import LiveWire
from actors.world import World
from tests.concurrency.risk_support import (
    PATIENCE,
    PRICES,
    QUANTITIES,
    Disk,
    Floor,
    MarkedHome,
    Market,
    OverheardPost,
    check,
    wait_for,
)
from tests.venue_in_process import ACCOUNT, UNHINDERED, EngineRest, make_world, rules_of, start
from thunes.domain.executions import Execution
from thunes.domain.market import ExecutionReport, OrderAnswer
from thunes.domain.orders import OrderState, Phase, client_order_id, describe
from thunes.errors import NetworkError
from thunes.messages import OrderType, Record, Side, SubmitOrder

BUY, SELL = Side.BUY, Side.SELL
SYMBOLS = ("BTCUSDT", "ETHUSDT")
ORDERS = tuple(f"order.{symbol}" for symbol in SYMBOLS)
WINDOW = 7.0
"""Seconds after which a request that was sent can no longer arrive."""


class Unforeseen(Exception):
    """An error that the order's actor has no answer to."""


class MovedClock(SystemClock):
    """The machine's clock, as far ahead as the test moved it."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.ahead_ns


class HastyTimers(ThreadTimers):
    """Timers that never wait long to ask about an order of unknown fate again."""

    def after(self, seconds: float, name: str, key: str, message: Any) -> None:
        super().after(min(seconds, 0.2) if key.startswith("ask.") else seconds, name, key, message)


@dataclass
class Street(Market):
    """A venue that remembers whose orders reached it, and whose cancels and queries can be held or lost."""

    reached: list[str] = field(default_factory=list)
    on_arrival: Callable[[str], None] = lambda _client_order_id: None
    cancels: threading.Event = field(default_factory=threading.Event)
    """A cancel waits while this is clear."""
    is_deaf: bool = False
    """No query gets an answer."""
    queries: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cancels.set()
        self.before_place = self._arrived

    def _arrived(self, client_order_id: str) -> None:
        self._wait(client_order_id)
        self.reached.append(client_order_id)
        self.on_arrival(client_order_id)

    def open_orders(self) -> set[str]:
        with self.lock:
            return {order.client_order_id for order in self.engine.open_orders(ACCOUNT)}


class StreetRest(EngineRest):
    def __init__(self, street: Street) -> None:
        super().__init__(street)
        self.street = street

    def cancel(self, symbol: str, client_order_id: str) -> OrderAnswer:
        assert self.street.cancels.wait(PATIENCE)
        return super().cancel(symbol, client_order_id)

    def order(self, symbol: str, client_order_id: str) -> OrderAnswer:
        self.street.queries += 1
        if self.street.is_deaf:
            raise NetworkError("no answer to a query")
        return super().order(symbol, client_order_id)


class LateWire(LiveWire):
    """A wire whose answers to orders come as messages, after all that `meanwhile` tells."""

    meanwhile: Callable[[OrderState, WireReply], None] = lambda _self, _state, _reply: None

    def place(self, state: OrderState) -> None:  # type: ignore[override]
        def run() -> None:
            reply = LiveWire.place(self, state)
            self.meanwhile(state, reply)
            self._world.post.tell(self._name, Replied(Request.PLACE, reply))

        self._world.spawn(f"{self._name}.late", run)


@dataclass
class Desk(Floor):
    """The tree alive, with approvals that go to the journal as risk would tell them."""

    venue: Street
    clock: MovedClock
    approved: dict[str, SubmitOrder] = field(default_factory=dict)
    """By client order id."""

    def approve(self, symbol: str, side: Side, price: Decimal | None = None, quantity: Decimal | None = None) -> str:
        """An approval that limits do not stand against, on its way to the journal; its order's name."""
        order = self.want(
            symbol,
            side,
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            price=price,
            quantity=quantity or QUANTITIES[symbol],
        )
        name = client_order_id(self.world.identity.home_id, order.correlation_id)
        self.approved[name] = order
        self.tell(
            "audit",
            Record(
                "TRADE_APPROVED",
                symbol=symbol,
                side=side,
                correlation_id=order.correlation_id,
                metadata=describe(order, 0, name),
                subject=Approved(order, 0, name),
            ),
        )
        return name

    def stock(self, each: int = 1) -> None:
        """Buy of every symbol what so many sells take."""
        for symbol in SYMBOLS:
            self.approve(symbol, BUY, quantity=QUANTITIES[symbol] * (each + 1))
        self.wait_for_ends()

    def rest_buys(self, count: int, symbols: tuple[str, ...] = SYMBOLS) -> set[str]:
        """BUYs far below the market that wait at the exchange."""
        return self._rest({self.approve(s, BUY, PRICES[s] * Decimal("0.9")) for s in symbols for _ in range(count)})

    def rest_sells(self, count: int) -> set[str]:
        return self._rest({self.approve(s, SELL, PRICES[s] * Decimal("1.1")) for s in SYMBOLS for _ in range(count)})

    def _rest(self, names: set[str]) -> set[str]:
        wait_for(lambda: names <= {name for name, phase in self.phases().items() if phase is Phase.OPEN}, "resting")
        return names

    def phases(self) -> dict[str, str]:
        """Where each order that has not ended is, by client order id."""
        return {order.client_order_id: order.status for name in ORDERS for order in self.figures(name).open}

    def have_ended(self, besides: set[str] | None = None) -> bool:
        """Whether each approval so far has its end in the journal, and only these have not."""
        left = besides or set()
        if self.figures("audit").events.get("TRADE_APPROVED", 0) < len(self.approved) or set(self.phases()) != left:
            return False
        return {order.client_order_id for order in self.world.load_books().orders.values()} == left

    def wait_for_ends(self, besides: set[str] | None = None) -> None:
        wait_for(lambda: self.have_ended(besides), "every approval's end")

    def let_windows_run_out(self) -> bool:
        """Move the clock on once nothing is left but orders of unknown fate; whether all have ended."""
        if set(self.phases().values()) == {Phase.UNKNOWN}:
            self.clock.ahead_ns += int(WINDOW * 1e9)
        return self.have_ended()

    def acknowledged(self) -> bool:
        """Whether a kill is on the disk and with everybody who sends."""
        return all(self.figures(name).epoch >= 1 for name in ORDERS)

    def story(self, name: str) -> list[str]:
        """What the journal says of one order, in order."""
        return [e.event for e in self.lines() if e.correlation_id == self.approved[name].correlation_id]

    def sides(self, names: list[str]) -> Counter[Side]:
        return Counter(self.approved[name].side for name in names)

    def assert_each_once(self) -> None:
        """Nothing reached the exchange twice or unasked for, and no fill is in the journal twice."""
        assert max(Counter(self.venue.reached).values(), default=0) <= 1
        assert set(self.venue.reached) <= set(self.approved)
        fills = Counter(
            (e.symbol, e.metadata["trade_id"]) for e in self.lines("ORDER_FILLED", "ORDER_PARTIALLY_FILLED")
        )
        assert max(fills.values(), default=0) <= 1
        submitted = Counter(e.correlation_id for e in self.lines("ORDER_SUBMITTED"))
        assert max(submitted.values(), default=0) <= 1


@contextmanager
def desk(
    home: Path,
    *,
    hear: Callable[[str, Any], None] = lambda _name, _message: None,
    marked_home: Callable[[Path], MarkedHome] = MarkedHome,
    wire: Callable[[World, str], LiveWire] | None = None,
) -> Iterator[Desk]:
    """The tree, synced; at its end journal, database and exchange have to agree."""
    street, clock = Street(rules_of(*SYMBOLS)), MovedClock()
    ports: dict[str, Any] = {"rest": lambda: StreetRest(street)}
    if wire is not None:
        ports["wire"] = wire
    environ = {**UNHINDERED, "THUNES_RISK__MAX_POSITIONS": "2", "THUNES_BREAKER__FAIL_MAX": "1000000"}
    environ["THUNES_SUPERVISOR__HANG_AFTER"] = "1e9"  # the clock is the test's to move
    world = make_world(home, street, environ, **ports)
    post = OverheardPost(clock.monotonic_ns, hear)
    timers = HastyTimers(SystemClock(), post.tell)
    world = replace(world, clock=clock, post=post, timers=timers, home=marked_home(home))
    running = start(world, street)
    alive = Desk(world, street, running.ready, running.ended, Disk(), clock)
    try:
        wait_for(alive.ready.is_set, "the tree")
        alive.show_ticks()
        wait_for(lambda: alive.risk.synced, "synced books")
        yield alive
    finally:
        street.opened.set()
        street.cancels.set()
        street.is_deaf = False
        why = alive.stop()
    assert why == ""
    check(alive)
    alive.assert_each_once()


def report(done: Execution) -> ExecutionReport:
    """What the account stream says of an execution."""
    order = done.order
    return ExecutionReport(
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        order_id=order.order_id,
        execution=done.kind,
        status=order.status,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=order.price,
        executed=order.executed,
        cumulative_quote=order.cumulative_quote,
        time_ms=order.updated_ms,
        fill=as_fill(done.fill) if done.fill is not None else None,
    )
