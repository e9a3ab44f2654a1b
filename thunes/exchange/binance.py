"""The exchange's REST side through python-binance's Client: its signing, parameters and errors; our types and times.

One instance for each thread: a session is not shared. An error says whose it is: ExchangeError is the exchange's clear
"no", NetworkError means that nobody knows whether the request was carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import requests
from binance.client import Client
from binance.exceptions import BinanceAPIException, BinanceRequestException

from thunes.domain.figures import ExchangeFigures
from thunes.domain.filters import quote_amount
from thunes.domain.market import AccountBalances, Fill, OrderAnswer, order_status
from thunes.errors import ExchangeError, NetworkError
from thunes.messages import Candle, OrderType, PublicTrade, Side, TimeInForce

T = TypeVar("T")

FATE_UNKNOWN = frozenset({-1001, -1006, -1007, -1008})
"""Codes that say nothing of whether the request was carried out (errors.md)."""

MISSHAPEN = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError)
"""What reading an answer raises that is not what is documented; a nesting too deep to read is a RecursionError."""

TIMESTAMP_OUTSIDE_WINDOW = -1021
USED_WEIGHT = "x-mbx-used-weight-1m"


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
            return tuple(_candle(symbol, interval, row, index < last) for index, row in enumerate(rows))

        return self._call(candles, partial(self._client.get_klines, **params))

    def trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[PublicTrade, ...]:
        """Public trades, oldest first: from an id, or the newest."""

        def public_trades(rows: Any) -> tuple[PublicTrade, ...]:
            return tuple(
                PublicTrade(symbol, r["id"], _number(r["price"]), _number(r["qty"]), r["time"], r["isBuyerMaker"])
                for r in rows
            )

        if from_id is None:
            return self._call(public_trades, partial(self._client.get_recent_trades, symbol=symbol, limit=limit))
        older = partial(self._client.get_historical_trades, symbol=symbol, limit=limit, fromId=from_id)
        return self._call(public_trades, older)

    def account(self) -> AccountBalances:
        """(free, locked) of every asset."""
        return self._call(
            lambda answer: {b["asset"]: (_number(b["free"]), _number(b["locked"])) for b in answer["balances"]},
            self._client.get_account,
        )

    def open_orders(self, symbol: str | None = None) -> tuple[OrderAnswer, ...]:
        params = {"symbol": symbol} if symbol is not None else {}
        return self._call(
            lambda rows: tuple(_order(row) for row in rows), partial(self._client.get_open_orders, **params)
        )

    def order(self, symbol: str, client_order_id: str) -> OrderAnswer:
        """What the exchange knows of an order, without its fills; ExchangeError -2013 when it knows none."""
        return self._call(_order, partial(self._client.get_order, symbol=symbol, origClientOrderId=client_order_id))

    def my_trades(
        self, symbol: str, *, order_id: int | None = None, from_id: int | None = None
    ) -> tuple[tuple[int, Fill], ...]:
        """(order id, fill) of the account's executions, oldest first."""
        params: dict[str, Any] = {"symbol": symbol, "limit": 1000}
        if order_id is not None:
            params["orderId"] = order_id
        if from_id is not None:
            params["fromId"] = from_id
        return self._call(
            lambda rows: tuple((row["orderId"], _trade(row)) for row in rows),
            partial(self._client.get_my_trades, **params),
        )

    def place(
        self,
        *,
        symbol: str,
        side: Side,
        order_type: OrderType,
        quantity: Decimal,
        price: Decimal | None = None,
        client_order_id: str,
        time_in_force: TimeInForce = TimeInForce.GTC,
    ) -> OrderAnswer:
        """Send one order, once, and return the full answer with its fills. `time_in_force` is a LIMIT order's alone."""
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
            if order_type is OrderType.LIMIT:
                params["timeInForce"] = str(time_in_force)
        return self._call(_order, partial(self._client.create_order, **params))

    def cancel(self, symbol: str, client_order_id: str) -> OrderAnswer:
        """Cancel an order; the answer is the order's own, as it ended. ExchangeError -2011 when it is not open."""
        # The answer names the order's id apart from the cancel's own.
        return self._call(
            lambda row: _order({**row, "clientOrderId": row["origClientOrderId"]}),
            partial(self._client.cancel_order, symbol=symbol, origClientOrderId=client_order_id),
        )

    def cancel_all(self, symbol: str) -> None:
        """Cancel what is open of a symbol; nothing open is no error."""
        try:
            self._call(lambda answer: answer, partial(self._client.cancel_all_open_orders, symbol=symbol))
        except ExchangeError as error:
            if error.code != -2011:
                raise

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


def plain(value: Decimal) -> str:
    """A decimal as the exchange takes it: never with an exponent, without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(text: str) -> Decimal:
    """An amount of an answer. ValueError for NaN and infinity, which Decimal reads too."""
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(f"{text!r} is no amount")
    return value


def _as_ours(error: BinanceAPIException) -> ExchangeError | NetworkError:
    code, status = error.code if isinstance(error.code, int) else 0, error.status_code
    if status >= 500 or code in FATE_UNKNOWN or not code:
        return NetworkError(f"The exchange answered {status} (code={code} {error.message}); its fate is unknown.")
    retry_after = getattr(error.response, "headers", {}).get("Retry-After", "")
    return ExchangeError(code, error.message, status, float(retry_after) if retry_after.isdecimal() else None)


def _candle(symbol: str, interval: str, row: Sequence[Any], closed: bool) -> Candle:
    open_price, high, low, close, volume = (_number(value) for value in row[1:6])
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
        _number(row[7]),
        row[8],
        _number(row[9]),
        _number(row[10]),
        closed,
    )


def _order(row: Mapping[str, Any]) -> OrderAnswer:
    return OrderAnswer(
        symbol=row["symbol"],
        client_order_id=row["clientOrderId"],
        order_id=row["orderId"],
        status=order_status(row["status"]),
        side=Side(row["side"]),
        order_type=row["type"],
        quantity=_number(row["origQty"]),
        price=_number(row["price"]),
        executed=_number(row["executedQty"]),
        cumulative_quote=_number(row["cummulativeQuoteQty"]),
        time_ms=row.get("transactTime") or row.get("updateTime") or row.get("time") or 0,
        fills=tuple(_fill(fill, row) for fill in row.get("fills", ())),
    )


def _fill(fill: Mapping[str, Any], order: Mapping[str, Any]) -> Fill:
    """A fill of a FULL answer: a taker's, at the order's own time."""
    price, quantity = _number(fill["price"]), _number(fill["qty"])
    return Fill(
        trade_id=fill["tradeId"],
        price=price,
        quantity=quantity,
        quote_quantity=quote_amount(price, quantity),
        commission=_number(fill["commission"]),
        commission_asset=fill["commissionAsset"],
        time_ms=order["transactTime"],
        is_maker=False,
    )


def _trade(row: Mapping[str, Any]) -> Fill:
    return Fill(
        trade_id=row["id"],
        price=_number(row["price"]),
        quantity=_number(row["qty"]),
        quote_quantity=_number(row["quoteQty"]),
        commission=_number(row["commission"]),
        commission_asset=row["commissionAsset"],
        time_ms=row["time"],
        is_maker=row["isMaker"],
    )
