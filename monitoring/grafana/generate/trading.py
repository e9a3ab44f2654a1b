"""Is it safe, does it earn, is it healthy: the dashboard that hangs on the wall."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from monitoring.grafana.generate.frame import dashboard
from monitoring.grafana.generate.panels import GREEN, RED, YELLOW, Looks, Says, figure, graph, of_venue, rows

SYMBOL = '{symbol=~"$symbol"}'


def trading() -> model.Dashboard:
    safe = [(4, panel) for panel in (_kill_switch(), _breaker(), _streams(), _books(), _pnl(), _positions_open())]
    return dashboard(
        "thunes-trading",
        "THUNES: trading overview",
        "Whether it is safe, what it earns, and whether it is healthy.",
        [
            (5, safe),
            (8, [(12, _pnl_and_limit()), (12, _equity())]),
            (8, [(8, _latency()), (8, _decisions()), (8, _positions())]),
            (7, [(8, _age()), (4, _drawdown()), (4, _win_rate()), (4, _sharpe()), (4, _decay())]),
        ],
    )


def _kill_switch() -> object:
    says = Says(
        1, "Kill-Switch Status", "Red: nothing is bought until somebody resumes. Sells go on.", "KillSwitchActive"
    )
    looks = Looks("short", words={"0": ("OFF: trading", GREEN), "1": ("ON: no buying", RED)})
    return figure(says, looks, [(of_venue("thunes_kill_switch_active"), "{{instance}}")], background=True)


def _breaker() -> object:
    says = Says(
        2, "Circuit Breaker State", "Open after five requests in a row failed; one trial later.", "CircuitBreakerOpen"
    )
    looks = Looks("short", words={"0": ("closed", GREEN), "0.5": ("half-open", YELLOW), "1": ("OPEN", RED)})
    return figure(says, looks, [(of_venue("thunes_circuit_breaker_state"), "{{breaker_name}}")], background=True)


def _streams() -> object:
    says = Says(
        3, "WebSocket Health", "One for each stream, the account's too. Red: no connection.", "WebSocketDisconnected"
    )
    looks = Looks("short", words={"0": ("down", RED), "1": ("up", GREEN)})
    expr = of_venue('thunes_ws_connected{symbol=~"$symbol|account"}')
    return figure(
        says, looks, [(expr, "{{symbol}}"), (of_venue("min by (job, instance) (thunes_ws_connected)"), "all")]
    )


def _books() -> object:
    says = Says(15, "Books and Exchange", "Whether they agree. While they do not, nothing is bought.")
    looks = Looks("short", words={"0": ("NOT in step", RED), "1": ("in step", GREEN)})
    return figure(says, looks, [(of_venue("thunes_books_synced"), "{{instance}}")], background=True)


def _pnl() -> object:
    says = Says(4, "Daily P&L", "Realised since 00:00 UTC plus unrealised at the bid, in quote currency.")
    looks = Looks("short", steps=((None, RED), (0, GREEN)), decimals=2)
    return figure(says, looks, [(of_venue("thunes_daily_pnl"), "{{instance}}")])


def _positions_open() -> object:
    says = Says(6, "Open Positions", "Positions that hold more than dust, and how many may be open.")
    queries = [(of_venue("thunes_open_positions"), "open"), (of_venue("thunes_positions_limit"), "limit")]
    return figure(says, Looks("short", decimals=0), queries)


def _pnl_and_limit() -> object:
    says = Says(
        5,
        "Daily P&L against its limit",
        "At the lower line the kill switch goes on. The alert comes at 80 % of the way.",
        "DailyLossNearLimit",
    )
    queries = [
        (of_venue("thunes_daily_pnl"), "P&L today"),
        (of_venue("-thunes_daily_loss_limit"), "limit"),
        (of_venue("-0.8 * thunes_daily_loss_limit"), "alert"),
    ]
    return graph(says, Looks("short", decimals=2), queries)


def _equity() -> object:
    says = Says(7, "Equity", "Opening balance, what was realised, and what is open at the bid; quote currency.")
    return graph(says, Looks("short", decimals=2), [(of_venue("thunes_equity"), "equity")])


def _latency() -> object:
    says = Says(8, "Order Latency p50/p95/p99", "From sending an order to its answer, of the last five minutes.")
    queries = [(of_venue(f"thunes:order_latency_ms:{p}"), p) for p in ("p50", "p95", "p99")]
    return graph(says, Looks("ms", steps=((None, GREEN), (500, RED)), least=0), queries)


def _decisions() -> object:
    says = Says(10, "Decisions by Reason", "What risk decided on orders, a minute; approvals have no reason.")
    expr = "sum by (outcome, reason) (60 * " + of_venue("rate(thunes_risk_decisions_total[$__rate_interval])") + ")"
    return graph(says, Looks("cpm", least=0), [(expr, "{{outcome}} {{reason}}")], stacked=True)


def _positions() -> object:
    says = Says(9, "Positions", "What is held now, at the bid, in quote currency.")
    columns = {"symbol": "Symbol", "Value": "Value"}
    return rows(says, Looks("short", decimals=2), [(of_venue(f"thunes_position_value{SYMBOL}"), "")], columns)


def _age() -> object:
    says = Says(
        13, "Age of Market Data", "Since the last frame of each symbol. Old prices are not traded.", "MarketDataStale"
    )
    looks = Looks("s", steps=((None, GREEN), (30, RED)), least=0)
    return graph(says, looks, [(of_venue(f"thunes_ws_message_age_seconds{SYMBOL}"), "{{symbol}}")])


def _drawdown() -> object:
    says = Says(16, "Drawdown", "Below the highest equity, as a fraction of it.")
    looks = Looks("percentunit", steps=((None, GREEN), (0.05, YELLOW), (0.1, RED)), decimals=2, least=0)
    return figure(says, looks, [(of_venue("thunes_drawdown"), "{{instance}}")])


def _win_rate() -> object:
    says = Says(11, "Win Rate", "Closed positions that earned something, of all since the start.")
    won = of_venue('thunes_trades_total{outcome="win"}')
    expr = f"sum by (instance) ({won}) / (sum by (instance) ({of_venue('thunes_trades_total')}) > 0)"
    return figure(says, Looks("percentunit", decimals=1, least=0, most=1), [(expr, "{{instance}}")])


def _sharpe() -> object:
    says = Says(12, "Sharpe", "Annualised, of daily returns over 7 and 30 days; nothing until they have passed.")
    looks = Looks("short", steps=((None, RED), (0.5, YELLOW), (0.8, GREEN)), decimals=2)
    return figure(says, looks, [(of_venue("thunes_sharpe_ratio"), "{{window}}")])


def _decay() -> object:
    says = Says(
        14, "Parameter Decay", "Whether the 7-day Sharpe has stayed below its limit for days.", "ParameterDecay"
    )
    looks = Looks("short", words={"0": ("none", GREEN), "1": ("DECAYED", RED)})
    return figure(says, looks, [(of_venue("thunes_parameter_decay"), "{{strategy}}")])
