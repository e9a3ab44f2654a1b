"""What Binance really sent is read whole, and the book made of it is Binance's wherever that can be told."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.exchange.conftest import SHARED
from thunes.domain.orderbook import OrderBook
from thunes.exchange.simulator.live_book import Diff, LiveBook
from thunes.exchange.simulator.live_frames import STREAMS, decode_depth, decode_frame
from thunes.exchange.simulator.live_rest import served
from thunes.exchange.simulator.rules import symbol_rules
from thunes.exchange.simulator.tables import Bar
from thunes.messages import PublicTrade

CAPTURE = SHARED / "binance-spot-capture"
RULES = SHARED / "exchange-info"
pytestmark = pytest.mark.skipif(not CAPTURE.exists(), reason=f"real market data is not at {CAPTURE}")


def lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        yield from file


def followed(stream: str) -> bool:
    return stream.partition("@")[2] in STREAMS


def best_of(data: dict[str, Any]) -> tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]:
    return (Decimal(data["b"]), Decimal(data["B"])), (Decimal(data["a"]), Decimal(data["A"]))


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_the_book_of_a_capture_has_the_best_prices_that_the_venue_told_beside_it(symbol: str) -> None:
    live, book, told, agreed, trades = LiveBook(symbol), OrderBook(), {}, 0, 0
    for line in lines(CAPTURE / f"{symbol}-2024-08-08.jsonl.gz"):
        text = line.partition(b" ")[2]
        row = orjson.loads(text)
        if "lastUpdateId" in row:
            events = live.take(decode_depth(text))
        elif not followed(row["stream"]):
            told[row["data"]["u"]] = best_of(row["data"])
            continue
        else:
            was_in_sync, event = live.in_sync, decode_frame(text)
            if isinstance(event, PublicTrade):
                trades += 1
                continue
            assert isinstance(event, Diff)
            events = live.change(event)
            assert live.in_sync or not was_in_sync
        for change in events:
            book.apply(change)
        if live.in_sync and live.last_id in told:
            agreed += 1
            assert (book.best_bid, book.best_ask) == told[live.last_id]

    assert live.in_sync
    assert agreed > 100
    assert trades > 1000


def test_the_books_of_quiet_symbols_come_into_sync_and_stay_so() -> None:
    snapshots = {}
    for line in lines(CAPTURE / "cryptofeed-2021-10-http.txt.gz"):
        if b"/depth?symbol=" in line:
            symbol = line.partition(b"symbol=")[2].partition(b"&")[0].decode()
            snapshots[symbol] = decode_depth(line.partition(b" -> ")[2].partition(b": ")[2])
    books = {symbol: LiveBook(symbol) for symbol in snapshots}
    losses, candles = 0, 0
    for line in lines(CAPTURE / "cryptofeed-2021-10-ws.txt.gz"):
        text = line.partition(b": ")[2]
        if not text.startswith(b"{") or not followed(orjson.loads(text)["stream"]):
            continue
        event = decode_frame(text)
        if isinstance(event, Diff):
            live = books[event.symbol]
            was_in_sync = live.in_sync
            live.change(event)
            losses += was_in_sync and not live.in_sync
            if live.wants_snapshot:
                live.take(snapshots[event.symbol])
        else:
            candles += isinstance(event, Bar)

    assert losses == 0
    assert candles == 2
    assert books["NKNUSDT"].in_sync


def test_the_rules_of_every_symbol_that_the_venue_ever_listed_can_be_traded_by() -> None:
    with gzip.open(RULES / "binance-2021-10.json.gz") as file:
        entries = orjson.loads(file.read())["symbols"]
    entries += orjson.loads((RULES / "binance-2024-09-12-symbols.json").read_bytes())["symbols"]
    rules = symbol_rules({entry["symbol"]: served(entry) for entry in entries})

    assert len(rules) > 1600
    assert all(each.tick_size > 0 and each.lot > 0 for each in rules.values())
    assert all(each.order_types for each in rules.values())
