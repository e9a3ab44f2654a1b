"""MetricsActor: what is counted over all of the journal's events, and the minute's heartbeat.

Receives Journaled and a timer. Tells Audit HEARTBEAT. Its figures, with those of every other actor, are what `/metrics`
collects on a scrape. A crash loses its counts since start, as a restart of the process does.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from actors.protocol import Heartbeat, Journaled
from actors.runtime.actor import Actor
from actors.world import World
from thunes.domain.figures import AlertFigures, ClosedTrade, OrderFigures, RiskFigures, TradeFigures
from thunes.domain.journal import AuditEvent
from thunes.domain.performance import is_decaying, sharpe_by_window
from thunes.messages import Record

Received: TypeAlias = Journaled | Heartbeat

MINUTE = 60.0
RECENT = 20
"""Closed trades that are shown."""


class MetricsActor(Actor):
    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        super().__init__(world, name, incarnation)
        self.fills: Counter[str] = Counter()
        self.trades: Counter[str] = Counter()
        self.mismatches = 0
        self.seq = 0
        self.marks: dict[str, Decimal] = {}
        self.sharpe: Mapping[str, float] = {}
        self.decaying = False
        self.recent: deque[ClosedTrade] = deque(maxlen=RECENT)

    def on_start(self) -> None:
        self._mark(self.world.load_books().marks)
        self.after(MINUTE, "heartbeat", Heartbeat())
        self._publish()

    def on_receive(self, message: Any) -> None:
        match message:
            case Journaled(events):
                for event in events:
                    if event.seq > self.seq:  # a crash of Audit's tells some twice
                        self.seq = event.seq
                        self._count(event)
            case Heartbeat():
                self._heartbeat()
            case _:
                raise TypeError(f"metrics does not understand {type(message).__name__}")
        self._publish()

    def _count(self, event: AuditEvent) -> None:
        match event.event:
            case "ORDER_FILLED" | "ORDER_PARTIALLY_FILLED":
                self.fills[event.side or ""] += 1
            case "POSITION_CLOSED":
                self._closed(event)
            case "RECONCILIATION_MISMATCH":
                self.mismatches += 1
            case "DAILY_RESET" if "equity" in event.metadata:
                decaying = self.decaying
                self._mark({event.metadata["day"]: Decimal(event.metadata["equity"])})
                if self.decaying and not decaying:
                    self._tell_of_decay()

    def _closed(self, event: AuditEvent) -> None:
        pnl = Decimal(event.metadata["pnl"])
        self.trades["loss" if pnl < 0 else "win"] += 1
        closed = datetime.fromtimestamp(int(event.metadata["market_time"]) / 1000, UTC)
        self.recent.append(ClosedTrade(event.symbol or "", closed, pnl))

    def _tell_of_decay(self) -> None:
        """Once for each time that it sets in; how it stands is in the figures."""
        parameters = self.world.settings.parameters
        why = f"the 7-day Sharpe ratio was below {parameters.decay_sharpe:g} on {parameters.decay_days} days in a row"
        meta = {"why": why, "sharpe": {window: round(ratio, 3) for window, ratio in self.sharpe.items()}}
        self.tell("audit", Record("PARAMETER_DECAY", metadata=meta))

    def _mark(self, marks: Mapping[str, Decimal]) -> None:
        """Once a day: what the days' equities say of the strategy."""
        parameters = self.world.settings.parameters
        self.marks |= marks
        self.sharpe = sharpe_by_window(self.marks)
        self.decaying = is_decaying(self.marks, parameters.decay_sharpe, parameters.decay_days)

    def _heartbeat(self) -> None:
        self.after(MINUTE, "heartbeat", Heartbeat())
        figures = self.world.board.figures
        latency: Counter[str] = Counter()
        for symbol in self.world.symbols:
            order = figures.get(f"order.{symbol}")
            if isinstance(order, OrderFigures) and order.latency_ms is not None:
                bounds = [*map(str, order.latency_ms.bounds), "inf"]
                latency.update(dict(zip(bounds, order.latency_ms.counts, strict=True)))
        machine = self.world.ports.machine_figures()
        alerts = figures.get("alert")
        meta = {
            "rss_peak_kb": machine.rss_peak_kb,
            "disk_free": machine.disk_free,
            "clock_skew_ms": round(self.world.ports.exchange_figures().clock_skew_ms, 3),
            "order_latency_ms": dict(latency),
            "alerts_pending": alerts.pending if isinstance(alerts, AlertFigures) else 0,
            **_equity(figures.get("risk")),
        }
        self.tell("audit", Record("HEARTBEAT", metadata=meta))

    def _publish(self) -> None:
        self.publish(
            TradeFigures(
                fills=sum(self.fills.values()),
                trades=dict(self.trades),
                buys_filled=self.fills["BUY"],
                sells_filled=self.fills["SELL"],
                mismatches=self.mismatches,
                sharpe=self.sharpe,
                decaying=self.decaying,
                recent=tuple(self.recent),
            )
        )


def _equity(risk: object) -> dict[str, Decimal]:
    """Until risk has read its books they are empty, and an equity of 0 would look like a ruin."""
    return {"equity": risk.equity} if isinstance(risk, RiskFigures) and risk.balances else {}
