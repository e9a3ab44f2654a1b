"""The books and the exchange are compared on what the system trades, and on nothing else."""

from __future__ import annotations

from decimal import Decimal

import pytest

from thunes.domain.reconciliation import TOLERANCE, Mismatch, compare

D = Decimal


def test_sides_that_agree_differ_in_nothing() -> None:
    both = {"USDT": D("9990.5"), "BTC": D("0.1")}
    assert compare(both, dict(both), assets=both) == ()


def test_a_difference_is_told_with_both_sides() -> None:
    found = compare({"USDT": D("9990")}, {"USDT": D("9980")}, assets=["USDT"])
    assert found == (Mismatch("USDT", "9990", "9980"),)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_difference_up_to_the_tolerance_is_none_and_one_beyond_it_is_one(sign: int) -> None:
    ours = {"BTC": D(1)}
    assert compare(ours, {"BTC": 1 + sign * TOLERANCE}, assets=["BTC"]) == ()
    assert compare(ours, {"BTC": 1 + sign * (TOLERANCE + D("0.00000001"))}, assets=["BTC"]) != ()


def test_the_tolerance_is_the_callers() -> None:
    assert compare({"USDT": D(10)}, {"USDT": D(11)}, assets=["USDT"], tolerance=D(1)) == ()


def test_an_asset_that_one_side_does_not_name_is_none_there() -> None:
    assert compare({}, {"BTC": D("0.5")}, assets=["BTC"]) == (Mismatch("BTC", "0", "0.5"),)
    assert compare({"BTC": D("0.5")}, {}, assets=["BTC"]) == (Mismatch("BTC", "0.5", "0"),)


def test_an_asset_that_is_not_traded_may_differ() -> None:
    assert compare({"USDT": D(1)}, {"USDT": D(1), "DOGE": D(5)}, assets=["USDT"]) == ()


def test_each_asset_is_told_once_and_in_the_order_of_its_name() -> None:
    found = compare({}, {"USDT": D(1), "BTC": D(1)}, assets=["USDT", "BTC", "USDT"])
    assert [mismatch.what for mismatch in found] == ["BTC", "USDT"]


def test_an_order_that_only_we_think_is_open_is_a_mismatch() -> None:
    found = compare({}, {}, assets=[], books_orders=["a", "b"], exchange_orders=["a"])
    assert found == (Mismatch("order b", "open", "not open"),)


def test_an_order_that_only_the_exchange_knows_is_a_mismatch() -> None:
    found = compare({}, {}, assets=[], books_orders=["a"], exchange_orders=["c", "a"])
    assert found == (Mismatch("order c", "unknown", "open"),)
