"""OrderActor alone: exits wait for their stop, what is unwanted is cancelled, and what does not fit is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from actors.order import OrderActor
from actors.protocol import (
    Answered,
    Approved,
    Ask,
    CallOutcome,
    CancelOrder,
    Flushed,
    Halt,
    Lost,
    Permit,
    Refused,
    Replied,
    Request,
    Synced,
)
from tests.actors.alone import Alone, alone
from tests.actors.test_books import birth, journal
from tests.actors.test_order import ScriptedWire, journalled, permit, resting
from thunes.domain.market import ExecutionReport, Fill, OrderAnswer
from thunes.domain.orders import describe
from thunes.errors import ExchangeError, HeldBack, NetworkError
from thunes.messages import OrderStatus, OrderType, Reconcile, Record, Side, SubmitOrder

D = Decimal


class KeyedWire(ScriptedWire):
    """Takes down each request under the order's key."""

    def place(self, state):  # type: ignore[no-untyped-def]
        self.calls.append(("place", state.key))
        return self.replies.pop(0) if self.replies else None

    def place_pair(self, stop, sale):  # type: ignore[no-untyped-def]
        self.calls.append(("place", stop.key, sale.key))
        return self.replies.pop(0) if self.replies else None

    def cancel(self, state):  # type: ignore[no-untyped-def]
        self.calls.append(("cancel", state.key))

    def query(self, state):  # type: ignore[no-untyped-def]
        self.calls.append(("query", state.key))


@pytest.fixture
def wire() -> KeyedWire:
    return KeyedWire()


@pytest.fixture
def bench(tmp_path: Path, wire: KeyedWire) -> Iterator[Alone]:
    with alone(tmp_path, "order.BTCUSDT", OrderActor, wire=lambda _world, _name: wire) as made:
        made.start()
        made.tell(Flushed())
        yield made


def stop_permit(seq: int = 1) -> Permit:
    order = SubmitOrder(
        "c1", "BTCUSDT", Side.SELL, OrderType.STOP_LOSS_LIMIT, D("0.0002"), D(58_000), "PROTECTION", "risk", "hash",
        market_ms=0, price=D(58_000), stop_price=D(58_500), leg="s1",
    )  # fmt: skip
    return Permit(Approved(order, 0, "home-c1-s1", seq))


STOP_RESTS = Replied(Request.PLACE, Answered("c1-s1", replace(resting("c1-s1", Side.SELL))))


def pair_permit(seq: int = 1) -> Permit:
    approved = stop_permit(seq).approved
    return Permit(replace(approved, order=replace(approved.order, profit_price=D(63_000)), profit_id="home-c1-t1"))


SALE_RESTS = Replied(Request.BESIDE, Answered("c1-t1", replace(resting("c1-t1", Side.SELL))))


def sold(name: str, executed: str, status: str = "CANCELED", *fills: Fill) -> OrderAnswer:
    return replace(resting(name, Side.SELL), status=OrderStatus(status), executed=D(executed), fills=fills)


def fill(quantity: str) -> Fill:
    return Fill(1, D(58_000), D(quantity), D(quantity) * 58_000, D(0), "USDT", 1, is_maker=False)


def protected(bench: Alone, wire: KeyedWire) -> None:
    """A stop rests."""
    bench.tell(stop_permit(), STOP_RESTS)
    bench.told("audit", Record)
    bench.told("breaker", CallOutcome)
    wire.calls.clear()


def test_a_stop_is_sent_once_and_its_line_is_not_written_again(bench: Alone, wire: KeyedWire) -> None:
    bench.tell(stop_permit(), stop_permit(), STOP_RESTS)
    assert wire.calls == [("place", "c1-s1")]
    (record,) = bench.told("audit", Record)
    assert (record.event, record.correlation_id, record.metadata["leg"]) == ("ORDER_ACCEPTED", "c1", "s1")


def test_an_exit_is_sent_only_when_the_stop_has_let_go_of_what_it_sells(bench: Alone, wire: KeyedWire) -> None:
    protected(bench, wire)
    bench.tell(permit("c2", Side.SELL, seq=2))
    assert wire.calls == [("cancel", "c1-s1")]
    bench.tell(Replied(Request.CANCEL, Answered("c1-s1", sold("c1-s1", "0"))))
    assert wire.calls == [("cancel", "c1-s1"), ("place", "c2")]
    assert journalled(bench) == [("ORDER_CANCELED", None), ("ORDER_SUBMITTED", None)]


def test_an_exit_is_not_sent_when_the_stop_sold_in_its_place(bench: Alone, wire: KeyedWire) -> None:
    protected(bench, wire)
    bench.tell(permit("c2", Side.SELL, seq=2))
    bench.tell(Replied(Request.CANCEL, Answered("c1-s1", sold("c1-s1", "0.0001", "CANCELED", fill("0.0001")))))
    assert ("place", "c2") not in wire.calls
    assert journalled(bench)[-2:] == [("ORDER_CANCELED", None), ("ORDER_REJECTED", "NO_POSITION")]
    assert CallOutcome("c2", failed=False, made=False) in bench.told("breaker", CallOutcome)


def test_an_exit_waits_for_a_stop_whose_answer_is_still_away(bench: Alone, wire: KeyedWire) -> None:
    bench.tell(stop_permit(), permit("c2", Side.SELL, seq=2))
    assert wire.calls == [("place", "c1-s1")]
    bench.tell(STOP_RESTS)
    assert wire.calls == [("place", "c1-s1"), ("cancel", "c1-s1")]


def test_a_stop_that_was_refused_holds_nothing(bench: Alone, wire: KeyedWire) -> None:
    bench.tell(stop_permit(), permit("c2", Side.SELL, seq=2))
    bench.tell(Replied(Request.PLACE, Refused("c1-s1", ExchangeError(-2010, "Stop price would trigger immediately."))))
    assert wire.calls == [("place", "c1-s1"), ("place", "c2")]


def test_a_cancel_that_was_lost_is_made_again_after_a_look(bench: Alone, wire: KeyedWire) -> None:
    protected(bench, wire)
    bench.tell(permit("c2", Side.SELL, seq=2))
    bench.tell(Replied(Request.CANCEL, Lost("c1-s1", NetworkError("the connection was lost"))))
    bench.tell(Ask("c1-s1"), Replied(Request.QUERY, Answered("c1-s1", resting("c1-s1", Side.SELL))))
    assert wire.calls == [("cancel", "c1-s1"), ("query", "c1-s1"), ("cancel", "c1-s1")]


def test_a_buy_does_not_wait_for_a_stop(bench: Alone, wire: KeyedWire) -> None:
    protected(bench, wire)
    bench.tell(permit("c2", Side.BUY, seq=2))
    assert wire.calls == [("place", "c2")]


def test_a_stop_outlives_the_end_of_the_system_and_an_exit_that_waits_for_it_does_not(
    bench: Alone, wire: KeyedWire
) -> None:
    protected(bench, wire)
    bench.tell(Halt())
    assert wire.calls == []
    assert journalled(bench) == []


def test_an_exit_that_waits_when_the_system_ends_is_not_sent(bench: Alone, wire: KeyedWire) -> None:
    protected(bench, wire)
    bench.tell(permit("c2", Side.SELL, seq=2), Halt())
    assert journalled(bench) == [("ORDER_REJECTED", "NOT_READY")]
    bench.tell(Replied(Request.CANCEL, Answered("c1-s1", sold("c1-s1", "0"))))
    assert ("place", "c2") not in wire.calls


def test_an_open_order_that_is_not_wanted_any_more_is_cancelled_once(bench: Alone, wire: KeyedWire) -> None:
    wire.replies.append(Answered("c1", resting("c1")))
    bench.tell(permit("c1"), CancelOrder("c1", "STALE_MARKET_DATA"), CancelOrder("c1", "STALE_MARKET_DATA"))
    assert wire.calls == [("place", "c1"), ("cancel", "c1")]


def test_what_is_unwanted_before_it_is_sent_is_never_sent(bench: Alone, wire: KeyedWire) -> None:
    bench.tell(CancelOrder("c1", "STALE_MARKET_DATA"), permit("c1"))
    assert wire.calls == []
    assert journalled(bench) == [("ORDER_REJECTED", "STALE_MARKET_DATA")]


def test_what_is_unwanted_while_its_answer_is_away_is_cancelled_when_it_is_found_open(
    bench: Alone, wire: KeyedWire
) -> None:
    bench.tell(permit("c1"), CancelOrder("c1", "STALE_MARKET_DATA"))
    assert wire.calls == [("place", "c1")]
    bench.tell(Replied(Request.PLACE, Answered("c1", resting("c1"))))
    assert wire.calls == [("place", "c1"), ("cancel", "c1")]


def test_an_answer_that_does_not_fit_is_journalled_once_pauses_trading_and_has_both_sides_compared(
    bench: Alone, wire: KeyedWire
) -> None:
    wire.replies.append(Answered("c1", resting("c1")))
    bench.tell(permit("c1"))
    bench.told("audit", Record)
    wrong = Replied(Request.QUERY, Answered("c1", replace(resting("c1"), quantity=D(5))))
    bench.tell(wrong, wrong)
    (record,) = bench.told("audit", Record)
    assert record.event == "RECONCILIATION_MISMATCH"
    assert (record.correlation_id, record.metadata["client_order_id"]) == ("c1", "home-c1")
    assert record.metadata["books"] == "OPEN 0"
    assert "BUY 5 where BUY 0.0002 was sent" in record.metadata["why"]
    assert [message.agreed for message in bench.told("risk", Synced)] == [False]
    assert len(bench.told("reconciler", Reconcile)) == 2
    (shown,) = bench.world.board.figures["order.BTCUSDT"].open
    assert shown.quantity == D("0.0002")


def report(name: str, executed: str = "0") -> ExecutionReport:
    return ExecutionReport(
        "BTCUSDT", name, 7, "TRADE", OrderStatus.CANCELED, Side.BUY, "LIMIT", D("0.0002"), D(1), D(executed), D(0), 1
    )


def test_a_fill_that_is_reported_after_the_end_does_not_fit(bench: Alone, wire: KeyedWire) -> None:
    wire.replies.append(Answered("c1", replace(resting("c1"), status=OrderStatus.CANCELED)))
    bench.tell(permit("c1"), report("home-c1"))
    assert [event for event, _ in journalled(bench)] == ["ORDER_SUBMITTED", "ORDER_ACCEPTED", "ORDER_CANCELED"]
    bench.tell(report("home-c1", "0.0001"))
    assert journalled(bench) == [("RECONCILIATION_MISMATCH", None)]


def test_a_report_of_an_order_that_is_not_ours_has_both_sides_compared(bench: Alone) -> None:
    bench.tell(report("web_1"))
    assert len(bench.told("reconciler", Reconcile)) == 1
    assert journalled(bench) == []


def test_an_order_that_was_sent_and_has_no_answer_at_a_start_is_of_unknown_fate(bench: Alone, wire: KeyedWire) -> None:
    bench.tell(permit("c1"), Ask("c1"))
    assert journalled(bench) == [("ORDER_SUBMITTED", None), ("ORDER_UNKNOWN", None)]
    assert wire.calls == [("place", "c1"), ("query", "c1")]


def test_an_order_that_was_held_back_was_never_sent_and_frees_its_permit(bench: Alone, wire: KeyedWire) -> None:
    wire.replies.append(Refused("c1", HeldBack(-1003, "Too many requests.", 429, retry_after=9.0)))
    bench.tell(permit("c1"))
    assert journalled(bench) == [("ORDER_SUBMITTED", None), ("ORDER_REJECTED", "RATE_LIMIT")]
    (outcome,) = bench.told("breaker", CallOutcome)
    assert (outcome.about, outcome.made, outcome.retry_after) == ("c1", False, 9.0)


def test_a_stop_and_its_sale_are_sent_once_in_one_request_that_counts_once(bench: Alone, wire: KeyedWire) -> None:
    bench.tell(pair_permit(), pair_permit(), STOP_RESTS, SALE_RESTS)
    assert wire.calls == [("place", "c1-s1", "c1-t1")]
    accepted = [(r.event, r.metadata["leg"]) for r in bench.told("audit", Record)]
    assert accepted == [("ORDER_ACCEPTED", "s1"), ("ORDER_ACCEPTED", "t1")]
    about = [(outcome.about, outcome.made) for outcome in bench.told("breaker", CallOutcome)]
    assert about == [("c1-s1", False), ("c1-s1", True)]  # the second permit was not used


def test_replies_on_the_spot_are_taken_for_both(bench: Alone, wire: KeyedWire) -> None:
    refusal = ExchangeError(-2010, "The relationship of the prices for the orders is not correct.")
    wire.replies.append((Refused("c1-s1", refusal), Refused("c1-t1", refusal)))
    bench.tell(pair_permit())
    assert journalled(bench) == [("ORDER_REJECTED", None)] * 2
    assert [outcome.about for outcome in bench.told("breaker", CallOutcome)] == ["c1-s1"]


def test_a_pair_whose_answer_is_lost_is_of_unknown_fate_twice_and_never_sent_again(
    bench: Alone, wire: KeyedWire
) -> None:
    lost = NetworkError("the connection was lost")
    bench.tell(pair_permit(), Replied(Request.PLACE, Lost("c1-s1", lost)), Replied(Request.BESIDE, Lost("c1-t1", lost)))
    assert journalled(bench) == [("ORDER_UNKNOWN", None)] * 2
    bench.tell(Ask("c1-s1"), Ask("c1-t1"), pair_permit())
    assert wire.calls == [("place", "c1-s1", "c1-t1"), ("query", "c1-s1"), ("query", "c1-t1")]


def test_an_exit_waits_until_both_have_let_go(bench: Alone, wire: KeyedWire) -> None:
    bench.tell(pair_permit(), STOP_RESTS, SALE_RESTS, permit("c2", Side.SELL, seq=2))
    bench.tell(Replied(Request.CANCEL, Answered("c1-s1", sold("c1-s1", "0"))))
    assert ("place", "c2") not in wire.calls
    bench.tell(Replied(Request.CANCEL, Answered("c1-t1", sold("c1-t1", "0"))))
    assert wire.calls[1:] == [("cancel", "c1-s1"), ("cancel", "c1-t1"), ("place", "c2")]


def test_a_pair_that_may_not_be_sent_ends_with_both(bench: Alone, wire: KeyedWire) -> None:
    bench.tell(Halt(), pair_permit())
    assert wire.calls == []
    assert [(r.event, r.reason, r.metadata["leg"]) for r in bench.told("audit", Record)] == [
        ("ORDER_REJECTED", "NOT_READY", "s1"),
        ("ORDER_REJECTED", "NOT_READY", "t1"),
    ]


@pytest.mark.parametrize(
    ("asked", "sent"), [((), [("place", "c1-s1", "c1-t1")]), (("c1-t1",), [("query", "c1-t1")])], ids=["not yet", "one"]
)
def test_a_pair_that_was_allowed_before_a_start_is_sent_only_if_neither_was_asked_for(
    tmp_path: Path, wire: KeyedWire, asked: tuple[str, ...], sent: list[tuple[str, ...]]
) -> None:
    approved = pair_permit(seq=2).approved
    meta = describe(approved.order, 0, approved.client_order_id, approved.profit_id) | {"protection": 1}
    line = Record("ORDER_SUBMITTED", symbol="BTCUSDT", side=Side.SELL, correlation_id="c1", metadata=meta)
    with alone(tmp_path, "order.BTCUSDT", OrderActor, wire=lambda _world, _name: wire) as bench:
        journal(bench, birth(), line)
        bench.start()
        bench.tell(Flushed(), *(Ask(key) for key in asked), Permit(approved))
        assert wire.calls == sent


def test_a_refusal_for_a_balance_that_the_books_have_pauses_trading_until_both_sides_agree(
    bench: Alone, wire: KeyedWire
) -> None:
    wire.replies.append(Refused("c1", ExchangeError(-2010, "Account has insufficient balance for requested action.")))
    bench.tell(permit("c1"))
    (paused,) = bench.told("risk", Synced)
    assert (paused.agreed, "insufficient balance" in paused.why) == (False, True)
    assert [message.source for message in bench.told("reconciler", Reconcile)] == [paused.why]
    wire.replies.append(Refused("c2", ExchangeError(-1013, "Filter failure: LOT_SIZE")))
    bench.tell(permit("c2", seq=2))
    assert (bench.told("risk", Synced), bench.told("reconciler", Reconcile)) == ([], [])
