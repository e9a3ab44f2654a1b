"""RiskActor alone: a position's stop follows from what is on the disk, and a limit order's time from the market."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.protocol import Approved, CancelOrder, Flushed, Halt, OrderProgress, Synced
from actors.risk import RiskActor
from tests.actors.alone import SYMBOLS, Alone, alone
from tests.actors.test_risk import PRICES, buy, event, tick
from tests.e2e.support import wait_for
from thunes.messages import OrderType, Record, Side

D = Decimal
MARKET_MS = 1_735_689_600_000
ENTRY = replace(buy("c1", "BTCUSDT"), stop_loss=D("0.02"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Alone]:
    with alone(tmp_path, "risk", RiskActor) as made:
        rules = made.world.rules
        rules["BTCUSDT"] = replace(rules["BTCUSDT"], order_types=frozenset({"MARKET", "LIMIT", "STOP_LOSS_LIMIT"}))
        made.start()
        made.tell(Flushed())
        birth = Record("SYSTEM_STARTED", metadata={"opening_balances": {"USDT": D(10_000)}})
        made.tell(event(1, birth), Synced(True), *(tick(made, symbol) for symbol in SYMBOLS))
        made.told("audit", Record)
        yield made


def filled(quantity: str = "0.0002", side: Side = Side.BUY, cid: str = "c1", trade_id: int = 1, **more: Any) -> Record:
    """The exchange's last word on an order."""
    meta = {
        "client_order_id": "x", "order_id": 1, "trade_id": trade_id, "price": D(60_000), "quantity": D(quantity),
        "quote_quantity": D(quantity) * 60_000, "commission": D(0), "commission_asset": "USDT", "base_asset": "BTC",
        "quote_asset": "USDT", "min_sellable": D("0.0001"), "executed": D(quantity), "is_maker": False,
        "market_time": MARKET_MS,
    } | more  # fmt: skip
    return Record("ORDER_FILLED", symbol="BTCUSDT", side=side, correlation_id=cid, metadata=meta)


def said(name: str, cid: str = "c1", side: Side = Side.SELL, **metadata: Any) -> Record:
    meta = {"client_order_id": "x", "order_id": 5, "leg": "s1", **metadata}
    return Record(name, symbol="BTCUSDT", side=side, correlation_id=cid, metadata=meta)


def stops(bench: Alone) -> list[Record]:
    return [record for record in bench.told("audit", Record) if record.event == "ORDER_SUBMITTED"]


def cancels(bench: Alone) -> list[CancelOrder]:
    return bench.told("order.BTCUSDT", CancelOrder)


def entered(bench: Alone) -> Record:
    """The entry has filled, on the disk; the line that lets its stop go."""
    bench.tell(ENTRY, event(2, filled()))
    (stop,) = stops(bench)
    return stop


def test_a_filled_entry_is_protected_by_a_line_that_carries_the_order_itself(bench: Alone) -> None:
    stop = entered(bench)
    home = bench.world.identity.home_id
    assert isinstance(stop.subject, Approved)
    order = stop.subject.order
    assert (order.order_type, order.side, order.quantity) == (OrderType.STOP_LOSS_LIMIT, Side.SELL, D("0.00020"))
    assert (order.stop_price, order.price) == (D("58800.00"), D("58212.00"))
    assert stop.subject.client_order_id == stop.metadata["client_order_id"] == f"{home}-c1-s1"
    assert (stop.correlation_id, stop.metadata["leg"], stop.metadata["protection"]) == ("c1", "s1", 1)


def test_an_entry_without_terms_gets_no_stop(bench: Alone) -> None:
    bench.tell(buy("c1", "BTCUSDT"), event(2, filled()))
    assert stops(bench) == []


def test_a_stop_on_its_way_is_not_asked_for_again(bench: Alone) -> None:
    stop = entered(bench)
    bench.tell(event(3, stop), Synced(True), event(4, said("ORDER_ACCEPTED")), Synced(True))
    assert (stops(bench), cancels(bench)) == ([], [])


def test_the_strategy_is_told_where_its_stop_rests_once_the_exchange_has_it(bench: Alone) -> None:
    stop = entered(bench)
    bench.told("strategy.BTCUSDT", OrderProgress)
    bench.tell(event(3, stop), event(4, said("ORDER_ACCEPTED")))
    (progress,) = bench.told("strategy.BTCUSDT", OrderProgress)
    assert (progress.holding.stop_limit, progress.ended) == (D("58212.00"), False)


def test_the_end_of_a_stop_is_not_the_end_of_the_entry(bench: Alone) -> None:
    stop = entered(bench)
    bench.told("strategy.BTCUSDT", OrderProgress)
    bench.tell(event(3, stop), event(4, said("ORDER_CANCELED")))
    assert [progress.ended for progress in bench.told("strategy.BTCUSDT", OrderProgress)] == [False]


def test_a_stop_that_was_cancelled_by_hand_is_placed_again_under_another_name(bench: Alone) -> None:
    stop = entered(bench)
    bench.tell(event(3, stop), event(4, said("ORDER_CANCELED")))
    (again,) = stops(bench)
    assert (again.metadata["leg"], again.metadata["protection"]) == ("s2", 2)


def test_a_stop_that_was_refused_is_tried_again_later_and_not_at_once(
    bench: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.guard.FIRST_WAIT", 0.3)
    stop = entered(bench)
    bench.tell(event(3, stop), event(4, said("ORDER_REJECTED", by="exchange")), tick(bench, "BTCUSDT"))
    assert stops(bench) == []
    placed: list[Record] = []

    def again() -> bool:
        bench.tell(tick(bench, "BTCUSDT"))
        placed.extend(stops(bench))
        return bool(placed)

    wait_for(again, 10, "another try")
    assert [record.metadata["leg"] for record in placed] == ["s2"]


def test_a_stop_that_sold_leaves_nothing_to_protect(bench: Alone) -> None:
    stop = entered(bench)
    bench.tell(event(3, stop), event(4, filled(side=Side.SELL, trade_id=2, leg="s1")))
    assert (stops(bench), cancels(bench)) == ([], [])


def test_the_stop_of_a_position_that_somebody_sold_by_hand_is_cancelled(bench: Alone) -> None:
    stop = entered(bench)
    by_hand = filled("0.0001", Side.SELL, "", trade_id=2, foreign=True)
    bench.tell(event(3, stop), event(4, said("ORDER_ACCEPTED")), event(5, by_hand))
    assert cancels(bench) == [CancelOrder("c1-s1", "NO_POSITION")]
    bench.tell(event(6, said("ORDER_CANCELED")))
    (smaller,) = stops(bench)
    assert smaller.subject.order.quantity == D("0.0001")


def test_an_exit_is_not_held_to_be_a_second_one_because_a_stop_rests(bench: Alone) -> None:
    stop = entered(bench)
    bench.tell(event(3, stop), event(4, said("ORDER_ACCEPTED")))
    bench.tell(replace(buy("c2", "BTCUSDT"), side=Side.SELL))
    (decision,) = bench.told("audit", Record)
    assert (decision.event, decision.correlation_id) == ("TRADE_APPROVED", "c2")
    assert decision.risk_snapshot["reserved"] == 0


def test_while_books_and_exchange_differ_or_the_system_stops_no_stop_is_placed(bench: Alone) -> None:
    bench.tell(Synced(False, "a difference"))
    bench.tell(ENTRY)
    bench.tell(Synced(True), replace(ENTRY, correlation_id="c1"), Synced(False, "a difference"), event(2, filled()))
    assert stops(bench) == []
    bench.tell(Synced(True))
    assert len(stops(bench)) == 1
    bench.tell(Halt(), event(3, said("ORDER_CANCELED")))
    assert stops(bench) == []


PAIR = frozenset({"MARKET", "LIMIT", "STOP_LOSS_LIMIT", "LIMIT_MAKER"})


def with_terms(bench: Alone) -> Record:
    """An entry with a take profit has filled; the line that lets its pair go."""
    rules = bench.world.rules
    rules["BTCUSDT"] = replace(rules["BTCUSDT"], order_types=PAIR, oco_allowed=True)
    bench.tell(replace(ENTRY, take_profit=D("0.05")), event(2, filled()))
    (pair,) = stops(bench)
    return pair


def test_one_line_lets_a_stop_and_the_sale_beside_it_go(bench: Alone) -> None:
    pair = with_terms(bench)
    home = bench.world.identity.home_id
    assert pair.metadata["profit"] == {"client_order_id": f"{home}-c1-t1", "leg": "t1", "price": D("63000.00")}
    (stop, stop_id), (sale, sale_id) = pair.subject.orders
    assert (stop.leg, stop_id, sale.leg, sale_id) == ("s1", f"{home}-c1-s1", "t1", f"{home}-c1-t1")
    bench.tell(Synced(True), event(3, pair), Synced(True))
    assert (stops(bench), cancels(bench)) == ([], [])


def test_a_pair_is_replaced_once_both_have_ended(bench: Alone) -> None:
    bench.tell(event(3, with_terms(bench)), event(4, said("ORDER_ACCEPTED")), event(5, said("ORDER_CANCELED")))
    assert stops(bench) == []
    bench.tell(event(6, said("ORDER_CANCELED", leg="t1")))
    (again,) = stops(bench)
    assert (again.metadata["leg"], again.metadata["profit"]["leg"]) == ("s2", "t2")


def test_a_pair_that_the_exchange_refuses_is_followed_by_the_stop_alone(
    bench: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.guard.FIRST_WAIT", 0.0)
    bench.tell(event(3, with_terms(bench)), event(4, said("ORDER_REJECTED", by="exchange")))
    assert cancels(bench) == [CancelOrder("c1-t1", "NO_POSITION")]  # it is made sure that no sale is left alone
    bench.tell(event(5, said("ORDER_REJECTED", by="exchange", leg="t1")))
    (alone_,) = stops(bench)
    assert (alone_.metadata["leg"], alone_.metadata.get("profit")) == ("s2", None)
    bench.tell(event(6, alone_), event(7, said("ORDER_ACCEPTED", leg="s2")), tick(bench, "BTCUSDT"))
    assert (stops(bench), cancels(bench)) == ([], [])


def limit(expires_ms: int) -> Any:
    entry = buy("c1", "BTCUSDT")
    return replace(entry, order_type=OrderType.LIMIT, price=PRICES["BTCUSDT"], expires_ms=expires_ms)


def test_a_limit_order_is_cancelled_once_when_the_market_reaches_its_time(bench: Alone) -> None:
    bench.tell(limit(MARKET_MS + 5_000), tick(bench, "BTCUSDT"))
    assert cancels(bench) == []
    late = replace(tick(bench, "BTCUSDT"), market_ms=MARKET_MS + 5_000)
    bench.tell(late, late)
    assert cancels(bench) == [CancelOrder("c1", "STALE_MARKET_DATA")]


def test_another_symbols_market_is_another_clock(bench: Alone) -> None:
    bench.tell(limit(MARKET_MS + 5_000))
    bench.tell(replace(tick(bench, "ETHUSDT"), market_ms=MARKET_MS + 9_000))
    assert cancels(bench) == []


@pytest.mark.parametrize("terms", [{"price": None}, {"price": D(0)}, {"stop_loss": D(0)}, {"stop_loss": D(1)}])
def test_an_order_whose_prices_are_none_is_refused(bench: Alone, terms: dict[str, Any]) -> None:
    bench.tell(replace(limit(0), **terms))
    assert [record.reason for record in bench.told("audit", Record)] == ["FILTER_PRICE"]


def test_a_limit_above_what_is_displayed_is_judged_by_what_it_may_cost(bench: Alone) -> None:
    dear = replace(limit(0), quantity=D("0.00083"), price=D("60600"))  # 49.80 at what is displayed, 50.30 at its limit
    bench.tell(dear)
    assert [record.reason for record in bench.told("audit", Record)] == ["MAX_NOTIONAL"]
