"""The books are a fold: the same events, the same books, each event once."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from thunes.domain.books import Books

D = Decimal
DAY = 86_400_000


@dataclass(frozen=True)
class Line:
    seq: int
    event: str
    symbol: str | None = "BTCUSDT"
    side: str | None = "BUY"
    correlation_id: str | None = "c1"
    metadata: dict[str, Any] = field(default_factory=dict)


def started() -> Line:
    return Line(1, "SYSTEM_STARTED", None, None, None, {"opening_balances": {"USDT": "10000", "BTC": "2"}})


def approved(seq: int, cid: str = "c1", side: str = "BUY", quantity: str = "0.5") -> Line:
    meta = {
        "order_type": "MARKET",
        "quantity": quantity,
        "reference_price": "100",
        "epoch": 0,
        "client_order_id": f"home-{cid}",
    }
    return Line(seq, "TRADE_APPROVED", side=side, correlation_id=cid, metadata=meta)


def fill(
    seq: int,
    quantity: str,
    price: str = "100",
    *,
    cid: str = "c1",
    side: str = "BUY",
    trade_id: int = 1,
    fee: str = "0",
    fee_asset: str = "BTC",
    last: bool = True,
    at_ms: int = DAY,
) -> Line:
    meta = {
        "trade_id": trade_id,
        "price": price,
        "quantity": quantity,
        "quote_quantity": str(D(price) * D(quantity)),
        "commission": fee,
        "commission_asset": fee_asset,
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "min_sellable": "0.05",
        "market_time": at_ms,
    }
    return Line(seq, "ORDER_FILLED" if last else "ORDER_PARTIALLY_FILLED", side=side, correlation_id=cid, metadata=meta)


def fold(*lines: Line) -> Books:
    books = Books()
    for line in lines:
        books.apply(line)
    return books


def test_opening_balances_are_balances_not_positions() -> None:
    books = fold(started())
    assert books.balances == {"USDT": D(10000), "BTC": D(2)}
    assert not books.positions


def test_an_approval_is_reserved_until_its_last_event() -> None:
    books = fold(started(), approved(2))
    assert books.orders["c1"].notional == D(50)
    books.apply(fill(3, "0.2", last=False))
    assert books.orders["c1"].executed == D("0.2")
    books.apply(fill(4, "0.3", trade_id=2))
    assert not books.orders


@pytest.mark.parametrize("name", ["ORDER_CANCELED", "ORDER_REJECTED", "ORDER_EXPIRED"])
def test_an_end_without_a_fill_frees_the_reservation(name: str) -> None:
    assert not fold(started(), approved(2), Line(3, name)).orders


def test_an_order_of_unknown_fate_keeps_its_reservation_until_it_is_known_to_be_absent() -> None:
    books = fold(started(), approved(2), Line(3, "ORDER_UNKNOWN"))
    assert books.orders
    books.apply(Line(4, "ORDER_RESOLVED", metadata={"found": True}))
    assert books.orders
    books.apply(Line(5, "ORDER_RESOLVED", metadata={"found": False}))
    assert not books.orders


def test_a_fee_in_base_makes_the_position_smaller_and_the_balances_add_up() -> None:
    books = fold(started(), approved(2), fill(3, "0.5", fee="0.0005"))
    position = books.positions["BTCUSDT"]
    assert (position.quantity, position.cost, position.is_open) == (D("0.4995"), D(50), True)
    assert books.balances == {"USDT": D(9950), "BTC": D("2.4995")}


def test_the_same_fill_told_twice_counts_once() -> None:
    once = fold(started(), approved(2), fill(3, "0.2", last=False))
    twice = fold(started(), approved(2), fill(3, "0.2", last=False), fill(4, "0.2", last=False))
    assert once.balances == twice.balances
    assert once.positions == twice.positions


def test_an_event_that_was_applied_is_not_applied_again() -> None:
    lines = (started(), approved(2), fill(3, "0.5"))
    books = fold(*lines)
    assert not books.orders
    for line in lines:
        assert fold(*lines, line) == books


def bought_and_sold(price: str, quantity: str = "0.4") -> Books:
    return fold(
        started(),
        approved(2),
        fill(3, "0.5", fee="0.0005"),
        approved(4, "c2", "SELL", quantity),
        fill(5, quantity, price, cid="c2", side="SELL", trade_id=2, fee="0.04", fee_asset="USDT"),
    )


def test_a_sell_realises_its_share_of_the_cost_net_of_fees() -> None:
    books = bought_and_sold("110", "0.333")
    assert books.realised_total == D("36.63") - D("0.04") - D(50) * D("0.333") / D("0.4995")
    assert books.positions["BTCUSDT"].is_open


def test_what_the_filters_forbid_to_sell_is_dust_that_closes_the_position_and_joins_the_next() -> None:
    books = bought_and_sold("110", "0.499")
    position = books.positions["BTCUSDT"]
    assert (position.quantity, position.is_open) == (D("0.0005"), False)
    assert not books.open_positions
    books.apply(approved(6, "c3"))
    books.apply(fill(7, "0.5", cid="c3", trade_id=3))
    assert books.positions["BTCUSDT"].quantity == D("0.5005")
    assert books.positions["BTCUSDT"].cost == 50 + position.cost


def test_a_losing_round_starts_the_cool_down_and_a_winning_one_does_not() -> None:
    assert bought_and_sold("90", "0.499").last_loss_ms == DAY
    assert bought_and_sold("110", "0.499").last_loss_ms == 0


def test_opening_and_closing_are_due_until_they_are_in_the_journal() -> None:
    books = bought_and_sold("110", "0.499")
    assert [(change.event, seq) for seq, change in books.pending.items()] == [
        ("POSITION_OPENED", 3),
        ("POSITION_CLOSED", 5),
    ]
    books.apply(Line(6, "POSITION_OPENED", metadata={"fill_seq": 3}))
    assert list(books.pending) == [5]


def test_a_new_day_starts_with_nothing_realised() -> None:
    books = bought_and_sold("90", "0.499")
    assert books.realised_today < 0
    books.apply(Line(6, "DAILY_RESET", None, None, None, {"day": "1970-01-03"}))
    assert books.realised_today == 0
    assert books.realised_total < 0


def test_a_kill_and_its_epoch_are_remembered() -> None:
    books = fold(started(), Line(2, "KILL_SWITCH_ACTIVATED", metadata={"epoch": 1, "why": "test", "since": "now"}))
    assert (books.kill_active, books.epoch, books.kill_reason) == (True, 1, "test")
    books.apply(Line(3, "KILL_SWITCH_DEACTIVATED", metadata={"epoch": 2}))
    assert (books.kill_active, books.epoch) == (False, 2)


PAIR = {
    "order_type": "STOP_LOSS_LIMIT", "quantity": "0.4", "reference_price": "97", "price": "97", "stop_price": "98",
    "epoch": 0, "client_order_id": "h-c1-s1", "leg": "s1", "protection": 1,
    "profit": {"client_order_id": "h-c1-t1", "leg": "t1", "price": "105"},
}  # fmt: skip


def test_one_line_lets_a_stop_and_its_sale_go_and_each_has_an_end_of_its_own() -> None:
    line = Line(4, "ORDER_SUBMITTED", side="SELL", correlation_id="c1", metadata=PAIR)
    books = fold(started(), approved(2), fill(3, "0.5"), line)
    stop, sale = books.orders["c1-s1"], books.orders["c1-t1"]
    assert (stop.client_order_id, stop.price, stop.stop_price) == ("h-c1-s1", D(97), D(98))
    assert (sale.client_order_id, sale.price, sale.stop_price) == ("h-c1-t1", D(105), None)
    assert (stop.order_type, sale.order_type, sale.quantity) == ("STOP_LOSS_LIMIT", "LIMIT_MAKER", D("0.4"))
    assert books.positions["BTCUSDT"].protections == 1
    books.apply(Line(5, "ORDER_EXPIRED", side="SELL", correlation_id="c1", metadata={"leg": "t1"}))
    assert list(books.orders) == ["c1-s1"]
