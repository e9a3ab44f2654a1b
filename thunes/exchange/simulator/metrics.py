"""The embedded exchange's own few figures for Prometheus, on a port of their own on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from thunes.exchange.simulator.loopback import HOST, listen

SHUTDOWN_S = 1.0

State = Callable[[], Mapping[str, Any]]


class StateCollector(Collector):
    """Reads the exchange's state at each scrape; the same that the control endpoint shows."""

    def __init__(self, state: State) -> None:
        self._state = state

    def describe(self) -> list[Metric]:
        """Nothing in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        state = self._state()
        requests = CounterMetricFamily("thunes_exchange_requests_total", "REST requests, by status.", labels=["status"])
        for status, count in state["requests"].items():
            requests.add_metric([status], count)
        connections = GaugeMetricFamily("thunes_exchange_connections", "Open sockets, by kind.", labels=["streams"])
        for streams, count in state["connections"].items():
            connections.add_metric([streams], count)
        yield requests
        yield connections
        yield CounterMetricFamily("thunes_exchange_orders_total", "Orders taken, ever.", value=state["orders"])
        yield GaugeMetricFamily("thunes_exchange_orders_open", "Orders that rest.", value=state["orders_open"])
        yield CounterMetricFamily("thunes_exchange_faults_total", "Faults that struck.", value=state["faults_fired"])
        market_s = state["market_ms"] / 1000
        yield GaugeMetricFamily("thunes_exchange_market_time_seconds", "The market's clock.", value=market_s)
        ended = float(state["source_ended"])
        yield GaugeMetricFamily("thunes_exchange_source_ended", "1 once the market has nothing to come.", value=ended)


class MetricsPort:
    """Answers `GET /metrics` from `start` to `stop`."""

    def __init__(self, state: State) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(StateCollector(state))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}/metrics"

    async def start(self, port: int) -> None:
        """Raises PortInUse where it is taken."""
        app = web.Application()
        app.router.add_get("/metrics", self._scrape)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        self._port = await listen(self._runner, port)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _scrape(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})
