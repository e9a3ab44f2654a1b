"""What Prometheus reads: names, labels, units and what stays absent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from tests.sample_figures import BARE, DUST, ORDERS, SYSTEM, with_risk
from thunes.control.families import MAX_LABEL_SETS, bounded, histogram
from thunes.control.metrics import Metrics
from thunes.domain.figures import SystemFigures
from thunes.domain.histogram import Recorder

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
    "thunes_alerts_pending",
    "thunes_alerts_sent_total",
    "thunes_sharpe_ratio",
    "thunes_parameter_decay",
    "process_resident_memory_bytes",
    "python_info",
    "python_gc_collections_total",
}


def watch() -> tuple[int, int]:
    return 0, 0


class Scrape:
    """The samples of one scrape, read back by prometheus-client's own parser."""

    def __init__(self, figures: SystemFigures) -> None:
        body, self.content_type = Metrics(lambda: figures, watch).render("")
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
        ("thunes_ready", {}, 1),
        ("thunes_books_synced", {}, 1),
        ("thunes_ws_message_age_seconds", {"symbol": "ETHUSDT"}, 12),
        ("thunes_orders_open", {}, 1),
        ("thunes_orders_unknown", {}, 1),
        ("thunes_orders_unknown_oldest_seconds", {}, 4),
        ("thunes_fills_total", {"side": "SELL"}, 3),
        ("thunes_daily_loss_limit", {}, 20),
        ("thunes_positions_limit", {}, 3),
        ("thunes_disk_free_bytes", {}, 40_000_000_000),
        ("thunes_disk_size_bytes", {}, 100_000_000_000),
        ("thunes_journal_lag_seconds", {}, 0.0045),
        ("thunes_journal_events_total", {"event": "TRADE_APPROVED"}, 7),
        ("thunes_messages_handled_total", {"actor": "risk"}, 104),
        ("thunes_request_weight_limit", {}, 6000),
        ("thunes_sharpe_ratio", {"window": "7d"}, 1.25),
        ("thunes_parameter_decay", {"strategy": "sma_crossover"}, 0),
        ("thunes_alerts_pending", {}, 2),
        ("thunes_alerts_sent_total", {"channel": "telegram", "outcome": "sent"}, 9),
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
    scrapes = {"thunes_scrapes_total", "thunes_scrape_seconds_total", "thunes_scrape_cpu_seconds_total"}
    assert names - scrapes == {"thunes_build_info", "thunes_ready"}


def test_a_profit_uses_nothing_of_the_loss_limit() -> None:
    assert Scrape(with_risk(daily_pnl=Decimal("3"))).value("thunes_daily_pnl_used") == 0


def test_a_position_of_nothing_but_dust_is_not_open() -> None:
    scrape = Scrape(with_risk(positions=(DUST,)))
    assert scrape.value("thunes_open_positions") == 0
    assert "thunes_position_value" not in scrape.names


def test_an_active_kill_switch_is_one() -> None:
    assert Scrape(with_risk(kill_active=True)).value("thunes_kill_switch_active") == 1


def test_a_sharpe_ratio_is_absent_until_its_window_has_passed() -> None:
    assert SYSTEM.trading is not None
    early = replace(SYSTEM.trading, sharpe={})
    assert "thunes_sharpe_ratio" not in Scrape(replace(SYSTEM, trading=early)).names


def test_decaying_parameters_are_one_for_each_strategy_that_runs() -> None:
    assert SYSTEM.trading is not None
    scrape = Scrape(replace(SYSTEM, trading=replace(SYSTEM.trading, decaying=True)))
    assert scrape.value("thunes_parameter_decay", strategy="sma_crossover") == 1


def test_no_order_of_unknown_fate_has_no_age() -> None:
    sure = {symbol: replace(of, unknown=0, unknown_since_ms=0) for symbol, of in ORDERS.items()}
    assert Scrape(replace(SYSTEM, orders=sure)).value("thunes_orders_unknown_oldest_seconds") == 0


def test_a_stream_that_brought_nothing_yet_has_no_age(scrape: Scrape) -> None:
    ages = [s.labels for s in scrape.samples if s.name == "thunes_ws_message_age_seconds"]
    assert ages == [{"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT"}]


def test_what_scrapes_cost_is_told_by_the_next_one() -> None:
    readings = iter([(0, 0), (7_000_000, 3_000_000), (20_000_000, 9_000_000), (25_000_000, 10_000_000), (0, 0)])
    metrics = Metrics(lambda: SYSTEM, lambda: next(readings))
    first, second = metrics.render("")[0].decode(), metrics.render("")[0].decode()
    assert "\nthunes_scrapes_total 0.0\n" in first
    assert "\nthunes_scrapes_total 1.0\n" in second
    assert "\nthunes_scrape_seconds_total 0.007\n" in second
    assert "\nthunes_scrape_cpu_seconds_total 0.003\n" in second


def test_a_flood_of_invented_error_codes_does_not_flood_the_labels_and_keeps_the_total() -> None:
    codes = {f"-{code}": 1 for code in range(1000, 2000)} | {'<html>"no"</html>\n': 5}
    orders = {"BTCUSDT": replace(ORDERS["BTCUSDT"], rejected=codes)}
    samples = [s for s in Scrape(replace(SYSTEM, orders=orders)).samples if s.name == "thunes_orders_rejected_total"]
    assert len(samples) == MAX_LABEL_SETS + 1
    assert sum(s.value for s in samples) == 1005


def test_bounded_sums_what_it_folds_together() -> None:
    assert bounded({("not a word",): 2.0, ("-1013",): 1.0, ("x" * 41,): 3.0}) == {("other",): 5.0, ("-1013",): 1.0}


OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def openmetrics(figures: SystemFigures) -> tuple[dict[str, Any], str]:
    body, content_type = Metrics(lambda: figures, watch).render(OPENMETRICS)
    return {family.name: family for family in parse_openmetrics(body.decode())}, content_type  # type: ignore[no-untyped-call]


def test_openmetrics_is_given_to_those_who_ask_for_it() -> None:
    families, content_type = openmetrics(SYSTEM)
    assert content_type.startswith("application/openmetrics-text")
    assert families["thunes_orders_placed"].type == "counter"
    assert families["thunes_order_latency_ms"].type == "histogram"


@pytest.mark.parametrize("name", ["thunes_order_latency_ms", "thunes_tick_to_order_ms"])
def test_a_latency_bucket_names_the_decision_that_fell_into_it_last(name: str) -> None:
    recorder = Recorder((5.0, 10.0))
    for value, decision, wall_ms in ((3.0, "older", 1_000), (4.0, "newer", 2_500), (12.0, "slow", 1_500)):
        recorder.observe(value, decision, wall_ms)
    field = "latency_ms" if name == "thunes_order_latency_ms" else "tick_to_order_ms"
    orders = {"BTCUSDT": replace(ORDERS["BTCUSDT"], **{field: recorder.histogram()})}
    families, _ = openmetrics(replace(SYSTEM, orders=orders))
    buckets = [s for s in families[name].samples if s.name == f"{name}_bucket"]
    exemplars = [(s.labels["le"], s.exemplar) for s in buckets]
    shown = {le: one and (one.labels, one.value, float(one.timestamp)) for le, one in exemplars}
    assert shown == {
        "5.0": ({"correlation_id": "newer"}, 4.0, 2.5),
        "10.0": None,
        "+Inf": ({"correlation_id": "slow"}, 12.0, 1.5),
    }


def test_of_two_symbols_the_newer_decision_is_the_exemplar() -> None:
    recorders = Recorder((5.0,)), Recorder((5.0,))
    recorders[0].observe(1.0, "early", 10)
    recorders[1].observe(2.0, "late", 20)
    (family,) = histogram("x_ms", "help", [recorder.histogram() for recorder in recorders])
    exemplar = family.samples[0].exemplar
    assert exemplar is not None
    assert exemplar.labels == {"correlation_id": "late"}


def test_the_plain_text_has_no_exemplar_because_its_readers_do_not_know_them(scrape: Scrape) -> None:
    recorder = Recorder((5.0,))
    recorder.observe(1.0, "c0ffee", 1)
    orders = {"BTCUSDT": replace(ORDERS["BTCUSDT"], latency_ms=recorder.histogram())}
    assert b"c0ffee" not in Metrics(lambda: replace(SYSTEM, orders=orders), watch).render("")[0]


def test_plain_text_is_given_to_everybody_else(scrape: Scrape) -> None:
    assert scrape.content_type.startswith("text/plain")
