"""One believable moment of a running system, for tests of everything that shows figures."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from thunes.domain.figures import (
    ActorFigures,
    AlertFigures,
    BreakerFigures,
    ExchangeFigures,
    Histogram,
    JournalFigures,
    MachineFigures,
    OpenOrderFigures,
    OrderFigures,
    PositionFigures,
    RiskFigures,
    StrategyFigures,
    StreamFigures,
    SystemFigures,
    TradeFigures,
)

LATENCY_BOUNDS = (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
GAP_BOUNDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
NOW_NS = 900_000_000_000
HEAD = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

BITCOIN = PositionFigures(
    symbol="BTCUSDT",
    quantity=Decimal("0.00015"),
    entry_price=Decimal("64000.00"),
    opened_ms=1_763_870_000_000,
    unrealised=Decimal("-0.15"),
    dust=Decimal("0"),
    value=Decimal("9.45"),
)

DUST = PositionFigures(
    symbol="ETHUSDT",
    quantity=Decimal(0),
    entry_price=Decimal(0),
    opened_ms=1_763_860_000_000,
    unrealised=Decimal(0),
    dust=Decimal("0.00000985"),
    value=Decimal(0),
)

RISK = RiskFigures(
    synced=True,
    kill_active=False,
    kill_reason="",
    kill_since="",
    epoch=1,
    daily_pnl=Decimal("-5.00"),
    daily_loss_limit=Decimal("20"),
    realised_today=Decimal("-4.85"),
    realised_total=Decimal("12.3456"),
    fees_total=Decimal("0.42"),
    equity=Decimal("10012.20"),
    drawdown=0.0012,
    positions=(BITCOIN,),
    balances={"USDT": Decimal("9990.55"), "BTC": Decimal("0.00015")},
    reserved=0,
    max_positions=3,
    cool_down_until_ms=0,
    decisions={("approved", ""): 7, ("rejected", "COOL_DOWN"): 2, ("rejected", "STALE_MARKET_DATA"): 1},
)

OPEN_ORDER = OpenOrderFigures(
    client_order_id="t-1",
    symbol="ETHUSDT",
    side="BUY",
    order_type="MARKET",
    quantity=Decimal("0.0040"),
    executed=Decimal("0"),
    status="UNKNOWN",
    correlation_id="c-1",
)

STREAMS = {
    "BTCUSDT": StreamFigures(
        symbol="BTCUSDT",
        connected=True,
        last_frame_ns=NOW_NS - 250_000_000,
        bid=Decimal("63000.10"),
        ask=Decimal("63000.11"),
        market_ms=1_763_871_000_000,
        ticks=1200,
        conflated=3,
        reconnects=1,
        gaps=1,
        gap_seconds=Histogram(GAP_BOUNDS, (0, 1, 0, 0, 0, 0, 0, 0, 0), 0.4),
    ),
    "ETHUSDT": StreamFigures(
        symbol="ETHUSDT",
        connected=False,
        last_frame_ns=NOW_NS - 12_000_000_000,
        bid=Decimal("2450.50"),
        ask=Decimal("2450.51"),
        ticks=800,
        gaps=1,
        overflow=4,
        gap_seconds=Histogram(GAP_BOUNDS, (0, 0, 0, 0, 0, 0, 0, 0, 1), 75.0),
    ),
    "account": StreamFigures(symbol="account", connected=True, last_frame_ns=0),
}

ORDERS = {
    "BTCUSDT": OrderFigures(
        symbol="BTCUSDT",
        epoch=1,
        open=(),
        unknown=0,
        unknown_since_ms=0,
        placed={("MARKET", "BUY"): 4, ("MARKET", "SELL"): 3},
        rejected={"-1013": 1},
        latency_ms=Histogram(LATENCY_BOUNDS, (5, 2, 0, 0, 0, 0, 0, 0, 0), 31.5),
        tick_to_order_ms=Histogram((1.0, 5.0), (6, 1, 0), 8.25),
    ),
    "ETHUSDT": OrderFigures(
        symbol="ETHUSDT",
        epoch=1,
        open=(OPEN_ORDER,),
        unknown=1,
        unknown_since_ms=896_000,
        placed={("MARKET", "BUY"): 1},
        rejected={"-1013": 2, "-2010": 1},
        latency_ms=Histogram(LATENCY_BOUNDS, (0, 0, 0, 0, 0, 0, 0, 0, 1), 1500.0),
    ),
}

STRATEGIES = {
    "BTCUSDT": StrategyFigures(
        symbol="BTCUSDT",
        strategy="sma_crossover",
        state="ready",
        last_decision="BUY refused: COOL_DOWN (a losing trade was closed less than an hour ago)",
        candles=75,
    ),
    "ETHUSDT": StrategyFigures(symbol="ETHUSDT", strategy="sma_crossover", state="warming 12/50", candles=12),
}

ACTOR_NAMES = (
    "supervisor",
    "alert",
    "metrics",
    "audit",
    "risk",
    "breaker",
    "order.BTCUSDT",
    "order.ETHUSDT",
    "reconciler",
    "strategy.BTCUSDT",
    "strategy.ETHUSDT",
    "stream.account",
    "stream.BTCUSDT",
    "stream.ETHUSDT",
)
ACTORS = tuple(
    ActorFigures(name, "running", index, index * 1.5, 100 + index, 1 if name == "risk" else 0)
    for index, name in enumerate(ACTOR_NAMES)
)

SYSTEM = SystemFigures(
    venue="sim",
    version="0.1.0",
    git_sha="56a2cfc",
    uptime_s=3723.4567,
    now_ns=NOW_NS,
    ready=True,
    not_ready="",
    actors=ACTORS,
    streams=STREAMS,
    strategies=STRATEGIES,
    risk=RISK,
    breakers={"BinanceAPI": BreakerFigures("BinanceAPI", "half-open", 2)},
    orders=ORDERS,
    journal=JournalFigures(1234, HEAD, 0.4, {"TRADE_APPROVED": 7}, 1, Histogram((0.1, 1.0), (2, 3, 1), 6.5)),
    trading=TradeFigures(fills=7, trades={"win": 2}, buys_filled=4, sells_filled=3, mismatches=0, sharpe={"7d": 1.25}),
    exchange=ExchangeFigures(40, -3.5, 6_000, {"10S": 3, "1D": 40}, paused_until_ns=NOW_NS + 17_500_000_000),
    machine=MachineFigures(90_000, 40_000_000_000, 100_000_000_000),
    alerts=AlertFigures(pending=2, sent={("telegram", "sent"): 9}),
)

BARE = SystemFigures(
    venue="sim",
    version="0.1.0",
    git_sha="unknown",
    uptime_s=0.1,
    now_ns=NOW_NS,
    ready=False,
    not_ready="the account is not in step yet",
    actors=(),
    streams={},
    strategies={},
    risk=None,
    breakers={},
    orders={},
    journal=None,
    trading=None,
    exchange=None,
)
"""What is known before any part has published."""


def with_risk(figures: SystemFigures = SYSTEM, **changes: Any) -> SystemFigures:
    assert figures.risk is not None
    return replace(figures, risk=replace(figures.risk, **changes))
