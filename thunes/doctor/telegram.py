"""That the bot's token is one, and that its chats can be written to. Nothing is sent but a test, where it is wanted."""

from __future__ import annotations

import asyncio

from telegram import Bot
from telegram.error import InvalidToken, TelegramError

from thunes.alerts.keys import CHAT_IDS, TOKEN, TelegramKeys, load_telegram_keys
from thunes.doctor.findings import Failed, Skipped
from thunes.doctor.patient import Patient
from thunes.errors import SettingsError

TEST = "This is a test message of THUNES: what it has to tell you arrives here."


def telegram(patient: Patient) -> str:
    try:
        found = load_telegram_keys(patient.environ)
    except SettingsError as error:
        said, _, todo = error.violations[0].partition("; ")
        raise Failed(said, f"{todo[:1].upper()}{todo[1:]}") from error
    if found is None and patient.send_test:
        raise Failed("no bot is configured", f"Set {TOKEN} and {CHAT_IDS}; @BotFather makes bots.")
    if found is None:
        raise Skipped("not configured")
    return asyncio.run(_ask(found, patient.telegram_url, patient.send_test))


async def _ask(found: TelegramKeys, url: str, send_test: bool) -> str:
    bot = Bot(found.token.get_secret_value(), base_url=url)
    try:
        async with bot:
            name = bot.username
            for number, chat in enumerate(found.chat_ids, 1):
                await _chat(bot, number, chat)
                if send_test:
                    await bot.send_message(chat, TEST)
    except InvalidToken as error:
        raise Failed("Telegram refuses the bot's token", "Take the one that @BotFather shows.") from error
    except TelegramError as error:
        raise Failed(f"Telegram does not answer ({error.message})", "Check the network, then try again.") from error
    if send_test:
        return f"the bot @{name} has sent a test message to its {len(found.chat_ids)} chats"
    return f"the bot @{name} is known and may write to its {len(found.chat_ids)} chats"


async def _chat(bot: Bot, number: int, chat: int) -> None:
    try:
        await bot.get_chat(chat)
    except InvalidToken:
        raise
    except TelegramError as error:
        todo = "Write to the bot from that chat first, or take the chat off THUNES_TELEGRAM_CHAT_IDS."
        raise Failed(f"chat {number} of the list cannot be written to ({error.message})", todo) from error
