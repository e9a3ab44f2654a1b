"""A running system and its operator's chat: what is told, what is asked, and that trading does not care how it goes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.bot_api import CHAT, TOKEN, BotApi, Sent, Trouble, running
from tests.alerts.test_second import hook
from tests.e2e.killing import activations, command, named, refusals
from tests.e2e.support import Thunes, clean_environment, folded, thunes, wait_for
from thunes.alerts.outbox import Outbox
from thunes.messages import Side
from thunes.storage.home import Home

BUSY = str(Path(__file__).parent / "busy.py")
FREELY = {
    "THUNES_RISK__COOL_DOWN": "0",
    "THUNES_RISK__MAX_ORDERS_PER_MINUTE": "10000",
    "THUNES_RISK__MAX_DAILY_LOSS": "5000",
    "THUNES_RISK__PRICE_COLLAR": "0.5",
}


@pytest.fixture
def api() -> Iterator[BotApi]:
    with running() as made:
        yield made


def environment(api: BotApi, **more: str) -> dict[str, str]:
    proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
    keys = {"THUNES_TELEGRAM_TOKEN": TOKEN, "THUNES_TELEGRAM_CHAT_IDS": str(CHAT)}
    return clean_environment(**FREELY, **keys, THUNES_ALERTS__TELEGRAM_URL=api.url, **proxies, **more)


def system(home: Path, api: BotApi, *flags: str, **more: str) -> Any:
    return thunes(home, "--strategy", BUSY, "--speed", "600", *flags, env=environment(api, **more))


def told(api: BotApi, words: str, after: int = 0) -> Sent:
    """The first message since `after` of them that has these words."""
    found: list[Sent] = []

    def look() -> bool:
        found[:] = [sent for sent in api.messages[after:] if words in sent.text]
        return bool(found)

    api.wait(look, 60, f"{words!r} among {[sent.text for sent in api.messages[-5:]]}")
    return found[0]


def pressed(api: BotApi, text: str, label: str) -> int:
    """Write a command, and press a button of its question; how many messages there were before."""
    before = len(api.messages)
    api.say(text)
    api.wait(lambda: any(label in sent.buttons for sent in api.messages[before:]), 60, "the question")
    api.press(next(sent for sent in api.messages[before:] if label in sent.buttons), label)
    return before


def ready(running: Thunes) -> None:
    wait_for(running.is_ready, what="readiness")


def test_the_operator_is_told_and_obeyed(tmp_path: Path, api: BotApi) -> None:
    home = tmp_path / "home"
    with system(home, api) as running:
        ready(running)
        told(api, "Started: venue sim")
        told(api, "Bought")
        api.wait(lambda: api.commands, 60, "the bot's list of commands")

        before = pressed(api, "/kill the cat is on the keyboard", "Stop buying")
        told(api, "KILL SWITCH ON: the cat is on the keyboard (by telegram 9)", before)
        (activation,) = activations(home)
        assert activation.metadata["source"] == "telegram 9"
        assert Home(home).kill_active()
        wait_for(lambda: refusals(home), what="refusals")
        assert [e for e in named(home, "TRADE_APPROVED", after=activation.seq) if e.side is Side.BUY] == []

        api.say("/status")
        told(api, "KILLED: the cat is on the keyboard", before + 2)
        before = pressed(api, "/resume the cat is away", "Buy again")
        told(api, "Kill switch off: the cat is away", before)
        assert not Home(home).kill_active()

        before = len(api.messages)
        api.say("/pause")
        told(api, "Paused: nothing new is bought", before)
        paused = named(home, "OPERATOR_COMMAND")[-1].seq
        wait_for(lambda: [e for e in named(home, "TRADE_REJECTED", after=paused) if e.reason == "NOT_READY"], what="it")
        assert [e for e in named(home, "TRADE_APPROVED", after=paused) if e.side is Side.BUY] == []
        before = pressed(api, "/unpause", "End it")
        told(api, "Buying goes on", before)

        before = len(api.messages)
        assert running.stop() == 0, running.said()
        told(api, "Stopped, as it was asked to.", before)
    assert outbox(home) == 0
    log = Home(home).log.read_text() + running.said()
    assert TOKEN not in log
    assert "Traceback" not in log


def test_flatten_from_the_chat_sells_what_is_held(tmp_path: Path, api: BotApi) -> None:
    with system(tmp_path / "home", api, "--symbols", "BTCUSDT") as running:
        ready(running)
        told(api, "Bought")
        pressed(api, "/flatten", "Sell all")
        wait_for(lambda: activations(running.home), what="the kill")
        wait_for(lambda: (running.status() or {}).get("positions") == [], 60, "nothing held")
    (killed,) = activations(running.home)
    assert folded(running.home).open_positions == ()
    bought = [e for e in named(running.home, "TRADE_APPROVED") if e.seq > killed.seq and e.side is Side.BUY]
    assert bought == []


def test_a_telegram_that_is_away_slow_or_mad_keeps_nobody_from_trading(tmp_path: Path, api: BotApi) -> None:
    api.up = False
    home = tmp_path / "home"
    with system(home, api, "--speed", "1200") as running:
        ready(running)
        wait_for(lambda: len(named(home, "ORDER_FILLED")) > 10, 60, "trading")
        assert api.messages == []
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(10)
    kept = len(named(home, "ORDER_FILLED"))
    api.up, api.trouble = True, Trouble(seed=3, slow_s=0.05, limited=0.1, broken=0.2)
    with system(home, api, "--speed", "1200") as running:
        ready(running)
        api.wait(lambda: fills(api) >= kept, 90, f"the {kept} fills of before the death")
        assert running.stop() == 0, running.said()
    lines = [line for sent in api.messages for line in sent.text.splitlines() if " Bought " in line or " Sold " in line]
    assert len(lines) == len(set(lines)), "no fill was told twice: each answer was read"


def test_giving_up_is_told_before_the_process_ends(tmp_path: Path, api: BotApi) -> None:
    crashing = str(Path(__file__).parent / "crashing.py")
    with thunes(tmp_path / "home", "--strategy", crashing, "--speed", "600", env=environment(api)) as running:
        wait_for(lambda: running.process.poll() is not None, 90, "the end")
    assert running.process.returncode == 1, running.said()
    told(api, "Gave up safely: ")
    told(api, "KILL SWITCH ON: ")
    restarts = [sent.text for sent in api.messages if "was restarted" in sent.text]
    assert len(restarts) <= 2
    assert outbox(running.home) == 0


DAY = "2025-01-02"


def over_midnight() -> str:
    """An hour and a half of minute candles in the exchange's form, from twenty to midnight on."""
    begin = int(datetime.fromisoformat(f"{DAY}T23:40+00:00").timestamp() * 1000)
    rows = []
    for minute in range(90):
        at, price = begin + minute * 60_000, 60_000 + minute % 7
        rows.append(
            f"{at},{price},{price + 2},{price - 2},{price + 1},5,{at + 59_999},{5 * price},40,2,{2 * price},0\n"
        )
    return "".join(rows)


def test_a_day_is_summed_up_with_a_picture(tmp_path: Path, api: BotApi) -> None:
    source = tmp_path / "BTCUSDT-1m.csv"
    source.write_text(over_midnight())
    with system(tmp_path / "home", api, "--symbols", "BTCUSDT", "--source", str(source), "--speed", "300") as running:
        ready(running)
        api.wait(lambda: [sent for sent in api.messages if sent.photo], 90, "a picture")
        summary = next(sent for sent in api.messages if sent.photo)
        assert summary.photo > 5_000
        assert f"{DAY}: " in summary.text
        assert "Fills " in summary.text
        before = len(api.messages)
        api.say("/report")
        told(api, "The summary is being drawn", before)
        told(api, "Incidents: ", before)


def test_what_is_critical_goes_to_the_webhook_when_telegram_is_away(tmp_path: Path, api: BotApi) -> None:
    api.up = False
    with hook() as (url, bodies):
        more = {"THUNES_WEBHOOK_URL": url, "THUNES_ALERTS__SECOND_AFTER": "1"}
        with system(tmp_path / "home", api, **more) as running:
            ready(running)
            assert command("kill", "--reason", "the cat", home=running.home).returncode == 0
            wait_for(lambda: bodies, 60, "the webhook")
            assert running.stop() == 0
    assert "KILL SWITCH ON: the cat" in bodies[0]["text"]
    assert "Bought" not in str(bodies)
    log = Home(running.home).log.read_text() + running.said()
    assert url not in log


def outbox(home: Path) -> int:
    made = Outbox(Home(home).outbox)
    try:
        return made.pending()
    finally:
        made.close()


def fills(api: BotApi) -> int:
    return sum(sent.text.count(" Bought ") + sent.text.count(" Sold ") for sent in api.messages)
