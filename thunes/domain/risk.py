"""May this order go? The checks in the order of the contract; the first that fails is the reason.

Pure: the state is `Books` plus what the market last said; time is an argument. A refusal is a value, no exception.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from thunes.domain.books import ZERO, Books
from thunes.domain.filters import SymbolRules, order_violation
from thunes.messages import OrderType, Side, SubmitOrder, Tick

DIFFER = "books and exchange differ: "
MINUTE_NS = 60_000_000_000


class Limits(Protocol):
    """The `risk` section of the settings."""

    @property
    def max_daily_loss(self) -> Decimal: ...
    @property
    def max_positions(self) -> int: ...
    @property
    def max_notional(self) -> Decimal: ...
    @property
    def max_exposure(self) -> Decimal: ...
    @property
    def max_drawdown(self) -> Decimal: ...
    @property
    def max_orders_per_minute(self) -> int: ...
    @property
    def price_collar(self) -> Decimal: ...
    @property
    def cool_down(self) -> float: ...
    @property
    def stale_after(self) -> float: ...
    @property
    def stop_limit_offset(self) -> Decimal: ...


@dataclass(slots=True)
class RiskState:
    """What risk decides from. Owned by one actor; everything in it comes from the journal or the market."""

    limits: Limits
    rules: Mapping[str, SymbolRules]
    books: Books
    synced: bool = False
    halted: bool = False
    """The system is stopping: nothing new."""
    mismatch: str = ""
    """How books and exchange differ, once that lasts; until they agree."""
    ticks: dict[str, Tick] = field(default_factory=dict)
    sent_ns: deque[int] = field(default_factory=deque)
    """When approvals of the last minute were given, on the monotonic clock."""

    def unrealised(self) -> Decimal:
        """Open positions at the bid, less their cost (fees of the entry in, of an exit not), in quote currency."""
        return sum((self.position_pnl(p.symbol) for p in self.books.open_positions), ZERO)

    def position_pnl(self, symbol: str) -> Decimal:
        position, tick = self.books.holding(symbol), self.ticks.get(symbol)
        return position.quantity * tick.bid - position.cost if position is not None and tick is not None else ZERO

    def daily_pnl(self) -> Decimal:
        """Realised since 00:00 UTC of market time, net of fees, plus unrealised at the bid."""
        return self.books.realised_today + self.unrealised()

    def equity(self) -> Decimal:
        """The opening quote balances, what was realised since, and what is open at the bid."""
        return self.opening_quote() + self.books.realised_total + self.unrealised()

    def drawdown(self) -> Decimal:
        """How far equity is below its highest realised point, as a fraction; 0 at or above it."""
        peak = self.opening_quote() + self.books.realised_peak
        return max(ZERO, (peak - self.equity()) / peak) if peak > 0 else ZERO

    def opening_quote(self) -> Decimal:
        opening = self.books.opening or {}
        return sum((opening.get(asset, ZERO) for asset in {r.quote for r in self.rules.values()}), ZERO)

    def exposure(self) -> Decimal:
        """Quote in open positions at cost and in approved buys that have not ended."""
        held = sum((p.cost for p in self.books.open_positions), ZERO)
        return held + sum((o.notional for o in self.books.orders.values() if o.side == Side.BUY), ZERO)

    def slots(self) -> set[str]:
        """Symbols that hold a position slot: open positions and approved buys under way."""
        held = {p.symbol for p in self.books.open_positions}
        return held | {o.symbol for o in self.books.orders.values() if o.side == Side.BUY}

    def cool_down_until_ms(self) -> int:
        loss = self.books.last_loss_ms
        return loss + int(self.limits.cool_down * 1000) if loss and self.limits.cool_down else 0


def snapshot(state: RiskState) -> dict[str, Any]:
    """The journal's `risk_snapshot` member."""
    return {
        "kill_switch": state.books.kill_active,
        "epoch": state.books.epoch,
        "daily_pnl": state.daily_pnl(),
        "daily_loss_limit": state.limits.max_daily_loss,
        "open_positions": len(state.books.open_positions),
        "reserved": sum(1 for order in state.books.orders.values() if not order.leg),
        "max_positions": state.limits.max_positions,
        "cool_down_until": state.cool_down_until_ms(),
    }


def refusal(state: RiskState, order: SubmitOrder, now_ns: int) -> str | None:
    """The reason why `order` may not go, as a code of the contract, or None when it may."""
    for check in CHECKS:
        reason = check(state, order, now_ns)
        if reason is not None:
            return reason
    return None


def breach(state: RiskState) -> str | None:
    """What activates the kill switch by itself, and forbids to resume while it lasts, in words; or None."""
    loss = state.daily_pnl()
    if loss <= -state.limits.max_daily_loss:
        return f"daily loss {loss:.4f} reached the limit of {state.limits.max_daily_loss}"
    if state.drawdown() >= state.limits.max_drawdown:
        return f"drawdown {state.drawdown():.4f} reached the limit of {state.limits.max_drawdown}"
    if state.mismatch:
        return DIFFER + state.mismatch
    return None


def mismatch_killed_for(books: Books) -> str:
    """How books and exchange differed when that activated the kill switch that is on; empty when something else did."""
    differ = books.kill_active and books.kill_reason.startswith(DIFFER)
    return books.kill_reason.removeprefix(DIFFER) if differ else ""


def _synced(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    if not state.synced:
        return "NOT_SYNCED"
    paused = state.books.paused and order.side is Side.BUY
    unpriced = order_market(state, order) is None and order.symbol in state.rules
    return "NOT_READY" if state.halted or paused or unpriced else None


def order_market(state: RiskState, order: SubmitOrder) -> Tick | None:
    return state.ticks.get(order.symbol)


def _is_well_formed(_state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    """Before anything is compared with it: NaN compares with nothing, and infinity is no order."""
    prices = (order.price, order.stop_loss, order.take_profit)
    if not all(number.is_finite() for number in (order.quantity, order.reference_price, *prices) if number is not None):
        return "FILTER_LOT_SIZE"
    priced = (order.price is not None and order.price > 0) or order.order_type is OrderType.MARKET
    protected = order.stop_loss is None or 0 < order.stop_loss < 1
    return None if priced and protected and (order.take_profit is None or order.take_profit > 0) else "FILTER_PRICE"


def _kill_switch(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    return "KILL_SWITCH" if order.side is Side.BUY and state.books.kill_active else None


def _daily_loss(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    reached = order.side is Side.BUY and state.daily_pnl() <= -state.limits.max_daily_loss
    return "DAILY_LOSS_LIMIT" if reached else None


def _position_limit(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    if order.side is Side.SELL or order.symbol in state.slots():
        return None
    return "POSITION_LIMIT" if len(state.slots()) >= state.limits.max_positions else None


def _cool_down(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    cooling = order.side is Side.BUY and order.market_ms < state.cool_down_until_ms()
    return "COOL_DOWN" if cooling else None


def _duplicate_symbol(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    under_way = (o for o in state.books.orders.values() if o.symbol == order.symbol and not o.leg)
    if any(o.side == order.side for o in under_way):
        return "DUPLICATE_SYMBOL"
    return "DUPLICATE_SYMBOL" if order.side is Side.BUY and state.books.holding(order.symbol) else None


def _no_position(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    if order.side is Side.BUY:
        return None
    position = state.books.holding(order.symbol)
    return "NO_POSITION" if position is None or order.quantity > position.quantity else None


def _worth(order: SubmitOrder) -> Decimal:
    """What an entry may cost: a LIMIT may be above what is displayed."""
    return order.quantity * max(order.reference_price, order.price or ZERO)


def _max_notional(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    too_large = order.side is Side.BUY and _worth(order) > state.limits.max_notional
    return "MAX_NOTIONAL" if too_large else None


def _exposure(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    if order.side is Side.SELL:
        return None
    total = state.exposure() + _worth(order)
    return "EXPOSURE_LIMIT" if total > state.limits.max_exposure else None


def _order_rate(state: RiskState, order: SubmitOrder, now_ns: int) -> str | None:
    while state.sent_ns and now_ns - state.sent_ns[0] >= MINUTE_NS:
        state.sent_ns.popleft()
    full = order.side is Side.BUY and len(state.sent_ns) >= state.limits.max_orders_per_minute
    return "ORDER_RATE" if full else None


def _price_collar(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    tick = order_market(state, order)
    if tick is None or order.side is Side.SELL:
        return None
    price = order.price or order.reference_price
    return "PRICE_COLLAR" if abs(price - tick.ask) > tick.ask * state.limits.price_collar else None


def _stale(state: RiskState, order: SubmitOrder, now_ns: int) -> str | None:
    tick = order_market(state, order)
    old = tick is not None and now_ns - tick.received_ns > state.limits.stale_after * 1e9
    return "STALE_MARKET_DATA" if old else None


def _balance(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    rules = state.rules.get(order.symbol)
    if rules is None:
        return None
    if order.side is Side.SELL:
        short = state.books.balances.get(rules.base, ZERO) < order.quantity
    else:
        under_way = sum((o.notional for o in state.books.orders.values() if o.side == Side.BUY), ZERO)
        short = state.books.balances.get(rules.quote, ZERO) - under_way < _worth(order)
    return "INSUFFICIENT_BALANCE" if short else None


def _symbol_and_filters(state: RiskState, order: SubmitOrder, _now_ns: int) -> str | None:
    rules, tick = state.rules.get(order.symbol), order_market(state, order)
    if rules is None:
        return "UNKNOWN_SYMBOL"
    price = tick.bid if tick is not None and order.side is Side.SELL else order.reference_price
    broken = order_violation(
        rules,
        side=order.side,
        order_type=order.order_type,
        price=order.price,
        quantity=order.quantity,
        quote_quantity=None,
        average_price=price,
        last_price=price,
        position=state.books.balances.get(rules.base, ZERO),
    )
    return None if broken is None else "FILTER_" + broken.removesuffix("_FILTER")


Check = Callable[[RiskState, SubmitOrder, int], str | None]

CHECKS: tuple[Check, ...] = (
    _synced,
    _is_well_formed,
    _kill_switch,
    _daily_loss,
    _position_limit,
    _cool_down,
    _duplicate_symbol,
    _no_position,
    _max_notional,
    _exposure,
    _order_rate,
    _price_collar,
    _stale,
    _balance,
    _symbol_and_filters,
)
"""In the contract's order of reasons; what is no number comes early, because nothing else can judge it."""
