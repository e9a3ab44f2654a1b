"""The account's own stream, as a third party hears it: neither THUNES nor what it says of itself is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from thunes.domain.market import ExecutionReport
from thunes.errors import NetworkError
from thunes.exchange.account_frames import Response, decode_account
from thunes.exchange.keys import signer
from thunes.messages import Side
from thunes.venue import Endpoints

Hear = Callable[[ExecutionReport, float], None]


@asynccontextmanager
async def listening(exchange: Endpoints, hear: Hear) -> AsyncIterator[set[str]]:
    """`hear` gets each report with the monotonic time at which it came; given are the entry orders open before.

    Those are client order ids. NetworkError where there is no stream.
    """
    address = exchange.rest.replace("http", "ws", 1) + "/ws-api/v3"
    async with ClientSession() as session, session.ws_connect(address) as socket:
        await _subscribe(session, socket, exchange)
        listener = asyncio.create_task(_listen(socket, hear))
        try:
            yield await _open_entries(session, exchange)
        finally:
            listener.cancel()
            with suppress(asyncio.CancelledError):
                await listener


async def _subscribe(session: ClientSession, socket: ClientWebSocketResponse, exchange: Endpoints) -> None:
    params = await _signed(session, exchange, {"apiKey": exchange.api_key})
    await socket.send_json({"id": "drill", "method": "userDataStream.subscribe.signature", "params": params})
    answer = decode_account(await socket.receive_str())
    if not isinstance(answer, Response) or answer.status != 200:
        raise NetworkError(f"The account's stream was not given: {answer}")


async def _open_entries(session: ClientSession, exchange: Endpoints) -> set[str]:
    params = await _signed(session, exchange, {})
    headers = {"X-MBX-APIKEY": exchange.api_key}
    async with session.get(f"{exchange.rest}/api/v3/openOrders", params=params, headers=headers) as response:
        return {row["clientOrderId"] for row in await response.json() if row["side"] == Side.BUY}


async def _signed(session: ClientSession, exchange: Endpoints, params: dict[str, str | int]) -> dict[str, str | int]:
    """With the exchange's own time, so that no clock of this machine matters."""
    async with session.get(f"{exchange.rest}/api/v3/time") as response:
        dated = {**params, "timestamp": int((await response.json())["serverTime"])}
    payload = "&".join(f"{name}={value}" for name, value in dated.items())
    return {**dated, "signature": signer(exchange.api_secret)(payload.encode())}


async def _listen(socket: ClientWebSocketResponse, hear: Hear) -> None:
    now = asyncio.get_running_loop().time
    async for message in socket:
        at = now()
        if message.type is WSMsgType.TEXT:
            frame = decode_account(message.data)
            if isinstance(frame, ExecutionReport):
                hear(frame, at)
