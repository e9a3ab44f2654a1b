"""Listening on loopback, and nowhere else."""

from __future__ import annotations

from aiohttp import web

from thunes.errors import ThunesError

HOST = "127.0.0.1"


class PortInUse(ThunesError):
    """Somebody else listens on the port."""


async def listen(runner: web.AppRunner, port: int) -> int:
    """The port that is listened on, any free one for 0. Raises PortInUse where it is taken."""
    await runner.setup()
    site = web.TCPSite(runner, HOST, port)
    try:
        await site.start()
    except OSError as error:
        raise PortInUse(f"port {port} on {HOST} cannot be used ({error.strerror}): choose another") from error
    return int(runner.addresses[0][1])
