"""The control endpoint of the embedded exchange: a port of its own on loopback where faults are armed.

Its answers are JSON; what is wrong with a request is in `error`. It takes no orders and knows no keys, so it asks for
none; requests that a web page makes a browser send are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from thunes.exchange.simulator.fault_kinds import KINDS, UnknownFault
from thunes.exchange.simulator.faults import Faults
from thunes.exchange.simulator.loopback import HOST, listen

LARGEST_BODY = 64 * 1024
SHUTDOWN_S = 1.0
BROWSERS_SAY = ("Origin", "Sec-Fetch-Site")
THERE_IS = "there are POST, GET and DELETE /faults, GET and DELETE /faults/ID, and GET /state"

State = Callable[[], dict[str, Any]]


class Control:
    """Listens from `start` to `stop`; `state` is what the exchange says of itself."""

    def __init__(self, faults: Faults, state: State) -> None:
        self._faults = faults
        self._state = state
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    async def start(self, port: int) -> None:
        """Raises PortInUse where it is taken."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[refuse_browsers])
        app.router.add_post("/faults", self._arm)
        app.router.add_get("/faults", self._list)
        app.router.add_delete("/faults", self._clear)
        app.router.add_get("/faults/{id:[0-9]{1,18}}", self._show)
        app.router.add_delete("/faults/{id:[0-9]{1,18}}", self._clear_one)
        app.router.add_get("/state", self._show_state)
        app.router.add_route("*", "/{path:(?s:.*)}", unknown)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        self._port = await listen(self._runner, port)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _arm(self, request: web.Request) -> web.Response:
        try:
            asked = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            asked = None
        if not isinstance(asked, dict) or "fault" not in asked:
            names = ", ".join(KINDS)
            return wrong(400, f'the body has to be JSON such as {{"fault": "drop-report"}}; there are: {names}')
        given = {name: value for name, value in asked.items() if name != "fault"}
        try:
            fault = self._faults.arm(asked["fault"], given)
        except UnknownFault as error:
            return wrong(400, str(error))
        return answer(fault.asked())

    async def _list(self, _request: web.Request) -> web.Response:
        return answer({"faults": self._faults.rows(), "fired_total": self._faults.fired_total})

    async def _show(self, request: web.Request) -> web.Response:
        row = self._faults.row(number(request))
        return no_fault(request) if row is None else answer(row)

    async def _clear(self, _request: web.Request) -> web.Response:
        cleared = len(self._faults.rows())
        self._faults.clear()
        return answer({"cleared": cleared})

    async def _clear_one(self, request: web.Request) -> web.Response:
        return answer({"cleared": 1}) if self._faults.clear(number(request)) else no_fault(request)

    async def _show_state(self, _request: web.Request) -> web.Response:
        return answer(self._state())


@web.middleware
async def refuse_browsers(request: web.Request, handler: Any) -> web.StreamResponse:
    """A page of the web can make a browser send requests to loopback; it cannot keep its origin or a name back."""
    host = request.host.rpartition(":")[0] or request.host
    if host not in (HOST, "localhost") or any(name in request.headers for name in BROWSERS_SAY):
        return wrong(403, "this is no place for browsers")
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return wrong(413, f"the body is longer than {LARGEST_BODY} bytes")
    return response


async def unknown(request: web.Request) -> web.Response:
    return wrong(404, f"there is no {request.method} {request.path}; {THERE_IS}")


def number(request: web.Request) -> int:
    return int(request.match_info["id"])


def no_fault(request: web.Request) -> web.Response:
    return wrong(404, f"there is no fault {number(request)}")


def wrong(status: int, why: str) -> web.Response:
    return answer({"error": why}, status)


def answer(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
