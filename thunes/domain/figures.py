"""Figures that each part publishes of itself: immutable, replaced whole, read by reference from any thread.

`/metrics`, `/api/status`, the live table and the supervisor read these, so reading costs the road nothing and still
works when an actor hangs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Observation:
    """One value that was observed, and the decision that it belongs to."""

    value: float
    correlation_id: str
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cumulative-ready counts: `counts[i]` observations fell at or below `bounds[i]`; the last is beyond all bounds."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float = 0.0
    newest: tuple[Observation | None, ...] = ()
    """The newest of each bucket whose decision is known; empty where decisions play no part."""


@dataclass(frozen=True, slots=True)
class ActorFigures:
    """One actor as the supervisor and its mailbox see it."""

    name: str
    state: str
    """starting, running, restarting, stopping or stopped."""
    mailbox: int
    oldest_ms: float
    handled: int
    restarts: int


@dataclass(frozen=True, slots=True)
class StreamFigures:
    symbol: str
    connected: bool
    last_frame_ns: int
    """Monotonic; 0 before the first frame."""
    bid: Decimal | None = None
    ask: Decimal | None = None
    market_ms: int = 0
    ticks: int = 0
    conflated: int = 0
    trades: int = 0
    first_trade_id: int = 0
    last_trade_id: int = 0
    """With none missing, these two are as far apart as `trades` says."""
    candles: int = 0
    reconnects: int = 0
    gaps: int = 0
    overflow: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Frames not used, by why."""
    gap_seconds: Histogram | None = None


@dataclass(frozen=True, slots=True)
class StrategyFigures:
    symbol: str
    strategy: str
    state: str
    """`warming n/50` or `ready`."""
    last_decision: str = ""
    """The last intent and what became of it, in words."""
    last_decision_ms: int = 0
    params_hash: str = ""
    candles: int = 0
    """Closed candles seen."""


@dataclass(frozen=True, slots=True)
class PositionFigures:
    symbol: str
    quantity: Decimal
    entry_price: Decimal
    opened_ms: int
    unrealised: Decimal
    dust: Decimal
    value: Decimal


@dataclass(frozen=True, slots=True)
class RiskFigures:
    synced: bool
    kill_active: bool
    kill_reason: str
    kill_since: str
    epoch: int
    daily_pnl: Decimal
    """Realised since 00:00 UTC net of fees, plus unrealised at the bid."""
    daily_loss_limit: Decimal
    realised_today: Decimal
    realised_total: Decimal
    fees_total: Decimal
    equity: Decimal
    drawdown: float
    positions: tuple[PositionFigures, ...]
    balances: Mapping[str, Decimal]
    reserved: int
    max_positions: int
    cool_down_until_ms: int
    decisions: Mapping[tuple[str, str], int]
    """(outcome, reason) to count; outcome is approved or rejected, an approval's reason is empty."""
    paused: bool = False
    """A person wants nothing new to be bought."""
    breach: str = ""
    """What activates the kill switch by itself and keeps it on while it lasts, in words."""


@dataclass(frozen=True, slots=True)
class BreakerFigures:
    name: str
    state: str
    """closed, half-open or open."""
    trips: int


@dataclass(frozen=True, slots=True)
class OpenOrderFigures:
    client_order_id: str
    symbol: str
    side: str
    order_type: str
    quantity: Decimal
    executed: Decimal
    status: str
    """The exchange's word, or UNKNOWN."""
    correlation_id: str


@dataclass(frozen=True, slots=True)
class OrderFigures:
    symbol: str
    epoch: int
    open: tuple[OpenOrderFigures, ...]
    unknown: int
    unknown_since_ms: int
    """Monotonic: when the oldest of them may last have been sent; 0 where there is none."""
    placed: Mapping[tuple[str, str], int]
    """(order type, side) to count."""
    rejected: Mapping[str, int]
    """Exchange error code to count."""
    latency_ms: Histogram | None = None
    tick_to_order_ms: Histogram | None = None


@dataclass(frozen=True, slots=True)
class JournalFigures:
    seq: int
    head: str
    lag_ms: float
    events: Mapping[str, int]
    """Event name to count since start."""
    dead_letters: int
    fsync_ms: Histogram | None = None


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    symbol: str
    closed: datetime
    """Market time."""
    pnl: Decimal
    """Net of fees."""


@dataclass(frozen=True, slots=True)
class TradeFigures:
    """What MetricsActor keeps from journalled events."""

    fills: int
    trades: Mapping[str, int]
    """Closed positions by outcome: win or loss."""
    buys_filled: int
    sells_filled: int
    mismatches: int
    sharpe: Mapping[str, float] = field(default_factory=dict)
    """Annualised, of daily returns, by window; a window that has not passed yet is absent."""
    decaying: bool = False
    recent: tuple[ClosedTrade, ...] = ()
    """The last that were closed since the start, oldest first."""


@dataclass(frozen=True, slots=True)
class ExchangeFigures:
    """What the REST adapter knows of the venue."""

    used_weight: int
    """Of the current minute."""
    clock_skew_ms: float
    weight_limit: int = 0
    order_counts: Mapping[str, int] = field(default_factory=dict)
    """Unfilled orders by interval: 10S, 1D."""
    paused_until_ns: int = 0
    """The exchange wants no requests until then (monotonic); 0: it takes them."""
    orders_held_until_ns: int = 0
    """No order may be placed until then, for a pause or a full count; 0: one may."""


@dataclass(frozen=True, slots=True)
class MachineFigures:
    """What the process and its disk say of themselves."""

    rss_peak_kb: int
    disk_free: int
    disk_size: int = 0


@dataclass(frozen=True, slots=True)
class AlertFigures:
    """What waits to be told to people, and what was."""

    pending: int
    sent: Mapping[tuple[str, str], int]
    """(channel, outcome) to count."""
    ignored: int = 0
    """Messages to the bot from chats that are not the operator's."""


@dataclass(frozen=True, slots=True)
class SystemFigures:
    """All of it at one moment: what the edges show."""

    venue: str
    version: str
    git_sha: str
    uptime_s: float
    now_ns: int
    ready: bool
    not_ready: str
    """Why not, in words; empty when ready."""
    actors: tuple[ActorFigures, ...]
    streams: Mapping[str, StreamFigures]
    """By symbol; `account` is the account's."""
    strategies: Mapping[str, StrategyFigures]
    risk: RiskFigures | None
    breakers: Mapping[str, BreakerFigures]
    orders: Mapping[str, OrderFigures]
    journal: JournalFigures | None
    trading: TradeFigures | None
    exchange: ExchangeFigures | None
    machine: MachineFigures | None = None
    alerts: AlertFigures | None = None
