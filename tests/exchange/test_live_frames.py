"""What a live venue's frames and answers are read as, and that nothing malformed gets through."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest

from thunes.errors import MarketDataError
from thunes.exchange.simulator.live_book import Diff, Snapshot
from thunes.exchange.simulator.live_frames import Shutdown, decode_depth, decode_frame, decode_klines
from thunes.exchange.simulator.tables import Bar
from thunes.messages import Candle, PublicTrade

# The documents' own examples (web-socket-streams.md).
DEPTH = {
    "e": "depthUpdate",
    "E": 1672515782136,
    "s": "BNBBTC",
    "U": 157,
    "u": 160,
    "b": [["0.0024", "10"]],
    "a": [["0.0026", "100"]],
}
TRADE = {
    "e": "trade",
    "E": 1672515782140,
    "s": "BNBBTC",
    "t": 12345,
    "p": "0.001",
    "q": "100",
    "T": 1672515782136,
    "m": True,
    "M": True,
}
K = {
    "t": 1672515780000,
    "T": 1672515839999,
    "s": "BNBBTC",
    "i": "1m",
    "f": 100,
    "L": 200,
    "o": "0.0010",
    "c": "0.0020",
    "h": "0.0025",
    "l": "0.0015",
    "v": "1000",
    "n": 100,
    "x": False,
    "q": "1.0000",
    "V": "500",
    "Q": "0.500",
    "B": "123456",
}
KLINE = {"e": "kline", "E": 1672515782136, "s": "BNBBTC", "k": K}
ROW = [1499040000000, "0.01", "0.8", "0.01", "0.02", "148", 1499040059999, "2434", 308, "1756", "28.4", "0"]


def frame(data: object) -> bytes:
    return orjson.dumps({"stream": "bnbbtc@any", "data": data})


def d(text: str) -> Decimal:
    return Decimal(text)


def test_a_depth_update_is_read() -> None:
    expected = Diff("BNBBTC", 157, 160, 1672515782136, ((d("0.0024"), d("10")),), ((d("0.0026"), d("100")),))

    assert decode_frame(frame(DEPTH)) == expected


@pytest.mark.parametrize("more", [{}, {"b": 88, "a": 50}])
def test_a_trade_is_read_with_the_time_it_happened(more: dict[str, int]) -> None:
    expected = PublicTrade("BNBBTC", 12345, d("0.001"), d("100"), 1672515782136, True)

    assert decode_frame(frame(TRADE | more)) == expected


def test_a_candle_is_read_with_its_trades_ids() -> None:
    figures = (d("0.0010"), d("0.0025"), d("0.0015"), d("0.0020"), d("1000"), d("1.0000"), 100, d("500"), d("0.500"))
    expected = Bar(Candle("BNBBTC", "1m", 1672515780000, 1672515839999, *figures, False), 100, 200)

    assert decode_frame(frame(KLINE)) == expected


@pytest.mark.parametrize(
    "data", [b'{"e":"serverShutdown","E":1}', b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}']
)
def test_the_notice_of_a_shutdown_is_read_in_both_forms(data: bytes) -> None:
    assert decode_frame(data) == Shutdown()


@pytest.mark.parametrize("data", [b'{"result":null,"id":1}', frame({"e": "avgPrice", "w": "1"}), frame({})])
def test_what_is_none_of_ours_is_passed_over(data: bytes) -> None:
    assert decode_frame(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"data":7}',
        frame(DEPTH | {"U": 161}),
        frame(DEPTH | {"U": 0}),
        frame(DEPTH | {"E": 0}),
        frame(DEPTH | {"s": ""}),
        frame(DEPTH | {"b": [["0.0024"]]}),
        frame(DEPTH | {"b": [["-1", "1"]]}),
        frame(DEPTH | {"b": [["1", "-1"]]}),
        frame(DEPTH | {"b": [["NaN", "1"]]}),
        frame(DEPTH | {"a": [["1", "Infinity"]]}),
        frame({name: value for name, value in DEPTH.items() if name != "b"}),
        frame(TRADE | {"p": "0"}),
        frame(TRADE | {"q": "0"}),
        frame(TRADE | {"q": "x"}),
        frame(TRADE | {"T": 0}),
        frame(KLINE | {"k": K | {"o": "NaN"}}),
        frame(KLINE | {"k": K | {"v": "NaN"}}),
        frame(KLINE | {"k": K | {"Q": "Infinity"}}),
        frame(KLINE | {"k": K | {"c": "0"}}),
        frame(KLINE | {"k": {}}),
        frame(KLINE | {"k": K | {"t": 1672515780001, "T": 1672515840000}}),
        frame(KLINE | {"k": K | {"T": 1672515899999}}),
        frame(KLINE | {"k": K | {"h": "1E+400"}}),
        frame(DEPTH | {"E": 1672515782136000}),
        frame(TRADE | {"T": 1672515782136000}),
        frame(TRADE | {"q": "1E+400"}),
        frame(DEPTH | {"a": [["1", "0E+400"]]}),
    ],
)
def test_a_malformed_frame_is_refused(data: bytes) -> None:
    with pytest.raises(MarketDataError):
        decode_frame(data)


def test_a_snapshot_of_the_book_is_read() -> None:
    body = b'{"lastUpdateId":1027024,"bids":[["4.0","431"]],"asks":[["4.2","12"]]}'

    assert decode_depth(body) == Snapshot(1027024, ((d("4.0"), d("431")),), ((d("4.2"), d("12")),))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"lastUpdateId":1,"bids":[["0","1"]],"asks":[]}',
        b'{"lastUpdateId":1,"bids":[["1","1"],["2","1"]],"asks":[["3","1"],["2","1"]]}',
        b"<html>",
    ],
)
def test_what_is_no_snapshot_is_refused(body: bytes) -> None:
    with pytest.raises(MarketDataError):
        decode_depth(body)


@pytest.mark.parametrize(("newest_forms", "closed"), [(True, [True, False]), (False, [True, True])])
def test_candles_are_closed_but_for_one_that_is_forming(newest_forms: bool, closed: list[bool]) -> None:
    bars = decode_klines("BNBBTC", orjson.dumps([ROW, ROW]), newest_forms=newest_forms)

    assert [bar.candle.closed for bar in bars] == closed
    assert (bars[0].candle.open_ms, bars[0].candle.trades, bars[0].candle.taker_quote) == (ROW[0], 308, d("28.4"))


@pytest.mark.parametrize("body", [b"", b"{}", b"[[]]", b"[7]", orjson.dumps([[*ROW[:1], "NaN", *ROW[2:]]])])
def test_what_are_no_candles_is_refused(body: bytes) -> None:
    with pytest.raises(MarketDataError):
        decode_klines("BNBBTC", body, newest_forms=True)
