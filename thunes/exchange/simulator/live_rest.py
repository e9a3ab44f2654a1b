"""The live venue's public REST: rules, the book as it is now, and candles."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import aiohttp
import orjson

from thunes.errors import ExchangeError, MarketDataError, NetworkError, OperatorError
from thunes.exchange.simulator import rules
from thunes.exchange.simulator.live_book import Snapshot
from thunes.exchange.simulator.live_frames import MINUTE, decode_depth, decode_klines
from thunes.exchange.simulator.live_weight import Allowance
from thunes.exchange.simulator.player import pause
from thunes.exchange.simulator.tables import Bar

log = logging.getLogger(__name__)

DEEPEST = 5000
"""Levels of a side that a snapshot has at most; it weighs 250."""
MOST_CANDLES = 1000
BAD_SYMBOL = -1121
LONGEST_SAYING = 120
HTTP_OK = 200
RESTRICTED = 451
TOO_MANY = (403, 418, 429)
"""A firewall's refusal, a ban, and a limit that was reached: nothing may be asked for a while."""
PAUSE_S = 60.0
"""Where one of them does not say for how long."""
WEIGHTS = {"/api/v3/exchangeInfo": 20, "/api/v3/depth": 250, "/api/v3/klines": 2}
"""What each request weighs as it is asked here (rest-api.md)."""
TRADING = "TRADING"
OWN = ("permissions", "permissionSets", "defaultSelfTradePreventionMode", "allowedSelfTradePreventionModes")
"""Of the embedded account, not of the venue's."""


class Refused(NetworkError):
    """The venue turned a request away before it looked at it; `status` is HTTP's, `retry_after` in seconds."""

    def __init__(self, message: str, status: int, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


class LiveRest:
    """Unsigned requests, each within its time, all of them within the weight that the venue allows an address.

    After a refusal that asks for a pause, none is sent until it is over. Raises NetworkError where there is no answer,
    ExchangeError for a "no", MarketDataError for what cannot be read.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, seconds: float) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._allowance = Allowance()

    async def entries(self, symbols: Sequence[str]) -> dict[str, rules.Entry]:
        """The venue's exchangeInfo entries of these symbols, less what the embedded exchange cannot do.

        Raises OperatorError naming the symbols that the venue does not list or does not trade now.
        """
        try:
            found = await self._info(symbols)
        except ExchangeError as error:
            if error.code != BAD_SYMBOL:
                raise
            found = await self._one_by_one(symbols)
        missing = [symbol for symbol in symbols if found.get(symbol, {}).get("status") != TRADING]
        if missing:
            raise OperatorError(f"{self._url} does not trade {', '.join(missing)} now; leave it out of --symbols.")
        try:
            entries = {symbol: served(found[symbol]) for symbol in symbols}
            rules.symbol_rules(entries)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise MarketDataError("MALFORMED", f"{self._url}'s rules cannot be read ({error!r}).") from error
        return entries

    async def _one_by_one(self, symbols: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Those that are listed: the venue refuses a whole list for one that is not, and does not say which."""
        found: dict[str, Mapping[str, Any]] = {}
        for symbol in symbols:
            try:
                found |= await self._info([symbol])
            except ExchangeError as error:
                if error.code != BAD_SYMBOL:
                    raise
        return found

    async def _info(self, symbols: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        names = orjson.dumps(list(symbols)).decode()
        body = await self._get("/api/v3/exchangeInfo", symbols=names)
        try:
            return {entry["symbol"]: entry for entry in orjson.loads(body)["symbols"]}
        except (orjson.JSONDecodeError, LookupError, TypeError) as error:
            raise MarketDataError("MALFORMED", f"{self._url}'s exchangeInfo cannot be read ({error!r}).") from error

    async def depth(self, symbol: str) -> Snapshot:
        return decode_depth(await self._get("/api/v3/depth", symbol=symbol, limit=DEEPEST))

    async def newest_minutes(self, symbol: str, wanted: int) -> tuple[Bar, ...]:
        """The newest `wanted` one-minute candles, the last of them still forming, oldest first."""
        bars = await self._klines(symbol, newest_forms=True, limit=min(wanted, MOST_CANDLES))
        while bars and len(bars) < wanted:
            before_ms, limit = bars[0].candle.open_ms, min(MOST_CANDLES, wanted - len(bars))
            older = await self._klines(symbol, newest_forms=False, endTime=before_ms - 1, limit=limit)
            if not older:
                break
            bars = (*older, *bars)
        return bars

    async def minutes_from(self, symbol: str, start_ms: int) -> tuple[Bar, ...]:
        """One page of candles that open at `start_ms` or later, oldest first; the last counts as still forming."""
        return await self._klines(symbol, newest_forms=True, startTime=start_ms, limit=MOST_CANDLES)

    async def _klines(self, symbol: str, *, newest_forms: bool, **params: int) -> tuple[Bar, ...]:
        body = await self._get("/api/v3/klines", symbol=symbol, interval=MINUTE, **params)
        return decode_klines(symbol, body, newest_forms=newest_forms)

    async def _get(self, path: str, **params: str | int) -> bytes:
        await self._turn(WEIGHTS[path])
        try:
            async with self._session.get(self._url + path, params=params, timeout=self._timeout) as answer:
                body, status, headers = await answer.read(), answer.status, answer.headers
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NetworkError(f"{self._url} does not answer: {reason(error)}.") from error
        now_s, used = asyncio.get_running_loop().time(), headers.get("X-MBX-USED-WEIGHT-1M", "")
        if used.isdecimal():
            self._allowance.told(int(used), now_s)
        if status == HTTP_OK:
            return body
        refused = refusal(self._url, status, body, headers.get("Retry-After", ""))
        if refused.retry_after is not None:
            self._allowance.refused(refused.retry_after, now_s)
            log.warning("%s wants a pause of %g s; nothing is asked of it until then.", self._url, refused.retry_after)
        raise refused

    async def _turn(self, weight: int) -> None:
        """Wait until a request of this weight may be sent."""
        loop = asyncio.get_running_loop()
        while (left := self._allowance.wait_s(weight, loop.time())) > 0:
            await pause(left)
        self._allowance.sent(weight, loop.time())


def reason(error: BaseException) -> str:
    """What went wrong on the wire, in a few words."""
    return str(error) or type(error).__name__


def refusal(url: str, status: int, body: bytes, retry_after: str) -> ExchangeError | Refused:
    """The error of an answer that is not 200: the exchange's own words where it has some."""
    seconds = float(retry_after) if retry_after.isdecimal() else PAUSE_S if status in TOO_MANY else None
    if status == RESTRICTED:
        return Refused(f"{url} does not serve the place that this machine is in (HTTP status {status})", status)
    try:
        said = orjson.loads(body)
        return ExchangeError(int(said["code"]), str(said["msg"]), status, seconds)
    except (ValueError, LookupError, TypeError):
        page = body[:LONGEST_SAYING].decode(errors="replace").split("\n")[0]
        return Refused(f"{url} answers with HTTP status {status}: {page}", status, seconds)


def served(entry: Mapping[str, Any]) -> rules.Entry:
    """The venue's own entry, less what the embedded exchange cannot do."""
    ours = rules.entry(next(iter(rules.table().values())))
    kinds = [kind for kind in entry.get("orderTypes", ()) if kind in ours["orderTypes"]]
    flags = {name: able and bool(entry.get(name)) for name, able in ours.items() if isinstance(able, bool)}
    same = {name: ours[name] for name in OWN}
    return {**entry, **flags, **same, "orderTypes": kinds}
