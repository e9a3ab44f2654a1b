"""What actors tell each other: commands are imperative, events are in the past tense.

Every message is a frozen, slotted dataclass with immutable fields, because Pykka passes references. Prices, quantities
and amounts are `Decimal`; `*_ms` is milliseconds since the epoch on the venue's clock (market time), `*_ns` is the
machine's monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"

    @property
    def is_conditional(self) -> bool:
        """Whether it waits for its stop price before it does anything."""
        return self not in (OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT_MAKER)


class OrderStatus(StrEnum):
    """The exchange's own words for where an order is."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    @property
    def is_open(self) -> bool:
        return self in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


# --- the market, as events -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """The best bid and ask changed. `market_ms` is the newest venue time seen before it: bookTicker carries none."""

    symbol: str
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    update_id: int
    market_ms: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """Somebody traded. `buyer_is_maker` is true when the seller took."""

    symbol: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    time_ms: int
    buyer_is_maker: bool


@dataclass(frozen=True, slots=True)
class Candle:
    """One interval of trades; `close_ms` is its last millisecond. `closed` is false while it still changes."""

    symbol: str
    interval: str
    open_ms: int
    close_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal = Decimal(0)
    trades: int = 0
    taker_base: Decimal = Decimal(0)
    taker_quote: Decimal = Decimal(0)
    closed: bool = True


Levels: TypeAlias = tuple[tuple[Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True)
class BookChanged:
    """Levels of the public order book took new absolute quantities (0 removes a level).

    With `snapshot` the levels replace the whole book.
    """

    symbol: str
    time_ms: int
    bids: Levels
    asks: Levels
    snapshot: bool = False


@dataclass(frozen=True, slots=True)
class TopChanged:
    """The best bid and ask are now exactly these: better levels are gone, the best ones have these quantities."""

    symbol: str
    time_ms: int
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal


MarketEvent: TypeAlias = BookChanged | TopChanged | PublicTrade
"""What a market source yields, in order of its market time."""


def order_key(correlation_id: str, leg: str) -> str:
    """One order's name inside the house: a signal's own order has the signal's, a protective one its leg behind it."""
    return f"{correlation_id}-{leg}" if leg else correlation_id


# --- commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Intent:
    """What a strategy wants done, in words that need no exchange: the strategy actor turns it into a SubmitOrder."""

    side: Side
    cause: str
    quantity: Decimal | None = None
    """None: BUY for `risk.quote_per_trade`, SELL all that is sellable."""
    limit_price: Decimal | None = None
    """A LIMIT order at this price; None: a MARKET order."""
    good_for: float | None = None
    """Seconds of market time until a LIMIT order is cancelled; None: `risk.limit_good_for`."""
    stop_loss: Decimal | None = None
    """An entry's: a stop rests on the exchange at this fraction below the position's entry price."""
    take_profit: Decimal | None = None
    """With `stop_loss`: a sale rests at this fraction above it, one cancelling the other."""


@dataclass(frozen=True, slots=True)
class SubmitOrder:
    """Ask risk for one order. `correlation_id` names the signal and all that comes of it."""

    correlation_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    reference_price: Decimal
    """The ask of a BUY or the bid of a SELL that the quantity was computed from."""
    cause: str
    strategy: str
    params_hash: str
    market_ms: int
    price: Decimal | None = None
    """A LIMIT order's price."""
    stop_price: Decimal | None = None
    """Where a stop becomes an order."""
    profit_price: Decimal | None = None
    """A stop's: a sale rests at this price beside it, and one cancels the other."""
    stop_loss: Decimal | None = None
    """As in the intent: what will protect the position that this entry makes."""
    take_profit: Decimal | None = None
    expires_ms: int = 0
    """Market time at which what is left of a LIMIT order is cancelled; 0: never."""
    leg: str = ""
    """Which protective order of its entry it is; empty for an intent's own order."""
    tick_ns: int = 0
    """When the frame that led here was received, for the tick-to-order histogram; 0 when no frame did."""

    @property
    def key(self) -> str:
        return order_key(self.correlation_id, self.leg)

    @property
    def profit(self) -> SubmitOrder | None:
        """The sale beside a stop, which goes with it in one request; `t1` beside `s1`."""
        if self.profit_price is None:
            return None
        return replace(
            self,
            order_type=OrderType.LIMIT_MAKER,
            price=self.profit_price,
            stop_price=None,
            profit_price=None,
            leg=f"t{self.leg[1:]}",
        )


@dataclass(frozen=True, slots=True)
class Kill:
    """Stop buying now. Idempotent: a second one changes nothing."""

    reason: str
    source: str
    flatten: bool = False


@dataclass(frozen=True, slots=True)
class Resume:
    """Allow buying again; only a person sends it."""

    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Buy nothing new while it lasts; what is open goes on. `lasts` False ends it."""

    source: str
    lasts: bool = True


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Open a stream's connection anew. `symbol` None means every stream."""

    symbol: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Report:
    """Tell people what today has come to so far."""


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Compare the books with the exchange now."""

    source: str
    take_over: bool = False
    """A person asks for it, and so takes over even what another system traded on the account."""


# --- the journal -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """Write this to the journal, then pass it on. AuditActor adds seq, timestamp, git_sha and the hash chain."""

    event: str
    symbol: str | None = None
    side: Side | None = None
    reason: str | None = None
    correlation_id: str | None = None
    params_hash: str | None = None
    risk_snapshot: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    subject: Any = None
    """What the event is about as a typed value (an approval's SubmitOrder), handed on but never written."""


class UrgentRecord(Record):
    """A record that overtakes those queued before it: the kill switch."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ResetBreaker:
    """Close a circuit by hand."""

    source: str
