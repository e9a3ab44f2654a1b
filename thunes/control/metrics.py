"""Every figure as a Prometheus metric, made at the moment of a scrape.

A custom collector reads one `SystemFigures`, so counting costs the actors nothing. What is not known yet is absent
rather than 0: an alert on a missing series is honest, one on a wrong 0 is not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import SupportsFloat, TypeVar

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from thunes.control.api import loss_used, open_positions
from thunes.domain.figures import (
    ExchangeFigures,
    Histogram,
    JournalFigures,
    RiskFigures,
    StreamFigures,
    SystemFigures,
    TradeFigures,
)

BREAKER_STATES: Mapping[str, float] = {"closed": 0.0, "half-open": 0.5, "open": 1.0}
INFINITY = float("inf")
OTHER = "other"
MAX_LABEL_SETS = 64
_LABEL = re.compile(r"[A-Za-z0-9_.:-]{0,40}")

Labels = TypeVar("Labels", bound=tuple[str, ...])


class Metrics:
    """The registry behind `/metrics`: the system's figures, and prometheus-client's of process, platform and gc."""

    def __init__(self, figures: Callable[[], SystemFigures], registry: CollectorRegistry | None = None) -> None:
        self._registry = CollectorRegistry() if registry is None else registry
        self._registry.register(FiguresCollector(figures))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self, accept_header: str) -> tuple[bytes, str]:
        """Body and content type: OpenMetrics for a client that asks for it, else Prometheus text."""
        encode, content_type = choose_encoder(accept_header)
        return encode(self._registry), content_type


class FiguresCollector(Collector):
    """Turns one reading of the figures into metric families, all of the same moment."""

    def __init__(self, figures: Callable[[], SystemFigures]) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: which metrics there are depends on what is known at the scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        figures = self._figures()
        yield _build_info(figures)
        yield from _actors(figures)
        yield from _breakers(figures)
        yield from _streams(figures.streams)
        yield from _orders(figures)
        if figures.risk is not None:
            yield from _risk(figures.risk)
        if figures.journal is not None:
            yield from _journal(figures.journal)
        if figures.trading is not None:
            yield from _trading(figures.trading)
        if figures.exchange is not None:
            yield from _exchange(figures.exchange, figures.now_ns)


def _build_info(figures: SystemFigures) -> Metric:
    labels = {"version": figures.version, "git_sha": figures.git_sha, "venue": figures.venue}
    return _gauges("thunes_build_info", "Always 1; the labels name the build.", tuple(labels), {(*labels.values(),): 1})


def _actors(figures: SystemFigures) -> Iterator[Metric]:
    actors, label = figures.actors, ("actor",)
    depth = {(a.name,): float(a.mailbox) for a in actors}
    oldest = {(a.name,): a.oldest_ms / 1000 for a in actors}
    restarts = {(a.name,): float(a.restarts) for a in actors}
    yield _gauges("thunes_mailbox_depth", "Messages waiting.", label, depth)
    yield _gauges("thunes_mailbox_oldest_seconds", "Age of the message that has waited longest.", label, oldest)
    yield _counters("thunes_actor_restarts_total", "Restarts after a crash.", label, restarts)


def _breakers(figures: SystemFigures) -> Iterator[Metric]:
    breakers, label = figures.breakers, ("breaker_name",)
    states = {(b.name,): BREAKER_STATES[b.state] for b in breakers.values()}
    trips = {(b.name,): float(b.trips) for b in breakers.values()}
    yield _gauges("thunes_circuit_breaker_state", "0 closed, 0.5 half-open, 1 open.", label, states)
    yield _counters("thunes_circuit_breaker_trips_total", "Times it opened.", label, trips)


def _streams(streams: Mapping[str, StreamFigures]) -> Iterator[Metric]:
    def by_symbol(figure: Callable[[StreamFigures], float]) -> dict[tuple[str, ...], float]:
        return {(symbol,): float(figure(stream)) for symbol, stream in streams.items()}

    label = ("symbol",)
    connected = by_symbol(lambda s: s.connected)
    yield _gauges("thunes_ws_connected", "1 while the stream's socket is open.", label, connected)
    reconnects = by_symbol(lambda s: s.reconnects)
    yield _counters("thunes_ws_reconnects_total", "Connections opened anew.", label, reconnects)
    overflow = by_symbol(lambda s: s.overflow)
    yield _counters("thunes_ws_overflow_total", "Frames dropped because the queue was full.", label, overflow)
    yield _counters("thunes_ticks_total", "Best bid or ask changes.", label, by_symbol(lambda s: s.ticks))
    conflated = by_symbol(lambda s: s.conflated)
    yield _counters("thunes_ticks_conflated_total", "Ticks that a newer one replaced unread.", label, conflated)
    gaps = [s.gap_seconds for s in streams.values()]
    yield from _histogram("thunes_ws_gap_seconds", "Silence between two frames, where it was a gap.", gaps)


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
    yield _counters("thunes_orders_placed_total", "Orders sent to the venue.", labels, placed)
    yield _counters("thunes_orders_rejected_total", "Orders the exchange refused, by code.", ("code",), rejected)
    latency, road = [of.latency_ms for of in orders], [of.tick_to_order_ms for of in orders]
    yield from _histogram("thunes_order_latency_ms", "From sending an order to its answer.", latency)
    yield from _histogram("thunes_tick_to_order_ms", "From receiving a frame to sending the order it led to.", road)


def _risk(risk: RiskFigures) -> Iterator[Metric]:
    held = open_positions(risk)
    values = {(p.symbol,): float(p.value) for p in held}
    yield _gauge("thunes_kill_switch_active", "1 while buying is stopped.", risk.kill_active)
    yield _gauge("thunes_daily_pnl_used", "Today's loss as a fraction of the limit; 0 in profit.", loss_used(risk))
    yield _gauge("thunes_daily_pnl", "Realised since 00:00 UTC plus unrealised, quote currency.", risk.daily_pnl)
    yield _gauge("thunes_open_positions", "Positions that hold more than dust.", len(held))
    yield _gauges("thunes_position_value", "At the bid, quote currency.", ("symbol",), values)
    yield _gauge("thunes_equity", "What the account is worth, quote currency.", risk.equity)
    yield _gauge("thunes_drawdown", "Below the highest equity, as a fraction of it.", risk.drawdown)
    decided = {(outcome, reason): float(count) for (outcome, reason), count in risk.decisions.items()}
    yield _counters("thunes_risk_decisions_total", "Decisions on orders.", ("outcome", "reason"), decided)


def _journal(journal: JournalFigures) -> Iterator[Metric]:
    yield _gauge("thunes_journal_seq", "Number of the newest line on the disk.", journal.seq)
    yield _counters("thunes_dead_letters_total", "Messages lost to a crash.", (), {(): journal.dead_letters})
    yield from _histogram("thunes_journal_fsync_ms", "Making a batch durable.", [journal.fsync_ms])


def _trading(trading: TradeFigures) -> Iterator[Metric]:
    outcomes = {(outcome,): float(count) for outcome, count in ({"win": 0, "loss": 0} | dict(trading.trades)).items()}
    yield _counters("thunes_trades_total", "Positions closed.", ("outcome",), outcomes)
    text = "Differences between the books and the exchange."
    yield _counters("thunes_reconciliation_mismatches_total", text, (), {(): trading.mismatches})
    if trading.sharpe:
        ratios = {(window,): ratio for window, ratio in trading.sharpe.items()}
        yield _gauges("thunes_sharpe_ratio", "Annualised, by window.", ("window",), ratios)


def _exchange(exchange: ExchangeFigures, now_ns: int) -> Iterator[Metric]:
    yield _gauge("thunes_request_weight_used", "Of the venue's limit a minute.", exchange.used_weight)
    yield _gauge("thunes_clock_skew_ms", "The venue's clock less this machine's.", exchange.clock_skew_ms)
    paused_s = max(0, exchange.paused_until_ns - now_ns) / 1e9
    yield _gauge("thunes_requests_paused_seconds", "How long the venue still wants no requests.", paused_s)
    counts = {(interval,): float(number) for interval, number in exchange.order_counts.items()}
    yield _gauges("thunes_order_count", "Unfilled orders, by the venue's interval.", ("interval",), counts)


def _gauge(name: str, text: str, value: SupportsFloat) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _gauges(name: str, text: str, labels: tuple[str, ...], values: Mapping[Labels, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _counters(name: str, text: str, labels: tuple[str, ...], counts: Mapping[Labels, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for label_values, count in bounded(counts).items():
        family.add_metric(label_values, count)
    return family


def bounded(counts: Mapping[Labels, float]) -> dict[tuple[str, ...], float]:
    """The same total under at most `MAX_LABEL_SETS` label sets and one more, `other`.

    Labels that are no short word become `other`, and so does what comes after the first sets: an exchange that invents
    error codes must not fill the monitoring's memory. The first stay because a series that comes and goes breaks rates.
    """
    kept: dict[tuple[str, ...], float] = {}
    for values, count in counts.items():
        clean = tuple(value if _LABEL.fullmatch(value) else OTHER for value in values)
        if clean not in kept and len(kept) >= MAX_LABEL_SETS:
            clean = (OTHER,) * len(values)
        kept[clean] = kept.get(clean, 0) + count
    return kept


def _histogram(name: str, text: str, parts: Iterable[Histogram | None]) -> Iterator[Metric]:
    """One histogram of all parts, which share their bounds; nothing where no part has observed yet."""
    known = [part for part in parts if part is not None]
    if not known:
        return
    bounds = known[0].bounds
    counts = [sum(column) for column in zip(*(part.counts for part in known), strict=True)]
    buckets, below = [], 0
    for bound, count in zip((*bounds, INFINITY), counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound == INFINITY else str(bound), float(below)))
    yield HistogramMetricFamily(name, text, buckets=buckets, sum_value=sum(part.total for part in known))
