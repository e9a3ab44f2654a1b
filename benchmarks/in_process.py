"""Figures that need no socket: journal events a second, and ticks a second through Stream and Strategy."""

from __future__ import annotations

import json
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from actors.protocol import Frame
from tests.venue_in_process import Venue, make_world, rules_of, start
from thunes.messages import Record, Side
from thunes.storage.journal import JournalFile

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


def decoded_a_second(count: int) -> float:
    """The floor: the same frames through json alone, in one thread."""
    frames = [ticker(number + 1) for number in range(count)]
    began = time.perf_counter()
    for frame in frames:
        json.loads(frame)
    return count / (time.perf_counter() - began)
