"""Faults of execution reports, as a listener of the account meets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.exchange.conftest import Exchange, Listener, Start
from tests.exchange.faulty import WITH_CONTROL, Control, control_of, subscribe, until


@pytest.fixture
def exchange(start: Start) -> Iterator[Exchange]:
    with start(trouble=WITH_CONTROL) as running:
        yield running


@pytest.fixture
def control(exchange: Exchange) -> Control:
    return control_of(exchange)


@pytest.fixture
def account(exchange: Exchange) -> Iterator[Listener]:
    with exchange.listen("/ws-api/v3") as listener:
        subscribe(exchange, listener)
        yield listener


def kinds(account: Listener, count: int) -> list[Any]:
    """What the next events are: execution types of reports, names of the others."""
    found = (account.next()["event"] for _ in range(count))
    return [event.get("x", event["e"]) for event in found]


POSITION = "outboundAccountPosition"


def test_a_dropped_report_never_comes_and_the_others_do(
    exchange: Exchange, control: Control, account: Listener
) -> None:
    number = control.arm("drop-report", kind="TRADE")
    exchange.order("BUY", "0.1")
    exchange.order("BUY", "0.1")
    assert kinds(account, 5) == ["NEW", POSITION, "NEW", "TRADE", POSITION]
    assert control.row(number)["fired"] == 1


def test_a_doubled_report_comes_twice_to_the_letter(exchange: Exchange, control: Control, account: Listener) -> None:
    control.arm("double-report", kind="TRADE")
    exchange.order("BUY", "0.1")
    assert kinds(account, 1) == ["NEW"]
    assert account.next() == account.next()
    assert kinds(account, 1) == [POSITION]


def test_a_delayed_report_comes_when_its_time_is_over(exchange: Exchange, control: Control, account: Listener) -> None:
    control.arm("delay-report", kind="NEW", seconds=0.1)
    exchange.order("BUY", "0.1")
    assert kinds(account, 3) == ["TRADE", POSITION, "NEW"]


def test_a_delayed_report_is_overtaken_by_later_orders_and_let_go_when_the_fault_is_cleared(
    exchange: Exchange, control: Control, account: Listener
) -> None:
    number = control.arm("delay-report", seconds=60)
    exchange.order("BUY", "0.1", "20000", newClientOrderId="first")
    exchange.order("BUY", "0.1", "20000", newClientOrderId="second")
    assert control.ask("GET", "/state").json()["held"] == 1
    control.clear(number)
    reports = [event for event in (account.next()["event"] for _ in range(4)) if event["e"] == "executionReport"]
    assert [report["c"] for report in reports] == ["second", "first"]


def test_two_reports_change_places(exchange: Exchange, control: Control, account: Listener) -> None:
    control.arm("reorder-report", seconds=60)
    exchange.order("BUY", "0.1")
    assert kinds(account, 3) == ["TRADE", "NEW", POSITION]


def test_a_report_that_nothing_overtakes_goes_out_in_the_end(
    exchange: Exchange, control: Control, account: Listener
) -> None:
    control.arm("reorder-report", seconds=0.1)
    exchange.order("BUY", "0.1", "20000")
    assert kinds(account, 2) == [POSITION, "NEW"]


def test_reports_that_nobody_listens_to_use_no_fault_up(exchange: Exchange, control: Control) -> None:
    number = control.arm("drop-report")
    exchange.order("BUY", "0.1", "20000")
    assert control.row(number)["left"] == 1


def test_a_garbage_event_of_the_account_is_no_json(exchange: Exchange, control: Control, account: Listener) -> None:
    control.arm("garbage-frame", streams="account")
    exchange.order("BUY", "0.1", "20000")
    with pytest.raises(orjson.JSONDecodeError):
        account.next()
    assert kinds(account, 1) == [POSITION]


def test_a_report_that_is_held_while_the_exchange_ends_is_lost(start: Start) -> None:
    with start(trouble=WITH_CONTROL) as exchange, exchange.listen("/ws-api/v3") as account:
        subscribe(exchange, account)
        control_of(exchange).arm("delay-report", seconds=60)
        exchange.order("BUY", "0.1", "20000")
        assert kinds(account, 1) == [POSITION]
        until(lambda: exchange.do(exchange.running.faults.holding) == 1, "the held report")
        exchange.do(exchange.running.faults.close)
        exchange.order("BUY", "0.1", "20000", newClientOrderId="later")
        assert account.next()["event"]["c"] == "later"
