"""The series that the code exports, taken from its collectors over a believable moment."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tests.sample_figures import SYSTEM
from thunes.control.metrics import FiguresCollector, Scrapes
from thunes.exchange.simulator.metrics import StateCollector

STATE = {
    "market_ms": 1,
    "connections": {"market": 1},
    "orders": 1,
    "orders_open": 1,
    "requests": {"200": 1},
    "faults_fired": 1,
    "source_ended": False,
}
OF_SAMPLES = {"le", "quantile"}


def families(*collectors: Collector) -> dict[str, set[str]]:
    """Labels by the name that is documented: a counter's with `_total`, a histogram's without its parts."""
    return {
        metric.name + ("_total" if metric.type == "counter" else ""): _labels(metric)
        for collector in collectors
        for metric in collector.collect()
    }


def _labels(metric: Metric) -> set[str]:
    return {label for sample in metric.samples for label in sample.labels} - OF_SAMPLES


def series(*collectors: Collector) -> set[str]:
    """Names as a query reads them."""
    return {sample.name for collector in collectors for metric in collector.collect() for sample in metric.samples}


OF_THUNES = FiguresCollector(lambda: SYSTEM, Scrapes)
OF_PROCESSES = tuple(kind(registry=CollectorRegistry()) for kind in (ProcessCollector, PlatformCollector, GCCollector))
FAMILIES = families(OF_THUNES)
EXCHANGE = families(StateCollector(lambda: STATE))
SERIES = frozenset(series(OF_THUNES, *OF_PROCESSES))
BY_PROMETHEUS = frozenset({"up", "scrape_duration_seconds", "scrape_samples_scraped"})
