"""One gate for all that ask as one account: a pause that one of them is asked for is everybody's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.e2e.support import wait_for
from tests.exchange.conftest import Exchange
from tests.exchange.rest_calls import ORDER, adapter, buy, refusal
from tests.exchange.scripted_rest import Scripted, scripted
from thunes.domain.budget import Kind, Pause, Scope
from thunes.errors import ExchangeError, HeldBack, NetworkError
from thunes.exchange.binance import BinanceRest
from thunes.exchange.gate import Gate, Ticket, banned_s, retry_after_s
from thunes.messages import Side

NOW_MS = 1_700_000_040_000
SECOND_NS = 1_000_000_000
TOO_MANY = {"code": -1003, "msg": "Too many requests"}
THREE_DAYS_S = 3 * 86_400.0


class Hands:
    """Both clocks of a gate, set by hand."""

    def __init__(self) -> None:
        self.ns = SECOND_NS
        self.ms = NOW_MS

    def gate(self) -> Gate:
        return Gate(wall_ms=lambda: self.ms, monotonic_ns=lambda: self.ns)

    def pass_(self, seconds: float) -> None:
        self.ns += int(seconds * 1e9)
        self.ms += int(seconds * 1e3)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def script() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def pair(script: Scripted, hands: Hands) -> tuple[BinanceRest, BinanceRest]:
    """Two clients of one account."""
    gate = hands.gate()
    return adapter(script.url, gate=gate), adapter(script.url, gate=gate)


class TestPauses:
    @pytest.mark.parametrize("body", [TOO_MANY, b"<html>slow down</html>", b"", [], "no", {"msg": "no code"}])
    @pytest.mark.parametrize("status", [429, 418])
    def test_whatever_one_was_told_holds_for_all_and_nothing_is_sent_meanwhile(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest], hands: Hands, status: int, body: Any
    ) -> None:
        first, second = pair
        script.answers(body, status, Retry_After="17")
        told = refusal(first.open_orders)
        assert (told.code, told.status, told.retry_after) == (-1003, status, 17.0)
        script.answers([])
        hands.pass_(10)
        for call in (second.open_orders, lambda: buy(second), second.account, second.sync_clock, first.open_orders):
            held = refusal(call)
            assert isinstance(held, HeldBack)
            assert (held.code, held.status, held.retry_after) == (-1003, status, 7.0)
        assert len(script.requests) == 1
        hands.pass_(7)
        assert second.open_orders() == ()

    def test_a_placement_that_a_limit_refused_is_refused_and_not_of_unknown_fate(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest]
    ) -> None:
        script.answers(b"<html>slow down</html>", 429, Retry_After="17")
        assert refusal(lambda: buy(pair[0])).retry_after == 17.0

    def test_what_a_kill_has_to_cancel_is_read_when_all_other_reading_is_held_back(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest]
    ) -> None:
        script.answers([], X_MBX_USED_WEIGHT_1M="5900")
        pair[0].open_orders()
        assert isinstance(refusal(pair[0].open_orders), HeldBack)
        assert pair[0].open_entries() == ()

    @pytest.mark.parametrize(("status", "sent"), [(429, True), (418, False)])
    def test_a_cancel_goes_out_during_a_pause_but_not_while_the_address_is_banned(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest], status: int, sent: bool
    ) -> None:
        script.answers(TOO_MANY, status, Retry_After="120")
        refusal(pair[0].open_orders)
        gone = {**ORDER, "origClientOrderId": "home-1", "status": "CANCELED"}
        script.answers({**gone, "orderReports": [gone]})
        for cancel in (
            lambda: pair[1].cancel("BTCUSDT", "home-1"),
            lambda: pair[1].cancel_list("BTCUSDT", "home-1"),
            lambda: pair[1].cancel_all("BTCUSDT"),
        ):
            if sent:
                cancel()
            else:
                assert refusal(cancel).status == 418
        assert len(script.requests) == 1 + 3 * sent

    def test_a_cancel_may_read_the_clock_that_it_needs(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest]
    ) -> None:
        script.answers(TOO_MANY, 429, Retry_After="120")
        refusal(pair[0].open_orders)
        script.answers({"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, 400)
        refusal(lambda: pair[1].cancel("BTCUSDT", "home-1"))
        assert [r.path for r in script.requests[1:]] == ["/api/v3/order", "/api/v3/time", "/api/v3/order"]

    def test_too_many_orders_pauses_orders_alone(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest], hands: Hands
    ) -> None:
        first, second = pair
        script.answers({"code": -1015, "msg": "Too many new orders."}, 429, Retry_After="40000")
        assert refusal(lambda: buy(first)).code == -1015
        script.answers([])
        assert second.open_orders() == ()
        held = refusal(lambda: buy(second))
        assert (held.code, held.status, held.retry_after) == (-1015, 429, 40_000.0)
        assert second.figures.orders_held_until_ns == hands.ns + 40_000 * SECOND_NS
        assert second.figures.paused_until_ns == 0

    def test_a_firewall_s_page_is_a_pause_for_all_and_leaves_the_order_s_fate_unknown(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest], hands: Hands
    ) -> None:
        script.answers(b"<html>403 Forbidden</html>" + b"x" * 10_000, 403)
        with pytest.raises(NetworkError) as unknown:
            buy(pair[0])
        assert len(str(unknown.value)) < 500
        assert refusal(pair[1].open_orders).retry_after == 60.0
        hands.pass_(60)
        script.answers([])
        assert pair[1].open_orders() == ()

    @pytest.mark.parametrize(("body", "status"), [(b"<html>403</html>", 403), ({"code": -2015, "msg": "?"}, 403)])
    def test_a_venue_that_does_not_serve_the_rights_of_a_key_asks_for_no_pause(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest], body: Any, status: int
    ) -> None:
        script.answers(body, status)
        assert pair[0].api_restrictions() is None
        script.answers([])
        assert pair[0].open_orders() == ()

    @pytest.mark.parametrize("status", [400, 401, 500, 503, 504])
    def test_no_other_answer_is_a_pause(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest], status: int
    ) -> None:
        script.answers({"code": -1000, "msg": "?"}, status, Retry_After="17")
        with pytest.raises((ExchangeError, NetworkError)):
            pair[0].open_orders()
        script.answers([])
        assert pair[1].open_orders() == ()

    @pytest.mark.parametrize(
        ("status", "headers", "seconds"),
        [
            (429, {}, 60.0),
            (418, {}, 120.0),
            (429, {"Retry_After": "soon"}, 60.0),
            (418, {"Retry_After": "-5"}, 120.0),
            (429, {"Retry_After": "0"}, 1.0),
            (429, {"Retry_After": "1e3"}, 60.0),
            (429, {"Retry_After": "2.5"}, 2.5),
            (418, {"Retry_After": "999999999999"}, THREE_DAYS_S),
            (429, {"Retry_After": "9" * 5_000}, 60.0),
            (429, {"Retry_After": "NaN"}, 60.0),
            (418, {"Retry_After": "Infinity"}, 120.0),
            (429, {"Retry_After": "Tue, 14 Nov 2023 22:14:30 GMT"}, 30.0),
            (429, {"Retry_After": "Tue, 14 Nov 2023 22:13:00 GMT"}, 60.0),
            (429, {"Retry_After": "Tue, 99 Nov 2023 22:13:00 GMT"}, 60.0),
            (429, {"Retry_After": ""}, 60.0),
        ],
    )
    def test_a_pause_lasts_as_long_as_can_be_believed(
        self,
        script: Scripted,
        pair: tuple[BinanceRest, BinanceRest],
        status: int,
        headers: dict[str, str],
        seconds: float,
    ) -> None:
        script.answers(TOO_MANY, status, **headers)
        assert refusal(pair[0].open_orders).retry_after == seconds
        assert refusal(pair[1].account).retry_after == seconds

    def test_a_ban_without_the_header_lasts_as_long_as_its_sentence_says(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest]
    ) -> None:
        message = f"Way too much request weight used; IP banned until {NOW_MS + 300_000}. Please use WebSocket Streams."
        script.answers({"code": -1003, "msg": message}, 418)
        assert refusal(pair[0].open_orders).retry_after == 300.0


class TestWeight:
    def test_reading_is_held_back_before_the_limit_and_orders_are_not(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest], hands: Hands
    ) -> None:
        first, second = pair
        hands.pass_(12)
        script.answers([], X_MBX_USED_WEIGHT_1M="4800")
        first.open_orders()
        held = refusal(second.account)
        assert isinstance(held, HeldBack)
        assert (held.code, held.status, held.retry_after) == (-1003, 429, 48.0)
        script.answers(ORDER)
        buy(second)
        hands.pass_(48)
        script.answers([])
        assert second.open_orders() == ()
        assert second.figures.used_weight == 0

    def test_the_minute_is_the_exchange_s_not_this_machine_s(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest]
    ) -> None:
        first, second = pair
        first.gate.skew_ms = 59_000
        script.answers([], X_MBX_USED_WEIGHT_1M="4800")
        first.open_orders()
        assert refusal(second.account).retry_after == 1.0

    def test_its_limit_is_the_venue_s(self, script: Scripted, pair: tuple[BinanceRest, BinanceRest]) -> None:
        first, second = pair
        rows = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 100}]
        script.answers({"symbols": [], "rateLimits": rows}, X_MBX_USED_WEIGHT_1M="79")
        first.exchange_info([])
        assert second.figures.weight_limit == 100
        script.answers([], X_MBX_USED_WEIGHT_1M="80")
        second.open_orders()
        assert refusal(first.account).code == -1003

    @pytest.mark.parametrize("rows", [None, [], [{"limit": "lots"}], "lots"])
    def test_limits_that_are_none_are_no_reason_to_turn_the_rest_down(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest], rows: Any
    ) -> None:
        script.answers({"symbols": [{"symbol": "BTCUSDT"}], "rateLimits": rows})
        assert list(pair[0].exchange_info(["BTCUSDT"])) == ["BTCUSDT"]
        assert pair[0].figures.weight_limit == 6_000

    @pytest.mark.parametrize("count", ["", "many", "-1", "1.5", "NaN", "\u0664\u0662", "9" * 5_000, "0x10", " "])
    def test_a_header_that_is_no_count_does_not_lose_the_answer(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest], count: str
    ) -> None:
        sent = count.encode().decode("latin-1")  # as http.server writes it
        script.answers(ORDER, X_MBX_USED_WEIGHT_1M=sent, X_MBX_ORDER_COUNT_10S=sent)
        assert buy(pair[0]).order_id == 28
        assert pair[0].figures.used_weight == 0
        assert pair[0].figures.order_counts == {"10S": 1, "1D": 1}


class TestOrderCount:
    def test_the_order_that_would_break_a_limit_is_refused_before_it_is_sent(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest], hands: Hands
    ) -> None:
        first, second = pair
        hands.pass_(3)
        script.answers(ORDER, X_MBX_ORDER_COUNT_10S="50", X_MBX_ORDER_COUNT_1D="900")
        buy(first)
        assert first.figures.order_counts == {"10S": 50, "1D": 900}
        held = refusal(lambda: buy(second))
        assert isinstance(held, HeldBack)
        assert (held.code, held.status, held.retry_after) == (-1015, 429, 7.0)
        assert len(script.requests) == 1
        assert second.figures.orders_held_until_ns == hands.ns + 7 * SECOND_NS
        hands.pass_(7)
        buy(second)

    def test_a_pair_counts_twice(self, script: Scripted, pair: tuple[BinanceRest, BinanceRest]) -> None:
        script.answers(ORDER, X_MBX_ORDER_COUNT_10S="49", X_MBX_ORDER_COUNT_1D="900")
        buy(pair[0])

        def oco() -> object:
            prices = dict.fromkeys(("take_profit", "stop_price", "stop_limit"), buy(pair[0]).quantity)
            return pair[1].place_oco(
                "BTCUSDT",
                Side.SELL,
                prices["take_profit"],
                **prices,
                list_id="home-1",
                take_profit_id="home-2",
                stop_id="home-3",
            )

        assert refusal(oco).code == -1015
        assert len(script.requests) == 2

    def test_orders_on_their_way_count_too(self, script: Scripted, pair: tuple[BinanceRest, BinanceRest]) -> None:
        script.answers(ORDER, X_MBX_ORDER_COUNT_10S="49", X_MBX_ORDER_COUNT_1D="900")
        buy(pair[0])
        script.hanging = threading.Event()
        slow = threading.Thread(target=buy, args=(pair[0],))
        slow.start()
        wait_for(lambda: len(script.requests) == 2, 10, "the order on its way")
        assert refusal(lambda: buy(pair[1])).code == -1015
        script.hanging.set()
        slow.join(10)

    @pytest.mark.parametrize(
        ("body", "status", "counted"),
        [(ORDER, 200, 1), ({"code": -2010, "msg": "no"}, 400, 0), ({"code": -1007, "msg": "?"}, 504, 1), ({}, 200, 1)],
    )
    def test_an_order_counts_unless_the_exchange_refused_it(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest], body: Any, status: int, counted: int
    ) -> None:
        script.answers(body, status)
        with suppress(ExchangeError, NetworkError):
            buy(pair[0])
        assert pair[1].figures.order_counts == {"10S": counted, "1D": counted}

    def test_the_counts_are_the_embedded_exchange_s(self, exchange: Exchange, hands: Hands) -> None:
        rest = adapter(exchange.running.rest, exchange.key, exchange.secret, gate=hands.gate())
        for number in range(3):
            buy(rest, "0.001", f"home-{number}", price=Decimal(29_000))
        assert set(rest.figures.order_counts.values()) <= {1, 2, 3}
        assert rest.figures.order_counts["1D"] == 3
        rest.exchange_info(["BTCUSDT"])
        assert rest.figures.weight_limit == 6_000
        assert rest.figures.used_weight > 0


class TestClock:
    def test_what_one_reads_of_the_exchange_s_clock_all_sign_with(
        self, script: Scripted, pair: tuple[BinanceRest, BinanceRest]
    ) -> None:
        first, second = pair
        script.answers({"serverTime": NOW_MS})
        first.sync_clock()
        script.answers([])
        second.open_orders()
        assert abs(int(script.requests[-1].params["timestamp"]) - NOW_MS) < 60_000
        assert second.figures.clock_skew_ms == first.figures.clock_skew_ms != 0


class TestManyThreads:
    def test_no_more_orders_are_let_out_than_the_limit_has_room_for(self, hands: Hands) -> None:
        gate = hands.gate()
        let_out: list[Ticket] = []
        begin = threading.Barrier(8)

        def ask() -> None:
            begin.wait(10)
            for _ in range(200):
                try:
                    let_out.append(gate.admit(Kind.PLACE, 1))
                except HeldBack:
                    continue

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(let_out) == 50
        for ticket in let_out:
            gate.settle(ticket, {}, counted=False)
        assert gate.figures.order_counts == {"10S": 0, "1D": 0}
        gate.admit(Kind.PLACE, 50)


class TestRetryAfter:
    @given(st.text(max_size=40))
    def test_it_is_a_believable_time_or_none_whatever_is_said(self, text: str) -> None:
        seconds = retry_after_s(text, NOW_MS)
        assert seconds is None or 1.0 <= seconds <= THREE_DAYS_S

    @given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 2), max_value=datetime(9999, 1, 1)))
    def test_a_date_is_as_far_as_the_exchange_s_clock_says(self, date: datetime) -> None:
        left = date.replace(microsecond=0).timestamp() - NOW_MS / 1000
        seconds = retry_after_s(format_datetime(date, usegmt=True), NOW_MS)
        assert seconds == (min(max(left, 1.0), THREE_DAYS_S) if left >= 0 else None)

    @given(st.text(max_size=60) | st.integers().map(lambda n: f"IP banned until {n}."))
    def test_a_ban_s_sentence_is_a_believable_time_or_none(self, text: str) -> None:
        seconds = banned_s(text, NOW_MS)
        assert seconds is None or 1.0 <= seconds <= THREE_DAYS_S

    @given(
        st.integers(100, 599),
        st.integers(-5_000, 0),
        st.text(max_size=20),
        st.dictionaries(st.sampled_from(["Retry-After", "X-MBX-USED-WEIGHT-1M", "X-MBX-ORDER-COUNT-10S"]), st.text()),
    )
    def test_no_answer_breaks_the_gate(self, status: int, code: int, message: str, headers: dict[str, str]) -> None:
        gate = Hands().gate()
        pause = gate.pause_asked(status, code, message, headers)
        assert pause is None or 1.0 <= pause.seconds <= THREE_DAYS_S
        gate.settle(gate.admit(Kind.PLACE, 1), headers, counted=True, pause=pause)
        assert (gate.figures.paused_until_ns > 0) == (pause is not None and pause.scope is not Scope.ORDERS)
        gate.obey(Pause(Scope.ADDRESS, THREE_DAYS_S))
        assert gate.figures.paused_until_ns > 0
