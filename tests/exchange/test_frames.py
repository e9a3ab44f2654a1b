"""Frames become our types once, at the edge, and what cannot be traded on is refused with a reason."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunes.errors import MarketDataError
from thunes.exchange.account_frames import decode_account
from thunes.exchange.frames import MarketFrame, ServerShutdown, decode_market
from thunes.exchange.refusals import KINDS
from thunes.messages import Candle, PublicTrade, Tick

D = Decimal
TIME = 1_723_161_255_342

TICKER = {"u": 400900217, "s": "BNBUSDT", "b": "25.35190000", "B": "31.21", "a": "25.36520000", "A": "40.66"}
TRADE = {"e": "trade", "E": TIME + 1, "s": "BNBUSDT", "t": 12345, "p": "0.001", "q": "100", "T": TIME, "m": True}
KLINE = {
    "t": 1_723_161_240_000,
    "T": 1_723_161_299_999,
    "s": "BNBUSDT",
    "i": "1m",
    "o": "0.0010",
    "c": "0.0020",
    "h": "0.0025",
    "l": "0.0009",
    "v": "1000",
    "n": 100,
    "x": False,
    "q": "1.0",
    "V": "500",
    "Q": "0.5",
}


def market(body: Any, stream: str | None = None) -> MarketFrame:
    frame = body if stream is None else {"stream": stream, "data": body}
    return decode_market(json.dumps(frame).encode(), received_ns=7, market_ms=TIME)


def kline(**changes: Any) -> dict[str, Any]:
    return {"e": "kline", "E": TIME, "s": "BNBUSDT", "k": {**KLINE, **changes}}


def kind_of(body: Any, stream: str | None = None) -> str:
    with pytest.raises(MarketDataError) as refused:
        market(body, stream)
    return refused.value.kind


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


class TestMarketFrames:
    def test_a_book_ticker_is_a_tick_stamped_with_what_it_does_not_carry(self) -> None:
        expected = Tick("BNBUSDT", D("25.3519"), D("31.21"), D("25.3652"), D("40.66"), 400900217, TIME, 7)
        assert market(TICKER) == market(TICKER, "bnbusdt@bookTicker") == expected

    def test_a_trade_says_when_and_who_took(self) -> None:
        expected = PublicTrade("BNBUSDT", 12345, D("0.001"), D(100), TIME, True)
        assert market(TRADE) == market(TRADE, "bnbusdt@trade") == expected

    @pytest.mark.parametrize("closed", [True, False])
    def test_a_kline_is_a_candle_that_tells_whether_it_is_closed(self, closed: bool) -> None:
        expected = Candle(
            symbol="BNBUSDT",
            interval="1m",
            open_ms=1_723_161_240_000,
            close_ms=1_723_161_299_999,
            open=D("0.001"),
            high=D("0.0025"),
            low=D("0.0009"),
            close=D("0.002"),
            volume=D(1000),
            quote_volume=D(1),
            trades=100,
            taker_base=D(500),
            taker_quote=D("0.5"),
            closed=closed,
        )
        assert market(kline(x=closed)) == market(kline(x=closed), "bnbusdt@kline_1m") == expected

    def test_microseconds_become_milliseconds(self) -> None:
        assert market({**TRADE, "T": TIME * 1000 + 999}) == market(TRADE)
        assert market(kline(t=KLINE["t"] * 1000, T=KLINE["T"] * 1000 + 999)) == market(kline())  # type: ignore[operator]

    @pytest.mark.parametrize("stream", [None, "!serverShutdown"])
    def test_a_shutdown_is_announced(self, stream: str | None) -> None:
        assert market({"e": "serverShutdown", "E": TIME}, stream) == ServerShutdown(TIME)

    @pytest.mark.parametrize(
        ("body", "stream"),
        [
            ({"result": None, "id": 1}, None),
            ({"code": 2, "msg": "Invalid request: unknown variant"}, None),
            ({"e": "depthUpdate", "E": TIME, "s": "BNBUSDT", "U": 1, "u": 2, "b": [], "a": []}, "bnbusdt@depth@100ms"),
            ({"lastUpdateId": 1, "bids": [], "asks": []}, "bnbusdt@depth20"),
            ({"e": "somethingNew", "E": TIME}, None),
        ],
    )
    def test_what_we_have_no_use_for_is_passed_over(self, body: Any, stream: str | None) -> None:
        assert market(body, stream) is None

    def test_members_that_the_exchange_adds_later_do_not_matter(self) -> None:
        assert market({**TRADE, "M": True, "new": {"deep": [1]}}, "bnbusdt@trade") == market(TRADE)

    def test_text_is_read_like_bytes(self) -> None:
        assert decode_market(json.dumps(TRADE), received_ns=7, market_ms=TIME) == market(TRADE)


class TestRefusals:
    @pytest.mark.parametrize("frame", [b"", b"{", b"nonsense", b"<html>", b'{"stream":"a@trade"', b'{"a":"\xff"}'])
    def test_what_is_not_json_is_refused(self, frame: bytes) -> None:
        with pytest.raises(MarketDataError) as refused:
            decode_market(frame, received_ns=0, market_ms=0)
        assert refused.value.kind == "NOT_JSON"

    @pytest.mark.parametrize("start", [b'{"data":', b'{"event":', b""])
    def test_a_nesting_too_deep_to_read_is_refused_and_not_a_crash(self, start: bytes) -> None:
        for decode in (decode_account, lambda frame: decode_market(frame, received_ns=0, market_ms=0)):
            with pytest.raises(MarketDataError):
                decode(start + b"[" * 100_000)

    @pytest.mark.parametrize("frame", ["[]", "null", "5", '"text"'])
    def test_json_that_is_no_object_is_of_the_wrong_type(self, frame: str) -> None:
        assert kind_of(json.loads(frame)) == "WRONG_TYPE"

    @pytest.mark.parametrize("named", [True, False])
    @pytest.mark.parametrize(
        ("stream", "body", "name"),
        [("bnbusdt@bookTicker", TICKER, name) for name in TICKER]
        + [("bnbusdt@trade", TRADE, name) for name in ("s", "t", "p", "q", "T", "m")],
    )
    def test_a_missing_field_is_refused(self, stream: str, body: dict[str, Any], name: str, named: bool) -> None:
        assert kind_of(without(body, name), stream if named else None) == "MISSING_FIELD"

    @pytest.mark.parametrize("name", [name for name in KLINE if name != "s"])
    def test_a_field_missing_from_a_kline_is_refused(self, name: str) -> None:
        assert kind_of({**kline(), "k": without(KLINE, name)}, "bnbusdt@kline_1m") == "MISSING_FIELD"

    @pytest.mark.parametrize(
        ("name", "value"),
        [("p", None), ("p", []), ("p", "much"), ("p", ""), ("t", "12345"), ("t", 1.5), ("m", "yes"), ("T", None)],
    )
    def test_a_value_of_the_wrong_type_is_refused(self, name: str, value: Any) -> None:
        assert kind_of({**TRADE, name: value}, "bnbusdt@trade") == "WRONG_TYPE"

    @pytest.mark.parametrize("price", ["0", "0.00000000", "-1", "NaN", "sNaN", "Infinity", "-Infinity", "1E+999999"])
    @pytest.mark.parametrize("make", ["b", "a", "p", "o", "h", "l", "c"])
    def test_a_price_that_is_none_is_refused(self, make: str, price: str) -> None:
        body = (
            {**TICKER, make: price}
            if make in "ba"
            else {**TRADE, "p": price}
            if make == "p"
            else kline(**{make: price})
        )
        assert kind_of(body) == "BAD_PRICE"

    @pytest.mark.parametrize("quantity", ["-0.1", "NaN", "Infinity", "1E+999999"])
    @pytest.mark.parametrize("make", ["B", "A", "q", "v", "V", "Q"])
    def test_a_quantity_that_is_none_is_refused(self, make: str, quantity: str) -> None:
        ticker, trade = {**TICKER, make: quantity}, {**TRADE, make: quantity}
        body = ticker if make in "BA" else trade if make == "q" else kline(**{make: quantity})
        assert kind_of(body) == "BAD_QUANTITY"

    def test_an_empty_side_is_no_error(self) -> None:
        assert isinstance(market({**TICKER, "B": "0.00000000"}), Tick)

    @pytest.mark.parametrize("bid", ["25.3652", "25.3653"])
    def test_a_book_whose_bid_is_not_below_its_ask_is_refused(self, bid: str) -> None:
        assert kind_of({**TICKER, "b": bid}) == "CROSSED_BOOK"

    @pytest.mark.parametrize("changes", [{"h": "0.0019"}, {"l": "0.0011"}, {"h": "0.0008", "l": "0.0009"}])
    def test_a_candle_that_does_not_hold_its_own_prices_is_refused(self, changes: dict[str, str]) -> None:
        assert kind_of(kline(**changes)) == "BAD_CANDLE"

    def test_a_refusal_names_its_kind_and_says_why(self) -> None:
        with pytest.raises(MarketDataError, match=r"CROSSED_BOOK.*26 is not below ask 25"):
            market({**TICKER, "b": "26", "a": "25"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
BODIES = [(TICKER, "b@bookTicker"), (TRADE, "b@trade"), (kline(), "b@kline_1m"), (TICKER, None), (kline(), None)]
USABLE = (Tick, PublicTrade, Candle, ServerShutdown, type(None))


def outcome(decode: Callable[[], object]) -> object:
    """What was decoded, or the kind of the refusal."""
    try:
        return decode()
    except MarketDataError as error:
        return error.kind


@given(st.sampled_from(BODIES), st.data())
def test_no_frame_ends_otherwise_than_in_our_types_or_a_refusal(
    body: tuple[dict[str, Any], str | None], data: st.DataObject
) -> None:
    known, stream = body
    spoiled = {**known, data.draw(st.sampled_from(sorted(known))): data.draw(JSON)}
    found = outcome(lambda: market(spoiled, stream))
    assert found in KINDS or isinstance(found, USABLE)


@given(st.binary(max_size=60))
def test_no_bytes_are_taken_for_a_frame(frame: bytes) -> None:
    assert outcome(lambda: decode_account(frame)) in (*KINDS, None)
    assert outcome(lambda: decode_market(frame, received_ns=0, market_ms=0)) in (*KINDS, None)


@pytest.mark.parametrize(
    ("symbol", "ticks", "trades", "others"), [("BTCUSDT", 28_040, 9_757, 3_452), ("ETHUSDT", 24_077, 6_106, 3_435)]
)
def test_every_recorded_frame_is_read(shared_data: Path, symbol: str, ticks: int, trades: int, others: int) -> None:
    with gzip.open(shared_data / "binance-spot-capture" / f"{symbol}-2024-08-08.jsonl.gz", "rb") as lines:
        frames = [line.partition(b" ")[2] for line in lines]
    read = Counter(type(decode_market(frame, received_ns=1, market_ms=1)) for frame in frames)
    assert read == {Tick: ticks, PublicTrade: trades, type(None): others}


def test_every_frame_of_a_recorded_combined_stream_is_read(shared_data: Path) -> None:
    with gzip.open(shared_data / "binance-spot-capture" / "cryptofeed-2021-10-ws.txt.gz", "rb") as lines:
        frames = [frame.strip() for line in list(lines)[1:] if (frame := line.partition(b": ")[2]).strip()]
    read = Counter(type(decode_market(frame, received_ns=1, market_ms=1)) for frame in frames)
    assert read == {Tick: 84, Candle: 2, type(None): len(frames) - 86}
