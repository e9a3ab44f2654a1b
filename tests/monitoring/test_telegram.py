"""A real Alertmanager and an endpoint that stands for Telegram's: what is sent, and what is silenced."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.live import free_port, program, running, until
from tests.monitoring.stack import ALERTMANAGER, for_older, quick_routes
from tests.monitoring.tools import output

pytestmark = pytest.mark.slow

SENT = {"ok": True, "result": {"message_id": 1, "date": 0, "chat": {"id": -5, "type": "group"}}}


@dataclass
class Telegram:
    """What was sent, in order."""

    port: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)

    def said(self, *words: str) -> dict[str, Any] | None:
        return next((m for m in list(self.messages) if all(word in m["text"] for word in words)), None)


@contextmanager
def telegram() -> Iterator[Telegram]:
    made = Telegram()

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.messages.append(body | {"path": self.path})
            answer = json.dumps(SENT).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: Any) -> None:
            """Nothing on the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def alertmanager(folder: Path, port: int) -> Iterator[str]:
    """Its address; it sends to `port` at once, and to no dead man's switch."""
    text = (ALERTMANAGER / "alertmanager.yml").read_text()
    older = for_older(
        text,
        token="7:secret",
        chat_id=-5,
        telegram_url=f"http://127.0.0.1:{port}",
        templates=str(ALERTMANAGER / "templates" / "*.tmpl"),
    )
    (folder / "alertmanager.yml").write_text(quick_routes(older))
    binary = program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
    place = f"127.0.0.1:{free_port()}"
    command = [binary, "--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="]
    command += [f"--web.listen-address={place}", "--log.level=warn"]
    with running(command, folder / "alertmanager.log", f"http://{place}/-/ready"):
        yield f"http://{place}"


def fire(folder: Path, url: str, name: str, *labels: str, end: str | None = None) -> None:
    arguments = ["alert", "add", f"--alertmanager.url={url}", "--annotation=summary=1 < 2 & 3"]
    arguments += [f"--end={end}"] if end else []
    output("amtool", *arguments, name, "job=thunes", *labels, cwd=folder)


def test_telegram_gets_an_alert_and_its_end_and_nothing_that_is_silenced(tmp_path: Path) -> None:
    with telegram() as bot, alertmanager(tmp_path, bot.port) as url:
        fire(tmp_path, url, "ScrapeMissing", "instance=down", "severity=critical")
        until(lambda: bot.said("🔴 <b>ScrapeMissing</b> critical"), "the first message")
        fire(tmp_path, url, "WebSocketDisconnected", "instance=up", "symbol=BTCUSDT", "severity=warning")
        until(lambda: bot.said("🟠 <b>WebSocketDisconnected</b>"), "the second")
        fire(tmp_path, url, "MarketDataStale", "instance=up", "symbol=BTCUSDT", "severity=warning")  # silenced
        fire(tmp_path, url, "KillSwitchActive", "instance=down", "severity=critical")  # silenced
        fire(tmp_path, url, "Watchdog", "severity=none")  # to the dead man's switch
        fire(tmp_path, url, "MarketDataStale", "instance=other", "symbol=BTCUSDT", "severity=warning")
        fire(tmp_path, url, "KillSwitchActive", "instance=other", "severity=critical")
        fire(tmp_path, url, "ParameterDecay", "instance=up", "severity=info")
        quiet = until(lambda: bot.said("🔵 <b>ParameterDecay</b>"), "the information")
        until(lambda: bot.said("MarketDataStale"), "that of another process")
        until(lambda: bot.said("KillSwitchActive"), "the other of another process")
        fire(tmp_path, url, "ParameterDecay", "instance=up", "severity=info", end="2026-01-01T00:00:00Z")
        until(lambda: bot.said("🟢 <b>ParameterDecay</b> resolved"), "the end")
    first = bot.messages[0]
    assert (first["path"], first["chat_id"], first["parse_mode"]) == ("/bot7:secret/sendMessage", "-5", "HTML")
    assert "<b>1 &lt; 2 &amp; 3</b>" in first["text"]
    assert (quiet["disable_notification"], first.get("disable_notification")) == ("true", None)
    names = [message["text"].partition("<b>")[2].partition("</b>")[0] for message in bot.messages]
    assert sorted(names) == [
        "KillSwitchActive",
        "MarketDataStale",
        "ParameterDecay",
        "ParameterDecay",
        "ScrapeMissing",
        "WebSocketDisconnected",
    ]
