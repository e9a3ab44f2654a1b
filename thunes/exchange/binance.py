"""The exchange's REST endpoints, in our types and times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from thunes.domain.budget import Kind
from thunes.domain.key_rights import KeyRights
from thunes.domain.market import AccountBalances, Fill, OrderAnswer, OwnTrade
from thunes.errors import ExchangeError, NetworkError
from thunes.exchange import answers
from thunes.exchange.answers import plain
from thunes.exchange.last_look import Unless
from thunes.exchange.rest import RestClient
from thunes.messages import Candle, OrderType, PublicTrade, Side, TimeInForce

NOT_SERVED = frozenset({403, 404, 405})
"""How a host answers that does not know a path, with a body of its own or none; a firewall says 403."""
RECENT_ORDERS = 500
WITH_TIME_IN_FORCE = frozenset({OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT})


class BinanceRest(RestClient):
    """Requests to one venue as one account. Times in milliseconds, amounts in Decimal. One instance for each thread.

    Raises ExchangeError for a refusal, with the exchange's code and message, HeldBack for what was not sent because the
    exchange's limits leave no room now, and NetworkError for a time-out, a lost connection, a 5xx, a redirect or an
    answer that is not what the exchange documents: what the circuit breaker counts.
    """

    # --- the market ---

    def exchange_info(self, symbols: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The entries of these symbols as answered; ExchangeError -1121 when the venue lacks one.

        The gate learns the venue's limits.
        """
        listed = ",".join(f'"{symbol}"' for symbol in symbols)

        def entries(info: Any) -> dict[str, Mapping[str, Any]]:
            self.gate.learn(info.get("rateLimits"))
            return {entry["symbol"]: entry for entry in info["symbols"]}

        request = partial(self._client._get, "exchangeInfo", version="v3", data={"symbols": f"[{listed}]"})
        return self._call(entries, request)

    def klines(self, symbol: str, interval: str, *, limit: int, start_ms: int | None = None) -> tuple[Candle, ...]:
        """Candles, oldest first, from `start_ms` or the newest `limit`.

        The last one is never marked closed: it may be the one that still changes, and the answer does not tell.
        """
        params: dict[str, Any] = {"symbol": symbol, "interval": interval, "limit": limit}
        if start_ms is not None:
            params["startTime"] = start_ms

        def candles(rows: Any) -> tuple[Candle, ...]:
            last = len(rows) - 1
            return tuple(answers.candle(symbol, interval, row, index < last) for index, row in enumerate(rows))

        return self._call(candles, partial(self._client.get_klines, **params))

    def trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[PublicTrade, ...]:
        """Public trades, oldest first: from an id, or the newest."""

        def public_trades(rows: Any) -> tuple[PublicTrade, ...]:
            return tuple(answers.public_trade(symbol, row) for row in rows)

        if from_id is None:
            return self._call(public_trades, partial(self._client.get_recent_trades, symbol=symbol, limit=limit))
        older = partial(self._client.get_historical_trades, symbol=symbol, limit=limit, fromId=from_id)
        return self._call(public_trades, older)

    # --- the account ---

    def account(self) -> AccountBalances:
        """(free, locked) of every asset."""
        return self._call(answers.balances, self._client.get_account)

    def api_restrictions(self) -> KeyRights | None:
        """What the key may do; None where the venue does not serve that request (the testnet has no `/sapi`)."""
        try:
            return self._call(KeyRights.from_answer, self._client.get_account_api_permissions)
        except (ExchangeError, NetworkError) as error:
            if getattr(error.__cause__, "status_code", 0) not in NOT_SERVED:
                raise
            return None

    def recent_orders(self, symbol: str) -> tuple[OrderAnswer, ...]:
        """The account's newest orders of a symbol, whatever became of them, oldest first."""
        return self._call(answers.orders, partial(self._client.get_all_orders, symbol=symbol, limit=RECENT_ORDERS))

    def open_orders(self, symbol: str | None = None) -> tuple[OrderAnswer, ...]:
        params = {"symbol": symbol} if symbol is not None else {}
        return self._call(answers.orders, partial(self._client.get_open_orders, **params))

    def open_entries(self) -> tuple[OrderAnswer, ...]:
        """Every BUY that is open on the account, asked for as urgently as the cancels that need to know them."""
        found = self._call(answers.orders, self._client.get_open_orders, Kind.CANCEL)
        return tuple(order for order in found if order.side is Side.BUY)

    def order(self, symbol: str, client_order_id: str) -> OrderAnswer:
        """What the exchange knows of an order, without its fills; ExchangeError -2013 when it knows none."""
        request = partial(self._client.get_order, symbol=symbol, origClientOrderId=client_order_id)
        return self._call(answers.order, request)

    def order_by_id(self, symbol: str, order_id: int) -> OrderAnswer:
        """The same, by the exchange's own number."""
        return self._call(answers.order, partial(self._client.get_order, symbol=symbol, orderId=order_id))

    def my_trades(
        self, symbol: str, *, order_id: int | None = None, from_id: int | None = None
    ) -> tuple[tuple[int, Fill], ...]:
        """(order id, fill) of the account's executions, oldest first."""
        found = self._own_trades(symbol, orderId=order_id, fromId=from_id, limit=1000)
        return tuple((each.order_id, each.fill) for each in found)

    def own_trades(
        self, symbol: str, *, from_id: int | None = None, start_ms: int | None = None, limit: int = 1000
    ) -> tuple[OwnTrade, ...]:
        """The account's executions with their sides, oldest first: from a trade id, from a time, or the newest.

        The exchange takes one of `from_id` and `start_ms`, not both.
        """
        return self._own_trades(symbol, fromId=from_id, startTime=start_ms, limit=limit)

    def _own_trades(self, symbol: str, **params: int | None) -> tuple[OwnTrade, ...]:
        given = {name: value for name, value in params.items() if value is not None}
        return self._call(
            lambda rows: tuple(answers.own_trade(row) for row in rows),
            partial(self._client.get_my_trades, symbol=symbol, **given),
        )

    # --- orders ---

    def place(
        self,
        *,
        symbol: str,
        side: Side,
        order_type: OrderType,
        quantity: Decimal,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
        client_order_id: str,
        time_in_force: TimeInForce = TimeInForce.GTC,
        unless: Unless | None = None,
    ) -> OrderAnswer:
        """Send one order, once, and return the full answer with its fills; KilledMeanwhile, and no order, `unless`.

        That is looked at when all but the order has been sent, each time that it is: a process may be stopped for
        minutes between any two of its lines, and must not buy on what was true before.
        `time_in_force` is sent for the types that take one: LIMIT, STOP_LOSS_LIMIT and TAKE_PROFIT_LIMIT.
        """
        params: dict[str, Any] = {
            "symbol": symbol,
            "side": str(side),
            "type": str(order_type),
            "quantity": plain(quantity),
            "newClientOrderId": client_order_id,
            "newOrderRespType": "FULL",
        }
        if price is not None:
            params["price"] = plain(price)
        if stop_price is not None:
            params["stopPrice"] = plain(stop_price)
        if order_type in WITH_TIME_IN_FORCE:
            params["timeInForce"] = str(time_in_force)
        request = self._looking(unless, partial(self._client.create_order, **params))
        return self._call(answers.order, request, Kind.PLACE, 1)

    def place_oco(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        *,
        take_profit: Decimal,
        stop_price: Decimal,
        stop_limit: Decimal,
        list_id: str,
        take_profit_id: str,
        stop_id: str,
    ) -> tuple[OrderAnswer, OrderAnswer]:
        """Send a take-profit and a stop of which one cancels the other, once; the answers, in that order.

        The take-profit is a LIMIT_MAKER at `take_profit`; the stop becomes a LIMIT at `stop_limit` once somebody
        trades at `stop_price`. A SELL takes its profit above the market, a BUY below (rest-api.md, OCO).
        """
        profit = {"Type": "LIMIT_MAKER", "ClientOrderId": take_profit_id, "Price": plain(take_profit)}
        stop = {
            "Type": "STOP_LOSS_LIMIT",
            "ClientOrderId": stop_id,
            "Price": plain(stop_limit),
            "StopPrice": plain(stop_price),
            "TimeInForce": str(TimeInForce.GTC),
        }
        above, below = (profit, stop) if side is Side.SELL else (stop, profit)
        params = {
            "symbol": symbol,
            "side": str(side),
            "quantity": plain(quantity),
            "listClientOrderId": list_id,
            "newOrderRespType": "FULL",
            **{f"above{name}": value for name, value in above.items()},
            **{f"below{name}": value for name, value in below.items()},
        }
        return self._call(
            lambda answer: answers.pair(answer, take_profit_id, stop_id),
            partial(self._client.create_oco_order, **params),
            Kind.PLACE,
            2,
        )

    def cancel(self, symbol: str, client_order_id: str) -> OrderAnswer:
        """Cancel an order; the answer is the order's own, as it ended. ExchangeError -2011 when it is not open.

        An order of a list takes the whole list with it.
        """
        request = partial(self._client.cancel_order, symbol=symbol, origClientOrderId=client_order_id)
        return self._call(lambda answer: answers.canceled_one(answer, client_order_id), request, Kind.CANCEL)

    def cancel_list(self, symbol: str, list_client_id: str) -> tuple[OrderAnswer, ...]:
        """Cancel an order list; its orders as they ended. ExchangeError -2011 when it is not open."""
        params = {"symbol": symbol, "listClientOrderId": list_client_id}
        return self._call(
            lambda answer: tuple(answers.canceled(row) for row in answer["orderReports"]),
            partial(self._client._delete, "orderList", True, data=params),
            Kind.CANCEL,
        )

    def cancel_all(self, symbol: str) -> None:
        """Cancel what is open of a symbol, order lists too; nothing open is no error."""
        try:
            self._call(lambda answer: answer, partial(self._client.cancel_all_open_orders, symbol=symbol), Kind.CANCEL)
        except ExchangeError as error:
            if error.code != -2011:
                raise
