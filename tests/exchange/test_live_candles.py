"""The minutes of a live market: each once, in order, none made up and none left out."""

from __future__ import annotations

from decimal import Decimal

from thunes.exchange.simulator.live_candles import LiveCandles
from thunes.exchange.simulator.tables import MINUTE_MS, Bar
from thunes.messages import Candle


def minute(number: int, *, closed: bool = True, close: int = 100) -> Bar:
    price = Decimal(close)
    open_ms = number * MINUTE_MS
    candle = Candle("BTCUSDT", "1m", open_ms, open_ms + MINUTE_MS - 1, price, price, price, price, price, closed=closed)
    return Bar(candle)


def candles(next_minute: int = 5) -> LiveCandles:
    return LiveCandles(next_minute * MINUTE_MS)


def test_the_forming_minute_is_renewed_until_it_closes_once() -> None:
    live = candles(5)
    frames = [
        minute(5, closed=False),
        minute(5, closed=False, close=101),
        minute(5),
        minute(5),
        minute(6, closed=False),
    ]

    assert [live.see(frame) for frame in frames] == [(frames[0],), (frames[1],), (frames[2],), (), (frames[4],)]


def test_a_minute_that_is_known_is_passed_over() -> None:
    live = candles(5)

    assert live.see(minute(4)) == ()
    assert not live.behind


def test_a_minute_ahead_is_held_until_those_before_it_were_read() -> None:
    live = candles(5)
    ahead = minute(7, closed=False, close=99)

    assert live.see(minute(7, closed=False)) == ()
    assert live.see(ahead) == ()
    assert (live.behind, live.next_ms) == (True, 5 * MINUTE_MS)
    read = [minute(4), minute(5), minute(6), minute(7, closed=False)]
    assert live.read(read) == (*read[1:], ahead)
    assert not live.behind


def test_what_closed_while_it_was_read_is_closed_afterwards() -> None:
    live = candles(5)
    held = [minute(7), minute(8, closed=False)]
    for bar in held:
        live.see(bar)

    read = [minute(5), minute(6), minute(7, closed=False)]

    assert live.read(read) == (*read, *held)
    assert live.next_ms == 8 * MINUTE_MS


def test_an_answer_that_does_not_reach_leaves_it_behind() -> None:
    live = candles(5)
    live.see(minute(9, closed=False))

    assert live.read([minute(5), minute(6, closed=False)]) == (minute(5), minute(6, closed=False))
    assert (live.behind, live.next_ms) == (True, 6 * MINUTE_MS)


def test_a_minute_that_its_venue_lacks_is_passed_over() -> None:
    live = candles(5)
    live.see(minute(8, closed=False))

    assert live.read([minute(7), minute(8, closed=False)])[0] == minute(7)
    assert not live.behind
