"""`thunes doctor` as a process, and the starts that are refused for what it would have found."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.clock import SystemClock
from tests.e2e.support import Exchange, Thunes, clean_environment, events, exchange, thunes, wait_for
from tests.e2e.test_restarts import litter, signals_and_logging_as_before
from thunes.connections import Connections
from thunes.doctor.opening import open_venue
from thunes.domain.instances import home_of
from thunes.errors import OperatorError
from thunes.messages import OrderType, Side
from thunes.settings import load
from thunes.storage.home import Home
from thunes.supervisor import System, connections
from thunes.venue import exchange_arguments

__all__ = ["litter"]

BUSY = str(Path(__file__).with_name("busy.py"))
UNHINDERED = {
    "THUNES_RISK__COOL_DOWN": "0",
    "THUNES_RISK__MAX_ORDERS_PER_MINUTE": "10000",
    "THUNES_RISK__MAX_DAILY_LOSS": "5000",
}


def towards(venue: Exchange) -> dict[str, str]:
    """An environment in which `testnet` is this exchange."""
    return clean_environment(
        THUNES_API_KEY=venue.ready["api_key"],
        THUNES_API_SECRET=venue.ready["api_secret"],
        THUNES_EXCHANGE__REST_URL=venue.ready["rest"],
        THUNES_EXCHANGE__STREAM_URL=venue.ready["stream"],
        THUNES_EXCHANGE__WS_API_URL=venue.ready["ws_api"],
        **UNHINDERED,
    )


def command(*words: str, home: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "thunes", *words, "--home", str(home)],
        capture_output=True,
        text=True,
        env=env or clean_environment(),
        check=False,
        timeout=60,
    )


def start(home: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    ports = ("--metrics-port", "0", "--console-port", "0")
    return command("run", "--venue", "testnet", "--duration", "1", *ports, home=home, env=env)


def marks(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {check["name"]: check["mark"] for check in json.loads(done.stdout)["checks"]}


def failures(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [name for name, mark in marks(done).items() if mark == "FAIL"]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the doctor's own exchange lives while it does."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Exchange]:
    with exchange(tmp_path / "exchange", "--speed", "60") as running:
        yield running


class TestDoctor:
    def test_a_home_to_be_is_in_order_and_stays_to_be(self, tmp_path: Path, temporary: Path) -> None:
        done = command("doctor", home=tmp_path / "home", env=clean_environment(TMPDIR=str(temporary)))

        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert len(done.stdout.splitlines()) == 10
        assert not (tmp_path / "home").exists()
        assert list(temporary.iterdir()) == []

    def test_interrupted_it_leaves_nothing_either(self, tmp_path: Path, temporary: Path) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "thunes", "doctor", "--home", str(tmp_path / "home")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=clean_environment(TMPDIR=str(temporary)),
        )
        with process:
            wait_for(lambda: list(temporary.rglob("exchange.db")), what="the doctor's own exchange")
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 130
            assert process.stderr is not None
            assert process.stderr.read() == b""
        assert list(temporary.iterdir()) == []

    @pytest.mark.usefixtures("litter")
    def test_the_exchange_of_its_own_is_gone_before_its_files_are(
        self, temporary: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        settings, made = load(environ={}, flags={}), []

        def connect(home: Home) -> Connections:
            made.append(connections(settings, home, SystemClock()))
            return made[-1]

        with open_venue(settings, Home(temporary / "home"), {}, connect) as found:
            assert found.rest().figures.used_weight == 1
            assert made[0].exchange is not None
            assert made[0].exchange.alive()

        assert not made[0].exchange.alive()
        assert list(temporary.iterdir()) == []

    def test_a_running_system_is_looked_at_and_not_disturbed(self, tmp_path: Path, temporary: Path) -> None:
        home = tmp_path / "home"
        with thunes(home) as system:
            wait_for(system.is_ready, what="readiness")
            seen = command("doctor", "--json", home=home, env=clean_environment(TMPDIR=str(temporary)))
            assert (seen.returncode, failures(seen)) == (0, []), seen.stdout
            found = {check["name"]: check["found"] for check in json.loads(seen.stdout)["checks"]}
            assert f"held by the running system, process {system.process.pid}" in found["home"]
            assert "the running system's" in found["clock"]
            status = system.status()
            assert status is not None
            assert status["ready"]
            assert {actor["restarts"] for actor in status["actors"]} == {0}
            assert {stream["reconnects"] for stream in status["streams"].values()} == {0}
            assert system.stop() == 0
        assert not (home / "data" / "KILL").exists()

    def test_a_key_that_may_withdraw_fails_and_no_secret_is_shown(self, tmp_path: Path) -> None:
        with exchange(tmp_path / "exchange", "--key-may-withdraw") as venue:
            done = command("doctor", "--json", "--venue", "testnet", home=tmp_path / "home", env=towards(venue))

            assert (done.returncode, failures(done)) == (1, ["keys"])
            said = done.stdout + done.stderr
            assert [name for name in ("api_key", "api_secret") if venue.ready[name] in said] == []

    def test_a_venue_that_is_not_there_fails_in_lines_and_in_time(self, tmp_path: Path) -> None:
        nowhere = dict.fromkeys(("rest", "stream", "ws_api"), "http://127.0.0.1:9")
        ready = {**nowhere, "api_key": "k" * 64, "api_secret": "s" * 64}
        absent = Exchange(process=None, ready=ready)  # type: ignore[arg-type]

        done = command("doctor", "--json", "--venue", "testnet", home=tmp_path / "home", env=towards(absent))

        assert done.returncode == 1
        assert failures(done) == ["clock", "keys", "filters", "market stream", "account stream", "instances"]

    def test_settings_that_cannot_be_used_are_exit_2_and_nothing_else_is_said(self, tmp_path: Path) -> None:
        done = command("doctor", "--symbols", "btc", "--speed", "-1", home=tmp_path / "home")

        assert (done.returncode, done.stdout) == (2, "")
        assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["--symbols", "--speed"]


class TestKeys:
    def test_a_start_with_a_key_that_may_withdraw_is_refused_and_nothing_is_written(self, tmp_path: Path) -> None:
        with exchange(tmp_path / "exchange", "--key-may-withdraw") as venue:
            done = start(tmp_path / "home", towards(venue))

        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("The API key may withdraw; ")
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "home").exists()

    @pytest.mark.usefixtures("litter")
    def test_so_it_is_where_the_embedded_exchange_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "thunes.connections.exchange_arguments", lambda chosen: [*exchange_arguments(chosen), "--key-may-withdraw"]
        )
        home = Home(tmp_path)
        home.prepare()

        with signals_and_logging_as_before():
            system = System(load(environ={}, flags={}), home, "plain")
            try:
                with pytest.raises(OperatorError, match="may withdraw"):
                    system.start()
            finally:
                system.close()

        assert not home.home_file.exists()
        assert not home.audit_trail.exists()


def trading(home: Path) -> list[Any]:
    return [event for event in events(home) if event.event == "ORDER_FILLED"]


class TestSecondSystem:
    @pytest.fixture
    def first(self, tmp_path: Path, venue: Exchange) -> Iterator[Thunes]:
        """A system that trades on the exchange's account."""
        flags = ("--venue", "testnet", "--strategy", BUSY)
        with thunes(tmp_path / "first", *flags, env=towards(venue)) as system:
            wait_for(lambda: system.is_ready() and trading(system.home), 60, "a first trade")
            yield system

    @pytest.mark.slow
    def test_a_second_system_on_one_account_is_refused_and_the_first_is_named(
        self, tmp_path: Path, venue: Exchange, first: Thunes
    ) -> None:
        second, env = tmp_path / "second", towards(venue)
        owner = Home(first.home).read_owner()
        assert owner is not None

        done = start(second, env)
        seen = command("doctor", "--json", "--venue", "testnet", home=second, env=env)

        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"Another THUNES trades on this account, home id {owner[2]} ")
        assert done.stderr.count("\n") == 1
        assert not second.exists()
        assert (seen.returncode, failures(seen)) == (1, ["instances"])
        # Its own trades do not lock a home out: it may start again at once.
        assert first.stop() == 0
        assert start(first.home, env).returncode == 0

    @pytest.mark.slow
    def test_a_home_that_is_gone_locks_the_account_for_ten_minutes_of_its_market(
        self, tmp_path: Path, venue: Exchange, first: Thunes
    ) -> None:
        assert first.stop() == 0
        env = towards(venue)

        refused = start(tmp_path / "second", env)
        assert refused.returncode == 2
        assert "has just traded" in refused.stderr
        # A minute of the market lasts a second.
        wait_for(lambda: start(tmp_path / "second", env).returncode == 0, 60, "a start of the second home")

    @pytest.mark.slow
    def test_an_open_order_of_a_home_that_is_gone_locks_until_it_is_cancelled(
        self, tmp_path: Path, venue: Exchange
    ) -> None:
        rest, env, name = venue.rest(), towards(venue), f"1111bbbb-{'0' * 20}"
        assert home_of(name) == "1111bbbb"
        rest.place(
            symbol="BTCUSDT",
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            quantity=Decimal("0.001"),
            price=Decimal(20_000),
            client_order_id=name,
        )

        refused = start(tmp_path / "home", env)
        assert (refused.returncode, "is open" in refused.stderr) == (2, True)
        rest.cancel_all("BTCUSDT")
        assert start(tmp_path / "home", env).returncode == 0
