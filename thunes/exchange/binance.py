"""The exchange's REST side through python-binance's Client: its signing, parameters and errors; our types and times.

One instance for each thread: a session is not shared. An error says whose it is: ExchangeError is the exchange's clear
"no", NetworkError means that nobody knows whether the request was carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import requests
from binance.client import Client
from binance.exceptions import BinanceAPIException, BinanceRequestException

from thunes.domain.figures import ExchangeFigures
from thunes.domain.filters import quote_amount
from thunes.domain.market import AccountBalances, Fill, OrderAnswer
from thunes.errors import ExchangeError, NetworkError
from thunes.messages import Candle, OrderStatus, OrderType, PublicTrade, Side

FATE_UNKNOWN = frozenset({-1001, -1006, -1007, -1008})
"""Codes that say nothing of whether the request was carried out (errors.md)."""

USED_WEIGHT = "x-mbx-used-weight-1m"


class BinanceRest:
    """Requests to one venue as one account. Times in milliseconds, amounts in Decimal.

    Raises ExchangeError for a refusal, with the exchange's code and message, and NetworkError for a time-out, a lost
    connection, a 5xx or an answer that is not JSON.
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
        server_ms = int(self._call(self._client.get_server_time)["serverTime"])
        self._client.timestamp_offset = server_ms - (before + self._wall_ms()) // 2

    def exchange_info(self, symbols: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The entries of these symbols as answered; ExchangeError -1121 when the venue lacks one."""
        listed = ",".join(f'"{symbol}"' for symbol in symbols)
        info = self._call(self._client._get, "exchangeInfo", version="v3", data={"symbols": f"[{listed}]"})
        return {entry["symbol"]: entry for entry in info["symbols"]}

    def klines(self, symbol: str, interval: str, *, limit: int, start_ms: int | None = None) -> tuple[Candle, ...]:
        """Candles, oldest first, from `start_ms` or the newest `limit`; the newest of all still changes (not closed)."""
        params: dict[str, Any] = {"symbol": symbol, "interval": interval, "limit": limit}
        if start_ms is not None:
            params["startTime"] = start_ms
        rows = self._call(self._client.get_klines, **params)
        # A full page from a start may end before the newest; then all of it is closed.
        last_is_open = start_ms is None or len(rows) < limit
        return tuple(_candle(symbol, interval, row, index < len(rows) - last_is_open) for index, row in enumerate(rows))

    def trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[PublicTrade, ...]:
        """Public trades, oldest first: from an id, or the newest."""
        if from_id is None:
            rows = self._call(self._client.get_recent_trades, symbol=symbol, limit=limit)
        else:
            rows = self._call(self._client.get_historical_trades, symbol=symbol, limit=limit, fromId=from_id)
        return tuple(
            PublicTrade(symbol, r["id"], Decimal(r["price"]), Decimal(r["qty"]), r["time"], r["isBuyerMaker"])
            for r in rows
        )

    def account(self) -> AccountBalances:
        """(free, locked) of every asset."""
        answer = self._call(self._client.get_account)
        return {b["asset"]: (Decimal(b["free"]), Decimal(b["locked"])) for b in answer["balances"]}

    def open_orders(self, symbol: str | None = None) -> tuple[OrderAnswer, ...]:
        params = {"symbol": symbol} if symbol is not None else {}
        return tuple(_order(row) for row in self._call(self._client.get_open_orders, **params))

    def order(self, symbol: str, client_order_id: str) -> OrderAnswer:
        """What the exchange knows of an order, without its fills; ExchangeError -2013 when it knows none."""
        return _order(self._call(self._client.get_order, symbol=symbol, origClientOrderId=client_order_id))

    def my_trades(
        self, symbol: str, *, order_id: int | None = None, from_id: int | None = None
    ) -> tuple[tuple[int, Fill], ...]:
        """(order id, fill) of the account's executions, oldest first."""
        params: dict[str, Any] = {"symbol": symbol, "limit": 1000}
        if order_id is not None:
            params["orderId"] = order_id
        if from_id is not None:
            params["fromId"] = from_id
        return tuple((row["orderId"], _trade(row)) for row in self._call(self._client.get_my_trades, **params))

    def place(
        self,
        *,
        symbol: str,
        side: Side,
        order_type: OrderType,
        quantity: Decimal,
        price: Decimal | None = None,
        client_order_id: str,
    ) -> OrderAnswer:
        """Send one order, once, and return the full answer with its fills."""
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
                params["timeInForce"] = "GTC"
        return _order(self._call(self._client.create_order, **params))

    def cancel(self, symbol: str, client_order_id: str) -> OrderAnswer:
        row = self._call(self._client.cancel_order, symbol=symbol, origClientOrderId=client_order_id)
        # The answer names the order's id apart from the cancel's own.
        return _order({**row, "clientOrderId": row["origClientOrderId"]})

    def cancel_all(self, symbol: str) -> None:
        """Cancel what is open of a symbol; nothing open is no error."""
        try:
            self._call(self._client._delete, "openOrders", True, version="v3", data={"symbol": symbol})
        except ExchangeError as error:
            if error.code != -2011:
                raise

    def _call(self, method: Callable[..., Any], *args: Any, **params: Any) -> Any:
        try:
            answer = method(*args, **params)
        except BinanceAPIException as error:
            self._note_headers(error.response)
            raise _as_ours(error) from error
        except (BinanceRequestException, requests.RequestException) as error:
            raise NetworkError(
                f"The exchange did not answer as it should ({type(error).__name__}); ask again."
            ) from error
        self._note_headers(self._client.response)
        return answer

    def _note_headers(self, response: Any) -> None:
        used = getattr(response, "headers", {}).get(USED_WEIGHT, "")
        if used.isdecimal():
            self._used_weight = int(used)


def plain(value: Decimal) -> str:
    """A decimal as the exchange takes it: never with an exponent, without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _as_ours(error: BinanceAPIException) -> ExchangeError | NetworkError:
    code, status = error.code or 0, error.status_code
    if status >= 500 or code in FATE_UNKNOWN or not code:
        return NetworkError(f"The exchange answered {status} (code={code} {error.message}); its fate is unknown.")
    retry_after = getattr(error.response, "headers", {}).get("Retry-After", "")
    return ExchangeError(code, error.message, status, float(retry_after) if retry_after.isdecimal() else None)


def _candle(symbol: str, interval: str, row: Sequence[Any], closed: bool) -> Candle:
    open_price, high, low, close, volume = (Decimal(value) for value in row[1:6])
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
        Decimal(row[7]),
        row[8],
        Decimal(row[9]),
        Decimal(row[10]),
        closed,
    )


def _order(row: Mapping[str, Any]) -> OrderAnswer:
    return OrderAnswer(
        symbol=row["symbol"],
        client_order_id=row["clientOrderId"],
        order_id=row["orderId"],
        status=OrderStatus(row["status"]),
        side=Side(row["side"]),
        order_type=row["type"],
        quantity=Decimal(row["origQty"]),
        price=Decimal(row["price"]),
        executed=Decimal(row["executedQty"]),
        cumulative_quote=Decimal(row["cummulativeQuoteQty"]),
        time_ms=row.get("transactTime") or row.get("updateTime") or row.get("time") or 0,
        fills=tuple(_fill(fill, row) for fill in row.get("fills", ())),
    )


def _fill(fill: Mapping[str, Any], order: Mapping[str, Any]) -> Fill:
    """A fill of a FULL answer: a taker's, at the order's own time."""
    price, quantity = Decimal(fill["price"]), Decimal(fill["qty"])
    return Fill(
        trade_id=fill["tradeId"],
        price=price,
        quantity=quantity,
        quote_quantity=quote_amount(price, quantity),
        commission=Decimal(fill["commission"]),
        commission_asset=fill["commissionAsset"],
        time_ms=order["transactTime"],
        is_maker=False,
    )


def _trade(row: Mapping[str, Any]) -> Fill:
    return Fill(
        trade_id=row["id"],
        price=Decimal(row["price"]),
        quantity=Decimal(row["qty"]),
        quote_quantity=Decimal(row["quoteQty"]),
        commission=Decimal(row["commission"]),
        commission_asset=row["commissionAsset"],
        time_ms=row["time"],
        is_maker=row["isMaker"],
    )
