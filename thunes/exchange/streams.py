"""The exchange's streams through websocket-client: one connection each, read on a thread that is handed in.

A socket says `on_open` once it may be relied on, gives each frame with the monotonic time it came, and says `on_close`
exactly once, whoever ended it. Silence is not its business: its actor's watchdog closes it and opens another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import msgspec
import websocket

from thunes.domain.budget import Kind
from thunes.errors import HeldBack, MarketDataError
from thunes.exchange.account_frames import Response, decode_account
from thunes.exchange.gate import Gate
from thunes.exchange.keys import signer

Spawn = Callable[[str, Callable[[], None]], None]
OnFrame = Callable[[bytes, int], None]

SUBSCRIBE_ID = "subscribe"
BY_US = "closed by us"

WITHOUT_PROXY: dict[str, Any] = {"http_proxy_host": "unused", "http_no_proxy": ["*"]}
"""Never through a proxy of the environment. The library heeds the second only beside the first."""


class MarketSocket:
    """A combined stream of market data at `{url}/stream?streams=...`."""

    def __init__(
        self,
        url: str,
        streams: Sequence[str],
        *,
        spawn: Spawn,
        on_open: Callable[[], None],
        on_frame: OnFrame,
        on_close: Callable[[str], None],
        monotonic_ns: Callable[[], int],
        timeout: float,
    ) -> None:
        self._url = f"{url}/stream?streams={'/'.join(streams)}"
        self._name = f"socket.{streams[0]}"
        self._spawn = spawn
        self._on_open = on_open
        self._on_frame = on_frame
        self._on_close = on_close
        self._monotonic_ns = monotonic_ns
        self._timeout = timeout
        self._socket: websocket.WebSocket | None = None
        self._closing = False

    def open(self) -> None:
        """Connect and read on a thread of its own."""
        self._spawn(self._name, self._run)

    def close(self) -> None:
        """End it, from any thread; its thread says `on_close`. A second call does nothing."""
        self._closing = True
        if self._socket is not None:
            self._socket.abort()  # type: ignore[no-untyped-call]

    def _run(self) -> None:
        why = "its reader failed"
        try:
            why = self._connect_and_read()
        except (OSError, websocket.WebSocketException, MarketDataError, HeldBack) as error:
            why = _reason(error)
        finally:
            if self._socket is not None:
                self._socket.shutdown()  # type: ignore[no-untyped-call]
            self._on_close(BY_US if self._closing else why)

    def _connect_and_read(self) -> str:
        """Read until `close`, and say who ended it; raises what the connection ends with."""
        # The frames' UTF-8 is left to the JSON decoder: the library checks it byte by byte in Python, which costs more
        # than all that is done with a frame afterwards.
        self._socket = socket = websocket.create_connection(
            self._url, timeout=self._timeout, enable_multithread=True, skip_utf8_validation=True, **WITHOUT_PROXY
        )
        if not self._closing:
            self._prepare(socket)
            socket.settimeout(None)
            self._on_open()
        while not self._closing:
            self._on_frame(_next_frame(socket), self._monotonic_ns())
        return BY_US

    def _prepare(self, socket: websocket.WebSocket) -> None:
        """What has to be said before the socket may be relied on."""


class AccountSocket(MarketSocket):
    """The account's events over the WebSocket API, subscribed by signature on every connection."""

    def __init__(
        self,
        url: str,
        api_key: str,
        api_secret: str,
        *,
        wall_ms: Callable[[], int],
        gate: Gate | None = None,
        **callbacks: Any,
    ) -> None:
        """`gate` is the account's: connecting here is charged to the same address as REST."""
        super().__init__(url, ["account"], **callbacks)
        self._url = url
        self._api_key = api_key
        self._sign = signer(api_secret)
        self._wall_ms = wall_ms
        self._gate = gate or Gate(wall_ms=wall_ms, monotonic_ns=callbacks["monotonic_ns"])

    def _connect_and_read(self) -> str:
        self._gate.admit(Kind.SESSION)
        try:
            return super()._connect_and_read()
        except websocket.WebSocketBadStatusException as error:
            headers = {name.title(): value for name, value in (error.resp_headers or {}).items()}
            self._gate.obey(self._gate.pause_asked(error.status_code, 0, "", headers))
            raise

    def _prepare(self, socket: websocket.WebSocket) -> None:
        socket.send(self._subscription())
        while True:
            response = decode_account(_next_frame(socket))
            if isinstance(response, Response) and response.id == SUBSCRIBE_ID:
                if response.status != 200:
                    self._refused(response)
                return

    def _refused(self, response: Response) -> NoReturn:
        """An answer in JSON says as a time what REST's Retry-After says in seconds."""
        seconds = (response.retry_after_ms - self._wall_ms()) // 1000
        headers = {"Retry-After": str(max(1, seconds))} if response.retry_after_ms else {}
        self._gate.obey(self._gate.pause_asked(response.status, response.code, response.message, headers))
        raise websocket.WebSocketException(f"code={response.code} {response.message}")

    def _subscription(self) -> str:
        params: dict[str, Any] = {"apiKey": self._api_key, "timestamp": self._wall_ms()}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = self._sign(payload.encode())
        request = {"id": SUBSCRIBE_ID, "method": "userDataStream.subscribe.signature", "params": params}
        return msgspec.json.encode(request).decode()


def _next_frame(socket: websocket.WebSocket) -> bytes:
    """The payload of the next message. `recv_data` answers pings by itself; a close frame ends the connection."""
    opcode, data = socket.recv_data()
    if opcode == websocket.ABNF.OPCODE_CLOSE:
        code = int.from_bytes(data[:2], "big") if len(data) >= 2 else 1005
        raise websocket.WebSocketConnectionClosedException(f"closed by the exchange with code {code}")
    return bytes(data)


def _reason(error: Exception) -> str:
    """What ended a connection, in a few words: the library puts a refused handshake's whole answer into its text."""
    if isinstance(error, websocket.WebSocketBadStatusException):
        return f"the exchange refused the connection with HTTP {error.status_code}"
    return str(error) or type(error).__name__
