"""A market that is halted: whatever is heard of it, nothing fills before its book is known again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from thunes.domain.executions import OrderRequest
from thunes.domain.matching import MatchingEngine
from thunes.domain.symbol_rules import SymbolRules
from thunes.errors import ExchangeError
from thunes.messages import BookChanged, OrderStatus, OrderType, PublicTrade, Side, TopChanged

ACCOUNT, SYMBOL = "default", "BTCUSDT"
NOW_MS = 1_700_000_000_000


def d(text: str) -> Decimal:
    return Decimal(text)


def book(bid: str, ask: str, *, snapshot: bool = False) -> BookChanged:
    return BookChanged(SYMBOL, NOW_MS, ((d(bid), d("5")),), ((d(ask), d("5")),), snapshot)


def trade(number: int, price: str) -> PublicTrade:
    return PublicTrade(SYMBOL, number, d(price), d("50"), NOW_MS, True)


def request(kind: OrderType, side: Side = Side.BUY, **more: Decimal) -> OrderRequest:
    given: dict[str, Any] = {"price": None, "quote_quantity": None, **more}
    return OrderRequest(symbol=SYMBOL, side=side, order_type=kind, quantity=d("1"), client_order_id=kind, **given)


@pytest.fixture
def engine() -> MatchingEngine:
    """Bid 99, ask 101; a buy rests at 98, a stop waits to sell at 97; then the market is halted."""
    kinds = frozenset(kind.value for kind in OrderType)
    rules = SymbolRules(SYMBOL, "BTC", "USDT", order_types=kinds, tick_size=d("0.01"), step_size=d("0.001"))
    made = MatchingEngine({SYMBOL: rules}, maker_fee=d("0"), taker_fee=d("0"))
    made.open_account(ACCOUNT, {"USDT": d("1000"), "BTC": d("5")})
    made.market(book("99", "101", snapshot=True))
    made.market(trade(1, "100"))
    made.place(ACCOUNT, request(OrderType.LIMIT, price=d("98")), NOW_MS)
    made.place(ACCOUNT, request(OrderType.STOP_LOSS, Side.SELL, stop_price=d("97")), NOW_MS)
    made.halt(SYMBOL)
    return made


@pytest.mark.parametrize("kind", [OrderType.MARKET, OrderType.LIMIT])
def test_an_order_is_refused_as_by_a_closed_market(engine: MatchingEngine, kind: OrderType) -> None:
    price = {"price": d("101")} if kind is OrderType.LIMIT else {}
    with pytest.raises(ExchangeError, match=r"^code=-2010 Market is closed\.$"):
        engine.place(ACCOUNT, request(kind, **price), NOW_MS)


@pytest.mark.parametrize(
    "event", [book("90", "91"), trade(2, "90"), TopChanged(SYMBOL, NOW_MS, d("90"), d("1"), d("91"), d("1"))]
)
def test_nothing_that_is_heard_fills_or_triggers(
    engine: MatchingEngine, event: BookChanged | PublicTrade | TopChanged
) -> None:
    assert engine.market(event) == ()
    assert len(engine.open_orders(ACCOUNT)) == 2


def test_a_public_trade_still_sets_the_last_price_but_a_change_leaves_the_book(engine: MatchingEngine) -> None:
    engine.market(trade(2, "90"))
    engine.market(book("90", "91"))

    assert engine.last_price(SYMBOL) == d("90")
    assert engine.book(SYMBOL).best_bid == (d("99"), d("5"))


def test_what_is_open_can_be_cancelled(engine: MatchingEngine) -> None:
    cancelled = engine.cancel_all(ACCOUNT, SYMBOL, NOW_MS, "c")

    assert {each.order.status for each in cancelled} == {OrderStatus.CANCELED}


def test_the_next_snapshot_opens_it_and_fills_what_that_reaches(engine: MatchingEngine) -> None:
    (filled,) = engine.market(book("95", "96", snapshot=True))

    assert (filled.order.status, filled.order.order_type) == (OrderStatus.FILLED, OrderType.LIMIT)
    assert filled.fill is not None
    assert filled.fill.price == d("98")
    assert engine.place(ACCOUNT, request(OrderType.MARKET), NOW_MS)[-1].order.status is OrderStatus.FILLED


def test_a_stop_passed_by_unseen_goes_off_with_the_next_trade_that_reaches_it(engine: MatchingEngine) -> None:
    engine.market(trade(2, "90"))
    engine.cancel(ACCOUNT, SYMBOL, client_order_id="LIMIT", cancel_id="c", now_ms=NOW_MS)
    assert engine.market(book("95", "96", snapshot=True)) == ()

    executions = engine.market(trade(3, "96"))

    assert executions[-1].order.status is OrderStatus.FILLED
    assert executions[-1].fill is not None
    assert executions[-1].fill.price == d("95")
