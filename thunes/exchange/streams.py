"""The exchange's streams through websocket-client: one connection each, read on a thread that is handed in.

A socket says `on_open` once it may be relied on, gives each frame with the monotonic time it came, and says `on_close`
exactly once, whoever ended it. Silence is not its business: its actor's watchdog closes it and opens another.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import websocket

from thunes.errors import MarketDataError
from thunes.exchange.frames import Response, decode_account

Spawn = Callable[[str, Callable[[], None]], None]
OnFrame = Callable[[bytes, int], None]

SUBSCRIBE_ID = "subscribe"


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
        why = "closed by us"
        try:
            self._socket = socket = websocket.create_connection(
                self._url, timeout=self._timeout, http_no_proxy=["*"], enable_multithread=True
            )
            self._prepare(socket)
            socket.settimeout(None)
            if not self._closing:
                self._on_open()
            while not self._closing:
                self._read(socket)
        except (OSError, websocket.WebSocketException, MarketDataError) as error:
            why = why if self._closing else str(error) or type(error).__name__
        finally:
            if self._socket is not None:
                self._socket.shutdown()  # type: ignore[no-untyped-call]
            self._on_close(why)

    def _prepare(self, socket: websocket.WebSocket) -> None:
        """What has to be said before the socket may be relied on."""

    def _read(self, socket: websocket.WebSocket) -> None:
        """One frame. `recv_data` answers pings by itself; a close frame ends the connection."""
        opcode, data = socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            code = int.from_bytes(data[:2], "big") if len(data) >= 2 else 1005
            raise websocket.WebSocketConnectionClosedException(f"closed by the exchange with code {code}")
        self._on_frame(data, self._monotonic_ns())


class AccountSocket(MarketSocket):
    """The account's events over the WebSocket API, subscribed by signature on every connection."""

    def __init__(
        self, url: str, api_key: str, api_secret: str, *, wall_ms: Callable[[], int], **callbacks: Any
    ) -> None:
        super().__init__(url, ["account"], **callbacks)
        self._url = url
        self._api_key = api_key
        self._api_secret = api_secret
        self._wall_ms = wall_ms

    def _prepare(self, socket: websocket.WebSocket) -> None:
        socket.send(self._subscription())
        while True:
            response = decode_account(socket.recv())
            if isinstance(response, Response) and response.id == SUBSCRIBE_ID:
                if response.status != 200:
                    raise websocket.WebSocketException(f"code={response.code} {response.message}")
                return

    def _subscription(self) -> str:
        params: dict[str, Any] = {"apiKey": self._api_key, "timestamp": self._wall_ms()}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = hmac.new(self._api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        request = {"id": SUBSCRIBE_ID, "method": "userDataStream.subscribe.signature", "params": params}
        return msgspec.json.encode(request).decode()
