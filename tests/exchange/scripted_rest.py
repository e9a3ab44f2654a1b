"""A REST server for tests that answers what it is told to, and keeps what it was asked."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    params: dict[str, str]
    """Query and body together."""
    key: str | None


@dataclass
class Scripted:
    """The answer to give, and the requests that came."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    """Read the request and hang up without a word."""
    hanging: threading.Event | None = None
    """Set: answer only once it is."""
    requests: list[Request] = field(default_factory=list)

    def answers(self, body: Any, status: int = 200, **headers: str) -> None:
        """Answer so from now on; bytes go out as they are, anything else as JSON."""
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers = status, headers


def handler_of(script: Scripted) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            target = urlsplit(self.path)
            text = f"{target.query}&{self.rfile.read(length).decode()}"
            params = dict(parse_qsl(text))
            script.requests.append(Request(self.command, target.path, params, self.headers.get("X-MBX-APIKEY")))
            if script.hanging is not None:
                script.hanging.wait(TIMEOUT_S)
            if not script.silent:
                self.reply()
            self.close_connection = True

        do_GET = do_POST = do_DELETE = handle_one  # noqa: N815 names that http.server calls

        def reply(self) -> None:
            self.send_response(script.status)
            for name, value in script.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(script.body)))
            self.end_headers()
            self.wfile.write(script.body)

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    return Handler


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, *_: Any) -> None:
        """A client that hung up is no error here."""


@contextmanager
def scripted() -> Iterator[Scripted]:
    """A server on a free port, until the block ends."""
    script = Scripted()
    server = Server(("127.0.0.1", 0), handler_of(script))
    script.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield script
    finally:
        if script.hanging is not None:
            script.hanging.set()
        server.shutdown()
        thread.join(TIMEOUT_S)
        server.server_close()
