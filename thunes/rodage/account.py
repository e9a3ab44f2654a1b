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

ANSWER_SECONDS = 10.0


class Account:
    """One subscription; `hear` gets each report with the monotonic time at which it came."""

    def __init__(self, socket: ClientWebSocketResponse, open_entries: set[str], hear: Hear) -> None:
        self.open_entries = open_entries
        """Client order ids of the entry orders that were open when it began."""
        self._socket = socket
        self._hear = hear
        self._answered: asyncio.Future[float] | None = None

    async def caught_up(self) -> float:
        """When all that the exchange has done until now has been heard.

        An order's report and the answer to it travel apart, so that one may overtake the other. The answer to a
        question on the reports' own connection overtakes none of them.
        """
        self._answered = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": "ping", "method": "ping"})
        return await asyncio.wait_for(self._answered, ANSWER_SECONDS)

    async def listen(self) -> None:
        now = asyncio.get_running_loop().time
        async for message in self._socket:
            at = now()
            if message.type is not WSMsgType.TEXT:
                continue
            frame = decode_account(message.data)
            if isinstance(frame, ExecutionReport):
                self._hear(frame, at)
            elif isinstance(frame, Response) and self._answered is not None and not self._answered.done():
                self._answered.set_result(at)


@asynccontextmanager
async def listening(exchange: Endpoints, hear: Hear) -> AsyncIterator[Account]:
    """The account's stream until the block ends; NetworkError where it is not given."""
    address = exchange.rest.replace("http", "ws", 1) + "/ws-api/v3"
    async with ClientSession() as session, session.ws_connect(address) as socket:
        await _subscribe(session, socket, exchange)
        account = Account(socket, await _open_entries(session, exchange), hear)
        listener = asyncio.create_task(account.listen())
        try:
            yield account
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
