"""The embedded exchange itself: one matching engine, its accounts, and what survives a restart.

Every change of an order is on disk, in one transaction with its fills, the balances it moved and the place in the
market, before anybody hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from thunes.domain.executions import TRADE, Balance, Execution, Fill, Order, OrderList, OrderRequest
from thunes.domain.filters import SymbolRules
from thunes.domain.matching import MatchingEngine
from thunes.errors import ExchangeError
from thunes.exchange.simulator import events, payloads
from thunes.exchange.simulator.clock import MarketClock
from thunes.exchange.simulator.hub import Hub
from thunes.exchange.simulator.limits import Limits
from thunes.exchange.simulator.market import Listing, Market
from thunes.exchange.simulator.params import SYMBOL, Params
from thunes.exchange.simulator.rules import Entry
from thunes.exchange.simulator.store import Span, Store
from thunes.exchange.simulator.tables import Bar
from thunes.exchange.simulator.ws_api import Accounts
from thunes.messages import BookChanged, MarketEvent, OrderStatus

UNKNOWN_ORDER = "Unknown order sent."


@dataclass(frozen=True, slots=True)
class Fees:
    maker: Decimal
    taker: Decimal


@dataclass(frozen=True, slots=True)
class Parts:
    """What an exchange is put together from."""

    served: Mapping[str, Entry]
    rules: Mapping[str, SymbolRules]
    engine: MatchingEngine
    market: Market
    clock: MarketClock
    store: Store
    limits: Limits
    accounts: Accounts
    hub: Hub
    fees: Fees
    wall: Callable[[], float]
    new_id: Callable[[], str]
    failed: Callable[[Exception], None]
    """Told of a database that cannot be written: what is in memory is ahead of it then, so the exchange has to end."""


class Exchange:
    """Used from one event loop; nothing here waits."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.rules = parts.rules
        self.new_id = parts.new_id
        self.checkpoint: str | None = None
        """The source's place that the market stands at."""
        self._saved: str | None = None

    # the market

    def apply(self, event: MarketEvent) -> None:
        """Play one event: match resting orders, then show it."""
        now_ms = self.parts.clock.now_ms()
        executions = self.parts.engine.market(event)
        self.parts.market.record(event, now_ms)
        if executions:
            self._commit(executions)
            self._report(executions)

    def prime(self, event: BookChanged) -> None:
        """Take the book that playing starts from."""
        executions = self.parts.engine.market(event)
        self.parts.market.prime(event)
        if executions:
            self.done(executions)

    def halt(self, symbol: str) -> None:
        """The symbol's market is closed until the next snapshot of its book: nothing fills, orders are refused."""
        self.parts.engine.halt(symbol)
        self.parts.market.listings[symbol].halted = True

    def close_minute(self, end_ms: int) -> None:
        """End the minute of every symbol: on disk first, then pushed."""
        self._close(self.parts.market.listings.values(), end_ms)

    def form(self, bar: Bar) -> None:
        """Take the minute being formed from a source that counts it itself."""
        self.parts.market.form(bar, self.parts.clock.now_ms())

    def close_bar(self, bar: Bar) -> None:
        """End one symbol's minute as a source that counts it itself did."""
        listing = self.parts.market.listings[bar.candle.symbol]
        listing.chart.forming = replace(bar, candle=replace(bar.candle, closed=False))
        self._close((listing,), self.parts.clock.now_ms())

    def _close(self, listings: Iterable[Listing], end_ms: int) -> None:
        closed = [result for listing in listings if (result := listing.close_minute())]
        self.save([bar for bar, _ in closed])
        for _, frames in closed:
            for name, bar in frames:
                self.parts.market.push_closed(name, bar, end_ms)

    def save(self, closed: Sequence[Bar] = ()) -> None:
        """Write the place in the market, and candles that closed."""
        self._write((), closed)

    def save_if_moved(self) -> None:
        """The same, unless nothing was played since."""
        if self.checkpoint != self._saved:
            self.save()

    def place_in_market(self) -> dict[str, Any]:
        state = self.parts.engine.dump()
        return {
            "market_ms": self.parts.clock.now_ms(),
            "checkpoint": self.checkpoint,
            "listings": self.parts.market.place(),
            "queues": {str(order.order_id): str(order.queue_ahead) for order in state.orders},
            "next_order_id": state.next_order_id,
            "next_trade_id": dict(state.next_trade_id),
            "next_execution_id": state.next_execution_id,
            "next_list_id": state.next_list_id,
        }

    # orders

    def place(self, account: str, request: OrderRequest) -> tuple[Order, list[Fill]]:
        """Raises ExchangeError where the order is refused; nothing has happened then."""
        self.may_place(account)
        executions = self.parts.engine.place(account, request, self.parts.clock.now_ms())
        self.placed(account, 1)
        self.done(executions)
        return executions[-1].order, [each.fill for each in executions if each.fill is not None]

    def may_place(self, account: str) -> None:
        """Raises ExchangeError -1015 when the account has too many unfilled orders."""
        self.parts.limits.orders(account).check(self.parts.wall())

    def placed(self, account: str, orders: int) -> None:
        """Count orders that were accepted."""
        self.parts.limits.orders(account).placed(self.parts.wall(), orders)

    def validate(self, account: str, request: OrderRequest) -> None:
        self.parts.engine.place(account, request, self.parts.clock.now_ms(), validate_only=True)

    def cancel(
        self,
        account: str,
        symbol: str,
        order_id: int | None,
        client_id: str | None,
        cancel_id: str,
        only: OrderStatus | None,
    ) -> tuple[Execution, ...]:
        """The order's end, and that of the other of its pair.

        Raises ExchangeError -2011 for an order that is not open, or not in the status `only`.
        """
        order = self.find(account, symbol, order_id, client_id)
        if order is None or not order.status.is_open:
            raise ExchangeError(-2011, UNKNOWN_ORDER)
        if only is not None and order.status is not only:
            raise ExchangeError(-2011, "Order was not canceled due to cancel restrictions.")
        now_ms = self.parts.clock.now_ms()
        executions = self.parts.engine.cancel(
            account, symbol, order_id=order.order_id, cancel_id=cancel_id, now_ms=now_ms
        )
        self.done(executions)
        return executions

    def cancel_all(self, account: str, symbol: str, cancel_id: str) -> tuple[Execution, ...]:
        """Raises ExchangeError -2011 where nothing is open."""
        executions = self.parts.engine.cancel_all(account, symbol, self.parts.clock.now_ms(), cancel_id)
        self.done(executions)
        return executions

    def done(self, executions: tuple[Execution, ...]) -> None:
        """What a request did to orders: durable, then reported; what it took from the book is shown."""
        for symbol in {each.order.symbol for each in executions if each.kind == TRADE}:
            self.parts.market.listings[symbol].moved()
        self._commit(executions)
        self._report(executions)

    def _commit(self, executions: Iterable[Execution]) -> None:
        self._write(tuple(executions), ())

    def _write(self, executions: tuple[Execution, ...], closed: Sequence[Bar]) -> None:
        store, market = self.parts.store, self.parts.market
        try:
            with store.transaction():
                store.save_executions(executions)
                for account in {each.order.account for each in executions}:
                    store.save_balances(account, self._touched(account, executions))
                store.save_bars(closed)
                store.save_trades(market.unsaved_trades())
                for bar in closed:
                    store.forget_trades(bar.candle.symbol, bar.last_id)
                store.save_place(self.place_in_market())
            self._saved = self.checkpoint
        except Exception as error:
            self.parts.failed(error)
            raise

    def _touched(self, account: str, executions: Iterable[Execution]) -> dict[str, Balance]:
        """The account's balances that these may have moved."""
        balances = self.parts.engine.balances(account)
        touched: dict[str, Balance] = {}
        for each in executions:
            rules = self.rules[each.order.symbol]
            names = {rules.base, rules.quote, *([each.fill.commission_asset] if each.fill else [])}
            if each.order.account == account:
                touched |= {asset: balances.get(asset, Balance()) for asset in sorted(names)}
        return touched

    def _report(self, executions: tuple[Execution, ...]) -> None:
        """Tell the accounts' streams: a report for each change, then the balances it left."""
        for each in executions:
            if each.fill is not None and each.order.executed == each.fill.quantity:
                # A moment later, as on the exchange: the order's own answer still counts it.
                counts, maker = self.parts.limits.orders(each.order.account), each.fill.is_maker
                asyncio.get_running_loop().call_soon(counts.first_fill, self.parts.wall(), maker)
            self.parts.accounts.publish(each.order.account, report_of(each))
            if each.order_list is not None:
                self.parts.accounts.publish(each.order.account, list_status_of(each.order_list))
        for account in dict.fromkeys(each.order.account for each in executions):
            position = self._touched(account, executions)
            self.parts.accounts.publish(account, position_of(position, executions[-1].time_ms))

    # questions

    def symbol(self, params: Params) -> str:
        """The request's symbol; raises ExchangeError -1121 for one that is not served."""
        name = params.required("symbol", SYMBOL)
        if name not in self.parts.served:
            raise ExchangeError(-1121, "Invalid symbol.")
        return name

    def find(self, account: str, symbol: str, order_id: int | None, client_id: str | None) -> Order | None:
        """By id, else by client id the open one or else the newest. Raises ExchangeError -2039 where both disagree."""
        if order_id is None:
            for order in self.parts.engine.open_orders(account, symbol):
                if order.client_order_id == client_id:
                    return order
        found = self.parts.store.order(account, symbol, order_id, client_id)
        if found is not None and client_id not in (None, found.client_order_id):
            raise ExchangeError(-2039, "Client order ID is not correct for this order ID.")
        return found

    def open_orders(self, account: str, symbol: str | None) -> tuple[Order, ...]:
        return self.parts.engine.open_orders(account, symbol)

    def orders(self, account: str, symbol: str, span: Span) -> list[Order]:
        return self.parts.store.orders(account, symbol, span)

    def fills(self, account: str, symbol: str, span: Span, order_id: int | None) -> list[Fill]:
        return self.parts.store.fills(account, symbol, span, order_id)

    def account(self, account: str, omit_zero: bool) -> dict[str, Any]:
        balances = self.parts.engine.balances(account)
        shown = {asset: each for asset, each in balances.items() if each.total > 0 or not omit_zero}
        fees = self.parts.fees
        return payloads.account(shown, fees.maker, fees.taker, self.parts.clock.now_ms(), uid=1)

    def commission_rates(self) -> dict[str, Any]:
        """The answer of order/test with `computeCommissionRates`."""
        fees = self.parts.fees
        none = {"maker": payloads.ZERO, "taker": payloads.ZERO}
        return {
            "standardCommissionForOrder": {"maker": payloads.figure(fees.maker), "taker": payloads.figure(fees.taker)},
            "specialCommissionForOrder": none,
            "taxCommissionForOrder": none,
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": payloads.ZERO,
            },
        }

    def order_counts(self, account: str) -> list[dict[str, Any]]:
        return self.parts.limits.orders(account).rows(self.parts.wall())


def report_of(execution: Execution) -> Callable[[int], Mapping[str, Any]]:
    return lambda scale: events.execution_report(execution, scale)


def list_status_of(pair: OrderList) -> Callable[[int], Mapping[str, Any]]:
    return lambda scale: events.list_status(pair, scale)


def position_of(balances: Mapping[str, Balance], now_ms: int) -> Callable[[int], Mapping[str, Any]]:
    return lambda scale: events.account_position(balances, now_ms, scale)
