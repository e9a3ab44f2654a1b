"""What risk reckons with: today's result, equity, drawdown, the limits they reach, and what the journal is told."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.domain.risk_case import MARKET_MS, Case, Limits, rules, tick, under_way
from thunes.domain.risk import breach, snapshot

D = Decimal


def holding(bid: str) -> Case:
    """0.1 BTC that cost 10.01, and what it is worth at `bid`."""
    case = Case()
    case.hold(cost="10.01")
    case.state.ticks["BTCUSDT"] = tick(bid=bid)
    return case


def test_an_open_position_is_worth_what_the_bid_pays_less_what_it_cost() -> None:
    assert holding("99").state.unrealised() == D("-0.11")
    assert holding("110").state.unrealised() == D("0.99")


def test_a_position_whose_market_has_not_been_heard_of_and_dust_have_no_result() -> None:
    case = holding("110")
    case.hold("ETHUSDT", cost="50")
    assert case.state.unrealised() == D("0.99")
    case.state.books.positions["BTCUSDT"] = replace(case.state.books.positions["BTCUSDT"], is_open=False)
    assert case.state.unrealised() == 0


def test_todays_result_is_what_was_realised_today_and_what_is_open() -> None:
    case = holding("99")
    case.state.books.realised_today, case.state.books.realised_total = D(-3), D(40)
    assert case.state.daily_pnl() == D("-3.11")


def test_equity_is_the_opening_quote_with_all_that_was_realised_and_what_is_open() -> None:
    case = holding("99")
    case.state.books.realised_today, case.state.books.realised_total = D(-3), D(40)
    assert case.state.equity() == D("1039.89")


def test_each_quote_asset_is_counted_once_however_many_symbols_have_it() -> None:
    case = Case()
    assert len(case.state.rules) > 1
    assert case.state.opening_quote() == 1000
    case.state.rules = {**case.state.rules, "BTCEUR": replace(rules("BTCUSDT"), symbol="BTCEUR", quote="EUR")}
    case.state.books.opening = {"USDT": D(1000), "EUR": D(500), "BTC": D(1)}
    assert case.state.opening_quote() == 1500


def test_drawdown_is_the_fraction_that_equity_is_below_its_highest_realised_point() -> None:
    case = Case()
    case.state.books.realised_peak, case.state.books.realised_total = D(250), D(125)
    assert case.state.drawdown() == D("0.1")


def test_an_open_loss_counts_in_the_drawdown_and_an_open_gain_makes_none() -> None:
    case = holding("99")
    assert case.state.drawdown() == D("0.11") / 1000
    assert holding("200").state.drawdown() == 0


def test_before_the_opening_balances_are_known_there_is_no_drawdown() -> None:
    case = Case()
    case.state.books.opening = None
    assert (case.state.opening_quote(), case.state.drawdown()) == (0, 0)


@pytest.mark.parametrize(("loss", "reached"), [("-19.99", False), ("-20", True), ("-25", True), ("20", False)])
def test_a_daily_loss_that_reaches_its_limit_is_a_breach(loss: str, reached: bool) -> None:
    case = Case()
    case.state.books.realised_today = D(loss)
    why = breach(case.state)
    assert (why is not None) is reached
    if why is not None:
        assert why.startswith("daily loss")


def test_an_open_loss_alone_can_be_the_breach() -> None:
    case = holding("99")
    case.hold(quantity="1", cost="118.99")
    assert breach(case.state) is None
    case.hold(quantity="1", cost="119")
    assert breach(case.state) == "daily loss -20.0000 reached the limit of 20"


@pytest.mark.parametrize(("total", "reached"), [("-99.99", False), ("-100", True)])
def test_a_drawdown_that_reaches_its_limit_is_a_breach_also_when_today_lost_nothing(total: str, reached: bool) -> None:
    case = Case()
    case.state.books.realised_total = D(total)
    assert breach(case.state) == ("drawdown 0.1000 reached the limit of 0.1" if reached else None)


def test_the_cool_down_ends_so_many_seconds_after_the_loss_and_there_is_none_without_a_loss() -> None:
    case = Case(limits=Limits(cool_down=1.5))
    assert case.state.cool_down_until_ms() == 0
    case.state.books.last_loss_ms = MARKET_MS
    assert case.state.cool_down_until_ms() == MARKET_MS + 1500


def test_the_snapshot_has_the_contracts_members_with_the_figures_of_the_moment() -> None:
    case = holding("99")
    books = case.state.books
    books.kill_active, books.epoch, books.last_loss_ms = True, 7, MARKET_MS
    books.realised_today = D(-3)
    case.reserve(under_way("ETHUSDT"))
    case.reserve(under_way("SOLUSDT"))
    assert snapshot(case.state) == {
        "kill_switch": True,
        "epoch": 7,
        "daily_pnl": D("-3.11"),
        "daily_loss_limit": D(20),
        "open_positions": 1,
        "reserved": 2,
        "max_positions": 3,
        "cool_down_until": MARKET_MS + 3_600_000,
    }
