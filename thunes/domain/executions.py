"""What goes into the matching engine and what comes out of it, as values."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from thunes.domain.filters import ZERO, quote_amount
from thunes.messages import OrderStatus, OrderType, Side, TimeInForce

NEW = "NEW"
TRADE = "TRADE"
CANCELED = "CANCELED"
EXPIRED = "EXPIRED"
WAITING = -1
NO_LIST = -1


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as an account asks for it: a MARKET has `quantity` or `quote_quantity`, all others a quantity.

    A limit has a `price`, and what waits for the market a `stop_price`.
    """

    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal | None
    quote_quantity: Decimal | None
    price: Decimal | None
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str = ""
    stop_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An accepted order as it stands; a change makes a new one."""

    order_id: int
    account: str
    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price: Decimal
    """0 for a MARKET order, as the exchange writes it."""
    quantity: Decimal
    """In base asset; for an order by quote amount, what that amount comes to on the book."""
    quote_quantity: Decimal
    """The quote amount asked for (`origQuoteOrderQty`), 0 where a quantity was."""
    executed: Decimal
    cumulative_quote: Decimal
    status: OrderStatus
    created_ms: int
    updated_ms: int
    expiry_reason: str = ""
    queue_ahead: Decimal = ZERO
    """What was displayed at its price when it came to rest and has not traded since: it waits behind that."""
    stop_price: Decimal = ZERO
    """The last price at which it becomes an order of the market; 0 for one that is that already."""
    working_ms: int = 0
    """When it came on the book; WAITING while the market has not reached its stop price."""
    list_id: int = NO_LIST
    """The pair that it belongs to."""
    held: Decimal | None = None
    """What it holds back as one of a pair, of which only one can cost anything; None: what it may cost itself."""

    @property
    def waits(self) -> bool:
        """Whether it is open and not on the book, because the market has not reached its stop price."""
        return self.status.is_open and self.working_ms == WAITING

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.executed

    @property
    def locked(self) -> Decimal:
        """What it holds back while open: quote asset for a BUY, base asset for a SELL. A MARKET order locks nothing."""
        if not self.status.is_open or self.order_type is OrderType.MARKET:
            return ZERO
        return self.cost if self.held is None else self.held

    @property
    def cost(self) -> Decimal:
        """What the rest of it may cost, of the asset that it pays with."""
        # One that will be a MARKET order has no price: what it costs is guessed at its stop price.
        return quote_amount(self.price or self.stop_price, self.remaining) if self.side is Side.BUY else self.remaining


@dataclass(frozen=True, slots=True)
class OrderList:
    """A pair that was accepted. `orders` are order ids with their client order ids."""

    list_id: int
    account: str
    client_list_id: str
    symbol: str
    orders: tuple[tuple[int, str], ...]
    time_ms: int
    done: bool = False
    """Whether both have ended."""

    def other(self, order_id: int) -> int:
        """The order that this one cancels."""
        return next(each for each, _ in self.orders if each != order_id)


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of an order. Trade ids count from 1 for each symbol."""

    trade_id: int
    order_id: int
    symbol: str
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    commission: Decimal
    commission_asset: str
    time_ms: int
    is_buyer: bool
    is_maker: bool
    list_id: int = NO_LIST


@dataclass(frozen=True, slots=True)
class Execution:
    """One change of an order, which the account hears of as one execution report.

    `kind` is NEW, TRADE, CANCELED or EXPIRED, `order` the order after it, `fill` the trade of a TRADE, and
    `request_client_order_id` the cancel's own id of a CANCELED.
    """

    kind: str
    order: Order
    fill: Fill | None
    execution_id: int
    time_ms: int
    request_client_order_id: str = ""
    order_list: OrderList | None = None
    """The order's pair, where this began or ended it."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account has of one asset; neither is ever negative."""

    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.free + self.locked
