"""What Prometheus reads: names, labels, units and what stays absent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from tests.sample_figures import BARE, DUST, ORDERS, SYSTEM, with_risk
from thunes.control.metrics import MAX_LABEL_SETS, Metrics, bounded
from thunes.domain.figures import SystemFigures, TradeFigures

NAMES_OF_THE_CONTRACT = {
    "thunes_kill_switch_active",
    "thunes_circuit_breaker_state",
    "thunes_circuit_breaker_trips_total",
    "thunes_daily_pnl_used",
    "thunes_daily_pnl",
    "thunes_open_positions",
    "thunes_position_value",
    "thunes_equity",
    "thunes_drawdown",
    "thunes_trades_total",
    "thunes_orders_placed_total",
    "thunes_orders_rejected_total",
    "thunes_order_latency_ms_bucket",
    "thunes_tick_to_order_ms_bucket",
    "thunes_risk_decisions_total",
    "thunes_ws_gap_seconds_bucket",
    "thunes_ws_connected",
    "thunes_ws_reconnects_total",
    "thunes_ws_overflow_total",
    "thunes_ticks_total",
    "thunes_ticks_conflated_total",
    "thunes_mailbox_depth",
    "thunes_mailbox_oldest_seconds",
    "thunes_actor_restarts_total",
    "thunes_dead_letters_total",
    "thunes_journal_seq",
    "thunes_journal_fsync_ms_bucket",
    "thunes_reconciliation_mismatches_total",
    "thunes_request_weight_used",
    "thunes_clock_skew_ms",
    "thunes_build_info",
    "process_resident_memory_bytes",
    "python_info",
    "python_gc_collections_total",
}


class Scrape:
    """The samples of one scrape, read back by prometheus-client's own parser."""

    def __init__(self, figures: SystemFigures) -> None:
        self.registry = CollectorRegistry()
        body, self.content_type = Metrics(lambda: figures, self.registry).render("")
        self.samples = [s for family in parse_prometheus(body.decode()) for s in family.samples]
        self.names = {sample.name for sample in self.samples}

    def value(self, name: str, **labels: str) -> float:
        found = [s.value for s in self.samples if s.name == name and s.labels == labels]
        assert len(found) == 1, f"{name}{labels} found {len(found)} times"
        return found[0]


@pytest.fixture(scope="module")
def scrape() -> Scrape:
    return Scrape(SYSTEM)


def test_every_metric_of_the_contract_that_the_figures_know_is_there(scrape: Scrape) -> None:
    assert NAMES_OF_THE_CONTRACT - scrape.names == set()


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("thunes_kill_switch_active", {}, 0),
        ("thunes_circuit_breaker_state", {"breaker_name": "BinanceAPI"}, 0.5),
        ("thunes_circuit_breaker_trips_total", {"breaker_name": "BinanceAPI"}, 2),
        ("thunes_daily_pnl_used", {}, 0.25),
        ("thunes_daily_pnl", {}, -5),
        ("thunes_open_positions", {}, 1),
        ("thunes_position_value", {"symbol": "BTCUSDT"}, 9.45),
        ("thunes_equity", {}, 10012.2),
        ("thunes_drawdown", {}, 0.0012),
        ("thunes_trades_total", {"outcome": "win"}, 2),
        ("thunes_trades_total", {"outcome": "loss"}, 0),
        ("thunes_orders_placed_total", {"venue": "sim", "order_type": "MARKET", "side": "BUY"}, 5),
        ("thunes_orders_rejected_total", {"code": "-1013"}, 3),
        ("thunes_risk_decisions_total", {"outcome": "rejected", "reason": "COOL_DOWN"}, 2),
        ("thunes_ws_connected", {"symbol": "ETHUSDT"}, 0),
        ("thunes_ws_reconnects_total", {"symbol": "BTCUSDT"}, 1),
        ("thunes_ws_overflow_total", {"symbol": "ETHUSDT"}, 4),
        ("thunes_ticks_total", {"symbol": "BTCUSDT"}, 1200),
        ("thunes_ticks_conflated_total", {"symbol": "BTCUSDT"}, 3),
        ("thunes_mailbox_depth", {"actor": "risk"}, 4),
        ("thunes_mailbox_oldest_seconds", {"actor": "risk"}, 0.006),
        ("thunes_actor_restarts_total", {"actor": "risk"}, 1),
        ("thunes_dead_letters_total", {}, 1),
        ("thunes_journal_seq", {}, 1234),
        ("thunes_reconciliation_mismatches_total", {}, 0),
        ("thunes_request_weight_used", {}, 40),
        ("thunes_clock_skew_ms", {}, -3.5),
        ("thunes_requests_paused_seconds", {}, 17.5),
        ("thunes_order_count", {"interval": "10S"}, 3),
        ("thunes_build_info", {"version": "0.1.0", "git_sha": "56a2cfc", "venue": "sim"}, 1),
    ],
)
def test_a_figure_is_shown_under_its_labels(scrape: Scrape, name: str, labels: dict[str, str], value: float) -> None:
    assert scrape.value(name, **labels) == pytest.approx(value)


def test_a_histogram_is_cumulative_and_sums_all_symbols(scrape: Scrape) -> None:
    assert scrape.value("thunes_order_latency_ms_bucket", le="5.0") == 5
    assert scrape.value("thunes_order_latency_ms_bucket", le="1000.0") == 7
    assert scrape.value("thunes_order_latency_ms_bucket", le="+Inf") == 8
    assert scrape.value("thunes_order_latency_ms_count") == 8
    assert scrape.value("thunes_order_latency_ms_sum") == pytest.approx(1531.5)
    assert scrape.value("thunes_ws_gap_seconds_bucket", le="60.0") == 1
    assert scrape.value("thunes_ws_gap_seconds_count") == 2


def test_what_is_not_known_yet_is_absent_and_not_zero() -> None:
    names = {name for name in Scrape(BARE).names if name.startswith("thunes_")}
    assert names == {"thunes_build_info"}


def test_a_profit_uses_nothing_of_the_loss_limit() -> None:
    assert Scrape(with_risk(daily_pnl=Decimal("3"))).value("thunes_daily_pnl_used") == 0


def test_a_position_of_nothing_but_dust_is_not_open() -> None:
    scrape = Scrape(with_risk(positions=(DUST,)))
    assert scrape.value("thunes_open_positions") == 0
    assert "thunes_position_value" not in scrape.names


def test_an_active_kill_switch_is_one() -> None:
    assert Scrape(with_risk(kill_active=True)).value("thunes_kill_switch_active") == 1


def test_the_sharpe_ratio_is_there_by_window_once_known() -> None:
    trading = TradeFigures(fills=0, trades={}, buys_filled=0, sells_filled=0, mismatches=0, sharpe={"30d": 1.5})
    assert Scrape(replace(SYSTEM, trading=trading)).value("thunes_sharpe_ratio", window="30d") == 1.5
    assert "thunes_sharpe_ratio" not in Scrape(SYSTEM).names


def test_a_flood_of_invented_error_codes_does_not_flood_the_labels_and_keeps_the_total() -> None:
    codes = {f"-{code}": 1 for code in range(1000, 2000)} | {'<html>"no"</html>\n': 5}
    orders = {"BTCUSDT": replace(ORDERS["BTCUSDT"], rejected=codes)}
    samples = [s for s in Scrape(replace(SYSTEM, orders=orders)).samples if s.name == "thunes_orders_rejected_total"]
    assert len(samples) == MAX_LABEL_SETS + 1
    assert sum(s.value for s in samples) == 1005


def test_bounded_sums_what_it_folds_together() -> None:
    assert bounded({("not a word",): 2.0, ("-1013",): 1.0, ("x" * 41,): 3.0}) == {("other",): 5.0, ("-1013",): 1.0}


def test_openmetrics_is_given_to_those_who_ask_for_it() -> None:
    body, content_type = Metrics(lambda: SYSTEM).render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    families = {family.name: family for family in parse_openmetrics(body.decode())}  # type: ignore[no-untyped-call]
    assert families["thunes_orders_placed"].type == "counter"
    assert families["thunes_order_latency_ms"].type == "histogram"


def test_plain_text_is_given_to_everybody_else(scrape: Scrape) -> None:
    assert scrape.content_type.startswith("text/plain")
