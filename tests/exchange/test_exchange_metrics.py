"""The embedded exchange's own metrics: few, right, and on a port of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.exchange.conftest import TIMEOUT_S, Exchange, Start
from tests.exchange.faulty import WITH_CONTROL, control_of
from thunes.exchange.simulator.loopback import PortInUse


@pytest.fixture
def running(start: Start) -> Iterator[Exchange]:
    with start(trouble=WITH_CONTROL, metrics_port=0) as exchange:
        yield exchange


def scrape(exchange: Exchange) -> dict[str, float]:
    """By name and labels as text."""
    with requests.Session() as session:
        session.trust_env = False
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        answer = session.get(exchange.running.metrics, headers=accept, timeout=TIMEOUT_S)
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
    samples = [sample for family in families for sample in family.samples]
    return {f"{s.name}{sorted(s.labels.values())}" if s.labels else s.name: s.value for s in samples}


def test_orders_requests_and_sockets_are_counted(running: Exchange) -> None:
    before = scrape(running)
    running.order("BUY", "0.1", "20000")
    assert running.raw("GET", "/api/v3/nothing").status_code == 404
    with running.listen("/ws/btcusdt@trade"), running.listen("/ws-api/v3"):
        after = scrape(running)
    assert after["thunes_exchange_orders_total"] - before["thunes_exchange_orders_total"] == 1
    assert after["thunes_exchange_orders_open"] == 1
    assert after["thunes_exchange_requests_total['404']"] == 1
    assert after["thunes_exchange_requests_total['200']"] >= 1
    assert after["thunes_exchange_connections['market']"] == 1
    assert after["thunes_exchange_connections['account']"] == 1
    assert after["thunes_exchange_source_ended"] == 1, "a quiet market has nothing to come"
    assert after["thunes_exchange_market_time_seconds"] >= before["thunes_exchange_market_time_seconds"] > 0
    assert after["process_resident_memory_bytes"] > 0


def test_a_fault_that_struck_and_an_answer_that_was_lost_are_counted(running: Exchange) -> None:
    control_of(running).arm("lose-answer", match="GET /api/v3/time")
    with pytest.raises(requests.ConnectionError):
        running.raw("GET", "/api/v3/time")
    found = scrape(running)
    assert found["thunes_exchange_faults_total"] == 1
    assert found["thunes_exchange_requests_total['lost']"] == 1


def test_without_a_port_there_is_none(start: Start) -> None:
    with start() as exchange:
        assert exchange.running.metrics == ""


def test_a_metrics_port_that_is_taken_stops_the_start_and_frees_the_home(
    running: Exchange, start: Start, tmp_path: Path
) -> None:
    taken = int(running.running.metrics.rsplit(":", 1)[1].partition("/")[0])
    with pytest.raises(PortInUse), start(home=tmp_path / "other", metrics_port=taken):
        pass
    with start(home=tmp_path / "other") as exchange:
        assert exchange.public("/api/v3/ping") == {}
