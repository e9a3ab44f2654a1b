"""The embedded exchange's memory, `data/exchange.db`: accounts, orders, trades, candles and its place in the market.

SQLite in WAL with synchronous FULL, so that what a transaction wrote is there after a kill -9 or a power cut.
`transaction` is the unit of everything: an order, its fills, the balances they moved and the place in the market are
written together or not at all. One thread uses it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import peewee

from thunes.domain.executions import Balance, Execution, Fill, Order, OrderList
from thunes.errors import OperatorError
from thunes.exchange.simulator import tables
from thunes.exchange.simulator.tables import (
    AccountRow,
    BalanceRow,
    Bar,
    CandleRow,
    FillRow,
    IdentityRow,
    OrderListRow,
    OrderRow,
    PlaceRow,
    TradeRow,
)
from thunes.messages import OrderStatus, PublicTrade

KEPT_TRADES = 1000
"""Public trades kept of each symbol: what `GET /api/v3/trades` answers at most."""
PRAGMAS = {"journal_mode": "wal", "synchronous": "full", "busy_timeout": 5000}
ENDLESS = 2**62


@dataclass(frozen=True, slots=True)
class Account:
    """Who trades here; key and secret never leave the machine."""

    name: str
    api_key: str
    api_secret: str


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows of a history: by id and by time in milliseconds, and at which end `limit` cuts."""

    from_id: int = 0
    start_ms: int = 0
    end_ms: int = ENDLESS
    limit: int = 500
    newest: bool = True


class Store:
    """One open database."""

    def __init__(self, path: Path) -> None:
        self._database = peewee.SqliteDatabase(str(path), pragmas=PRAGMAS)
        self._driver: Any = self._database
        try:
            self._database.connect()
            with self._bound():
                self._database.create_tables(tables.ALL)
                self._add_columns()
        except peewee.DatabaseError as error:
            self._database.close()
            raise OperatorError(f"{path} cannot be used ({error}): mend or remove it, or use another --home") from error

    def _add_columns(self) -> None:
        """Orders of a database from before there were stops, or pairs: none waits for anything, or has another."""
        known = {column.name for column in self._database.get_columns("order")}
        if "stop_price" not in known:
            with self._database.atomic():
                self._driver.execute_sql("ALTER TABLE \"order\" ADD COLUMN stop_price TEXT NOT NULL DEFAULT '0'")
                self._driver.execute_sql('ALTER TABLE "order" ADD COLUMN working_ms INTEGER NOT NULL DEFAULT 0')
                self._driver.execute_sql('UPDATE "order" SET working_ms = created_ms')
        if "list_id" not in known:
            with self._database.atomic():
                self._driver.execute_sql('ALTER TABLE "order" ADD COLUMN list_id INTEGER NOT NULL DEFAULT -1')
                self._driver.execute_sql('ALTER TABLE "order" ADD COLUMN held TEXT')
                self._driver.execute_sql('ALTER TABLE "fill" ADD COLUMN list_id INTEGER NOT NULL DEFAULT -1')

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _bound(self) -> Iterator[None]:
        with self._database.bind_ctx(tables.ALL):
            yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside is durable when the block ends, or nothing of it is."""
        with self._bound(), self._database.atomic():
            yield

    # whose this is

    def claim(self, identity: Mapping[str, Any]) -> None:
        """Make a new database this market's. Raises OperatorError where it is another's."""
        asked = orjson.dumps(dict(identity), option=orjson.OPT_SORT_KEYS).decode()
        with self.transaction():
            row = IdentityRow.get_or_none()
            if row is None:
                IdentityRow.create(id=1, body=asked)
            elif row.body != asked:
                raise OperatorError(
                    f"data/exchange.db holds another market ({described(row.body)}; asked for: {described(asked)}): "
                    "start with the same source, seed and symbols, or use another --home"
                )

    def account(self, name: str) -> Account | None:
        with self._bound():
            row = AccountRow.get_or_none(AccountRow.name == name)
        return None if row is None else Account(row.name, row.api_key, row.api_secret)

    def add_account(self, account: Account, balances: Mapping[str, Balance]) -> None:
        with self.transaction():
            AccountRow.create(name=account.name, api_key=account.api_key, api_secret=account.api_secret)
            self.save_balances(account.name, balances)

    def balances(self, account: str) -> dict[str, Balance]:
        with self._bound():
            rows = list(BalanceRow.select().where(BalanceRow.account == account))
        return {row.asset: Balance(Decimal(row.free), Decimal(row.locked)) for row in rows}

    # written inside a transaction

    def _put(self, model: type[peewee.Model], values: Sequence[Mapping[str, Any]], verb: str = "REPLACE") -> None:
        """Write whole rows by the driver itself: an order waits for this, and peewee takes ten times as long."""
        if not values:
            return
        connection: sqlite3.Connection = self._driver.connection()
        connection.executemany(tables.insertion(model, verb), values)

    def save_balances(self, account: str, balances: Mapping[str, Balance]) -> None:
        rows = [
            {"account": account, "asset": asset, "free": str(balance.free), "locked": str(balance.locked)}
            for asset, balance in balances.items()
        ]
        self._put(BalanceRow, rows)

    def save_executions(self, executions: Iterable[Execution]) -> None:
        """The orders as they stand after these, and their fills."""
        latest: dict[int, Order] = {}
        lists: dict[int, OrderList] = {}
        fills = []
        for execution in executions:
            if execution.order_list is not None:
                lists[execution.order_list.list_id] = execution.order_list
            latest[execution.order.order_id] = execution.order
            if execution.fill is not None:
                fills.append({"account": execution.order.account, **tables.fill_values(execution.fill)})
        self._put(FillRow, fills, "INSERT")
        self._put(OrderRow, [tables.order_values(order) for order in latest.values()])
        self._put(OrderListRow, [tables.list_values(pair) for pair in lists.values()])

    def save_place(self, place: Mapping[str, Any]) -> None:
        self._put(PlaceRow, [{"id": 1, "body": orjson.dumps(dict(place)).decode()}])

    def save_bars(self, bars: Sequence[Bar]) -> None:
        self._put(CandleRow, [tables.bar_values(bar) for bar in bars])

    def save_trades(self, trades: Sequence[PublicTrade]) -> None:
        self._put(TradeRow, [tables.trade_values(trade) for trade in trades])

    def forget_trades(self, symbol: str, last_id: int) -> None:
        """Drop what is older than the newest KEPT_TRADES of a symbol."""
        old = (TradeRow.symbol == symbol) & (TradeRow.trade_id <= last_id - KEPT_TRADES)
        TradeRow.delete().where(old).execute()

    # read

    def place(self) -> dict[str, Any] | None:
        with self._bound():
            row = PlaceRow.get_or_none()
        return None if row is None else orjson.loads(row.body)

    def trades(self, symbol: str) -> list[PublicTrade]:
        """The public trades kept, oldest first."""
        with self._bound():
            query = TradeRow.select().where(TradeRow.symbol == symbol).order_by(TradeRow.trade_id)
            return [tables.as_trade(row) for row in query]

    def bars(self, symbol: str, span: Span) -> list[Bar]:
        """Closed candles that open within the span's time, oldest first."""
        with self._bound():
            where = (CandleRow.symbol == symbol) & CandleRow.open_ms.between(span.start_ms, span.end_ms)
            return [tables.as_bar(row) for row in rows(CandleRow, where, CandleRow.open_ms, span)]

    def open_orders(self) -> list[Order]:
        with self._bound():
            wanted = OrderRow.status.in_([status.value for status in OrderStatus if status.is_open])
            return [tables.as_order(row) for row in OrderRow.select().where(wanted).order_by(OrderRow.order_id)]

    def open_lists(self) -> list[OrderList]:
        with self._bound():
            query = OrderListRow.select().where(OrderListRow.done == False)  # noqa: E712
            return [tables.as_list(row) for row in query.order_by(OrderListRow.list_id)]

    def order_lists(self, account: str, span: Span) -> list[OrderList]:
        """An account's pairs, by id and time, oldest first."""
        with self._bound():
            where = (OrderListRow.account == account) & (OrderListRow.list_id >= span.from_id)
            where &= OrderListRow.time_ms.between(span.start_ms, span.end_ms)
            return [tables.as_list(row) for row in rows(OrderListRow, where, OrderListRow.list_id, span)]

    def order_list(self, account: str, list_id: int | None, client_list_id: str | None) -> OrderList | None:
        """The pair of that id, else the newest of that client id."""
        with self._bound():
            same = OrderListRow.list_id == list_id
            if list_id is None:
                same = OrderListRow.client_list_id == client_list_id
            where = (OrderListRow.account == account) & same
            row = OrderListRow.select().where(where).order_by(OrderListRow.list_id.desc()).first()
            return None if row is None else tables.as_list(row)

    def orders(self, account: str, symbol: str, span: Span) -> list[Order]:
        """An account's orders of a symbol, by order id and time of creation, oldest first."""
        with self._bound():
            where = (OrderRow.account == account) & (OrderRow.symbol == symbol) & (OrderRow.order_id >= span.from_id)
            where &= OrderRow.created_ms.between(span.start_ms, span.end_ms)
            return [tables.as_order(row) for row in rows(OrderRow, where, OrderRow.order_id, span)]

    def order(self, account: str, symbol: str, order_id: int | None, client_order_id: str | None) -> Order | None:
        """The order of that id, else the newest of that client id: a client may use one again."""
        with self._bound():
            same = OrderRow.order_id == order_id
            if order_id is None:
                same = OrderRow.client_order_id == client_order_id
            where = (OrderRow.account == account) & (OrderRow.symbol == symbol) & same
            row = OrderRow.select().where(where).order_by(OrderRow.order_id.desc()).first()
            return None if row is None else tables.as_order(row)

    def fills(self, account: str, symbol: str, span: Span, order_id: int | None = None) -> list[Fill]:
        """An account's trades of a symbol, by trade id and time, oldest first."""
        with self._bound():
            where = (FillRow.account == account) & (FillRow.symbol == symbol) & (FillRow.trade_id >= span.from_id)
            where &= FillRow.time_ms.between(span.start_ms, span.end_ms)
            if order_id is not None:
                where &= FillRow.order_id == order_id
            return [tables.as_fill(row) for row in rows(FillRow, where, FillRow.trade_id, span)]


def rows(model: Any, where: Any, key: Any, span: Span) -> list[Any]:
    """At most `limit` rows by `key` in ascending order, cut at the end that the span says."""
    query = model.select().where(where)
    if not span.newest:
        return list(query.order_by(key).limit(span.limit))
    return list(query.order_by(key.desc()).limit(span.limit))[::-1]


def described(body: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in orjson.loads(body).items())
