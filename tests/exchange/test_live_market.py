"""An exchange that follows a live market: its book is the venue's or closed, its candles and trades are the venue's."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import wait_for
from tests.exchange.conftest import START_MS, TIMEOUT_S
from tests.exchange.live_venue import MINUTE_MS, QUICK, SYMBOL, Paper, Venue, amounts, kline, paper
from tests.exchange.socket_ends import unused_port
from thunes.errors import NetworkError, OperatorError
from thunes.exchange.simulator.embedded import Embedded, Options
from thunes.exchange.simulator.live_rest import DEEPEST
from thunes.exchange.simulator.live_source import LiveSettings, Pauses
from thunes.exchange.simulator.live_weight import MOST_WEIGHT
from thunes.messages import BookChanged

BUY = {"side": "BUY", "type": "MARKET", "quantity": "0.5"}
CLOSED = {"code": -2010, "msg": "Market is closed."}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Paper]:
    """In sync: bid 29999.99, ask 30000.00, nothing happens unless the test lets it."""
    with paper(tmp_path) as running:
        running.synced()
        yield running


def shown(paper: Paper) -> tuple[object, object]:
    book = paper.public("/api/v3/depth", symbol=SYMBOL, limit=DEEPEST)
    return book["bids"], book["asks"]


def of_the_venue(paper: Paper) -> tuple[object, object]:
    bids, asks = paper.at_venue(lambda venue: venue.book.levels())
    return tuple([[f"{p:.8f}", f"{q:.8f}"] for p, q in side] for side in (bids, asks))  # type: ignore[return-value]


def halted(paper: Paper) -> None:
    paper.until(lambda: not paper.live.book.in_sync, "the halt")


# the book


def test_the_book_is_the_venues_after_every_change(live: Paper) -> None:
    changes = [
        (amounts(("29999.99", "0")), ()),
        (amounts(("29999.97", "7")), amounts(("30000.00", "0"), ("30000.01", "1"))),
        ((), amounts(("30000.00", "0.25"))),
        (amounts(("30000.00", "3")), amounts(("30000.00", "0"), ("30000.01", "0"), ("30000.05", "9"))),
    ]
    for bids, asks in changes:
        live.at_venue(lambda venue, bids=bids, asks=asks: venue.change(bids, asks))
        live.until(lambda: live.live.book.last_id == live.venue.update_id, "the change")
        assert shown(live) == of_the_venue(live)


def test_an_order_is_refused_until_the_first_book_and_fills_at_its_prices_then(tmp_path: Path) -> None:
    with paper(tmp_path) as live:
        assert live.refusal(**BUY) == CLOSED
        live.synced()
        order = live.order("BUY", "1.5")

    assert [(fill["price"], fill["qty"]) for fill in order["fills"]] == [
        ("30000.00000000", "1.00000000"),
        ("30000.01000000", "0.50000000"),
    ]


def test_a_lost_update_closes_the_market_until_a_new_snapshot(live: Paper) -> None:
    live.at_venue(lambda venue: venue.answers.extend([(503, {})] * 50))
    live.at_venue(lambda venue: venue.change(asks=amounts(("30000.00", "0")), lost=True))
    live.at_venue(lambda venue: venue.change(bids=amounts(("29990.00", "1"))))
    halted(live)

    assert live.refusal(**BUY) == CLOSED
    live.at_venue(lambda venue: venue.answers.clear())
    live.until(lambda: live.live.book.in_sync, "the book")
    assert shown(live) == of_the_venue(live)
    assert live.order("BUY", "0.5")["fills"][0]["price"] == "30000.01000000"


def test_a_snapshot_older_than_the_stream_is_asked_for_again(tmp_path: Path) -> None:
    with paper(tmp_path) as live:
        old = live.at_venue(lambda venue: venue.depth())
        live.at_venue(lambda venue: venue.change(lost=True))
        live.at_venue(lambda venue: venue.answers.append((200, old)))
        live.synced()

        asked = live.at_venue(lambda venue: [params for name, params in venue.asked if name == "depth"])
        assert asked == [{"symbol": SYMBOL, "limit": str(DEEPEST)}] * 2
        assert shown(live) == of_the_venue(live)


def test_a_resting_order_fills_by_a_public_trade_beyond_its_price(live: Paper) -> None:
    order = live.order("BUY", "0.5", price="29999.00")

    live.at_venue(lambda venue: venue.trade("29998.00", "0.2", maker=True))
    live.until(lambda: live.live._last_trade is not None, "the trade")

    status = live.signed("GET", "/api/v3/order", symbol=SYMBOL, orderId=order["orderId"]).json()
    assert (status["status"], status["executedQty"]) == ("PARTIALLY_FILLED", "0.20000000")


def executed(live: Paper, order: dict[str, Any]) -> str:
    found = live.signed("GET", "/api/v3/order", symbol=SYMBOL, orderId=order["orderId"]).json()
    return str(found["executedQty"])


def test_a_resting_order_fills_at_its_price_only_once_what_was_ahead_of_it_has_traded(live: Paper) -> None:
    order = live.order("BUY", "0.5", price="29999.98")  # behind 3
    live.at_venue(lambda venue: venue.change(bids=amounts(("29999.99", "0"), ("29999.98", "2"))))

    done = []
    for quantity in ("1", "2", "0.125", "9"):
        live.at_venue(lambda venue, quantity=quantity: venue.trade("29999.98", quantity, maker=True))
        live.until(lambda: live.live._last_trade.trade_id == live.venue.trade_id, "the trade")
        done.append(executed(live, order))

    assert done == ["0.00000000", "0.00000000", "0.12500000", "0.50000000"]


def test_what_an_order_took_comes_back_with_the_levels_next_update_and_not_before(live: Paper) -> None:
    live.order("BUY", "0.75")
    live.at_venue(lambda venue: venue.change(asks=amounts(("30000.01", "5"))))
    live.until(lambda: live.live.book.last_id == live.venue.update_id, "the change")
    assert shown(live)[1] == [["30000.00000000", "0.25000000"], ["30000.01000000", "5.00000000"]]

    live.at_venue(lambda venue: venue.change(asks=amounts(("30000.00", "1"))))
    live.until(lambda: live.live.book.last_id == live.venue.update_id, "the change")
    assert shown(live) == of_the_venue(live)


def test_own_fills_are_on_no_tape_and_in_no_candle(live: Paper) -> None:
    before = candles(live)
    with live.listen(f"/stream?streams={SYMBOL.lower()}@trade/{SYMBOL.lower()}@kline_1m") as listener:
        live.order("BUY", "0.75")
        live.order("SELL", "0.5")
        live.at_venue(lambda venue: venue.trade("30000.00", "0.125"))
        frame = listener.next()

    assert (frame["stream"], frame["data"]["q"]) == (f"{SYMBOL.lower()}@trade", "0.12500000")
    assert [each["qty"] for each in live.public("/api/v3/trades", symbol=SYMBOL)] == ["0.12500000"]
    assert candles(live) == before


@pytest.mark.parametrize("how", ["gap", "connection"])
def test_out_of_sync_no_trade_fills_a_resting_order_and_the_fresh_book_does(live: Paper, how: str) -> None:
    order = live.order("BUY", "0.5", price="29999.00")
    live.at_venue(lambda venue: venue.answers.extend([(503, {})] * 50))
    if how == "gap":
        live.at_venue(lambda venue: venue.change(lost=True))
        live.at_venue(lambda venue: venue.change())
    else:
        live.at_venue(lambda venue: venue.hang_up())
        halted(live)
        live.until(lambda: live.venue.sockets, "a new connection")
        live.at_venue(lambda venue: venue.change())
    halted(live)

    live.at_venue(lambda venue: venue.trade("29000.00", "5", maker=True))
    live.at_venue(lambda venue: venue.change(bids=amounts(("29999.99", "0"), ("29999.98", "0"))))
    live.at_venue(lambda venue: venue.change(asks=amounts(("29998.00", "9"))))
    live.caught_up()

    def status() -> str:
        found = live.signed("GET", "/api/v3/order", symbol=SYMBOL, orderId=order["orderId"]).json()
        return str(found["status"])

    assert status() == "NEW"
    live.at_venue(lambda venue: venue.answers.clear())
    live.until(lambda: live.live.book.in_sync, "the book")
    assert status() == "FILLED"


def test_while_it_is_closed_no_frame_of_the_book_goes_out_and_then_one_without_a_hole(live: Paper) -> None:
    def changed_and_halted() -> None:
        exchange = live.running.exchange
        exchange.apply(BookChanged(SYMBOL, START_MS, amounts(("29999.91", "1")), ()))
        exchange.halt(SYMBOL)
        exchange.parts.market.flush(START_MS, everything=True)

    with live.listen(f"/stream?streams={SYMBOL.lower()}@depth@100ms/{SYMBOL.lower()}@trade") as listener:
        live.at_venue(lambda venue: venue.change(bids=amounts(("29999.90", "1"))))
        before = listener.until(lambda frame: "depth" in frame["stream"])["data"]
        live.do(changed_and_halted)
        live.at_venue(lambda venue: venue.change(bids=amounts(("29999.92", "1"))))
        live.at_venue(lambda venue: venue.trade("30000.00", "1"))
        assert listener.next()["stream"] == f"{SYMBOL.lower()}@trade"
        live.at_venue(lambda venue: venue.hang_up())
        live.synced()
        after = listener.next()["data"]

    assert after["U"] == before["u"] + 1
    assert dict(after["b"]) == {"29999.92000000": "1.00000000"}


# the connection


def test_every_stream_of_a_symbol_is_asked_for(live: Paper) -> None:
    (streams,) = live.at_venue(lambda venue: [params for name, params in venue.asked if name == "stream"])

    assert streams["streams"] == "btcusdt@depth@100ms/btcusdt@trade/btcusdt@kline_1m"


def test_a_notice_of_shutdown_a_malformed_frame_and_an_end_all_lead_to_a_new_connection(live: Paper) -> None:
    ends = [
        lambda venue: venue.raw('{"e":"serverShutdown","E":1}'),
        lambda venue: venue.raw('{"stream":"x","data":{"e":"trade","s":"BTCUSDT"}}'),
        lambda venue: venue.hang_up(),
    ]
    for end in ends:
        (before,) = live.at_venue(lambda venue: list(venue.sockets))
        live.at_venue(end)
        live.until(lambda before=before: live.venue.sockets and before not in live.venue.sockets, "a new connection")
        live.synced()
        assert shown(live) == of_the_venue(live)


def test_a_silent_connection_is_a_dead_one(tmp_path: Path) -> None:
    with paper(tmp_path, settings=replace(QUICK, silence_s=0.2)) as live:
        live.synced()
        (first,) = live.at_venue(lambda venue: list(venue.sockets))
        halted(live)
        live.until(lambda: live.venue.sockets and first not in live.venue.sockets, "a new connection")


def test_a_connection_that_answers_no_ping_is_a_dead_one(tmp_path: Path) -> None:
    with paper(tmp_path, Venue(mute=True), replace(QUICK, heartbeat_s=0.1)) as live:
        live.synced()
        (first,) = live.at_venue(lambda venue: list(venue.sockets))
        live.until(lambda: any(each is not first for each in live.venue.sockets), "a new connection")


def test_a_symbol_that_trades_while_its_book_stands_still_is_out_of_sync(tmp_path: Path) -> None:
    with paper(tmp_path, settings=replace(QUICK, behind_s=0.05)) as live:
        live.synced()
        (first,) = live.at_venue(lambda venue: list(venue.sockets))

        def trades_on() -> bool:
            live.at_venue(lambda venue: venue.trade("30000.00", "1"))
            return live.do(lambda: first not in live.venue.sockets)

        wait_for(trades_on, TIMEOUT_S, "the end of the connection")


def test_a_venue_that_is_away_is_asked_again_until_it_is_back(live: Paper) -> None:
    live.at_venue(lambda venue: setattr(venue, "refuses", 503))
    live.at_venue(lambda venue: venue.hang_up())
    halted(live)
    assert live.refusal(**BUY) == CLOSED

    live.at_venue(lambda venue: setattr(venue, "refuses", 0))
    live.synced()

    assert live.order("BUY", "0.5")["status"] == "FILLED"


def test_pauses_double_with_jitter_up_to_the_longest_and_start_anew_after_a_good_time() -> None:
    settings = LiveSettings(first_pause_s=1.0, longest_pause_s=8.0)
    pauses, now_s, taken = Pauses(settings, "x"), 100.0, []
    for _ in range(6):
        taken.append(pauses.next(now_s))
        now_s += taken[-1]

    assert taken[0] == 0
    assert all(most / 2 <= pause <= most for pause, most in zip(taken[1:], [1, 2, 4, 8, 8], strict=True))
    assert taken != [0, 1, 2, 4, 8, 8]
    assert pauses.next(now_s + 8.1) == 0
    other = Pauses(replace(settings, seed=1), "x")
    assert [other.next(100.0) for _ in range(2)][1] != taken[1]


def test_a_refusal_that_asks_for_a_pause_holds_back_every_request_until_it_is_over(live: Paper) -> None:
    live.at_venue(lambda venue: venue.answers.append((418, {"code": -1003, "msg": "IP banned."})))
    live.at_venue(lambda venue: venue.headers.update({"Retry-After": "3600"}))
    live.at_venue(lambda venue: venue.hang_up())
    live.until(lambda: live.venue.sockets and not live.live.book.in_sync, "a new connection")
    asked = live.at_venue(lambda venue: len(venue.asked))
    live.at_venue(lambda venue: venue.change())
    live.until(lambda: not live.venue.answers, "the refusal")
    live.at_venue(lambda venue: venue.hang_up())
    live.until(lambda: live.venue.sockets, "another connection")
    live.at_venue(lambda venue: venue.change())
    live.caught_up()

    later = live.at_venue(lambda venue: [name for name, _ in venue.asked[asked:]])
    assert later == ["depth", "stream"]
    assert live.do(lambda: live.running._source.rest._allowance.wait_s(1, live.loop.time())) > 3000


def test_the_venues_own_count_of_weight_leaves_no_room_for_a_snapshot_that_would_not_fit(tmp_path: Path) -> None:
    with paper(tmp_path, Venue(headers={"X-MBX-USED-WEIGHT-1M": str(MOST_WEIGHT - 10)})) as live:
        live.until(lambda: live.venue.sockets, "a connection")
        live.at_venue(lambda venue: venue.change())
        live.caught_up()

        assert "depth" not in live.at_venue(lambda venue: [name for name, _ in venue.asked])
        assert live.do(lambda: live.running._source.rest._allowance.wait_s(250, live.loop.time())) > 0


# trades and candles


def test_trades_that_were_missed_are_not_made_up(live: Paper) -> None:
    live.at_venue(lambda venue: venue.trade("30000.00", "1"))
    for _ in range(3):
        live.at_venue(lambda venue: venue.trade("30001.00", "1", lost=True))
    live.at_venue(lambda venue: venue.trade("30002.00", "1"))
    live.until(lambda: live.live._last_trade and live.live._last_trade.trade_id == 5, "the trade")

    assert [each["id"] for each in live.public("/api/v3/trades", symbol=SYMBOL)] == [1, 5]


def test_a_trade_that_is_told_twice_fills_once(live: Paper) -> None:
    order = live.order("BUY", "0.5", price="29999.00")
    again = {"t": 1, "p": "29998.00", "q": "0.2", "T": START_MS + 9_000, "m": True}
    for _ in range(2):
        live.at_venue(lambda venue: venue.say("trade", e="trade", **again))
    live.at_venue(lambda venue: setattr(venue, "trade_id", 1))
    live.at_venue(lambda venue: setattr(venue, "now_ms", START_MS + 10_000))
    live.at_venue(lambda venue: venue.trade("30000.00", "1"))
    live.until(lambda: live.live._last_trade and live.live._last_trade.trade_id == 2, "the trade")

    status = live.signed("GET", "/api/v3/order", symbol=SYMBOL, orderId=order["orderId"]).json()
    assert status["executedQty"] == "0.20000000"


def candles(live: Paper, limit: int = 5) -> list[tuple[int, str]]:
    rows = live.public("/api/v3/klines", symbol=SYMBOL, interval="1m", limit=limit)
    return [(row[0], row[4]) for row in rows]


def test_candles_from_before_the_start_are_the_venues(live: Paper) -> None:
    rows = live.public("/api/v3/klines", symbol=SYMBOL, interval="1m", limit=1000)

    assert rows == [
        [cell if not isinstance(cell, str) or place == 11 else f"{Decimal(cell):.8f}" for place, cell in enumerate(row)]
        for row in live.at_venue(lambda venue: venue.minutes)
    ]


def test_a_trade_moves_no_candle_before_the_venue_says_so(live: Paper) -> None:
    before = candles(live)

    live.caught_up()

    assert candles(live) == before


def test_a_closed_candle_is_the_venues_to_the_digit_and_is_pushed_once(live: Paper) -> None:
    with live.listen(f"/ws/{SYMBOL.lower()}@kline_1m") as listener:
        live.at_venue(lambda venue: venue.trade("1.00", "1"))
        live.at_venue(lambda venue: venue.candle(START_MS, 31_000))
        live.at_venue(lambda venue: venue.candle(START_MS, 31_500, closed=True))
        live.at_venue(lambda venue: venue.candle(START_MS + MINUTE_MS, 32_000))
        closed = listener.until(lambda frame: frame["k"]["x"])
        assert (closed["k"]["t"], closed["k"]["c"], closed["k"]["l"]) == (START_MS, "31500.00000000", "31500.00000000")
        forming = listener.next()
        assert (forming["k"]["t"], forming["k"]["x"]) == (START_MS + MINUTE_MS, False)

    assert candles(live, 2) == [(START_MS, "31500.00000000"), (START_MS + MINUTE_MS, "32000.00000000")]


def test_minutes_that_passed_while_it_was_cut_off_are_read_and_pushed_in_order(live: Paper) -> None:
    with live.listen(f"/ws/{SYMBOL.lower()}@kline_1m") as listener:
        live.at_venue(lambda venue: venue.hang_up())
        halted(live)
        missed = [kline(START_MS + n * MINUTE_MS, 40_000 + n) for n in range(4)]
        live.at_venue(lambda venue: setattr(venue, "minutes", venue.minutes[:-1] + missed))
        live.until(lambda: live.venue.sockets, "a new connection")
        live.at_venue(lambda venue: venue.candle(START_MS + 4 * MINUTE_MS, 50_000))
        pushed = [listener.until(lambda frame: frame["k"]["x"])["k"] for _ in range(4)]

    assert [(k["t"], k["c"]) for k in pushed] == [(row[0], f"{Decimal(row[4]):.8f}") for row in missed]
    assert candles(live, 5)[-1] == (START_MS + 4 * MINUTE_MS, "50000.00000000")


def test_a_longer_candle_has_the_minutes_from_before_the_start(live: Paper) -> None:
    (row,) = live.public("/api/v3/klines", symbol=SYMBOL, interval="1h", limit=1)
    minutes = live.at_venue(lambda venue: [each for each in venue.minutes if each[0] >= row[0]])

    assert (row[1], row[4], row[8]) == (
        f"{Decimal(minutes[0][1]):.8f}",
        f"{Decimal(minutes[-1][4]):.8f}",
        7 * len(minutes),
    )
    assert len(minutes) > 1


# rules, time and what survives


def test_the_rules_are_the_venues_and_the_abilities_its_own(tmp_path: Path) -> None:
    venue = Venue()
    lot = {"filterType": "LOT_SIZE", "minQty": "0.25", "maxQty": "9", "stepSize": "0.25"}
    kept = [each for each in venue.entry["filters"] if each["filterType"] != "LOT_SIZE"]
    venue.entry |= {"filters": [*kept, lot], "icebergAllowed": True, "orderTypes": ["LIMIT", "MARKET", "PEGGED"]}
    venue.entry |= {"quoteOrderQtyMarketAllowed": False, "permissionSets": [["MARGIN"]]}
    with paper(tmp_path, venue) as live:
        live.synced()
        (entry,) = live.public("/api/v3/exchangeInfo")["symbols"]
        refused = live.refusal(**{**BUY, "quantity": "0.3"})

    assert refused == {"code": -1013, "msg": "Filter failure: LOT_SIZE"}
    assert lot in entry["filters"]
    assert (entry["icebergAllowed"], entry["quoteOrderQtyMarketAllowed"]) == (False, False)
    assert (entry["orderTypes"], entry["permissionSets"]) == (["LIMIT", "MARKET"], [["SPOT"]])


def test_market_time_is_that_of_the_feed_and_not_of_a_clock(live: Paper) -> None:
    order = live.order("BUY", "0.5")

    assert order["transactTime"] == live.at_venue(lambda venue: venue.now_ms)


def test_account_and_open_orders_go_on_after_a_restart_and_match_the_fresh_book_alone(tmp_path: Path) -> None:
    with paper(tmp_path) as live:
        live.synced()
        live.order("BUY", "0.5")
        order = live.order("BUY", "0.25", price="29000.00")
        key, held = live.key, (live.balance("BTC"), live.balance("USDT"))
    venue = Venue()
    with paper(tmp_path, venue) as live:
        assert (live.key, (live.balance("BTC"), live.balance("USDT"))) == (key, held)
        (still,) = live.signed("GET", "/api/v3/openOrders").json()
        assert (still["orderId"], still["status"]) == (order["orderId"], "NEW")
        live.at_venue(lambda venue: venue.trade("28000.00", "9", maker=True))
        live.until(lambda: live.live._last_trade is not None, "the trade")
        assert live.signed("GET", "/api/v3/openOrders").json() == [still]
        live.at_venue(lambda venue: venue.change(asks=amounts(("28999.00", "9"))))
        live.synced()
        assert live.signed("GET", "/api/v3/openOrders").json() == []
        assert live.balance("BTC")[0] > held[0][0]


def test_minutes_between_two_runs_are_there_afterwards(tmp_path: Path) -> None:
    with paper(tmp_path) as live:
        live.synced()
    venue = Venue(now_ms=START_MS + 4 * MINUTE_MS)
    venue.minutes = venue.minutes[:-1] + [kline(START_MS + n * MINUTE_MS, 40_000 + n) for n in range(4)]
    with paper(tmp_path, venue) as live:
        assert candles(live, 4) == [(START_MS + n * MINUTE_MS, f"{40_000 + n}.00000000") for n in range(4)]


# a start that fails


def start_at(home: Path, settings: LiveSettings) -> None:
    async def run() -> None:
        options = Options(home=home, source="live", symbols=(SYMBOL,), live=settings)
        await (await Embedded.start(options, time.time)).stop()

    asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))


def test_a_venue_that_cannot_be_reached_is_said_in_one_sentence_and_nothing_is_written(tmp_path: Path) -> None:
    url = f"127.0.0.1:{unused_port()}"
    with pytest.raises(NetworkError) as caught:
        start_at(tmp_path, replace(QUICK, rest=f"http://{url}", stream=f"ws://{url}"))

    said = str(caught.value)
    assert said.startswith(f"The live market cannot be had: http://{url} does not answer: ")
    assert said.endswith("name another address with exchange.rest_url and exchange.stream_url.")
    assert "\n" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://"])
def test_an_address_that_is_none_is_said_in_one_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(NetworkError, match=r"^The live market cannot be had: .*\.$"):
        start_at(tmp_path, replace(QUICK, rest=url))


def test_streams_that_cannot_be_reached_are_said_at_the_start(tmp_path: Path) -> None:
    venue = Venue(refuses=503)
    with pytest.raises(NetworkError, match=r"ws://.* cannot be connected to: 503"), paper(tmp_path, venue):
        pass


RESTRICTED = {"code": 0, "msg": "Service unavailable from a restricted location."}


@pytest.mark.parametrize("venue", [Venue(refusal=(451, RESTRICTED)), Venue(refuses=451)])
def test_a_place_that_the_venue_does_not_serve_is_said_with_what_to_do(tmp_path: Path, venue: Venue) -> None:
    with pytest.raises(NetworkError) as caught, paper(tmp_path, venue):
        pass

    assert re.fullmatch(
        r"The live market cannot be had: \w+://[0-9.:]+ does not serve the place that this machine is in "
        r"\(HTTP status 451\); trade on --venue sim, or name another address with exchange\.rest_url and "
        r"exchange\.stream_url that serves you\.",
        str(caught.value),
    )


@pytest.mark.parametrize(("headers", "seconds"), [({"Retry-After": "17"}, "17"), ({}, "60")])
def test_a_ban_at_the_start_is_said_with_its_end(tmp_path: Path, headers: dict[str, str], seconds: str) -> None:
    venue = Venue(refusal=(418, {"code": -1003, "msg": "Way too much request weight used."}), headers=headers)
    with pytest.raises(NetworkError) as caught, paper(tmp_path, venue):
        pass

    assert "code=-1003 Way too much request weight used; it has been asked too much" in str(caught.value)
    assert str(caught.value).endswith(f"start again in {seconds} s.")


@pytest.mark.parametrize(
    "entry", [{"filters": [{"filterType": "LOT_SIZE"}]}, {"filters": 7}, {"baseAsset": None, "filters": [{}]}]
)
def test_rules_that_cannot_be_read_are_said_in_one_sentence(tmp_path: Path, entry: dict[str, Any]) -> None:
    venue = Venue()
    venue.entry |= entry
    with pytest.raises(NetworkError, match=r"rules cannot be read .*\.$") as caught, paper(tmp_path, venue):
        pass

    assert str(caught.value).startswith("The live market cannot be had: ")


@pytest.mark.parametrize("status", ["BREAK", "HALT"])
def test_a_symbol_that_the_venue_does_not_trade_is_named(tmp_path: Path, status: str) -> None:
    venue = Venue()
    venue.entry["status"] = status
    with pytest.raises(OperatorError, match=f"does not trade {SYMBOL} now"), paper(tmp_path, venue):
        pass


def test_a_home_of_another_market_is_refused(tmp_path: Path, start: object) -> None:
    with start():  # type: ignore[operator]
        pass
    with pytest.raises(OperatorError, match=r"holds another market .*asked for: source live"), paper(tmp_path):
        pass
