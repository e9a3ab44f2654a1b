"""The payloads of the market streams (web-socket-streams.md, "Detailed Stream information").

Each function makes what `Hub.publish` takes: a payload's builder, given what its times are multiplied by.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from thunes.exchange.simulator.hub import Build
from thunes.exchange.simulator.payloads import aggregate_trade, figure, levels
from thunes.exchange.simulator.tables import Bar
from thunes.messages import Levels, PublicTrade


def book_ticker(symbol: str, update_id: int, bid: tuple[Decimal, Decimal], ask: tuple[Decimal, Decimal]) -> Build:
    """It carries no time."""

    def build(_scale: int) -> Mapping[str, Any]:
        return {
            "u": update_id,
            "s": symbol,
            "b": figure(bid[0]),
            "B": figure(bid[1]),
            "a": figure(ask[0]),
            "A": figure(ask[1]),
        }

    return build


def trade(event: PublicTrade, now_ms: int) -> Build:
    def build(scale: int) -> Mapping[str, Any]:
        return {
            "e": "trade",
            "E": now_ms * scale,
            "s": event.symbol,
            "t": event.trade_id,
            "p": figure(event.price),
            "q": figure(event.quantity),
            "T": event.time_ms * scale,
            "m": event.buyer_is_maker,
            "M": True,
        }

    return build


def agg_trade(event: PublicTrade, now_ms: int) -> Build:
    def build(scale: int) -> Mapping[str, Any]:
        head = {"e": "aggTrade", "E": now_ms * scale, "s": event.symbol}
        return head | aggregate_trade(event) | {"T": event.time_ms * scale}

    return build


def kline(bar: Bar, now_ms: int) -> Build:
    """`x` is true for a closed candle, which is sent once."""

    def build(scale: int) -> Mapping[str, Any]:
        candle = bar.candle
        return {
            "e": "kline",
            "E": now_ms * scale,
            "s": candle.symbol,
            "k": {
                "t": candle.open_ms * scale,
                "T": (candle.close_ms + 1) * scale - 1,
                "s": candle.symbol,
                "i": candle.interval,
                "f": bar.first_id,
                "L": bar.last_id,
                "o": figure(candle.open),
                "c": figure(candle.close),
                "h": figure(candle.high),
                "l": figure(candle.low),
                "v": figure(candle.volume),
                "n": candle.trades,
                "x": candle.closed,
                "q": figure(candle.quote_volume),
                "V": figure(candle.taker_base),
                "Q": figure(candle.taker_quote),
                "B": "0",
            },
        }

    return build


def depth_update(symbol: str, now_ms: int, ids: tuple[int, int], bids: Levels, asks: Levels) -> Build:
    """Levels that changed from update id `ids[0]` to `ids[1]`, as their quantities are now."""

    def build(scale: int) -> Mapping[str, Any]:
        return {
            "e": "depthUpdate",
            "E": now_ms * scale,
            "s": symbol,
            "U": ids[0],
            "u": ids[1],
            "b": levels(bids),
            "a": levels(asks),
        }

    return build


def partial_depth(update_id: int, bids: Levels, asks: Levels) -> Build:
    def build(_scale: int) -> Mapping[str, Any]:
        return {"lastUpdateId": update_id, "bids": levels(bids), "asks": levels(asks)}

    return build
