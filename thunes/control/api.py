"""What `/api/status`, `positions`, `orders` and `breakers` answer, as pure functions of one `SystemFigures`.

Amounts of money and quantities are strings of decimals; ratios, seconds and counts are numbers; what is not known yet
is null, never 0.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from thunes.domain.figures import (
    ActorFigures,
    OpenOrderFigures,
    PositionFigures,
    RiskFigures,
    StreamFigures,
    SystemFigures,
)


def status(figures: SystemFigures) -> dict[str, Any]:
    """The whole system on one page, as `/api/status` gives it."""
    return {
        "venue": figures.venue,
        "uptime_s": round(figures.uptime_s, 3),
        "ready": figures.ready,
        "not_ready": figures.not_ready,
        "kill_switch": _kill_switch(figures.risk),
        "breakers": {name: breaker.state for name, breaker in figures.breakers.items()},
        "streams": {symbol: _stream(stream, figures.now_ns) for symbol, stream in figures.streams.items()},
        "market": {s: _market(stream) for s, stream in figures.streams.items() if stream.bid is not None},
        "strategies": {
            symbol: {"state": strategy.state, "last_decision": strategy.last_decision}
            for symbol, strategy in figures.strategies.items()
        },
        "positions": positions(figures),
        "pnl": _pnl(figures.risk),
        "orders": {
            "open": sum(len(of.open) for of in figures.orders.values()),
            "unknown": sum(of.unknown for of in figures.orders.values()),
        },
        "journal": _journal(figures),
        "actors": [_actor(actor) for actor in figures.actors],
    }


def positions(figures: SystemFigures) -> list[dict[str, Any]]:
    """Open positions; one that is nothing but dust is not open. Empty while the books are not known."""
    return [_position(held) for held in open_positions(figures.risk)] if figures.risk is not None else []


def orders(figures: SystemFigures) -> list[dict[str, Any]]:
    """Orders that the exchange may still fill, those of unknown fate among them."""
    return [_order(order) for of in figures.orders.values() for order in of.open]


def breakers(figures: SystemFigures) -> dict[str, dict[str, Any]]:
    """Every circuit by its name; `trips` counts since its actor started."""
    return {name: {"state": circuit.state, "trips": circuit.trips} for name, circuit in figures.breakers.items()}


def open_positions(risk: RiskFigures) -> tuple[PositionFigures, ...]:
    """Positions that an order could close; one of which only dust is left has no quantity."""
    return tuple(held for held in risk.positions if held.quantity > 0)


def loss_used(risk: RiskFigures) -> float:
    """Today's loss as a fraction of the daily limit: 0 in profit, 1 and more once the limit is reached."""
    if risk.daily_pnl >= 0:
        return 0.0
    return float(-risk.daily_pnl / risk.daily_loss_limit) if risk.daily_loss_limit > 0 else 1.0


def _kill_switch(risk: RiskFigures | None) -> dict[str, Any]:
    if risk is None:
        return {"active": None, "reason": None, "since": None}
    return {"active": risk.kill_active, "reason": risk.kill_reason or None, "since": risk.kill_since or None}


def _stream(stream: StreamFigures, now_ns: int) -> dict[str, Any]:
    seen = stream.last_frame_ns > 0
    return {
        "connected": stream.connected,
        "age_s": round(max(0, now_ns - stream.last_frame_ns) / 1e9, 3) if seen else None,
        "reconnects": stream.reconnects,
        "gaps": stream.gaps,
        "overflow": stream.overflow,
    }


def _market(stream: StreamFigures) -> dict[str, Any]:
    return {"bid": _text(stream.bid), "ask": _text(stream.ask), "market_ms": stream.market_ms}


def _position(held: PositionFigures) -> dict[str, Any]:
    return {
        "symbol": held.symbol,
        "quantity": _text(held.quantity),
        "entry_price": _text(held.entry_price),
        "opened_ms": held.opened_ms,
        "value": _text(held.value),
        "unrealised": _text(held.unrealised),
        "dust": _text(held.dust),
    }


def _order(order: OpenOrderFigures) -> dict[str, Any]:
    return {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "order_type": order.order_type,
        "quantity": _text(order.quantity),
        "executed": _text(order.executed),
        "status": order.status,
        "correlation_id": order.correlation_id,
    }


def _pnl(risk: RiskFigures | None) -> dict[str, Any]:
    if risk is None:
        return {"today": None, "limit": None, "used": None}
    limit = _text(risk.daily_loss_limit)
    return {"today": _text(risk.daily_pnl), "limit": limit, "used": round(loss_used(risk), 6)}


def _journal(figures: SystemFigures) -> dict[str, Any]:
    journal = figures.journal
    if journal is None:
        return {"seq": None, "head": None, "lag_ms": None}
    return {"seq": journal.seq, "head": journal.head, "lag_ms": round(journal.lag_ms, 3)}


def _actor(actor: ActorFigures) -> dict[str, Any]:
    return {
        "name": actor.name,
        "state": actor.state,
        "mailbox": actor.mailbox,
        "oldest_ms": round(actor.oldest_ms, 3),
        "handled": actor.handled,
        "restarts": actor.restarts,
    }


def _text(amount: Decimal | None) -> str | None:
    """Plain digits: an exponent is legal JSON text but no price that a person reads."""
    return None if amount is None else format(amount, "f")
