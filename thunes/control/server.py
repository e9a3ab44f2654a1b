"""Two local ports: metrics and health for machines, the API for people.

Everything is answered from published figures, so it still answers while an actor hangs. A command is a message sent;
kill and resume are acknowledged when the figures show that they took effect.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from aiohttp import web

from thunes.control.guard import Guard
from thunes.control.metrics import Metrics, Watch
from thunes.control.routes import Commands, JournalAfter, Spawn, console_app, metrics_app
from thunes.domain.figures import SystemFigures
from thunes.errors import OperatorError

__all__ = ["Commands", "ControlServer"]

log = logging.getLogger(__name__)

START_SECONDS = 10.0


class ControlServer:
    """Serves both ports from one asyncio loop in one thread made by `spawn`.

    A port of 0 takes any free one. `token` is what the API's callers must show; `allowed_hosts` are names besides
    loopback's under which the console may be reached.
    """

    def __init__(
        self,
        figures: Callable[[], SystemFigures],
        commands: Commands,
        *,
        host: str,
        metrics_port: int,
        console_port: int,
        token: str,
        allowed_hosts: Iterable[str],
        spawn: Spawn,
        journal_after: JournalAfter,
        watch: Watch,
    ) -> None:
        self._figures = figures
        self._commands = commands
        self._host = host
        self._ports = (metrics_port, console_port)
        self._guard = Guard(token, (*allowed_hosts, host))
        self._spawn = spawn
        self._journal_after = journal_after
        self._watch = watch
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._ended: Future[None] = Future()
        self._running = False

    def start(self) -> tuple[int, int]:
        """Serve, and return the real ports of metrics and console. OperatorError when a port cannot be had."""
        metrics_socket = _bind(self._host, self._ports[0], "metrics")
        try:
            console_socket = _bind(self._host, self._ports[1], "console")
        except OperatorError:
            metrics_socket.close()
            raise
        ports = metrics_socket.getsockname()[1], console_socket.getsockname()[1]
        self._spawn("control", lambda: self._run(metrics_socket, console_socket))
        self._started.result(START_SECONDS)
        self._running = True
        return ports

    def stop(self, timeout: float) -> None:
        """Close both ports and wait up to `timeout` seconds for their thread; a second call does nothing."""
        if not self._running:
            return
        self._running = False
        loop, stopping = self._started.result()
        loop.call_soon_threadsafe(stopping.set)
        try:
            self._ended.result(timeout)
        except TimeoutError:
            log.warning("The control server did not end within %s s; its ports close with the process.", timeout)

    def _run(self, metrics_socket: socket.socket, console_socket: socket.socket) -> None:
        try:
            asyncio.run(self._serve(metrics_socket, console_socket))
        except Exception as error:
            if self._started.done():
                raise
            self._started.set_exception(error)
        finally:
            self._ended.set_result(None)

    async def _serve(self, metrics_socket: socket.socket, console_socket: socket.socket) -> None:
        stopping = asyncio.Event()
        metrics = metrics_app(self._figures, Metrics(self._figures, self._watch))
        console = console_app(self._figures, self._commands, self._guard, self._spawn, self._journal_after, stopping)
        runners = [await _serve_on(metrics, metrics_socket), await _serve_on(console, console_socket)]
        self._started.set_result((asyncio.get_running_loop(), stopping))
        await stopping.wait()
        for runner in runners:
            await runner.cleanup()


async def _serve_on(application: web.Application, bound: socket.socket) -> web.AppRunner:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, bound).start()
    return runner


def _bind(host: str, port: int, what: str) -> socket.socket:
    """A listening socket, so that a client that comes before the loop runs waits instead of being refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        flag = f"choose another with --{what}-port (0 takes any free one)"
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise OperatorError(f"Port {port} on {host} for {what} is in use; stop what holds it or {flag}.") from error
        raise OperatorError(f"Port {port} on {host} for {what} cannot be opened ({error}); {flag}.") from error
