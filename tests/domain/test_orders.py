"""Whatever the exchange says, in whatever order it says it, an order's fills are told once and its end after them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from thunes.domain import orders
from thunes.domain.market import Fill, OrderAnswer
from thunes.domain.orders import Event, Heard, Observed, OrderState, Phase
from thunes.domain.symbol_rules import SymbolRules
from thunes.errors import ExchangeError
from thunes.messages import OrderStatus, OrderType, Side

D = Decimal
RULES = SymbolRules("BTCUSDT", "BTC", "USDT", step_size=D("0.1"), min_quantity=D("0.1"))
APPROVED = OrderState("c1", "home-c1", "BTCUSDT", Side.BUY, OrderType.MARKET, D(1), None, epoch=0)
SENT, UNKNOWN = replace(APPROVED, phase=Phase.SENT), replace(APPROVED, phase=Phase.UNKNOWN)
T0 = 1_735_689_600_000


def fill(trade_id: int, quantity: str, price: str = "100") -> Fill:
    amount = D(quantity) * D(price)
    return Fill(trade_id, D(price), D(quantity), amount, D("0.001"), "BTC", T0 + trade_id, is_maker=False)


def says(status: str, executed: str = "0", *fills: Fill) -> OrderAnswer:
    """An answer of the exchange; `executed` is its own total, `fills` those that it names."""
    return OrderAnswer(
        "BTCUSDT", "home-c1", 7, OrderStatus(status), Side.BUY, "MARKET", D(1), D(0), D(executed), D(0), T0, fills
    )


def follow(*answers: OrderAnswer, start: OrderState = SENT) -> tuple[Observed, list[Event]]:
    """What the last answer led to, and the events of all of them."""
    observed, events = Observed(start, ()), []
    for answer in answers:
        observed = orders.observe(observed.state, answer, RULES)
        events += observed.events
    return observed, events


def names(events: list[Event]) -> list[str]:
    return [event.name.removeprefix("ORDER_") for event in events]


F1, F2, F3 = fill(1, "0.2"), fill(2, "0.3"), fill(3, "0.5")
NEW = says("NEW")
FIRST = says("PARTIALLY_FILLED", "0.2", F1)
SECOND = says("PARTIALLY_FILLED", "0.5", F2)
LAST = says("FILLED", "1", F3)
WHOLE = says("FILLED", "1", F1, F2, F3)
ALL = ["ACCEPTED", "PARTIALLY_FILLED", "PARTIALLY_FILLED", "FILLED"]


def test_one_answer_with_all_its_fills_is_the_whole_life_of_an_order() -> None:
    observed, events = follow(WHOLE)
    assert names(events) == ALL
    assert (observed.state.phase, observed.state.executed, observed.fills_missing) == (Phase.DONE, D(1), False)


def test_an_order_that_waits_is_accepted_and_open() -> None:
    observed, events = follow(NEW)
    assert names(events) == ["ACCEPTED"]
    assert (observed.state.phase, observed.state.order_id) == (Phase.OPEN, 7)


def test_a_part_and_then_the_rest_make_it_whole() -> None:
    observed, events = follow(NEW, FIRST, SECOND, LAST)
    assert names(events) == ALL
    assert [event.metadata["executed"] for event in events[1:]] == [D("0.2"), D("0.5"), D(1)]
    assert observed.state.phase is Phase.DONE


@pytest.mark.parametrize("reports", list(itertools.permutations((NEW, FIRST, SECOND, LAST))))
def test_reports_in_any_order_tell_every_fill_once_and_filled_last(reports: tuple[OrderAnswer, ...]) -> None:
    observed, events = follow(*reports)
    assert names(events) == ALL
    assert sorted(event.metadata["trade_id"] for event in events[1:]) == [1, 2, 3]
    assert (observed.state.phase, observed.state.executed) == (Phase.DONE, D(1))


def test_a_report_that_comes_twice_counts_once() -> None:
    observed, events = follow(NEW, NEW, FIRST, FIRST, SECOND, FIRST)
    assert names(events) == ALL[:3]
    assert observed.state.executed == D("0.5")


def test_the_report_may_come_before_the_answer_to_the_request() -> None:
    _, events = follow(FIRST, WHOLE)
    assert names(events) == ALL
    observed, events = follow(NEW, FIRST, SECOND, LAST, WHOLE)
    assert names(events) == ALL
    assert observed.events == ()


def test_an_old_report_does_not_take_back_what_is_known() -> None:
    observed, _ = follow(FIRST, SECOND, NEW)
    assert (observed.state.phase, observed.state.executed, observed.fills_missing) == (Phase.OPEN, D("0.5"), False)


def test_more_executed_than_fills_are_known_means_that_they_have_to_be_asked_for() -> None:
    observed, events = follow(says("FILLED", "1"))
    assert (observed.fills_missing, observed.state.phase, names(events)) == (True, Phase.OPEN, ["ACCEPTED"])
    observed, events = follow(says("FILLED", "1"), WHOLE)
    assert (observed.fills_missing, observed.state.phase, names(events)) == (False, Phase.DONE, ALL)


def test_an_end_waits_for_the_fills_before_it() -> None:
    observed, events = follow(FIRST, says("CANCELED", "0.5"))
    assert (observed.fills_missing, names(events)) == (True, ALL[:2])
    observed, events = follow(FIRST, says("CANCELED", "0.5"), says("CANCELED", "0.5", F1, F2))
    assert names(events) == [*ALL[:3], "CANCELED"]
    assert (observed.fills_missing, observed.state.phase) == (False, Phase.DONE)


def test_a_thin_book_ends_a_market_order_expired_with_what_it_got() -> None:
    observed, events = follow(says("EXPIRED", "0.5", F1, F2))
    assert names(events) == [*ALL[:3], "EXPIRED"]
    assert (observed.state.phase, observed.state.executed) == (Phase.DONE, D("0.5"))
    assert events[-1].metadata["executed"] == D("0.5")


@pytest.mark.parametrize("status", ["CANCELED", "EXPIRED"])
def test_an_order_may_end_without_a_fill(status: str) -> None:
    observed, events = follow(NEW, says(status))
    assert names(events) == ["ACCEPTED", status]
    assert "by" not in events[-1].metadata
    assert observed.state.phase is Phase.DONE


def test_an_order_that_the_exchange_rejects_was_never_accepted() -> None:
    observed, events = follow(says("REJECTED"))
    assert names(events) == ["REJECTED"]
    assert events[0].metadata["by"] == "exchange"
    assert observed.state.phase is Phase.DONE


@pytest.mark.parametrize("answer", [NEW, FIRST, WHOLE, says("CANCELED"), says("EXPIRED", "0.5", F1, F2)])
def test_after_the_end_nothing_more_is_told(answer: OrderAnswer) -> None:
    done = follow(WHOLE)[0].state
    assert orders.observe(done, answer, RULES) == Observed(done, ())


def test_a_fill_is_told_with_all_that_the_books_need() -> None:
    _, events = follow(FIRST)
    assert events[1].metadata == {
        "client_order_id": "home-c1",
        "order_id": 7,
        "trade_id": 1,
        "price": D(100),
        "quantity": D("0.2"),
        "quote_quantity": D(20),
        "commission": D("0.001"),
        "commission_asset": "BTC",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "min_sellable": D("0.1"),
        "executed": D("0.2"),
        "is_maker": False,
        "market_time": T0 + 1,
    }


def test_an_order_of_unknown_fate_that_is_found_is_resolved_first() -> None:
    _, events = follow(WHOLE, start=UNKNOWN)
    assert names(events) == ["RESOLVED", *ALL]
    assert (events[0].metadata["found"], events[0].metadata["status"]) == (True, "FILLED")
    _, events = follow(FIRST, SECOND, start=UNKNOWN)
    assert names(events) == ["RESOLVED", *ALL[:3]]


def test_after_a_restart_a_report_may_find_an_order_that_is_only_known_as_approved() -> None:
    observed, events = follow(WHOLE, start=APPROVED)
    assert (observed.state.phase, names(events)) == (Phase.DONE, ALL)


def test_what_the_journal_has_of_an_order_is_not_told_again() -> None:
    known = replace(SENT, phase=Phase.OPEN, order_id=7, executed=D("0.2"), trade_ids=frozenset({1}))
    _, events = follow(WHOLE, start=known)
    assert names(events) == ALL[2:]


def test_what_is_about_to_be_sent_is_told_before() -> None:
    observed = orders.submitted(APPROVED, T0)
    (event,) = observed.events
    assert (observed.state.phase, event.name) == (Phase.SENT, "ORDER_SUBMITTED")
    assert event.metadata.items() >= {"order_type": "MARKET", "quantity": D(1), "market_time": T0}.items()


def test_a_refusal_is_told_in_the_exchanges_words() -> None:
    observed = orders.refused(SENT, ExchangeError(-2010, "Account has insufficient balance."))
    (event,) = observed.events
    assert (observed.state.phase, event.name, event.reason) == (Phase.DONE, "ORDER_REJECTED", None)
    expected = {"by": "exchange", "code": -2010, "message": "Account has insufficient balance."}
    assert event.metadata.items() >= expected.items()


def test_what_we_did_not_send_is_told_as_ours_with_its_reason() -> None:
    observed = orders.withheld(APPROVED, "STALE_EPOCH")
    (event,) = observed.events
    assert (observed.state.phase, event.name, event.reason) == (Phase.DONE, "ORDER_REJECTED", "STALE_EPOCH")
    assert event.metadata["by"] == "thunes"


def test_an_unknown_fate_is_told_once() -> None:
    observed = orders.unknown(SENT, "timed out")
    assert [(event.name, event.metadata["why"]) for event in observed.events] == [("ORDER_UNKNOWN", "timed out")]
    assert observed.state.phase is Phase.UNKNOWN
    assert orders.unknown(observed.state, "again") == Observed(observed.state, ())


def absent(state: OrderState, after_ms: int) -> Observed:
    return orders.absent(state, T0 + after_ms, T0, recv_window_ms=5_000, again_ms=1_000)


def test_while_the_request_may_still_arrive_its_absence_says_nothing() -> None:
    for after_ms in (0, 4_999, 5_000):
        assert absent(UNKNOWN, after_ms) == Observed(UNKNOWN, ())


def test_only_a_second_look_a_while_later_proves_that_an_order_is_absent() -> None:
    once = absent(UNKNOWN, 5_001)
    assert (once.events, once.state.phase) == ((), Phase.UNKNOWN)
    assert absent(once.state, 6_000) == Observed(once.state, ())
    twice = absent(once.state, 6_001)
    assert twice.state.phase is Phase.DONE
    assert [(event.name, event.metadata["found"]) for event in twice.events] == [("ORDER_RESOLVED", False)]


def test_an_order_that_turns_up_after_the_first_look_is_alive() -> None:
    once = absent(UNKNOWN, 5_001)
    observed, events = follow(NEW, start=once.state)
    assert (observed.state.phase, names(events)) == (Phase.OPEN, ["RESOLVED", "ACCEPTED"])


LIFE = {
    "APPROVED": {"SUBMITTED": "SENT", "WITHHELD": "DONE", "OPEN": "OPEN", "ENDED": "DONE", "REFUSED": "DONE",
                 "LOST": "UNKNOWN"},
    "SENT": {"WITHHELD": "DONE", "OPEN": "OPEN", "ENDED": "DONE", "REFUSED": "DONE", "LOST": "UNKNOWN"},
    "UNKNOWN": {"OPEN": "OPEN", "ENDED": "DONE", "REFUSED": "DONE", "LOST": "UNKNOWN", "ABSENT": "DONE"},
    "OPEN": {"OPEN": "OPEN", "ENDED": "DONE", "LOST": "OPEN"},
    "DONE": {},
}  # fmt: skip


@pytest.mark.parametrize(("before", "heard"), list(itertools.product(Phase, Heard)))
def test_what_is_heard_of_an_order_leads_only_where_its_life_allows(before: Phase, heard: Heard) -> None:
    after = replace(APPROVED, phase=before).after(heard)
    assert (after.phase.value if after else None) == LIFE[before.value].get(heard.name)


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (lambda s: orders.submitted(s, T0), "it is about to be sent, and was OPEN"),
        (lambda s: orders.withheld(s, "STALE_EPOCH"), "it was not sent, and was OPEN"),
        (lambda s: orders.refused(s, ExchangeError(-2010, "no")), "it was refused by the exchange, and was OPEN"),
        (lambda s: orders.absent(replace(s, absent_since_ms=1), 9_000, 0, 6_000), "it was never at the"),
    ],
)
def test_what_does_not_fit_changes_nothing_and_is_said(happens: Callable[[OrderState], Observed], words: str) -> None:
    is_open = replace(SENT, phase=Phase.OPEN, absent_since_ms=1)
    observed = happens(is_open)
    assert (observed.state, observed.events) == (is_open, ())
    assert observed.misfit.startswith(words)


@pytest.mark.parametrize(
    ("known", "answer", "words"),
    [
        (SENT, replace(NEW, quantity=D(2)), "BUY 2 where BUY 1 was sent"),
        (SENT, replace(NEW, side=Side.SELL), "SELL 1 where BUY 1 was sent"),
        (replace(SENT, order_id=6), NEW, "order id 7 where it was 6"),
        (SENT, says("PARTIALLY_FILLED", "1.5"), "1.5 executed of 1"),
        (SENT, says("FILLED", "0.9"), "filled, and only 0.9 of 1 executed"),
        (SENT, says("PARTIALLY_FILLED", "0.5", F2, F3, fill(4, "0.4")), "fills of 1.2 in an order over 1"),
        (follow(says("CANCELED"))[0].state, says("CANCELED", "0.2"), "0.2 executed after it had ended with 0"),
        (follow(says("CANCELED", "0.2", F1))[0].state, says("CANCELED", "0.2", fill(9, "0.2")), "0.2 executed af"),
    ],
)
def test_an_answer_that_contradicts_what_is_known_is_never_merged(
    known: OrderState, answer: OrderAnswer, words: str
) -> None:
    observed = orders.observe(known, answer, RULES)
    assert (observed.state, observed.events) == (known, ())
    assert observed.misfit.startswith(words)


def test_an_order_is_named_after_its_home_and_its_signal_as_the_exchange_allows() -> None:
    first, second = (orders.client_order_id("0a1b2c3d", signal * 20) for signal in "ab")
    assert first == "0a1b2c3d-aaaaaaaaaaaaaaaaaaaa"
    assert first != second
    assert re.fullmatch(r"[A-Za-z0-9-]{1,36}", first)
    assert orders.client_order_id("0a1b2c3d", "a" * 27) == f"0a1b2c3d-{'a' * 27}"
    with pytest.raises(ValueError, match="longer than the exchange allows"):
        orders.client_order_id("0a1b2c3d", "a" * 28)
