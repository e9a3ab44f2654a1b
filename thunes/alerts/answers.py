"""What the bot shows of the system: figures as lines for a phone, at most some 34 characters wide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal

from thunes.domain.figures import RiskFigures, SystemFigures

UNKNOWN = "-"
NOT_YET = "The books are being read; ask again in a moment."


def status(now: SystemFigures) -> str:
    risk = now.risk
    lines = [
        f"THUNES {now.version} on {now.venue}",
        f"up {timedelta(seconds=int(now.uptime_s))}, {'ready' if now.ready else 'not ready: ' + now.not_ready}",
    ]
    if risk is None:
        return "\n".join([*lines, NOT_YET])
    switch = f"KILLED: {risk.kill_reason}" if risk.kill_active else "off"
    lines += [f"kill switch {switch}"]
    if risk.paused:
        lines.append("paused: nothing new is bought")
    lines += [f"breaker {breaker.state}" for breaker in now.breakers.values()]
    held = sum(1 for position in risk.positions if position.quantity > 0)
    lines += [
        f"equity    {money(risk.equity)}",
        f"today     {signed(risk.daily_pnl)} ({_used(risk):.0%} of limit)",
        f"positions {held}, orders {sum(len(of.open) for of in now.orders.values())}",
    ]
    if unknown := sum(of.unknown for of in now.orders.values()):
        lines.append(f"UNKNOWN   {unknown} orders")
    return "\n".join(lines)


def positions(now: SystemFigures) -> str:
    if now.risk is None:
        return NOT_YET
    lines = []
    for held in now.risk.positions:
        if held.quantity > 0:
            lines += [
                f"{held.symbol}  {plain(held.quantity)}",
                f"  bought at  {money(held.entry_price)}",
                f"  worth      {money(held.value)}",
                f"  unrealised {signed(held.unrealised)}",
            ]
    return "\n".join(lines) or "Nothing is held."


def orders(now: SystemFigures) -> str:
    lines = []
    for figures in now.orders.values():
        for order in figures.open:
            lines += [
                f"{order.symbol} {order.side} {order.order_type}",
                f"  {plain(order.executed)} of {plain(order.quantity)}  {order.status}",
            ]
    return "\n".join(lines) or "No order is open."


def pnl(now: SystemFigures) -> str:
    risk = now.risk
    if risk is None:
        return NOT_YET
    return "\n".join(
        [
            f"today      {signed(risk.daily_pnl)}",
            f"  realised {signed(risk.realised_today)}",
            f"  limit    -{money(risk.daily_loss_limit)} ({_used(risk):.0%} used)",
            f"in all     {signed(risk.realised_total)} realised",
            f"fees       {money(risk.fees_total)}",
        ]
    )


def trades(now: SystemFigures) -> str:
    recent = now.trading.recent if now.trading is not None else ()
    lines = [f"{trade.closed:%d.%m. %H:%M} {trade.symbol} {signed(trade.pnl)}" for trade in reversed(recent)]
    return "\n".join(lines) or "No trade was closed since the start."


def performance(now: SystemFigures) -> str:
    risk, trading = now.risk, now.trading
    if risk is None or trading is None:
        return NOT_YET
    wins, losses = trading.trades.get("win", 0), trading.trades.get("loss", 0)
    rate = f"{wins / (wins + losses):.0%}" if wins + losses else UNKNOWN
    lines = [
        f"realised {signed(risk.realised_total)}",
        f"fees     {money(risk.fees_total)}",
        f"equity   {money(risk.equity)}",
        f"drawdown {risk.drawdown:.2%}",
        f"trades   {wins + losses} since the start",
        f"won      {rate}",
    ]
    lines += [f"Sharpe {window:>4} {ratio:.2f}" for window, ratio in trading.sharpe.items()]
    return "\n".join([*lines, *(["The parameters have decayed."] if trading.decaying else [])])


def risk(now: SystemFigures) -> str:
    figures = now.risk
    if figures is None:
        return NOT_YET
    held = sum(1 for position in figures.positions if position.quantity > 0)
    lines = [
        f"kill switch   {'ON' if figures.kill_active else 'off'}",
        f"paused        {'yes' if figures.paused else 'no'}",
        f"in step       {'yes' if figures.synced else 'NO'}",
        f"daily loss    {_used(figures):.0%} of {money(figures.daily_loss_limit)}",
        f"drawdown      {figures.drawdown:.2%}",
        f"positions     {held} of {figures.max_positions}, {figures.reserved} reserved",
    ]
    refused = sorted(
        ((reason, count) for (outcome, reason), count in figures.decisions.items() if outcome == "rejected"),
        key=lambda each: -each[1],
    )
    approved = sum(count for (outcome, _), count in figures.decisions.items() if outcome == "approved")
    return "\n".join([*lines, f"approved      {approved}", *(f"{reason} {count}" for reason, count in refused)])


def breaker(now: SystemFigures) -> str:
    return (
        "\n".join(f"{name}: {each.state}, tripped {each.trips} times" for name, each in now.breakers.items()) or NOT_YET
    )


def streams(now: SystemFigures) -> str:
    lines = []
    for name, stream in now.streams.items():
        age = f"{(now.now_ns - stream.last_frame_ns) / 1e9:.1f} s" if stream.last_frame_ns else UNKNOWN
        lines.append(f"{name}: {'connected' if stream.connected else 'AWAY'}, last {age}")
        lines.append(f"  reconnects {stream.reconnects}, gaps {stream.gaps}, dropped {stream.overflow}")
    return "\n".join(lines) or "No stream is known yet."


def actors(now: SystemFigures) -> str:
    return "\n".join(
        f"{actor.name:<20} {actor.state:<8} {actor.mailbox:>4} {actor.restarts:>2}" for actor in now.actors
    )


SHOWN: Mapping[str, Callable[[SystemFigures], str]] = {
    "status": status,
    "positions": positions,
    "orders": orders,
    "pnl": pnl,
    "trades": trades,
    "performance": performance,
    "risk": risk,
    "breaker": breaker,
    "streams": streams,
    "actors": actors,
}


def _used(figures: RiskFigures) -> float:
    loss = max(Decimal(0), -figures.daily_pnl)
    return float(loss / figures.daily_loss_limit) if figures.daily_loss_limit > 0 else 0.0


def plain(amount: Decimal) -> str:
    """Digits without an exponent and without needless zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def signed(amount: Decimal) -> str:
    return f"{amount:+,.2f}"
