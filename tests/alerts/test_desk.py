"""The operator's desk: who is heard, what is shown, and that nothing changes without a button."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.sample_figures import SYSTEM
from thunes.alerts import desk as desk_module
from thunes.alerts.answers import SHOWN
from thunes.alerts.desk import COMMANDS, CONFIRM_SECONDS, EXPIRED, TOO_OLD, Answer, Desk

ME, STRANGER = 7, 13


class Done:
    """What was asked for, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.calls.append((name, *args))


class Bench:
    def __init__(self) -> None:
        self.done, self.now_s, self.ids = Done(), 0.0, 0
        self.desk = Desk(
            {ME}, lambda: SYSTEM, self.done, {"sma_fast": "10"}, self.new_id, lambda: int(self.now_s * 1e9)
        )

    def new_id(self) -> str:
        self.ids += 1
        return f"id{self.ids}"

    def say(self, text: str, **more: Any) -> Answer:
        answer = self.desk.hear(ME, "9", text, **more)
        assert answer is not None
        return answer


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_answers_and_none_breaks_on_empty_figures(bench: Bench, name: str) -> None:
    assert bench.say(f"/{name}").text
    empty = replace(
        SYSTEM, risk=None, trading=None, streams={}, strategies={}, orders={}, breakers={}, actors=(), journal=None
    )
    if name in SHOWN:
        SHOWN[name](empty)


def test_status_says_what_stops_trading(bench: Bench) -> None:
    assert SYSTEM.risk is not None
    killed = replace(SYSTEM, risk=replace(SYSTEM.risk, kill_active=True, kill_reason="the cat", paused=True))
    assert "KILLED: the cat" in SHOWN["status"](killed)
    assert "paused" in SHOWN["status"](killed)
    assert "KILLED" not in SHOWN["status"](SYSTEM)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("/kill the cat", ("kill", "the cat", "telegram 9", False)),
        ("/kill", ("kill", "killed from Telegram", "telegram 9", False)),
        ("/flatten", ("kill", "flattened from Telegram", "telegram 9", True)),
        ("/resume it is well", ("resume", "it is well", "telegram 9")),
        ("/unpause", ("unpause", "telegram 9")),
    ],
)
def test_what_is_dangerous_is_done_at_a_button_once(bench: Bench, text: str, call: tuple[Any, ...]) -> None:
    (_, yes), _ = bench.say(text).buttons
    assert bench.done.calls == []
    assert bench.desk.press(ME, yes) not in (None, EXPIRED)
    assert bench.desk.press(ME, yes) == EXPIRED
    assert bench.done.calls == [call]


def test_the_other_button_does_nothing_and_ends_the_question(bench: Bench) -> None:
    (_, yes), (_, no) = bench.say("/kill").buttons
    assert bench.desk.press(ME, no) == "Nothing was done."
    assert bench.desk.press(ME, yes) == EXPIRED
    assert bench.done.calls == []


def test_a_button_expires(bench: Bench) -> None:
    (_, yes), _ = bench.say("/kill").buttons
    bench.now_s = CONFIRM_SECONDS + 0.1
    assert bench.desk.press(ME, yes) == EXPIRED
    assert bench.done.calls == []


@pytest.mark.parametrize("data", ["", "yes", "yes id99", "yes id1 id1", "\0"])
def test_a_button_that_nobody_was_shown_does_nothing(bench: Bench, data: str) -> None:
    bench.say("/kill")
    assert bench.desk.press(ME, data) in (EXPIRED, "Nothing was done.")
    assert bench.done.calls == []


def test_another_chats_button_does_nothing(bench: Bench) -> None:
    bench.desk.chats = {ME, 8}
    (_, yes), _ = bench.say("/kill").buttons
    assert bench.desk.press(8, yes) == EXPIRED
    assert bench.done.calls == []


def test_a_resume_wants_a_reason(bench: Bench) -> None:
    assert "/resume REASON" in bench.say("/resume").text
    assert bench.say("/resume   ").buttons == ()


def test_strangers_are_ignored_counted_and_journalled_ever_more_seldom(bench: Bench) -> None:
    for _ in range(10):
        assert bench.desk.hear(STRANGER, "9", "/kill") is None
    assert bench.desk.press(STRANGER, "yes id1") is None
    assert bench.desk.ignored == 11
    assert bench.done.calls == [("ignored", "telegram", "13", n) for n in (1, 2, 4, 8)]


@pytest.mark.parametrize("name", ["kill", "resume x", "flatten", "pause", "unpause", "reconnect", "reconcile"])
def test_what_was_written_long_ago_changes_nothing(bench: Bench, name: str) -> None:
    assert bench.say(f"/{name}", too_old=True) == Answer(TOO_OLD)
    assert bench.done.calls == []


def test_what_is_safe_is_done_at_once(bench: Bench) -> None:
    for text in ("/pause", "/reconnect", "/reconnect btcusdt", "/reconcile", "/report"):
        bench.say(text)
    assert bench.done.calls == [
        ("pause", "telegram 9"),
        ("reconnect", None, "telegram 9"),
        ("reconnect", "BTCUSDT", "telegram 9"),
        ("reconcile", "telegram 9"),
        ("report",),
    ]
    assert "There is no stream DOGE" in bench.say("/reconnect doge").text


@pytest.mark.parametrize("text", ["hello", "/nonsense", "/", "/" + "x" * 5000, "", "<b>", "/kill@"])
def test_what_is_no_command_is_told_so(bench: Bench, text: str) -> None:
    answer = bench.say(text)
    assert "/help" in answer.text or answer.buttons
    assert len(answer.text) < 200


def test_a_command_may_name_the_bot(bench: Bench) -> None:
    assert bench.say("/Ping@thunes_bot") == bench.say("/ping")


def test_html_is_escaped_and_cut_into_pieces_that_telegram_takes() -> None:
    text = "\n".join(f"<{n}> & \N{POLICE CARS REVOLVING LIGHT}" * 20 for n in range(200))
    pieces = Answer(text, table=True).html_parts(4096)
    assert all(len(piece.encode("utf-16-le")) // 2 <= 4096 for piece in pieces)
    assert all(piece.startswith("<pre>") and piece.endswith("</pre>") for piece in pieces)
    joined = "\n".join(piece.removeprefix("<pre>").removesuffix("</pre>") for piece in pieces)
    assert desk_module.escape(text).replace("\n", "") == joined.replace("\n", "")
