"""The exchange's filters: read from any year's exchangeInfo, and named in its order when an order breaks them."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sample_market import entry, rules
from thunes.domain.filters import (
    ZERO,
    SymbolRules,
    market_step,
    order_violation,
    quote_amount,
    round_down,
    sellable,
)
from thunes.messages import OrderType, Side

D = Decimal
EXCHANGE_INFO = Path(__file__).parents[3] / "shared" / "data" / "exchange-info"


def violation(symbol_rules: SymbolRules, **changes: Any) -> str | None:
    """Of a LIMIT BUY of 1 at 100 that breaks nothing, as changed."""
    order: dict[str, Any] = {
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "price": D(100),
        "quantity": D(1),
        "quote_quantity": None,
        "average_price": D(100),
        "last_price": D(100),
    }
    return order_violation(symbol_rules, **(order | changes))


def market_violation(symbol_rules: SymbolRules, **changes: Any) -> str | None:
    return violation(symbol_rules, **({"order_type": OrderType.MARKET, "price": None} | changes))


def recorded(name: str) -> list[dict[str, Any]]:
    path = EXCHANGE_INFO / name
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    symbols: list[dict[str, Any]] = json.loads(text)["symbols"]
    return symbols


@pytest.mark.parametrize(
    ("name", "count"), [("binance-2021-10.json.gz", 1695), ("binance-2024-09-12-symbols.json", 12)]
)
def test_every_recorded_symbol_is_read_whole(name: str, count: int) -> None:
    entries = recorded(name)
    assert len(entries) == count
    for each in entries:
        read = SymbolRules.from_exchange_info(each)
        named = {f["filterType"]: f for f in each["filters"]}
        assert read.raw is each
        assert read.tick_size == D(named["PRICE_FILTER"]["tickSize"])
        assert read.step_size == D(named["LOT_SIZE"]["stepSize"])
        assert read.market_max == D(named.get("MARKET_LOT_SIZE", {"maxQty": 0})["maxQty"])
        notional = named.get("NOTIONAL") or named["MIN_NOTIONAL"]
        assert read.min_notional == D(notional["minNotional"])
        assert read.notional_filter == notional["filterType"]
        assert read.percent_filter in named
        assert read.max_position == D(named.get("MAX_POSITION", {"maxPosition": 0})["maxPosition"])
        assert read.max_num_orders == 200
        assert read.buy_percent[0] > 0
        assert read.sell_percent[1] > 0


@pytest.mark.parametrize("name", ["binance-2021-10.json.gz", "binance-2024-09-12-symbols.json"])
def test_a_modest_order_passes_every_recorded_symbol(name: str) -> None:
    for each in recorded(name):
        read = SymbolRules.from_exchange_info(each)
        price = max(read.min_price, round_down(min(D(1), read.max_price), read.tick_size))
        lots = round_down(max(read.min_notional / price, read.min_quantity) * 2 + read.step_size, read.step_size)
        if lots > min(read.max_quantity, read.market_max or lots):
            continue
        assert violation(read, price=price, quantity=lots, average_price=price) is None, read.symbol
        assert market_violation(read, quantity=lots, average_price=price, last_price=price) is None, read.symbol


def test_the_notional_of_2021_is_named_min_notional_and_has_no_maximum() -> None:
    old = rules(without=("NOTIONAL",), MIN_NOTIONAL={"minNotional": "5", "applyToMarket": False, "avgPriceMins": 5})
    assert violation(old, quantity=D("0.04")) == "MIN_NOTIONAL"
    assert violation(old, quantity=D(100), price=D(200)) is None
    assert market_violation(old, quantity=D("0.04")) is None


def test_notional_stands_where_an_entry_has_both_eras() -> None:
    both = rules(MIN_NOTIONAL={"minNotional": "7", "applyToMarket": False, "avgPriceMins": 1})
    assert (both.notional_filter, both.min_notional, both.avg_price_minutes) == ("NOTIONAL", D(5), 5)


def test_percent_price_of_2021_binds_both_sides_alike() -> None:
    old = rules(
        without=("PERCENT_PRICE_BY_SIDE",),
        PERCENT_PRICE={"multiplierUp": "1.5", "multiplierDown": "0.5", "avgPriceMins": 5},
    )
    for side in Side:
        assert violation(old, side=side, price=D("150.1")) == "PERCENT_PRICE"
        assert violation(old, side=side, price=D("49.9")) == "PERCENT_PRICE"
        assert violation(old, side=side, price=D(150)) is None


def test_unknown_filters_are_ignored() -> None:
    assert violation(rules(SOMETHING_NEW={"limit": 1})) is None


@pytest.mark.parametrize("missing", ["symbol", "baseAsset", "quoteAsset"])
def test_an_entry_without_its_names_is_a_failure(missing: str) -> None:
    broken = entry()
    del broken[missing]
    with pytest.raises(KeyError, match=missing):
        SymbolRules.from_exchange_info(broken)


@pytest.mark.parametrize("price", ["0", "-1", "0.05", "1000.1", "100.05"])
def test_a_price_off_the_grid_breaks_price_filter(price: str) -> None:
    assert violation(rules(), price=D(price)) == "PRICE_FILTER"


@pytest.mark.parametrize(
    ("side", "price", "expected"),
    [
        (Side.BUY, "200", None),
        (Side.BUY, "200.1", "PERCENT_PRICE_BY_SIDE"),
        (Side.BUY, "20", None),
        (Side.BUY, "19.9", "PERCENT_PRICE_BY_SIDE"),
        (Side.SELL, "500", None),
        (Side.SELL, "500.1", "PERCENT_PRICE_BY_SIDE"),
        (Side.SELL, "50", None),
        (Side.SELL, "49.9", "PERCENT_PRICE_BY_SIDE"),
    ],
)
def test_each_side_has_its_own_distance_from_the_average(side: Side, price: str, expected: str | None) -> None:
    assert violation(rules(), side=side, price=D(price)) == expected


def test_the_last_price_stands_in_where_the_average_is_over_0_minutes() -> None:
    at_last = rules(PERCENT_PRICE_BY_SIDE={"avgPriceMins": 0}, NOTIONAL={"avgPriceMins": 0})
    assert violation(at_last, average_price=D(1)) is None
    assert violation(at_last, last_price=D(10)) == "PERCENT_PRICE_BY_SIDE"
    assert market_violation(at_last, quantity=D("0.1"), average_price=D(1)) is None
    assert market_violation(at_last, quantity=D("0.1"), last_price=D(1)) == "NOTIONAL"


@pytest.mark.parametrize("quantity", ["0", "-1", "0.001", "100.01", "1.005"])
def test_a_quantity_off_the_grid_breaks_lot_size(quantity: str) -> None:
    assert violation(rules(), quantity=D(quantity)) == "LOT_SIZE"


@pytest.mark.parametrize("quantity", ["0.04", "50.01"])
def test_a_notional_out_of_range_breaks_notional(quantity: str) -> None:
    assert violation(rules(), quantity=D(quantity)) == "NOTIONAL"


def test_a_market_order_is_measured_at_the_average_and_as_the_rules_apply() -> None:
    assert market_violation(rules(), quantity=D("0.05"), average_price=D(99)) == "NOTIONAL"
    assert market_violation(rules(NOTIONAL={"applyMinToMarket": False}), quantity=D("0.01")) is None
    assert market_violation(rules(), quantity=D(50), average_price=D(900)) is None
    assert (
        market_violation(rules(NOTIONAL={"applyMaxToMarket": True}), quantity=D(50), average_price=D(900)) == "NOTIONAL"
    )


def test_no_price_yet_binds_no_market_order() -> None:
    assert market_violation(rules(), quantity=D("0.01"), average_price=ZERO, last_price=ZERO) is None


def test_a_quote_amount_is_its_own_notional_and_breaks_no_lot_size() -> None:
    assert market_violation(rules(), quantity=None, quote_quantity=D("4.99")) == "NOTIONAL"
    assert market_violation(rules(), quantity=None, quote_quantity=D("5.001")) is None


def test_market_lot_size_binds_market_orders_alone() -> None:
    assert market_violation(rules(), quantity=D("50.01")) == "MARKET_LOT_SIZE"
    assert violation(rules(NOTIONAL={"maxNotional": "0"}), quantity=D("50.01")) is None
    stepped = rules(MARKET_LOT_SIZE={"minQty": "0.5", "stepSize": "0.05"})
    assert market_violation(stepped, quantity=D("0.56")) == "MARKET_LOT_SIZE"
    assert market_violation(stepped, quantity=D("0.45")) == "MARKET_LOT_SIZE"
    assert market_violation(stepped, quantity=D("0.55")) is None


def test_open_orders_are_counted() -> None:
    assert violation(rules(), open_orders=4) is None
    assert violation(rules(), open_orders=5) == "MAX_NUM_ORDERS"


def test_a_position_binds_buys_alone() -> None:
    capped = rules(MAX_POSITION={"maxPosition": "10"})
    assert violation(capped, position=D(9)) is None
    assert violation(capped, position=D("9.01")) == "MAX_POSITION"
    assert violation(capped, side=Side.SELL, position=D(50)) is None


def test_a_zero_switches_each_rule_off() -> None:
    off = replace(
        rules(),
        tick_size=ZERO,
        min_price=ZERO,
        max_price=ZERO,
        step_size=ZERO,
        max_quantity=ZERO,
        market_max=ZERO,
        min_notional=ZERO,
        max_notional=ZERO,
        max_num_orders=0,
        buy_percent=(ZERO, ZERO),
    )
    assert violation(off, price=D("123456.789"), quantity=D("987654.321"), open_orders=999) is None
    assert market_violation(off, quantity=D("987654.321")) is None


def test_the_first_broken_filter_in_the_documented_order_is_named() -> None:
    all_wrong: dict[str, Any] = {"price": D("900.05"), "quantity": D("0.001"), "open_orders": 9, "position": D(99)}
    capped = rules(MAX_POSITION={"maxPosition": "10"})
    named = []
    for mended in ({}, {"price": D(900)}, {"price": D(10)}, {"price": D(100)}, {"quantity": D("0.01")}):
        all_wrong |= mended
        named.append(violation(capped, **all_wrong))
    assert named == ["PRICE_FILTER", "PERCENT_PRICE_BY_SIDE", "PERCENT_PRICE_BY_SIDE", "LOT_SIZE", "NOTIONAL"]
    assert violation(capped, **(all_wrong | {"quantity": D(1)})) == "MAX_NUM_ORDERS"
    assert violation(capped, **(all_wrong | {"quantity": D(1), "open_orders": 0})) == "MAX_POSITION"


def test_absurd_figures_are_refused_and_not_a_failure() -> None:
    open_ended = rules(LOT_SIZE={"maxQty": "0"}, PRICE_FILTER={"maxPrice": "0"})
    huge = D("99999999999999999999999999999999.99999999")
    assert violation(open_ended, quantity=huge) == "LOT_SIZE"
    assert violation(open_ended, price=huge) == "PRICE_FILTER"


@given(
    st.decimals(min_value=0, max_value=10**12, places=8),
    st.sampled_from(["0.00000001", "0.001", "0.25", "1", "7", "1000"]),
)
def test_rounding_down_gives_the_greatest_multiple_below(value: Decimal, step: str) -> None:
    rounded = round_down(value, D(step))
    assert rounded <= value < rounded + D(step)
    assert rounded % D(step) == 0


def test_a_step_of_0_rounds_nothing() -> None:
    assert round_down(D("1.23456789"), ZERO) == D("1.23456789")


@pytest.mark.parametrize(
    ("lot", "market", "common"),
    [("0.01", "0", "0.01"), ("0", "0.5", "0.5"), ("0.01", "0.1", "0.1"), ("0.02", "0.03", "0.06"), ("0", "0", "0")],
)
def test_a_market_step_is_a_multiple_of_both_steps(lot: str, market: str, common: str) -> None:
    assert market_step(D(lot), D(market)) == D(common)


def test_quote_amounts_are_truncated_to_8_decimals() -> None:
    assert quote_amount(D("0.00001234"), D("0.999")) == D("0.00001232")
    assert quote_amount(D("123456789.12345678"), D("98765432.87654321")) == D("12193263219326320.44459685")


@pytest.mark.parametrize(
    ("holding", "price", "expected"),
    [
        ("1.239", "100", "1.23"),
        ("0.0099", "1000", "0"),
        ("0.049", "100", "0"),
        ("0.05", "100", "0.05"),
        ("0.05", "99.9", "0"),
        ("70", "100", "50"),
        ("0", "100", "0"),
    ],
)
def test_what_is_sellable_is_in_lots_and_worth_the_minimum(holding: str, price: str, expected: str) -> None:
    assert sellable(rules(), D(holding), D(price)) == D(expected)


def test_what_is_sellable_obeys_market_lot_size_too() -> None:
    stepped = rules(MARKET_LOT_SIZE={"minQty": "0.5", "maxQty": "50", "stepSize": "0.2"})
    assert sellable(stepped, D("1.39"), D(100)) == D("1.2")
    assert sellable(stepped, D("0.41"), D(100)) == 0


@given(st.decimals(min_value=0, max_value=1000, places=8), st.decimals(min_value="0.1", max_value=1000, places=1))
def test_what_is_sellable_breaks_no_filter(holding: Decimal, price: Decimal) -> None:
    lots = sellable(rules(), holding, price)
    assert 0 <= lots <= holding
    if lots:
        assert market_violation(rules(), side=Side.SELL, quantity=lots, average_price=price) is None
