"""The handlers of both ports. None of them blocks the loop: reading the journal's file gets a thread of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from thunes.control import api
from thunes.control.guard import Guard
from thunes.control.json_http import bad_request, command_body, flag, number, reply, text
from thunes.control.metrics import Metrics
from thunes.domain.figures import SystemFigures

log = logging.getLogger(__name__)

Figures = Callable[[], SystemFigures]
Spawn = Callable[[str, Callable[[], None]], None]
JournalAfter = Callable[[int, int], list[dict[str, Any]]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SOURCE = "http"
BODY_LIMIT = 16 * 1024
EFFECT_SECONDS = 5.0
POLL_SECONDS = 0.002
JOURNAL_LIMIT = 1000


class Commands(Protocol):
    """What the API can have done. Each only sends a message and returns at once."""

    def kill(self, reason: str, source: str, flatten: bool) -> None: ...
    def resume(self, reason: str, source: str) -> None: ...
    def reconnect(self, symbol: str | None, source: str) -> None: ...
    def reconcile(self, source: str) -> None: ...
    def reset_breaker(self, source: str) -> None: ...


def metrics_app(figures: Figures, metrics: Metrics) -> web.Application:
    """`/metrics`, `/healthz` and `/readyz`: open to whoever reaches the port, and saying nothing secret."""

    async def scrape(request: web.Request) -> web.Response:
        body, content_type = metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def alive(_request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def ready(_request: web.Request) -> web.Response:
        now = figures()
        return web.Response(text="ready\n") if now.ready else web.Response(status=503, text=f"{now.not_ready}\n")

    application = web.Application(middlewares=[_answer_errors], client_max_size=BODY_LIMIT)
    application.add_routes([web.get("/metrics", scrape), web.get("/healthz", alive), web.get("/readyz", ready)])
    return application


def console_app(
    figures: Figures,
    commands: Commands,
    guard: Guard,
    spawn: Spawn,
    journal_after: JournalAfter,
    stopping: asyncio.Event,
) -> web.Application:
    """The API; `guard` sees every request first, one for an unknown path too."""

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = request.headers
        hosts = headers.getall("Host", [])
        refusal = guard.refusal(hosts, headers.get("Origin"), headers.get("Authorization"))
        if refusal is None:
            return await handler(request)
        challenge = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None
        return reply({"error": refusal.sentence}, refusal.status, challenge)

    views = Views(figures, spawn, journal_after)
    actions = Actions(figures, commands, stopping)
    application = web.Application(middlewares=[_answer_errors, admit], client_max_size=BODY_LIMIT)
    application.add_routes(
        [
            web.get("/api/status", views.status),
            web.get("/api/positions", views.positions),
            web.get("/api/orders", views.orders),
            web.get("/api/breakers", views.breakers),
            web.get("/api/journal", views.journal),
            web.post("/api/kill", actions.kill),
            web.post("/api/resume", actions.resume),
            web.post("/api/reconnect", actions.reconnect),
            web.post("/api/reconcile", actions.reconcile),
            web.post("/api/breaker", actions.reset_breaker),
        ]
    )
    return application


class Views:
    """What may be looked at."""

    def __init__(self, figures: Figures, spawn: Spawn, journal_after: JournalAfter) -> None:
        self._figures = figures
        self._spawn = spawn
        self._journal_after = journal_after
        self._one_reader = asyncio.Lock()

    async def status(self, _request: web.Request) -> web.Response:
        return reply(api.status(self._figures()))

    async def positions(self, _request: web.Request) -> web.Response:
        return reply(api.positions(self._figures()))

    async def orders(self, _request: web.Request) -> web.Response:
        return reply(api.orders(self._figures()))

    async def breakers(self, _request: web.Request) -> web.Response:
        return reply(api.breakers(self._figures()))

    async def journal(self, request: web.Request) -> web.Response:
        after = number(request, "after", default=0, least=0)
        limit = number(request, "limit", default=100, least=1, most=JOURNAL_LIMIT)
        async with self._one_reader:
            return reply(await self._in_thread(lambda: self._journal_after(after, limit)))

    async def _in_thread(self, read: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[dict[str, Any]]] = loop.create_future()

        def settle(events: list[dict[str, Any]] | None, error: Exception | None) -> None:
            if not answer.done():  # the loop may have given up on it at a stop
                answer.set_result(events or []) if error is None else answer.set_exception(error)

        def run() -> None:
            try:
                loop.call_soon_threadsafe(settle, read(), None)
            except Exception as error:
                loop.call_soon_threadsafe(settle, None, error)

        self._spawn("control.journal", run)
        return await answer


class Actions:
    """What may be done, answered when the figures show the effect, or with 504; a resume in vain with 409."""

    def __init__(self, figures: Figures, commands: Commands, stopping: asyncio.Event) -> None:
        self._figures = figures
        self._commands = commands
        self._stopping = stopping

    async def kill(self, request: web.Request) -> web.Response:
        body = await command_body(request, {"reason", "flatten"})
        reason, flatten = text(body, "reason") or "operator", flag(body, "flatten")
        self._commands.kill(reason, SOURCE, flatten)
        if not await self._until(_killed):
            sentence = "The kill was sent but not confirmed in time; `thunes kill` also marks it on the disk."
            return reply({"error": sentence}, 504)
        risk = self._figures().risk
        return reply({"active": True, "reason": risk.kill_reason if risk is not None else reason})

    async def resume(self, request: web.Request) -> web.Response:
        reason = text(await command_body(request, {"reason"}), "reason")
        if not reason:
            raise bad_request('Say why trading may go on: {"reason": "..."}.')
        self._commands.resume(reason, SOURCE)
        risk = self._figures().risk
        if risk is not None and risk.kill_active and risk.breach:
            return reply({"error": f"Not resumed: {risk.breach}. Resume again when that is over."}, 409)
        if not await self._until(_resumed):
            return reply({"error": "The resume was sent but not confirmed in time; look at /api/status."}, 504)
        return reply({"active": False, "reason": reason})

    async def reconnect(self, request: web.Request) -> web.Response:
        symbol = text(await command_body(request, {"symbol"}), "symbol") or None
        streams = self._figures().streams
        if symbol is not None and symbol not in streams:
            raise bad_request(f"There is no stream {symbol!r}; there are: {', '.join(streams) or 'none yet'}.")
        self._commands.reconnect(symbol, SOURCE)
        return reply({"requested": True, "symbol": symbol}, 202)

    async def reconcile(self, request: web.Request) -> web.Response:
        await command_body(request, set())
        self._commands.reconcile(SOURCE)
        return reply({"requested": True}, 202)

    async def reset_breaker(self, request: web.Request) -> web.Response:
        name = text(await command_body(request, {"name"}), "name")
        known = self._figures().breakers
        if name not in known:
            raise bad_request(f"There is no circuit breaker {name!r}; there are: {', '.join(known) or 'none yet'}.")
        self._commands.reset_breaker(SOURCE)
        if not await self._until(lambda now: name in now.breakers and now.breakers[name].state == "closed"):
            return reply({"error": "The reset was sent but not confirmed in time; look at /api/breakers."}, 504)
        return reply({"name": name, **api.breakers(self._figures())[name]})

    async def _until(self, shown: Callable[[SystemFigures], bool]) -> bool:
        """Whether the figures come to show it within `EFFECT_SECONDS`; a stop of the server ends the wait."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + EFFECT_SECONDS
        while not shown(self._figures()):
            if self._stopping.is_set() or loop.time() >= deadline:
                return False
            try:
                await asyncio.wait_for(self._stopping.wait(), POLL_SECONDS)
            except TimeoutError:
                continue
        return True


def _killed(now: SystemFigures) -> bool:
    """The kill is on the disk, and every sender of orders refuses what was approved before it."""
    return now.risk is not None and now.risk.kill_active and _heard_of(now.risk.epoch, now)


def _resumed(now: SystemFigures) -> bool:
    """The end of the kill is on the disk: the senders of orders hear of it from there."""
    return now.risk is not None and not now.risk.kill_active and _heard_of(now.risk.epoch, now)


def _heard_of(epoch: int, now: SystemFigures) -> bool:
    """Whether every sender of orders has this epoch. Where none has said anything yet, nobody knows."""
    return bool(now.orders) and all(of.epoch >= epoch for of in now.orders.values())


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure as {"error": sentence}, without a traceback for the client."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        headers: Mapping[str, str] = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return reply({"error": _sentence(request, error)}, error.status, headers)
    except Exception:
        log.exception("%s %s failed; the client was told 500.", request.method, request.path)
        return reply({"error": "The request failed inside THUNES; its log says why."}, 500)


def _sentence(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPNotFound):
        return f"There is nothing at {request.path}."
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.path} does not take {error.method}; it takes {', '.join(sorted(error.allowed_methods))}."
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return f"The body is larger than {BODY_LIMIT} bytes."
    return error.text or error.reason
