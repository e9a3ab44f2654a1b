"""The Telegram bot: sends messages, and hands what the operator writes or presses to the desk.

Everything here runs in the messenger's event loop. Telegram being slow, away or unwilling shows as an Outcome that is
not done; nothing is raised, and nothing is waited for outside this loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from telegram import Bot, BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, Message, Update
from telegram.constants import ParseMode
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from thunes.alerts.alert import Outcome
from thunes.alerts.desk import COMMANDS, Answer, Desk
from thunes.alerts.keys import TelegramKeys

log = logging.getLogger(__name__)

SEND_SECONDS = 15.0
POLL_SECONDS = 25
LONGEST_BACKOFF_S = 60.0
LONGEST_TEXT = 4096
"""In UTF-16 code units, as Telegram counts."""
LONGEST_CAPTION = 1024
os.environ.setdefault("PTB_TIMEDELTA", "true")
"""The library gives durations as such then, and does not warn that some day it will."""
UPDATES = ["message", "callback_query"]


class TelegramBot:
    """One bot with the chats that it belongs to. `now` is the wall clock, for the age of what was written."""

    def __init__(self, keys: TelegramKeys, url: str, desk: Desk, now: Callable[[], datetime]) -> None:
        def request(seconds: float) -> HTTPXRequest:
            return HTTPXRequest(connection_pool_size=8, read_timeout=seconds, connect_timeout=5.0, pool_timeout=seconds)

        self._requests = request(SEND_SECONDS), request(POLL_SECONDS + 10.0)
        sending, polling = self._requests
        self._bot = Bot(keys.token.get_secret_value(), base_url=url, request=sending, get_updates_request=polling)
        self._desk = desk
        self._now = now

    async def tell(self, channel: str, numbers: tuple[int, ...], text: str, picture: bytes | None) -> Outcome:
        """Send one message to `telegram:CHAT`; a text that is too long for one goes as several."""
        chat = int(channel.partition(":")[2])
        try:
            if picture is not None and fits(text, LONGEST_CAPTION):
                await self._bot.send_photo(chat, picture, caption=text, write_timeout=SEND_SECONDS)
            else:
                for part in parts(text):
                    await self._bot.send_message(chat, part)
                if picture is not None:
                    await self._bot.send_photo(chat, picture, write_timeout=SEND_SECONDS)
        except TelegramError as error:
            return Outcome(channel, numbers, False, *_why_not(error))
        return Outcome(channel, numbers, True, "sent")

    async def listen(self) -> None:
        """Serve what the operator writes and presses, until cancelled."""
        failures, offset = 0, None
        registered = False
        while True:
            try:
                if not registered:
                    await self._bot.initialize()
                    await self._bot.set_my_commands([BotCommand(name, what) for name, what in COMMANDS.items()])
                    registered = True
                for update in await self._bot.get_updates(offset, timeout=POLL_SECONDS, allowed_updates=UPDATES):
                    offset = update.update_id + 1
                    await self._serve(update)
                failures = 0
            except TelegramError as error:
                failures += 1
                _, why, wait = _why_not(error)
                log.log(
                    logging.WARNING if failures == 1 else logging.DEBUG, "Telegram's commands cannot be read: %s.", why
                )
                await asyncio.sleep(wait or min(LONGEST_BACKOFF_S, 2.0 ** min(failures, 10) / 2))

    async def close(self) -> None:
        for request in self._requests:
            await request.shutdown()

    async def _serve(self, update: Update) -> None:
        """Answer one update. One that cannot be answered is logged: it must not come back for ever."""
        try:
            if update.callback_query is not None:
                await self._pressed(update)
            elif update.message is not None and update.message.text:
                message = update.message
                age = self._now() - message.date
                answer = self._desk.hear(message.chat_id, _who(message), message.text or "", too_old=age > OLD)
                if answer is not None:
                    await self._say(message.chat_id, answer)
        except TelegramError as error:
            log.warning("A command could not be answered on Telegram: %s.", _why_not(error)[1])
        except Exception:
            log.exception("A command from Telegram failed.")

    async def _pressed(self, update: Update) -> None:
        query = update.callback_query
        assert query is not None
        message = query.message
        if message is None or query.data is None:
            return
        done = self._desk.press(message.chat.id, query.data)
        if done is None:
            return
        try:
            await query.answer(done[:200])
            await self._bot.edit_message_text(done, chat_id=message.chat.id, message_id=message.message_id)
        except BadRequest as error:
            log.info("The button's message was left as it is: %s", error.message)  # too old to be changed

    async def _say(self, chat: int, answer: Answer) -> None:
        keyboard = None
        if answer.buttons:
            row = [InlineKeyboardButton(label, callback_data=data) for label, data in answer.buttons]
            keyboard = InlineKeyboardMarkup([row])
        pieces = answer.html_parts(LONGEST_TEXT)
        for piece in pieces:
            markup = keyboard if piece is pieces[-1] else None
            await self._bot.send_message(chat, piece, parse_mode=ParseMode.HTML, reply_markup=markup)


OLD = timedelta(minutes=2)
"""What was written before this was meant for another moment: while THUNES was away, for example."""


def fits(text: str, units: int) -> bool:
    return len(text.encode("utf-16-le")) // 2 <= units


def parts(text: str, units: int = LONGEST_TEXT) -> list[str]:
    """The text in pieces that Telegram takes, cut at line ends where there are any. Nothing is left out."""
    pieces, piece = [], ""
    for line in text.splitlines(keepends=True):
        while not fits(piece + line, units):
            if not piece:
                piece, line = line[: units // 2], line[units // 2 :]  # at most two units a character
            pieces.append(piece)
            piece = ""
        piece += line
    told = [each for each in (*pieces, piece) if each.strip()]
    return told or ["(nothing)"]


def _who(message: Message) -> str:
    user: Any = message.from_user
    return "" if user is None else str(user.id)


def _why_not(error: TelegramError) -> tuple[str, str, float]:
    """A word for the metrics, a sentence without the token, and the seconds that Telegram asked for."""
    if isinstance(error, RetryAfter):
        wait: Any = error.retry_after  # in seconds, where the environment has it so
        return "limited", "too many messages", wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
    if isinstance(error, InvalidToken):
        return "refused", "the bot's token is refused", 0.0
    if isinstance(error, (Forbidden, BadRequest, Conflict)) or not isinstance(error, NetworkError):
        return "refused", error.message, 0.0
    return "failed", type(error).__name__, 0.0
