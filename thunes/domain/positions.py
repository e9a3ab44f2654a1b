"""What we hold and what is on its way: a position, an order under way, and what a fill does to the first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from thunes.messages import OrderType, order_key

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Position:
    """What our own trading holds of one symbol's base asset.

    `quantity` and its `cost` (quote, fees in) include dust; with `is_open` false all of it is dust: too little for the
    exchange's filters to sell, so the position counts as closed and the rest joins the next entry.
    """

    symbol: str
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    is_open: bool = False
    opened_ms: int = 0
    round_pnl: Decimal = ZERO
    """Realised by the sells since it was opened."""
    entry_id: str = ""
    """The correlation id of the newest entry: its protective orders carry it."""
    stop_loss: Decimal | None = None
    """That entry's terms: a stop rests at this fraction below the entry price, a sale at that one above it."""
    take_profit: Decimal | None = None
    protections: int = 0
    """How many protective orders that entry has had: each has a name of its own."""

    @property
    def entry_price(self) -> Decimal:
        return self.cost / self.quantity if self.quantity else ZERO

    def entered(self, quantity: Decimal, cost: Decimal, market_ms: int, order: OpenOrder | None) -> Position:
        """After a BUY of `quantity` for `cost`, net of fees, by `order`; None: by somebody's hand, without terms."""
        fresh = not self.is_open
        after = replace(
            self,
            quantity=self.quantity + quantity,
            cost=self.cost + cost,
            is_open=True,
            opened_ms=market_ms if fresh else self.opened_ms,
            round_pnl=ZERO if fresh else self.round_pnl,
        )
        if order is None:
            return after
        same = order.correlation_id == self.entry_id
        return replace(
            after,
            entry_id=order.correlation_id,
            stop_loss=order.stop_loss,
            take_profit=order.take_profit,
            protections=self.protections if same else 0,
        )

    def left(self, quantity: Decimal, proceeds: Decimal, min_sellable: Decimal) -> tuple[Position, Decimal]:
        """After a SELL of `quantity` for `proceeds`, net of fees, and what it earned."""
        left = self.quantity - quantity
        cost = self.cost if left <= 0 else self.cost * quantity / self.quantity
        pnl = proceeds - cost
        after = replace(
            self,
            quantity=left,
            cost=self.cost - cost,
            is_open=left >= min_sellable and left > 0,
            round_pnl=self.round_pnl + pnl,
        )
        return after, pnl

    def cut(self, quantity: Decimal, is_open: bool) -> Position:
        """With only `quantity` left, because the rest went from the account without a trade; its cost goes along."""
        cost = self.cost * quantity / self.quantity if self.quantity else ZERO
        return replace(self, quantity=quantity, cost=cost, is_open=self.is_open and is_open)


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that may go and has no terminal event yet: it reserves a slot and its notional until it has one."""

    correlation_id: str
    symbol: str
    side: str
    order_type: str
    quantity: Decimal
    reference_price: Decimal
    epoch: int
    seq: int
    client_order_id: str
    order_id: int = 0
    executed: Decimal = ZERO
    trade_ids: frozenset[int] = frozenset()
    submitted: bool = False
    """It may have been sent, so it must never be sent again."""
    leg: str = ""
    """Which protective order of its entry it is; empty for what risk decided on."""
    price: Decimal | None = None
    stop_price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    expires_ms: int = 0
    """Market time at which what is left of it is cancelled; 0: never."""

    @property
    def key(self) -> str:
        """Its name inside the house."""
        return order_key(self.correlation_id, self.leg)

    @property
    def notional(self) -> Decimal:
        """What it may cost: a LIMIT may be above what was displayed."""
        return self.quantity * max(self.reference_price, self.price or ZERO)

    def beside(self, leg: str, client_order_id: str, price: Decimal) -> OpenOrder:
        """The sale at `price` that goes to the exchange together with this stop."""
        return replace(
            self,
            leg=leg,
            client_order_id=client_order_id,
            order_type=OrderType.LIMIT_MAKER,
            price=price,
            stop_price=None,
        )

    @property
    def rests(self) -> bool:
        """Whether it may stay open for long: all but a MARKET order."""
        return self.order_type != OrderType.MARKET


@dataclass(frozen=True, slots=True)
class PositionChange:
    """A POSITION_OPENED or POSITION_CLOSED that follows from fill `fill_seq` and is not in the journal yet."""

    event: str
    symbol: str
    fill_seq: int
    correlation_id: str | None
    quantity: Decimal
    entry_price: Decimal
    pnl: Decimal
    market_ms: int
