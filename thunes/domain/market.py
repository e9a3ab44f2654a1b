"""What the exchange says of orders and of the market, in our types, and whether it is whole and in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from thunes.domain.intervals import interval_ms
from thunes.messages import Candle, OrderStatus, PublicTrade, Side, Tick

AccountBalances: TypeAlias = Mapping[str, tuple[Decimal, Decimal]]
"""(free, locked) by asset."""

ALSO_CALLED = {
    "PENDING_NEW": OrderStatus.NEW,
    "PENDING_CANCEL": OrderStatus.NEW,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}
"""The exchange's finer words for an order that waits for its list, and for one that self-trade prevention ended."""


def order_status(word: str) -> OrderStatus:
    """The status that the exchange's word stands for (enums.md). ValueError for one that it does not document."""
    return ALSO_CALLED.get(word) or OrderStatus(word)


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of one of our orders. `quote_quantity` is price times quantity as the exchange books it."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    commission: Decimal
    commission_asset: str
    time_ms: int
    is_maker: bool


@dataclass(frozen=True, slots=True)
class OwnTrade:
    """One execution of the account's, as its list of trades has it: whose order it was follows from `order_id`."""

    order_id: int
    side: Side
    fill: Fill


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What the exchange knows of an order at one moment; `fills` may be fewer than `executed` came from."""

    symbol: str
    client_order_id: str
    order_id: int
    status: OrderStatus
    side: Side
    order_type: str
    quantity: Decimal
    price: Decimal
    executed: Decimal
    cumulative_quote: Decimal
    time_ms: int
    fills: tuple[Fill, ...] = ()
    stop_price: Decimal = Decimal(0)
    """Where a stop becomes an order; 0 for an order that has none."""
    order_list_id: int = -1
    """Of the list that it belongs to, one order cancelling the other; -1 for an order of its own."""


@dataclass(frozen=True, slots=True)
class ExecutionReport:
    """An event of the account stream about one order; `client_order_id` is the order's, also on a cancel."""

    symbol: str
    client_order_id: str
    order_id: int
    execution: str
    status: OrderStatus
    side: Side
    order_type: str
    quantity: Decimal
    price: Decimal
    executed: Decimal
    cumulative_quote: Decimal
    time_ms: int
    fill: Fill | None = None
    reject_reason: str = ""
    expiry_reason: str = ""
    stop_price: Decimal = Decimal(0)
    order_list_id: int = -1

    def as_answer(self) -> OrderAnswer:
        """The same knowledge in the form of a REST answer."""
        return OrderAnswer(
            symbol=self.symbol,
            client_order_id=self.client_order_id,
            order_id=self.order_id,
            status=self.status,
            side=self.side,
            order_type=self.order_type,
            quantity=self.quantity,
            price=self.price,
            executed=self.executed,
            cumulative_quote=self.cumulative_quote,
            time_ms=self.time_ms,
            fills=(self.fill,) if self.fill is not None else (),
            stop_price=self.stop_price,
            order_list_id=self.order_list_id,
        )


@dataclass(frozen=True, slots=True)
class AccountPosition:
    """Balances that may have changed: (free, locked) by asset."""

    balances: AccountBalances
    time_ms: int


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """Something that no order of ours did: a deposit, a withdrawal or a transfer (`balanceUpdate`), or an asset taken
    into or out of a lock from outside (`externalLockUpdate`). `delta` is what it changed by.
    """

    event: str
    asset: str
    delta: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """It follows what was seen before."""


@dataclass(frozen=True, slots=True)
class Stale:
    """It was seen before, or is older than what was."""


@dataclass(frozen=True, slots=True)
class Gap:
    """It is new, and `first` to `last` (trade ids, or candles' open times in ms) were never seen."""

    first: int
    last: int


Verdict: TypeAlias = Accepted | Stale | Gap
ACCEPTED, STALE = Accepted(), Stale()


class MarketGuard:
    """Says of each tick, trade and closed candle of one symbol whether it is the next one.

    Trade ids are contiguous and closed candles' open times an interval apart; a bookTicker's update id only grows.
    `market_ms` is the newest venue time seen, in milliseconds.
    """

    def __init__(self, symbol: str, interval: str) -> None:
        self.symbol = symbol
        self.step_ms = interval_ms(interval)
        self.last_update_id = 0
        self.last_trade_id = 0
        self.last_candle_ms = 0
        self.market_ms = 0

    @property
    def next_candle_ms(self) -> int:
        return self.last_candle_ms + self.step_ms

    def tick(self, tick: Tick) -> Verdict:
        if tick.update_id <= self.last_update_id:
            return STALE
        self.last_update_id = tick.update_id
        return ACCEPTED

    def trade(self, trade: PublicTrade) -> Verdict:
        last = self.last_trade_id
        if trade.trade_id <= last:
            return STALE
        self.last_trade_id = trade.trade_id
        self.market_ms = max(self.market_ms, trade.time_ms)
        return Gap(last + 1, trade.trade_id - 1) if last and trade.trade_id > last + 1 else ACCEPTED

    def candle(self, candle: Candle) -> Verdict:
        """Of a closed candle."""
        last = self.last_candle_ms
        if candle.open_ms <= last:
            return STALE
        self.last_candle_ms = candle.open_ms
        self.market_ms = max(self.market_ms, candle.close_ms + 1)
        missed = last and candle.open_ms > last + self.step_ms
        return Gap(last + self.step_ms, candle.open_ms - self.step_ms) if missed else ACCEPTED

    def reconnected(self) -> None:
        """Another connection may number its book updates from anywhere."""
        self.last_update_id = 0
