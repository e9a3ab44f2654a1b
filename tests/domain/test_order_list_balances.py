"""Whatever the market does to pairs, balances add up and no lock is negative."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.domain.test_order_lists import BUY, SELL, D, buying, selling, traded
from tests.sample_market import SYMBOL, book, printed
from thunes.domain.executions import NO_LIST, Balance, OrderList
from thunes.domain.matching import MatchingEngine
from thunes.errors import ExchangeError
from thunes.messages import OrderStatus

PRICES = st.integers(930, 1070).map(lambda tenths: str(D(tenths) / 10))
SIZES = st.integers(1, 400).map(lambda cents: str(D(cents) / 100))
STEPS = st.one_of(
    st.tuples(st.just("print"), PRICES, SIZES, st.booleans()),
    st.tuples(st.just("book"), st.integers(940, 1060), SIZES, st.booleans()),
    st.tuples(st.just("pair"), st.sampled_from([SELL, BUY]), SIZES, st.booleans()),
    st.tuples(st.just("cancel"), st.integers(0, 5), SIZES, st.booleans()),
)


def take(venue: MatchingEngine, number: int, step: tuple[object, ...]) -> None:
    kind, first, size, flag = step
    if kind == "print":
        venue.market(printed(str(first), str(size), seller_took=bool(flag)))
    elif kind == "book":
        bid = D(int(str(first))) / 10
        venue.market(book(((str(bid), str(size)),), ((str(bid + 1), str(size)),), snapshot=True))
    elif kind == "cancel":
        for pair in venue.open_lists("ann")[:1]:
            venue.cancel_list("ann", SYMBOL, list_id=pair.list_id, cancel_id=f"c{number}", now_ms=number)
    else:
        last, limit = venue.last_price(SYMBOL), None if flag else "x"
        up, down = str(round(last + 3, 1)), str(round(last - 3, 1))
        sells = selling(up, down, limit and down, size=str(size))
        made = sells if first is SELL else buying(down, up, limit and up, str(size))
        named = replace(
            made,
            above=replace(made.above, client_order_id=f"a{number}"),
            below=replace(made.below, client_order_id=f"b{number}"),
            client_list_id=f"l{number}",
        )
        with suppress(ExchangeError):
            venue.place_pair("ann", named, number)


def open_legs(venue: MatchingEngine, pair: OrderList) -> int:
    return sum(order.list_id == pair.list_id for order in venue.open_orders("ann"))


@given(st.lists(STEPS, min_size=1, max_size=25))
def test_balances_add_up_and_a_pair_pays_for_one_of_its_orders(steps: list[tuple[object, ...]]) -> None:
    venue = traded()
    for number, step in enumerate(steps, 1):
        take(venue, number, step)
        held = venue.balances("ann")
        assert all(each.free >= 0 and each.locked >= 0 for each in held.values())
        for side, asset in ((SELL, "ABC"), (BUY, "XYZ")):
            expected = sum((o.locked for o in venue.open_orders("ann") if o.side is side), D(0))
            assert held[asset].locked == expected
        for asset, flow in venue.flows().items():
            totals = sum((venue.balances(who).get(asset, Balance()).total for who in ("ann", "bob")), D(0))
            assert totals + flow.fees + flow.market == flow.deposited
        assert all(open_legs(venue, pair) in (1, 2) for pair in venue.open_lists("ann"))
        traded_orders = [o for o in venue.open_orders("ann") if o.list_id != NO_LIST and o.executed]
        assert all(o.held is None and o.status is OrderStatus.PARTIALLY_FILLED for o in traded_orders)
