"""The REST adapter: our types both ways, one request for one call, and whose fault an error is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.conftest import START_MS, Exchange, Start, book, trade
from tests.exchange.rest_calls import KEY, ORDER, SECRET, adapter, buy, refusal, wall_ms
from tests.exchange.scripted_rest import Scripted, scripted
from tests.exchange.socket_ends import unused_port
from thunes.domain.market import Fill
from thunes.exchange.answers import plain
from thunes.exchange.binance import BinanceRest
from thunes.exchange.gate import Gate
from thunes.messages import Candle, OrderStatus, OrderType, PublicTrade, Side, TimeInForce

D = Decimal
MINUTE = 60_000


@pytest.fixture
def script() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def rest(exchange: Exchange) -> BinanceRest:
    return adapter(exchange.running.rest, exchange.key, exchange.secret)


class TestOrders:
    def test_a_market_order_is_answered_with_its_fills(self, rest: BinanceRest) -> None:
        answer = buy(rest)
        assert (answer.symbol, answer.client_order_id, answer.side) == ("BTCUSDT", "home-1", Side.BUY)
        assert (answer.status, answer.order_type) == (OrderStatus.FILLED, "MARKET")
        assert (answer.quantity, answer.executed, answer.cumulative_quote) == (D("0.05"), D("0.05"), D(1500))
        [fill] = answer.fills
        assert (fill.price, fill.quantity, fill.quote_quantity) == (D(30000), D("0.05"), D(1500))
        assert (fill.commission, fill.commission_asset, fill.is_maker) == (D("0.00005"), "BTC", False)
        assert fill.time_ms == answer.time_ms

    def test_the_account_s_trades_say_the_same_of_a_fill_as_the_answer(self, rest: BinanceRest) -> None:
        first, second = buy(rest, "0.01", "home-1"), buy(rest, "0.02", "home-2")
        all_of_them = ((first.order_id, first.fills[0]), (second.order_id, second.fills[0]))
        assert rest.my_trades("BTCUSDT") == all_of_them
        assert rest.my_trades("BTCUSDT", order_id=first.order_id) == all_of_them[:1]
        assert rest.my_trades("BTCUSDT", from_id=second.fills[0].trade_id) == all_of_them[1:]

    def test_a_limit_order_rests_is_known_and_is_canceled_under_its_own_id(self, rest: BinanceRest) -> None:
        placed = buy(rest, price=D(29_000))
        assert (placed.status, placed.price, placed.fills) == (OrderStatus.NEW, D(29_000), ())
        [known] = rest.open_orders("BTCUSDT")
        assert known == rest.order("BTCUSDT", "home-1") == rest.open_orders()[0] == rest.open_entries()[0]
        assert (known.order_id, known.client_order_id) == (placed.order_id, "home-1")
        canceled = rest.cancel("BTCUSDT", "home-1")
        assert (canceled.status, canceled.client_order_id) == (OrderStatus.CANCELED, "home-1")
        assert rest.open_orders("BTCUSDT") == ()

    def test_what_sells_is_no_entry(self, rest: BinanceRest) -> None:
        buy(rest, "0.01", "held")
        buy(rest, "0.01", "entry", price=D(29_000))
        rest.place(
            symbol="BTCUSDT",
            side=Side.SELL,
            order_type=OrderType.LIMIT,
            quantity=D("0.009"),
            price=D(31_000),
            client_order_id="exit",
        )
        assert [order.client_order_id for order in rest.open_orders()] == ["entry", "exit"]
        assert [order.client_order_id for order in rest.open_entries()] == ["entry"]

    def test_all_of_a_symbol_s_orders_are_canceled_and_none_is_no_error(self, rest: BinanceRest) -> None:
        for name in ("home-1", "home-2"):
            buy(rest, "0.01", name, price=D(29_000))
        rest.cancel_all("BTCUSDT")
        assert rest.open_orders("BTCUSDT") == ()
        rest.cancel_all("BTCUSDT")

    def test_what_the_exchange_refuses_it_refuses_in_its_own_words(self, rest: BinanceRest) -> None:
        filtered = refusal(lambda: buy(rest, "0.0000001"))
        assert (filtered.code, filtered.status) == (-1013, 400)
        assert filtered.message == "Filter failure: LOT_SIZE"
        assert "code=-1013" in str(filtered)
        assert refusal(lambda: buy(rest, "1")).code == -2010
        assert refusal(lambda: rest.order("BTCUSDT", "nobody-s")).code == -2013
        assert refusal(lambda: rest.cancel("BTCUSDT", "nobody-s")).code == -2011
        assert refusal(lambda: rest.cancel_all("NOSUCH")).code == -1121

    def test_balances_are_free_and_locked(self, rest: BinanceRest) -> None:
        before = rest.account()["USDT"][0]
        buy(rest, price=D(29_000))
        assert rest.account()["USDT"] == (before - D(1450), D(1450))

    def test_a_wrong_secret_is_the_operator_s_matter_and_not_the_network_s(self, exchange: Exchange) -> None:
        assert refusal(adapter(exchange.running.rest, exchange.key, "another").account).code == -1022


class TestMarketData:
    def test_candles_come_oldest_first_and_the_last_is_never_called_closed(self, start: Start) -> None:
        history = [candle(n) for n in range(-6, 0)]
        with start([book(), trade(1, "30000", "1", START_MS)], history) as exchange:
            newest = adapter(exchange.running.rest).klines("BTCUSDT", "1m", limit=4)
            assert newest[:3] == tuple(history[-3:])
            assert (newest[3].open_ms, newest[3].closed) == (START_MS, False)

    def test_a_full_page_from_a_start_may_end_with_the_candle_that_still_changes(self, start: Start) -> None:
        history = [candle(n) for n in range(-6, 0)]
        with start([book(), trade(1, "30000", "1", START_MS)], history) as exchange:
            rest = adapter(exchange.running.rest)
            newest = rest.klines("BTCUSDT", "1m", limit=1000)[-3:]
            page = rest.klines("BTCUSDT", "1m", limit=3, start_ms=newest[0].open_ms)
            assert page == newest
            assert [c.closed for c in page] == [True, True, False]

    def test_trades_are_the_newest_or_those_from_an_id(self, exchange: Exchange) -> None:
        exchange.play(*(trade(n, "30000", "0.5", START_MS + n, maker=n == 2) for n in (1, 2, 3)))
        rest = adapter(exchange.running.rest, exchange.key)
        assert [t.trade_id for t in rest.trades("BTCUSDT", limit=2)] == [2, 3]
        assert rest.trades("BTCUSDT", from_id=2, limit=1) == (
            PublicTrade("BTCUSDT", 2, D(30000), D("0.5"), START_MS + 2, True),
        )

    def test_symbols_are_told_as_the_exchange_tells_them(self, exchange: Exchange, rest: BinanceRest) -> None:
        told = rest.exchange_info(["BTCUSDT"])
        assert list(told) == ["BTCUSDT"]
        assert told["BTCUSDT"] == exchange.public("/api/v3/exchangeInfo", symbol="BTCUSDT")["symbols"][0]
        assert refusal(lambda: rest.exchange_info(["NOSUCH"])).code == -1121


def candle(number: int) -> Candle:
    open_ms = START_MS + number * MINUTE
    prices = (D(30_000), D(30_010), D(29_990), D(30_005))
    return Candle("BTCUSDT", "1m", open_ms, open_ms + MINUTE - 1, *prices, D(5), D(150_000), 9, D(2), D(60_000))


class TestWhatIsSent:
    def test_a_market_order_is_signed_and_plain(self, script: Scripted) -> None:
        script.answers(ORDER)
        adapter(script.url, recv_window=4_321).place(
            symbol="BTCUSDT",
            side=Side.SELL,
            order_type=OrderType.MARKET,
            quantity=D("1E-8"),
            client_order_id="home-1",
        )
        [sent] = script.requests
        assert (sent.method, sent.path, sent.key) == ("POST", "/api/v3/order", KEY)
        timestamp, signature = int(sent.params.pop("timestamp")), sent.params.pop("signature")
        assert abs(timestamp - wall_ms()) < 60_000
        assert len(signature) == 64
        assert sent.params == {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "MARKET",
            "quantity": "0.00000001",
            "newClientOrderId": "home-1",
            "newOrderRespType": "FULL",
            "recvWindow": "4321",
        }

    @pytest.mark.parametrize(
        ("order_type", "options", "price", "in_force"),
        [
            (OrderType.LIMIT, {}, "30000", "GTC"),
            (OrderType.LIMIT, {"time_in_force": TimeInForce.IOC}, "30000", "IOC"),
            (OrderType.LIMIT_MAKER, {}, "30000", None),
        ],
    )
    def test_a_limit_order_says_how_long_it_stands_and_a_maker_may_not(
        self, script: Scripted, order_type: OrderType, options: dict[str, Any], price: str, in_force: str | None
    ) -> None:
        script.answers(ORDER)
        adapter(script.url).place(
            symbol="BTCUSDT",
            side=Side.BUY,
            order_type=order_type,
            quantity=D(1),
            price=D("3E+4"),
            client_order_id="home-1",
            **options,
        )
        params = script.requests[0].params
        assert (params["price"], params.get("timeInForce")) == (price, in_force)

    @pytest.mark.parametrize(
        ("value", "text"),
        [("1E-8", "0.00000001"), ("1E+3", "1000"), ("0.10000000", "0.1"), ("100", "100"), ("0", "0"), ("0E-8", "0")],
    )
    def test_a_decimal_is_written_without_an_exponent_or_trailing_zeros(self, value: str, text: str) -> None:
        assert plain(D(value)) == text

    @pytest.mark.parametrize("ahead_ms", [-3_600_000, 3_600_000])
    def test_requests_are_signed_with_the_exchange_s_time_once_it_is_known(
        self, script: Scripted, ahead_ms: int
    ) -> None:
        rest = adapter(script.url)
        script.answers({"serverTime": wall_ms() + ahead_ms})
        rest.sync_clock()
        script.answers([])
        rest.open_orders()
        assert abs(int(script.requests[-1].params["timestamp"]) - wall_ms() - ahead_ms) < 60_000
        assert rest.figures.clock_skew_ms == pytest.approx(ahead_ms, abs=60_000)

    def test_half_the_round_trip_is_taken_as_the_way_back(self, script: Scripted) -> None:
        times = iter([10_000, 10_400])
        gate = Gate(wall_ms=wall_ms, monotonic_ns=lambda: 0)
        rest = BinanceRest(script.url, KEY, SECRET, timeout=10, wall_ms=lambda: next(times), gate=gate)
        script.answers({"serverTime": 10_900})
        rest.sync_clock()
        assert rest.figures.clock_skew_ms == 700

    def test_a_proxy_of_the_environment_is_not_used(self, script: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
        for setting in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(setting, raising=False)
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
        script.answers([])
        assert adapter(script.url).open_orders() == ()


class TestFigures:
    def test_the_weight_is_the_one_that_the_exchange_said_last(self, script: Scripted) -> None:
        rest = adapter(script.url, gate=Gate(wall_ms=lambda: 1_700_000_040_000, monotonic_ns=lambda: 0))
        assert rest.figures.used_weight == 0
        script.answers([], X_MBX_USED_WEIGHT_1M="12")
        rest.open_orders()
        assert rest.figures.used_weight == 12
        script.answers({"code": -1003, "msg": "Too many requests"}, 429, X_MBX_USED_WEIGHT_1M="6001")
        refusal(rest.open_orders)
        assert rest.figures.used_weight == 6001


class TestDocumentedAnswers:
    @pytest.fixture
    def documented(self, script: Scripted, shared_data: Path) -> Callable[[str], BinanceRest]:
        """An adapter whose next answers are the named documented one."""

        def answer(name: str) -> BinanceRest:
            script.body = (shared_data / "binance-spot-payloads" / "http_json" / f"{name}_response.json").read_bytes()
            return adapter(script.url)

        return answer

    def test_a_full_answer_has_every_fill(self, documented: Callable[[str], BinanceRest]) -> None:
        answer = buy(documented("new_order_full"))
        assert (answer.client_order_id, answer.status) == ("6gCrw2kRUAF9CvJDGP16IP", OrderStatus.FILLED)
        assert answer.fills[0] == Fill(56, D(4000), D(1), D(4000), D(4), "USDT", 1_507_725_176_595, False)
        assert sum(fill.quantity for fill in answer.fills) == answer.executed == D(10)

    def test_a_canceled_order_is_named_by_its_own_id(self, documented: Callable[[str], BinanceRest]) -> None:
        answer = documented("cancel_order").cancel("LTCBTC", "myOrder1")
        assert (answer.client_order_id, answer.status) == ("myOrder1", OrderStatus.CANCELED)

    def test_every_other_answer_that_we_read_is_read(self, documented: Callable[[str], BinanceRest]) -> None:
        assert documented("order").order("LTCBTC", "x").symbol == "LTCBTC"
        assert len(documented("open_orders").open_orders()) > 0
        assert len(documented("account").account()) > 0
        assert len(documented("account_trades").my_trades("BNBBTC")) > 0
        assert documented("trades").trades("BNBBTC")[0].price == D("4.000001")
        [only] = documented("klines").klines("ETHBTC", "1w", limit=1)
        assert (only.open, only.trades, only.taker_quote, only.closed) == (D("0.0163479"), 308, D("28.46694368"), False)
        documented("server_time").sync_clock()
        documented("cancel_open_orders").cancel_all("BTCUSDT")
