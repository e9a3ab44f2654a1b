"""The doctor asks Telegram who the bot is and whether it knows its chats; it sends nothing and tells no secret."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.doctor.conftest import MakePatient
from thunes.alerts.keys import CHAT_IDS, TOKEN
from thunes.doctor.examination import _finding
from thunes.doctor.findings import Failed, Mark, Skipped
from thunes.doctor.patient import Patient
from thunes.doctor.telegram import telegram

GOOD = "123456789:AAtokenAAtokenAAtokenAAtoken"
ENVIRON = {TOKEN: GOOD, CHAT_IDS: "12345,-100345"}


@dataclass
class Telegram:
    """A Bot API that knows one token and some chats."""

    url: str = ""
    token: str = GOOD
    chats: tuple[int, ...] = (12_345, -100_345)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, params: dict[str, list[str]]) -> tuple[int, Any]:
        token, _, method = path.removeprefix("/bot").partition("/")
        self.asked.append(method)
        if token != self.token:
            return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
        if method == "getMe":
            return 200, {"ok": True, "result": {"id": 1, "is_bot": True, "first_name": "T", "username": "thunes_bot"}}
        chat = int(params["chat_id"][0])
        if chat not in self.chats:
            return 400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}
        if method == "sendMessage":
            sent = {"message_id": 1, "date": 1, "chat": {"id": chat, "type": "private"}, "text": params["text"][0]}
            return 200, {"ok": True, "result": sent}
        described = {"id": chat, "type": "private", "accent_color_id": 0, "max_reaction_count": 0}
        return 200, {"ok": True, "result": {**described, "accepted_gift_types": GIFTS}}


GIFTS = dict.fromkeys(
    ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), False
)


@pytest.fixture
def bot_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Telegram]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    api = Telegram()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, answer = api.answer(urlsplit(self.path).path, parse_qs(body))
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}/bot"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def at(url: str, patient_of: MakePatient, **more: Any) -> Patient:
    return patient_of(environ={**ENVIRON, "THUNES_ALERTS__TELEGRAM_URL": url}, **more)


def test_a_bot_that_is_known_to_its_chats_is_fine(bot_api: Telegram, patient_of: MakePatient) -> None:
    said = telegram(at(bot_api.url, patient_of))

    assert said == "the bot @thunes_bot is known and may write to its 2 chats"
    assert bot_api.asked == ["getMe", "getChat", "getChat"]


def test_a_test_message_is_sent_to_every_chat_where_it_is_wanted(bot_api: Telegram, patient_of: MakePatient) -> None:
    said = telegram(at(bot_api.url, patient_of, send_test=True))

    assert said == "the bot @thunes_bot has sent a test message to its 2 chats"
    assert bot_api.asked == ["getMe", "getChat", "sendMessage", "getChat", "sendMessage"]


def test_a_test_message_that_is_wanted_and_cannot_be_sent_is_a_failure(patient_of: MakePatient) -> None:
    with pytest.raises(Failed, match="no bot is configured"):
        telegram(patient_of(send_test=True))


def test_nothing_configured_is_no_failure(patient_of: MakePatient) -> None:
    with pytest.raises(Skipped, match="not configured"):
        telegram(patient_of())


def test_a_token_without_chats_is_a_failure(patient_of: MakePatient) -> None:
    with pytest.raises(Failed, match=CHAT_IDS):
        telegram(replace(patient_of(), environ={TOKEN: GOOD}))


def test_a_chat_that_never_wrote_to_the_bot_is_named_by_its_place(bot_api: Telegram, patient_of: MakePatient) -> None:
    bot_api.chats = (12_345,)

    with pytest.raises(Failed, match="chat 2 of the list cannot be written to") as failed:
        telegram(at(bot_api.url, patient_of))
    assert "Write to the bot" in failed.value.todo


def test_a_token_that_telegram_refuses_is_a_failure_and_not_repeated(
    bot_api: Telegram, patient_of: MakePatient
) -> None:
    bot_api.token = "another"
    patient = at(bot_api.url, patient_of)

    finding = _finding("telegram", lambda: telegram(patient))

    assert (finding.mark, finding.found) == (Mark.FAILED, "Telegram refuses the bot's token")
    assert GOOD not in str(finding)


def test_a_telegram_that_is_not_there_is_a_failure(patient_of: MakePatient, bot_api: Telegram) -> None:
    with pytest.raises(Failed, match="Telegram does not answer"):
        telegram(at("http://127.0.0.1:9/bot", patient_of))
