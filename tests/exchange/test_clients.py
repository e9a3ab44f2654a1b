"""Clients that others wrote, unmodified: python-binance, ccxt, websocket-client."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from binance.client import Client
from binance.exceptions import BinanceAPIException

from tests.exchange.conftest import START_MS, Exchange, trade


@pytest.fixture
def binance(exchange: Exchange) -> Client:
    client = Client(exchange.key, exchange.secret, ping=False, requests_params={"timeout": 5})
    # It makes an event loop for coroutines that nobody here asks for, and leaves it open.
    client.loop.close()
    asyncio.set_event_loop(None)
    client.API_URL = f"{exchange.running.rest}/api"
    client.session.trust_env = False
    return client


def test_python_binance_reads_the_market(exchange: Exchange, binance: Client) -> None:
    exchange.play(trade(1, "30000", "0.5", START_MS + 5))
    assert binance.ping() == {}
    assert binance.get_symbol_info("BTCUSDT")["baseAsset"] == "BTC"
    assert binance.get_order_book(symbol="BTCUSDT")["asks"][0] == ["30000.00000000", "1.00000000"]
    assert binance.get_symbol_ticker(symbol="BTCUSDT")["price"] == "30000.00000000"
    assert binance.get_orderbook_ticker(symbol="BTCUSDT")["bidPrice"] == "29999.99000000"
    assert binance.get_recent_trades(symbol="BTCUSDT")[0]["id"] == 1
    assert binance.get_aggregate_trades(symbol="BTCUSDT")[0]["a"] == 1
    assert binance.get_klines(symbol="BTCUSDT", interval=Client.KLINE_INTERVAL_1MINUTE)[0][8] == 1
    assert next(iter(binance.get_historical_klines("BTCUSDT", "1m", START_MS)))[0] == START_MS
    assert binance.get_avg_price(symbol="BTCUSDT")["mins"] == 5
    assert binance.get_ticker(symbol="BTCUSDT")["count"] == 1


def test_python_binance_trades_and_reads_its_account(exchange: Exchange, binance: Client) -> None:
    bought = binance.order_market_buy(symbol="BTCUSDT", quantity="0.1")
    assert (bought["status"], bought["fills"][0]["tradeId"]) == ("FILLED", 1)
    sold = binance.order_market_sell(symbol="BTCUSDT", quantity="0.05")
    assert sold["cummulativeQuoteQty"] == "1499.99950000"
    by_quote = binance.create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="50")
    assert by_quote["status"] == "FILLED"
    resting = binance.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price="29000")
    assert [row["orderId"] for row in binance.get_open_orders(symbol="BTCUSDT")] == [resting["orderId"]]
    binance.cancel_order(symbol="BTCUSDT", orderId=resting["orderId"])
    assert binance.get_order(symbol="BTCUSDT", orderId=resting["orderId"])["status"] == "CANCELED"
    assert len(binance.get_all_orders(symbol="BTCUSDT")) == 4
    assert len(binance.get_my_trades(symbol="BTCUSDT")) == 3
    assert Decimal(binance.get_asset_balance("BTC")["free"]) == exchange.balance("BTC")[0]
    assert binance.create_test_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01") == {}


def test_python_binance_raises_the_exchanges_own_refusals(binance: Client) -> None:
    with pytest.raises(BinanceAPIException) as caught:
        binance.order_market_buy(symbol="BTCUSDT", quantity="5")
    assert (caught.value.code, caught.value.status_code) == (-2010, 400)
    assert caught.value.message == "Account has insufficient balance for requested action."


@pytest.fixture
def unified(exchange: Exchange) -> Any:
    client = ccxt.binance(
        {
            "apiKey": exchange.key,
            "secret": exchange.secret,
            "enableRateLimit": False,
            "options": {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "fetchCurrencies": False},
        }
    )
    client.session.trust_env = False
    for name in ("public", "private", "v1"):
        client.urls["api"][name] = f"{exchange.running.rest}/api/v3"
    return client


def test_ccxt_loads_the_markets_with_their_precision_and_limits(unified: Any) -> None:
    market = unified.load_markets()["BTC/USDT"]
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.00001)
    assert (market["active"], market["limits"]["cost"]["min"]) == (True, 5.0)


def test_ccxt_trades_and_reads_its_account(exchange: Exchange, unified: Any) -> None:
    exchange.play(trade(1, "30000", "0.5", START_MS + 5))
    unified.load_markets()
    assert unified.fetch_order_book("BTC/USDT")["bids"][0][:2] == [29999.99, 2.0]
    assert unified.fetch_ticker("BTC/USDT")["last"] == 30000.0
    assert unified.fetch_ohlcv("BTC/USDT", "1m")[-1][0] == START_MS
    assert unified.fetch_trades("BTC/USDT")[-1]["id"] == "1"
    bought = unified.create_order("BTC/USDT", "market", "buy", 0.1)
    assert (bought["status"], bought["average"]) == ("closed", 30000.0)
    resting = unified.create_order("BTC/USDT", "limit", "buy", 0.01, 29000)
    assert [order["id"] for order in unified.fetch_open_orders("BTC/USDT")] == [resting["id"]]
    assert unified.cancel_order(resting["id"], "BTC/USDT")["status"] == "canceled"
    assert unified.fetch_order(resting["id"], "BTC/USDT")["status"] == "canceled"
    assert unified.fetch_balance()["BTC"]["free"] == 0.0999
    assert [fill["order"] for fill in unified.fetch_my_trades("BTC/USDT")] == [bought["id"]]
    with pytest.raises(ccxt.InsufficientFunds):
        unified.create_order("BTC/USDT", "market", "buy", 5)


def test_websocket_client_reads_a_combined_stream(exchange: Exchange) -> None:
    streams = "btcusdt@bookTicker/btcusdt@trade/btcusdt@aggTrade/btcusdt@kline_1m"
    with exchange.listen(f"/stream?streams={streams}") as listener:
        exchange.play(trade(9, "30000", "0.5", START_MS + 5))
        exchange.order("BUY", "0.01")
        frames = {frame["stream"]: frame["data"] for frame in (listener.next() for _ in range(4))}
    assert set(frames) == {f"btcusdt@{name}" for name in ("bookTicker", "trade", "aggTrade", "kline_1m")}
    assert frames["btcusdt@aggTrade"]["f"] == frames["btcusdt@trade"]["t"] == 9
