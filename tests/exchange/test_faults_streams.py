"""Faults of connections, frames and the clock, as a client meets them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import websocket

from tests.exchange.conftest import START_MS, Exchange, Listener, Start, book, levels, trade
from tests.exchange.faulty import WITH_CONTROL, Control, control_of, signed, subscribe, until
from thunes.messages import PublicTrade

CUT = (websocket.WebSocketConnectionClosedException, ConnectionError)


@pytest.fixture
def exchange(start: Start) -> Iterator[Exchange]:
    with start(trouble=WITH_CONTROL) as running:
        yield running


@pytest.fixture
def control(exchange: Exchange) -> Control:
    return control_of(exchange)


@pytest.fixture
def market(exchange: Exchange) -> Iterator[Listener]:
    with exchange.listen("/ws/btcusdt@trade") as listener:
        yield listener


@pytest.fixture
def account(exchange: Exchange) -> Iterator[Listener]:
    with exchange.listen("/ws-api/v3") as listener:
        subscribe(exchange, listener)
        yield listener


def print_of(number: int) -> PublicTrade:
    return trade(number, "30000", "0.1", START_MS + number)


def is_there(exchange: Exchange, streams: str) -> bool:
    return bool(exchange.do(lambda: exchange.running.state()["connections"][streams]) == 1)


# connections


@pytest.mark.parametrize("streams", ["market", "account"])
def test_a_disconnect_cuts_the_connections_it_is_for_and_no_other(
    streams: str, exchange: Exchange, control: Control, market: Listener, account: Listener
) -> None:
    control.arm("disconnect", streams=streams)
    cut, kept = (market, "account") if streams == "market" else (account, "market")
    with pytest.raises(CUT):
        cut.next()
    assert is_there(exchange, kept)


def test_a_disconnect_waits_for_the_first_connection_where_there_is_none(exchange: Exchange, control: Control) -> None:
    number = control.arm("disconnect", count=2)
    for left in (1, 0):
        with exchange.listen("/ws/btcusdt@trade") as listener, pytest.raises(CUT):
            listener.next()
        assert control.row(number)["left"] == left
    with exchange.listen("/ws/btcusdt@trade") as listener:
        until(lambda: is_there(exchange, "market"), "the connection")
        exchange.play(print_of(1))
        assert listener.next()["t"] == 1


def test_silence_loses_what_is_sent_and_answers_pings_meanwhile(
    exchange: Exchange, control: Control, market: Listener
) -> None:
    number = control.arm("silence", seconds=60)
    exchange.play(print_of(1))
    market.connection.ping("still there")
    opcode, payload = market.connection.recv_data(control_frame=True)
    assert (opcode, payload) == (websocket.ABNF.OPCODE_PONG, b"still there")
    control.clear(number)
    exchange.play(print_of(2))
    assert market.next()["t"] == 2


def test_silence_ends_by_itself(exchange: Exchange, control: Control, market: Listener) -> None:
    number = control.arm("silence", seconds=0.05)
    until(lambda: not control.row(number)["active"], "the end of the silence")
    exchange.play(print_of(1))
    assert market.next()["t"] == 1


def test_a_half_open_connection_neither_sends_nor_reads_and_is_cut_in_the_end(
    exchange: Exchange, control: Control, market: Listener
) -> None:
    number = control.arm("half-open", seconds=60)
    exchange.play(print_of(1))
    market.connection.ping("anybody")
    market.connection.settimeout(0.2)
    with pytest.raises(websocket.WebSocketTimeoutException):
        market.connection.recv_data(control_frame=True)
    market.connection.settimeout(10)
    control.clear(number)
    with pytest.raises(CUT):
        market.next()


def test_a_half_open_account_connection_carries_out_nothing(
    exchange: Exchange, control: Control, account: Listener
) -> None:
    number = control.arm("half-open", streams="account", seconds=60)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
    request = {"id": 1, "method": "order.place", "params": signed(exchange, **order)}
    account.connection.send(orjson.dumps(request).decode())
    control.clear(number)
    with pytest.raises(CUT):
        account.next()
    assert exchange.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT").json() == []


def test_pings_stay_without_a_pong_and_frames_come(exchange: Exchange, control: Control, market: Listener) -> None:
    number = control.arm("no-pong", seconds=60)
    market.connection.ping("unanswered")
    # Asked over the same connection, so that the ping has been read by the time of the answer.
    assert market.ask(id=1, method="LIST_SUBSCRIPTIONS")["id"] == 1
    control.clear(number)
    market.connection.ping("answered")
    assert market.connection.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_PONG, b"answered")


@pytest.mark.parametrize(
    ("path", "reach"),
    [
        ("/ws/btcusdt@trade", lambda frame: frame),
        ("/stream?streams=btcusdt@trade", lambda frame: frame["data"]),
        ("/ws-api/v3", lambda frame: frame["event"]),
    ],
)
def test_a_shutdown_is_announced_and_then_closed_in_order(
    path: str, reach: Any, exchange: Exchange, control: Control
) -> None:
    with exchange.listen(path) as listener:
        until(lambda: sum(exchange.do(exchange.running.state)["connections"].values()), "the connection")
        control.arm("server-shutdown", seconds=0.05)
        assert reach(listener.next())["e"] == "serverShutdown"
        opcode, _ = listener.connection.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE
    assert exchange.public("/api/v3/ping") == {}


@pytest.mark.parametrize(("streams", "other"), [("market", "/ws-api/v3"), ("account", "/ws/btcusdt@trade")])
def test_connections_are_refused_and_the_others_let_in(
    streams: str, other: str, exchange: Exchange, control: Control
) -> None:
    number = control.arm("refuse-connections", streams=streams, seconds=60)
    refused = {"market": "/ws/btcusdt@trade", "account": "/ws-api/v3"}[streams]
    with pytest.raises(websocket.WebSocketBadStatusException) as caught, exchange.listen(refused):
        pass
    assert caught.value.status_code == 503
    with exchange.listen(other):
        pass
    control.clear(number)
    with exchange.listen(refused):
        pass


def test_refusing_ends_by_itself(exchange: Exchange, control: Control) -> None:
    number = control.arm("refuse-connections", seconds=0.05)
    until(lambda: not control.row(number)["active"], "the end")
    with exchange.listen("/ws/btcusdt@trade"):
        pass


# frames


def test_a_gap_in_the_book_shows_in_its_update_ids(exchange: Exchange, control: Control) -> None:
    with exchange.listen("/ws/btcusdt@depth@100ms") as listener:
        until(lambda: is_there(exchange, "market"), "the connection")
        changes = iter(range(1, 100))

        def change() -> None:
            price = f"{29000 + next(changes)}"
            exchange.play(book(time_ms=START_MS + 1, bids=levels((price, "1")), asks=(), snapshot=False))

        def pushed() -> Any:
            change()
            return listener.next()

        before = pushed()
        number = control.arm("gap")

        def struck() -> bool:
            change()
            return bool(control.row(number)["fired"])

        until(struck, "the gap")
        after = pushed()
    assert after["U"] > before["u"] + 1


def test_a_gap_is_for_its_symbol_and_not_for_trades(exchange: Exchange, control: Control, market: Listener) -> None:
    number = control.arm("gap", symbol="BTCUSDT")
    exchange.play(print_of(1))
    assert market.next()["t"] == 1
    assert control.row(number)["left"] == 1


def test_a_crossed_book_has_its_best_bid_above_its_best_ask_once(exchange: Exchange, control: Control) -> None:
    with exchange.listen("/ws/btcusdt@bookTicker") as listener:
        until(lambda: is_there(exchange, "market"), "the connection")
        control.arm("crossed")
        tops = []
        for step in (1, 2):
            best = levels((f"{29000 + step}", "9"))
            exchange.play(book(time_ms=START_MS + step, bids=best))
            top = listener.next()
            tops.append(float(top["b"]) > float(top["a"]))
    assert tops == [True, False]


@pytest.mark.parametrize("path", ["/ws/btcusdt@trade", "/stream?streams=btcusdt@trade"])
def test_a_garbage_frame_is_no_json_and_the_next_one_is(path: str, exchange: Exchange, control: Control) -> None:
    with exchange.listen(path) as listener:
        until(lambda: is_there(exchange, "market"), "the connection")
        control.arm("garbage-frame", streams="market")
        exchange.play(print_of(1), print_of(2))
        with pytest.raises(orjson.JSONDecodeError):
            listener.next()
        frame = listener.next()
    assert frame.get("data", frame)["t"] == 2


# the clock


def skew_ms(exchange: Exchange) -> float:
    return float(exchange.public("/api/v3/time")["serverTime"] - time.time() * 1000)


def test_a_clock_that_is_off_shows_in_the_server_time_and_refuses_what_is_signed(
    exchange: Exchange, control: Control
) -> None:
    number = control.arm("clock", offset_ms=10_000)
    assert 9_000 < skew_ms(exchange) < 11_000
    answer = exchange.signed("GET", "/api/v3/account")
    assert (answer.status_code, answer.json()["code"]) == (400, -1021)
    control.clear(number)
    assert abs(skew_ms(exchange)) < 1_000
    assert exchange.signed("GET", "/api/v3/account").status_code == 200


def test_a_clock_that_is_set_again_is_off_by_the_last_offset_alone(exchange: Exchange, control: Control) -> None:
    first = control.arm("clock", offset_ms=10_000)
    control.arm("clock", offset_ms=-20_000)
    assert -21_000 < skew_ms(exchange) < -19_000
    assert control.row(first)["active"] is False


def test_a_clock_is_right_again_when_its_time_is_over(exchange: Exchange, control: Control) -> None:
    control.arm("clock", offset_ms=10_000, seconds=0.1)
    until(lambda: abs(skew_ms(exchange)) < 1_000, "the right time")
