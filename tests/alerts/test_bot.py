"""The messenger and its bot against a Bot API that does not always behave."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.alerts.bot_api import CHAT, TOKEN, BotApi, Sent, Trouble, running
from tests.e2e.support import wait_for
from tests.sample_figures import SYSTEM
from thunes.alerts.alert import Outcome
from thunes.alerts.bot import TelegramBot, parts
from thunes.alerts.desk import COMMANDS, Desk
from thunes.alerts.keys import CHAT_IDS, load_telegram_keys
from thunes.alerts.keys import TOKEN as TOKEN_VARIABLE
from thunes.alerts.messenger import Messenger

NAME = f"telegram:{CHAT}"
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 1000
STRANGER = 13


class Done:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.calls.append((name, *args))


class Bench:
    """A running messenger, and what became of its messages."""

    def __init__(self, api: BotApi, token: str = TOKEN) -> None:
        keys = load_telegram_keys({TOKEN_VARIABLE: token, CHAT_IDS: str(CHAT)})
        assert keys is not None
        self.api, self.done, self.outcomes, self.ids = api, Done(), list[Outcome](), 0
        desk = Desk({CHAT}, lambda: SYSTEM, self.done, {"sma_fast": "10"}, self.new_id, lambda: 0)
        bot = TelegramBot(keys, api.url, desk, lambda: datetime.now(UTC))
        self.threads: list[threading.Thread] = []
        told = threading.Event()
        self.messenger = Messenger(bot, (NAME,), {}, self.outcomes.append, self.spawn, told, lambda: desk.ignored)

    def new_id(self) -> str:
        self.ids += 1
        return f"id{self.ids}"

    def spawn(self, name: str, function: Callable[[], None]) -> None:
        thread = threading.Thread(target=function, name=name)
        thread.start()
        self.threads.append(thread)

    def tell(self, text: str, picture: bytes | None = None, channel: str = NAME) -> Outcome:
        """Send it and wait for what becomes of it."""
        before = len(self.outcomes)
        self.messenger.send(channel, (1,), text, picture)
        wait_for(lambda: len(self.outcomes) > before, 20, "an outcome")
        return self.outcomes[-1]

    def ask(self, text: str) -> Sent:
        """Write to the bot, and wait for its answer."""
        before = len(self.api.messages)
        self.api.say(text)
        self.api.wait(lambda: len(self.api.messages) > before, 20, f"an answer to {text}")
        return self.api.messages[before]

    def stop(self) -> None:
        self.messenger.stop()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[BotApi]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with running() as made:
        yield made


@pytest.fixture
def bench(api: BotApi) -> Iterator[Bench]:
    made = Bench(api)
    made.messenger.start()
    yield made
    made.stop()


def test_a_message_arrives_as_it_is(bench: Bench) -> None:
    text = "<b> & \N{POLICE CARS REVOLVING LIGHT} _*[](`"
    assert bench.tell(text) == Outcome(NAME, (1,), True, "sent")
    assert bench.api.texts() == [text]


def test_handing_a_message_over_waits_for_nobody(bench: Bench) -> None:
    bench.api.trouble = Trouble(slow_s=5.0)
    for number in range(5):
        bench.messenger.send(NAME, (number,), "slow", None)
    assert bench.outcomes == []
    wait_for(lambda: len(bench.outcomes) == 5, 60, "all of them")


def test_a_picture_goes_with_its_words(bench: Bench) -> None:
    bench.tell("the day", PNG)
    assert [(sent.text, sent.photo) for sent in bench.api.messages] == [("the day", len(PNG))]


def test_a_picture_whose_words_are_too_long_for_it_goes_after_them(bench: Bench) -> None:
    bench.tell("x" * 1025, PNG)
    assert [(len(sent.text), sent.photo) for sent in bench.api.messages] == [(1025, 0), (0, len(PNG))]


def test_a_long_text_goes_in_pieces_and_nothing_of_it_is_lost(bench: Bench) -> None:
    text = "\n".join(f"line {n} \N{POLICE CARS REVOLVING LIGHT}" for n in range(2_000))
    assert bench.tell(text).done
    assert len(bench.api.messages) > 5
    assert "".join(f"{sent.text}\n" for sent in bench.api.messages).split() == text.split()


@pytest.mark.parametrize(
    ("trouble", "kind", "wait_s"),
    [
        (Trouble(limited=1), "limited", 1.0),
        (Trouble(broken=1), "failed", 0.0),
        (Trouble(lost=1), "failed", 0.0),
        (Trouble(dropped=1), "failed", 0.0),
    ],
)
def test_what_was_not_told_says_so_and_for_how_long_to_wait(
    bench: Bench, trouble: Trouble, kind: str, wait_s: float
) -> None:
    bench.api.trouble = trouble
    outcome = bench.tell("x")
    assert (outcome.done, outcome.kind, outcome.wait_s) == (False, kind, wait_s)
    assert TOKEN not in outcome.why
    bench.api.trouble = Trouble()
    assert bench.tell("x").done


def test_garbage_is_not_taken_for_an_answer(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    bench.api.trouble = Trouble(garbage=1)
    assert not bench.tell("x").done


def test_a_chat_that_blocked_the_bot_is_a_refusal(bench: Bench) -> None:
    bench.api.blocked = {CHAT}
    assert (bench.tell("x").kind, bench.outcomes[0].done) == ("refused", False)


def test_a_token_that_telegram_does_not_know_is_a_refusal_without_the_token(
    api: BotApi, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = TOKEN[:-1] + "x"
    made = Bench(api, wrong)
    made.messenger.start()
    try:
        assert made.tell("x").kind == "refused"
    finally:
        made.stop()
    assert wrong not in caplog.text + made.outcomes[0].why


def test_the_command_list_is_registered(bench: Bench) -> None:
    bench.api.wait(lambda: bench.api.commands, 20, "the list")
    assert bench.api.commands == dict(COMMANDS)


def test_commands_are_answered(bench: Bench) -> None:
    assert "kill switch off" in bench.ask("/status").text
    assert "/help" in bench.ask("nonsense <b>").text
    assert len(bench.ask("/help").text.splitlines()) == len(COMMANDS)


def test_a_button_does_what_was_asked_and_the_question_becomes_the_answer(bench: Bench) -> None:
    question = bench.ask("/kill the cat")
    bench.api.press(question, "Stop buying")
    bench.api.wait(lambda: bench.api.edited, 20, "the answer")
    assert bench.done.calls == [("kill", "the cat", "telegram 9", False)]
    assert bench.api.edited == bench.api.answers == ["Killed. The alert that follows confirms it."]
    bench.api.press(question, "Stop buying")
    bench.api.wait(lambda: len(bench.api.edited) == 2, 20, "the second answer")
    assert len(bench.done.calls) == 1
    assert "expired" in bench.api.edited[1]


def test_what_was_written_while_nobody_listened_is_not_carried_out(bench: Bench) -> None:
    bench.api.say("/pause", age_s=3600)
    bench.api.wait(lambda: bench.api.messages, 20, "an answer")
    assert "a while ago" in bench.api.texts()[0]
    assert bench.done.calls == []


def test_a_stranger_is_not_answered(bench: Bench) -> None:
    bench.api.chats.add(STRANGER)
    bench.api.say("/status", chat=STRANGER)
    bench.ask("/ping")
    assert bench.api.texts(STRANGER) == []
    assert bench.messenger.ignored == 1
    assert bench.done.calls == [("ignored", "telegram", "13", 1)]


def test_it_listens_again_after_telegram_was_away(bench: Bench) -> None:
    bench.ask("/ping")
    bench.api.up = False
    wait_for(lambda: not bench.tell("x").done, 20, "a failure")
    bench.api.up = True
    assert "listening" in bench.ask("/ping").text


def test_a_messenger_that_has_stopped_says_so(bench: Bench) -> None:
    bench.tell("x")
    bench.messenger.stop()
    bench.messenger.send(NAME, (1,), "x", None)
    assert (bench.outcomes[-1].done, bench.outcomes[-1].kind) == (False, "failed")


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "x" * 10_000,
        "a" + "\n" * 9_000,
        "ab\n" * 5_000,
        "ab" * 3_000 + "\nc",
        "\N{FIRE}" * 5_000,
        "\N{FIRE}a\n" * 3_000,
    ],
)
def test_pieces_fit_and_lose_nothing(text: str) -> None:
    pieces = parts(text)
    assert all(0 < len(piece.encode("utf-16-le")) // 2 <= 4096 and piece.strip() for piece in pieces)
    assert "".join(pieces).replace("\n", "") == text.replace("\n", "")


def test_a_text_without_a_word_is_no_empty_message() -> None:
    assert parts("\n" * 9_000) == parts("") == ["(nothing)"]
