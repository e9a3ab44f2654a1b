"""The kill switch as processes have it: every way in is one path, and none of them needs THUNES to be well."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.killing import activations, command, named, refusals
from tests.e2e.support import Exchange, Thunes, clean_environment, events, exchange, thunes, wait_for
from thunes.exchange.binance import BinanceRest
from thunes.messages import Side
from thunes.storage.home import Home

HERE = Path(__file__).parent
BUSY, RESTING, CRASHING = (str(HERE / f"{name}.py") for name in ("busy", "resting", "crashing"))
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
KILL_SECONDS = 2.0

UNHINDERED = """
[risk]
cool_down = 0
max_orders_per_minute = 10000
max_daily_loss = 5000
max_positions = 10
price_collar = 0.5
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "unhindered.toml"
    path.write_text(UNHINDERED)
    return path


def last_seq(home: Path) -> int:
    return events(home)[-1].seq


def resume(home: Path) -> None:
    done = command("resume", "--reason", "the test goes on", home=home)
    assert done.returncode == 0, done.stderr


# --- every way in ends the same ---


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, config: Path) -> Iterator[Thunes]:
    """One system for all ways in: each begins with trading and ends with a resume."""
    home = tmp_path_factory.mktemp("ways") / "home"
    with thunes(home, "--config", str(config), "--strategy", BUSY) as system:
        wait_for(system.is_ready, what="readiness")
        yield system
        assert system.stop() == 0, system.said()


def api(system: Thunes) -> None:
    assert command("kill", "--reason", "as said", home=system.home).returncode == 0


def sigusr2(system: Thunes) -> None:
    system.process.send_signal(signal.SIGUSR2)


def marker(put: Callable[[Path], Any]) -> Callable[[Thunes], None]:
    return lambda system: put(Home(system.home).kill_file)


WAYS: dict[str, tuple[Callable[[Thunes], None], str]] = {
    "command": (api, "as said"),
    "signal": (sigusr2, "SIGUSR2"),
    "file": (marker(lambda path: path.write_text('{"reason": "as written"}')), "as written"),
    "empty file": (marker(Path.touch), "cannot be read"),
    "garbage": (marker(lambda path: path.write_bytes(b"\xff{")), "cannot be read"),
    "directory": (marker(Path.mkdir), "cannot be read"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_is_one_activation_in_the_journal_that_refuses_buys_until_a_resume(
    running: Thunes, way: str
) -> None:
    home, (kill, reason) = running.home, WAYS[way]
    begin = last_seq(home)
    wait_for(lambda: named(home, "ORDER_FILLED", after=begin), what="trading")
    kill(running)
    wait_for(lambda: activations(home, begin), what="the activation")
    for again in (api, sigusr2):
        again(running)
    wait_for(lambda: len(refusals(home, begin)) >= 2, what="refusals")
    (activation,) = activations(home, begin)
    assert reason in activation.metadata["why"]
    assert Home(home).kill_active()
    bought = [e for e in named(home, "TRADE_APPROVED", after=activation.seq) if e.side is Side.BUY]
    assert bought == []
    resume(home)
    assert not Home(home).kill_active()
    assert len(named(home, "KILL_SWITCH_DEACTIVATED", after=begin)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "why"), [("max_daily_loss", "daily loss"), ("max_drawdown", "drawdown")])
def test_a_limit_that_is_reached_kills_and_forbids_to_resume_while_it_is(tmp_path: Path, limit: str, why: str) -> None:
    home, config = tmp_path / "home", tmp_path / "tight.toml"
    config.write_text(f"[risk]\ncool_down = 0\n{limit} = 0.000001\n")
    with thunes(home, "--config", str(config), "--strategy", BUSY) as system:
        wait_for(lambda: activations(home), what="the activation")
        wait_for(lambda: refusals(home), what="a refusal")
        refused = command("resume", "--reason", "never mind", home=home)
        assert (refused.returncode, why in refused.stderr) == (1, True)
        assert system.stop() == 0
    (activation,) = activations(home)
    assert (why in activation.metadata["why"], activation.metadata["source"]) == (True, "risk")
    (operator,) = named(home, "OPERATOR_COMMAND")
    assert why in operator.metadata["refused"]
    assert Home(home).kill_active()


@pytest.mark.slow
def test_giving_up_kills_and_the_next_start_is_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with thunes(home, "--strategy", CRASHING) as system:
        assert system.process.wait(60) == 1, system.said()
    (activation,) = activations(home)
    assert activation.metadata["source"] == "supervisor"
    assert Home(home).kill_active()
    with thunes(home) as system:
        wait_for(system.is_ready, what="readiness")
        assert (system.status() or {})["kill_switch"]["active"]
        assert system.stop() == 0
    assert len(activations(home)) == 1


# --- from outside, with a system that cannot answer ---


def towards(venue: Exchange) -> dict[str, str]:
    return clean_environment(
        THUNES_API_KEY=venue.ready["api_key"],
        THUNES_API_SECRET=venue.ready["api_secret"],
        THUNES_EXCHANGE__REST_URL=venue.ready["rest"],
        THUNES_EXCHANGE__STREAM_URL=venue.ready["stream"],
        THUNES_EXCHANGE__WS_API_URL=venue.ready["ws_api"],
    )


def rests(home: Path) -> set[str]:
    """Orders that the exchange has taken and that wait there: all but those at the market."""
    sent = {
        e.metadata["client_order_id"]
        for e in named(home, "TRADE_APPROVED", "ORDER_SUBMITTED")
        if e.metadata["order_type"] != "MARKET"
    }
    return sent & {e.metadata["client_order_id"] for e in named(home, "ORDER_ACCEPTED")}


def open_sides(rest: BinanceRest) -> list[str]:
    return sorted(order.side for order in rest.open_orders())


def bought(rest: BinanceRest) -> list[str]:
    """Every BUY that the exchange ever accepted."""
    rows = [row for symbol in SYMBOLS for row in rest._client.get_all_orders(symbol=symbol, limit=1000)]
    return sorted(row["clientOrderId"] for row in rows if row["side"] == "BUY")


@contextmanager
def holding(folder: Path, config: Path) -> Iterator[tuple[Thunes, BinanceRest, dict[str, str], list[str]]]:
    """A system with a position under a stop and three entries that rest, on an exchange of its own."""
    flags = ("--speed", "60", "--symbols", ",".join(SYMBOLS))
    with exchange(folder / "exchange", *flags) as venue:
        env, rest = towards(venue), venue.rest()
        start = ["--venue", "testnet", "--symbols", ",".join(SYMBOLS), "--config", str(config), "--strategy", RESTING]
        with thunes(folder / "home", *start, env=env) as system:
            # The journal is asked, not the exchange: asking uses up the request weight that THUNES needs.
            wait_for(lambda: len(rests(system.home)) == 4, 60, "three entries and a stop")
            assert open_sides(rest) == ["BUY", "BUY", "BUY", "SELL"]
            yield system, rest, env, start


def hurry() -> None:
    with suppress(PermissionError):
        os.nice(-15)


def kill_in_time(home: Path, env: dict[str, str]) -> dict[str, Any]:
    """`thunes kill` from outside, timed with the interpreter's start; its document.

    The time is the kill's own: what else this machine tests meanwhile has to wait for it, where that may be asked.
    """
    began = time.monotonic()
    done = command("kill", "--reason", "it hangs", "--json", home=home, env=env, preexec_fn=hurry)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert took < KILL_SECONDS
    return dict(json.loads(done.stdout))


@pytest.mark.slow
def test_a_hung_system_is_killed_from_outside_its_stop_stays_and_it_buys_nothing_when_it_goes_on(
    tmp_path: Path, config: Path
) -> None:
    with holding(tmp_path, config) as (system, rest, env, _):
        system.process.send_signal(signal.SIGSTOP)
        document = kill_in_time(system.home, env)
        assert (document["confirmed"], document["marked"], document["cancelled"]) == (False, True, 3)
        assert open_sides(rest) == ["SELL"]
        before = bought(rest)
        system.process.send_signal(signal.SIGCONT)
        wait_for(lambda: len(refusals(system.home)) >= 3, what="refusals")
        (activation,) = activations(system.home)
        assert activation.metadata["why"] == "it hangs"
        assert system.stop() == 0, system.said()
        assert bought(rest) == before
        assert open_sides(rest) == ["SELL"]


@pytest.mark.slow
def test_a_system_that_died_is_killed_from_outside_and_is_killed_when_it_starts_again(
    tmp_path: Path, config: Path
) -> None:
    with holding(tmp_path, config) as (died, rest, env, flags):
        died.kill()
        assert kill_in_time(died.home, env)["cancelled"] == 3
        assert open_sides(rest) == ["SELL"]
        before = bought(rest)
        with thunes(died.home, *flags, env=env) as system:
            wait_for(lambda: len(refusals(system.home)) >= 3, what="refusals")
            (activation,) = activations(system.home)
            assert activation.metadata["why"] == "it hangs"
            assert system.stop() == 0, system.said()
        assert bought(rest) == before
        assert open_sides(rest) == ["SELL"]


@pytest.mark.slow
def test_a_kill_is_on_the_disk_when_it_is_acknowledged(tmp_path: Path, config: Path) -> None:
    home, flags = tmp_path / "home", ("--config", str(config), "--strategy", BUSY)
    with thunes(home, *flags) as system:
        wait_for(system.is_ready, what="readiness")
        api(system)
        system.kill()
    (activation,) = activations(home)
    with thunes(home, *flags) as system:
        wait_for(lambda: refusals(home, activation.seq), what="a refusal")
        assert system.stop() == 0
    assert activations(home) == [activation]
