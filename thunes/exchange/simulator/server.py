"""The embedded exchange's one port: `/api/v3` for REST, `/ws` and `/stream` for streams, `/ws-api/v3`."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from thunes.errors import ExchangeError
from thunes.exchange.simulator.connections import Connection, ConnectionSettings
from thunes.exchange.simulator.dispatch import Dispatcher, Endpoint
from thunes.exchange.simulator.faults import Faults
from thunes.exchange.simulator.hub import Hub, Listener
from thunes.exchange.simulator.latency import Latency
from thunes.exchange.simulator.limits import AddressLimits
from thunes.exchange.simulator.links import Link, Links
from thunes.exchange.simulator.loopback import listen
from thunes.exchange.simulator.request_faults import RequestFaults
from thunes.exchange.simulator.rest import Rest, refusal
from thunes.exchange.simulator.streams import StreamSession
from thunes.exchange.simulator.ws_api import Accounts, ApiSession, Way

WEBSOCKET_WEIGHT = 2
SHUTDOWN_S = 2.0
LARGEST_BODY = 64 * 1024
LARGEST_MESSAGE = 64 * 1024


class Server:
    """Listens from `start` to `stop`."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        table: Mapping[tuple[str, str], Endpoint],
        methods: Mapping[str, Endpoint],
        hub: Hub,
        accounts: Accounts,
        settings: ConnectionSettings,
        faults: Faults,
        latency: Latency,
    ) -> None:
        self._dispatcher = dispatcher
        self._methods = methods
        self._hub = hub
        self._accounts = accounts
        self._settings = settings
        self._faults = faults
        self._way = Way(RequestFaults(faults, dispatcher.wall), latency)
        self._rest = Rest(dispatcher, table, self._way.faults, latency)
        self.links = Links(faults, lambda: int(dispatcher.wall() * 1000))
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def answered(self) -> Mapping[str, int]:
        """REST requests by the status of their answer."""
        return self._rest.answered

    async def start(self, port: int) -> None:
        """Listen on loopback, on any free port for 0. Raises PortInUse where it is taken."""
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_get("/ws", self._raw)
        app.router.add_get("/ws/{names:.*}", self._raw)
        app.router.add_get("/stream", self._combined)
        app.router.add_get("/ws-api/v3", self._api)
        app.router.add_route("*", "/{path:(?s:.*)}", self._rest.request)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        self.port = await listen(self._runner, port)

    async def stop(self) -> None:
        """Tell every client, close its connection in order, and stop listening."""
        self._faults.close()
        await self.links.shut_down()
        if self._runner is not None:
            await self._runner.cleanup()

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
        refused = self._refused(request, 0, "market") or too_many_streams(names, limits.streams_per_connection)
        if refused is not None:
            return refused
        connection, socket = await self._accept(request, limits.messages_per_second)
        listener = Listener(connection, combined, scale(request))
        session = StreamSession(self._hub, listener, limits.streams_per_connection)
        self._hub.subscribe(listener, names)
        link = Link(connection, "combined" if combined else "raw", listener.scale)
        self.links.join(link)
        try:
            await connection.serve(session.receive)
        finally:
            self._hub.leave(listener)
            self.links.leave(link)
        return socket

    async def _api(self, request: web.Request) -> web.StreamResponse:
        refused = self._refused(request, WEBSOCKET_WEIGHT, "account")
        if refused is not None:
            return refused
        connection, socket = await self._accept(request, 0)
        show = request.query.get("returnRateLimits") != "false"
        address, link = self._address(request), Link(connection, "api", scale(request))
        session = ApiSession(connection, self._dispatcher, self._methods, address, link.scale, show, self._way)
        self._accounts.join(session)
        self.links.join(link)
        try:
            await connection.serve(session.receive)
        finally:
            self._accounts.leave(session)
            self.links.leave(link)
        return socket

    async def _accept(self, request: web.Request, messages: int) -> tuple[Connection, web.WebSocketResponse]:
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=LARGEST_MESSAGE)
        try:
            await socket.prepare(request)
        except ValueError:
            raise web.HTTPBadRequest(text="Sec-WebSocket-Key is not in base64") from None
        return Connection(socket, request.transport, self._settings, messages), socket

    def _refused(self, request: web.Request, weight: int, streams: str) -> web.Response | None:
        if self._faults.connecting(streams) is not None:
            return web.Response(status=503, text="no connections at the moment")
        try:
            self._address(request).connect(self._dispatcher.wall(), weight)
        except ExchangeError as error:
            return refusal(error, {})
        return None


def too_many_streams(names: list[str], most: int) -> web.Response | None:
    return web.Response(status=400, text=f"at most {most} streams a connection") if len(names) > most else None


def scale(request: web.Request) -> int:
    """What the connection's times are multiplied by: 1 for milliseconds, 1000 for microseconds."""
    return 1000 if request.query.get("timeUnit", "").upper() == "MICROSECOND" else 1
