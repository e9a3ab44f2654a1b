"""A position's stop rests on the exchange with the position's quantity, at its terms, once and not beside an exit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from thunes.domain.books import Books, OpenOrder, Position
from thunes.domain.protection import Place, Remove, Stop, next_step, resting_limit, wanted
from thunes.domain.symbol_rules import SymbolRules
from thunes.messages import OrderType, Side

D = Decimal
RULES = SymbolRules(
    "BTCUSDT", "BTC", "USDT", order_types=frozenset({"LIMIT", "MARKET", "STOP_LOSS_LIMIT"}), tick_size=D("0.5"),
    step_size=D("0.1"), min_quantity=D("0.1"), min_notional=D(5),
)  # fmt: skip
OFFSET = D("0.01")
HELD = Position("BTCUSDT", D("1.05"), D(105), is_open=True, entry_id="c1", stop_loss=D("0.02"))
ORDER = OpenOrder("c2", "BTCUSDT", "SELL", "MARKET", D(1), D(100), 0, 5, "home-c2")
STOP = Stop(D("1.0"), D("98.0"), D("97.0"))
RESTING = OpenOrder(
    "c1", "BTCUSDT", "SELL", "STOP_LOSS_LIMIT", STOP.quantity, STOP.limit_price, 0, 4, "home-c1-s1",
    order_id=9, leg="s1", price=STOP.limit_price, stop_price=STOP.stop_price,
)  # fmt: skip


def books(*orders: OpenOrder, position: Position | None = HELD) -> Books:
    found = Books()
    found.orders = {order.key: order for order in orders}
    if position is not None:
        found.positions = {position.symbol: position}
    return found


def step(ours: Books, rules: SymbolRules = RULES) -> Place | Remove | None:
    return next_step(ours, rules, limit_offset=OFFSET, market_ms=1_000, params_hash="p")


def test_the_stop_is_on_the_exchanges_grid_below_the_entry_price_and_for_what_can_be_sold() -> None:
    assert wanted(HELD, RULES, OFFSET) == STOP


@pytest.mark.parametrize(
    ("position", "rules"),
    [
        (replace(HELD, stop_loss=None), RULES),
        (replace(HELD, is_open=False), RULES),
        (replace(HELD, quantity=D("0.05"), cost=D(5)), RULES),
        (HELD, replace(RULES, order_types=frozenset({"MARKET"}))),
        (HELD, replace(RULES, min_notional=D(98))),
        (HELD, replace(RULES, min_price=D(98))),
    ],
)
def test_no_stop_where_there_are_no_terms_no_position_or_the_rules_do_not_allow_it(
    position: Position, rules: SymbolRules
) -> None:
    assert wanted(position, rules, OFFSET) is None
    assert step(books(position=position), rules) is None


def test_a_stop_never_asks_for_more_than_one_order_may_have() -> None:
    found = wanted(HELD, replace(RULES, max_quantity=D("0.7")), OFFSET)
    assert found is not None
    assert found.quantity == D("0.7")


def test_an_unprotected_position_gets_its_next_stop_under_the_entrys_name() -> None:
    found = step(books(position=replace(HELD, protections=3)))
    assert isinstance(found, Place)
    order = found.order
    assert (found.number, order.leg, order.correlation_id, order.key) == (4, "s4", "c1", "c1-s4")
    assert (order.side, order.order_type) == (Side.SELL, OrderType.STOP_LOSS_LIMIT)
    assert (order.quantity, order.stop_price, order.price) == (D(1), D(98), D(97))


def test_what_rests_as_wanted_is_left_alone() -> None:
    assert step(books(RESTING)) is None


def test_a_stop_that_filled_in_part_still_fits_what_is_left() -> None:
    position = replace(HELD, quantity=D("0.65"), cost=D(65))
    assert step(books(replace(RESTING, executed=D("0.4")), position=position)) is None


@pytest.mark.parametrize(
    "position",
    [
        replace(HELD, quantity=D(2), cost=D(200)),
        replace(HELD, cost=D(110)),
        replace(HELD, is_open=False, quantity=D("0.05"), cost=D(5)),
        None,
    ],
)
def test_a_stop_that_no_longer_fits_the_position_is_removed_first(position: Position | None) -> None:
    assert step(books(RESTING, position=position)) == Remove(("c1-s1",))


def test_two_stops_are_one_too_many() -> None:
    assert step(books(RESTING, replace(RESTING, leg="s2"))) == Remove(("c1-s1", "c1-s2"))


PAIRED = replace(RULES, order_types=RULES.order_types | {"LIMIT_MAKER"}, oco_allowed=True)
WITH_TERMS = replace(HELD, take_profit=D("0.049"))
SALE = RESTING.beside("t1", "home-c1-t1", D("105.0"))


def test_with_a_take_profit_a_sale_above_the_entry_price_goes_beside_the_stop() -> None:
    assert wanted(WITH_TERMS, PAIRED, OFFSET) == replace(STOP, profit_price=D("105.0"))
    found = step(books(position=WITH_TERMS), PAIRED)
    assert isinstance(found, Place)
    sale = found.order.profit
    assert sale is not None
    assert (sale.key, sale.order_type, sale.side) == ("c1-t1", OrderType.LIMIT_MAKER, Side.SELL)
    assert (sale.quantity, sale.price, sale.stop_price, sale.profit) == (D(1), D(105), None, None)


@pytest.mark.parametrize(
    ("position", "rules"),
    [
        (HELD, PAIRED),
        (WITH_TERMS, replace(PAIRED, oco_allowed=False)),
        (WITH_TERMS, replace(PAIRED, order_types=RULES.order_types)),
        (replace(WITH_TERMS, take_profit=D(90)), replace(PAIRED, max_price=D(9_000))),
    ],
)
def test_the_stop_goes_alone_where_there_are_no_terms_or_the_symbol_allows_no_pair(
    position: Position, rules: SymbolRules
) -> None:
    assert wanted(position, rules, OFFSET) == STOP


def test_a_stop_that_was_refused_as_a_pair_goes_alone() -> None:
    found = next_step(
        books(position=WITH_TERMS), PAIRED, limit_offset=OFFSET, market_ms=1, params_hash="p", paired=False
    )
    assert isinstance(found, Place)
    assert found.order.profit is None


@pytest.mark.parametrize("resting", [(RESTING, SALE), (SALE, RESTING), (RESTING,)])
def test_a_pair_as_wanted_or_a_stop_whose_sale_has_ended_is_left_alone(resting: tuple[OpenOrder, ...]) -> None:
    assert step(books(*resting, position=WITH_TERMS), PAIRED) is None


@pytest.mark.parametrize(
    "resting",
    [
        (SALE,),
        (RESTING, replace(SALE, price=D(104))),
        (RESTING, replace(SALE, executed=D("0.1"))),
        (RESTING, SALE, replace(SALE, leg="t2")),
    ],
)
def test_a_sale_without_its_stop_or_another_than_wanted_is_removed_with_what_rests_beside_it(
    resting: tuple[OpenOrder, ...],
) -> None:
    assert step(books(*resting, position=WITH_TERMS), PAIRED) == Remove(tuple(order.key for order in resting))


def test_a_sale_without_terms_is_removed() -> None:
    assert step(books(RESTING, SALE), PAIRED) == Remove(("c1-s1", "c1-t1"))


@pytest.mark.parametrize("side", ["SELL", "BUY"])
def test_while_a_market_order_is_under_way_nothing_is_done(side: str) -> None:
    assert step(books(replace(ORDER, side=side))) is None
    assert step(books(replace(ORDER, side=side), RESTING, position=replace(HELD, quantity=D(2)))) is None


def test_while_a_limit_exit_rests_it_holds_what_the_stop_would_need() -> None:
    assert step(books(replace(ORDER, order_type="LIMIT"))) is None


def test_what_a_limit_entry_has_bought_is_protected_while_it_rests() -> None:
    entry = replace(ORDER, correlation_id="c1", side="BUY", order_type="LIMIT", executed=D("1.05"))
    assert isinstance(step(books(entry)), Place)


def test_another_symbols_orders_are_none_of_this_ones_business() -> None:
    assert isinstance(step(books(replace(ORDER, symbol="ETHUSDT"))), Place)


def test_a_strategy_is_told_of_a_stop_only_once_the_exchange_has_taken_it() -> None:
    assert resting_limit(books(), "BTCUSDT") is None
    assert resting_limit(books(replace(RESTING, order_id=0)), "BTCUSDT") is None
    assert resting_limit(books(RESTING), "BTCUSDT") == D(97)
    assert resting_limit(books(RESTING), "ETHUSDT") is None
