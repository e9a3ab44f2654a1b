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

from thunes.domain.positions import ZERO, OpenOrder, Position, PositionChange
from thunes.messages import order_key

__all__ = ["ZERO", "Books", "OpenOrder", "Position", "PositionChange"]

FILLS = frozenset({"ORDER_PARTIALLY_FILLED", "ORDER_FILLED"})
PAUSES = ("pause", "unpause")
KILL_SWITCH = frozenset({"KILL_SWITCH_ACTIVATED", "KILL_SWITCH_DEACTIVATED"})
MARKED_DAYS = 400
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


def key_of(event: Event) -> str:
    """The name inside the house of the order that the event is about; empty for what is no order of ours."""
    return order_key(event.correlation_id or "", str(event.metadata.get("leg", "")))


def has_ended(event: Event) -> bool:
    """Whether the event is an order's last."""
    return event.event in TERMINAL or (event.event == "ORDER_RESOLVED" and not event.metadata.get("found", True))


@dataclass(slots=True)
class Books:
    """All that the journal says we own, owe and have been told. Change it through `apply` alone."""

    seq: int = 0
    opening: dict[str, Decimal] | None = None
    balances: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[str, OpenOrder] = field(default_factory=dict)
    """Without a terminal event, by key."""
    pending: dict[int, PositionChange] = field(default_factory=dict)
    """By the fill's seq."""
    kill_active: bool = False
    kill_reason: str = ""
    kill_since: str = ""
    epoch: int = 0
    paused: bool = False
    """A person wants nothing new to be bought; unlike a kill it cancels nothing."""
    day: str = ""
    realised_today: Decimal = ZERO
    realised_total: Decimal = ZERO
    realised_peak: Decimal = ZERO
    fees: dict[str, Decimal] = field(default_factory=dict)
    fees_quote: Decimal = ZERO
    """Fees in the quote currency; those taken in base are valued at their fill's price."""
    last_loss_ms: int = 0
    marks: dict[str, Decimal] = field(default_factory=dict)
    """By day, the equity at its first tick: of the last `MARKED_DAYS` days that began while THUNES ran."""
    compared: dict[str, int] = field(default_factory=dict)
    """By symbol, the trade id up to which the account's trades at the exchange are known to be in these books."""
    counted: dict[str, frozenset[int]] = field(default_factory=dict)
    """By symbol, the ids of the account's trades that are in these books beyond that."""

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
            self._protect(event) if meta.get("leg") else self._submitted(event)
        elif name == "RECONCILED":
            self._reconciled(meta)
        elif name == "ORDER_ACCEPTED":
            self._accepted(event)
        elif name in ("POSITION_OPENED", "POSITION_CLOSED"):
            self.pending.pop(int(meta["fill_seq"]), None)
        elif name in KILL_SWITCH:
            self._switch(event)
        elif name == "OPERATOR_COMMAND" and "refused" not in meta and meta.get("command") in PAUSES:
            self.paused = meta["command"] == "pause"
        elif name == "DAILY_RESET":
            self._turn_day(str(meta["day"]))
            self._mark(meta)
        elif name == "SYSTEM_STARTED" and self.opening is None and "opening_balances" in meta:
            self.opening = {asset: Decimal(amount) for asset, amount in meta["opening_balances"].items()}
            self.balances = dict(self.opening)
            self.compared = {symbol: int(trade) for symbol, trade in meta.get("opening_trades", {}).items()}
        if has_ended(event):
            self.orders.pop(key_of(event), None)

    def reserve(self, order: OpenOrder) -> None:
        """Hold a slot and a notional for an order that is on its way to the journal."""
        self.orders[order.key] = order

    def holding(self, symbol: str) -> Position | None:
        """The open position, or None; dust is none."""
        position = self.positions.get(symbol)
        return position if position is not None and position.is_open else None

    @property
    def open_positions(self) -> tuple[Position, ...]:
        return tuple(p for p in self.positions.values() if p.is_open)

    def has_counted(self, symbol: str, trade_id: int) -> bool:
        """Whether this trade of the account's is in the books."""
        return trade_id <= self.compared.get(symbol, 0) or trade_id in self.counted.get(symbol, ())

    def _reserve(self, event: Event) -> None:
        for order in let_go(event):
            self.orders[order.key] = order

    def _protect(self, event: Event) -> None:
        """A protective order, or a pair: this line is what allows it, as an approval allows the others."""
        self._reserve(event)
        order = _order_of(event)
        position = self.positions.get(order.symbol)
        if position is not None and position.entry_id == order.correlation_id:
            count = max(position.protections, int(event.metadata["protection"]))
            self.positions[order.symbol] = replace(position, protections=count)

    def _switch(self, event: Event) -> None:
        meta, active = event.metadata, event.event == "KILL_SWITCH_ACTIVATED"
        if int(meta["epoch"]) < self.epoch:
            return  # a later kill or resume is in memory already, and on its way to the journal
        self.epoch, self.kill_active = int(meta["epoch"]), active
        self.kill_reason = str(meta.get("why", "")) if active else ""
        self.kill_since = str(meta.get("since", "")) if active else ""

    def _submitted(self, event: Event) -> None:
        order = self.orders.get(key_of(event))
        if order is not None:
            self.orders[order.key] = replace(order, submitted=True)

    def _accepted(self, event: Event) -> None:
        order = self.orders.get(key_of(event))
        if order is not None:
            self.orders[order.key] = replace(order, order_id=int(event.metadata["order_id"]))

    def _fill(self, event: Event) -> None:
        meta, symbol = event.metadata, event.symbol or ""
        order, trade_id = self.orders.get(key_of(event)), int(meta["trade_id"])
        if self.has_counted(symbol, trade_id):
            return  # the exchange may say a thing twice
        if order is not None:
            self.orders[order.key] = replace(
                order, executed=order.executed + Decimal(meta["quantity"]), trade_ids=order.trade_ids | {trade_id}
            )
        elif not meta.get("foreign"):
            return  # an order that ended has no fills to come; should one come, the next comparison finds it
        self.counted[symbol] = self.counted.get(symbol, frozenset()) | {trade_id}
        day = datetime.fromtimestamp(int(meta["market_time"]) / 1000, UTC).date().isoformat()
        if day > self.day:
            self._turn_day(day)
        self._book(event, symbol, order)

    def _book(self, event: Event, symbol: str, order: OpenOrder | None) -> None:
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
            self._enter(event, before, order, quantity - fee_base, amount + fee_quote)
        elif order is not None or before.is_open:
            self._leave(event, before, quantity + fee_base, amount - fee_quote)

    def _enter(self, event: Event, before: Position, order: OpenOrder | None, quantity: Decimal, cost: Decimal) -> None:
        if order is None and not before.is_open:
            return  # somebody's own purchase is no position of ours
        after = before.entered(quantity, cost, int(event.metadata["market_time"]), order)
        self.positions[before.symbol] = after
        if not before.is_open:
            self._due("POSITION_OPENED", event, after.quantity, after.entry_price, ZERO)

    def _leave(self, event: Event, before: Position, quantity: Decimal, proceeds: Decimal) -> None:
        ours = min(quantity, before.quantity) if event.metadata.get("foreign") else quantity
        after, pnl = before.left(ours, proceeds * ours / quantity, Decimal(event.metadata["min_sellable"]))
        self.positions[before.symbol] = after
        self.realised_today += pnl
        self.realised_total += pnl
        self.realised_peak = max(self.realised_peak, self.realised_total)
        if before.is_open and not after.is_open:
            if after.round_pnl < 0:
                self.last_loss_ms = int(event.metadata["market_time"])
            self._due("POSITION_CLOSED", event, ours, before.entry_price, after.round_pnl)

    def _reconciled(self, meta: Mapping[str, Any]) -> None:
        """The exchange agrees, once what came or went without a trade is written down."""
        for symbol, trade_id in meta.get("trades", {}).items():
            self.compared[symbol] = max(int(trade_id), self.compared.get(symbol, 0))
            self.counted[symbol] = frozenset(t for t in self.counted.get(symbol, ()) if t > self.compared[symbol])
        for asset, amount in meta.get("adjusted", {}).items():
            self._credit(asset, Decimal(amount))
        for symbol, left in meta.get("positions", {}).items():
            if symbol in self.positions:
                self.positions[symbol] = self.positions[symbol].cut(Decimal(left["quantity"]), bool(left["is_open"]))

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

    def _mark(self, meta: Mapping[str, Any]) -> None:
        if "equity" in meta:
            self.marks[str(meta["day"])] = Decimal(meta["equity"])
            for day in sorted(self.marks)[:-MARKED_DAYS]:
                del self.marks[day]


def let_go(event: Event) -> tuple[OpenOrder, ...]:
    """The orders that may go to the exchange once this line is on the disk: one, a stop and its sale, mostly none."""
    if event.event != "TRADE_APPROVED" and not (event.event == "ORDER_SUBMITTED" and event.metadata.get("leg")):
        return ()
    order, profit = _order_of(event), event.metadata.get("profit")
    if profit is None:
        return (order,)
    return order, order.beside(str(profit["leg"]), str(profit["client_order_id"]), Decimal(profit["price"]))


def _order_of(event: Event) -> OpenOrder:
    meta = event.metadata

    def amount(name: str) -> Decimal | None:
        return Decimal(meta[name]) if meta.get(name) is not None else None

    return OpenOrder(
        correlation_id=event.correlation_id or "",
        symbol=event.symbol or "",
        side=event.side or "",
        order_type=str(meta["order_type"]),
        quantity=Decimal(meta["quantity"]),
        reference_price=Decimal(meta["reference_price"]),
        epoch=int(meta["epoch"]),
        seq=event.seq,
        client_order_id=str(meta["client_order_id"]),
        leg=str(meta.get("leg", "")),
        price=amount("price"),
        stop_price=amount("stop_price"),
        stop_loss=amount("stop_loss"),
        take_profit=amount("take_profit"),
        expires_ms=int(meta.get("expires", 0)),
    )
