"""kill -9 at twenty moments: afterwards the books are the exchange's, and no order was sent twice."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.support import (
    Proxy,
    Thunes,
    assert_books_agree,
    assert_one_decision_each,
    clean_environment,
    events,
    exchange,
    thunes,
    wait_for,
)

SYMBOLS = ("BTCUSDT", "ETHUSDT")
FDATASYNC = "75"
"""The system call's number on x86-64."""

MOMENTS = ["answer"] * 10 + ["request"] * 2 + ["fsync"] * 3 + ["any"] * 5

CONFIG = """
[risk]
cool_down = 0
max_orders_per_minute = 10000
max_daily_loss = 5000
[strategy]
interval = "1m"
"""


def in_fdatasync(pid: int) -> bool:
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            if (task / "syscall").read_text().split()[0] == FDATASYNC:
                return True
        except (OSError, IndexError):
            continue
    return False


def kill_during_fsync(system: Thunes) -> bool:
    """Kill it while a thread is inside fdatasync: stopped first, looked at again, then killed."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if in_fdatasync(system.process.pid):
            system.kill()
            return True
    return False


def kill_at(moment: str, system: Thunes, proxy: Proxy, chance: random.Random) -> None:
    if moment == "fsync":
        assert kill_during_fsync(system), "no fdatasync was seen"
        return
    if moment == "any":
        threading.Event().wait(chance.uniform(0.0, 2.0))
    else:
        proxy.held.clear()
        proxy.hold = moment
        assert proxy.held.wait(30), "no order came"
    system.kill()


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_after_kill_9_at_twenty_moments_the_books_are_right_and_no_order_is_there_twice(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    chance = random.Random(20)
    strategy = Path(__file__).with_name("busy.py")
    with exchange(tmp_path / "exchange", "--speed", "60", "--seed", "7") as venue:
        address = urlsplit(venue.ready["rest"])
        proxy = Proxy(("127.0.0.1", address.port or 0))
        proxy.start()
        env = clean_environment(
            THUNES_API_KEY=venue.ready["api_key"],
            THUNES_API_SECRET=venue.ready["api_secret"],
            THUNES_EXCHANGE__REST_URL=f"http://127.0.0.1:{proxy.port}",
            THUNES_EXCHANGE__STREAM_URL=venue.ready["stream"],
            THUNES_EXCHANGE__WS_API_URL=venue.ready["ws_api"],
        )
        home = tmp_path / "home"
        flags = ("--venue", "testnet", "--config", str(config), "--strategy", str(strategy))
        for moment in MOMENTS:
            with thunes(home, *flags, env=env) as system:
                wait_for(system.is_ready, 40, "readiness")
                kill_at(moment, system, proxy, chance)
        with thunes(home, *flags, env=env) as system:
            wait_for(system.is_ready, 40, "readiness")
            assert system.stop() == 0, system.said()
        books = assert_books_agree(home, venue.rest(), SYMBOLS)
        proxy.close()
    lines = events(home)
    assert_one_decision_each(lines)
    unknown = {e.correlation_id for e in lines if e.event == "ORDER_UNKNOWN"}
    resolved = [e for e in lines if e.event == "ORDER_RESOLVED"]
    assert unknown
    assert unknown == {e.correlation_id for e in resolved}
    assert any(e.metadata["found"] for e in resolved)
    assert any(not e.metadata["found"] for e in resolved)
    assert books.opening is not None
    assert books.balances["USDT"] != books.opening["USDT"]
