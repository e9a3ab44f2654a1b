"""The matching engine and its accounts: refusals in the exchange's words, cancels, memory, restarts, prices."""

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
    kinds,
    levels,
    limit_order,
    market_order,
    printed,
    refused,
    rules,
    state,
)
from thunes.domain.executions import Balance
from thunes.domain.matching import MatchingEngine
from thunes.errors import ExchangeError, OperatorError
from thunes.messages import OrderStatus, OrderType, Side

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


class TestRefusals:
    def test_an_unknown_symbol(self) -> None:
        assert refused(engine(), replace(market_order(BUY, "1"), symbol="NOPE")) == (-1121, "Invalid symbol.")
        for ask in (engine().book, engine().last_price, engine().average_price):
            with pytest.raises(ExchangeError, match="Invalid symbol"):
                ask("NOPE")

    @pytest.mark.parametrize(
        ("changes", "code", "word"),
        [
            ({"quantity": None}, -1102, "quantity"),
            ({"price": None}, -1102, "price"),
            ({"quote_quantity": D(1)}, -1106, "quoteOrderQty"),
            ({"order_type": OrderType.MARKET}, -1106, "price"),
            ({"order_type": OrderType.MARKET, "price": None, "quote_quantity": D(9)}, -1106, "quoteOrderQty"),
            ({"order_type": OrderType.MARKET, "price": None, "quantity": None}, -1102, "quoteOrderQty"),
            ({"client_order_id": "no spaces"}, -1100, "newClientOrderId"),
            ({"client_order_id": ""}, -1100, "newClientOrderId"),
            ({"client_order_id": "x" * 37}, -1100, "newClientOrderId"),
            ({"quantity": D("1.000000001")}, -1111, "quantity"),
            ({"price": D("100.000000001")}, -1111, "price"),
            ({"quantity": D("NaN")}, -1100, "quantity"),
            ({"price": D("Infinity")}, -1100, "price"),
            ({"quantity": D(-1)}, -1100, "quantity"),
            ({"quantity": D("1E+20")}, -1100, "quantity"),
            ({"quantity": D("1.005")}, -1013, "LOT_SIZE"),
            ({"price": D("100.05")}, -1013, "PRICE_FILTER"),
            ({"quantity": D("0.01")}, -1013, "NOTIONAL"),
        ],
    )
    def test_a_malformed_order(self, changes: dict[str, Any], code: int, word: str) -> None:
        refusal = refused(engine(), replace(limit_order(BUY, "1", "100"), **changes))
        assert refusal[0] == code
        assert word in refusal[1]

    def test_a_client_id_is_taken_while_its_order_is_open_and_free_afterwards(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(BUY, "1", "99"), 7)
        assert refused(venue, limit_order(BUY, "1", "99")) == (-2010, "Duplicate order sent.")
        assert kinds(venue.place("bob", limit_order(BUY, "1", "99"), 7)) == ["NEW"]
        venue.cancel("ann", SYMBOL, client_order_id="l1", cancel_id="c", now_ms=8)
        assert kinds(venue.place("ann", limit_order(BUY, "1", "99"), 9)) == ["NEW"]

    def test_a_market_order_sent_again_after_its_fill_is_accepted_again(self) -> None:
        venue = engine()
        first, second = (venue.place("ann", market_order(BUY, "1"), 7)[-1].order for _ in range(2))
        assert second.order_id == first.order_id + 1
        assert venue.order("ann", SYMBOL, client_order_id="m1") == second

    def test_too_many_open_orders(self) -> None:
        venue = engine()
        for n in range(5):
            venue.place("ann", limit_order(BUY, "1", "99", name=f"n{n}"), 7)
        assert refused(venue, limit_order(BUY, "1", "99")) == (-1013, "Filter failure: MAX_NUM_ORDERS")
        assert kinds(venue.place("bob", limit_order(BUY, "1", "99"), 7)) == ["NEW"]

    def test_a_position_counts_what_open_buys_may_add(self) -> None:
        venue = engine(MAX_POSITION={"maxPosition": "22"})
        venue.place("ann", limit_order(BUY, "1.5", "99"), 7)
        assert refused(venue, limit_order(BUY, "0.6", "99", name="l2")) == (-1013, "Filter failure: MAX_POSITION")
        assert refused(venue, market_order(BUY, quote="61")) == (-1013, "Filter failure: MAX_POSITION")
        assert kinds(venue.place("ann", limit_order(BUY, "0.5", "99", name="l2"), 7)) == ["NEW"]

    def test_a_symbol_that_does_not_trade_or_not_so(self) -> None:
        halted = MatchingEngine({SYMBOL: replace(rules(), status="BREAK")}, maker_fee=D(0), taker_fee=D(0))
        limited = replace(rules(), order_types=frozenset({"LIMIT"}))
        no_market = MatchingEngine({SYMBOL: limited}, maker_fee=D(0), taker_fee=D(0))
        no_quote = replace(rules(), quote_order_qty_allowed=False)
        no_quote_engine = MatchingEngine({SYMBOL: no_quote}, maker_fee=D(0), taker_fee=D(0))
        for venue in (halted, no_market, no_quote_engine):
            venue.open_account("ann", OPENING)
        assert refused(halted, market_order(BUY, "1")) == (-2010, "Market is closed.")
        assert refused(no_market, market_order(BUY, "1")) == (-2010, "Market orders are not supported for this symbol.")
        message = "Quote order qty market orders are not support for this symbol."
        assert refused(no_quote_engine, market_order(BUY, quote="10")) == (-2010, message)

    def test_a_test_order_is_checked_in_full_and_changes_nothing(self) -> None:
        venue = engine()
        before = state(venue)
        assert venue.place("ann", market_order(BUY, "1"), 7, validate_only=True) == ()
        with pytest.raises(ExchangeError, match="insufficient balance"):
            venue.place("ann", market_order(SELL, "21"), 7, validate_only=True)
        assert state(venue) == before


class TestCancelling:
    def test_a_cancel_frees_what_was_locked_and_carries_its_own_id(self) -> None:
        venue = engine()
        placed = venue.place("ann", limit_order(SELL, "2", "105"), 7)[0].order
        (done,) = venue.cancel("ann", SYMBOL, order_id=placed.order_id, cancel_id="c1", now_ms=9)
        assert (done.kind, done.order.status, done.request_client_order_id) == ("CANCELED", OrderStatus.CANCELED, "c1")
        assert (done.order.client_order_id, done.order.updated_ms) == ("l1", 9)
        assert venue.balances("ann") == {asset: Balance(amount) for asset, amount in OPENING.items()}
        assert venue.market(printed("200", "9", seller_took=False)) == ()

    def test_what_is_not_open_is_an_unknown_order(self) -> None:
        venue = engine()
        filled = venue.place("ann", market_order(BUY, "1"), 7)[-1].order
        open_id = venue.place("ann", limit_order(BUY, "1", "99"), 7)[0].order.order_id
        for account, order_id in (("ann", filled.order_id), ("ann", 99), ("bob", open_id)):
            with pytest.raises(ExchangeError, match="Unknown order sent") as refusal:
                venue.cancel(account, SYMBOL, order_id=order_id, cancel_id="c", now_ms=8)
            assert refusal.value.code == -2011
        assert len(venue.open_orders("ann")) == 1

    def test_two_ids_have_to_be_the_same_order_s(self) -> None:
        venue = engine()
        order_id = venue.place("ann", limit_order(BUY, "1", "99"), 7)[0].order.order_id
        with pytest.raises(ExchangeError) as refusal:
            venue.cancel("ann", SYMBOL, order_id=order_id, client_order_id="other", cancel_id="c", now_ms=8)
        assert refusal.value.code == -2039
        assert venue.cancel("ann", SYMBOL, order_id=order_id, client_order_id="l1", cancel_id="c", now_ms=8)

    def test_cancelling_all_is_one_account_s_affair(self) -> None:
        venue = engine()
        for account, name in (("ann", "a"), ("bob", "b"), ("ann", "c")):
            venue.place(account, limit_order(BUY, "1", "99", name=name), 7)
        done = venue.cancel_all("ann", SYMBOL, 9, "c")
        assert [each.order.client_order_id for each in done] == ["a", "c"]
        assert len(venue.open_orders("bob")) == 1
        with pytest.raises(ExchangeError, match="Unknown order sent"):
            venue.cancel_all("ann", SYMBOL, 9, "c")


class TestMemory:
    def test_an_open_order_answers_before_a_closed_one_of_the_same_client_id(self) -> None:
        venue = engine()
        venue.place("ann", market_order(BUY, "1", name="same"), 7)
        resting = venue.place("ann", limit_order(BUY, "1", "99", name="same"), 8)[-1].order
        assert venue.order("ann", SYMBOL, client_order_id="same") == resting

    def test_only_the_newest_closed_orders_are_remembered(self) -> None:
        venue = engine(closed_limit=2)
        ids = [venue.place("ann", market_order(BUY, "1", name=f"n{n}"), 7)[-1].order.order_id for n in range(3)]
        with pytest.raises(ExchangeError) as refusal:
            venue.order("ann", SYMBOL, order_id=ids[0])
        assert (refusal.value.code, refusal.value.message) == (-2013, "Order does not exist.")
        with pytest.raises(ExchangeError):
            venue.order("ann", SYMBOL, client_order_id="n0")
        assert [venue.order("ann", SYMBOL, order_id=n).order_id for n in ids[1:]] == ids[1:]

    def test_forgetting_an_order_leaves_a_newer_one_of_its_client_id(self) -> None:
        venue = engine(closed_limit=2)
        for name in ("same", "same", "other"):
            newest = venue.place("ann", market_order(BUY, "1", name=name), 7)[-1].order.order_id
        assert venue.order("ann", SYMBOL, client_order_id="same").order_id == newest - 1

    def test_ids_are_sequences_of_their_own(self) -> None:
        venue = engine()
        first = venue.place("ann", market_order(BUY, "5"), 7)
        second = venue.place("bob", market_order(BUY, "1"), 8)
        executions = first + second
        assert [each.execution_id for each in executions] == [1, 2, 3, 4, 5]
        assert [each.order.order_id for each in executions] == [1, 1, 1, 2, 2]
        assert [each.fill.trade_id for each in executions if each.fill] == [1, 2, 3]

    def test_a_restored_engine_goes_on_where_the_other_stopped(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(BUY, "6", "101"), 7)
        venue.place("bob", limit_order(SELL, "2", "105", name="s"), 7)
        saved = venue.dump()
        again = MatchingEngine({SYMBOL: rules()}, maker_fee=D("0.001"), taker_fee=D("0.002"))
        again.restore(saved.orders, saved.balances, saved.next_order_id, saved.next_trade_id, saved.next_execution_id)
        again.open_account("ann", OPENING)
        assert again.dump() == saved
        both = [each.market(printed("100.9", "1")) for each in (venue, again)]
        assert both[0] == both[1]
        assert both[0] != ()
        assert again.dump() == venue.dump()

    def test_balances_that_the_open_orders_do_not_explain_are_not_taken_over(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(BUY, "1", "99"), 7)
        saved = venue.dump()
        again = MatchingEngine({SYMBOL: rules()}, maker_fee=D(0), taker_fee=D(0))
        with pytest.raises(OperatorError, match=r"99\.?0* XYZ of ann locked beyond its open orders"):
            again.restore((), saved.balances, saved.next_order_id, {}, saved.next_execution_id)


class TestPrices:
    def test_the_average_weighs_by_volume_over_five_market_minutes(self) -> None:
        venue = engine()
        venue.market(printed("100", "1", time_ms=0))
        venue.market(printed("103", "2", time_ms=299_999))
        assert venue.average_price(SYMBOL) == 102
        venue.market(printed("105", "2", time_ms=300_000))
        assert venue.average_price(SYMBOL) == 104
        assert venue.last_price(SYMBOL) == 105

    def test_the_last_print_stays_the_average_through_a_long_silence(self) -> None:
        venue = engine()
        venue.market(printed("100", "1", time_ms=0))
        venue.market(printed("90", "1", time_ms=10_000_000))
        assert venue.average_price(SYMBOL) == 90

    def test_before_the_first_print_the_middle_of_the_book_stands_in(self) -> None:
        assert engine().last_price(SYMBOL) == engine().average_price(SYMBOL) == D("100.5")
        empty = MatchingEngine({SYMBOL: rules()}, maker_fee=D(0), taker_fee=D(0))
        assert empty.last_price(SYMBOL) == empty.average_price(SYMBOL) == 0
        empty.market(book((("7", "1"),), ()))
        assert empty.last_price(SYMBOL) == 7


def test_every_unit_is_accounted_for() -> None:
    venue = engine()
    venue.place("ann", market_order(BUY, "5"), 7)
    venue.place("bob", limit_order(SELL, "3", "100.5"), 7)
    venue.market(book((("100.6", "2"),), ()))
    flows = venue.flows()
    assert flows["ABC"].deposited == 40
    assert flows["ABC"].fees == D("0.01")
    assert flows["XYZ"].fees == D("0.201")
    for asset, flow in flows.items():
        held = sum(venue.balances(account)[asset].total for account in ("ann", "bob"))
        assert held + flow.fees + flow.market == flow.deposited


def test_an_account_cannot_open_in_debt() -> None:
    with pytest.raises(ValueError, match="cannot open with -1 XYZ"):
        engine().open_account("cat", {"XYZ": D(-1)})


def test_opening_an_account_again_leaves_it_as_it_is() -> None:
    venue = engine()
    venue.open_account("ann", {"XYZ": D(1)})
    assert venue.balances("ann")["XYZ"].free == 10_000


def test_the_book_shows_what_is_left_of_it() -> None:
    venue = engine()
    venue.place("ann", market_order(BUY, "4.5"), 7)
    assert venue.book(SYMBOL).levels()[1] == levels(("102", "4.5"))
