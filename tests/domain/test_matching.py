"""The matching engine against a small public market: what fills, at what price, and what is left."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.sample_market import (
    SYMBOL,
    book,
    engine,
    fills,
    kinds,
    limit_order,
    market_order,
    printed,
    refused,
    state,
)
from thunes.domain.executions import Balance
from thunes.messages import OrderStatus, OrderType, Side, TimeInForce, TopChanged

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


class TestMarketOrders:
    def test_a_buy_walks_the_displayed_asks_and_pays_its_fee_in_base(self) -> None:
        venue = engine()
        executions = venue.place("ann", market_order(BUY, "5"), 7)
        assert kinds(executions) == ["NEW", "TRADE", "TRADE"]
        assert fills(executions) == [(D(101), D(4)), (D(102), D(1))]
        order = executions[-1].order
        assert (order.status, order.executed, order.cumulative_quote) == (OrderStatus.FILLED, D(5), D(506))
        assert venue.balances("ann") == {"XYZ": Balance(D(9494)), "ABC": Balance(D("24.99"))}
        assert venue.book(SYMBOL).best_ask == (D(102), D(4))

    def test_a_sell_pays_its_fee_in_quote(self) -> None:
        venue = engine()
        last = venue.place("ann", market_order(SELL, "3"), 7)[-1].fill
        assert last is not None
        assert (last.commission, last.commission_asset, last.is_buyer, last.is_maker) == (
            D("0.198"),
            "XYZ",
            False,
            False,
        )
        assert venue.balances("ann")["XYZ"] == Balance(D("10298.402"))
        assert venue.balances("ann")["ABC"] == Balance(D(17))

    def test_a_book_too_thin_ends_it_expired_with_what_there_was(self) -> None:
        venue = engine()
        executions = venue.place("ann", market_order(SELL, "6"), 7)
        assert kinds(executions) == ["NEW", "TRADE", "TRADE", "EXPIRED"]
        order = executions[-1].order
        assert (order.status, order.executed, order.quantity) == (OrderStatus.EXPIRED, D(5), D(6))
        assert order.expiry_reason == "INSUFFICIENT_LIQUIDITY"
        assert venue.book(SYMBOL).best_bid is None

    def test_what_was_taken_does_not_fill_the_next(self) -> None:
        venue = engine()
        venue.place("ann", market_order(SELL, "5"), 7)
        assert kinds(venue.place("bob", market_order(SELL, "1"), 8)) == ["NEW", "EXPIRED"]
        venue.market(book((("99", "3"),), ()))
        assert fills(venue.place("bob", market_order(SELL, "1", name="m2"), 9)) == [(D(99), D(1))]

    def test_a_quote_amount_buys_whole_lots_and_never_spends_more(self) -> None:
        venue = engine()
        order = venue.place("ann", market_order(BUY, quote="500"), 7)[-1].order
        assert (order.status, order.quantity, order.quote_quantity) == (OrderStatus.FILLED, D("4.94"), D(500))
        assert order.cumulative_quote == 4 * D(101) + D("0.94") * D(102)

    def test_a_quote_amount_sells_for_at_most_that(self) -> None:
        order = engine().place("ann", market_order(SELL, quote="250"), 7)[-1].order
        assert (order.status, order.executed, order.cumulative_quote) == (OrderStatus.FILLED, D("2.5"), D("249.5"))

    def test_a_quote_amount_larger_than_the_book_expires(self) -> None:
        executions = engine().place("ann", market_order(SELL, quote="1000"), 7)
        order = executions[-1].order
        assert (order.status, order.executed, order.quantity) == (OrderStatus.EXPIRED, D(5), D("10.08"))
        assert order.expiry_reason == "INSUFFICIENT_LIQUIDITY"

    def test_a_quote_amount_needs_liquidity_of_the_minimum_lot(self) -> None:
        thin = engine(LOT_SIZE={"minQty": "0.5"}, MARKET_LOT_SIZE={"minQty": "0.6"})
        thin.market(book((), (("101", "0.40"),), snapshot=True))
        shortage = "Order book liquidity is less than"
        assert refused(thin, market_order(BUY, quote="500")) == (
            -2010,
            f"{shortage} `LOT_SIZE` filter minimum quantity.",
        )
        thin.market(book((), (("101", "0.55"),)))
        message = f"{shortage} `MARKET_LOT_SIZE` filter minimum quantity."
        assert refused(thin, market_order(BUY, quote="500")) == (-2010, message)
        assert refused(thin, market_order(SELL, quote="500")) == (-2010, f"{shortage} symbol minimum quantity.")

    def test_a_quote_amount_for_more_than_the_largest_lot_is_refused(self) -> None:
        capped = engine(MARKET_LOT_SIZE={"maxQty": "4"})
        assert refused(capped, market_order(BUY, quote="500")) == (-1013, "Filter failure: MARKET_LOT_SIZE")

    def test_a_buy_needs_what_the_book_charges_and_no_more(self) -> None:
        venue = engine()
        venue.open_account("cat", {"XYZ": D(505)})
        assert refused(venue, market_order(BUY, "5"), "cat") == (
            -2010,
            "Account has insufficient balance for requested action.",
        )
        assert venue.place("cat", market_order(BUY, "4.99"), 7)[-1].order.status is OrderStatus.FILLED

    def test_a_sell_needs_its_whole_quantity(self) -> None:
        assert refused(engine(), market_order(SELL, "20.01"))[0] == -2010

    def test_a_quote_amount_needs_that_much(self) -> None:
        venue = engine()
        venue.open_account("cat", {"XYZ": D(499)})
        assert refused(venue, market_order(BUY, quote="500"), "cat")[0] == -2010


class TestLimitOrders:
    def test_what_crosses_is_taken_at_the_book_s_price_and_the_rest_waits(self) -> None:
        venue = engine()
        executions = venue.place("ann", limit_order(BUY, "6", "101.5"), 7)
        assert fills(executions) == [(D(101), D(4))]
        order = executions[-1].order
        assert (order.status, order.remaining, order.locked) == (OrderStatus.PARTIALLY_FILLED, D(2), D(203))
        assert venue.balances("ann")["XYZ"] == Balance(D(10_000) - 404 - 203, D(203))
        assert venue.open_orders("ann", SYMBOL) == (order,)
        assert venue.open_orders("bob") == ()

    def test_a_limit_needs_its_price_for_its_quantity(self) -> None:
        venue = engine()
        venue.open_account("cat", {"XYZ": D(507)})
        assert refused(venue, limit_order(BUY, "5", "101.5"), "cat")[0] == -2010

    def test_immediate_or_cancel_takes_and_expires(self) -> None:
        venue = engine()
        order = venue.place("ann", limit_order(BUY, "6", "101.5", time_in_force=TimeInForce.IOC), 7)[-1].order
        assert (order.status, order.executed) == (OrderStatus.EXPIRED, D(4))
        assert order.expiry_reason == "UNFILLED_IOC_QUANTITY_EXPIRED"
        assert venue.balances("ann")["XYZ"].locked == 0

    def test_fill_or_kill_takes_all_or_nothing(self) -> None:
        venue = engine()
        killed = venue.place("ann", limit_order(BUY, "6", "101.5", time_in_force=TimeInForce.FOK), 7)
        assert kinds(killed) == ["NEW", "EXPIRED"]
        assert killed[-1].order.expiry_reason == "UNFILLED_FOK_ORDER_EXPIRED"
        filled = venue.place("ann", limit_order(BUY, "6", "102", time_in_force=TimeInForce.FOK, name="l2"), 7)
        assert filled[-1].order.status is OrderStatus.FILLED

    def test_a_maker_that_would_take_is_refused(self) -> None:
        crossing = limit_order(BUY, "1", "101", order_type=OrderType.LIMIT_MAKER)
        assert refused(engine(), crossing) == (-2010, "Order would immediately match and take.")
        resting = limit_order(BUY, "1", "100.9", order_type=OrderType.LIMIT_MAKER)
        assert kinds(engine().place("ann", resting, 7)) == ["NEW"]

    def test_users_orders_do_not_meet_each_other(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(BUY, "1", "100.8"), 7)
        assert kinds(venue.place("bob", limit_order(SELL, "1", "100.5"), 8)) == ["NEW"]


class TestRestingOrders:
    def test_the_book_crossing_fills_at_the_order_s_own_price_up_to_what_is_displayed(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(BUY, "5", "100.5"), 7)
        executions = venue.market(book((), (("100.2", "1"), ("100.4", "2"))))
        assert fills(executions) == [(D("100.5"), D(3))]
        fill = executions[0].fill
        assert fill is not None
        assert (fill.is_maker, fill.commission, executions[0].time_ms) == (True, D("0.003"), 1_000)
        assert venue.balances("ann")["XYZ"] == Balance(D("9497.5"), D(201))
        assert venue.book(SYMBOL).best_ask == (D(101), D(4))

    def test_a_new_top_fills_a_resting_sell(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(SELL, "5", "100.5"), 7)
        executions = venue.market(TopChanged(SYMBOL, 9, D("100.6"), D(9), D("100.7"), D(1)))
        assert executions[-1].order.status is OrderStatus.FILLED
        assert venue.open_orders("ann") == ()
        assert venue.book(SYMBOL).best_bid == (D("100.6"), D(4))

    def test_better_prices_fill_first_then_earlier_orders(self) -> None:
        venue = engine()
        for account, price, name in (("ann", "100.4", "a"), ("bob", "100.5", "b"), ("ann", "100.5", "c")):
            venue.place(account, limit_order(BUY, "1", price, name=name), 7)
        executions = venue.market(book((), (("100.3", "2.5"),)))
        assert [each.order.client_order_id for each in executions] == ["b", "c", "a"]
        assert executions[-1].order.executed == D("0.5")

    def test_a_print_beyond_the_price_fills_up_to_its_quantity(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(BUY, "5", "99.5"), 7)
        assert fills(venue.market(printed("99.4", "2"))) == [(D("99.5"), D(2))]
        assert venue.market(printed("99.6", "2")) == ()

    def test_a_print_at_the_price_fills_only_behind_what_was_displayed_ahead(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(BUY, "5", "99"), 7)
        assert venue.market(printed("99", "2")) == ()
        assert venue.order("ann", SYMBOL, client_order_id="l1").queue_ahead == 1
        assert fills(venue.market(printed("99", "3"))) == [(D(99), D(2))]
        assert fills(venue.market(printed("99", "1"))) == [(D(99), D(1))]

    def test_a_buyer_s_print_at_the_price_does_not_reach_a_bid(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(BUY, "5", "99.5"), 7)
        assert venue.market(printed("99.5", "2", seller_took=False)) == ()
        assert venue.market(printed("99.5", "2")) != ()

    def test_a_sell_waits_for_buyers_prints(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(SELL, "5", "102"), 7)
        assert venue.market(printed("102", "6", seller_took=True)) == ()
        assert fills(venue.market(printed("102", "6", seller_took=False))) == [(D(102), D(1))]
        assert fills(venue.market(printed("102.1", "1"))) == [(D(102), D(1))]

    def test_one_print_is_shared_by_price_and_time(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(BUY, "1", "99.5", name="a"), 7)
        venue.place("bob", limit_order(BUY, "1", "99.5", name="b"), 7)
        executions = venue.market(printed("99.5", "1.5"))
        assert [(e.order.client_order_id, e.order.executed) for e in executions] == [("a", D(1)), ("b", D("0.5"))]

    def test_prints_of_odd_lots_fill_whole_lots(self) -> None:
        venue = engine()
        venue.place("ann", limit_order(BUY, "1", "99.5"), 7)
        assert fills(venue.market(printed("99.4", "0.129"))) == [(D("99.5"), D("0.12"))]

    def test_other_symbols_events_change_nothing(self) -> None:
        venue = engine()
        before = state(venue)
        assert venue.market(replace(printed("1", "1"), symbol="OTHER")) == ()
        assert state(venue) == before
