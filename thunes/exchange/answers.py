"""The exchange's REST answers in our types, and our amounts in its spelling (rest-api.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from thunes.domain.filters import quote_amount
from thunes.domain.market import AccountBalances, Fill, OrderAnswer, OwnTrade, order_status
from thunes.messages import Candle, PublicTrade, Side

SIDES = {True: Side.BUY, False: Side.SELL}
"""By `isBuyer`; anything but a truth value is no answer."""


def plain(value: Decimal) -> str:
    """A decimal as the exchange takes it: never with an exponent, without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(text: Any) -> Decimal:
    """An amount of an answer. ValueError for NaN and infinity, which Decimal reads too."""
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(f"{text!r} is no amount")
    return value


def candle(symbol: str, interval: str, row: Sequence[Any], closed: bool) -> Candle:
    open_price, high, low, close, volume = (number(value) for value in row[1:6])
    return Candle(
        symbol,
        interval,
        row[0],
        row[6],
        open_price,
        high,
        low,
        close,
        volume,
        number(row[7]),
        row[8],
        number(row[9]),
        number(row[10]),
        closed,
    )


def order(row: Mapping[str, Any]) -> OrderAnswer:
    """An order as a placement or a query tells it. A stop price is told of the types that have one."""
    return OrderAnswer(
        symbol=row["symbol"],
        client_order_id=row["clientOrderId"],
        order_id=row["orderId"],
        status=order_status(row["status"]),
        side=Side(row["side"]),
        order_type=row["type"],
        quantity=number(row["origQty"]),
        price=number(row["price"]),
        executed=number(row["executedQty"]),
        cumulative_quote=number(row["cummulativeQuoteQty"]),
        time_ms=row.get("transactTime") or row.get("updateTime") or row.get("time") or 0,
        fills=tuple(fill(each, row) for each in row.get("fills", ())),
        stop_price=number(row.get("stopPrice") or 0),
        order_list_id=int(row.get("orderListId", -1)),
    )


def orders(rows: Any) -> tuple[OrderAnswer, ...]:
    return tuple(order(row) for row in rows)


def canceled(row: Mapping[str, Any]) -> OrderAnswer:
    """An order as its cancel tells it, which names the order's own id apart from the cancel's."""
    return order({**row, "clientOrderId": row["origClientOrderId"]})


def canceled_one(answer: Mapping[str, Any], client_order_id: str) -> OrderAnswer:
    """The order that a cancel was about: alone, or among the reports of the list which it took with it."""
    if "orderReports" not in answer:
        return canceled(answer)
    rows = {row["origClientOrderId"]: row for row in answer["orderReports"]}
    return canceled(rows[client_order_id])


def pair(answer: Mapping[str, Any], first_id: str, second_id: str) -> tuple[OrderAnswer, OrderAnswer]:
    """The two orders of a list that was placed, by their client ids: the exchange tells them in an order of its own."""
    told = {each.client_order_id: each for each in orders(answer["orderReports"])}
    return told[first_id], told[second_id]


def fill(row: Mapping[str, Any], of_order: Mapping[str, Any]) -> Fill:
    """A fill of a FULL answer: a taker's, at the order's own time."""
    price, quantity = number(row["price"]), number(row["qty"])
    return Fill(
        trade_id=row["tradeId"],
        price=price,
        quantity=quantity,
        quote_quantity=quote_amount(price, quantity),
        commission=number(row["commission"]),
        commission_asset=row["commissionAsset"],
        time_ms=of_order["transactTime"],
        is_maker=False,
    )


def trade(row: Mapping[str, Any]) -> Fill:
    """A row of the account's trades."""
    return Fill(
        trade_id=row["id"],
        price=number(row["price"]),
        quantity=number(row["qty"]),
        quote_quantity=number(row["quoteQty"]),
        commission=number(row["commission"]),
        commission_asset=row["commissionAsset"],
        time_ms=row["time"],
        is_maker=row["isMaker"],
    )


def public_trade(symbol: str, row: Mapping[str, Any]) -> PublicTrade:
    price, quantity = number(row["price"]), number(row["qty"])
    return PublicTrade(symbol, row["id"], price, quantity, row["time"], row["isBuyerMaker"])


def balances(answer: Mapping[str, Any]) -> AccountBalances:
    return {row["asset"]: (number(row["free"]), number(row["locked"])) for row in answer["balances"]}


def own_trade(row: Mapping[str, Any]) -> OwnTrade:
    """The same row with its order and side."""
    return OwnTrade(row["orderId"], SIDES[row["isBuyer"]], trade(row))
