"""Where on the dashboards each alert is shown."""

from __future__ import annotations

PANELS = {
    "KillSwitchActive": ("thunes-trading", 1),
    "DailyLossNearLimit": ("thunes-trading", 5),
    "CircuitBreakerOpen": ("thunes-trading", 2),
    "WebSocketDisconnected": ("thunes-trading", 3),
    "MarketDataStale": ("thunes-trading", 13),
    "ParameterDecay": ("thunes-trading", 14),
    "HighOrderLatency": ("thunes-execution", 1),
    "OrdersRejected": ("thunes-execution", 5),
    "OrderUnknownTooLong": ("thunes-execution", 6),
    "PositionMismatch": ("thunes-execution", 11),
    "ClockSkew": ("thunes-execution", 9),
    "MailboxBacklog": ("thunes-internals", 2),
    "ActorRestarting": ("thunes-internals", 3),
    "JournalStalled": ("thunes-internals", 4),
    "AlertsUndelivered": ("thunes-internals", 10),
    "MemoryHigh": ("thunes-internals", 6),
    "DiskFilling": ("thunes-internals", 7),
    "ScrapeMissing": ("thunes-internals", 9),
    "Watchdog": ("thunes-internals", 9),
}
"""Dashboard and panel of every alert."""
