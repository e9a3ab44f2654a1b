"""Risk in the middle of a flood: what it refuses, what it sells, what a crash leaves, and what the disk has first."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from actors.protocol import Approved, Halt, Synced
from tests.concurrency.risk_support import (
    SYMBOLS,
    THREADS,
    D,
    Floor,
    approved,
    assert_written,
    flood,
    floor,
    reasons,
    wait_for,
    write_numbered,
)
from thunes.messages import Kill, OrderType, Side
from thunes.storage.home import Home

DAY_MS = 86_400_000
APPROVAL = re.compile(rb'"event":"TRADE_APPROVED".*"client_order_id":"([^"]+)"')


def test_each_of_many_faults_is_refused_for_its_own_reason(tmp_path: Path) -> None:
    faults: dict[str, dict[str, Any]] = {
        "UNKNOWN_SYMBOL": {"symbol": "ABCUSDT"},
        "NO_POSITION": {"side": Side.SELL},
        "MAX_NOTIONAL": {"quantity": D("0.001")},
        "EXPOSURE_LIMIT": {"quantity": D("0.0008")},
        "PRICE_COLLAR": {"reference_price": D(62_000)},
        "FILTER_LOT_SIZE": {"quantity": D("0.000205")},
        "FILTER_NOTIONAL": {"quantity": D("0.00001")},
        "FILTER_PRICE": {"order_type": OrderType.LIMIT, "price": D("60000.015")},
    }
    with floor(tmp_path, max_exposure=45) as alive:
        alive.tick("SOLUSDT", received_ns=alive.world.clock.monotonic_ns() - 3_601 * 10**9)

        def fault(thread: int, n: int) -> None:
            alive.submit("SOLUSDT", cause="STALE_MARKET_DATA")
            for reason, members in faults.items():
                alive.tell("risk", replace(alive.want("BTCUSDT"), cause=reason, **members))

        flood(fault, times=40)
        made = alive.decisions(THREADS * 40 * 9)
        assert [(e.metadata["cause"], e.reason) for e in made if e.reason != e.metadata["cause"]] == []
        assert set(reasons(made).values()) == {THREADS * 40}
        assert alive.venue.placed == []


def test_a_kill_that_flattens_from_many_threads_sells_each_position_once(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:
        alive.trade(*SYMBOLS[:3])
        alive.venue.opened.clear()  # so that every kill finds the positions still open
        flood(lambda _thread, _n: alive.tell("risk", Kill("drill", "test", flatten=True)), times=125)
        made = alive.decisions(3 + 3_000)
        alive.venue.opened.set()
        alive.rest()
        assert Counter(e.symbol for e in approved(made) if e.side is Side.SELL) == dict.fromkeys(SYMBOLS[:3], 1)
        assert alive.open_symbols() == set()
        assert len(alive.venue.placed) == 6
        assert len(alive.lines("KILL_SWITCH_ACTIVATED")) == 1


def test_after_a_halt_nothing_more_is_approved(tmp_path: Path) -> None:
    with floor(tmp_path, max_positions=5) as alive:
        alive.trade("BTCUSDT")

        def trade(thread: int, n: int) -> None:
            alive.submit(SYMBOLS[n % 5], Side.SELL if n % 10 > 4 else Side.BUY)
            if n == 125:
                alive.tell("risk", Halt())

        flood(trade)
        said = [e.reason for e in alive.decisions(2_001)]
        assert said[0] is None
        assert set(said[said.index("NOT_READY") :]) == {"NOT_READY"}


def test_a_day_that_many_threads_bring_is_turned_once(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:
        alive.trade("BTCUSDT")
        alive.trade("BTCUSDT", side=Side.SELL)
        lost = alive.risk.realised_today

        def tick(thread: int, n: int) -> None:
            alive.tick(SYMBOLS[thread % 5], market_ms=alive.venue.now_ms + (thread + n) % 4 * DAY_MS)
            alive.settle()

        flood(tick)
        alive.tick("BTCUSDT", market_ms=alive.venue.now_ms + 4 * DAY_MS)
        alive.flush()
        days = [e.metadata["day"] for e in alive.lines("DAILY_RESET")]
        assert days == sorted(set(days))
        assert days[-1] == "2025-01-05"
        assert lost < 0 == alive.risk.realised_today
        assert alive.risk.realised_total == lost


# --- crashes ---


def crash(alive: Floor, name: str = "risk") -> None:
    alive.tell(name, "a message that nobody understands")


def test_a_crash_in_a_flood_keeps_reservations_so_that_no_slot_is_given_twice(tmp_path: Path) -> None:
    with floor(tmp_path, max_positions=3) as alive:
        alive.venue.opened.clear()

        def buy(thread: int, n: int) -> None:
            alive.submit(SYMBOLS[(thread + n) % 5])
            if thread == 0 and n == 125:
                crash(alive)

        flood(buy)
        wait_for(lambda: alive.figures("supervisor")["risk"] == ("running", 1), "the replacement")
        wait_for(lambda: alive.risk.reserved == 3, "three reservations")
        before = len(alive.decisions(2_000))
        alive.show_ticks()
        alive.tell("risk", Synced(True))  # sooner than the reconciler would: the reservations alone have to hold
        flood(lambda thread, n: alive.submit(SYMBOLS[(thread + n) % 5]))
        again = alive.decisions(before + 2_000)[before:]
        alive.venue.opened.set()
        alive.rest()
        assert reasons(again) == {"DUPLICATE_SYMBOL": 1_200, "POSITION_LIMIT": 800}
        assert len(approved(alive.lines())) == 3
        assert len(alive.open_symbols()) == 3


def test_a_kill_told_while_risk_is_being_replaced_is_carried_out(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:
        alive.hold_disk()  # until it is opened the replacement cannot read its books
        crash(alive)
        wait_for(lambda: alive.figures("supervisor")["risk"] == ("running", 1), "the replacement")

        def shout(thread: int, n: int) -> None:
            alive.tell("risk", Kill(f"thread {thread}", "test"))
            alive.submit(SYMBOLS[(thread + n) % 5])

        flood(shout)
        alive.settle()
        assert not alive.risk.kill_active
        alive.disk.opened.set()
        made = alive.decisions(2_000)
        alive.flush()
        assert set(reasons(made)) <= {"NOT_SYNCED", "KILL_SWITCH"}
        assert [e.metadata["epoch"] for e in alive.lines("KILL_SWITCH_ACTIVATED")] == [1]
        assert alive.risk.kill_active
        assert alive.world.home.kill_active()


def test_crashes_of_audit_in_a_flood_lose_and_double_nothing(tmp_path: Path) -> None:
    with floor(tmp_path) as alive:

        def write(thread: int, n: int) -> None:
            write_numbered(alive, thread, n)
            if thread == 0 and n in (100, 200, 300):
                crash(alive, "audit")

        flood(write, times=500)
        alive.rest()
        alive.flush()
        assert_written(alive, times=500)
        assert [e.metadata["actor"] for e in alive.lines("ACTOR_RESTARTED")] == ["audit"] * 3


# --- the disk first ---


def test_an_approval_reaches_the_breaker_only_when_its_line_is_durable(tmp_path: Path) -> None:
    told: list[str] = []
    early: list[str] = []
    durable = bytearray()

    def look(name: str, message: Any) -> None:
        if name == "breaker" and isinstance(message, Approved):
            told.append(message.client_order_id)
            with Home(tmp_path).audit_trail.open("rb") as file:
                file.seek(len(durable))
                durable.extend(file.read(alive.disk.durable - len(durable)))
            if message.client_order_id.encode() not in APPROVAL.findall(durable[-1_000_000:]):
                early.append(message.client_order_id)

    with floor(tmp_path, hear=look) as alive:
        before = alive.disk.syncs
        alive.hold_disk()
        flood(lambda thread, n: alive.submit(SYMBOLS[(thread + n) % 5]), times=125)
        alive.settle()
        assert alive.risk.reserved == 3
        assert told == alive.venue.placed == []
        alive.disk.opened.set()
        made = alive.decisions(1_000)
        alive.rest()
        assert sorted(told) == sorted(e.metadata["client_order_id"] for e in approved(made))
        assert alive.disk.syncs - before < 100  # one for many lines
        for _ in range(25):
            flood(lambda thread, n: alive.submit(SYMBOLS[(thread + n) % 5], (Side.BUY, Side.SELL)[n % 2]), times=10)
            alive.rest()
        assert sorted(told) == sorted(e.metadata["client_order_id"] for e in approved(alive.lines()))
        assert len(told) >= 25
        assert early == []
