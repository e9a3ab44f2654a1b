"""The Bot API that the tests run against keeps Telegram's rules, as the library that we use sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from telegram import Bot, BotCommand, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter

from tests.alerts.bot_api import CHAT, TOKEN, BotApi, Trouble, running

Ask = Callable[[Bot], Awaitable[Any]]


@pytest.fixture(autouse=True)
def _durations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[BotApi]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with running() as made:
        yield made


def ask(api: BotApi, question: Ask, token: str = TOKEN) -> Any:
    async def run() -> Any:
        async with Bot(token, base_url=api.url) as bot:
            return await question(bot)

    return asyncio.run(run())


def test_a_message_arrives_without_its_tags(api: BotApi) -> None:
    sent = ask(api, lambda bot: bot.send_message(CHAT, "<b>1 &lt; 2</b>", parse_mode="HTML"))
    assert (sent.text, api.texts()) == ("1 < 2", ["1 < 2"])


@pytest.mark.parametrize("text", ["<b>", "</b>", "<b><i></b></i>", "<div>x</div>"])
def test_html_that_is_wrong_is_refused(api: BotApi, text: str) -> None:
    with pytest.raises(BadRequest, match="Can't parse entities"):
        ask(api, lambda bot: bot.send_message(CHAT, text + "x", parse_mode="HTML"))


@pytest.mark.parametrize(
    ("text", "why"), [("x" * 4097, "too long"), ("\N{POLICE CARS REVOLVING LIGHT}" * 2049, "too long"), (" ", "empty")]
)
def test_a_text_that_is_too_long_or_empty_is_refused(api: BotApi, text: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        ask(api, lambda bot: bot.send_message(CHAT, text))


def test_a_photo_has_to_be_one(api: BotApi) -> None:
    ask(api, lambda bot: bot.send_photo(CHAT, b"\x89PNG\r\n\x1a\n" + b"x" * 100_000, caption="c"))
    assert [(sent.text, sent.photo) for sent in api.messages] == [("c", 100_008)]
    with pytest.raises(BadRequest):
        ask(api, lambda bot: bot.send_photo(CHAT, b"what is this"))


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (lambda bot: bot.send_message(CHAT + 1, "x"), BadRequest),
        (lambda bot: bot.send_message(13, "x"), Forbidden),
        (lambda bot: bot.get_my_name(), Exception),
    ],
)
def test_who_may_not_be_written_to_is_refused(api: BotApi, question: Ask, error: type[Exception]) -> None:
    api.blocked = {13}
    with pytest.raises(error):
        ask(api, question)


def test_another_token_is_refused(api: BotApi) -> None:
    with pytest.raises(InvalidToken):
        ask(api, lambda bot: bot.get_me(), token=TOKEN[:-1] + "x")


def test_updates_come_until_they_are_confirmed(api: BotApi) -> None:
    api.say("one")
    api.say("two")

    async def read(bot: Bot) -> list[list[str]]:
        first = await bot.get_updates(timeout=5)
        again = await bot.get_updates(offset=first[-1].update_id, timeout=5)
        last = await bot.get_updates(offset=first[-1].update_id + 1, timeout=0)
        return [[update.message.text for update in updates if update.message] for updates in (first, again, last)]  # type: ignore[misc]

    assert ask(api, read) == [["one", "two"], ["two"], []]


def test_two_who_poll_are_one_too_many(api: BotApi) -> None:
    async def both(bot: Bot) -> Any:
        async with Bot(TOKEN, base_url=api.url) as other:
            polls = (each.get_updates(timeout=1) for each in (bot, other))
            return await asyncio.gather(*polls, return_exceptions=True)

    assert [type(each) for each in ask(api, both)].count(Conflict) == 1


def test_a_button_comes_back_as_it_was_sent(api: BotApi) -> None:
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="y")]])
    ask(api, lambda bot: bot.send_message(CHAT, "?", reply_markup=keyboard))
    api.press(api.messages[0], "Yes")
    (update,) = ask(api, lambda bot: bot.get_updates(timeout=5))
    assert update.callback_query.data == "y"
    ask(api, lambda bot: bot.answer_callback_query(update.callback_query.id, "done"))
    ask(api, lambda bot: bot.edit_message_text("over", chat_id=CHAT, message_id=1))
    assert (api.answers, api.edited) == (["done"], ["over"])


def test_a_buttons_data_may_not_be_long(api: BotApi) -> None:
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="y" * 65)]])
    with pytest.raises(BadRequest, match="Button_data_invalid"):
        ask(api, lambda bot: bot.send_message(CHAT, "?", reply_markup=keyboard))


def test_commands_are_registered_by_the_rules(api: BotApi) -> None:
    ask(api, lambda bot: bot.set_my_commands([BotCommand("kill", "stop")]))
    assert api.commands == {"kill": "stop"}
    with pytest.raises(BadRequest):
        ask(api, lambda bot: bot.set_my_commands([BotCommand("Kill!", "stop")]))


@pytest.mark.parametrize(
    ("trouble", "error", "taken"),
    [
        (Trouble(limited=1), RetryAfter, 0),
        (Trouble(broken=1), NetworkError, 0),
        (Trouble(garbage=1), Exception, 0),
        (Trouble(lost=1), NetworkError, 0),
        (Trouble(dropped=1), NetworkError, 1),
    ],
)
def test_every_trouble_looks_like_telegrams(api: BotApi, trouble: Trouble, error: type[Exception], taken: int) -> None:
    api.trouble = trouble
    with pytest.raises(error):
        ask(api, lambda bot: bot.send_message(CHAT, "x"))
    assert [sent.dropped for sent in api.messages] == [True] * taken


def test_a_server_that_is_down_takes_nothing(api: BotApi) -> None:
    async def when_down(bot: Bot) -> None:
        api.up = False
        await bot.send_message(CHAT, "x")

    with pytest.raises(NetworkError):
        ask(api, when_down)
    assert api.messages == []
