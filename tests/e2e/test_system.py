"""The main job as a process: what it does with signals, full disks, taken ports and a second copy of itself."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import (
    Exchange,
    assert_books_agree,
    assert_one_decision_each,
    clean_environment,
    events,
    exchange,
    thunes,
    wait_for,
)
from thunes.domain.books import has_ended

SYMBOLS = ("BTCUSDT", "ETHUSDT")
BUSY = str(Path(__file__).with_name("busy.py"))

UNHINDERED = """
[risk]
cool_down = 0
max_orders_per_minute = 10000
max_daily_loss = 5000
"""


@pytest.fixture
def busy(tmp_path: Path) -> list[str]:
    """Flags of a system that trades on every candle."""
    config = tmp_path / "busy.toml"
    config.write_text(UNHINDERED)
    return ["--config", str(config), "--strategy", BUSY]


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Exchange]:
    with exchange(tmp_path / "exchange", "--speed", "60") as running:
        yield running


def towards(venue: Exchange) -> dict[str, str]:
    return clean_environment(
        THUNES_API_KEY=venue.ready["api_key"],
        THUNES_API_SECRET=venue.ready["api_secret"],
        THUNES_EXCHANGE__REST_URL=venue.ready["rest"],
        THUNES_EXCHANGE__STREAM_URL=venue.ready["stream"],
        THUNES_EXCHANGE__WS_API_URL=venue.ready["ws_api"],
    )


def filled(home: Path) -> int:
    return sum(1 for event in events(home) if event.event == "ORDER_FILLED")


def command(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "thunes", *words, "--home", str(home)],
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=False,
        timeout=30,
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_a_minute_on_the_default_settings_buys_and_sells_and_all_books_agree(tmp_path: Path, seed: int) -> None:
    home = tmp_path / "home"
    with thunes(home, "--venue", "sim", "--duration", "60", "--seed", str(seed)) as system:
        assert system.process.wait(90) == 0, system.said()
        assert "chain verified" in system.said()
    lines = events(home)
    fills = {event.side for event in lines if event.event == "ORDER_FILLED"}
    assert fills == {"BUY", "SELL"}
    assert_one_decision_each(lines)
    done = command("audit", "verify", home=home)
    assert (done.returncode, "the chain holds" in done.stdout) == (0, True)
    with exchange(home, "--seed", str(seed), "--speed", "60") as venue:
        assert_books_agree(home, venue.rest(), SYMBOLS)


def test_sigterm_stops_in_order_within_ten_seconds(tmp_path: Path, busy: list[str]) -> None:
    with thunes(tmp_path / "home", *busy) as system:
        wait_for(system.is_ready, what="readiness")
        assert system.stop(10) == 0, system.said()
    assert events(tmp_path / "home")[-1].event == "SYSTEM_STOPPED"


def test_a_second_system_on_one_home_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with thunes(home) as first:
        wait_for(first.is_ready, what="readiness")
        done = command("run", home=home)
        assert done.returncode == 2
        assert f"process {first.process.pid}" in done.stderr
        assert done.stderr.count("\n") == 1
        assert first.stop() == 0


@pytest.mark.parametrize("door", ["metrics", "console"])
def test_a_port_in_use_is_named_in_one_line_and_nothing_trades(tmp_path: Path, door: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = command("run", "--metrics-port", "0", "--console-port", "0", f"--{door}-port", port, home=tmp_path)
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if port in line]
    assert len(said) == 1
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "logs").glob("audit_trail*"))


def test_a_home_belongs_to_one_venue(tmp_path: Path, venue: Exchange) -> None:
    home = tmp_path / "home"
    with thunes(home) as system:
        wait_for(system.is_ready, what="readiness")
        assert system.stop() == 0
    with thunes(home, "--venue", "testnet", env=towards(venue)) as system:
        assert system.process.wait(30) == 2
        assert "belongs to venue sim" in system.said()


def test_sigusr1_reconnects_every_stream_and_nothing_is_missing_afterwards(tmp_path: Path, busy: list[str]) -> None:
    home = tmp_path / "home"
    with thunes(home, *busy) as system:
        wait_for(system.is_ready, what="readiness")
        for times in (1, 2, 3):
            system.process.send_signal(signal.SIGUSR1)

            def reconnected(times: int = times) -> bool:
                streams = (system.status() or {"streams": {}})["streams"]
                return bool(streams) and all(s["reconnects"] >= times and s["connected"] for s in streams.values())

            wait_for(reconnected, what=f"reconnect {times} of every stream")
        before = filled(home)
        wait_for(lambda: filled(home) > before, what="trading after the reconnects")
        assert system.stop() == 0
    gaps = [event for event in events(home) if event.event == "STREAM_GAP"]
    assert gaps == []
    said = (home / "logs" / "paper_trader.log").read_text()
    assert "WebSocket reconnected successfully: BTCUSDT" in said


def test_an_exchange_that_dies_is_started_again_where_it_was(tmp_path: Path, busy: list[str]) -> None:
    home = tmp_path / "home"
    with thunes(home, *busy) as system:
        wait_for(system.is_ready, what="readiness")
        wait_for(lambda: filled(home) >= 2, what="two fills")
        os.kill(int((system.run or {})["exchange_pid"]), signal.SIGKILL)
        before = filled(home)
        wait_for(lambda: filled(home) >= before + 4, 60, "trading on the exchange that was started again")
        assert system.stop() == 0, system.said()
    with exchange(home, "--speed", "60") as venue:
        assert_books_agree(home, venue.rest(), SYMBOLS)


def test_a_broken_line_of_the_journal_refuses_the_start_and_is_named(tmp_path: Path, busy: list[str]) -> None:
    home = tmp_path / "home"
    with thunes(home, *busy) as system:
        wait_for(system.is_ready, what="readiness")
        assert system.stop() == 0
    journal = home / "logs" / "audit_trail.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], lines[3].replace(b'"git_sha":"', b'"git_sha":"x'), *lines[4:]]))
    done = command("run", "--metrics-port", "0", "--console-port", "0", home=home)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "line 4" in done.stderr
    assert not (home / "data" / "KILL").exists()


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [("BTCUSDT-1m-x.csv", b"1623332160000,1,2\n", "row 1"), ("x.jsonl.gz", b"\x1f\x8b\x08\x00", "x.jsonl.gz")],
)
def test_a_source_that_cannot_be_read_is_named_in_one_line(
    tmp_path: Path, name: str, content: bytes, where: str
) -> None:
    source = tmp_path / name
    source.write_bytes(content)
    ports = ("--metrics-port", "0", "--console-port", "0")
    done = command("run", *ports, "--symbols", "BTCUSDT", "--source", str(source), home=tmp_path / "home")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert name in done.stderr
    assert where in done.stderr


def small_files(limit: int) -> Any:
    def apply() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return apply


def test_a_full_disk_stops_all_orders_and_the_next_start_waits_for_room(
    tmp_path: Path, busy: list[str], venue: Exchange
) -> None:
    home, flags = tmp_path / "home", ["--venue", "testnet", *busy]
    env = towards(venue)
    with thunes(home, *flags, env=env) as system:
        wait_for(system.is_ready, what="readiness")
        wait_for(lambda: filled(home) >= 1, what="a fill")
        assert system.stop() == 0
    # Enough for the database's own files to be opened, not for what trading adds to them and to the journal.
    room = (home / "logs" / "audit_trail.jsonl").stat().st_size + 50_000
    with thunes(home, *flags, env=env, preexec=small_files(room)) as system:
        assert system.process.wait(60) == 1, system.said()
        assert "Gave up safely" in system.said()
        assert (home / "data" / "KILL").exists()
    with thunes(home, *flags, env=env, preexec=small_files(2_000)) as system:
        assert system.process.wait(60) == 1
        assert "free the disk and start again" in system.said()
    with thunes(home, *flags, env=env) as system:
        wait_for(system.is_ready, 60, "readiness")
        status = system.status()
        assert status is not None
        assert status["kill_switch"]["active"]
        sent = len(venue.rest()._client.get_all_orders(symbol="BTCUSDT"))
        resumed = command("resume", "--reason", "there is room again", home=home)
        assert resumed.returncode == 0, resumed.stderr
        wait_for(lambda: len(venue.rest()._client.get_all_orders(symbol="BTCUSDT")) > sent, what="trading again")
        assert system.stop() == 0
    assert_books_agree(home, venue.rest(), SYMBOLS)


def test_kill_stops_buying_survives_a_restart_and_resume_lets_it_go_on(tmp_path: Path, busy: list[str]) -> None:
    home = tmp_path / "home"
    with thunes(home, *busy) as system:
        wait_for(system.is_ready, what="readiness")
        wait_for(lambda: filled(home) >= 1, what="a fill")
        assert command("kill", "--reason", "drill", home=home).returncode == 0
        killed = next(event.seq for event in events(home) if event.event == "KILL_SWITCH_ACTIVATED")
        wait_for(lambda: any(e.reason == "KILL_SWITCH" for e in events(home)), what="a refusal")
        assert system.stop() == 0
    with thunes(home, *busy) as system:
        wait_for(system.is_ready, what="readiness")
        switch = (system.status() or {})["kill_switch"]
        assert (switch["active"], switch["reason"]) == (True, "drill")
        assert command("resume", "--reason", "drill over", home=home).returncode == 0
        resumed = next(event.seq for event in events(home) if event.event == "KILL_SWITCH_DEACTIVATED")
        wait_for(lambda: any(e.seq > resumed and e.event == "ORDER_FILLED" and e.side == "BUY" for e in events(home)))
        assert system.stop() == 0
    between = [e for e in events(home) if killed < e.seq < resumed and e.side == "BUY"]
    assert [e for e in between if e.event in ("TRADE_APPROVED", "ORDER_SUBMITTED")] == []


def legs(home: Path) -> set[tuple[str, str]]:
    """What happened to protective orders: the event, and whether to a stop (s) or the sale beside it (t)."""
    return {(event.event, str(event.metadata["leg"])[0]) for event in events(home) if event.metadata.get("leg")}


@pytest.mark.slow
def test_a_stop_and_its_take_profit_rest_at_the_exchange_as_a_pair_and_one_cancels_the_other(
    tmp_path: Path, venue: Exchange
) -> None:
    home, pairs = tmp_path / "home", str(Path(__file__).with_name("pairs.py"))
    config = tmp_path / "pairs.toml"
    config.write_text(UNHINDERED)
    with thunes(home, "--venue", "testnet", "--strategy", pairs, "--config", str(config), env=towards(venue)) as system:
        wait_for(lambda: {("ORDER_ACCEPTED", "s"), ("ORDER_ACCEPTED", "t")} <= legs(home), 60, "a pair that rests")
        wait_for(lambda: {("ORDER_FILLED", "t"), ("ORDER_EXPIRED", "s")} <= legs(home), 120, "a profit taken")
        assert system.stop() == 0
    ended = [event for event in events(home) if event.metadata.get("leg") and has_ended(event)]
    names = [event.metadata["client_order_id"] for event in ended]
    assert len(names) == len(set(names))
