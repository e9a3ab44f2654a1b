"""Orders with a stop price: off the book until a public trade reaches it, then like any other."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.sample_market import SYMBOL, book, engine, fills, kinds, printed, refused, rules, stop_order
from thunes.domain.executions import Balance
from thunes.domain.matching import MatchingEngine
from thunes.messages import OrderStatus, OrderType, Side

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
STOP_LOSS, TAKE_PROFIT = OrderType.STOP_LOSS, OrderType.TAKE_PROFIT
STOP_LOSS_LIMIT, TAKE_PROFIT_LIMIT = OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT


def traded() -> MatchingEngine:
    """The last public trade was at 100.5."""
    venue = engine()
    venue.market(printed("100.5", "1"))
    return venue


def test_a_stop_waits_off_the_book_with_what_it_may_cost_locked() -> None:
    venue = traded()
    executions = venue.place("ann", stop_order(SELL, "99", "98"), 7)
    order = executions[-1].order
    assert kinds(executions) == ["NEW"]
    assert (order.waits, order.status, order.stop_price) == (True, OrderStatus.NEW, D(99))
    assert venue.balances("ann")["ABC"] == Balance(D(17), D(3))
    # The book comes to it, and nobody trades: nothing happens.
    assert venue.market(book((("98", "9"),), (("98.5", "9"),), snapshot=True)) == ()


def test_a_trade_at_the_stop_price_sets_it_off_and_it_takes_from_the_book_down_to_its_limit() -> None:
    venue = traded()
    venue.place("ann", stop_order(SELL, "99", "99"), 7)
    assert venue.market(printed("99.1", "1")) == ()
    executions = venue.market(printed("99", "0.5", time_ms=9_000))
    assert kinds(executions) == ["NEW", "TRADE", "TRADE"]
    assert fills(executions) == [(D(100), D(2)), (D(99), D(1))]
    assert (executions[0].order.working_ms, executions[-1].order.status) == (9_000, OrderStatus.FILLED)
    assert not any(each.fill.is_maker for each in executions if each.fill)


def test_what_its_limit_does_not_reach_rests_behind_what_is_displayed_there() -> None:
    venue = traded()
    venue.market(book((("98", "9"),), (("98.5", "4"),), snapshot=True))
    venue.place("ann", stop_order(SELL, "99", "98.5"), 7)
    executions = venue.market(printed("98", "1"))
    assert kinds(executions) == ["NEW"]
    order = executions[-1].order
    assert (order.waits, order.queue_ahead) == (False, D(4))
    assert venue.market(printed("98.5", "4", seller_took=False)) == ()
    assert fills(venue.market(printed("98.5", "3", seller_took=False))) == [(D("98.5"), D(3))]


@pytest.mark.parametrize(
    ("side", "order_type", "stop", "before", "reached"),
    [
        (SELL, STOP_LOSS, "99", "99.1", "99"),
        (BUY, STOP_LOSS, "102", "101.9", "102"),
        (SELL, TAKE_PROFIT, "102", "101.9", "102"),
        (BUY, TAKE_PROFIT, "99", "99.1", "99"),
    ],
)
def test_each_kind_waits_for_its_side_of_the_market_and_sells_or_buys_at_what_is_there(
    side: Side, order_type: OrderType, stop: str, before: str, reached: str
) -> None:
    venue = traded()
    venue.place("ann", stop_order(side, stop, order_type=order_type, quantity="1"), 7)
    assert venue.market(printed(before, "0.1")) == ()
    executions = venue.market(printed(reached, "0.1"))
    assert kinds(executions) == ["NEW", "TRADE"]
    assert fills(executions) == [(D(100) if side is SELL else D(101), D(1))]
    assert venue.balances("ann")["XYZ"].locked == venue.balances("ann")["ABC"].locked == 0


@pytest.mark.parametrize(
    ("side", "order_type", "stop"),
    [
        (SELL, STOP_LOSS_LIMIT, "100.5"),
        (BUY, STOP_LOSS_LIMIT, "100.5"),
        (SELL, TAKE_PROFIT_LIMIT, "100.5"),
        (BUY, TAKE_PROFIT_LIMIT, "100.5"),
        (SELL, STOP_LOSS_LIMIT, "101"),
        (BUY, TAKE_PROFIT_LIMIT, "101"),
    ],
)
def test_one_that_the_market_has_reached_already_is_refused(side: Side, order_type: OrderType, stop: str) -> None:
    order = stop_order(side, stop, "100", order_type=order_type)
    assert refused(traded(), order) == (-2010, "Order would trigger immediately.")


def test_a_cancelled_stop_frees_what_it_held_and_is_never_set_off() -> None:
    venue = traded()
    venue.place("ann", stop_order(SELL, "99", "98"), 7)
    (done,) = venue.cancel("ann", SYMBOL, client_order_id="s1", cancel_id="c", now_ms=8)
    assert done.order.status is OrderStatus.CANCELED
    assert venue.balances("ann")["ABC"] == Balance(D(20))
    assert venue.market(printed("90", "1")) == ()


def test_a_stop_that_buys_dearer_than_its_account_can_pay_expires() -> None:
    venue = traded()
    venue.place("ann", stop_order(BUY, "102", order_type=STOP_LOSS, quantity="40"), 7)
    venue.market(book((), (("900", "50"),), snapshot=True))
    executions = venue.market(printed("102", "0.1"))
    assert kinds(executions) == ["NEW", "EXPIRED"]
    assert venue.balances("ann")["XYZ"] == Balance(D(10_000))


def test_stops_are_set_off_in_the_order_in_which_they_were_placed() -> None:
    venue = traded()
    for name in ("s1", "s2"):
        venue.place("ann", stop_order(SELL, "99", "98", quantity="4", name=name), 7)
    executions = venue.market(printed("99", "0.1"))
    assert [each.order.client_order_id for each in executions if each.kind == "TRADE"] == ["s1", "s1", "s2"]


def test_a_restart_keeps_what_waits_waiting() -> None:
    venue = traded()
    venue.place("ann", stop_order(SELL, "99", "98"), 7)
    dumped = venue.dump()
    fresh = MatchingEngine({SYMBOL: rules()}, maker_fee=D(0), taker_fee=D(0))
    fresh.restore(dumped.orders, dumped.balances, dumped.next_order_id, dumped.next_trade_id, dumped.next_execution_id)
    fresh.market(book((("100", "9"),), ()))
    assert fresh.market(printed("99.5", "1")) == ()
    assert kinds(fresh.market(printed("99", "1"))) == ["NEW", "TRADE"]


@pytest.mark.parametrize(
    ("stop", "price", "code", "message"),
    [
        ("99.05", "98", -1013, "Filter failure: PRICE_FILTER"),
        ("99", "98.05", -1013, "Filter failure: PRICE_FILTER"),
        ("99", None, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
    ],
)
def test_both_prices_are_on_the_grid_and_there(stop: str, price: str | None, code: int, message: str) -> None:
    assert refused(traded(), stop_order(SELL, stop, price)) == (code, message)


def test_only_so_many_may_wait() -> None:
    venue = engine(MAX_NUM_ALGO_ORDERS={"maxNumAlgoOrders": 1})
    venue.market(printed("100.5", "1"))
    venue.place("ann", stop_order(SELL, "99", "98"), 7)
    again = stop_order(SELL, "99", "98", name="s2")
    assert refused(venue, again) == (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")
