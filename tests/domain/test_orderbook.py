"""The public book: levels in order, never crossed, and taken from only as far as it is displayed."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.sample_market import book, levels
from thunes.domain.orderbook import OrderBook
from thunes.messages import BookChanged, Side, TopChanged

D = Decimal


def displayed() -> OrderBook:
    result = OrderBook()
    result.apply(book((("99", "3"), ("100", "2"), ("98", "1")), (("102", "5"), ("101", "4"), ("103", "6"))))
    return result


def top(bid: str, bid_quantity: str, ask: str, ask_quantity: str) -> TopChanged:
    return TopChanged("ABCXYZ", 2_000, D(bid), D(bid_quantity), D(ask), D(ask_quantity))


def test_levels_come_best_first_whatever_their_order_of_arrival() -> None:
    bids, asks = displayed().levels()
    assert bids == levels(("100", "2"), ("99", "3"), ("98", "1"))
    assert asks == levels(("101", "4"), ("102", "5"), ("103", "6"))
    assert displayed().levels(1) == (bids[:1], asks[:1])


def test_an_update_replaces_quantities_and_0_removes() -> None:
    changed = displayed()
    changed.apply(book((("100", "0"), ("99", "7")), (("104", "0"), ("101", "1"))))
    assert changed.best_bid == (D(99), D(7))
    assert changed.best_ask == (D(101), D(1))


def test_a_snapshot_replaces_the_whole_book() -> None:
    changed = displayed()
    changed.apply(book((("50", "1"),), (), snapshot=True))
    assert changed.levels() == (levels(("50", "1")), ())
    assert changed.best_ask is None


def test_a_crossing_bid_trims_the_older_asks() -> None:
    crossed = displayed()
    crossed.apply(book((("102", "1"),), ()))
    assert crossed.best_bid == (D(102), D(1))
    assert crossed.best_ask == (D(103), D(6))


def test_a_crossing_ask_trims_the_older_bids() -> None:
    crossed = displayed()
    crossed.apply(book((), (("99", "1"),)))
    assert crossed.best_ask == (D(99), D(1))
    assert crossed.best_bid == (D(98), D(1))


def test_an_update_that_moves_the_whole_book_trims_nothing_of_itself() -> None:
    moved = displayed()
    moved.apply(book((("100", "0"), ("101", "8")), (("101", "0"), ("102", "9"))))
    assert moved.best_bid == (D(101), D(8))
    assert moved.best_ask == (D(102), D(9))


def test_of_an_update_that_crosses_itself_the_asks_stand() -> None:
    changed = OrderBook()
    changed.apply(book((("100", "1"), ("98", "1")), (("99", "1"),)))
    assert changed.levels() == (levels(("98", "1")), levels(("99", "1")))


def test_a_top_removes_better_levels_and_keeps_worse_ones() -> None:
    changed = displayed()
    changed.apply(top("99", "9", "102", "8"))
    assert changed.levels() == (levels(("99", "9"), ("98", "1")), levels(("102", "8"), ("103", "6")))
    changed.apply(top("99.5", "1", "101.5", "2"))
    assert changed.best_bid == (D("99.5"), D(1))
    assert changed.best_ask == (D("101.5"), D(2))


def test_a_top_beyond_the_other_side_leaves_no_cross() -> None:
    changed = displayed()
    changed.apply(top("105", "1", "106", "1"))
    assert changed.best_bid == (D(105), D(1))
    assert changed.best_ask == (D(106), D(1))
    changed.apply(top("90", "1", "91", "1"))
    assert changed.levels() == (levels(("90", "1")), levels(("91", "1"), ("106", "1")))


def test_walking_takes_level_by_level_and_changes_nothing() -> None:
    unchanged = displayed()
    assert unchanged.walk(Side.BUY, D(6)) == levels(("101", "4"), ("102", "2"))
    assert unchanged.walk(Side.SELL, D(6)) == levels(("100", "2"), ("99", "3"), ("98", "1"))
    assert unchanged.levels() == displayed().levels()


def test_walking_stops_at_the_limit_and_at_the_end_of_the_book() -> None:
    assert displayed().walk(Side.BUY, D(100), limit=D(102)) == levels(("101", "4"), ("102", "5"))
    assert displayed().walk(Side.SELL, D(100), limit=D(100)) == levels(("100", "2"))
    assert displayed().walk(Side.SELL, D(100), limit=D("100.1")) == ()
    assert sum(quantity for _, quantity in displayed().walk(Side.BUY, D(100))) == 15


def test_walking_takes_whole_lots_from_each_level() -> None:
    odd = OrderBook()
    odd.apply(book((), (("101", "0.25"), ("102", "0.09"), ("103", "5"))))
    assert odd.walk(Side.BUY, D(1), step=D("0.1")) == levels(("101", "0.2"), ("103", "0.8"))


def test_what_is_consumed_stays_consumed_until_the_level_changes() -> None:
    taken = displayed()
    taken.consume(Side.BUY, levels(("101", "4"), ("102", "2")))
    assert taken.best_ask == (D(102), D(3))
    taken.apply(book((("97", "1"),), (("103", "9"),)))
    assert taken.best_ask == (D(102), D(3))
    taken.apply(book((), (("101", "4"), ("102", "5"))))
    assert taken.levels()[1] == levels(("101", "4"), ("102", "5"), ("103", "9"))


PRICES = st.integers(1, 12).map(D)
QUANTITIES = st.integers(0, 3).map(D)
SIDE = st.lists(st.tuples(PRICES, QUANTITIES), max_size=4).map(tuple)
DELTAS = st.builds(lambda bids, asks, whole: BookChanged("ABCXYZ", 0, bids, asks, whole), SIDE, SIDE, st.booleans())
TOPS = st.builds(
    lambda bid, spread, n, m: TopChanged("ABCXYZ", 0, bid, n, bid + spread, m), PRICES, PRICES, QUANTITIES, QUANTITIES
)


@given(st.lists(st.one_of(DELTAS, TOPS), max_size=30))
def test_no_sequence_of_updates_crosses_or_disorders_the_book(events: list[BookChanged | TopChanged]) -> None:
    changed = OrderBook()
    for event in events:
        changed.apply(event)
        bids, asks = changed.levels()
        assert list(bids) == sorted(bids, reverse=True)
        assert list(asks) == sorted(asks)
        assert all(quantity > 0 for _, quantity in bids + asks)
        assert len({price for price, _ in bids + asks}) == len(bids + asks)
        assert not bids or not asks or bids[0][0] < asks[0][0]
