"""Whom alerts go to and by which secrets, from the environment alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from thunes.errors import SettingsError

TOKEN, CHAT_IDS = "THUNES_TELEGRAM_TOKEN", "THUNES_TELEGRAM_CHAT_IDS"
WEBHOOK, SMTP_PASSWORD = "THUNES_WEBHOOK_URL", "THUNES_SMTP_PASSWORD"
BOT_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]{20,}")
CHAT_ID = re.compile(r"-?\d+")
HTTP_URL = re.compile(r"https?://[^\s/]+(/\S*)?")


@dataclass(frozen=True, slots=True)
class TelegramKeys:
    """A bot's token and the chats that alerts go to and commands come from."""

    token: SecretStr
    chat_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SecondKeys:
    """A webhook's address, which often holds its secret, and the mail server's password; empty where not set."""

    webhook: SecretStr
    smtp_password: SecretStr


def load_telegram_keys(environ: Mapping[str, str]) -> TelegramKeys | None:
    """Both from THUNES_TELEGRAM_TOKEN and THUNES_TELEGRAM_CHAT_IDS (or ..._FILE); None where neither is set.

    Raises SettingsError, without the values, for one without the other and for what Telegram would not take.
    """
    violations: list[str] = []
    token, listed = (_value(environ, name, violations) for name in (TOKEN, CHAT_IDS))
    chats = [part.strip() for part in listed.split(",") if part.strip()]
    if not violations:
        if not token and not chats:
            return None
        if not BOT_TOKEN.fullmatch(token):
            violations.append(f"{TOKEN}: {'is no bot token' if token else 'is missing'}; @BotFather gives one.")
        if not chats or not all(CHAT_ID.fullmatch(chat) for chat in chats):
            violations.append(f"{CHAT_IDS}: has to be numbers with commas between them.")
    if violations:
        raise SettingsError(violations)
    return TelegramKeys(SecretStr(token), tuple(dict.fromkeys(int(chat) for chat in chats)))


def load_second_keys(environ: Mapping[str, str]) -> SecondKeys:
    """From THUNES_WEBHOOK_URL and THUNES_SMTP_PASSWORD (or ..._FILE). Raises SettingsError, without the values."""
    violations: list[str] = []
    webhook, password = (_value(environ, name, violations) for name in (WEBHOOK, SMTP_PASSWORD))
    if webhook and not HTTP_URL.fullmatch(webhook):
        violations.append(f"{WEBHOOK}: is no address; it starts with https:// or http://.")
    if violations:
        raise SettingsError(violations)
    return SecondKeys(SecretStr(webhook), SecretStr(password))


def _value(environ: Mapping[str, str], name: str, violations: list[str]) -> str:
    path = environ.get(f"{name}_FILE")
    try:
        return (Path(path).read_text() if path else environ.get(name, "")).strip()
    except (OSError, UnicodeDecodeError) as error:
        violations.append(f"{name}_FILE: cannot be read ({type(error).__name__}); give a file that can.")
        return ""
