"""The whole road on real threads: every decision is on the disk before its order, whoever shouts how loud."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from actors.protocol import Approved, Permit
from tests.e2e.support import wait_for
from tests.venue_in_process import Running, Venue, make_world, rules_of, start
from thunes.domain.books import Books
from thunes.domain.filters import round_down
from thunes.messages import Kill, OrderType, Side, SubmitOrder
from thunes.storage.books import BooksStore
from thunes.storage.journal import read_events, verify

D = Decimal
SYMBOLS = ("BTCUSDT", "ETHUSDT")
PRICES = {"BTCUSDT": D("60000.01"), "ETHUSDT": D("2600.01")}
QUANTITIES = {"BTCUSDT": D("0.00020"), "ETHUSDT": D("0.0050")}


def order(running: Running, symbol: str, side: Side, quantity: Decimal | None = None) -> SubmitOrder:
    return SubmitOrder(
        correlation_id=running.world.ids.new(),
        symbol=symbol,
        side=side,
        order_type=OrderType.MARKET,
        quantity=quantity or QUANTITIES[symbol],
        reference_price=PRICES[symbol],
        cause="SCRIPT",
        strategy="script",
        params_hash="0",
        market_ms=running.venue.now_ms,
    )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    venue = Venue(rules_of(*SYMBOLS))
    alive = start(make_world(tmp_path, venue), venue)
    wait_for(alive.ready.is_set, what="the tree")
    alive.show_ticks()
    wait_for(lambda: alive.figures("risk").synced, what="synced books")
    yield alive
    if not alive.ended.is_set():
        alive.stop()


def decisions(running: Running) -> list[str]:
    return [e.event for e in read_events(running.world.home.logs) if e.event in ("TRADE_APPROVED", "TRADE_REJECTED")]


def ended(running: Running) -> bool:
    risk = running.figures("risk")
    return risk.reserved == 0 and all(running.figures(f"order.{s}").open == () for s in SYMBOLS)


def sellable(running: Running, symbol: str) -> Decimal:
    held = next((p.quantity for p in running.figures("risk").positions if p.symbol == symbol), D(0))
    return round_down(held, running.venue.rules[symbol].step_size)


def trade(running: Running, symbol: str, number: int) -> None:
    """One scripted trade: a buy on the even ones, a sell of what is held on the odd ones."""
    wait_for(lambda: ended(running), what="the trade before")
    side = Side.BUY if number % 2 == 0 else Side.SELL
    quantity = QUANTITIES[symbol] if side is Side.BUY else sellable(running, symbol)
    before = sum(running.figures("risk").decisions.values())
    running.tell("risk", order(running, symbol, side, quantity))
    wait_for(lambda: sum(running.figures("risk").decisions.values()) > before, what="the decision")


def test_a_thousand_scripted_trades_leave_a_thousand_decisions_each_durable_before_its_order(running: Running) -> None:
    journal = running.world.home.audit_trail
    early: list[str] = []

    def look_at_the_disk(client_order_id: str) -> None:
        if f'"client_order_id":"{client_order_id}"' not in journal.read_text()[-20_000:]:
            early.append(client_order_id)

    running.venue.before_place = look_at_the_disk
    for number in range(1000):
        trade(running, SYMBOLS[(number // 2) % 2], number)
    wait_for(lambda: len(running.venue.placed) == 1000, 60, "a thousand orders")
    wait_for(lambda: ended(running), what="the last order's end")
    assert early == []
    assert decisions(running) == ["TRADE_APPROVED"] * 1000
    assert running.stop() == ""
    assert verify(running.world.home.logs).events > 4000


def test_books_database_and_exchange_agree_after_a_flood(running: Running) -> None:
    def flood(symbol: str) -> None:
        for _ in range(250):
            running.tell("risk", order(running, symbol, Side.BUY))
            running.tell("risk", order(running, symbol, Side.SELL, QUANTITIES[symbol] / 2))

    threads = [threading.Thread(target=flood, args=(symbol,)) for symbol in SYMBOLS * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: len(decisions(running)) == 4000, 60, "four thousand decisions")
    wait_for(lambda: ended(running), 60, "the last order's end")
    assert running.stop() == ""
    fold = Books()
    for event in read_events(running.world.home.logs):
        fold.apply(event)
    store = BooksStore.at(running.world.home.database)
    assert store.load() == fold
    store.close()
    assert {a: b for a, b in running.venue.totals().items() if a in fold.balances} == fold.balances
    assert max(Counter(running.venue.placed).values()) == 1


def test_three_buys_at_once_for_one_slot_take_exactly_one(tmp_path: Path) -> None:
    symbols = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
    venue = Venue(rules_of(*symbols))
    venue.show_book("BNBUSDT", D(600))
    environ = {"THUNES_RISK__MAX_POSITIONS": "1"}
    alive = start(make_world(tmp_path, venue, environ), venue)
    wait_for(alive.ready.is_set, what="the tree")
    alive.show_ticks()
    wait_for(lambda: alive.figures("risk").synced, what="synced books")
    gate = threading.Barrier(3)

    def buy(symbol: str, quantity: str, price: str) -> None:
        gate.wait()
        intent = SubmitOrder(
            alive.world.ids.new(),
            symbol,
            Side.BUY,
            OrderType.MARKET,
            D(quantity),
            D(price),
            "X",
            "x",
            "0",
            venue.now_ms,
        )
        alive.tell("risk", intent)

    wanted = [("BTCUSDT", "0.0002", "60000.01"), ("ETHUSDT", "0.005", "2600.01"), ("BNBUSDT", "0.02", "600.01")]
    threads = [threading.Thread(target=buy, args=one) for one in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: len(decisions(alive)) == 3, what="three decisions")
    assert sorted(decisions(alive)) == ["TRADE_APPROVED", "TRADE_REJECTED", "TRADE_REJECTED"]
    reasons = [e.reason for e in read_events(alive.world.home.logs) if e.event == "TRADE_REJECTED"]
    assert reasons == ["POSITION_LIMIT", "POSITION_LIMIT"]
    alive.stop()


def test_after_a_kill_is_on_the_disk_and_taken_no_buy_reaches_the_exchange(running: Running) -> None:
    stopping = threading.Event()

    def flood() -> None:
        while not stopping.is_set():
            running.tell("risk", order(running, "BTCUSDT", Side.BUY))
            stopping.wait(0.001)
            running.tell("risk", order(running, "BTCUSDT", Side.SELL, sellable(running, "BTCUSDT")))

    thread = threading.Thread(target=flood)
    thread.start()
    wait_for(lambda: len(running.venue.placed) > 20, what="orders")
    running.tell("risk", Kill("drill", "test"))
    wait_for(lambda: all(running.figures(f"order.{s}").epoch == 1 for s in SYMBOLS), what="the acknowledgement")
    mark = len(running.venue.placed)
    refused = len(decisions(running))
    wait_for(lambda: len(decisions(running)) > refused + 50, what="refusals")
    stopping.set()
    thread.join()
    sides = {
        e.metadata["client_order_id"]: e.side
        for e in read_events(running.world.home.logs)
        if e.event == "TRADE_APPROVED"
    }
    assert [sides[order_id] for order_id in running.venue.placed[mark:] if sides[order_id] == "BUY"] == []


def permit(running: Running, side: Side, epoch: int) -> Permit:
    intent = order(running, "BTCUSDT", side)
    return Permit(Approved(intent, epoch, f"homehome-{intent.correlation_id}", seq=1_000_000))


def withheld(running: Running) -> list[str | None]:
    return [e.reason for e in read_events(running.world.home.logs) if e.event == "ORDER_REJECTED"]


def test_an_approval_of_before_the_kill_is_not_sent_after_it(running: Running) -> None:
    running.tell("risk", Kill("drill", "test"))
    wait_for(lambda: running.figures("order.BTCUSDT").epoch == 1, what="the acknowledgement")
    running.world.home.clear_kill()  # so that the epoch alone has to hold
    running.tell("order.BTCUSDT", permit(running, Side.BUY, epoch=0))
    wait_for(lambda: withheld(running) == ["STALE_EPOCH"], what="the refusal")
    assert running.venue.placed == []


def test_a_kill_marker_from_outside_holds_at_the_next_send_and_becomes_a_kill(running: Running) -> None:
    running.world.home.write_kill("from outside", "test", "now")
    running.tell("order.BTCUSDT", permit(running, Side.BUY, epoch=0))
    wait_for(lambda: withheld(running) == ["KILL_SWITCH"], what="the refusal")
    wait_for(lambda: running.figures("risk").kill_active, what="the kill")
    assert running.venue.placed == []


def test_a_kill_marked_while_an_order_is_being_sent_withholds_it_and_lets_a_sell_go(running: Running) -> None:
    trade(running, "BTCUSDT", 0)
    wait_for(lambda: ended(running) and sellable(running, "BTCUSDT"), what="a position")
    running.venue.before_place = lambda _name: running.world.home.write_kill("from outside", "test", "now")
    running.tell("risk", order(running, "ETHUSDT", Side.BUY))
    wait_for(lambda: withheld(running) == ["KILL_SWITCH"], what="the refusal")
    assert len(running.venue.placed) == 1
    trade(running, "BTCUSDT", 1)
    wait_for(lambda: len(running.venue.placed) == 2, what="the sell")


def test_a_kill_that_flattens_sells_what_is_held_and_buys_no_more(running: Running) -> None:
    for symbol in SYMBOLS:
        trade(running, symbol, 0)
    wait_for(lambda: ended(running) and all(sellable(running, symbol) for symbol in SYMBOLS), what="two positions")
    running.tell("risk", Kill("drill", "test", flatten=True))
    wait_for(lambda: not any(p.quantity for p in running.figures("risk").positions), what="no position")
    running.tell("risk", order(running, "BTCUSDT", Side.BUY))
    wait_for(lambda: len(decisions(running)) == 5, what="five decisions")
    last = list(read_events(running.world.home.logs))[-1]
    assert (last.event, last.reason) == ("TRADE_REJECTED", "KILL_SWITCH")
    assert len(running.venue.placed) == 4


def test_a_disk_that_fails_lets_no_order_out_and_gives_up_with_the_switch_on(tmp_path: Path) -> None:
    from thunes.storage.journal import JournalFile

    venue = Venue(rules_of(*SYMBOLS))
    broken = threading.Event()

    def sync(_fd: int) -> None:
        if broken.is_set():
            raise OSError(28, "No space left on device")

    world = make_world(tmp_path, venue)
    world = make_world(
        tmp_path,
        venue,
        open_journal=lambda: JournalFile.open(world.home.logs, wall=world.clock.wall, git_sha="x", sync=sync),
    )
    alive = start(world, venue)
    wait_for(alive.ready.is_set, what="the tree")
    alive.show_ticks()
    wait_for(lambda: alive.figures("risk").synced, what="synced books")
    broken.set()
    alive.tell("risk", order(alive, "BTCUSDT", Side.BUY))
    assert alive.ended.wait(10)
    assert "No space left on device" in str(alive.ended.value)
    assert venue.placed == []
    assert world.home.kill_active()
    world.timers.stop()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["risk", "order.BTCUSDT", "audit", "books", "breaker", "strategy.BTCUSDT", "metrics"])
def test_an_actor_that_crashes_is_replaced_and_trading_goes_on(running: Running, name: str) -> None:
    trade(running, "BTCUSDT", 0)
    wait_for(lambda: ended(running) and sellable(running, "BTCUSDT"), what="the first trade's end")
    running.tell(name, "a message that nobody understands")
    wait_for(lambda: running.figures("supervisor")[name] == ("running", 1), what="the replacement")
    wait_for(lambda: running.figures("risk").synced, what="synced books")
    running.show_ticks(2)
    for number in (1, 2, 3):
        trade(running, "BTCUSDT", number)
    wait_for(lambda: len(running.venue.placed) == 4 and ended(running), what="four orders")
    running.stop()
    lines = list(read_events(running.world.home.logs))
    assert [e.metadata["actor"] for e in lines if e.event == "ACTOR_RESTARTED"] == [name]
    assert [e.metadata["actor"] for e in lines if e.event == "DEAD_LETTER"] == [name]
    fold = Books()
    for event in lines:
        fold.apply(event)
    totals = running.venue.totals()
    assert {asset: totals[asset] for asset in fold.balances} == fold.balances
