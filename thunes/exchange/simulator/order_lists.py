"""The embedded exchange's pairs of orders: placed, cancelled, asked for."""

from __future__ import annotations

from collections.abc import Sequence

from thunes.domain.executions import Execution, Order, OrderList
from thunes.domain.order_lists import PairRequest
from thunes.exchange.simulator.exchange import Exchange
from thunes.exchange.simulator.store import Span


class PairBook:
    """One exchange's pairs, of every account."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._parts = exchange.parts

    def place(self, account: str, request: PairRequest) -> tuple[OrderList, list[Order]]:
        """Raises ExchangeError where one of the two is refused; nothing has happened then."""
        self._exchange.may_place(account)
        pair, executions = self._parts.engine.place_pair(account, request, self._parts.clock.now_ms())
        self._exchange.placed(account, len(executions))
        self._exchange.done(executions)
        return pair, orders_of(executions)

    def cancel(
        self, account: str, symbol: str, list_id: int | None, client_list_id: str | None, cancel_id: str
    ) -> tuple[OrderList, list[Order]]:
        """Raises ExchangeError -2011 for one that is not open."""
        pair, executions = self._parts.engine.cancel_list(
            account, symbol, list_id=list_id, client_list_id=client_list_id, cancel_id=cancel_id,
            now_ms=self._parts.clock.now_ms(),
        )  # fmt: skip
        self._exchange.done(executions)
        return pair, orders_of(executions)

    def find(self, account: str, list_id: int | None, client_list_id: str | None) -> OrderList | None:
        """By id, else the newest of that client id; None where there was none, or where both disagree."""
        found = self._parts.store.order_list(account, list_id, client_list_id)
        return found if found is None or client_list_id in (None, found.client_list_id) else None

    def open(self, account: str) -> Sequence[OrderList]:
        return self._parts.engine.open_lists(account)

    def all(self, account: str, span: Span) -> Sequence[OrderList]:
        return self._parts.store.order_lists(account, span)


def orders_of(executions: Sequence[Execution]) -> list[Order]:
    return [each.order for each in executions]
