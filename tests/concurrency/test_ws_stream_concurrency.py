"""Market streams, the account stream and their mailboxes under floods of real threads: nothing lost, nothing twice."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, replace
from functools import partial
from pathlib import Path
from typing import Any

import pykka
import pytest

from actors.protocol import Frame, History, Shutdown, SocketClosed, SocketOpened, Watchdog
from actors.risk import RiskActor
from actors.runtime.actor import Stop
from actors.runtime.mailbox import Mailbox, MailboxPolicy
from actors.strategy import StrategyActor
from actors.stream import StreamActor
from actors.tree import plant
from tests.concurrency.stream_support import (
    ACCOUNT,
    BTC,
    BY_US,
    ETH,
    MINUTE,
    PATIENCE,
    START,
    STEP_NS,
    SYMBOLS,
    THREADS,
    Bench,
    Crowd,
    D,
    Line,
    candle,
    kline,
    printed,
    report,
    ticker,
    together,
    trade,
)
from tests.concurrency.stream_support import times as repeated
from tests.e2e.support import wait_for
from thunes.domain.figures import StreamFigures
from thunes.domain.market import ExecutionReport
from thunes.domain.supervision import ChildSpec, Tree
from thunes.messages import Candle, Kill, Reconcile, Reconnect, Record, Tick

LIMIT = 100


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Streams whose mailboxes drop nothing."""
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture
def bounded(tmp_path: Path) -> Iterator[Bench]:
    """Streams with the bound that the product has."""
    made = Bench(tmp_path, LIMIT)
    yield made
    made.close()


def trades_into(bench: Bench, first: int = 1) -> Line:
    return Line(lambda n: bench.sockets[0].bring(trade(n), n * STEP_NS), first)


def observed(figures: StreamFigures) -> int:
    """How many frames were handled."""
    assert figures.gap_seconds is not None
    return sum(figures.gap_seconds.counts)


def test_concurrent_message_processing(bench: Bench) -> None:
    bench.start()
    line = trades_into(bench)

    def produce(thread: int) -> None:
        for number in range(thread + 1, 1501, 3):
            bench.socket.bring(ticker(number))
            line()

    together(*[partial(produce, thread) for thread in range(3)])
    figures = bench.settle()
    assert observed(figures) == 3000
    assert (figures.trades, figures.first_trade_id, figures.last_trade_id, figures.gaps) == (1500, 1, 1500, 0)
    updates = [tick.update_id for tick in bench.told("risk", Tick)]
    assert updates == sorted(set(updates)), "a ticker was told twice, or after a newer one"
    assert updates[-1] == figures.bid == 1500, "the newest ticker wins"
    assert figures.ticks == len(updates) == 1500 - figures.rejected.get("STALE_UPDATE", 0)
    assert [tick.update_id for tick in bench.told("strategy.BTCUSDT", Tick)] == updates
    assert figures.overflow == 0


def test_reconnection_race_condition(bench: Bench) -> None:
    bench.start()
    line = trades_into(bench)
    generations: list[int] = []
    finished = threading.Event()

    def shout() -> None:
        for _ in range(25):
            bench.tell(BTC, Reconnect("BTCUSDT", "drill"))
            newest = bench.world.carry[BTC]
            for generation in range(max(0, newest - 5), newest + 2):
                bench.tell(BTC, SocketClosed(generation, "cable"))
            for _ in range(10):
                line()
        for generation in range(bench.world.carry[BTC]):
            bench.tell(BTC, SocketClosed(generation, "late"))

    def look() -> None:
        while not finished.is_set():
            generations.append(bench.world.carry[BTC])

    looker = Crowd(look)
    try:
        together(*[shout] * THREADS)
        bench.settle()
        bench.timers.fire(BTC, "open")  # if the newest was told to have ended, there is another after a while
        figures = bench.settle()
    finally:
        finished.set()
        looker.join()
    assert figures.connected
    assert bench.still_open() == [bench.sockets[-1]]
    assert bench.world.carry[BTC] == len(bench.sockets) > 25 * THREADS
    assert generations == sorted(generations)
    assert (figures.trades, figures.gaps, observed(figures)) == (250 * THREADS, 0, 250 * THREADS)
    journalled = bench.told("audit", Record)
    connections = [record for record in journalled if record.event == "STREAM_CONNECTED"]
    assert len(connections) == figures.reconnects + 1 <= len(bench.sockets)
    whys = {record.metadata["why"] for record in journalled if record.event == "STREAM_DISCONNECTED"}
    assert whys <= {"asked for by drill", "cable"}, "what an older socket says of its end changes nothing"


def test_a_connection_is_journalled_as_lost_before_the_next_one_is_journalled(bench: Bench) -> None:
    bench.start()
    bench.tell(BTC, SocketClosed(1, "cable"))
    bench.settle()

    def shout() -> None:
        for _ in range(10):
            bench.tell(BTC, Reconnect("BTCUSDT", "drill"))
            bench.tell(BTC, SocketClosed(bench.world.carry[BTC] - 1, "late"))

    for _ in range(10):
        together(*[shout] * THREADS)
        assert bench.settle().connected
    figures = bench.figures()
    assert figures.reconnects >= 10
    told = bench.records("STREAM_CONNECTED", "STREAM_DISCONNECTED")
    up, down = "STREAM_CONNECTED", "STREAM_DISCONNECTED"
    assert [record.event for record in told] == [up, down] * figures.reconnects + [up]
    assert {record.metadata["why"] for record in told if record.event == down} == {"cable", "asked for by drill"}
    assert not bench.timers.fire(BTC, "open"), "a try that was put off would close what was opened meanwhile"


def test_queue_overflow_handling(bounded: Bench) -> None:
    bounded.start(held=True)
    box, depths = bounded.post[BTC], []
    line = Line(lambda n: bounded.socket.bring(ticker(n), n * STEP_NS))

    def produce() -> None:
        for _ in range(200 // THREADS):
            line()
            depths.append(len(box))

    together(*[produce] * THREADS)
    assert (box.overflow, len(box), max(depths)) == (100, LIMIT, LIMIT)
    bounded.release()
    figures = bounded.settle()
    assert (figures.overflow, figures.ticks) == (100, 100)
    assert [tick.update_id for tick in bounded.told("risk", Tick)] == list(range(101, 201)), "the newest stay"


def test_closed_candles_are_never_dropped_however_full_the_mailbox_is(bounded: Bench) -> None:
    bounded.start(held=True)
    box, depths = bounded.post[BTC], []
    candles = Line(lambda n: bounded.socket.bring(kline(n), STEP_NS))
    tickers = Line(lambda n: bounded.socket.bring(ticker(n), STEP_NS))

    def produce() -> None:
        for number in range(250):
            (candles if number % 25 == 0 else tickers)()
            depths.append(len(box))

    together(*[produce] * THREADS)
    assert (box.overflow, max(depths)) == (250 * THREADS - LIMIT, LIMIT)
    bounded.release()
    figures = bounded.settle()
    fed = [(told.open_ms - START) // MINUTE for told in bounded.told("strategy.BTCUSDT", Candle)]
    assert fed == list(range(1, 10 * THREADS + 1))
    assert (figures.candles, figures.gaps) == (10 * THREADS, 0)
    assert figures.ticks == LIMIT - 10 * THREADS


def test_watchdog_concurrent_health_check(bench: Bench) -> None:
    bench.start()
    limit_ns = int(bench.world.settings.stream.watchdog * 1e9)
    line = Line(lambda n: bench.socket.bring(trade(n), bench.clock.now_ns))

    def look_and_feed() -> None:
        for _ in range(50):
            bench.tell(BTC, Watchdog())
            line()

    def look() -> None:
        for _ in range(50):
            bench.tell(BTC, Watchdog())

    for silence in range(1, 6):
        together(*[look_and_feed] * THREADS)
        bench.settle()
        bench.clock.now_ns += limit_ns
        together(*[look] * THREADS)
        bench.settle()
        assert len(bench.sockets) == silence, "a stream that was not silent for longer than allowed is left alone"
        bench.clock.now_ns += 1_000_000
        together(*[look] * THREADS)
        assert bench.settle().reconnects == silence, "many looks at one silence open one connection"
        assert bench.timers.fire(BTC, "watchdog"), "the next look is set"
    stale = bench.records("STREAM_STALE")
    assert [record.metadata["silent_s"] for record in stale] == [limit_ns / 1e9 + 0.001] * 5
    assert bench.still_open() == [bench.sockets[-1]]
    assert len(bench.sockets) == 6
    assert bench.figures().trades == 5 * 50 * THREADS


def test_stop_during_message_processing(bench: Bench) -> None:
    bench.start(held=True)
    line = trades_into(bench)
    together(*[repeated(125, line)] * THREADS)
    bench.tell(BTC, Stop())
    together(*[repeated(125, line)] * THREADS)
    bench.release()
    exit_report = bench.ended()
    assert (exit_report.reason, exit_report.message) == (None, None)
    before = bench.figures()
    assert (before.trades, before.last_trade_id, before.gaps) == (1000, 1000, 0), "what was queued before is handled"
    assert bench.sockets[0].closed
    assert len(bench.post[BTC]) == 1001, "what came after it waits, and the socket's word of its own end"
    bench.start(incarnation=1)
    after = bench.settle()
    assert (after.trades, after.first_trade_id, after.last_trade_id, after.gaps) == (1000, 1001, 2000, 0)
    assert after.connected
    assert not bench.timers.fire(BTC, "open"), "the end of the socket before is not taken for that of the new one"
    bench.stop()
    assert [report.incarnation for report in bench.exits()] == [0, 1]


def test_a_stop_in_the_midst_of_a_flood_splits_it_in_two_without_a_loss(bench: Bench) -> None:
    bench.start()
    line, met, told = trades_into(bench), threading.Barrier(THREADS + 1), threading.Event()

    def produce() -> None:
        repeated(100, line)()
        met.wait(PATIENCE)
        repeated(100, line)()
        assert told.wait(PATIENCE)
        repeated(50, line)()

    def stop() -> None:
        met.wait(PATIENCE)
        bench.tell(BTC, Stop())
        told.set()

    together(stop, *[produce] * THREADS)
    bench.ended()
    before = bench.figures()
    bench.start(incarnation=1)
    after = bench.settle()
    assert 100 * THREADS <= before.trades == before.last_trade_id <= 200 * THREADS
    assert (after.first_trade_id, after.last_trade_id) == (before.last_trade_id + 1, 250 * THREADS)
    assert after.trades == 250 * THREADS - before.trades
    assert len(bench.exits()) == 1


def test_concurrent_get_latest_ticker_reads(bench: Bench) -> None:
    bench.start()

    def send(number: int) -> None:
        bench.socket.bring("{" if number % 10 == 5 else ticker(number), number * STEP_NS)

    line, target = Line(send), 0
    seen: list[list[StreamFigures]] = [[] for _ in range(THREADS)]

    def read(kept: list[StreamFigures]) -> None:
        begun = time.monotonic()
        while not kept or kept[-1].last_frame_ns < target * STEP_NS:
            assert time.monotonic() < begun + PATIENCE, "the newest figures are never published"
            figures = bench.figures()
            if not kept or figures is not kept[-1]:
                kept.append(figures)

    for _ in range(10):
        target += 25 * THREADS
        together(*[repeated(25, line)] * THREADS, *[partial(read, kept) for kept in seen])
    for kept in seen:
        assert len(kept) > 10
        assert [f.ticks for f in kept] == sorted(f.ticks for f in kept)
        assert [f.last_frame_ns for f in kept] == sorted(f.last_frame_ns for f in kept)
        # Looked at after the flood: a snapshot that anybody went on writing to would no longer be of its moment.
        for figures in kept:
            assert_of_one_moment(figures)
    with pytest.raises(FrozenInstanceError):
        bench.figures().ticks = 0


def assert_of_one_moment(figures: StreamFigures) -> None:
    number = figures.last_frame_ns // STEP_NS
    bad = (number + 5) // 10
    assert figures.ticks == number - bad
    assert sum(figures.rejected.values()) == bad
    assert observed(figures) == number
    last_good = number - 1 if number % 10 == 5 else number
    assert (figures.bid, figures.ask) == ((D(last_good), D(last_good + 1)) if number else (None, None))


def test_reconnect_with_pending_messages(bench: Bench) -> None:
    bench.start(held=True)
    pending = Line(lambda n: bench.sockets[0].bring(ticker(n) if n % 2 else trade(n // 2), n * STEP_NS))
    together(*[repeated(250, pending)] * THREADS)
    together(*[lambda: bench.tell(BTC, Reconnect("BTCUSDT", "drill"))] * THREADS)
    bench.release()
    figures = bench.settle()
    assert [socket.handled.get(BTC, 0) for socket in bench.sockets] == [0, *range(1, THREADS + 1)], (
        "each new connection is made before any frame that was queued"
    )
    assert bench.still_open() == [bench.sockets[-1]]
    assert [tick.update_id for tick in bench.told("risk", Tick)] == list(range(1, 250 * THREADS, 2))
    assert (figures.trades, figures.first_trade_id, figures.last_trade_id) == (1000, 1, 1000)
    assert (figures.gaps, figures.rejected, figures.connected) == (0, {}, True)


def test_health_monitor_concurrent_record_message(bench: Bench) -> None:
    bench.start()
    line = Line(lambda n: bench.socket.bring(ticker(n), n * STEP_NS))
    together(*[repeated(250, line)] * THREADS)
    figures = bench.settle()
    sent = 250 * THREADS
    assert (figures.ticks, figures.last_frame_ns, observed(figures)) == (sent, sent * STEP_NS, sent)
    assert figures.gap_seconds is not None
    assert figures.gap_seconds.counts[0] == sent
    assert figures.gap_seconds.total == pytest.approx(sent * STEP_NS / 1e9)

    def shout(thread: int) -> None:
        for number in range(250):
            bench.socket.bring(trade(1), (sent + number * THREADS + thread) * STEP_NS)

    together(*[partial(shout, thread) for thread in range(THREADS)])
    figures = bench.settle()
    assert observed(figures) == 2 * sent
    assert figures.last_frame_ns // STEP_NS in range(2 * sent - THREADS, 2 * sent), "the last frame of some thread"
    assert (figures.ticks, figures.trades) == (sent, 1)


def test_multiple_streams_same_symbol(tmp_path: Path) -> None:
    systems = [Bench(tmp_path / "one"), Bench(tmp_path / "two")]
    for system in systems:
        system.start(BTC)
        system.start(ETH)

    def deliver(system: Bench, first: int) -> None:
        btc, eth = system.sockets
        for number in range(first, first + 400):
            btc.bring(trade(number))
            eth.bring(trade(7 * number, "ETHUSDT"))

    jobs = [partial(deliver, s, first) for s, first in zip(systems, (1, 5001), strict=True)]
    together(*jobs * (THREADS // 2))
    for system, first in zip(systems, (1, 5001), strict=True):
        system.tape.printed = []
        figures, other = system.settle(BTC), system.settle(ETH)
        assert (figures.symbol, other.symbol) == ("BTCUSDT", "ETHUSDT")
        assert observed(figures) == observed(other) == 4 * 400, "each thread's frames were looked at"
        assert (figures.trades, figures.gaps) == (400, 0), "each trade counts once, whichever socket brought it first"
        assert (figures.first_trade_id, figures.last_trade_id) == (first, first + 399)
        assert (other.first_trade_id, other.last_trade_id) == (7 * first, 7 * (first + 399))
        assert {record.symbol for record in system.records("STREAM_GAP")} == {"ETHUSDT"}
        system.close()


def test_stream_restart_during_processing(bench: Bench) -> None:
    poisoned = (401, 1203)
    spec = ChildSpec(BTC, StreamActor, mailbox=StreamActor.mailbox_policy)
    ready, ended = plant(bench.world, Tree((spec,)), Record("SYSTEM_STARTED"))
    wait_for(ready.is_set, PATIENCE, "the stream")

    def send(number: int) -> None:
        # No socket brings a frame without a time: it stands for a mistake of ours in the midst of a handler.
        received_ns: Any = None if number in poisoned else number * STEP_NS
        bench.tell(BTC, Frame(ticker(number).encode(), received_ns))

    flood = Crowd(*[repeated(250, Line(send))] * THREADS)
    for _ in poisoned:
        wait_for(lambda: bench.timers.fire("supervisor", f"launch.{BTC}"), PATIENCE, "the restart")
    flood.join()
    bench.settle()
    ticks = [tick.update_id for tick in bench.told("risk", Tick)]
    assert ticks == [number for number in range(1, 250 * THREADS + 1) if number not in poisoned]
    journalled = bench.told("audit", Record)
    lost = [record.metadata for record in journalled if record.event == "DEAD_LETTER"]
    assert [(letter["actor"], number_in(letter["message"])) for letter in lost] == [(BTC, n) for n in poisoned]
    assert [r.metadata["actor"] for r in journalled if r.event == "ACTOR_RESTARTED"] == [BTC, BTC]
    assert bench.figures("supervisor")[BTC] == ("running", 2)
    assert bench.world.carry[BTC] == len(bench.sockets) == 3
    assert bench.still_open() == [bench.sockets[-1]], "a crash leaves no connection behind"
    assert not bench.timers.fire(BTC, "open"), "the end of a socket before is not taken for that of the new one"
    bench.tell("supervisor", Shutdown())
    wait_for(lambda: bench.timers.fire("supervisor", "stop"), PATIENCE, "the end of the cancels' time")
    assert ended.wait(PATIENCE)
    assert bench.still_open() == []


def number_in(message: str) -> int:
    found = re.search(r'"u":(\d+)', message)
    assert found is not None, message
    return int(found[1])


def test_candles_that_a_flood_left_out_are_filled_in_their_place_and_journalled(bench: Bench) -> None:
    bench.tape.candles = [candle(0)]
    bench.start()
    missing = set(range(10, 400, 10))
    bench.tape.candles = [candle(n) for n in range(401)]

    def send(number: int) -> None:
        if number not in missing:
            bench.socket.bring(kline(number))

    together(*[repeated(50, Line(send))] * THREADS, *[lambda: bench.socket.bring(ticker(1))] * THREADS)
    figures = bench.settle()
    fed: list[Candle] = []
    box = bench.post["strategy.BTCUSDT"]
    for message in [box.get().message for _ in range(len(box))]:
        fed += message.candles if type(message) is History else [message] if type(message) is Candle else []
    assert [c.open_ms for c in fed] == [candle(n).open_ms for n in range(401)]
    gaps = [(r.metadata["first"], r.metadata["last"]) for r in bench.records("STREAM_GAP") if "first" in r.metadata]
    assert gaps == [(candle(n).open_ms, candle(n).open_ms) for n in sorted(missing)]
    assert (figures.gaps, figures.candles) == (len(missing), 400)


def test_trades_that_a_flood_left_out_are_read_once_from_a_rest_that_is_ahead_and_at_times_down(bench: Bench) -> None:
    bench.start()
    bench.tape.down = 5
    total = 250 * THREADS

    def send(number: int) -> None:
        bench.tape.printed.append(printed(number))  # the exchange has a trade before it sends it
        if number % 10 != 5:
            bench.socket.bring(trade(number))

    line = Line(send)

    def produce() -> None:
        for _ in range(250):
            line()
            bench.timers.fire(BTC, "catch up")

    together(*[produce] * THREADS)
    bench.settle()
    bench.tape.down = 0
    while bench.timers.fire(BTC, "catch up"):
        bench.settle()
    line()  # it shows what the last catch-up, of a page at most, may have left out
    figures = bench.settle()
    assert (figures.trades, figures.first_trade_id, figures.last_trade_id) == (total + 1, 1, total + 1)
    gaps = [record.metadata for record in bench.records("STREAM_GAP")]
    assert len(gaps) == figures.gaps > 0
    assert all((gap["what"], gap["first"] <= gap["last"]) == ("trade", True) for gap in gaps)


def test_every_trade_and_candle_that_was_missed_between_two_connections_is_read_once(bench: Bench) -> None:
    bench.start()
    trades = Line(lambda n: bench.socket.bring(trade(n)))
    together(*[repeated(25, trades)] * THREADS)
    bench.settle()
    bench.tape.printed = [printed(n) for n in range(1, 701)]
    bench.tape.candles = [candle(n) for n in range(5)]
    bench.tape.down = 1
    bench.tell(BTC, Reconnect("BTCUSDT", "drill"))
    bench.settle()
    together(*[lambda: bench.socket.bring(trade(300))] * THREADS)
    assert bench.settle().trades == 200, "REST was down, and until it is asked again nothing is taken out of turn"
    together(*[lambda: bench.timers.fire(BTC, "catch up")] * THREADS)
    figures = bench.settle()
    assert (figures.trades, figures.last_trade_id, figures.gaps) == (700, 700, 0)

    def repeat_the_last() -> None:
        for number in range(501, 801):
            bench.socket.bring(trade(number))

    together(*[repeat_the_last] * THREADS)
    figures = bench.settle()
    assert (figures.trades, figures.last_trade_id, figures.gaps) == (800, 800, 0)
    told = [h for h in bench.told("strategy.BTCUSDT", History) if h.candles]
    assert [c.open_ms for history in told for c in history.candles] == [candle(n).open_ms for n in range(5)]


# --- the mailbox alone ---


def numbered(kind: str, number: int, symbol: str = "BTCUSDT") -> Any:
    """A ticker or a candle that bears its number."""
    if kind == "ticker":
        return Tick(symbol, D(number), D(1), D(number + 1), D(1), number, 0, 0)
    return replace(candle(number), symbol=symbol)


class Reader:
    """A thread that reads a mailbox as its actor would, until it reads END."""

    END = "end"

    def __init__(self, box: Mailbox, each: Callable[[Any], None] = lambda _message: None) -> None:
        self.box = box
        self.read: list[Any] = []
        self._each = each
        self._crowd = Crowd(self._run)

    def _run(self) -> None:
        while (message := self.box.get().message) != Reader.END:
            self.read.append(message)
            self._each(message)

    def finish(self) -> list[Any]:
        self.box.tell(Reader.END)
        self._crowd.join()
        return self.read


def mailbox(policy: MailboxPolicy) -> Mailbox:
    return Mailbox("test", policy, lambda: 0)


def test_conflation_under_many_producers_keeps_the_newest_of_each_symbol_and_every_candle() -> None:
    box = mailbox(StrategyActor.mailbox_policy)
    reader = Reader(box)
    shared = Line(lambda n: box.tell(numbered("ticker", n, "SHARED")))

    def produce(symbol: str, numbers: range) -> None:
        for number in numbers:
            box.tell(numbered("ticker", number, symbol))
            shared()
            if number % 10 == 0:
                box.tell(numbered("candle", number, symbol))

    own = [f"S{thread}" for thread in range(THREADS)]
    for numbers in (range(1, 251), range(251, 501)):
        together(*[partial(produce, symbol, numbers) for symbol in own])
        wait_for(box.empty, PATIENCE, "an empty mailbox")  # what is told next has nothing waiting to replace
    read = reader.finish()
    ticks, candles = defaultdict(list), defaultdict(list)
    for message in read:
        if type(message) is Tick:
            ticks[message.symbol].append(message.update_id)
        else:
            candles[message.symbol].append(message)
    assert {symbol: updates[-1] for symbol, updates in ticks.items()} == dict.fromkeys(own, 500) | {
        "SHARED": 500 * THREADS
    }
    for updates in ticks.values():
        assert updates == sorted(set(updates))
    assert candles == {s: [numbered("candle", n, s) for n in range(10, 501, 10)] for s in own}
    assert len(read) + box.conflated == (2 * 500 + 50) * THREADS


def test_control_overtakes_whatever_is_queued_under_a_flood() -> None:
    box = mailbox(RiskActor.mailbox_policy)

    def interrupt(message: Any) -> None:
        if message % 50 == 0:
            box.tell(Kill(str(message), "reader"))
            overtaking.append(box.get().message)

    def produce(thread: int) -> None:
        for number in range(thread, 500 * THREADS, THREADS):
            box.tell(number)

    overtaking: list[Any] = []
    together(*[partial(produce, thread) for thread in range(THREADS)])
    kill_first = Kill("drill", "test")
    box.tell(kill_first)
    assert box.get().message == kill_first, "it was told last and is read first"
    reader = Reader(box, interrupt)
    together(*[partial(produce, thread) for thread in range(THREADS)])
    read = reader.finish()
    assert Counter(read) == dict.fromkeys(range(500 * THREADS), 2)
    for thread in range(THREADS):
        own = [number for number in read if number % THREADS == thread]
        assert own == [*range(thread, 500 * THREADS, THREADS)] * 2, "the order of one thread's messages is kept"
    assert overtaking == [Kill(str(number), "reader") for number in read if number % 50 == 0]


def test_there_is_one_wake_up_for_each_waiting_message_however_threads_are_switched() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    policy = MailboxPolicy(
        control=frozenset({Kill}),
        conflate=lambda m: m.symbol if type(m) is Tick else None,
        limit=LIMIT,
        essential=lambda m: type(m) is not int,
    )
    try:
        box = mailbox(policy)
        reader = Reader(box)

        def produce(thread: int) -> None:
            for number in range(400):
                box.tell(number)
                box.tell(numbered("ticker", number, SYMBOLS[thread % 2]))
                if number % 40 == 0:
                    box.tell(Kill(str(number), str(thread)))
                    box.tell(numbered("candle", number, f"S{thread}"))

        together(*[partial(produce, thread) for thread in range(THREADS)])
        read = reader.finish()
    finally:
        sys.setswitchinterval(before)
    assert len(read) + box.overflow + box.conflated == (400 + 400 + 20) * THREADS
    kinds = Counter(type(message) for message in read)
    assert (kinds[Kill], kinds[Candle]) == (10 * THREADS, 10 * THREADS), "neither is ever dropped"
    assert (len(box), box._wake.qsize()) == (0, 0)
    assert box.overflow + kinds[int] == 400 * THREADS


# --- questions ---


def test_questions_that_a_stop_overtakes_are_answered_by_the_replacement(bench: Bench) -> None:
    bench.start()
    answers: list[Any] = []
    asked = threading.Barrier(THREADS + 1)

    def ask() -> None:
        for number in range(100):
            if number == 50:
                asked.wait(PATIENCE)
            answers.append(bench.post.ask(BTC, SocketOpened(-1), PATIENCE))

    def stop() -> None:
        asked.wait(PATIENCE)
        bench.stop()
        bench.start(incarnation=1)

    together(stop, *[ask] * THREADS)
    assert answers == [None] * 100 * THREADS


def test_a_question_to_a_name_that_has_stopped_for_good_is_refused_or_times_out_but_never_hangs(bench: Bench) -> None:
    bench.start()
    bench.stop()
    outcomes: list[type[BaseException]] = []

    def ask(seconds: float) -> None:
        try:
            bench.post.ask(BTC, SocketOpened(-1), seconds)
        except (pykka.ActorDeadError, pykka.Timeout) as error:
            outcomes.append(type(error))

    together(*[lambda: ask(0.001)] * THREADS)
    assert outcomes == [pykka.Timeout] * THREADS
    left = len(bench.post[BTC])
    waiting = Crowd(*[lambda: ask(PATIENCE)] * THREADS)
    wait_for(lambda: len(bench.post[BTC]) == left + THREADS, PATIENCE, "the questions")
    assert bench.post[BTC].close() == left + THREADS
    waiting.join()
    together(*[lambda: ask(PATIENCE)] * THREADS)
    assert outcomes[THREADS:] == [pykka.ActorDeadError] * 2 * THREADS


# --- the account stream ---


def orders_told(bench: Bench) -> list[int]:
    return [told.order_id for symbol in SYMBOLS for told in bench.told(f"order.{symbol}", ExecutionReport)]


def test_each_execution_report_of_a_flood_is_told_once_to_its_symbols_orders(bench: Bench) -> None:
    bench.start(ACCOUNT)

    def produce(thread: int) -> None:
        for number in range(thread * 250, (thread + 1) * 250):
            bench.socket.bring(report(number, SYMBOLS[number % 2]), (number + 1) * STEP_NS)
            if number % 50 == 0:
                bench.socket.bring("{", STEP_NS)
                bench.socket.bring(report(number, "XRPUSDT"), STEP_NS)

    together(*[partial(produce, thread) for thread in range(THREADS)])
    figures = bench.settle(ACCOUNT)
    for parity, symbol in enumerate(SYMBOLS):
        told = [told.order_id for told in bench.told(f"order.{symbol}", ExecutionReport)]
        for thread in range(THREADS):
            own = [number for number in told if number // 250 == thread]
            assert own == [n for n in range(thread * 250, (thread + 1) * 250) if n % 2 == parity]
        assert len(told) == 125 * THREADS
    assert figures.rejected == {"NOT_JSON": 5 * THREADS}
    assert len(bench.records("STREAM_GAP")) == 5 * THREADS
    assert len(bench.told("reconciler", Reconcile)) == 5 * THREADS + 1, "one for each bad frame, and for the connection"
    assert figures.last_frame_ns in {STEP_NS, *((t + 1) * 250 * STEP_NS for t in range(THREADS))}


def test_the_account_stream_keeps_one_connection_while_all_say_that_it_has_ended(bench: Bench) -> None:
    bench.start(ACCOUNT)
    reports = Line(lambda n: bench.socket.bring(report(n)))

    def shout() -> None:
        for number in range(40):
            bench.tell(ACCOUNT, Reconnect(None, "drill"))
            bench.socket.bring('{"event":{"e":"eventStreamTerminated","E":1}}')
            bench.socket.bring('{"event":{"e":"serverShutdown","E":1}}')
            for generation in range(max(0, bench.world.carry[ACCOUNT] - 3), bench.world.carry[ACCOUNT] + 2):
                bench.tell(ACCOUNT, SocketClosed(generation, f"cable {number}"))
            bench.timers.fire(ACCOUNT, "open")
            reports()

    together(*[shout] * THREADS)
    bench.settle(ACCOUNT)
    bench.timers.fire(ACCOUNT, "open")
    figures = bench.settle(ACCOUNT)
    assert figures.connected
    assert bench.still_open() == [bench.sockets[-1]]
    assert bench.world.carry[ACCOUNT] == len(bench.sockets) >= 3 * 40 * THREADS
    assert orders_told(bench) == list(range(1, 40 * THREADS + 1))
    journalled = bench.told("audit", Record)
    assert not [record for record in journalled if record.metadata.get("why") == BY_US]
    connections = [record for record in journalled if record.event == "STREAM_CONNECTED"]
    assert len(connections) == len(bench.told("reconciler", Reconcile)) == figures.reconnects + 1


def test_an_account_stream_that_crashes_in_a_flood_loses_the_message_it_was_handling_and_its_connection(
    bench: Bench,
) -> None:
    bench.start(ACCOUNT)
    nonsense = "a message that nobody understands"
    reports = Line(lambda n: bench.tell(ACCOUNT, nonsense) if n == 777 else bench.sockets[0].bring(report(n)))
    together(*[repeated(250, reports)] * THREADS)
    exit_report = bench.ended(ACCOUNT)
    assert exit_report.message == nonsense
    assert type(exit_report.reason) is TypeError
    assert bench.still_open() == []
    bench.start(ACCOUNT, incarnation=1)
    assert bench.settle(ACCOUNT).connected
    assert not bench.timers.fire(ACCOUNT, "open"), "the end of the socket before is not taken for that of the new one"
    assert orders_told(bench) == [number for number in range(1, 250 * THREADS + 1) if number != 777]
    assert len(bench.exits(ACCOUNT)) == 1
