"""Frames of the account become our types once, at the edge, and a report that is not whole is refused."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from thunes.domain.market import AccountChanged, AccountPosition, ExecutionReport, Fill
from thunes.errors import MarketDataError
from thunes.exchange.account_frames import Response, StreamTerminated, decode_account
from thunes.exchange.frames import ServerShutdown
from thunes.messages import OrderStatus, Side

D = Decimal
TIME = 1_723_161_255_342

REPORT = {
    "e": "executionReport",
    "E": TIME + 1,
    "s": "ETHUSDT",
    "c": "home-1",
    "S": "BUY",
    "o": "LIMIT",
    "q": "2.0",
    "p": "2500.0",
    "C": "",
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "r": "NONE",
    "i": 12345678,
    "l": "0.5",
    "z": "1.5",
    "L": "2499.5",
    "n": "0.0005",
    "N": "ETH",
    "T": TIME,
    "t": 98765432,
    "m": True,
    "Z": "3749.25",
    "Y": "1249.75",
}


def account(body: Any) -> Any:
    return decode_account(json.dumps(body).encode())


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


def test_a_fill_is_whole() -> None:
    fill = Fill(98765432, D("2499.5"), D("0.5"), D("1249.75"), D("0.0005"), "ETH", TIME, True)
    expected = ExecutionReport(
        symbol="ETHUSDT",
        client_order_id="home-1",
        order_id=12345678,
        execution="TRADE",
        status=OrderStatus.PARTIALLY_FILLED,
        side=Side.BUY,
        order_type="LIMIT",
        quantity=D(2),
        price=D(2500),
        executed=D("1.5"),
        cumulative_quote=D("3749.25"),
        time_ms=TIME,
        fill=fill,
    )
    assert account(REPORT) == account({"subscriptionId": 0, "event": REPORT}) == expected


def test_a_fill_without_its_quote_quantity_is_price_times_quantity() -> None:
    assert account(without(REPORT, "Y")).fill.quote_quantity == D("1249.75")


def test_a_cancel_s_own_id_is_not_taken_for_the_order_s() -> None:
    canceled = {**REPORT, "x": "CANCELED", "X": "CANCELED", "c": "the-cancel", "C": "home-1", "t": -1, "N": None}
    assert account(canceled).client_order_id == "home-1"
    assert account(canceled).fill is None
    assert account({**canceled, "C": ""}).client_order_id == "the-cancel"


def test_reasons_are_kept() -> None:
    rejected = account({**REPORT, "x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES", "t": -1})
    assert (rejected.status, rejected.reject_reason) == (OrderStatus.REJECTED, "INSUFFICIENT_BALANCES")
    expired = account({**REPORT, "x": "EXPIRED", "X": "EXPIRED", "eR": "INSUFFICIENT_LIQUIDITY", "t": -1})
    assert (expired.reject_reason, expired.expiry_reason) == ("", "INSUFFICIENT_LIQUIDITY")


def test_a_report_says_its_stop_price_and_the_list_that_it_is_of() -> None:
    stop = account({**REPORT, "o": "STOP_LOSS_LIMIT", "P": "2490.5", "g": 7, "x": "NEW", "X": "NEW", "t": -1})
    assert (stop.order_type, stop.stop_price, stop.order_list_id) == ("STOP_LOSS_LIMIT", D("2490.5"), 7)
    answer = stop.as_answer()
    assert (answer.order_type, answer.stop_price, answer.order_list_id) == ("STOP_LOSS_LIMIT", D("2490.5"), 7)


def test_a_list_s_orders_that_are_canceled_with_it_keep_their_own_ids() -> None:
    canceled = {**REPORT, "x": "CANCELED", "X": "CANCELED", "c": "the-cancel", "C": "home-1-stop", "g": 7, "t": -1}
    report = account(canceled)
    assert (report.client_order_id, report.order_list_id) == ("home-1-stop", 7)


def test_an_order_that_self_trade_prevention_ended_has_expired() -> None:
    prevented = {**REPORT, "x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH", "t": -1}
    assert account(prevented).status is OrderStatus.EXPIRED


@pytest.mark.parametrize("name", [n for n in REPORT if n not in ("e", "E", "N", "r", "Y")])
def test_a_report_that_lacks_a_field_is_refused(name: str) -> None:
    with pytest.raises(MarketDataError) as refused:
        account({"subscriptionId": 0, "event": without(REPORT, name)})
    assert refused.value.kind == "MISSING_FIELD"


@pytest.mark.parametrize("name", ["q", "p", "P", "l", "z", "L", "n", "Z", "Y"])
@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "1E+999999"])
def test_a_report_of_no_number_is_refused(name: str, value: str) -> None:
    with pytest.raises(MarketDataError) as refused:
        account({**REPORT, name: value})
    assert refused.value.kind in ("BAD_PRICE", "BAD_QUANTITY")


def test_a_maker_may_be_paid() -> None:
    assert account({**REPORT, "n": "-0.0001"}).fill.commission == D("-0.0001")


@pytest.mark.parametrize(("name", "value"), [("X", "MAYBE"), ("S", "HOLD"), ("i", "12"), ("m", 1)])
def test_a_word_or_type_that_is_not_documented_is_refused(name: str, value: Any) -> None:
    with pytest.raises(MarketDataError) as refused:
        account({**REPORT, name: value})
    assert refused.value.kind == "WRONG_TYPE"


def test_a_position_lists_what_is_free_and_locked() -> None:
    body = {"e": "outboundAccountPosition", "E": TIME, "u": TIME, "B": [{"a": "ETH", "f": "1.5", "l": "0.5"}]}
    assert account(body) == AccountPosition({"ETH": (D("1.5"), D("0.5"))}, TIME)


@pytest.mark.parametrize("name", ["f", "l"])
def test_a_balance_that_is_no_number_is_refused(name: str) -> None:
    row = {"a": "ETH", "f": "1", "l": "1", name: "NaN"}
    with pytest.raises(MarketDataError):
        account({"e": "outboundAccountPosition", "E": TIME, "u": TIME, "B": [row]})


def test_answers_to_requests_are_told_from_events() -> None:
    assert account({"id": "subscribe", "status": 200, "result": {"subscriptionId": 0}}) == Response("subscribe", 200)
    refusal = {"id": 5, "status": 400, "error": {"code": -1022, "msg": "Signature for this request is not valid."}}
    assert account(refusal) == Response(5, 400, -1022, "Signature for this request is not valid.")


def test_the_end_of_a_subscription_and_of_a_connection_are_told() -> None:
    ended = {"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": TIME}}
    assert account(ended) == StreamTerminated()
    assert account({"e": "serverShutdown", "E": TIME}) == ServerShutdown(TIME)
    assert account({"event": {"e": "serverShutdown", "E": TIME}}) == ServerShutdown(TIME)


@pytest.mark.parametrize("event", ["balanceUpdate", "externalLockUpdate"])
@pytest.mark.parametrize("delta", ["100.5", "-100.5"])
def test_what_no_order_of_ours_did_is_told_with_its_amount(event: str, delta: str) -> None:
    body = {"e": event, "E": TIME + 5, "a": "BTC", "d": delta, "T": TIME}
    assert account({"subscriptionId": 0, "event": body}) == AccountChanged(event, "BTC", D(delta), TIME)


@pytest.mark.parametrize("delta", ["NaN", "1E+999", "a lot", None])
def test_a_change_by_no_amount_is_not_used(delta: Any) -> None:
    with pytest.raises(MarketDataError):
        account({"subscriptionId": 0, "event": {"e": "balanceUpdate", "E": TIME, "a": "BTC", "d": delta, "T": TIME}})


@pytest.mark.parametrize("event", ["listStatus", "somethingNew"])
def test_events_that_we_have_no_use_for_are_passed_over(event: str) -> None:
    assert account({"subscriptionId": 0, "event": {"e": event, "E": TIME}}) is None


def test_every_documented_account_event_is_read(shared_data: Path) -> None:
    files = sorted((shared_data / "binance-spot-payloads" / "user_data_json").glob("*.json"))
    read = {path.stem: decode_account(path.read_bytes()) for path in files}
    kinds = Counter(type(event) for event in read.values())
    assert kinds == {ExecutionReport: 6, AccountPosition: 2, AccountChanged: 2, type(None): 1}
    trade = read["execution_report_trade"]
    assert isinstance(trade, ExecutionReport)
    assert trade.fill == Fill(98765432, D(2500), D(1), D(2500), D("0.001"), "ETH", 1_709_654_401_000, True)
