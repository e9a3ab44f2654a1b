"""Every figure as a Prometheus metric, made at the moment of a scrape.

A custom collector reads one `SystemFigures`, so counting costs the actors nothing. What is not known yet is absent
rather than 0: an alert on a missing series is honest, one on a wrong 0 is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from thunes.control.api import loss_used, open_positions
from thunes.control.families import counters, gauge, gauges, histogram
from thunes.domain.figures import (
    AlertFigures,
    ExchangeFigures,
    JournalFigures,
    MachineFigures,
    OrderFigures,
    RiskFigures,
    StreamFigures,
    SystemFigures,
    TradeFigures,
)

BREAKER_STATES: Mapping[str, float] = {"closed": 0.0, "half-open": 0.5, "open": 1.0}


Watch = Callable[[], tuple[int, int]]
"""Nanoseconds on a monotonic clock, and of the processor that the calling thread has had."""


class Metrics:
    """The registry behind `/metrics`: the system's figures, and prometheus-client's of process, platform and gc."""

    def __init__(self, figures: Callable[[], SystemFigures], watch: Watch) -> None:
        self._registry = CollectorRegistry()
        self._watch = watch
        self._scrapes = Scrapes()
        self._registry.register(FiguresCollector(figures, lambda: self._scrapes))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self, accept_header: str) -> tuple[bytes, str]:
        """Body and content type: OpenMetrics for a client that asks for it, else Prometheus text."""
        wall, cpu = self._watch()
        encode, content_type = choose_encoder(accept_header)
        body = encode(self._registry)
        wall_after, cpu_after = self._watch()
        self._scrapes = self._scrapes.and_one(wall_after - wall, cpu_after - cpu)
        return body, content_type


@dataclass(frozen=True, slots=True)
class Scrapes:
    """What answering scrapes has cost so far: time on the clock and of the processor; the rest is waiting for it."""

    count: int = 0
    wall_ns: int = 0
    cpu_ns: int = 0

    def and_one(self, wall_ns: int, cpu_ns: int) -> Scrapes:
        return Scrapes(self.count + 1, self.wall_ns + wall_ns, self.cpu_ns + cpu_ns)


class FiguresCollector(Collector):
    """Turns one reading of the figures into metric families, all of the same moment."""

    def __init__(self, figures: Callable[[], SystemFigures], scrapes: Callable[[], Scrapes]) -> None:
        self._figures = figures
        self._scrapes = scrapes

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: which metrics there are depends on what is known at the scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        figures = self._figures()
        yield _build_info(figures)
        yield gauge("thunes_ready", "1 once streams, account and books are in step.", figures.ready)
        yield from _actors(figures)
        yield from _breakers(figures)
        yield from _streams(figures)
        yield from _orders(figures)
        if figures.risk is not None:
            yield from _risk(figures.risk)
        if figures.journal is not None:
            yield from _journal(figures.journal, figures)
        if figures.trading is not None:
            yield from _trading(figures.trading, figures)
        if figures.exchange is not None:
            yield from _exchange(figures.exchange, figures.now_ns)
        if figures.machine is not None:
            yield from _machine(figures.machine)
        if figures.alerts is not None:
            yield from _alerts(figures.alerts)
        yield from _scrapes(self._scrapes())


def _build_info(figures: SystemFigures) -> Metric:
    labels = {"version": figures.version, "git_sha": figures.git_sha, "venue": figures.venue}
    return gauges("thunes_build_info", "Always 1; the labels name the build.", tuple(labels), {(*labels.values(),): 1})


def _actors(figures: SystemFigures) -> Iterator[Metric]:
    actors, label = figures.actors, ("actor",)
    depth = {(a.name,): float(a.mailbox) for a in actors}
    oldest = {(a.name,): a.oldest_ms / 1000 for a in actors}
    restarts = {(a.name,): float(a.restarts) for a in actors}
    handled = {(a.name,): float(a.handled) for a in actors}
    yield gauges("thunes_mailbox_depth", "Messages waiting.", label, depth)
    yield gauges("thunes_mailbox_oldest_seconds", "Age of the message that has waited longest.", label, oldest)
    yield counters("thunes_actor_restarts_total", "Restarts after a crash.", label, restarts)
    yield counters("thunes_messages_handled_total", "Messages handled.", label, handled)


def _breakers(figures: SystemFigures) -> Iterator[Metric]:
    breakers, label = figures.breakers, ("breaker_name",)
    states = {(b.name,): BREAKER_STATES[b.state] for b in breakers.values()}
    trips = {(b.name,): float(b.trips) for b in breakers.values()}
    yield gauges("thunes_circuit_breaker_state", "0 closed, 0.5 half-open, 1 open.", label, states)
    yield counters("thunes_circuit_breaker_trips_total", "Times it opened.", label, trips)


def _streams(figures: SystemFigures) -> Iterator[Metric]:
    streams = figures.streams

    def by_symbol(figure: Callable[[StreamFigures], float]) -> dict[tuple[str, ...], float]:
        return {(symbol,): float(figure(stream)) for symbol, stream in streams.items()}

    label = ("symbol",)
    connected = by_symbol(lambda s: s.connected)
    yield gauges("thunes_ws_connected", "1 while the stream's socket is open.", label, connected)
    ages = {(s,): (figures.now_ns - of.last_frame_ns) / 1e9 for s, of in streams.items() if of.last_frame_ns}
    yield gauges("thunes_ws_message_age_seconds", "Since the stream's last frame.", label, ages)
    reconnects = by_symbol(lambda s: s.reconnects)
    yield counters("thunes_ws_reconnects_total", "Connections opened anew.", label, reconnects)
    overflow = by_symbol(lambda s: s.overflow)
    yield counters("thunes_ws_overflow_total", "Frames dropped because the queue was full.", label, overflow)
    yield counters("thunes_ticks_total", "Best bid or ask changes.", label, by_symbol(lambda s: s.ticks))
    conflated = by_symbol(lambda s: s.conflated)
    yield counters("thunes_ticks_conflated_total", "Ticks that a newer one replaced unread.", label, conflated)
    gaps = [s.gap_seconds for s in streams.values()]
    yield from histogram("thunes_ws_gap_seconds", "Silence between two frames, where it was a gap.", gaps)


def _orders(figures: SystemFigures) -> Iterator[Metric]:
    orders = figures.orders.values()
    if not orders:
        return
    placed: Counter[tuple[str, ...]] = Counter()
    rejected: Counter[tuple[str, ...]] = Counter()
    for of in orders:
        placed.update({(figures.venue, *what): count for what, count in of.placed.items()})
        rejected.update({(code,): count for code, count in of.rejected.items()})
    labels = ("venue", "order_type", "side")
    yield counters("thunes_orders_placed_total", "Orders sent to the venue.", labels, placed)
    yield counters("thunes_orders_rejected_total", "Orders the exchange refused, by code.", ("code",), rejected)
    yield from _orders_under_way(orders, figures.now_ns)
    latency, road = [of.latency_ms for of in orders], [of.tick_to_order_ms for of in orders]
    yield from histogram("thunes_order_latency_ms", "From sending an order to its answer.", latency)
    yield from histogram("thunes_tick_to_order_ms", "From receiving a frame to sending the order it led to.", road)


def _orders_under_way(orders: Collection[OrderFigures], now_ns: int) -> Iterator[Metric]:
    oldest_ms = min((of.unknown_since_ms for of in orders if of.unknown_since_ms), default=0)
    age = max(0.0, now_ns / 1e9 - oldest_ms / 1e3) if oldest_ms else 0.0
    yield gauge("thunes_orders_open", "Orders that have not ended.", sum(len(of.open) for of in orders))
    yield gauge("thunes_orders_unknown", "Orders of unknown fate.", sum(of.unknown for of in orders))
    yield gauge("thunes_orders_unknown_oldest_seconds", "Since the oldest of unknown fate was sent; 0 for none.", age)


def _risk(risk: RiskFigures) -> Iterator[Metric]:
    held = open_positions(risk)
    values = {(p.symbol,): float(p.value) for p in held}
    yield gauge("thunes_kill_switch_active", "1 while buying is stopped.", risk.kill_active)
    yield gauge("thunes_books_synced", "1 while the books and the exchange agree.", risk.synced)
    yield gauge("thunes_daily_pnl_used", "Today's loss as a fraction of the limit; 0 in profit.", loss_used(risk))
    yield gauge("thunes_daily_pnl", "Realised since 00:00 UTC plus unrealised, quote currency.", risk.daily_pnl)
    yield gauge("thunes_daily_loss_limit", "Today's loss that throws the kill switch, quote.", risk.daily_loss_limit)
    yield gauge("thunes_positions_limit", "Positions that may be open at once.", risk.max_positions)
    yield gauge("thunes_open_positions", "Positions that hold more than dust.", len(held))
    yield gauges("thunes_position_value", "At the bid, quote currency.", ("symbol",), values)
    yield gauge("thunes_equity", "What the account is worth, quote currency.", risk.equity)
    yield gauge("thunes_drawdown", "Below the highest equity, as a fraction of it.", risk.drawdown)
    decided = {(outcome, reason): float(count) for (outcome, reason), count in risk.decisions.items()}
    yield counters("thunes_risk_decisions_total", "Decisions on orders.", ("outcome", "reason"), decided)


def _journal(journal: JournalFigures, figures: SystemFigures) -> Iterator[Metric]:
    waiting_ms = max((actor.oldest_ms for actor in figures.actors if actor.name == "audit"), default=0.0)
    events = {(name,): float(count) for name, count in journal.events.items()}
    yield gauge("thunes_journal_seq", "Number of the newest line on the disk.", journal.seq)
    yield gauge("thunes_journal_lag_seconds", "Age of the oldest record that waits for the disk.", waiting_ms / 1000)
    yield counters("thunes_journal_events_total", "Lines written, by event.", ("event",), events)
    yield counters("thunes_dead_letters_total", "Messages lost to a crash.", (), {(): journal.dead_letters})
    yield from histogram("thunes_journal_fsync_ms", "Making a batch durable.", [journal.fsync_ms])


def _trading(trading: TradeFigures, figures: SystemFigures) -> Iterator[Metric]:
    outcomes = {(outcome,): float(count) for outcome, count in ({"win": 0, "loss": 0} | dict(trading.trades)).items()}
    fills = {("BUY",): float(trading.buys_filled), ("SELL",): float(trading.sells_filled)}
    ratios = {(window,): ratio for window, ratio in trading.sharpe.items()}
    decays = {(of.strategy,): float(trading.decaying) for of in figures.strategies.values()}
    text = "Differences between the books and the exchange."
    yield counters("thunes_trades_total", "Positions closed.", ("outcome",), outcomes)
    yield counters("thunes_fills_total", "Fills of orders.", ("side",), fills)
    yield counters("thunes_reconciliation_mismatches_total", text, (), {(): trading.mismatches})
    yield gauges("thunes_sharpe_ratio", "Annualised, of daily returns, by window.", ("window",), ratios)
    yield gauges("thunes_parameter_decay", "1 while the 7-day Sharpe stays below its limit.", ("strategy",), decays)


def _exchange(exchange: ExchangeFigures, now_ns: int) -> Iterator[Metric]:
    yield gauge("thunes_request_weight_used", "Of the venue's limit a minute.", exchange.used_weight)
    yield gauge("thunes_request_weight_limit", "Of the venue, a minute.", exchange.weight_limit)
    yield gauge("thunes_clock_skew_ms", "The venue's clock less this machine's.", exchange.clock_skew_ms)
    paused_s = max(0, exchange.paused_until_ns - now_ns) / 1e9
    yield gauge("thunes_requests_paused_seconds", "How long the venue still wants no requests.", paused_s)
    counts = {(interval,): float(number) for interval, number in exchange.order_counts.items()}
    yield gauges("thunes_order_count", "Unfilled orders, by the venue's interval.", ("interval",), counts)


def _machine(machine: MachineFigures) -> Iterator[Metric]:
    yield gauge("thunes_disk_free_bytes", "Room left on the home's disk.", machine.disk_free)
    yield gauge("thunes_disk_size_bytes", "Size of the home's disk.", machine.disk_size)


def _alerts(alerts: AlertFigures) -> Iterator[Metric]:
    sent = {labels: float(count) for labels, count in alerts.sent.items()}
    yield gauge("thunes_alerts_pending", "Alerts that wait to be delivered.", alerts.pending)
    yield counters("thunes_alerts_sent_total", "Attempts to deliver alerts.", ("channel", "outcome"), sent)
    strangers = {("telegram",): float(alerts.ignored)}
    yield counters(
        "thunes_commands_ignored_total", "Messages from chats that may not command.", ("channel",), strangers
    )


def _scrapes(scrapes: Scrapes) -> Iterator[Metric]:
    """Those before this one."""
    wall, cpu = scrapes.wall_ns / 1e9, scrapes.cpu_ns / 1e9
    yield counters("thunes_scrapes_total", "Scrapes answered.", (), {(): float(scrapes.count)})
    yield counters("thunes_scrape_seconds_total", "Time that making the answers took.", (), {(): wall})
    yield counters("thunes_scrape_cpu_seconds_total", "Processor time of the same.", (), {(): cpu})
