"""What was done, in plain lines, at the end of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Protocol

from rich.text import Text

from thunes.domain.figures import RiskFigures, SystemFigures


class Verification(Protocol):
    """What a verified journal says of itself."""

    @property
    def events(self) -> int: ...
    @property
    def head(self) -> str: ...


def summary(figures: SystemFigures, verification: Verification | None) -> Text:
    """Ticks, decisions, orders, fills, fees, P&L and the journal's head; what was never known is left out.

    Plain text of less than 80 columns. `verification` None means that the chain was not verified, and is said so.
    """
    rows = [*_market(figures), *_decisions(figures.risk), *_orders(figures), *_money(figures.risk)]
    rows += _journal(figures, verification)
    title = f"THUNES {figures.venue}: {_duration(figures.uptime_s)}, version {figures.version} ({figures.git_sha[:12]})"
    return Text("\n".join([title, *(f"  {name:<12}{value}" for name, value in rows)]))


Rows = Iterator[tuple[str, str]]


def _market(figures: SystemFigures) -> Rows:
    streams = figures.streams.values()
    ticks, candles = sum(stream.ticks for stream in streams), sum(stream.candles for stream in streams)
    reconnects, gaps = sum(stream.reconnects for stream in streams), sum(stream.gaps for stream in streams)
    yield "market", f"{ticks:,} ticks, {candles:,} candles, {reconnects:,} reconnects, {gaps:,} gaps"


def _decisions(risk: RiskFigures | None) -> Rows:
    if risk is None:
        return
    by_outcome: Counter[str] = Counter()
    for (outcome, _), count in risk.decisions.items():
        by_outcome[outcome] += count
    yield "decisions", f"{by_outcome['approved']:,} approved, {by_outcome['rejected']:,} rejected"
    reasons = Counter({reason: count for (_, reason), count in risk.decisions.items() if reason})
    for reason, count in reasons.most_common():
        yield "", f"{count:,} {reason}"


def _orders(figures: SystemFigures) -> Rows:
    orders = figures.orders.values()
    if orders:
        placed = sum(sum(of.placed.values()) for of in orders)
        refused, unknown = sum(sum(of.rejected.values()) for of in orders), sum(of.unknown for of in orders)
        yield "orders", f"{placed:,} placed, {refused:,} refused by the exchange, {unknown:,} of unknown fate"
    if figures.trading is not None:
        trading = figures.trading
        wins, losses = trading.trades.get("win", 0), trading.trades.get("loss", 0)
        yield "fills", f"{trading.fills:,}; {wins + losses:,} positions closed: {wins:,} won, {losses:,} lost"


def _money(risk: RiskFigures | None) -> Rows:
    if risk is None:
        return
    unrealised = sum((position.unrealised for position in risk.positions), Decimal(0))
    yield "fees", f"{risk.fees_total:,.4f}"
    yield "P&L", f"{risk.realised_total:+,.4f} realised net of fees, {unrealised:+,.4f} unrealised"
    yield "today", f"{risk.daily_pnl:+,.4f} of a loss limit of {risk.daily_loss_limit:,}"
    if risk.kill_active:
        yield "kill switch", f"ACTIVE: {risk.kill_reason or 'no reason given'}"


def _journal(figures: SystemFigures, verification: Verification | None) -> Rows:
    if verification is not None:
        yield "journal", f"{verification.events:,} events, chain verified; its head is"
        yield "", verification.head
    elif figures.journal is not None:
        yield "journal", f"up to line {figures.journal.seq:,}, NOT verified; run `thunes audit verify`"


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, seconds_left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds_left:02}" if hours else f"{minutes}:{seconds_left:02}"
