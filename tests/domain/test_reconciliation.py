"""The books and the exchange are compared on what the system trades; what repairs a difference follows from it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from thunes.domain.books import Books, OpenOrder, Position
from thunes.domain.market import Fill, OrderAnswer, OwnTrade
from thunes.domain.reconciliation import TOLERANCE, Account, Found, Mismatch, compare, replay, settled, taken_over
from thunes.domain.symbol_rules import SymbolRules
from thunes.messages import OrderStatus, Side

D = Decimal
HOME, OTHER = "0a1b2c3d", "ffffffff"
SIGNAL = "5" * 20
RULES = {"BTCUSDT": SymbolRules("BTCUSDT", "BTC", "USDT", step_size=D("0.1"), min_quantity=D("0.1"))}
ASSETS = ("USDT", "BTC")
STOP = OpenOrder(
    SIGNAL, "BTCUSDT", "SELL", "STOP_LOSS_LIMIT", D(1), D(90), 0, 3, f"{HOME}-{SIGNAL}-s1", order_id=7, leg="s1"
)
"""A stop of ours that the exchange has taken."""


def answer(name: str, executed: str = "0") -> OrderAnswer:
    return OrderAnswer(
        "BTCUSDT", name, 7, OrderStatus.NEW, Side.SELL, "LIMIT", D(1), D(90), D(executed), D(0), 1_000
    )  # fmt: skip


def trade(trade_id: int, order_id: int = 99, side: Side = Side.SELL, quantity: str = "0.5") -> OwnTrade:
    amount = D(quantity) * 100
    return OwnTrade(order_id, side, Fill(trade_id, D(100), D(quantity), amount, D("0.05"), "USDT", 1_000, False))


def books(**balances: str) -> Books:
    found = Books(opening={}, compared={"BTCUSDT": 10})
    found.balances = {asset: D(amount) for asset, amount in balances.items()}
    return found


def account(*orders: OrderAnswer, trades: tuple[OwnTrade, ...] = (), **balances: str) -> Account:
    return Account({asset: D(amount) for asset, amount in balances.items()}, orders, {"BTCUSDT": trades}, {})


def look(ours: Books, theirs: Account, **other: Any) -> Found:
    return compare(ours, theirs, **{"assets": ASSETS, "home_id": HOME, **other})


def test_sides_that_agree_differ_in_nothing() -> None:
    assert look(books(USDT="9990.5", BTC="0.1"), account(USDT="9990.5", BTC="0.1")) == Found()


def test_a_difference_is_told_with_both_sides() -> None:
    found = look(books(USDT="9990"), account(USDT="9980"))
    assert found.mismatches == (Mismatch("USDT", "9990", "9980"),)
    assert (found.adjusted, found.only_balances) == ((("USDT", D(-10)),), True)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_difference_up_to_the_tolerance_is_none_and_one_beyond_it_is_one(sign: int) -> None:
    assert str(TOLERANCE) == "0.00001"
    ours = books(BTC="1")
    assert look(ours, account(BTC=str(1 + sign * TOLERANCE))).mismatches == ()
    assert look(ours, account(BTC=str(1 + sign * (TOLERANCE + D("0.00000001"))))).mismatches != ()


def test_an_asset_that_one_side_does_not_name_is_none_there() -> None:
    assert look(books(), account(BTC="0.5")).mismatches == (Mismatch("BTC", "0", "0.5"),)
    assert look(books(BTC="0.5"), account()).mismatches == (Mismatch("BTC", "0.5", "0"),)


def test_an_asset_that_is_not_traded_may_differ() -> None:
    assert look(books(USDT="1"), account(USDT="1", DOGE="5")) == Found()


def test_an_order_under_way_that_is_open_with_the_same_fills_agrees() -> None:
    ours = books()
    ours.orders = {STOP.key: STOP}
    assert look(ours, account(answer(STOP.client_order_id))) == Found()


@pytest.mark.parametrize("there", [(), (answer(STOP.client_order_id, "0.3"),)])
def test_an_order_under_way_that_the_exchange_sees_differently_is_asked_about(there: tuple[OrderAnswer, ...]) -> None:
    ours = books()
    ours.orders = {STOP.key: STOP}
    found = look(ours, account(*there))
    assert found.ask == (("BTCUSDT", STOP.key),)
    assert [(m.what, m.books) for m in found.mismatches] == [(f"order {STOP.client_order_id}", "open, 0 executed")]
    assert not found.only_balances


@pytest.mark.parametrize(
    ("name", "words", "strays"),
    [
        (f"{HOME}-{SIGNAL}", "open", ("BTCUSDT",)),
        (f"{OTHER}-{SIGNAL}", f"open, of another system with home {OTHER}", ()),
        ("web_1234", "open", ()),
    ],
)
def test_an_order_that_only_the_exchange_knows_is_a_mismatch_and_ours_is_a_stray(
    name: str, words: str, strays: tuple[str, ...]
) -> None:
    found = look(books(), account(answer(name)))
    assert found.mismatches == (Mismatch(f"order {name}", "unknown", words),)
    assert found.strays == strays


def test_a_trade_of_no_order_under_way_is_foreign_and_one_of_an_order_under_way_is_its_actors_to_find() -> None:
    ours = books()
    ours.orders = {STOP.key: STOP}
    found = look(ours, account(answer(STOP.client_order_id), trades=(trade(11, order_id=7), trade(12))))
    assert found.foreign == (("BTCUSDT", trade(12)),)
    assert [m.what for m in found.mismatches] == ["trade 11 of BTCUSDT", "trade 12 of BTCUSDT"]


def test_trades_that_are_counted_or_were_compared_before_agree() -> None:
    ours = books()
    ours.counted = {"BTCUSDT": frozenset({12})}
    assert look(ours, account(trades=(trade(9), trade(12)))) == Found()


def test_a_trade_that_the_exchange_does_not_have_is_a_mismatch() -> None:
    ours = books()
    ours.counted = {"BTCUSDT": frozenset({12})}
    assert look(ours, account()).mismatches == (Mismatch("trade 12 of BTCUSDT", "counted", "unknown"),)


def test_what_the_account_did_with_a_symbol_before_it_was_traded_here_is_nobodys_business() -> None:
    ours = books()
    ours.compared = {}
    assert look(ours, account(trades=(trade(3), trade(4)))) == Found()


def test_books_are_settled_when_all_that_is_under_way_rests_at_the_exchange() -> None:
    ours = books()
    assert settled(ours)
    ours.orders = {STOP.key: STOP}
    assert settled(ours)
    ours.orders = {STOP.key: replace(STOP, order_id=0)}
    assert not settled(ours)
    ours.orders = {STOP.key: replace(STOP, order_type="MARKET")}
    assert not settled(ours)


class Line:
    """A journal line as the fold reads it."""

    def __init__(self, seq: int, event: str, metadata: dict[str, Any], side: Side | None = None) -> None:
        self.seq, self.event, self.metadata, self.side = seq, event, metadata, side
        self.symbol, self.correlation_id = "BTCUSDT", None


def replayed(seq: int, found: OwnTrade) -> Line:
    event = replay(found, answer("by-hand"), RULES["BTCUSDT"])
    return Line(seq, event.name, dict(event.metadata), found.side)


def holding_one() -> Books:
    ours = books(USDT="900", BTC="1")
    ours.positions = {"BTCUSDT": Position("BTCUSDT", D(1), D(100), is_open=True, entry_id="c1")}
    return ours


def test_a_position_sold_by_hand_is_closed_and_its_profit_counted_once() -> None:
    ours = holding_one()
    for line in (replayed(1, trade(11)), replayed(2, trade(12)), replayed(3, trade(12))):
        ours.apply(line)
    assert ours.balances == {"USDT": D("999.90"), "BTC": D(0)}
    assert ours.holding("BTCUSDT") is None
    assert ours.realised_today == D("-0.10")
    assert [(p.event, p.pnl) for p in ours.pending.values()] == [("POSITION_CLOSED", D("-0.10"))]
    assert look(ours, account(USDT="999.90", BTC="0", trades=(trade(11), trade(12)))) == Found()


def test_what_somebody_buys_by_hand_is_on_the_account_and_no_position_of_ours() -> None:
    ours = books(USDT="1000")
    ours.apply(replayed(1, trade(11, side=Side.BUY)))
    assert ours.balances == {"USDT": D("949.95"), "BTC": D("0.5")}
    assert not ours.open_positions
    assert not ours.pending


def test_more_sold_by_hand_than_is_ours_closes_the_position_with_its_share_of_the_proceeds() -> None:
    ours = holding_one()
    ours.balances["BTC"] = D(5)
    ours.apply(replayed(1, trade(11, quantity="4")))
    assert ours.balances["BTC"] == D(1)
    assert ours.holding("BTCUSDT") is None
    assert ours.realised_total == D("399.95") / 4 - 100


def test_a_deposit_is_taken_over_and_leaves_the_position_alone() -> None:
    ours = holding_one()
    found = look(ours, account(USDT="1900", BTC="1"))
    ours.apply(Line(1, "RECONCILED", {"trades": {"BTCUSDT": 15}, **taken_over(found, ours, RULES)}))
    assert ours.balances == {"USDT": D(1900), "BTC": D(1)}
    assert ours.positions["BTCUSDT"].quantity == 1
    assert ours.compared == {"BTCUSDT": 15}


@pytest.mark.parametrize(("left", "is_open"), [("0.4", True), ("0.04", False), ("0", False)])
def test_a_withdrawal_of_what_is_held_cuts_the_position_and_its_cost(left: str, is_open: bool) -> None:
    ours = holding_one()
    found = look(ours, account(USDT="900", BTC=left))
    ours.apply(Line(1, "RECONCILED", taken_over(found, ours, RULES)))
    position = ours.positions["BTCUSDT"]
    assert (position.quantity, position.cost, position.is_open) == (D(left), D(left) * 100, is_open)
    assert ours.balances["BTC"] == D(left)


def test_a_withdrawal_of_what_is_not_the_positions_leaves_it_alone() -> None:
    ours = holding_one()
    ours.balances["BTC"] = D(3)
    found = look(ours, account(USDT="900", BTC="1.5"))
    ours.apply(Line(1, "RECONCILED", taken_over(found, ours, RULES)))
    assert ours.positions["BTCUSDT"].quantity == 1
