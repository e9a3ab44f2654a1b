"""The tables of `data/exchange.db`, and their rows as our types. Amounts are text, as exact as they came."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cache
from typing import Any

import orjson
import peewee

from thunes.domain.executions import Fill, Order, OrderList
from thunes.messages import Candle, OrderStatus, OrderType, PublicTrade, Side, TimeInForce

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Bar:
    """A candle and the first and last of the public trades it was made of; -1 where there were none."""

    candle: Candle
    first_id: int = -1
    last_id: int = -1


class IdentityRow(peewee.Model):
    """Which market this database belongs to, as JSON."""

    id = peewee.IntegerField(primary_key=True)
    body = peewee.TextField()

    class Meta:
        table_name = "identity"


class PlaceRow(peewee.Model):
    """How far the market is played, as JSON."""

    id = peewee.IntegerField(primary_key=True)
    body = peewee.TextField()

    class Meta:
        table_name = "place"


class AccountRow(peewee.Model):
    name = peewee.TextField(primary_key=True)
    api_key = peewee.TextField(unique=True)
    api_secret = peewee.TextField()

    class Meta:
        table_name = "account"


class BalanceRow(peewee.Model):
    account = peewee.TextField()
    asset = peewee.TextField()
    free = peewee.TextField()
    locked = peewee.TextField()

    class Meta:
        table_name = "balance"
        primary_key = peewee.CompositeKey("account", "asset")


class OrderRow(peewee.Model):
    order_id = peewee.IntegerField(primary_key=True)
    account = peewee.TextField()
    client_order_id = peewee.TextField(index=True)
    symbol = peewee.TextField()
    side = peewee.TextField()
    order_type = peewee.TextField()
    time_in_force = peewee.TextField()
    price = peewee.TextField()
    quantity = peewee.TextField()
    quote_quantity = peewee.TextField()
    executed = peewee.TextField()
    cumulative_quote = peewee.TextField()
    status = peewee.TextField(index=True)
    created_ms = peewee.IntegerField()
    updated_ms = peewee.IntegerField()
    expiry_reason = peewee.TextField()
    queue_ahead = peewee.TextField()
    stop_price = peewee.TextField()
    working_ms = peewee.IntegerField()
    list_id = peewee.IntegerField()
    held = peewee.TextField(null=True)

    class Meta:
        table_name = "order"
        indexes = ((("account", "symbol", "order_id"), False),)


class FillRow(peewee.Model):
    account = peewee.TextField()
    symbol = peewee.TextField()
    trade_id = peewee.IntegerField()
    order_id = peewee.IntegerField(index=True)
    price = peewee.TextField()
    quantity = peewee.TextField()
    quote_quantity = peewee.TextField()
    commission = peewee.TextField()
    commission_asset = peewee.TextField()
    time_ms = peewee.IntegerField()
    is_buyer = peewee.BooleanField()
    is_maker = peewee.BooleanField()
    list_id = peewee.IntegerField()

    class Meta:
        table_name = "fill"
        primary_key = peewee.CompositeKey("account", "symbol", "trade_id")


class OrderListRow(peewee.Model):
    """A pair of orders; `orders` are their ids and client ids as JSON."""

    list_id = peewee.IntegerField(primary_key=True)
    account = peewee.TextField()
    client_list_id = peewee.TextField(index=True)
    symbol = peewee.TextField()
    orders = peewee.TextField()
    time_ms = peewee.IntegerField()
    done = peewee.BooleanField()

    class Meta:
        table_name = "order_list"


class CandleRow(peewee.Model):
    """A closed one-minute candle; longer intervals are added up from these."""

    symbol = peewee.TextField()
    open_ms = peewee.IntegerField()
    open = peewee.TextField()
    high = peewee.TextField()
    low = peewee.TextField()
    close = peewee.TextField()
    volume = peewee.TextField()
    quote_volume = peewee.TextField()
    trades = peewee.IntegerField()
    taker_base = peewee.TextField()
    taker_quote = peewee.TextField()
    first_id = peewee.IntegerField()
    last_id = peewee.IntegerField()

    class Meta:
        table_name = "candle"
        primary_key = peewee.CompositeKey("symbol", "open_ms")
        without_rowid = True


class TradeRow(peewee.Model):
    """The newest public trades."""

    symbol = peewee.TextField()
    trade_id = peewee.IntegerField()
    price = peewee.TextField()
    quantity = peewee.TextField()
    time_ms = peewee.IntegerField()
    buyer_is_maker = peewee.BooleanField()

    class Meta:
        table_name = "public_trade"
        primary_key = peewee.CompositeKey("symbol", "trade_id")
        without_rowid = True


ALL: tuple[type[peewee.Model], ...] = (
    IdentityRow,
    PlaceRow,
    AccountRow,
    BalanceRow,
    OrderRow,
    FillRow,
    OrderListRow,
    CandleRow,
    TradeRow,
)

ORDER_FIELDS = tuple(field.name for field in fields(Order))
FILL_FIELDS = tuple(field.name for field in fields(Fill))
CANDLE_FIGURES = ("open", "high", "low", "close", "volume", "quote_volume", "taker_base", "taker_quote")


@cache
def insertion(model: Any, verb: str) -> str:
    """The statement that writes a whole row, given by column name; REPLACE takes the place of one with its key."""
    columns = model._meta.sorted_field_names
    named = ", ".join(f":{column}" for column in columns)
    quoted = ", ".join(f'"{column}"' for column in columns)
    return f'{verb} INTO "{model._meta.table_name}" ({quoted}) VALUES ({named})'


def stored(value: Any) -> Any:
    """A value as its column holds it."""
    return str(value) if isinstance(value, Decimal) else value


def order_values(order: Order) -> dict[str, Any]:
    return {name: stored(getattr(order, name)) for name in ORDER_FIELDS}


def as_order(row: Any) -> Order:
    return Order(
        order_id=row.order_id,
        account=row.account,
        client_order_id=row.client_order_id,
        symbol=row.symbol,
        side=Side(row.side),
        order_type=OrderType(row.order_type),
        time_in_force=TimeInForce(row.time_in_force),
        price=Decimal(row.price),
        quantity=Decimal(row.quantity),
        quote_quantity=Decimal(row.quote_quantity),
        executed=Decimal(row.executed),
        cumulative_quote=Decimal(row.cumulative_quote),
        status=OrderStatus(row.status),
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        expiry_reason=row.expiry_reason,
        queue_ahead=Decimal(row.queue_ahead),
        stop_price=Decimal(row.stop_price),
        working_ms=row.working_ms,
        list_id=row.list_id,
        held=None if row.held is None else Decimal(row.held),
    )


def fill_values(fill: Fill) -> dict[str, Any]:
    return {name: stored(getattr(fill, name)) for name in FILL_FIELDS}


def as_fill(row: Any) -> Fill:
    return Fill(
        trade_id=row.trade_id,
        order_id=row.order_id,
        symbol=row.symbol,
        price=Decimal(row.price),
        quantity=Decimal(row.quantity),
        quote_quantity=Decimal(row.quote_quantity),
        commission=Decimal(row.commission),
        commission_asset=row.commission_asset,
        time_ms=row.time_ms,
        is_buyer=row.is_buyer,
        is_maker=row.is_maker,
        list_id=row.list_id,
    )


def list_values(pair: OrderList) -> dict[str, Any]:
    plain = {
        name: getattr(pair, name) for name in ("list_id", "account", "client_list_id", "symbol", "time_ms", "done")
    }
    return plain | {"orders": orjson.dumps(pair.orders).decode()}


def as_list(row: Any) -> OrderList:
    orders = tuple((order_id, client_id) for order_id, client_id in orjson.loads(row.orders))
    return OrderList(row.list_id, row.account, row.client_list_id, row.symbol, orders, row.time_ms, row.done)


def bar_values(bar: Bar) -> dict[str, Any]:
    candle = bar.candle
    figures = {name: str(getattr(candle, name)) for name in CANDLE_FIGURES}
    identity = {"symbol": candle.symbol, "open_ms": candle.open_ms, "trades": candle.trades}
    return identity | figures | {"first_id": bar.first_id, "last_id": bar.last_id}


def as_bar(row: Any) -> Bar:
    candle = Candle(
        symbol=row.symbol,
        interval="1m",
        open_ms=row.open_ms,
        close_ms=row.open_ms + MINUTE_MS - 1,
        open=Decimal(row.open),
        high=Decimal(row.high),
        low=Decimal(row.low),
        close=Decimal(row.close),
        volume=Decimal(row.volume),
        quote_volume=Decimal(row.quote_volume),
        trades=row.trades,
        taker_base=Decimal(row.taker_base),
        taker_quote=Decimal(row.taker_quote),
    )
    return Bar(candle, row.first_id, row.last_id)


def trade_values(trade: PublicTrade) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "trade_id": trade.trade_id,
        "price": str(trade.price),
        "quantity": str(trade.quantity),
        "time_ms": trade.time_ms,
        "buyer_is_maker": trade.buyer_is_maker,
    }


def as_trade(row: Any) -> PublicTrade:
    return PublicTrade(
        row.symbol, row.trade_id, Decimal(row.price), Decimal(row.quantity), row.time_ms, row.buyer_is_maker
    )
