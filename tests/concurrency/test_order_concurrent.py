"""Orders under floods of permits, reports, lost answers, kills and crashes: each is sent once and ends once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from actors.protocol import Halt, Permit, WireReply
from actors.simulated.answers import as_fill
from tests.concurrency.order_support import BUY, ORDERS, SELL, SYMBOLS, Desk, LateWire, Unforeseen, desk, report
from tests.concurrency.risk_support import (
    PATIENCE,
    PRICES,
    QUANTITIES,
    THREADS,
    MarkedHome,
    flood,
    wait_for,
)
from tests.venue_in_process import ACCOUNT
from thunes.domain.market import ExecutionReport
from thunes.domain.orders import OrderState
from thunes.errors import ExchangeError, NetworkError
from thunes.messages import Kill, OrderStatus, PublicTrade


@pytest.fixture(autouse=True)
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end cancels are looked for again sooner."""
    monkeypatch.setattr("actors.supervisor.CANCEL_GRACE", 0.02)


# --- permits ---


def test_concurrent_permits_are_each_sent_once(tmp_path: Path) -> None:
    permits: dict[str, tuple[str, Permit]] = {}

    def hear(name: str, message: Any) -> None:
        if type(message) is Permit:
            permits.setdefault(message.approved.client_order_id, (name, message))

    with desk(tmp_path, hear=hear) as alive:

        def trade(thread: int, n: int) -> None:
            alive.approve(SYMBOLS[n % 2], BUY if thread % 2 else SELL)
            for name, permit in list(permits.values())[-4:]:
                alive.tell(name, permit)

        flood(trade, times=50)
        alive.wait_for_ends()
        every = list(permits.values())
        assert len(every) == 400
        flood(lambda thread, n: alive.tell(*every[(thread * 50 + n) % 400]), times=400)
        alive.approve("BTCUSDT", BUY)
        alive.approve("ETHUSDT", BUY)
        alive.wait_for_ends()
        assert sorted(alive.venue.reached) == sorted(alive.approved)


def test_a_permit_that_many_threads_tell_again_while_it_is_sent_is_sent_once(tmp_path: Path) -> None:
    permits: list[Permit] = []

    def hear(_name: str, message: Any) -> None:
        if type(message) is Permit:
            permits.append(message)

    with desk(tmp_path, hear=hear) as alive:
        alive.venue.opened.clear()
        name = alive.approve("BTCUSDT", BUY)
        wait_for(lambda: permits, "the permit")
        flood(lambda _thread, _n: alive.tell("order.BTCUSDT", permits[0]), times=125)
        alive.venue.opened.set()
        alive.wait_for_ends()
        alive.approve("BTCUSDT", BUY)
        alive.wait_for_ends()
        assert len(alive.venue.reached) == 2
        assert alive.story(name) == ["TRADE_APPROVED", "ORDER_SUBMITTED", "ORDER_ACCEPTED", "ORDER_FILLED"]


# --- reports ---


def print_trades(alive: Desk, rng: random.Random) -> list[ExecutionReport]:
    """Trades below every resting BUY, in parts too small for one order, until all are filled; what the stream says."""
    venue, said = alive.venue, []
    with venue.lock:
        for number, symbol in enumerate(SYMBOLS * 400):
            if not venue.engine.open_orders(ACCOUNT, symbol):
                continue
            quantity = QUANTITIES[symbol] * rng.randint(1, 6) / 5
            price = (PRICES[symbol] / 2).quantize(venue.rules[symbol].tick_size)
            for done in venue.engine.market(PublicTrade(symbol, number, price, quantity, venue.now_ms, False)):
                if done.fill is not None:
                    venue.fills[done.order.order_id].append(as_fill(done.fill))
                    said.append(report(done))
    assert not venue.open_orders()
    return said


def test_execution_reports_doubled_and_out_of_order_count_each_fill_once(tmp_path: Path) -> None:
    with desk(tmp_path) as alive:
        names = alive.rest_buys(60)
        rng = random.Random(7)
        reports = print_trades(alive, rng)
        assert len(reports) > 150
        heard = [r for r in reports if r.status is OrderStatus.FILLED or rng.random() < 0.5]  # the others are lost
        shuffled = [rng.sample(heard, len(heard)) for _ in range(THREADS)]

        def say(thread: int, n: int) -> None:
            alive.tell(f"order.{shuffled[thread][n].symbol}", shuffled[thread][n])

        flood(say, times=len(heard))
        alive.wait_for_ends()
        filled = alive.lines("ORDER_FILLED", "ORDER_PARTIALLY_FILLED")
        assert len(filled) == len(reports)
        assert {e.metadata["client_order_id"] for e in filled if e.event == "ORDER_FILLED"} == names


def test_reports_before_the_answer_are_counted_once_with_it(tmp_path: Path) -> None:
    taken: dict[str, int] = {}

    class Talkative(LateWire):
        """Tells what the stream says of the order from two sides, before the answer."""

        def meanwhile(self, state: OrderState, reply: WireReply) -> None:
            answer = getattr(reply, "answer", None)
            for fill in answer.fills if answer is not None else ():
                taken[state.client_order_id] = taken.get(state.client_order_id, 0) + 1
                told = ExecutionReport(
                    symbol=state.symbol,
                    client_order_id=state.client_order_id,
                    order_id=answer.order_id,
                    execution="TRADE",
                    status=answer.status,
                    side=state.side,
                    order_type=state.order_type,
                    quantity=state.quantity,
                    price=Decimal(0),
                    executed=answer.executed,
                    cumulative_quote=answer.cumulative_quote,
                    time_ms=answer.time_ms,
                    fill=fill,
                )
                new = replace(told, execution="NEW", status=OrderStatus.NEW, executed=Decimal(0), fill=None)
                for message in (told, new, told):
                    self._world.post.tell(self._name, message)

    with desk(tmp_path, wire=lambda world, name: Talkative(world, name, world.ports.rest)) as alive:
        alive.stock(100)
        flood(lambda thread, n: alive.approve(SYMBOLS[n % 2], (BUY, SELL)[thread % 2]), times=25)
        alive.wait_for_ends()
        assert sorted(alive.venue.reached) == sorted(alive.approved)
        accepted = Counter(e.metadata["client_order_id"] for e in alive.lines("ORDER_ACCEPTED"))
        assert accepted == dict.fromkeys(taken, 1)
        assert Counter(e.metadata["client_order_id"] for e in alive.lines("ORDER_FILLED")) == taken


# --- the kill switch and the end ---


class Unmarked(MarkedHome):
    """A home whose kill marker nobody sees, so that the epoch alone has to hold."""

    def kill_active(self) -> bool:
        return False


def test_kill_during_flood_of_permits_cancels_and_refuses(tmp_path: Path) -> None:
    with desk(tmp_path, marked_home=Unmarked) as alive:
        alive.stock(300)
        buys, sells = alive.rest_buys(5), alive.rest_sells(5)
        marks: list[int] = []

        def trade(thread: int, n: int) -> None:
            alive.approve(SYMBOLS[n % 2], (BUY, SELL)[thread % 2])
            if thread == 0 and n == 20:
                alive.tell("risk", Kill("drill", "test"))
            elif thread == 0 and n == 21:
                wait_for(alive.acknowledged, "the acknowledgement")
                assert alive.lines("KILL_SWITCH_ACTIVATED")
                marks.append(len(alive.venue.reached))

        flood(trade, times=50)
        last = [alive.approve(symbol, side) for symbol in SYMBOLS for side in (BUY, SELL)]
        alive.wait_for_ends(besides=sells)
        assert alive.venue.open_orders() == sells
        after = alive.sides(alive.venue.reached[marks[0] :])
        assert after[BUY] == 0
        assert after[SELL] >= 2
        assert set(last) & set(alive.venue.reached) == {last[1], last[3]}
        refused = {e.metadata["client_order_id"]: e.reason for e in alive.lines("ORDER_REJECTED")}
        assert set(refused.values()) == {"STALE_EPOCH"}
        assert set(refused) == set(alive.approved) - set(alive.venue.reached)
        assert all(alive.story(name)[-1] == "ORDER_CANCELED" for name in buys)


def test_a_kill_marker_from_outside_stops_the_flood_of_buys_at_the_next_send(tmp_path: Path) -> None:
    with desk(tmp_path) as alive:
        alive.stock(300)
        marks: list[int] = []

        def trade(thread: int, n: int) -> None:
            alive.approve(SYMBOLS[n % 2], (BUY, SELL)[thread % 2])
            if thread == 0 and n == 20:
                alive.world.home.write_kill("from outside", "test", "now")
                marks.append(len(alive.venue.reached))

        flood(trade, times=50)
        for symbol in SYMBOLS:
            alive.approve(symbol, SELL)
        alive.wait_for_ends()
        wait_for(lambda: alive.risk.kill_active, "the kill")
        after = alive.sides(alive.venue.reached[marks[0] :])
        assert after[BUY] <= len(SYMBOLS)  # each that had been looked at just before
        assert after[SELL] >= 2
        assert len(alive.lines("KILL_SWITCH_ACTIVATED")) == 1


def test_halt_during_flood_sends_nothing_more(tmp_path: Path) -> None:
    with desk(tmp_path) as alive:
        alive.stock(300)
        resting = alive.rest_buys(5) | alive.rest_sells(5)
        marks: list[int] = []

        def trade(thread: int, n: int) -> None:
            alive.approve(SYMBOLS[n % 2], (BUY, SELL)[thread % 2])
            if thread == 0 and n == 20:
                for name in ORDERS:
                    alive.world.post.ask(name, Halt(), PATIENCE)
                marks.append(len(alive.venue.reached))

        flood(trade, times=50)
        alive.wait_for_ends()
        assert len(alive.venue.reached) == marks[0]
        refused = alive.lines("ORDER_REJECTED")
        assert {e.reason for e in refused} == {"NOT_READY"}
        assert len(refused) == len(alive.approved) - marks[0] >= 29
        assert alive.venue.open_orders() == set()
        assert all(alive.story(name)[-1] == "ORDER_CANCELED" for name in resting)


# --- lost answers and crashes ---


def test_answers_lost_under_flood_resolve_by_query(tmp_path: Path) -> None:
    lost: set[str] = set()
    answers = count(1)

    with desk(tmp_path) as alive:

        def lose(name: str) -> None:
            if next(answers) % 5 == 0:
                lost.add(name)
                raise NetworkError("the answer is lost")

        alive.stock(200)
        alive.venue.after_place = lose
        flood(lambda thread, n: alive.approve(SYMBOLS[n % 2], (BUY, SELL)[thread % 2]), times=40)
        alive.wait_for_ends()
        assert len(lost) > 40
        assert sorted(alive.venue.reached) == sorted(alive.approved)
        unknown = {e.metadata["client_order_id"] for e in alive.lines("ORDER_UNKNOWN")}
        assert unknown == lost
        for name in lost:
            wanted = ["TRADE_APPROVED", "ORDER_SUBMITTED", "ORDER_UNKNOWN", "ORDER_RESOLVED", "ORDER_ACCEPTED"]
            assert alive.story(name) == [*wanted, "ORDER_FILLED"]
        assert {e.metadata["found"] for e in alive.lines("ORDER_RESOLVED")} == {True}


def test_an_order_of_unknown_fate_keeps_its_reservation_until_it_is_resolved(tmp_path: Path) -> None:
    with desk(tmp_path) as alive:

        def lose(_name: str) -> None:
            raise NetworkError("the answer is lost")

        alive.venue.after_place, alive.venue.is_deaf = lose, True
        for symbol in SYMBOLS:
            alive.submit(symbol)
        wait_for(lambda: [alive.figures(name).unknown for name in ORDERS] == [1, 1], "two of unknown fate")
        flood(lambda thread, n: alive.submit(SYMBOLS[(thread + n) % 2]))
        refused = [e.reason for e in alive.decisions(2_002) if e.reason]
        assert refused == ["DUPLICATE_SYMBOL"] * 2_000
        wait_for(lambda: alive.venue.queries > 4, "queries")
        assert alive.risk.reserved == 2
        assert len(alive.world.load_books().orders) == 2
        alive.venue.is_deaf = False
        alive.rest()
        wait_for(lambda: alive.open_symbols() == set(SYMBOLS), "the positions")
        alive.approved = dict.fromkeys(alive.venue.reached, alive.want("BTCUSDT"))
        assert len(alive.venue.reached) == 2


@pytest.mark.parametrize("hook", ["on_arrival", "after_place"])
def test_order_actor_crash_during_flood_recovers_every_approval(tmp_path: Path, hook: str) -> None:
    crashed: set[str] = set()
    calls = count(1)

    with desk(tmp_path) as alive:

        def die(name: str) -> None:
            if next(calls) in (20, 40, 60, 80):
                crashed.add(name)
                raise Unforeseen(name)

        setattr(alive.venue, hook, die)
        flood(lambda thread, n: alive.approve(SYMBOLS[n % 2], BUY), times=30)
        wait_for(lambda: sum(alive.figures("supervisor")[name][1] for name in ORDERS) == 4, "four replacements")
        wait_for(alive.let_windows_run_out, "every approval's end")
        found = {e.metadata["client_order_id"]: e.metadata["found"] for e in alive.lines("ORDER_RESOLVED")}
        assert {found.get(name) is not False for name in crashed} == {hook == "after_place"}
        at_the_exchange = set(alive.venue.placed)
        assert {name for name in alive.approved if found.get(name) is not False} == at_the_exchange
        assert len(alive.lines("ORDER_FILLED")) == len(at_the_exchange)
        assert len(alive.lines("DEAD_LETTER")) == 4


def test_permits_that_wait_for_a_replacement_are_sent_by_it_once(tmp_path: Path) -> None:
    with desk(tmp_path) as alive:
        alive.venue.opened.clear()
        box = alive.world.post["order.BTCUSDT"]

        def trade(thread: int, n: int) -> None:
            alive.approve("BTCUSDT", BUY)
            if thread == 0 and n == 20:
                wait_for(lambda: len(box) > 50, "permits that wait")
                alive.tell("order.BTCUSDT", "a message that nobody understands")

        flood(trade, times=40)
        wait_for(lambda: len(box) == 320, "all but the first in the mailbox")
        alive.venue.opened.set()
        alive.wait_for_ends()
        assert alive.figures("supervisor")["order.BTCUSDT"] == ("running", 1)
        assert sorted(alive.venue.reached) == sorted(alive.approved)
        assert len(alive.lines("ORDER_FILLED")) == 320
        assert len(alive.lines("ORDER_UNKNOWN")) == 0


# --- slow requests ---


def test_slow_request_does_not_delay_a_cancel(tmp_path: Path) -> None:
    with desk(tmp_path) as alive:
        alive.stock()
        resting = alive.rest_buys(3)
        alive.venue.cancels.clear()
        alive.tell("risk", Kill("drill", "test"))
        wait_for(alive.acknowledged, "the acknowledgement")
        alive.venue.opened.clear()
        slow = [alive.approve(symbol, SELL) for symbol in SYMBOLS]
        wait_for(lambda: len(alive.lines("ORDER_SUBMITTED")) == len(alive.approved), "both on the wire")
        assert alive.venue.open_orders() == resting
        alive.venue.cancels.set()
        wait_for(lambda: alive.venue.open_orders() == set(), "the cancels")
        assert not set(slow) & set(alive.venue.reached)
        alive.venue.opened.set()
        alive.wait_for_ends()
        assert all(alive.story(name)[-1] == "ORDER_CANCELED" for name in resting)


def test_a_cancel_without_an_answer_delays_no_order(tmp_path: Path) -> None:
    with desk(tmp_path) as alive:
        alive.stock(200)
        resting = alive.rest_buys(3)
        alive.venue.cancels.clear()
        alive.tell("risk", Kill("drill", "test"))
        wait_for(alive.acknowledged, "the acknowledgement")
        flood(lambda _thread, n: alive.approve(SYMBOLS[n % 2], SELL), times=40)
        alive.wait_for_ends(besides=resting)
        assert len(alive.lines("ORDER_FILLED")) == 320 + 2
        assert alive.venue.open_orders() == resting
        alive.venue.cancels.set()
        alive.wait_for_ends()


def test_a_request_of_one_symbol_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    with desk(tmp_path) as alive:
        held = threading.Event()

        def hang(name: str) -> None:
            if alive.approved[name].symbol == "BTCUSDT":
                assert held.wait(PATIENCE)

        resting = alive.rest_buys(3, ("ETHUSDT",))
        alive.venue.on_arrival = hang
        try:
            stuck = alive.approve("BTCUSDT", BUY)
            flood(lambda _thread, _n: alive.approve("ETHUSDT", BUY), times=40)
            wait_for(lambda: len(alive.lines("ORDER_FILLED")) == 320, "the other symbol's orders")
            alive.tell("risk", Kill("drill", "test"))
            wait_for(lambda: alive.venue.open_orders() == set(), "the other symbol's cancels")
            assert all(alive.story(name)[-1] == "ORDER_CANCELED" for name in resting)
            assert alive.story(stuck)[-1] == "ORDER_SUBMITTED"
        finally:
            held.set()
        alive.wait_for_ends()


def test_an_exchange_that_refuses_every_other_order_ends_each_once(tmp_path: Path) -> None:
    arrivals = count(1)
    with desk(tmp_path) as alive:

        def refuse(_name: str) -> None:
            if next(arrivals) % 2:
                raise ExchangeError(-2010, "Account has insufficient balance for requested action.")

        alive.venue.on_arrival = refuse
        flood(lambda _thread, n: alive.approve(SYMBOLS[n % 2], BUY), times=40)
        alive.wait_for_ends()
        ends: Counter[str] = Counter(e.event for e in alive.lines("ORDER_FILLED", "ORDER_REJECTED"))
        assert ends == {"ORDER_FILLED": 160, "ORDER_REJECTED": 160}
        assert len(alive.lines("ORDER_UNKNOWN")) == 0
