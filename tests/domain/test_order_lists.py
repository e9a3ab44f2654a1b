"""Pairs of orders of which one cancels the other: one of them is carried out, and only one is paid for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.sample_market import (
    OPENING,
    SYMBOL,
    book,
    engine,
    fills,
    kinds,
    limit_order,
    printed,
    rules,
    state,
    stop_order,
)
from thunes.domain.executions import Balance, Execution
from thunes.domain.matching import MatchingEngine
from thunes.domain.order_lists import PRICES_CROSS, PairRequest
from thunes.errors import ExchangeError, OperatorError
from thunes.messages import OrderType, Side

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
LIMIT_MAKER, STOP_LOSS, TAKE_PROFIT = OrderType.LIMIT_MAKER, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT
STOP_LOSS_LIMIT = OrderType.STOP_LOSS_LIMIT


def market(**filters: Any) -> MatchingEngine:
    """A new engine without accounts: bid 100, ask 101, the last public trade was at 100.5."""
    served = {SYMBOL: replace(rules(**filters), oco_allowed=True)}
    venue = MatchingEngine(served, maker_fee=D("0.001"), taker_fee=D("0.002"))
    venue.market(book((("100", "2"), ("99", "3")), (("101", "4"), ("102", "5"))))
    venue.market(printed("100.5", "1"))
    return venue


def traded(**filters: Any) -> MatchingEngine:
    """The same with the accounts of ann and bob."""
    venue = market(**filters)
    venue.open_account("ann", OPENING)
    venue.open_account("bob", OPENING)
    return venue


def selling(
    profit: str = "105", stop: str = "99", limit: str | None = "98", name: str = "", size: str = "3"
) -> PairRequest:
    kind = STOP_LOSS if limit is None else STOP_LOSS_LIMIT
    return PairRequest(
        limit_order(SELL, size, profit, order_type=LIMIT_MAKER, name=f"profit{name}"),
        stop_order(SELL, stop, limit, quantity=size, order_type=kind, name=f"stop{name}"),
        f"list{name}",
    )


def buying(profit: str = "95", stop: str = "102", limit: str | None = "103", size: str = "3") -> PairRequest:
    kind = STOP_LOSS if limit is None else STOP_LOSS_LIMIT
    return PairRequest(
        stop_order(BUY, stop, limit, quantity=size, order_type=kind, name="stop"),
        limit_order(BUY, size, profit, order_type=LIMIT_MAKER, name="profit"),
        "list",
    )


def refused_pair(venue: MatchingEngine, request: PairRequest) -> tuple[int, str]:
    before = state(venue)
    with pytest.raises(ExchangeError) as refusal:
        venue.place_pair("ann", request, 7)
    assert state(venue) == before
    return refusal.value.code, refusal.value.message


def lists_in(executions: tuple[Execution, ...]) -> list[bool]:
    """Of the lists that began or ended: whether each ended."""
    return [each.order_list.done for each in executions if each.order_list is not None]


class TestPlacing:
    def test_both_orders_are_open_and_know_their_list(self) -> None:
        venue = traded()
        pair, executions = venue.place_pair("ann", selling(), 7)
        assert kinds(executions) == ["NEW", "NEW"]
        assert [(o.client_order_id, o.list_id, o.waits) for o in venue.open_orders("ann")] == [
            ("stop", 0, True),
            ("profit", 0, False),
        ]
        assert (pair.orders, pair.client_list_id) == (((1, "stop"), (2, "profit")), "list")
        assert venue.open_lists("ann") == (pair,)
        assert lists_in(executions) == [False]

    def test_what_one_order_sells_is_locked_once(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(size="15"), 7)
        assert venue.balances("ann")["ABC"] == Balance(D(5), D(15))

    def test_a_buyer_locks_what_the_dearer_of_the_two_costs(self) -> None:
        venue = traded()
        venue.place_pair("ann", buying(), 7)
        assert venue.balances("ann")["XYZ"] == Balance(D(9_691), D(309))

    @pytest.mark.parametrize(
        ("request_", "code"),
        [
            (selling(profit="101", stop="100.5"), -2010),
            (selling(profit="100.5"), -2010),
            (buying(profit="100.5"), -2010),
            (buying(stop="100.5"), -2010),
        ],
    )
    def test_prices_have_to_be_on_either_side_of_the_last_one(self, request_: PairRequest, code: int) -> None:
        assert refused_pair(traded(), request_) == (code, PRICES_CROSS)

    @pytest.mark.parametrize(
        ("above", "below", "refusal"),
        [
            (LIMIT_MAKER, LIMIT_MAKER, (-1168, "At least one OCO order must be contingent.")),
            (STOP_LOSS, TAKE_PROFIT, (-1197, "A stop loss order in a sell OCO must be below.")),
            (OrderType.LIMIT, STOP_LOSS, (-1158, "Order type not supported in OCO.")),
            (TAKE_PROFIT, LIMIT_MAKER, (-1166, "A limit order in a sell OCO must be above.")),
            (TAKE_PROFIT, TAKE_PROFIT, (-1199, "A take profit order in a sell OCO must be above.")),
        ],
    )
    def test_orders_that_make_no_pair_are_refused_as_documented(
        self, above: OrderType, below: OrderType, refusal: tuple[int, str]
    ) -> None:
        pair = selling()
        wrong = replace(pair, above=replace(pair.above, order_type=above), below=replace(pair.below, order_type=below))
        assert refused_pair(traded(), wrong) == refusal

    def test_a_buyers_stop_has_to_be_above(self) -> None:
        pair = buying()
        wrong = replace(pair, below=replace(pair.below, order_type=STOP_LOSS))
        assert refused_pair(traded(), wrong) == (-1196, "A stop loss order in a buy OCO must be above.")

    def test_what_is_not_there_cannot_be_sold_even_once(self) -> None:
        message = "Account has insufficient balance for requested action."
        assert refused_pair(traded(), selling(size="21")) == (-2010, message)

    def test_a_second_order_over_the_limit_refuses_both(self) -> None:
        venue = traded(MAX_NUM_ORDERS={"maxNumOrders": 1})
        assert refused_pair(venue, selling()) == (-1013, "Filter failure: MAX_NUM_ORDERS")

    def test_open_lists_of_a_symbol_are_limited(self) -> None:
        venue = traded(MAX_NUM_ORDER_LISTS={"maxNumOrderLists": 1})
        venue.place_pair("ann", selling(), 7)
        assert refused_pair(venue, selling(name="2")) == (-1013, "Filter failure: MAX_NUM_ORDER_LISTS")

    def test_a_list_id_is_unique_among_open_lists_and_free_again_after(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        again = replace(selling(name="2"), client_list_id="list")
        assert refused_pair(venue, again) == (-2010, "Duplicate order sent.")
        venue.cancel_list("ann", SYMBOL, list_id=0, cancel_id="c", now_ms=8)
        assert venue.place_pair("ann", again, 9)[0].list_id == 1

    def test_a_symbol_that_is_not_enabled_takes_none(self) -> None:
        assert refused_pair(engine(), selling()) == (-2010, "OCO orders are not supported for this symbol")


class TestCarriedOut:
    def test_a_partial_fill_of_the_profit_expires_the_stop_first(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        executions = venue.market(printed("105.1", "1", seller_took=False))
        assert [(e.kind, e.order.client_order_id) for e in executions] == [("EXPIRED", "stop"), ("TRADE", "profit")]
        assert executions[0].order.expiry_reason == "OCO_TRIGGER"
        assert venue.balances("ann")["ABC"] == Balance(D(17), D(2))
        assert lists_in(executions) == []
        assert len(venue.open_lists("ann")) == 1

    def test_the_list_is_done_with_its_last_order(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        executions = venue.market(printed("105.1", "9", seller_took=False))
        assert lists_in(executions) == [True]
        assert venue.open_lists("ann") == ()
        assert venue.balances("ann")["ABC"] == Balance(D(17), D(0))

    def test_a_stop_that_begins_to_work_expires_the_profit_though_it_does_not_fill(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(limit="103"), 7)
        executions = venue.market(printed("99", "1"))
        assert [(e.kind, e.order.client_order_id) for e in executions] == [("EXPIRED", "profit"), ("NEW", "stop")]
        assert [o.client_order_id for o in venue.open_orders("ann")] == ["stop"]
        assert venue.balances("ann")["ABC"] == Balance(D(17), D(3))

    def test_a_stop_at_the_market_sells_and_ends_the_list(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(limit=None), 7)
        executions = venue.market(printed("99", "1"))
        assert kinds(executions) == ["EXPIRED", "NEW", "TRADE", "TRADE"]
        assert fills(executions) == [(D(100), D(2)), (D(99), D(1))]
        assert lists_in(executions) == [True]

    def test_the_cheaper_order_of_a_buyer_locks_its_own_cost_once_it_is_alone(self) -> None:
        venue = traded()
        venue.place_pair("ann", buying(), 7)
        venue.market(printed("94.9", "1"))
        assert venue.balances("ann")["XYZ"] == Balance(D(10_000) - 95 * 3, D(95 * 2))

    def test_the_book_coming_to_the_profit_expires_the_stop(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        executions = venue.market(book((("106", "1"),), (("107", "1"),), snapshot=True))
        assert kinds(executions) == ["EXPIRED", "TRADE"]


class TestCancelling:
    def test_cancelling_one_order_cancels_the_list(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        executions = venue.cancel("ann", SYMBOL, client_order_id="profit", cancel_id="c", now_ms=8)
        assert [(e.kind, e.order.client_order_id) for e in executions] == [("CANCELED", "profit"), ("CANCELED", "stop")]
        assert lists_in(executions) == [True]
        assert venue.balances("ann")["ABC"] == Balance(D(20), D(0))

    def test_cancelling_the_list_cancels_both(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        pair, executions = venue.cancel_list("ann", SYMBOL, client_list_id="list", cancel_id="c", now_ms=8)
        assert (kinds(executions), pair.done, venue.open_orders("ann")) == (["CANCELED", "CANCELED"], True, ())

    def test_cancelling_all_cancels_lists_once_and_lone_orders(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        venue.place("ann", limit_order(BUY, "1", "90"), 7)
        executions = venue.cancel_all("ann", SYMBOL, 8, "c")
        assert [e.order.order_id for e in executions] == [1, 2, 3]
        assert venue.balances("ann")["XYZ"].locked == venue.balances("ann")["ABC"].locked == 0

    @pytest.mark.parametrize("ids", [{"list_id": 5}, {"client_list_id": "x"}, {"list_id": 0, "client_list_id": "x"}])
    def test_a_list_that_is_not_open_cannot_be_cancelled(self, ids: dict[str, Any]) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        with pytest.raises(ExchangeError) as refusal:
            venue.cancel_list("ann", SYMBOL, cancel_id="c", now_ms=8, **ids)
        assert refusal.value.code == -2011
        assert len(venue.open_orders("ann")) == 2

    def test_another_accounts_list_is_unknown(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        with pytest.raises(ExchangeError, match="Unknown order list"):
            venue.cancel_list("bob", SYMBOL, list_id=0, cancel_id="c", now_ms=8)


class TestRestarted:
    def restarted(self, venue: MatchingEngine) -> MatchingEngine:
        kept = venue.dump()
        anew = market()
        anew.restore(
            kept.orders, kept.balances, kept.next_order_id, kept.next_trade_id, kept.next_execution_id,
            kept.lists, kept.next_list_id,
        )  # fmt: skip
        return anew

    def test_a_pair_is_a_pair_after_a_restart(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        anew = self.restarted(venue)
        assert anew.dump() == venue.dump()
        executions = anew.market(printed("105.1", "9", seller_took=False))
        assert kinds(executions) == ["EXPIRED", "TRADE"]
        assert anew.balances("ann")["ABC"] == Balance(D(17), D(0))

    def test_list_ids_go_on_where_they_stood(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        venue.cancel_all("ann", SYMBOL, 8, "c")
        assert self.restarted(venue).place_pair("ann", selling(), 9)[0].list_id == 1

    def test_locks_that_no_pair_accounts_for_are_noticed(self) -> None:
        venue = traded()
        venue.place_pair("ann", selling(), 7)
        kept = venue.dump()
        with pytest.raises(OperatorError, match="locked beyond"):
            market().restore(
                kept.orders[1:], kept.balances, kept.next_order_id, kept.next_trade_id, kept.next_execution_id
            )
