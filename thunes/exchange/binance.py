"""The exchange's REST side through python-binance's Client: its signing, parameters and errors; our types and times.

One instance for each thread: a session is not shared. An error says whose it is: ExchangeError is the exchange's clear
"no", NetworkError means that nobody knows whether the request was carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import requests
from binance.client import Client
from binance.exceptions import BinanceAPIException, BinanceRequestException

from thunes.domain.figures import ExchangeFigures
from thunes.domain.key_rights import KeyRights
from thunes.domain.market import AccountBalances, Fill, OrderAnswer, OwnTrade
from thunes.errors import ExchangeError, NetworkError
from thunes.exchange import answers
from thunes.exchange.answers import plain
from thunes.messages import Candle, OrderType, PublicTrade, Side, TimeInForce

T = TypeVar("T")

FATE_UNKNOWN = frozenset({-1001, -1006, -1007, -1008})
"""Codes that say nothing of whether the request was carried out (errors.md)."""

MISSHAPEN = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError)
"""What reading an answer raises that is not what is documented; a nesting too deep to read is a RecursionError."""

TIMESTAMP_OUTSIDE_WINDOW = -1021
NOT_SERVED = frozenset({403, 404, 405})
"""How a host answers that does not know a path, with a body of its own or none; a firewall says 403."""
RECENT_ORDERS = 500
USED_WEIGHT = "x-mbx-used-weight-1m"
WITH_TIME_IN_FORCE = frozenset({OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT})


class BinanceRest:
    """Requests to one venue as one account. Times in milliseconds, amounts in Decimal.

    Raises ExchangeError for a refusal, with the exchange's code and message, and NetworkError for a time-out, a lost
    connection, a 5xx, a redirect or an answer that is not what the exchange documents: what the circuit breaker counts.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        api_secret: str,
        *,
        timeout: float,
        wall_ms: Callable[[], int],
        recv_window: int = 5_000,
    ) -> None:
        client = Client(api_key, api_secret, {"timeout": timeout}, ping=False)
        client.API_URL = f"{base_url}/api"
        client.MARGIN_API_URL = f"{base_url}/sapi"
        client.REQUEST_RECVWINDOW = recv_window
        # A proxy of the environment must not see, delay or answer an order.
        client.session.trust_env = False
        # A redirect would send the order again, and the key to wherever it points.
        client.session.max_redirects = 0
        self._client = client
        self._wall_ms = wall_ms
        self._used_weight = 0

    def __repr__(self) -> str:
        return f"BinanceRest({self._client.API_URL})"

    @property
    def figures(self) -> ExchangeFigures:
        """What the answers' headers and the last look at the exchange's clock said."""
        return ExchangeFigures(self._used_weight, float(self._client.timestamp_offset))

    def sync_clock(self) -> None:
        """Sign from now on with the exchange's time: half the round trip is taken as the way back."""
        before = self._wall_ms()
        server_ms = self._answer(lambda answer: int(answer["serverTime"]), self._client.get_server_time)
        self._client.timestamp_offset = server_ms - (before + self._wall_ms()) // 2

    # --- the market ---

    def exchange_info(self, symbols: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The entries of these symbols as answered; ExchangeError -1121 when the venue lacks one."""
        listed = ",".join(f'"{symbol}"' for symbol in symbols)
        return self._call(
            lambda info: {entry["symbol"]: entry for entry in info["symbols"]},
            partial(self._client._get, "exchangeInfo", version="v3", data={"symbols": f"[{listed}]"}),
        )

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
    ) -> OrderAnswer:
        """Send one order, once, and return the full answer with its fills.

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
        return self._call(answers.order, partial(self._client.create_order, **params))

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
        )

    def cancel(self, symbol: str, client_order_id: str) -> OrderAnswer:
        """Cancel an order; the answer is the order's own, as it ended. ExchangeError -2011 when it is not open.

        An order of a list takes the whole list with it.
        """
        request = partial(self._client.cancel_order, symbol=symbol, origClientOrderId=client_order_id)
        return self._call(answers.canceled, request)

    def cancel_list(self, symbol: str, list_client_id: str) -> tuple[OrderAnswer, ...]:
        """Cancel an order list; its orders as they ended. ExchangeError -2011 when it is not open."""
        params = {"symbol": symbol, "listClientOrderId": list_client_id}
        return self._call(
            lambda answer: tuple(answers.canceled(row) for row in answer["orderReports"]),
            partial(self._client._delete, "orderList", True, data=params),
        )

    def cancel_all(self, symbol: str) -> None:
        """Cancel what is open of a symbol, order lists too; nothing open is no error."""
        try:
            self._call(lambda answer: answer, partial(self._client.cancel_all_open_orders, symbol=symbol))
        except ExchangeError as error:
            if error.code != -2011:
                raise

    # --- one request ---

    def _call(self, shape: Callable[[Any], T], request: Callable[[], Any]) -> T:
        """The answer to one request. One whose timestamp was refused was not carried out: with the exchange's clock
        read anew it is sent again, once.
        """
        try:
            return self._answer(shape, request)
        except ExchangeError as error:
            if error.code != TIMESTAMP_OUTSIDE_WINDOW:
                raise
            with suppress(ExchangeError, NetworkError):
                self.sync_clock()
            return self._answer(shape, request)

    def _answer(self, shape: Callable[[Any], T], request: Callable[[], Any]) -> T:
        """The answer to one request, in the shape wanted.

        An answer that cannot be brought into it says nothing of whether the request was carried out, as silence does.
        """
        try:
            answer = request()
            self._note_headers(self._client.response)
            return shape(answer)
        except BinanceAPIException as error:
            self._note_headers(error.response)
            raise _as_ours(error) from error
        except (BinanceRequestException, requests.RequestException, *MISSHAPEN) as error:
            raise NetworkError(
                f"The exchange did not answer as it should ({type(error).__name__}); ask again."
            ) from error

    def _note_headers(self, response: Any) -> None:
        used = getattr(response, "headers", {}).get(USED_WEIGHT, "")
        if used.isdecimal():
            self._used_weight = int(used)


def _as_ours(error: BinanceAPIException) -> ExchangeError | NetworkError:
    code, status = error.code if isinstance(error.code, int) else 0, error.status_code
    if status >= 500 or code in FATE_UNKNOWN or not code:
        return NetworkError(f"The exchange answered {status} (code={code} {error.message}); its fate is unknown.")
    retry_after = getattr(error.response, "headers", {}).get("Retry-After", "")
    return ExchangeError(code, error.message, status, float(retry_after) if retry_after.isdecimal() else None)
