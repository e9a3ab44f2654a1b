"""Telegram's token and chats come from the environment or from files, and are never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from thunes.alerts.keys import CHAT_IDS, TOKEN, TelegramKeys, load_telegram_keys
from thunes.errors import SettingsError

GOOD = "123456789:AAtokenAAtokenAAtokenAAtoken"


def test_neither_is_no_mistake() -> None:
    assert load_telegram_keys({}) is None
    assert load_telegram_keys({TOKEN: " ", CHAT_IDS: ""}) is None


def test_both_come_from_the_environment() -> None:
    found = load_telegram_keys({TOKEN: GOOD, CHAT_IDS: "12, -100345"})

    assert found is not None
    assert (found.token.get_secret_value(), found.chat_ids) == (GOOD, (12, -100_345))
    assert GOOD not in repr(found)


def test_both_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{GOOD}\n")
    (tmp_path / "chats").write_text("12\n")

    found = load_telegram_keys({f"{TOKEN}_FILE": str(tmp_path / "token"), f"{CHAT_IDS}_FILE": str(tmp_path / "chats")})

    assert isinstance(found, TelegramKeys)
    assert found.chat_ids == (12,)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({TOKEN: GOOD}, [CHAT_IDS]),
        ({CHAT_IDS: "12"}, [TOKEN]),
        ({TOKEN: "hush", CHAT_IDS: "hush,12"}, [TOKEN, CHAT_IDS]),
        ({f"{TOKEN}_FILE": "/absent/hush", CHAT_IDS: "12"}, [f"{TOKEN}_FILE"]),
    ],
)
def test_what_cannot_be_used_is_named_and_not_repeated(environ: dict[str, str], named: list[str]) -> None:
    with pytest.raises(SettingsError) as refused:
        load_telegram_keys(environ)

    assert [line.split(":")[0] for line in refused.value.violations] == named
    assert "hush" not in str(refused.value)
