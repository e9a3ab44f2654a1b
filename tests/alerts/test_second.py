"""The second channels: a webhook and mail, which hear what is critical when Telegram does not answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from threading import Thread
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from thunes.alerts.alert import Outcome
from thunes.alerts.second import Mail, Webhook

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def hook(status: int = 200, **headers: str) -> Iterator[tuple[str, list[Any]]]:
    bodies: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/secret", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Box:
    """A mailbox behind an SMTP server; `refuses` answers every mail so."""

    def __init__(self, refuses: str = "") -> None:
        self.refuses = refuses
        self.mails: list[Any] = []
        self.users: list[bytes] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        if self.refuses:
            return self.refuses
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"

    def login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self.users.append(data.login)
        return AuthResult(success=data.password == b"right", handled=False)


@contextmanager
def mail_server(box: Box, **more: Any) -> Iterator[int]:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(
        box, hostname="127.0.0.1", port=port, authenticator=box.login, auth_require_tls=False, **more
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def mail(port: int, user: str = "", password: str = "") -> Mail:
    return Mail("127.0.0.1", port, "none", user, password, "thunes@here.test", ("a@b.test", "c@d.test"), lambda: NOON)


def tell(way: Webhook | Mail, text: str = "KILLED\nand more", picture: bytes | None = None) -> Outcome:
    return asyncio.run(way.tell("second", (3, 4), text, picture))


def test_a_webhook_gets_the_text() -> None:
    with hook() as (url, bodies):
        assert tell(Webhook(url)) == Outcome("second", (3, 4), True, "sent")
    assert bodies == [{"text": "KILLED\nand more"}]


@pytest.mark.parametrize(("status", "kind", "wait_s"), [(500, "failed", 0), (404, "refused", 0), (429, "limited", 7)])
def test_a_webhook_that_does_not_take_it_says_why(status: int, kind: str, wait_s: float) -> None:
    with hook(status, Retry_After="7" if wait_s else "") as (url, _):
        outcome = tell(Webhook(url))
    assert (outcome.done, outcome.kind, outcome.wait_s) == (False, kind, wait_s)


def test_a_webhook_that_is_not_there_is_a_failure_that_tells_no_secret() -> None:
    outcome = tell(Webhook("http://127.0.0.1:9/secret"))
    assert (outcome.done, outcome.kind) == (False, "failed")
    assert "secret" not in outcome.why


def test_a_mail_has_all_that_one_needs() -> None:
    box = Box()
    with mail_server(box) as port:
        assert tell(mail(port), picture=b"png").done
    ((receivers, message),) = box.mails
    assert receivers == ["a@b.test", "c@d.test"]
    assert (message["Subject"], message["From"]) == ("THUNES: KILLED", "thunes@here.test")
    assert message["Date"] == "Mon, 23 Nov 2026 12:00:00 +0000"
    text, picture = message.get_payload()
    assert (text.get_payload(decode=True).split(), picture.get_payload(decode=True)) == (
        [b"KILLED", b"and", b"more"],
        b"png",
    )


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_mail_server_that_wants_a_password_gets_it() -> None:
    box = Box()
    with mail_server(box, auth_required=True) as port:
        assert tell(mail(port, "me", "right")).done
        wrong = tell(mail(port, "me", "wrong"))
    assert (wrong.done, wrong.kind) == (False, "refused")
    assert "wrong" not in wrong.why
    assert set(box.users) == {b"me"}


@pytest.mark.parametrize(("refuses", "kind"), [("550 no", "refused"), ("451 later", "failed")])
def test_a_mail_server_that_does_not_take_it_says_why(refuses: str, kind: str) -> None:
    with mail_server(Box(refuses)) as port:
        outcome = tell(mail(port))
    assert (outcome.done, outcome.kind, outcome.why) == (False, kind, f"the mail server answered {refuses[:3]}")


def test_a_mail_server_that_is_not_there_is_a_failure() -> None:
    assert (tell(mail(9)).done, tell(mail(9)).kind) == (False, "failed")
