"""May this key trade, and does nobody else: asked of the embedded exchange over its sockets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.exchange.conftest import START_MS, Exchange, Start, trade
from tests.exchange.rest_calls import adapter
from tests.exchange.scripted_rest import Scripted, scripted
from thunes.account import check_alone, check_key, others
from thunes.domain.instances import FRESH_MS
from thunes.domain.key_rights import KeyRights
from thunes.errors import AccountInUse, ExchangeError, NetworkError, OperatorError
from thunes.exchange.binance import BinanceRest
from thunes.messages import OrderType, Side

PATH = "/sapi/v1/account/apiRestrictions"
RIGHTS = {"ipRestrict": False, "enableReading": True, "enableSpotAndMarginTrading": True, "enableWithdrawals": False}
OURS, THEIRS = "0000aaaa", "1111bbbb"
SYMBOLS = ("BTCUSDT",)
MINUTE = 60_000


@pytest.fixture
def script() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def client(exchange: Exchange) -> BinanceRest:
    return adapter(exchange.running.rest, exchange.key, exchange.secret)


class TestTheKeysRights:
    def test_the_embedded_exchanges_key_reads_and_trades_and_may_not_withdraw(self, exchange: Exchange) -> None:
        assert client(exchange).api_restrictions() == KeyRights(True, True, False, False)

    def test_it_may_withdraw_where_the_exchange_is_told_so(self, start: Start) -> None:
        with start(key_may_withdraw=True) as exchange:
            rights = client(exchange).api_restrictions()
            with pytest.raises(OperatorError, match="may withdraw"):
                check_key(client(exchange), "sim")

        assert rights == KeyRights(True, True, True, bound_to_address=True)

    def test_the_answer_is_in_the_exchanges_shape_and_costs_1(self, exchange: Exchange) -> None:
        answer = exchange.signed("GET", PATH)

        assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "1"
        assert {name for name, value in answer.json().items() if value is True} == {
            "enableReading",
            "enableSpotAndMarginTrading",
        }
        assert answer.json().keys() >= {"createTime", "enableMargin", "enableFutures", "permitsUniversalTransfer"}

    def test_it_is_told_to_the_keys_owner_alone(self, exchange: Exchange) -> None:
        forged = exchange.raw("GET", PATH, exchange.query() + "0", exchange.key)

        assert forged.json()["code"] == -1022
        assert exchange.raw("GET", PATH, exchange.query(), "x" * 64).json()["code"] == -2015

    @pytest.mark.parametrize("status", [403, 404, 405])
    @pytest.mark.parametrize("body", [b"", b"<html>Not Found</html>", b'{"code":-1020,"msg":"No such operation."}'])
    def test_a_venue_that_does_not_serve_the_request_tells_nothing(
        self, script: Scripted, status: int, body: bytes
    ) -> None:
        script.answers(body, status)

        assert adapter(script.url).api_restrictions() is None

    def test_it_is_asked_at_the_venue_itself(self, script: Scripted) -> None:
        script.answers(RIGHTS)

        adapter(script.url).api_restrictions()

        assert [request.path for request in script.requests] == [PATH]

    @pytest.mark.parametrize("body", [{}, {**RIGHTS, "enableWithdrawals": "no"}, [], "yes"])
    def test_an_answer_that_is_not_the_documented_one_is_no_permission(self, script: Scripted, body: Any) -> None:
        script.answers(body)

        with pytest.raises(NetworkError):
            check_key(adapter(script.url), "sim")

    def test_a_key_that_may_not_trade_is_refused(self, script: Scripted) -> None:
        script.answers({**RIGHTS, "enableSpotAndMarginTrading": False})

        with pytest.raises(OperatorError, match="may not trade"):
            check_key(adapter(script.url), "testnet")

    @pytest.mark.parametrize(("status", "body"), [(404, b""), (400, {"code": -2015, "msg": "Invalid API-key."})])
    def test_where_rights_are_not_told_play_money_goes_on_and_real_money_does_not(
        self, script: Scripted, status: int, body: Any
    ) -> None:
        script.answers(body, status)

        check_key(adapter(script.url), "testnet")
        with pytest.raises(OperatorError, match="cannot be checked"):
            check_key(adapter(script.url), "live")

    @pytest.mark.parametrize("status", [418, 429])
    def test_a_venue_that_asks_for_a_pause_gives_no_permission(self, script: Scripted, status: int) -> None:
        script.answers({"code": -1003, "msg": "Too many requests."}, status)

        with pytest.raises(ExchangeError, match="-1003"):
            check_key(adapter(script.url), "testnet")

    def test_a_venue_that_is_out_of_order_is_no_permission(self, script: Scripted) -> None:
        script.answers(b"", 502)

        with pytest.raises(NetworkError):
            check_key(adapter(script.url), "testnet")


class TestAnotherSystem:
    def place(self, exchange: Exchange, home: str, price: Decimal | None = None, digit: str = "0") -> None:
        client(exchange).place(
            symbol="BTCUSDT",
            side=Side.BUY,
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=Decimal("0.01"),
            price=price,
            client_order_id=f"{home}-{digit * 20}",
        )

    def minutes_pass(self, exchange: Exchange, first: int, count: int) -> None:
        for number in range(first, first + count):
            end_ms = START_MS + (number + 1) * MINUTE
            exchange.do(lambda end_ms=end_ms: exchange.running.exchange.close_minute(end_ms))  # type: ignore[misc]

    def found(self, exchange: Exchange) -> list[str]:
        return list(others(client(exchange), SYMBOLS, OURS))

    def test_an_account_of_ones_own_is_free(self, exchange: Exchange) -> None:
        self.place(exchange, OURS)
        self.place(exchange, OURS, Decimal(20_000), "1")
        exchange.order("BUY", "0.01")  # a person's, by hand

        check_alone(client(exchange), SYMBOLS, OURS)

    def test_an_open_order_names_the_other_and_the_way_on(self, exchange: Exchange) -> None:
        self.place(exchange, THEIRS, Decimal(20_000))

        with pytest.raises(AccountInUse) as refused:
            check_alone(client(exchange), SYMBOLS, OURS)

        said = str(refused.value)
        assert len(said.splitlines()) == 1
        assert f"home id {THEIRS} (order {THEIRS}-{'0' * 20} of BTCUSDT is open)" in said
        assert "stop it" in said
        assert "10 minutes" in said

    def test_an_open_order_of_a_symbol_that_we_do_not_trade_counts_too(self, exchange: Exchange) -> None:
        self.place(exchange, THEIRS, Decimal(20_000))

        assert list(others(client(exchange), (), OURS)) == [THEIRS]

    def test_what_has_just_traded_shows_another_until_it_has_been_gone_a_while(self, exchange: Exchange) -> None:
        self.place(exchange, THEIRS)
        assert self.found(exchange) == [THEIRS]

        exchange.play(trade(1, "30000", "1", START_MS))
        self.minutes_pass(exchange, 0, FRESH_MS // MINUTE)
        assert self.found(exchange) == [THEIRS]

        self.minutes_pass(exchange, FRESH_MS // MINUTE, 1)
        assert self.found(exchange) == []

    def test_what_was_cancelled_untraded_lets_the_next_home_in_at_once(self, exchange: Exchange) -> None:
        self.place(exchange, THEIRS, Decimal(20_000))
        client(exchange).cancel_all("BTCUSDT")

        assert self.found(exchange) == []

    def test_a_refusal_of_the_question_is_no_all_clear(self, script: Scripted) -> None:
        script.answers({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, 401)

        with pytest.raises(ExchangeError, match="-2015"):
            check_alone(adapter(script.url), SYMBOLS, OURS)
