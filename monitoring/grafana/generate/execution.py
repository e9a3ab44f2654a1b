"""How orders go: from the tick to the exchange's answer, and what it refuses."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from monitoring.grafana.generate.frame import dashboard
from monitoring.grafana.generate.panels import GREEN, RED, Looks, Says, buckets, figure, graph, of_venue

QUANTILES = ("p50", "p95", "p99")


def execution() -> model.Dashboard:
    return dashboard(
        "thunes-execution",
        "THUNES: execution",
        "Latencies, orders, refusals, and what the exchange still allows.",
        [
            (8, [(12, _order_latency()), (12, _tick_to_order())]),
            (9, [(24, _heat_map())]),
            (8, [(8, _placed()), (8, _rejected()), (8, _fills())]),
            (7, [(8, _unknown()), (8, _mismatches()), (8, _breaker())]),
            (7, [(8, _weight()), (8, _counts()), (8, _skew())]),
        ],
    )


def _order_latency() -> object:
    says = Says(
        1,
        "Order Latency",
        "From sending an order to its answer. Diamonds are single orders: their id is in the journal.",
        "HighOrderLatency",
    )
    queries = [(of_venue(f"thunes:order_latency_ms:{p}"), p) for p in QUANTILES]
    # The histogram beside its quantiles carries the exemplars.
    queries += [(_quantile("thunes_order_latency_ms"), "p95 now")]
    return graph(says, Looks("ms", steps=((None, GREEN), (500, RED)), least=0), queries)


def _tick_to_order() -> object:
    says = Says(2, "Tick to Order", "From receiving a frame to sending the order it led to.")
    queries = [(of_venue(f"thunes:tick_to_order_ms:{p}"), p) for p in QUANTILES]
    queries += [(_quantile("thunes_tick_to_order_ms"), "p95 now")]
    return graph(says, Looks("ms", least=0), queries)


def _quantile(name: str) -> str:
    seen = of_venue(f"rate({name}_bucket[$__rate_interval])")
    return f"histogram_quantile(0.95, sum by (le) ({seen})) >= 0"


def _heat_map() -> object:
    says = Says(3, "Tick-to-Order heat map", "How many orders took how long, at each moment; darker is more.")
    seen = of_venue("increase(thunes_tick_to_order_ms_bucket[$__rate_interval])")
    return buckets(says, Looks("ms"), f"sum by (le) ({seen})")


def _placed() -> object:
    says = Says(4, "Orders Placed", "Sent to the venue, in five minutes.")
    expr = 'sum by (venue, order_type, side) (thunes:orders_placed:5m{venue=~"$venue"})'
    return graph(says, Looks("short", least=0), [(expr, "{{side}} {{order_type}}")], stacked=True)


def _rejected() -> object:
    says = Says(
        5, "Orders Rejected by Code", "Refused by the exchange, in five minutes. -1013 must never be.", "OrdersRejected"
    )
    queries = [
        (f"sum by (code) ({of_venue('thunes:orders_rejected:5m')})", "{{code}}"),
        (f"sum by (instance) ({of_venue('thunes:order_rejection_ratio:5m')})", "of all placed"),
    ]
    return graph(says, Looks("short", steps=((None, GREEN), (1, RED)), least=0), queries)


def _fills() -> object:
    says = Says(10, "Fills", "How many a minute, by side: buys and sells keep step.")
    expr = f"sum by (side) (60 * {of_venue('rate(thunes_fills_total[$__rate_interval])')})"
    return graph(says, Looks("cpm", least=0), [(expr, "{{side}}")], stacked=True)


def _unknown() -> object:
    says = Says(
        6,
        "Orders of Unknown Fate",
        "Sent and not answered: each is asked for until the exchange says. The alert comes after a minute.",
        "OrderUnknownTooLong",
    )
    queries = [
        (of_venue("thunes_orders_unknown_oldest_seconds"), "oldest, seconds"),
        (of_venue("thunes_orders_unknown"), "orders unknown"),
        (of_venue("thunes_orders_open"), "orders open"),
    ]
    return graph(says, Looks("short", steps=((None, GREEN), (60, RED)), least=0), queries, steps=True)


def _mismatches() -> object:
    says = Says(
        11, "Reconciliation Mismatches", "Differences found, and whether the books agree now.", "PositionMismatch"
    )
    queries = [
        (of_venue("thunes_reconciliation_mismatches_total"), "found since the start"),
        (of_venue("thunes_books_synced"), "in step (1) or not (0)"),
    ]
    return graph(says, Looks("short", least=0), queries, steps=True)


def _breaker() -> object:
    says = Says(7, "Circuit Breaker", "0 closed, 0.5 half-open, 1 open; and how often it opened.")
    queries = [
        (of_venue("thunes_circuit_breaker_state"), "{{breaker_name}}"),
        (of_venue("increase(thunes_circuit_breaker_trips_total[1h])"), "opened in an hour"),
    ]
    return graph(says, Looks("short", least=0), queries, steps=True)


def _weight() -> object:
    says = Says(8, "Request Weight", "Used of the venue's limit a minute. Reading stops at 80 %; orders never wait.")
    queries = [
        (of_venue("thunes_request_weight_used"), "used"),
        (of_venue("thunes_request_weight_limit"), "limit"),
        (of_venue("thunes_requests_paused_seconds"), "seconds of a pause left"),
    ]
    return graph(says, Looks("short", least=0), queries)


def _counts() -> object:
    says = Says(12, "Order Counts", "Unfilled orders that the venue counts, by its interval.")
    return figure(says, Looks("short", decimals=0), [(of_venue("thunes_order_count"), "{{interval}}")])


def _skew() -> object:
    says = Says(
        9, "Clock Skew", "The venue's clock less this machine's. Beyond a second it refuses requests.", "ClockSkew"
    )
    looks = Looks("ms", steps=((None, RED), (-500, GREEN), (500, RED)))
    return graph(says, looks, [(of_venue("thunes_clock_skew_ms"), "skew")])
