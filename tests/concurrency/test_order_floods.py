"""OrderActor under floods: permits twice, reports doubled and early, answers lost, kills and halts in between."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.protocol import Approved, Halt, Permit
from tests.concurrency.test_road import SYMBOLS, order, sellable
from tests.concurrency.test_supervision_floods import POISON, agrees, house, lines, shout
from tests.e2e.support import wait_for
from tests.venue_in_process import EngineRest, Running
from thunes.domain.market import ExecutionReport
from thunes.domain.orders import OrderState, Phase
from thunes.errors import NetworkError
from thunes.messages import Kill, OrderStatus, OrderType, Side

D = Decimal
THREADS = 8


@pytest.fixture
def alive(tmp_path: Path) -> Iterator[Running]:
    with house(tmp_path) as running:
        yield running


def flood(running: Running, symbol: str, times: int) -> list[threading.Thread]:
    """Eight threads that ask for buys and sells of one symbol."""

    def ask() -> None:
        for _ in range(times):
            running.tell("risk", order(running, symbol, Side.BUY))
            running.tell("risk", order(running, symbol, Side.SELL, D("0.0001") if symbol == "BTCUSDT" else D("0.002")))

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


@contextmanager
def traders(running: Running) -> Iterator[None]:
    """Eight threads that trade both symbols until the block ends."""
    stopping = threading.Event()

    def trade(symbol: str) -> None:
        while not stopping.is_set():
            running.tell("risk", order(running, symbol, Side.BUY))
            stopping.wait(0.002)
            running.tell("risk", order(running, symbol, Side.SELL, sellable(running, symbol)))
            stopping.wait(0.002)

    threads = [threading.Thread(target=trade, args=(symbol,)) for symbol in SYMBOLS * 4]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def sides(running: Running) -> dict[str, str]:
    return {e.metadata["client_order_id"]: e.side for e in lines(running, "TRADE_APPROVED")}


def test_permits_that_come_many_times_from_many_threads_are_each_sent_once(alive: Running) -> None:
    intents = [order(alive, "BTCUSDT", Side.BUY) for _ in range(40)]
    permits = [
        Permit(Approved(intent, 0, f"homehome-{intent.correlation_id}", seq=1_000_000 + number))
        for number, intent in enumerate(intents)
    ]

    def tell_all() -> None:
        for permit in permits:
            alive.tell("order.BTCUSDT", permit)

    shout(tell_all, times=THREADS)
    wait_for(lambda: len(alive.world.post["order.BTCUSDT"]) == 0, 20, "an empty mailbox")
    wait_for(lambda: alive.figures("order.BTCUSDT").open == (), 20, "the orders' end")
    assert max(Counter(alive.venue.placed).values()) == 1
    assert len(alive.venue.placed) == len(set(alive.venue.placed))


def report(running: Running, client_order_id: str, order_id: int, quantity: Decimal) -> ExecutionReport:
    (fill,) = running.venue.fills[order_id]
    return ExecutionReport(
        "BTCUSDT", client_order_id, order_id, "TRADE", OrderStatus.FILLED, Side.BUY, "MARKET", quantity, D(0), quantity,
        fill.quote_quantity, fill.time_ms, fill,
    )  # fmt: skip


def test_reports_doubled_by_eight_threads_before_and_after_the_answer_count_each_fill_once(alive: Running) -> None:
    told = threading.Event()

    def double(client_order_id: str) -> None:
        """The exchange has taken it; its reports come before its answer, over and over."""
        order_id = max(alive.venue.fills)
        quantity = alive.venue.fills[order_id][0].quantity
        shout(
            lambda: [
                alive.tell("order.BTCUSDT", report(alive, client_order_id, order_id, quantity)) for _ in range(100)
            ],
            times=THREADS,
        )
        told.set()

    alive.venue.after_place = double
    alive.tell("risk", order(alive, "BTCUSDT", Side.BUY))
    assert told.wait(20)
    wait_for(lambda: lines(alive, "ORDER_FILLED"), 20, "the fill")
    wait_for(lambda: len(alive.world.post["order.BTCUSDT"]) == 0, 20, "an empty mailbox")
    assert alive.stop() == ""
    assert len(lines(alive, "ORDER_FILLED")) == len(lines(alive, "ORDER_ACCEPTED")) == 1
    assert agrees(alive)


def test_answers_that_are_lost_under_flood_are_asked_for_and_never_sent_again(alive: Running) -> None:
    count = iter(range(1_000_000))

    def lose(_client_order_id: str) -> None:
        if next(count) % 3 == 0:
            raise NetworkError("lost on its way back; ask before sending again.")

    alive.venue.after_place = lose
    threads = [thread for symbol in SYMBOLS for thread in flood(alive, symbol, 60)]
    for thread in threads:
        thread.join()
    decided = 2 * 2 * THREADS * 60
    wait_for(lambda: len(lines(alive, "TRADE_APPROVED", "TRADE_REJECTED")) == decided, 25, "every decision")
    wait_for(lambda: agrees(alive), 25, "books and exchange in step")
    assert lines(alive, "ORDER_UNKNOWN")
    assert max(Counter(alive.venue.placed).values()) == 1


def test_a_kill_in_the_middle_of_a_flood_lets_no_buy_out_after_its_acknowledgement(alive: Running) -> None:
    with traders(alive):
        wait_for(lambda: len(alive.venue.placed) > 20, 20, "orders")
        shout(lambda: alive.tell("risk", Kill("drill", "test")), times=THREADS)
        wait_for(lambda: all(alive.figures(f"order.{s}").epoch == 1 for s in SYMBOLS), 20, "the acknowledgement")
        mark, refused = len(alive.venue.placed), alive.figures("risk").decisions.get(("rejected", "KILL_SWITCH"), 0)
        after = refused + 200
        wait_for(lambda: alive.figures("risk").decisions[("rejected", "KILL_SWITCH")] > after, 20, "refusals")
    wait_for(lambda: len(alive.world.post["risk"]) == 0 and agrees(alive), 20, "rest")
    side_of = sides(alive)
    assert [i for i in alive.venue.placed[mark:] if side_of[i] == "BUY"] == []
    assert len(lines(alive, "KILL_SWITCH_ACTIVATED")) == 1


def test_after_a_halt_in_a_flood_nothing_is_sent(alive: Running) -> None:
    with traders(alive):
        wait_for(lambda: len(alive.venue.placed) > 20, 20, "orders")
        for symbol in SYMBOLS:
            alive.tell(f"order.{symbol}", Halt())
        refused = lambda: sum(e.reason == "NOT_READY" for e in lines(alive, "ORDER_REJECTED"))  # noqa: E731
        wait_for(lambda: refused() > 0, 20, "a refusal")
        mark = len(alive.venue.placed)
        wait_for(lambda: refused() > 50, 20, "refusals")
    wait_for(lambda: len(alive.world.post["risk"]) == 0 and agrees(alive), 20, "rest")
    assert len(alive.venue.placed) <= mark + 1  # the other symbol's may have been on the wire


def test_an_order_actor_that_dies_again_and_again_in_a_flood_recovers_every_approval(alive: Running) -> None:
    threads = flood(alive, "BTCUSDT", 100)
    for number in range(1, 5):
        alive.tell("order.BTCUSDT", POISON)
        wait_for(lambda n=number: alive.figures("supervisor")["order.BTCUSDT"] == ("running", n), 15, "the replacement")  # type: ignore[misc]
    for thread in threads:
        thread.join()
    decided = 2 * THREADS * 100
    wait_for(lambda: len(lines(alive, "TRADE_APPROVED", "TRADE_REJECTED")) == decided, 25, "every decision")
    wait_for(lambda: agrees(alive), 25, "books and exchange in step")
    assert max(Counter(alive.venue.placed).values()) == 1


def test_a_cancel_does_not_wait_behind_a_slow_request(alive: Running) -> None:
    """A resting order of one symbol is cancelled while the same symbol's next request is held by the exchange."""
    held, cancelled = threading.Event(), threading.Event()
    rest = EngineRest(alive.venue)

    def hold(_client_order_id: str) -> None:
        held.wait(10)

    alive.venue.before_place = hold
    wire = alive.world.ports.wire(alive.world, "order.BTCUSDT")

    class Watched(EngineRest):
        def cancel(self, symbol: str, client_order_id: str) -> Any:
            cancelled.set()
            return rest.cancel(symbol, client_order_id)

    wire._make_rest = lambda: Watched(alive.venue)  # type: ignore[attr-defined]
    state = OrderState("c", "homehome-c", "BTCUSDT", Side.BUY, OrderType.LIMIT, D("0.001"), D(50_000), 0, Phase.OPEN)
    slow = threading.Thread(target=lambda: wire.place(state))
    slow.start()
    wire.cancel(state)
    assert cancelled.wait(10)
    assert slow.is_alive()
    held.set()
    slow.join()
