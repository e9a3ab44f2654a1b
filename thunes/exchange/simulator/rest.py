"""REST requests of the embedded exchange: from HTTP to an endpoint and back, with what befalls them on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from thunes.errors import ExchangeError
from thunes.exchange.simulator import signing
from thunes.exchange.simulator.dispatch import Dispatcher, Endpoint, error_body
from thunes.exchange.simulator.latency import Latency
from thunes.exchange.simulator.limits import AddressLimits
from thunes.exchange.simulator.params import Params
from thunes.exchange.simulator.payloads import in_microseconds
from thunes.exchange.simulator.player import pause
from thunes.exchange.simulator.request_faults import Lost, RequestFaults, Spoilt, cut

JSON = "application/json"


class Rest:
    """Answers one request after the other of each connection, as HTTP has it."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        table: Mapping[tuple[str, str], Endpoint],
        faults: RequestFaults,
        latency: Latency,
    ) -> None:
        self._dispatcher = dispatcher
        self._table = table
        self._faults = faults
        self._latency = latency
        self.answered: Counter[str] = Counter()
        """Requests by the status of their answer, though it may be lost on its way."""

    async def request(self, request: web.Request) -> web.Response:
        """It is processed even where its client has gone by then."""
        body = b"" if request.method == "GET" else await request.read()
        way_s = self._latency.half()
        await under_way(way_s)
        try:
            response = await self._response(request, body)
            self.answered[str(response.status)] += 1
        except Lost:
            self.answered["lost"] += 1
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        await under_way(way_s)
        return response

    async def _response(self, request: web.Request, body: bytes) -> web.Response:
        if not self._faults.watches:
            return self._processed(request, body)
        calls, symbol = (f"{request.method} {request.path}",), symbol_of(request, body)
        try:
            await self._faults.before(calls, symbol)
        except ExchangeError as error:
            return refusal(error, self._used(self._address(request)))
        response = self._processed(request, body)
        spoilt = await self._faults.after(calls, symbol)
        return response if spoilt is None else changed(response, spoilt)

    def _processed(self, request: web.Request, body: bytes) -> web.Response:
        address = self._address(request)
        headers: dict[str, str] = {}
        try:
            endpoint = self._endpoint(request, address)
            result, account = self._answer(endpoint, request, body, address)
            if endpoint.places:
                headers |= self._order_counts(account)
            text = orjson.dumps(in_microseconds(result) if wants_microseconds(request) else result)
        except ExchangeError as error:
            return refusal(error, self._used(address))
        return web.Response(body=text, headers=headers | self._used(address), content_type=JSON)

    def _endpoint(self, request: web.Request, address: AddressLimits) -> Endpoint:
        endpoint = self._table.get((request.method, request.path))
        if endpoint is None:
            address.charge(self._dispatcher.wall(), 1)
            known = any(path == request.path for _, path in self._table)
            raise ExchangeError(-1020, "This operation is not supported.", 405 if known else 404)
        return endpoint

    def _answer(self, endpoint: Endpoint, request: web.Request, body: bytes, address: AddressLimits) -> tuple[Any, str]:
        query = query_of(request)
        params = Params.from_request(query, body.decode("utf-8", "replace"))
        payload = signing.signed_payload(query.encode(), body)
        return self._dispatcher.answer(endpoint, params, address, request.headers.get("X-MBX-APIKEY"), payload)

    def _order_counts(self, account: str) -> dict[str, str]:
        counts, now = self._dispatcher.limits.orders(account), self._dispatcher.wall()
        return {
            "X-MBX-ORDER-COUNT-10S": str(counts.ten_seconds.count(now)),
            "X-MBX-ORDER-COUNT-1D": str(counts.day.count(now)),
        }

    def _used(self, address: AddressLimits) -> dict[str, str]:
        used = str(address.weight.count(self._dispatcher.wall()))
        return {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}

    def _address(self, request: web.Request) -> AddressLimits:
        return self._dispatcher.limits.address(request.remote or "")


async def under_way(seconds: float) -> None:
    """A request or its answer takes so long; the loop's other tasks have their turn meanwhile."""
    if seconds:
        await pause(seconds)


def refusal(error: ExchangeError, headers: Mapping[str, str]) -> web.Response:
    """A request that was not carried out, in the exchange's words."""
    more = {} if error.retry_after is None else {"Retry-After": str(int(error.retry_after))}
    body = orjson.dumps(error_body(error))
    return web.Response(body=body, status=error.status, headers={**headers, **more}, content_type=JSON)


def changed(response: web.Response, spoilt: Spoilt) -> web.Response:
    """What goes out instead of an answer."""
    if not spoilt.status:
        assert isinstance(response.body, bytes)
        return web.Response(body=cut(response.body), status=response.status, content_type=JSON)
    if spoilt.code is None:
        return web.Response(body=spoilt.page(), status=spoilt.status, content_type="text/html")
    return refusal(spoilt.error(), {})


def query_of(request: web.Request) -> str:
    return request.raw_path.partition("?")[2].partition("#")[0]


def symbol_of(request: web.Request, body: bytes) -> str:
    """The symbol that a request names; empty where none."""
    try:
        return Params.from_request(query_of(request), body.decode("utf-8", "replace")).glance("symbol")
    except ExchangeError:
        return ""


def wants_microseconds(request: web.Request) -> bool:
    return request.headers.get("X-MBX-TIME-UNIT", "").upper() == "MICROSECOND"
