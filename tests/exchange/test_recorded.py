"""The recorded source: captured frames played as they came."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import orjson
import pytest

from tests.exchange.conftest import SHARED
from thunes.domain.orderbook import OrderBook
from thunes.errors import SourceError
from thunes.exchange.simulator.sources import Source, open_source
from thunes.messages import BookChanged, MarketEvent, PublicTrade, TopChanged

CAPTURE = SHARED / "binance-spot-capture"
BOTH = ("BTCUSDT", "ETHUSDT")
captured = pytest.mark.skipif(not CAPTURE.is_dir(), reason=f"{CAPTURE} with captured frames is absent")

BASE_MS = 1_723_161_255_000


def depth(offset: int, first: int, last: int, bids: Sequence[Sequence[str]] = (), symbol: str = "BTCUSDT") -> bytes:
    data = {"e": "depthUpdate", "E": BASE_MS + offset, "s": symbol, "U": first, "u": last, "b": list(bids), "a": []}
    return frame(f"{symbol.lower()}@depth@100ms", data)


def trade(offset: int, number: int, symbol: str = "BTCUSDT") -> bytes:
    time_ms = BASE_MS + offset
    data = {"e": "trade", "E": time_ms + 1, "T": time_ms, "s": symbol, "t": number, "p": "100.0", "q": "2.5", "m": True}
    return frame(f"{symbol.lower()}@trade", data | {"M": True})


def ticker(update: int, bid: str, ask: str, symbol: str = "BTCUSDT") -> bytes:
    return frame(f"{symbol.lower()}@bookTicker", {"u": update, "s": symbol, "b": bid, "B": "1", "a": ask, "A": "2"})


def frame(stream: str, data: object) -> bytes:
    return b"1723161253937085768 " + orjson.dumps({"stream": stream, "data": data})


def snapshot(update: int = 10) -> bytes:
    book = {"bids": [["100.0", "1"], ["99.9", "4"]], "asks": [["100.1", "2"], ["100.2", "3"]]}
    return b"1723161253937085768 " + orjson.dumps({"lastUpdateId": update, **book})


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(*rows: bytes, name: str = "BTCUSDT-day.jsonl") -> Path:
        path = tmp_path / name
        content = b"\n".join(rows) + b"\n"
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return written


def opened(path: Path, *symbols: str) -> Source:
    return open_source(str(path), symbols=symbols or ("BTCUSDT",), seed=1, trend=1.0, rules={})


def played(path: Path, *symbols: str) -> list[MarketEvent]:
    return list(opened(path, *symbols).play())


def kept_books(events: Sequence[MarketEvent]) -> dict[str, OrderBook]:
    books: dict[str, OrderBook] = {}
    for event in events:
        if not isinstance(event, PublicTrade):
            books.setdefault(event.symbol, OrderBook()).apply(event)
    return books


def test_playing_begins_at_the_snapshot(write: Write) -> None:
    path = write(depth(0, 3, 9), trade(1, 6), snapshot(), depth(50, 10, 12, [["99.9", "7"]]), trade(60, 7))
    first, *rest = played(path)
    assert isinstance(first, BookChanged)
    assert first.snapshot
    assert first.bids == ((Decimal("100.0"), Decimal(1)), (Decimal("99.9"), Decimal(4)))
    assert rest == [
        BookChanged("BTCUSDT", BASE_MS + 50, ((Decimal("99.9"), Decimal(7)),), ()),
        PublicTrade("BTCUSDT", 7, Decimal("100.0"), Decimal("2.5"), BASE_MS + 60, True),
    ]


def test_updates_older_than_the_snapshot_are_dropped(write: Write) -> None:
    events = played(write(trade(0, 1), snapshot(10), depth(1, 5, 10, [["99.9", "0"]]), depth(2, 11, 11, [["98", "1"]])))
    assert [event.time_ms - BASE_MS for event in events] == [0, 2]


def test_updates_from_before_the_snapshot_that_reach_beyond_it_follow_it(write: Write) -> None:
    path = write(depth(0, 9, 11, [["99.8", "6"]]), depth(1, 12, 14, [["99.7", "6"]]), snapshot(10), depth(9, 15, 15))
    assert kept_books(played(path))["BTCUSDT"].bids.quantity(Decimal("99.7")) == 6


def test_a_gap_in_the_update_ids_names_file_and_row(write: Write) -> None:
    path = write(trade(0, 1), snapshot(10), depth(1, 11, 12), depth(2, 14, 15))
    with pytest.raises(SourceError, match=r"BTCUSDT-day\.jsonl, row 4: a gap in the book, whose update 12 .* by 14"):
        opened(path)


def test_the_best_prices_are_of_the_newest_venue_time_seen(write: Write) -> None:
    events = played(write(trade(5, 1), snapshot(10), ticker(11, "100.05", "100.1")))
    top = ("BTCUSDT", BASE_MS + 5, Decimal("100.05"), Decimal(1), Decimal("100.1"), Decimal(2))
    assert events[1] == TopChanged(*top)


def test_best_prices_that_the_book_already_has_are_dropped(write: Write) -> None:
    assert len(played(write(trade(5, 1), snapshot(10), ticker(10, "90", "91")))) == 1


def test_a_book_update_older_than_the_best_prices_leaves_them(write: Write) -> None:
    path = write(trade(0, 1), snapshot(10), ticker(15, "100.02", "100.1"), depth(1, 11, 13, [["100.05", "1"]]))
    book = kept_books(played(path))["BTCUSDT"]
    assert book.best_bid == (Decimal("100.02"), Decimal(1))


def test_time_never_goes_back(write: Write) -> None:
    events = played(write(depth(100, 3, 9), snapshot(10), trade(30, 1), depth(120, 11, 11)))
    assert [event.time_ms - BASE_MS for event in events] == [100, 100, 120]


def test_microseconds_are_understood(write: Write) -> None:
    data = {"e": "trade", "E": BASE_MS * 1000, "T": BASE_MS * 1000 + 999, "s": "BTCUSDT", "t": 1, "p": "1", "q": "1"}
    (first,) = played(write(frame("btcusdt@trade", data), snapshot()))
    assert first.time_ms == BASE_MS


def test_frames_of_other_streams_are_passed_over(write: Write) -> None:
    kline = frame("btcusdt@kline_1m", {"e": "kline", "E": BASE_MS + 1, "s": "BTCUSDT", "k": {"t": 1}})
    assert len(played(write(trade(0, 1), snapshot(), kline, trade(2, 2)))) == 2


def test_two_files_are_merged_and_begin_when_both_have_a_book(write: Write, tmp_path: Path) -> None:
    write(trade(0, 1), snapshot(), trade(10, 2), depth(20, 11, 11, [["99", "5"]]), trade(40, 3))
    write(trade(30, 1, "ETHUSDT"), snapshot(), trade(35, 2, "ETHUSDT"), name="ETHUSDT-day.jsonl.gz")
    events = played(tmp_path, *BOTH)
    assert [(event.symbol, event.time_ms - BASE_MS) for event in events] == [
        ("BTCUSDT", 30),
        ("ETHUSDT", 30),
        ("ETHUSDT", 35),
        ("BTCUSDT", 40),
    ]
    assert isinstance(events[0], BookChanged)
    assert (Decimal(99), Decimal(5)) in events[0].bids


def test_only_the_symbols_asked_for_are_played(write: Write, tmp_path: Path) -> None:
    write(trade(0, 1), snapshot(), trade(10, 2))
    write(trade(0, 1, "ETHUSDT"), snapshot(), name="ETHUSDT-day.jsonl")
    assert {event.symbol for event in played(tmp_path, "ETHUSDT")} == {"ETHUSDT"}


def test_files_of_one_symbol_follow_each_other(write: Write, tmp_path: Path) -> None:
    write(trade(0, 1), snapshot(), trade(10, 2), name="BTCUSDT-1.jsonl")
    write(trade(100, 7), snapshot(90), trade(110, 8), name="BTCUSDT-2.jsonl")
    assert [event.time_ms - BASE_MS for event in played(tmp_path)] == [0, 10, 100, 110]


def test_a_symbol_that_no_file_has_is_named_with_those_there_are(write: Write) -> None:
    path = write(trade(0, 1), snapshot())
    with pytest.raises(SourceError, match=r"it has BTCUSDT, not ETHUSDT; use --symbols BTCUSDT\."):
        opened(path, *BOTH)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (b"1723161253937085768 {not json}", "malformed"),
        (b"nothing at all", "malformed|truncated"),
        (b"1 " + orjson.dumps({"code": -1121}), "neither a stream's frame nor a depth snapshot"),
        (depth(2, 11, 11, [["NaN", "1"]]), "a quantity of 1 at a price of NaN"),
        (depth(2, 11, 11, [["100", "-1"]]), "a quantity of -1"),
        (trade(2, 2, "ETHUSDT"), "a frame of ETHUSDT in a file of BTCUSDT"),
        (frame("btcusdt@bookTicker", {"u": 20, "s": "BTCUSDT", "b": "1", "B": "1"}), "missing"),
    ],
)
def test_a_bad_row_is_named_at_once(write: Write, row: bytes, why: str) -> None:
    path = write(trade(0, 1), snapshot(), row, trade(5, 3))
    with pytest.raises(SourceError, match=rf"BTCUSDT-day\.jsonl, row 3: .*({why})") as caught:
        opened(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_short_is_named(write: Write) -> None:
    path = write(trade(0, 1), snapshot(), *(trade(n, n) for n in range(2, 2000)), name="BTCUSDT-day.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(SourceError, match=r"BTCUSDT-day\.jsonl\.gz, row \d+: the file is damaged or cut short"):
        opened(path)


def test_what_is_wrong_far_into_a_file_ends_the_market_there(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thunes.exchange.simulator.recorded.CHECKED_EVENTS", 3)
    source = opened(write(trade(0, 1), snapshot(), trade(1, 2), trade(2, 3), trade(3, 4), b"1 {"))
    events = source.play()
    assert len(list(islice(events, 4))) == 4
    with pytest.raises(SourceError, match="row 6"):
        next(events)


@pytest.mark.parametrize("rows", [(), (trade(0, 1), trade(1, 2)), (snapshot(),)])
def test_a_file_without_a_book_or_without_frames_is_refused(write: Write, rows: tuple[bytes, ...]) -> None:
    with pytest.raises(SourceError, match=r"BTCUSDT-day\.jsonl: it has no"):
        opened(write(*rows))


def test_a_path_that_does_not_exist_or_has_nothing_to_play_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere: there is no such file"):
        opened(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="recorded frames or kline files"):
        opened(tmp_path)


def test_a_checkpoint_of_other_files_is_refused(write: Write) -> None:
    source = opened(write(trade(0, 1), snapshot(), trade(1, 2)))
    for other in ("{}", "nonsense", orjson.dumps({"source": "recorded", "files": ["x"], "done": 1}).decode()):
        with pytest.raises(SourceError, match="use a new --home"):
            list(source.play(other))


@captured
def test_every_frame_of_a_capture_after_the_snapshot_is_played() -> None:
    events = played(CAPTURE, "ETHUSDT")
    numbers = [event.trade_id for event in events if isinstance(event, PublicTrade)]
    assert numbers == list(range(numbers[0], numbers[0] + 6106))
    assert sum(isinstance(event, BookChanged) for event in events) == 3433
    assert sum(isinstance(event, TopChanged) for event in events) >= 24_000


@captured
def test_a_captured_book_is_never_crossed_and_time_never_goes_back() -> None:
    books: dict[str, OrderBook] = {}
    events = played(CAPTURE, *BOTH)
    assert all(event.time_ms <= later.time_ms for event, later in pairwise(events))
    for event in events:
        if isinstance(event, PublicTrade):
            continue
        book = books.setdefault(event.symbol, OrderBook())
        book.apply(event)
        assert book.best_bid is not None
        assert book.best_ask is not None
        assert book.best_bid[0] < book.best_ask[0]


@captured
def test_a_capture_is_taken_up_anywhere_as_if_it_had_not_stopped() -> None:
    source = opened(CAPTURE, *BOTH)
    whole = list(source.play())
    for stop in (1, *sorted(Random(5).sample(range(len(whole) // 2), 4)), len(whole)):
        for _ in islice(source.play(), stop):
            pass
        played_before = max(stop, 2)
        first, second, *later = islice(source.play(source.checkpoint()), 3000)
        assert later == whole[played_before : played_before + 2998]
        books = kept_books(whole[:played_before])
        for symbol, event in zip(BOTH, (first, second), strict=True):
            assert event == BookChanged(symbol, whole[played_before - 1].time_ms, *books[symbol].levels(), True)
