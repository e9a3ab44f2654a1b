"""The books: positions, reservations, balances and P&L as a fold over the journal.

`Books.apply` is the one place where an event changes what we own. RiskActor folds in memory, the projection folds into
the database, a restart folds what the database has not seen, and a test folds the whole journal: all must agree to the
last digit, so everything that the fold needs is in the event itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

ZERO = Decimal(0)

FILLS = frozenset({"ORDER_PARTIALLY_FILLED", "ORDER_FILLED"})
KILL_SWITCH = frozenset({"KILL_SWITCH_ACTIVATED", "KILL_SWITCH_DEACTIVATED"})
TERMINAL = frozenset({"ORDER_FILLED", "ORDER_CANCELED", "ORDER_REJECTED", "ORDER_EXPIRED"})
"""After one of these an order changes no more; ORDER_RESOLVED with `found: false` is the fifth."""


class Event(Protocol):
    """What the fold reads of a journal line (`thunes.domain.journal.AuditEvent`)."""

    @property
    def seq(self) -> int: ...
    @property
    def event(self) -> str: ...
    @property
    def symbol(self) -> str | None: ...
    @property
    def side(self) -> str | None: ...
    @property
    def correlation_id(self) -> str | None: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...


def has_ended(event: Event) -> bool:
    """Whether the event is an order's last."""
    return event.event in TERMINAL or (event.event == "ORDER_RESOLVED" and not event.metadata.get("found", True))


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

    @property
    def entry_price(self) -> Decimal:
        return self.cost / self.quantity if self.quantity else ZERO


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An approval that has no terminal event yet: it reserves a slot and its notional until the exchange says."""

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

    @property
    def notional(self) -> Decimal:
        return self.quantity * self.reference_price


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


@dataclass(slots=True)
class Books:
    """All that the journal says we own, owe and have been told. Change it through `apply` alone."""

    seq: int = 0
    opening: dict[str, Decimal] | None = None
    balances: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[str, OpenOrder] = field(default_factory=dict)
    """Without a terminal event, by correlation id."""
    pending: dict[int, PositionChange] = field(default_factory=dict)
    """By the fill's seq."""
    kill_active: bool = False
    kill_reason: str = ""
    kill_since: str = ""
    epoch: int = 0
    day: str = ""
    realised_today: Decimal = ZERO
    realised_total: Decimal = ZERO
    realised_peak: Decimal = ZERO
    fees: dict[str, Decimal] = field(default_factory=dict)
    fees_quote: Decimal = ZERO
    """Fees in the quote currency; those taken in base are valued at their fill's price."""
    last_loss_ms: int = 0
    last_trade_ids: dict[str, int] = field(default_factory=dict)
    """Newest own trade id by symbol: where a comparison with the exchange's trades goes on."""

    def apply(self, event: Event) -> None:
        """Take one event; one whose `seq` is already in changes nothing, so a replay counts each once."""
        if event.seq <= self.seq:
            return
        self.seq = event.seq
        name, meta = event.event, event.metadata
        if name == "TRADE_APPROVED":
            self._reserve(event)
        elif name in FILLS:
            self._fill(event)
        elif name == "ORDER_SUBMITTED":
            self._submitted(event)
        elif name == "ORDER_ACCEPTED":
            self._accepted(event)
        elif name in ("POSITION_OPENED", "POSITION_CLOSED"):
            self.pending.pop(int(meta["fill_seq"]), None)
        elif name in KILL_SWITCH:
            self._switch(event)
        elif name == "DAILY_RESET":
            self._turn_day(str(meta["day"]))
        elif name == "SYSTEM_STARTED" and self.opening is None and "opening_balances" in meta:
            self.opening = {asset: Decimal(amount) for asset, amount in meta["opening_balances"].items()}
            self.balances = dict(self.opening)
        if has_ended(event):
            self.orders.pop(event.correlation_id or "", None)

    def reserve(self, order: OpenOrder) -> None:
        """Hold a slot and a notional for an approval that is on its way to the journal."""
        self.orders[order.correlation_id] = order

    def holding(self, symbol: str) -> Position | None:
        """The open position, or None; dust is none."""
        position = self.positions.get(symbol)
        return position if position is not None and position.is_open else None

    @property
    def open_positions(self) -> tuple[Position, ...]:
        return tuple(p for p in self.positions.values() if p.is_open)

    def _reserve(self, event: Event) -> None:
        meta, cid = event.metadata, event.correlation_id or ""
        self.orders[cid] = OpenOrder(
            correlation_id=cid,
            symbol=event.symbol or "",
            side=event.side or "",
            order_type=str(meta["order_type"]),
            quantity=Decimal(meta["quantity"]),
            reference_price=Decimal(meta["reference_price"]),
            epoch=int(meta["epoch"]),
            seq=event.seq,
            client_order_id=str(meta["client_order_id"]),
        )

    def _switch(self, event: Event) -> None:
        meta, active = event.metadata, event.event == "KILL_SWITCH_ACTIVATED"
        if int(meta["epoch"]) < self.epoch:
            return  # a later kill or resume is in memory already, and on its way to the journal
        self.epoch, self.kill_active = int(meta["epoch"]), active
        self.kill_reason = str(meta.get("why", "")) if active else ""
        self.kill_since = str(meta.get("since", "")) if active else ""

    def _submitted(self, event: Event) -> None:
        order = self.orders.get(event.correlation_id or "")
        if order is not None:
            self.orders[order.correlation_id] = replace(order, submitted=True)

    def _accepted(self, event: Event) -> None:
        order = self.orders.get(event.correlation_id or "")
        if order is not None:
            self.orders[order.correlation_id] = replace(order, order_id=int(event.metadata["order_id"]))

    def _fill(self, event: Event) -> None:
        meta, symbol = event.metadata, event.symbol or ""
        order, trade_id = self.orders.get(event.correlation_id or ""), int(meta["trade_id"])
        if order is None or trade_id in order.trade_ids:
            return  # counted already: the exchange may say a thing twice, and an order that ended has no fills to come
        self.orders[order.correlation_id] = replace(
            order, executed=order.executed + Decimal(meta["quantity"]), trade_ids=order.trade_ids | {trade_id}
        )
        self.last_trade_ids[symbol] = max(trade_id, self.last_trade_ids.get(symbol, 0))
        day = datetime.fromtimestamp(int(meta["market_time"]) / 1000, UTC).date().isoformat()
        if day > self.day:
            self._turn_day(day)
        self._book(event, symbol)

    def _book(self, event: Event, symbol: str) -> None:
        meta = event.metadata
        base, quote = str(meta["base_asset"]), str(meta["quote_asset"])
        price, quantity = Decimal(meta["price"]), Decimal(meta["quantity"])
        amount, fee, fee_asset = Decimal(meta["quote_quantity"]), Decimal(meta["commission"]), meta["commission_asset"]
        sign = 1 if event.side == "BUY" else -1
        self._credit(base, sign * quantity)
        self._credit(quote, -sign * amount)
        self._credit(str(fee_asset), -fee)
        self.fees[str(fee_asset)] = self.fees.get(str(fee_asset), ZERO) + fee
        self.fees_quote += fee if fee_asset == quote else fee * price if fee_asset == base else ZERO
        fee_base, fee_quote = (fee if fee_asset == base else ZERO), (fee if fee_asset == quote else ZERO)
        before = self.positions.get(symbol, Position(symbol))
        if event.side == "BUY":
            self._enter(event, before, quantity - fee_base, amount + fee_quote)
        else:
            self._leave(event, before, quantity + fee_base, amount - fee_quote)

    def _enter(self, event: Event, before: Position, quantity: Decimal, cost: Decimal) -> None:
        market_ms = int(event.metadata["market_time"])
        after = replace(
            before,
            quantity=before.quantity + quantity,
            cost=before.cost + cost,
            is_open=True,
            opened_ms=before.opened_ms if before.is_open else market_ms,
            round_pnl=before.round_pnl if before.is_open else ZERO,
        )
        self.positions[before.symbol] = after
        if not before.is_open:
            self._due("POSITION_OPENED", event, after.quantity, after.entry_price, ZERO)

    def _leave(self, event: Event, before: Position, quantity: Decimal, proceeds: Decimal) -> None:
        left = before.quantity - quantity
        cost = before.cost if left <= 0 else before.cost * quantity / before.quantity
        pnl = proceeds - cost
        after = replace(
            before,
            quantity=left,
            cost=before.cost - cost,
            is_open=left >= Decimal(event.metadata["min_sellable"]) and left > 0,
            round_pnl=before.round_pnl + pnl,
        )
        self.positions[before.symbol] = after
        self.realised_today += pnl
        self.realised_total += pnl
        self.realised_peak = max(self.realised_peak, self.realised_total)
        if before.is_open and not after.is_open:
            if after.round_pnl < 0:
                self.last_loss_ms = int(event.metadata["market_time"])
            self._due("POSITION_CLOSED", event, quantity, before.entry_price, after.round_pnl)

    def _due(self, name: str, event: Event, quantity: Decimal, entry: Decimal, pnl: Decimal) -> None:
        market_ms = int(event.metadata["market_time"])
        self.pending[event.seq] = PositionChange(
            name, event.symbol or "", event.seq, event.correlation_id, quantity, entry, pnl, market_ms
        )

    def _credit(self, asset: str, amount: Decimal) -> None:
        self.balances[asset] = self.balances.get(asset, ZERO) + amount

    def _turn_day(self, day: str) -> None:
        if day != self.day:
            self.day, self.realised_today = day, ZERO
