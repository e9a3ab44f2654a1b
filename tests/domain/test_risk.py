"""Risk lets an order go when nothing speaks against it, and otherwise names the first thing that does."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.domain import risk_case as faults
from tests.domain.risk_case import (
    BUY,
    FAULTS,
    LIMIT,
    MARKET_MS,
    SELL,
    SYMBOLS,
    Case,
    Fault,
    rules,
    selling,
    tick,
    under_way,
)
from thunes.domain.books import Position
from thunes.domain.journal import REASONS
from thunes.domain.risk import MINUTE_NS
from thunes.messages import Side

D = Decimal

LATER = {"CIRCUIT_OPEN", "RATE_LIMIT", "STALE_EPOCH"}
"""Reasons that arise only after the approval."""

CHAINS = (
    # A symbol that holds a slot needs no other, so POSITION_LIMIT and DUPLICATE_SYMBOL never both apply.
    [name for name in FAULTS if name in REASONS and name not in ("DUPLICATE_SYMBOL", "NO_POSITION", "UNKNOWN_SYMBOL")]
    + ["FILTER_LOT_SIZE"],
    ["DAILY_LOSS_LIMIT", "COOL_DOWN", "DUPLICATE_SYMBOL", "MAX_NOTIONAL", "FILTER_LOT_SIZE"],
    # What a symbol that nobody lists would cost in which asset is not known.
    ["KILL_SWITCH", "MAX_NOTIONAL", "ORDER_RATE", "STALE_MARKET_DATA", "UNKNOWN_SYMBOL", "FILTER_LOT_SIZE"],
    ["NOT_SYNCED", "NOT_READY", "NO_POSITION", "STALE_MARKET_DATA", "INSUFFICIENT_BALANCE"],
)
TAILS = [chain[at:] for chain in CHAINS for at in range(len(chain) - 1)]


def test_an_order_against_which_nothing_speaks_may_go() -> None:
    assert Case().reason is None
    assert Case(LIMIT).reason is None
    assert selling().reason is None


@pytest.mark.parametrize(("reason", "fault"), FAULTS.items(), ids=FAULTS)
def test_each_fault_alone_is_the_reason(reason: str, fault: Fault) -> None:
    case = Case()
    fault(case)
    assert case.reason == reason


def test_the_table_of_faults_has_every_reason_that_risk_may_give() -> None:
    assert [name for name in FAULTS if not name.startswith("FILTER_")] == [
        name for name in REASONS if name not in LATER
    ]


@pytest.mark.parametrize("tail", TAILS, ids="-before-".join)
def test_the_first_of_several_faults_is_the_reason(tail: list[str]) -> None:
    case = Case()
    for name in sorted(tail, key=lambda name: name != "NO_POSITION"):
        FAULTS[name](case)
    assert case.reason == tail[0]


def test_without_a_price_nothing_is_bought_or_sold() -> None:
    for case in (Case(), selling()):
        case.state.ticks.clear()
        assert case.reason == "NOT_READY"


@pytest.mark.parametrize(
    "fault",
    [
        faults.killed,
        faults.lost_today,
        faults.slots_taken,
        faults.lost_lately,
        faults.too_exposed,
        faults.too_often,
        faults.far_from_market,
    ],
)
def test_a_limit_that_stops_buying_never_stops_selling(fault: Fault) -> None:
    case = selling()
    fault(case)
    assert case.reason is None


def test_a_holding_of_any_worth_may_be_sold_at_once() -> None:
    case = Case(replace(SELL, quantity=D(1)))
    case.hold(quantity="1")
    assert case.order.quantity * case.order.reference_price > case.limits.max_notional
    assert case.reason is None


@pytest.mark.parametrize(
    "fault", [faults.not_synced, faults.stopping, faults.market_silent, faults.no_money, faults.off_the_step]
)
def test_what_would_make_a_sell_wrong_stops_it_too(fault: Fault) -> None:
    case = selling("0.099")
    case.hold(quantity="0.2")
    assert case.reason is None
    fault(case)
    if fault is faults.no_money:
        case.state.books.balances["BTC"] = D("0.098")
    assert case.reason is not None


def test_no_more_is_sold_than_the_position_has_whatever_the_account_holds() -> None:
    assert selling("0.101").reason == "NO_POSITION"


def test_dust_is_no_position_to_sell_and_none_that_forbids_a_buy() -> None:
    for order, reason in ((SELL, "NO_POSITION"), (BUY, None)):
        case = Case(order)
        case.state.books.positions["BTCUSDT"] = Position("BTCUSDT", D("0.5"), D(1), is_open=False)
        assert case.reason == reason


def at_the_limit_of_one_order(case: Case) -> None:
    case.alter(quantity=D("0.5"))


def at_the_limit_of_exposure(case: Case) -> None:
    case.hold("ETHUSDT", cost="140")


def one_below_the_rate(case: Case) -> None:
    case.state.sent_ns.extend([case.now_ns] * 29)


def rate_of_a_minute_ago(case: Case) -> None:
    case.state.sent_ns.extend([case.now_ns - MINUTE_NS] * 30)


def at_the_collar(case: Case) -> None:
    case.alter(reference_price=D(102))


def heard_five_seconds_ago(case: Case) -> None:
    case.state.ticks["BTCUSDT"] = replace(tick(), received_ns=case.now_ns - 5_000_000_000)


def just_enough_money(case: Case) -> None:
    case.state.books.balances["USDT"] = D(10)


def cool_down_just_over(case: Case) -> None:
    case.state.books.last_loss_ms = MARKET_MS - 3_600_000


def one_cent_of_loss_left(case: Case) -> None:
    case.state.books.realised_today = D("-19.99")


def just_what_may_be_held(case: Case) -> None:
    case.state.rules = {"BTCUSDT": replace(rules("BTCUSDT"), max_position=D("1.1"))}


@pytest.mark.parametrize(
    "edge",
    [
        at_the_limit_of_one_order,
        at_the_limit_of_exposure,
        one_below_the_rate,
        rate_of_a_minute_ago,
        at_the_collar,
        heard_five_seconds_ago,
        just_enough_money,
        cool_down_just_over,
        one_cent_of_loss_left,
        just_what_may_be_held,
    ],
)
def test_up_to_a_limit_an_order_may_go(edge: Fault) -> None:
    case = Case()
    edge(case)
    assert case.reason is None


def test_a_limit_orders_own_price_is_what_the_collar_and_the_balance_look_at() -> None:
    assert Case(replace(LIMIT, price=D("97.99"))).reason == "PRICE_COLLAR"
    case = Case(replace(LIMIT, price=D("100.5")))
    case.state.books.balances["USDT"] = D("10.04")
    assert case.reason == "INSUFFICIENT_BALANCE"


def test_a_buy_under_way_holds_a_slot() -> None:
    case = Case()
    for symbol in SYMBOLS[1:3]:
        case.hold(symbol, cost="1")
    case.reserve(under_way("XRPUSDT", Side.SELL))
    assert case.reason is None
    case.reserve(under_way("XRPUSDT", quantity="0.01"))
    assert case.reason == "POSITION_LIMIT"


def test_a_position_and_an_order_of_one_symbol_hold_one_slot() -> None:
    case = Case()
    case.hold("ETHUSDT")
    case.reserve(under_way("ETHUSDT"))
    assert case.state.slots() == {"ETHUSDT"}


def test_with_all_slots_taken_another_buy_of_a_held_symbol_is_a_duplicate() -> None:
    case = Case()
    faults.slots_taken(case)
    case.state.books.positions["BTCUSDT"] = case.state.books.positions.pop("XRPUSDT")
    case.hold("BTCUSDT")
    assert case.reason == "DUPLICATE_SYMBOL"


def test_a_buy_under_way_counts_as_exposure_at_its_full_worth_and_a_sell_does_not() -> None:
    case = Case()
    case.hold("SOLUSDT", cost="100")
    case.reserve(under_way("XRPUSDT", Side.SELL, "1"))
    assert (case.state.exposure(), case.reason) == (D(100), None)
    case.reserve(under_way("ETHUSDT", quantity="0.401"))
    assert (case.state.exposure(), case.reason) == (D("140.1"), "EXPOSURE_LIMIT")


def test_the_money_of_a_buy_under_way_is_not_spent_twice() -> None:
    case = Case()
    case.state.books.balances["USDT"] = D(20)
    case.reserve(under_way(quantity="0.1"))
    assert case.reason is None
    case.reserve(under_way(quantity="0.101"))
    assert case.reason == "INSUFFICIENT_BALANCE"


@pytest.mark.parametrize("side", Side)
def test_one_order_of_a_symbol_and_side_at_a_time(side: Side) -> None:
    case = Case() if side is Side.BUY else selling()
    case.reserve(under_way("BTCUSDT", side, "0.001"))
    assert case.reason == "DUPLICATE_SYMBOL"


def test_a_second_sell_is_a_duplicate_before_it_is_one_of_nothing() -> None:
    case = Case(SELL)
    assert case.reason == "NO_POSITION"
    case.reserve(under_way("BTCUSDT", Side.SELL))
    assert case.reason == "DUPLICATE_SYMBOL"


def test_a_position_may_be_sold_while_its_buy_is_still_under_way() -> None:
    case = selling()
    case.reserve(under_way("BTCUSDT", Side.BUY))
    assert case.reason is None
