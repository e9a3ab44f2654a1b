"""StreamActor alone: what it makes of frames, gaps and reconnects. Its neighbours are mailboxes that the test reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.protocol import CatchUp, Frame, History, SocketClosed, SocketOpened
from actors.runtime.actor import Exited, Stop
from actors.stream import StreamActor
from actors.world import World
from tests.e2e.support import wait_for
from tests.venue_in_process import EngineRest, Venue, make_world, rules_of
from thunes.domain.figures import StreamFigures
from thunes.errors import NetworkError
from thunes.messages import Candle, PublicTrade, Reconnect, Record, Tick

NAME = "stream.BTCUSDT"
MINUTE = 60_000
START = 1_735_689_600_000
D = Decimal


def candle(number: int, *, closed: bool = True) -> Candle:
    opened = START + number * MINUTE
    return Candle("BTCUSDT", "1m", opened, opened + MINUTE - 1, D(5), D(6), D(4), D(5), D(1), closed=closed)


class Tape(EngineRest):
    """The venue's history: what REST can tell afterwards. `down` makes it fail that many times first."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self.candles: list[Candle] = []
        self.printed: list[PublicTrade] = []
        self.down = 0
        self.trades_down = 0
        self.prints_on = False
        """Whether somebody trades after each question."""
        self.asked = 0

    def klines(self, symbol: str, interval: str, *, limit: int, start_ms: int | None = None) -> tuple[Candle, ...]:
        if self.down:
            self.down -= 1
            raise NetworkError("down")
        return tuple(c for c in self.candles if start_ms is None or c.open_ms >= start_ms)

    def trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> tuple[PublicTrade, ...]:
        if self.trades_down:
            self.trades_down -= 1
            raise NetworkError("down")
        self.asked += 1
        found = tuple(t for t in self.printed if from_id is None or t.trade_id >= from_id)[:limit]
        if self.prints_on:
            last = self.printed[-1]
            self.printed.append(replace(last, trade_id=last.trade_id + 1))
        return found


@dataclass
class Sockets:
    """Every socket that the actor made, to be opened and closed by the test."""

    opened: list[Callable[[], None]] = field(default_factory=list)

    def __call__(self, _streams: Any, *, on_open: Callable[[], None], **_callbacks: Any) -> Sockets:
        self.opened.append(on_open)
        return self

    def open(self) -> None:
        """The test opens it."""

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class Bench:
    world: World
    tape: Tape
    sockets: Sockets

    def told(self, name: str, kind: type) -> list[Any]:
        """What `name` was told so far of one type; all is taken out of its mailbox."""
        box = self.world.post[name]
        return [m for m in (box.get().message for _ in range(len(box))) if type(m) is kind]

    def tell(self, *messages: Any) -> StreamFigures:
        """Tell the actor and wait until it has handled all of it; its figures afterwards."""
        before = self.world.board.handled.get(NAME, 0)
        for message in messages:
            self.world.post.tell(NAME, message)
        wait_for(lambda: self.world.board.handled.get(NAME, 0) >= before + len(messages), what="the messages handled")
        self.world.post.tell(NAME, SocketOpened(-1))  # an old generation's: changes nothing but publishes
        wait_for(lambda: self.world.board.handled.get(NAME, 0) > before + len(messages), what="the figures")
        return self.world.board.figures[NAME]

    def frame(self, body: str) -> Frame:
        return Frame(body.encode(), self.world.clock.monotonic_ns())

    def trade(self, number: int) -> Frame:
        trade = f'{{"e":"trade","s":"BTCUSDT","t":{number},"p":"5","q":"1","T":{START + number},"m":true}}'
        return self.frame(trade)

    def ticker(self, update_id: int, bid: str = "5.00", ask: str = "5.01") -> Frame:
        return self.frame(f'{{"u":{update_id},"s":"BTCUSDT","b":"{bid}","B":"1","a":"{ask}","A":"1"}}')

    def kline(self, number: int, *, closed: bool) -> Frame:
        c = candle(number)
        x = "true" if closed else "false"
        return self.frame(
            f'{{"e":"kline","s":"BTCUSDT","k":{{"t":{c.open_ms},"T":{c.close_ms},"i":"1m","o":"5","c":"5","h":"6","l":"4",'
            f'"v":"1","n":1,"x":{x},"q":"5","V":"0","Q":"0"}}}}'
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    venue = Venue(rules_of("BTCUSDT"))
    tape, sockets = Tape(venue), Sockets()
    world = make_world(tmp_path, venue, {"THUNES_STREAM__QUEUE_SIZE": "100"}, rest=lambda: tape, market_socket=sockets)
    for name in ("strategy.BTCUSDT", "risk", "audit", "supervisor"):
        world.post.register(name, StreamActor.mailbox_policy.__class__())
    world.post.register(NAME, StreamActor.mailbox_policy)
    StreamActor.start(world, NAME)
    yield Bench(world, tape, sockets)
    world.post.tell(NAME, Stop())
    wait_for(lambda: any(type(x.message) is Exited for x in list(world.post["supervisor"]._queue)), what="its exit")
    world.timers.stop()  # type: ignore[attr-defined]


def test_the_first_connection_hands_over_the_closed_candles_that_there_are(bench: Bench) -> None:
    bench.tape.candles = [candle(0), candle(1), candle(2, closed=False)]
    figures = bench.tell(SocketOpened(1))
    assert figures.connected
    (history,) = bench.told("strategy.BTCUSDT", History)
    assert [c.open_ms for c in history.candles] == [START, START + MINUTE]


def test_a_tick_goes_to_strategy_and_risk_with_the_newest_venue_time(bench: Bench) -> None:
    bench.tell(SocketOpened(1), bench.trade(7), bench.ticker(1))
    for name in ("strategy.BTCUSDT", "risk"):
        (tick,) = bench.told(name, Tick)
        assert (tick.bid, tick.ask, tick.market_ms) == (D("5.00"), D("5.01"), START + 7)


def test_a_hole_in_trade_ids_is_journalled_and_filled_from_rest(bench: Bench) -> None:
    bench.tape.printed = [PublicTrade("BTCUSDT", n, D(5), D(1), START + n, True) for n in range(1, 9)]
    figures = bench.tell(SocketOpened(1), bench.trade(1), bench.trade(2), bench.trade(8))
    assert (figures.gaps, figures.trades) == (1, 8)
    assert figures.trades == figures.last_trade_id - figures.first_trade_id + 1
    gaps = [r for r in bench.told("audit", Record) if r.event == "STREAM_GAP"]
    assert [(g.metadata["first"], g.metadata["last"]) for g in gaps] == [(3, 7)]


def test_trades_that_were_missed_while_away_are_read_on_reconnect_and_counted_once(bench: Bench) -> None:
    bench.tape.printed = [PublicTrade("BTCUSDT", n, D(5), D(1), START + n, True) for n in range(1, 6)]
    bench.tell(SocketOpened(1), bench.trade(1))
    bench.tell(Reconnect("BTCUSDT", "test"))
    figures = bench.tell(SocketOpened(2), bench.trade(4), bench.trade(5), bench.trade(6))
    assert (figures.trades, figures.gaps, figures.reconnects) == (6, 0, 1)


def test_one_page_that_is_not_full_is_enough_however_fast_the_market_goes_on(bench: Bench) -> None:
    bench.tape.printed = [PublicTrade("BTCUSDT", n, D(5), D(1), START + n, True) for n in range(1, 6)]
    bench.tell(SocketOpened(1), bench.trade(1))
    bench.tape.prints_on = True
    bench.tell(Reconnect("BTCUSDT", "test"))
    figures = bench.tell(SocketOpened(2))
    assert (bench.tape.asked, figures.last_trade_id) == (1, 5)


def test_trades_beyond_one_page_are_read_to_the_last(bench: Bench) -> None:
    bench.tape.printed = [PublicTrade("BTCUSDT", n, D(5), D(1), START + n, True) for n in range(1, 2_502)]
    figures = bench.tell(SocketOpened(1), bench.trade(1), bench.trade(2_501))
    assert (figures.trades, figures.last_trade_id) == (2_501, 2_501)


def test_candles_that_were_missed_while_away_come_before_the_next_one(bench: Bench) -> None:
    bench.tape.candles = [candle(0)]
    bench.tell(SocketOpened(1), bench.kline(1, closed=True))
    bench.tell(Reconnect("BTCUSDT", "test"))
    bench.tape.candles = [candle(n) for n in range(4)] + [candle(4, closed=False)]
    bench.tell(SocketOpened(2), bench.kline(4, closed=True))
    fed = []
    box = bench.world.post["strategy.BTCUSDT"]
    for _ in range(len(box)):
        message = box.get().message
        fed += list(message.candles) if type(message) is History else [message] if type(message) is Candle else []
    assert [(c.open_ms - START) // MINUTE for c in fed] == [0, 1, 2, 3, 4]


def test_a_candle_that_no_frame_brought_is_filled_before_the_one_after_it(bench: Bench) -> None:
    bench.tape.candles = [candle(0)]
    bench.tell(SocketOpened(1))
    bench.tape.candles = [candle(n) for n in range(4)]
    bench.tell(bench.kline(3, closed=True))
    first, missed = bench.told("strategy.BTCUSDT", History)[:2]
    assert [c.open_ms for c in first.candles] == [START]
    assert [(c.open_ms - START) // MINUTE for c in missed.candles] == [1, 2]


def test_a_candle_that_still_changes_is_not_told(bench: Bench) -> None:
    bench.tell(SocketOpened(1), bench.kline(0, closed=False))
    assert bench.told("strategy.BTCUSDT", Candle) == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("NOT_JSON", "{"),
        ("MISSING_FIELD", '{"stream":"btcusdt@bookTicker","data":{"u":9}}'),
        ("BAD_PRICE", '{"u":9,"s":"BTCUSDT","b":"-5","B":"1","a":"6","A":"1"}'),
        ("BAD_PRICE", '{"u":9,"s":"BTCUSDT","b":"NaN","B":"1","a":"6","A":"1"}'),
        ("CROSSED_BOOK", '{"u":9,"s":"BTCUSDT","b":"7","B":"1","a":"6","A":"1"}'),
    ],
)
def test_a_frame_that_cannot_be_traded_on_is_counted_journalled_and_told_to_nobody(
    bench: Bench, kind: str, body: str
) -> None:
    figures = bench.tell(SocketOpened(1), bench.frame(body))
    assert figures.rejected == {kind: 1}
    assert [r.metadata["kind"] for r in bench.told("audit", Record) if r.event == "STREAM_GAP"] == [kind]
    assert bench.told("risk", Tick) == []


def test_an_update_id_that_goes_back_is_no_tick(bench: Bench) -> None:
    figures = bench.tell(SocketOpened(1), bench.ticker(5), bench.ticker(4, "4.00", "4.01"))
    assert (figures.ticks, figures.rejected) == (1, {"STALE_UPDATE": 1})
    assert [t.update_id for t in bench.told("risk", Tick)] == [5]


def test_a_feed_that_stays_broken_does_not_fill_the_journal(bench: Bench) -> None:
    bench.tell(SocketOpened(1))
    for _ in range(10):
        bench.tell(*[bench.frame("{") for _ in range(50)])
    journalled = [r for r in bench.told("audit", Record) if r.event == "STREAM_GAP"]
    assert len(journalled) == 15


def test_what_an_older_socket_says_late_is_not_taken_for_the_newer_ones(bench: Bench) -> None:
    bench.tell(SocketOpened(1))
    bench.tell(Reconnect("BTCUSDT", "test"))
    figures = bench.tell(SocketOpened(2), SocketClosed(1, "late"))
    assert figures.connected


def test_a_lost_connection_is_journalled_and_opened_again(bench: Bench) -> None:
    bench.tell(SocketOpened(1))
    figures = bench.tell(SocketClosed(1, "cable"))
    assert not figures.connected
    lost = [r for r in bench.told("audit", Record) if r.event == "STREAM_DISCONNECTED"]
    assert [r.metadata["why"] for r in lost] == ["cable"]
    wait_for(lambda: len(bench.sockets.opened) == 2, what="another socket")


def test_the_exchanges_shutdown_notice_reconnects_before_it_closes(bench: Bench) -> None:
    bench.tell(SocketOpened(1), bench.frame('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}'))
    wait_for(lambda: len(bench.sockets.opened) == 2, what="another socket")


def test_rest_that_is_down_at_the_connection_is_asked_again(bench: Bench) -> None:
    bench.tape.candles, bench.tape.down = [candle(0)], 1
    bench.tell(SocketOpened(1))
    assert bench.told("strategy.BTCUSDT", History) == []
    wait_for(lambda: len(bench.world.post["strategy.BTCUSDT"]) > 0, what="the candles")


def test_trades_that_cannot_be_read_now_are_read_later_and_counted_once(bench: Bench) -> None:
    bench.tape.printed = [PublicTrade("BTCUSDT", n, D(5), D(1), START + n, True) for n in range(1, 12)]
    bench.tell(SocketOpened(1), bench.trade(1))
    bench.tape.trades_down = 1
    figures = bench.tell(bench.trade(8), bench.trade(9), bench.trade(10))
    assert figures.last_trade_id == 1
    figures = bench.tell(CatchUp(), bench.trade(10), bench.trade(11))
    assert (figures.trades, figures.last_trade_id, figures.gaps) == (11, 11, 1)
    assert bench.told("supervisor", Exited) == []


def test_candles_that_cannot_be_read_now_are_read_later_in_their_order(bench: Bench) -> None:
    bench.tape.candles = [candle(0)]
    bench.tell(SocketOpened(1))
    bench.tape.candles, bench.tape.down = [candle(n) for n in range(4)], 1
    bench.tell(bench.kline(3, closed=True))
    bench.tell(CatchUp(), bench.kline(4, closed=True))
    fed = []
    box = bench.world.post["strategy.BTCUSDT"]
    for _ in range(len(box)):
        message = box.get().message
        fed += list(message.candles) if type(message) is History else [message] if type(message) is Candle else []
    assert [(c.open_ms - START) // MINUTE for c in fed] == [0, 1, 2, 3, 4]


def test_a_try_that_was_put_off_does_not_close_the_connection_that_came_before_it(bench: Bench) -> None:
    bench.tell(SocketOpened(1), SocketClosed(1, "lost"))
    bench.tell(Reconnect("BTCUSDT", "test"))
    bench.tell(SocketOpened(2))
    opened = len(bench.sockets.opened)
    bench.world.timers.after(0.3, "risk", "later", "the moment after")
    wait_for(lambda: bench.told("risk", str) == ["the moment after"], what="the moment after the put off try")
    assert len(bench.sockets.opened) == opened
