"""A live book is the venue's book, or it is known not to be."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.conftest import levels
from thunes.domain.orderbook import OrderBook
from thunes.exchange.simulator.live_book import MOST_WAITING, Diff, LiveBook, Snapshot
from thunes.messages import BookChanged, Levels

SYMBOL = "BTCUSDT"
BIDS, ASKS = levels(("9", "1")), levels(("11", "1"))


def diff(first_id: int, last_id: int, bids: Levels = (), asks: Levels = ()) -> Diff:
    return Diff(SYMBOL, first_id, last_id, last_id * 1000, bids, asks)


def synced(at: int = 10) -> LiveBook:
    book = LiveBook(SYMBOL)
    book.change(diff(at, at))
    assert book.take(Snapshot(at, BIDS, ASKS))
    return book


def test_a_new_book_is_out_of_sync_and_asks_for_nothing_before_the_first_update() -> None:
    book = LiveBook(SYMBOL)

    assert (book.in_sync, book.wants_snapshot) == (False, False)
    assert book.change(diff(5, 6)) == ()
    assert (book.in_sync, book.wants_snapshot) == (False, True)


def test_a_snapshot_older_than_the_first_update_is_asked_for_again() -> None:
    book = LiveBook(SYMBOL)
    book.change(diff(5, 6))

    assert book.take(Snapshot(4, BIDS, ASKS)) == ()
    assert (book.in_sync, book.wants_snapshot) == (False, True)


def test_updates_that_the_snapshot_has_are_dropped_and_the_others_follow_it() -> None:
    book = LiveBook(SYMBOL)
    for each in (diff(5, 6), diff(7, 8), diff(9, 12, bids=levels(("9", "2")))):
        book.change(each)

    taken = book.take(Snapshot(8, BIDS, ASKS))

    assert taken == (
        BookChanged(SYMBOL, 12_000, BIDS, ASKS, snapshot=True),
        BookChanged(SYMBOL, 12_000, levels(("9", "2")), ()),
    )
    assert (book.in_sync, book.last_id) == (True, 12)


def test_a_snapshot_ahead_of_the_stream_counts_only_once_the_stream_is_there() -> None:
    book = LiveBook(SYMBOL)
    book.change(diff(5, 6))

    assert book.take(Snapshot(8, BIDS, ASKS)) == ()
    assert book.change(diff(7, 7)) == ()
    assert not book.in_sync
    assert book.change(diff(8, 9)) == (
        BookChanged(SYMBOL, 9_000, BIDS, ASKS, snapshot=True),
        BookChanged(SYMBOL, 9_000, (), ()),
    )
    assert book.in_sync


def test_an_update_that_follows_is_applied_and_one_that_is_known_is_not() -> None:
    book = synced(10)

    assert book.change(diff(9, 10)) == ()
    assert book.change(diff(11, 12, asks=levels(("11", "0")))) == (
        BookChanged(SYMBOL, 12_000, (), levels(("11", "0"))),
    )
    assert book.change(diff(12, 13)) == (BookChanged(SYMBOL, 13_000, (), ()),)


def test_a_gap_puts_it_out_of_sync_until_a_new_snapshot() -> None:
    book = synced(10)

    assert book.change(diff(12, 13, bids=levels(("9", "5")))) == ()
    assert (book.in_sync, book.wants_snapshot) == (False, True)
    assert book.take(Snapshot(11, BIDS, ASKS)) == ()
    assert book.take(Snapshot(13, BIDS, ASKS)) == (BookChanged(SYMBOL, 13_000, BIDS, ASKS, snapshot=True),)


def test_a_gap_while_it_waits_leaves_only_what_came_after_it() -> None:
    book = LiveBook(SYMBOL)
    book.change(diff(5, 6))
    book.change(diff(9, 10))

    assert book.take(Snapshot(6, BIDS, ASKS)) == ()
    assert book.wants_snapshot
    assert book.take(Snapshot(9, BIDS, ASKS))


def test_after_a_lost_connection_nothing_of_before_counts() -> None:
    book = synced(10)

    book.lose()

    assert (book.in_sync, book.wants_snapshot) == (False, False)
    assert book.change(diff(11, 12)) == ()
    assert book.take(Snapshot(10, BIDS, ASKS)) == ()
    assert not book.in_sync


def test_of_updates_without_a_snapshot_only_so_many_are_kept() -> None:
    book = LiveBook(SYMBOL)
    for number in range(1, MOST_WAITING + 2):
        book.change(diff(number, number))

    assert book.take(Snapshot(1, BIDS, ASKS)) == ()
    assert book.take(Snapshot(2, BIDS, ASKS))[0].snapshot


PRICES = [Decimal(price) for price in range(1, 21)]
MIDDLE = Decimal("10.5")

Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["diff", "diff", "diff", "lost", "again", "ask", "answer", "cut"]), st.integers(0, 10**6)
    ),
    max_size=60,
)


class Truth:
    """A venue's book after every update, and the updates as its stream bundles them."""

    def __init__(self) -> None:
        self.after: list[tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]] = [({}, {})]
        self.sent = 0

    def bundle(self, number: int) -> Diff:
        """One to three updates that depend on the number alone."""
        touched: dict[Decimal, None] = {}
        first = len(self.after)
        for step in range(1 + number % 3):
            bids, asks = (dict(side) for side in self.after[-1])
            price = PRICES[(number // 7 + step * 5) % len(PRICES)]
            (bids if price < MIDDLE else asks)[price] = Decimal((number // 11 + step) % 4)
            touched[price] = None
            self.after.append((bids, asks))
        last = len(self.after) - 1
        bids, asks = self.after[last]
        changed = [(p, bids[p]) for p in touched if p in bids], [(p, asks[p]) for p in touched if p in asks]
        return diff(first, last, tuple(changed[0]), tuple(changed[1]))

    def snapshot(self, at: int) -> Snapshot:
        bids, asks = self.after[at]
        return Snapshot(at, *(tuple((p, q) for p, q in side.items() if q) for side in (bids, asks)))


def shown(book: OrderBook) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    return dict(book.bids), dict(book.asks)


@given(STEPS)
def test_whatever_is_lost_doubled_or_late_it_is_the_true_book_or_out_of_sync(steps: list[Step]) -> None:
    truth, live, book = Truth(), LiveBook(SYMBOL), OrderBook()
    asked: list[Snapshot] = []
    heard: list[Diff] = []
    for kind, number in steps:
        events: tuple[BookChanged, ...] = ()
        if kind in ("diff", "lost"):
            made = truth.bundle(number)
            if kind == "diff":
                heard.append(made)
                events = live.change(made)
        elif kind == "again" and heard:
            events = live.change(heard[-1 - number % len(heard)])
        elif kind == "ask":
            asked.append(truth.snapshot(max(0, len(truth.after) - 1 - number % 4)))
        elif kind == "answer" and asked:
            events = live.take(asked.pop(number % len(asked)))
        elif kind == "cut":
            live.lose()
        for event in events:
            book.apply(event)
        if live.in_sync:
            expected = tuple({p: q for p, q in side.items() if q} for side in truth.after[live.last_id])
            assert shown(book) == expected


@given(STEPS, st.integers(0, 10**6))
def test_once_nothing_is_lost_any_more_it_comes_into_sync(steps: list[Step], number: int) -> None:
    truth, live = Truth(), LiveBook(SYMBOL)
    for kind, seed in steps:
        if kind in ("diff", "lost"):
            made = truth.bundle(seed)
            if kind == "diff":
                live.change(made)
        elif kind == "cut":
            live.lose()
    live.change(truth.bundle(number))
    if live.wants_snapshot:
        live.take(truth.snapshot(len(truth.after) - 1))

    assert live.in_sync
    assert live.last_id == len(truth.after) - 1


@pytest.mark.parametrize("last_id", [10, 11, 12])
def test_a_late_answer_to_an_old_request_does_not_disturb_a_book_in_sync(last_id: int) -> None:
    book = synced(11)

    assert book.take(Snapshot(last_id, (), ())) == ()
    assert (book.in_sync, book.last_id) == (True, 11)
    book.change(diff(14, 14))
    assert book.wants_snapshot
