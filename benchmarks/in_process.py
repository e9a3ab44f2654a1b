"""Figures that need no socket: journal events a second, and ticks a second through Stream and Strategy."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

from actors.protocol import Frame
from actors.runtime.actor import Actor
from tests.venue_in_process import Running, Venue, make_world, rules_of, start
from thunes.control.metrics import Metrics
from thunes.domain.figures import Histogram
from thunes.domain.histogram import Recorder
from thunes.messages import Record, Side
from thunes.storage.journal import JournalFile
from thunes.system import Sources, read_figures

RECORD = Record(
    "TRADE_APPROVED",
    symbol="BTCUSDT",
    side=Side.BUY,
    correlation_id="0123456789abcdef0123",
    risk_snapshot={"kill_switch": False, "epoch": 0, "daily_pnl": Decimal("-1.25"), "open_positions": 1},
    metadata={"quantity": Decimal("0.00016"), "reference_price": Decimal("60000.01"), "market_time": 1_735_689_600_000},
)


def journal_events_a_second(count: int, batch: int) -> float:
    """Sealed into the chain, appended, and durable with one fdatasync a batch."""
    with tempfile.TemporaryDirectory() as folder:
        journal = JournalFile.open(Path(folder), wall=lambda: datetime.now(UTC), git_sha="bench")
        began = time.perf_counter()
        for number in range(count):
            journal.append(RECORD)
            if number % batch == batch - 1:
                journal.commit()
        journal.commit()
        return count / (time.perf_counter() - began)


def json_lines_a_second(count: int) -> float:
    """The floor: the same members as JSON lines into a file, with no chain, no schema and no sync."""
    members = {**RECORD.metadata, **RECORD.risk_snapshot, "event": RECORD.event, "symbol": RECORD.symbol}
    with tempfile.TemporaryFile("w") as file:
        began = time.perf_counter()
        for number in range(count):
            file.write(json.dumps({"seq": number, **members}, default=str) + "\n")
        return count / (time.perf_counter() - began)


def ticker(number: int) -> bytes:
    price = 60_000 + number % 100
    return (
        b'{"stream":"btcusdt@bookTicker","data":{"u":%d,"s":"BTCUSDT","b":"%d.00000000","B":"1.00000000",'
        b'"a":"%d.01000000","A":"1.00000000"}}' % (number, price, price)
    )


def ticks_a_second(count: int) -> float:
    """Frames through StreamActor and StrategyActor (and Risk) on their own threads, decoded, guarded, conflated."""
    frames = [Frame(ticker(number + 1), 0) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        venue = Venue(rules_of("BTCUSDT"))
        environ = {"THUNES_STREAM__QUEUE_SIZE": str(count + 100)}
        running = start(make_world(Path(folder), venue, environ), venue)
        running.ready.wait(10)
        handled = running.world.board.handled
        before = handled.get("stream.BTCUSDT", 0)
        began = time.perf_counter()
        for frame in frames:
            running.tell("stream.BTCUSDT", frame)
        while handled.get("stream.BTCUSDT", 0) < before + count or len(running.world.post["strategy.BTCUSDT"]):
            time.sleep(0.001)
        taken = time.perf_counter() - began
        running.stop()
    return count / taken


def cpu_a_tick(count: int, *, metrics: bool) -> float:
    """Microseconds of the processor for a tick on the same road: every figure kept and scraped, or none at all.

    Not the time on the clock, which varies with how threads happen to meet by far more than figures cost.
    """
    frames = [ticker(number + 1) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        venue = Venue(rules_of("BTCUSDT"))
        environ = {"THUNES_STREAM__QUEUE_SIZE": str(count + 100)}
        running = start(make_world(Path(folder), venue, environ), venue)
        running.ready.wait(10)
        handled = running.world.board.handled
        before = handled.get("stream.BTCUSDT", 0)
        with scraped(running) if metrics else unmeasured():
            began = time.process_time()
            for frame in frames:
                running.tell("stream.BTCUSDT", Frame(frame, time.monotonic_ns()))
            while handled.get("stream.BTCUSDT", 0) < before + count or len(running.world.post["strategy.BTCUSDT"]):
                time.sleep(0.01)
            taken = time.process_time() - began
        running.stop()
    return taken / count * 1e6


SCRAPE_EVERY = 1.0
"""Seconds: Prometheus comes every 15."""


@contextmanager
def scraped(running: Running) -> Iterator[None]:
    """Prometheus's work on a thread of its own, as the control server does it."""
    world, ended = running.world, threading.Event()
    sources = Sources(
        venue="sim",
        version="0",
        git_sha="bench",
        symbols=world.symbols,
        figures=world.board.figures,
        handled=world.board.handled,
        boxes=world.post.boxes,
        exchange=world.ports.exchange_figures,
        now_ns=world.clock.monotonic_ns,
        started_ns=0,
        ready=running.ready.is_set,
        machine=world.ports.machine_figures,
    )
    metrics = Metrics(lambda: read_figures(sources), lambda: (time.monotonic_ns(), time.thread_time_ns()))

    def scrape() -> None:
        while not ended.wait(SCRAPE_EVERY):
            metrics.render("application/openmetrics-text")

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def unmeasured() -> Iterator[None]:
    """No actor publishes, and nothing is counted into a histogram."""
    nothing = Histogram((), ())
    with (
        patch.object(Recorder, "observe", lambda *_: None),
        patch.object(Recorder, "histogram", lambda _: nothing),
        patch.object(Actor, "publish", lambda *_: None),
    ):
        yield


def decoded_a_second(count: int) -> float:
    """The floor: the same frames through json alone, in one thread."""
    frames = [ticker(number + 1) for number in range(count)]
    began = time.perf_counter()
    for frame in frames:
        json.loads(frame)
    return count / (time.perf_counter() - began)
