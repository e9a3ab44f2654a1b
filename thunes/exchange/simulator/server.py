"""The embedded exchange's one port: `/api/v3` for REST, `/ws` and `/stream` for streams, `/ws-api/v3`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from thunes.errors import ExchangeError, ThunesError
from thunes.exchange.simulator import signing
from thunes.exchange.simulator.connections import Connection, ConnectionSettings
from thunes.exchange.simulator.dispatch import Dispatcher, Endpoint, error_body
from thunes.exchange.simulator.hub import Hub, Listener
from thunes.exchange.simulator.limits import AddressLimits
from thunes.exchange.simulator.params import Params
from thunes.exchange.simulator.payloads import in_microseconds
from thunes.exchange.simulator.streams import StreamSession
from thunes.exchange.simulator.ws_api import Accounts, ApiSession

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
WEBSOCKET_WEIGHT = 2
SHUTDOWN_S = 2.0
LARGEST_BODY = 64 * 1024
LARGEST_MESSAGE = 64 * 1024


class PortInUse(ThunesError):
    """Somebody else listens on the port."""


class Server:
    """Listens from `start` to `stop`."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        rest: Mapping[tuple[str, str], Endpoint],
        methods: Mapping[str, Endpoint],
        hub: Hub,
        accounts: Accounts,
        settings: ConnectionSettings,
    ) -> None:
        self._dispatcher = dispatcher
        self._rest = rest
        self._methods = methods
        self._hub = hub
        self._accounts = accounts
        self._settings = settings
        self._listeners: dict[Connection, dict[str, Any]] = {}
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, port: int) -> None:
        """Listen on loopback, on any free port for 0. Raises PortInUse where it is taken."""
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_get("/ws", self._raw)
        app.router.add_get("/ws/{names:.*}", self._raw)
        app.router.add_get("/stream", self._combined)
        app.router.add_get("/ws-api/v3", self._api)
        app.router.add_route("*", "/{path:.*}", self._request)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            raise PortInUse(f"port {port} on {HOST} cannot be used ({error.strerror}): choose another") from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Tell every client, close its connection in order, and stop listening."""
        now_ms = int(self._dispatcher.wall() * 1000)
        for connection, shape in list(self._listeners.items()):
            event = {"e": "serverShutdown", "E": now_ms * shape["scale"]}
            connection.send(orjson.dumps(wrapped(shape["kind"], event)))
        closing = [connection.close() for connection in list(self._listeners)]
        if closing:
            await asyncio.wait([asyncio.ensure_future(each) for each in closing], timeout=SHUTDOWN_S)
        if self._runner is not None:
            await self._runner.cleanup()

    # REST

    async def _request(self, request: web.Request) -> web.Response:
        address = self._address(request)
        account = ""
        headers: dict[str, str] = {}
        status = 200
        try:
            endpoint = self._endpoint(request, address)
            result, account = await self._answer(endpoint, request, address)
            if endpoint.places:
                headers |= self._order_counts(account)
            body = orjson.dumps(in_microseconds(result) if wants_microseconds(request) else result)
        except ExchangeError as error:
            status = error.status
            body = orjson.dumps(error_body(error))
            if error.retry_after is not None:
                headers["Retry-After"] = str(int(error.retry_after))
        used = str(address.weight.count(self._dispatcher.wall()))
        headers |= {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        return web.Response(body=body, status=status, headers=headers, content_type="application/json")

    def _endpoint(self, request: web.Request, address: AddressLimits) -> Endpoint:
        endpoint = self._rest.get((request.method, request.path))
        if endpoint is None:
            address.charge(self._dispatcher.wall(), 1)
            known = any(path == request.path for _, path in self._rest)
            raise ExchangeError(-1020, "This operation is not supported.", 405 if known else 404)
        return endpoint

    async def _answer(self, endpoint: Endpoint, request: web.Request, address: AddressLimits) -> tuple[Any, str]:
        query = request.raw_path.partition("?")[2].partition("#")[0]
        body = b"" if request.method == "GET" else await request.read()
        params = Params.from_request(query, body.decode("utf-8", "replace"))
        payload = signing.signed_payload(query.encode(), body)
        return self._dispatcher.answer(endpoint, params, address, request.headers.get("X-MBX-APIKEY"), payload)

    def _order_counts(self, account: str) -> dict[str, str]:
        counts, now = self._dispatcher.limits.orders(account), self._dispatcher.wall()
        return {
            "X-MBX-ORDER-COUNT-10S": str(counts.ten_seconds.count(now)),
            "X-MBX-ORDER-COUNT-1D": str(counts.day.count(now)),
        }

    def _address(self, request: web.Request) -> AddressLimits:
        return self._dispatcher.limits.address(request.remote or "")

    # WebSocket

    async def _raw(self, request: web.Request) -> web.StreamResponse:
        names = [name for name in request.match_info.get("names", "").split("/") if name]
        return await self._stream(request, names, combined=False)

    async def _combined(self, request: web.Request) -> web.StreamResponse:
        names = [name for name in request.query.get("streams", "").split("/") if name]
        return await self._stream(request, names, combined=True)

    async def _stream(self, request: web.Request, names: list[str], combined: bool) -> web.StreamResponse:
        limits = self._dispatcher.limits.settings
        refusal = self._refused(request, 0) or too_many_streams(names, limits.streams_per_connection)
        if refusal is not None:
            return refusal
        connection, socket = await self._accept(request, limits.messages_per_second)
        listener = Listener(connection, combined, scale(request))
        session = StreamSession(self._hub, listener, limits.streams_per_connection)
        self._hub.subscribe(listener, names)
        self._listeners[connection] = {"kind": "combined" if combined else "raw", "scale": listener.scale}
        try:
            await connection.serve(session.receive)
        finally:
            self._hub.leave(listener)
            self._listeners.pop(connection, None)
        return socket

    async def _api(self, request: web.Request) -> web.StreamResponse:
        refusal = self._refused(request, WEBSOCKET_WEIGHT)
        if refusal is not None:
            return refusal
        connection, socket = await self._accept(request, 0)
        show = request.query.get("returnRateLimits") != "false"
        address = self._address(request)
        session = ApiSession(connection, self._dispatcher, self._methods, address, scale(request), show)
        self._accounts.join(session)
        self._listeners[connection] = {"kind": "api", "scale": scale(request)}
        try:
            await connection.serve(session.receive)
        finally:
            self._accounts.leave(session)
            self._listeners.pop(connection, None)
        return socket

    async def _accept(self, request: web.Request, messages: int) -> tuple[Connection, web.WebSocketResponse]:
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=LARGEST_MESSAGE)
        await socket.prepare(request)
        return Connection(socket, request.transport, self._settings, messages), socket

    def _refused(self, request: web.Request, weight: int) -> web.Response | None:
        try:
            self._address(request).connect(self._dispatcher.wall(), weight)
        except ExchangeError as error:
            headers = {"Retry-After": str(int(error.retry_after or 1))}
            body = orjson.dumps(error_body(error))
            return web.Response(body=body, status=error.status, headers=headers, content_type="application/json")
        return None


def wrapped(kind: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
    """A connection event in the shape of its connection (web-socket-streams.md, "Server Shutdown")."""
    if kind == "combined":
        return {"stream": "!serverShutdown", "data": event}
    return {"event": event} if kind == "api" else event


def too_many_streams(names: list[str], most: int) -> web.Response | None:
    return web.Response(status=400, text=f"at most {most} streams a connection") if len(names) > most else None


def scale(request: web.Request) -> int:
    """What the connection's times are multiplied by: 1 for milliseconds, 1000 for microseconds."""
    return 1000 if request.query.get("timeUnit", "").upper() == "MICROSECOND" else 1


def wants_microseconds(request: web.Request) -> bool:
    return request.headers.get("X-MBX-TIME-UNIT", "").upper() == "MICROSECOND"
