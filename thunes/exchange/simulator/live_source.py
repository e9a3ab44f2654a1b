"""A live venue's public market: its rules, its candles, and connections to its streams."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import aiohttp

from thunes.errors import ExchangeError, MarketDataError, NetworkError, OperatorError
from thunes.exchange.simulator.live_frames import STREAMS
from thunes.exchange.simulator.live_rest import PAUSE_S, RESTRICTED, TOO_MANY, LiveRest, reason, refusal
from thunes.exchange.simulator.rules import Entry
from thunes.exchange.simulator.tables import Bar
from thunes.messages import Candle

REST, STREAM = "https://data-api.binance.vision", "wss://data-stream.binance.vision"
"""Binance's hosts for public market data alone."""
HISTORY_MINUTES = 4_320
"""Candles that are read at the start: three days, enough for fifty of an hour."""
CLOSING_S = 1.0
TEXTS = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
ANOTHER = "name another address with exchange.rest_url and exchange.stream_url"
ADVICE = f"check the network, or {ANOTHER}"
ELSEWHERE = f"trade on --venue sim, or {ANOTHER} that serves you"


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """Where a live market is, and how patient to be with it, in wall seconds."""

    rest: str = REST
    stream: str = STREAM
    seed: int = 0
    """Of the jitter in the pauses, so that two that were cut off together do not come back together."""
    answer_s: float = 10.0
    start_s: float = 20.0
    """All that a start reads has to be there within it."""
    heartbeat_s: float = 5.0
    """After so long without a frame a ping goes out; the pong has half as long."""
    silence_s: float = 30.0
    """A connection without data for so long is a dead one, although it answers pings."""
    behind_s: float = 5.0
    """How long there may be trades without any change of their book."""
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0


def advice(error: Exception) -> str:
    """What to do about a live market that could not be had."""
    status = getattr(error, "status", None)
    if status == RESTRICTED:
        return ELSEWHERE
    if status in TOO_MANY:
        seconds = getattr(error, "retry_after", None) or PAUSE_S
        return f"it has been asked too much from this address: start again in {seconds:g} s"
    return ADVICE


class Pauses:
    """How long to wait before each attempt: the first not at all, then twice as long each time, with jitter.

    After `longest_pause_s` without an attempt all is well again.
    """

    def __init__(self, settings: LiveSettings, name: str) -> None:
        self._first_s, self._longest_s = settings.first_pause_s, settings.longest_pause_s
        self._rng = Random(f"{settings.seed}/{name}")
        self._attempts = 0
        self._last_s = 0.0

    def next(self, now_s: float) -> float:
        """Wall seconds to wait from `now_s` on before the next attempt."""
        if now_s - self._last_s > self._longest_s:
            self._attempts = 0
        doubled = self._first_s * 2.0 ** min(self._attempts - 1, 30) if self._attempts else 0.0
        pause_s = min(self._longest_s, doubled) * (0.5 + self._rng.random() / 2)
        self._attempts += 1
        self._last_s = now_s + pause_s
        return pause_s


class LiveSocket:
    """One connection to the venue's combined streams. Pings are answered by the library."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, silence_s: float) -> None:
        self._socket = socket
        self._silence_s = silence_s

    async def next(self) -> bytes:
        """The next frame. Raises NetworkError, saying how, where the connection has ended or is as good as ended."""
        try:
            async with asyncio.timeout(self._silence_s):
                message = await self._socket.receive()
        except TimeoutError as error:
            raise NetworkError(f"its stream was silent for {self._silence_s:g} s") from error
        if message.type in TEXTS:
            data = message.data
            return data.encode() if isinstance(data, str) else bytes(data)
        failure = self._socket.exception()
        how = reason(failure) if failure is not None else f"close code {self._socket.close_code}"
        raise NetworkError(f"its stream has ended ({how})")

    async def close(self) -> None:
        await self._socket.close()


class LiveSource:
    """An open live market. `start_ms` is when the minute opened that was being formed at the start."""

    def __init__(self, settings: LiveSettings, symbols: Sequence[str], session: aiohttp.ClientSession) -> None:
        self.settings = settings
        self.symbols = tuple(symbols)
        self.rest = LiveRest(session, settings.rest, settings.answer_s)
        self.served: Mapping[str, Entry] = {}
        self.minutes: Mapping[str, tuple[Bar, ...]] = {}
        """One-minute candles by symbol from before the start, oldest first; the last one is still forming."""
        self.start_ms = 0
        self._session = session
        self._first: LiveSocket | None = None

    @classmethod
    async def open(cls, settings: LiveSettings, symbols: Sequence[str]) -> LiveSource:
        """Read rules and candles and connect once, so that what does not work is known at the start.

        Raises NetworkError in one sentence, OperatorError for symbols that the venue does not trade.
        """
        # No proxy of the environment: what it holds back or repeats would be traded on.
        source = cls(settings, symbols, aiohttp.ClientSession(trust_env=False))
        try:
            async with asyncio.timeout(settings.start_s):
                await source._open()
        except BaseException as error:
            await source.close()
            if isinstance(error, TimeoutError):
                why = f"{settings.rest} and {settings.stream} did not answer within {settings.start_s:g} s"
                raise NetworkError(f"The live market cannot be had: {why}; {ADVICE}.") from error
            if isinstance(error, (NetworkError, ExchangeError, MarketDataError)):
                why = str(error).rstrip(". ")
                raise NetworkError(f"The live market cannot be had: {why}; {advice(error)}.") from error
            raise
        return source

    async def _open(self) -> None:
        self.served = await self.rest.entries(self.symbols)
        pages = await asyncio.gather(*(self.rest.newest_minutes(each, HISTORY_MINUTES) for each in self.symbols))
        self.minutes = dict(zip(self.symbols, pages, strict=True))
        empty = [symbol for symbol, bars in self.minutes.items() if not bars]
        if empty:
            raise OperatorError(
                f"{self.settings.rest} has no candles of {', '.join(empty)}; leave it out of --symbols."
            )
        self.start_ms = max(bars[-1].candle.open_ms for bars in self.minutes.values())
        self._first = await self._connect()

    def history(self, _symbol: str, _before_ms: int, _limit: int) -> tuple[Candle, ...]:
        """Nothing: the minutes from before the start are kept with those that follow."""
        return ()

    async def connect(self) -> LiveSocket:
        """A connection to all streams of all symbols. Raises NetworkError."""
        first, self._first = self._first, None
        return first or await self._connect()

    async def _connect(self) -> LiveSocket:
        settings = self.settings
        names = "/".join(f"{symbol.lower()}@{stream}" for symbol in self.symbols for stream in STREAMS)
        try:
            async with asyncio.timeout(settings.answer_s):
                socket = await self._session.ws_connect(
                    f"{settings.stream.rstrip('/')}/stream?streams={names}",
                    heartbeat=settings.heartbeat_s,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSING_S),
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            if isinstance(error, aiohttp.WSServerHandshakeError) and error.status == RESTRICTED:
                raise refusal(settings.stream, error.status, b"", "") from error
            raise NetworkError(f"{settings.stream} cannot be connected to: {reason(error)}.") from error
        return LiveSocket(socket, settings.silence_s)

    async def close(self) -> None:
        if self._first is not None:
            await self._first.close()
        await self._session.close()
