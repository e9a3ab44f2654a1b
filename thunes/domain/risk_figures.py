"""What risk publishes of itself, from its state."""

from __future__ import annotations

from collections.abc import Mapping

from thunes.domain.books import ZERO
from thunes.domain.figures import PositionFigures, RiskFigures
from thunes.domain.risk import RiskState, breach


def risk_figures(state: RiskState, decisions: Mapping[tuple[str, str], int]) -> RiskFigures:
    """An immutable picture of the state; `decisions` counts by (outcome, reason)."""
    books = state.books
    return RiskFigures(
        synced=state.synced,
        kill_active=books.kill_active,
        kill_reason=books.kill_reason,
        kill_since=books.kill_since,
        epoch=books.epoch,
        paused=books.paused,
        daily_pnl=state.daily_pnl(),
        daily_loss_limit=state.limits.max_daily_loss,
        realised_today=books.realised_today,
        realised_total=books.realised_total,
        fees_total=books.fees_quote,
        equity=state.equity(),
        drawdown=float(state.drawdown()),
        positions=tuple(_position(state, symbol) for symbol in sorted(books.positions)),
        balances=dict(books.balances),
        reserved=len(books.orders),
        max_positions=state.limits.max_positions,
        cool_down_until_ms=state.cool_down_until_ms(),
        decisions=dict(decisions),
        breach=breach(state) or "",
    )


def _position(state: RiskState, symbol: str) -> PositionFigures:
    position, tick = state.books.positions[symbol], state.ticks.get(symbol)
    held = position.quantity if position.is_open else ZERO
    return PositionFigures(
        symbol=symbol,
        quantity=held,
        entry_price=position.entry_price if position.is_open else ZERO,
        opened_ms=position.opened_ms,
        unrealised=state.position_pnl(symbol),
        dust=position.quantity - held,
        value=held * tick.bid if tick is not None else position.cost,
    )
