"""The WebSocket API, `/ws-api/v3`: requests by name, and the account stream (web-socket-api.md).

Events of an account arrive as `{"subscriptionId": N, "event": {...}}`; one subscription an account and connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from thunes.errors import ExchangeError
from thunes.exchange.simulator import signing
from thunes.exchange.simulator.connections import Connection
from thunes.exchange.simulator.dispatch import Dispatcher, Endpoint, error_body
from thunes.exchange.simulator.faults import Faults
from thunes.exchange.simulator.latency import Latency, Line
from thunes.exchange.simulator.limits import AddressLimits
from thunes.exchange.simulator.logon import Logon
from thunes.exchange.simulator.methods import REST_NAMES
from thunes.exchange.simulator.params import Params
from thunes.exchange.simulator.report_faults import Event, ReportFaults
from thunes.exchange.simulator.request_faults import Lost, RequestFaults, Spoilt, cut

SESSION_WEIGHT = 2
LOGON = "session.logon"
MOST_SUBSCRIPTIONS = 1000


@dataclass(frozen=True, slots=True)
class Way:
    """What is between a client and the exchange."""

    faults: RequestFaults
    latency: Latency


class Accounts:
    """Which connections listen to which account."""

    def __init__(self, faults: Faults) -> None:
        self._sessions: dict[ApiSession, None] = {}
        self._faults = faults
        self._reports = ReportFaults(faults, self._send)

    def join(self, session: ApiSession) -> None:
        self._sessions[session] = None

    def leave(self, session: ApiSession) -> None:
        self._sessions.pop(session, None)

    def publish(self, account: str, event: Event) -> None:
        """Send an event, built with its times multiplied by 1 or 1000, to all that listen to `account`."""
        if self.listening(account):
            self._reports.pass_on(account, event)

    def listening(self, account: str) -> int:
        """How many connections listen to an account."""
        return sum(1 for session in self._sessions if session.listens(account))

    def _send(self, account: str, event: Event) -> None:
        garbage = self._faults.account_frame() is not None
        for session in self._sessions:
            session.event(account, event, garbage=garbage)


class ApiSession:
    """One connection: its requests and its subscriptions."""

    def __init__(
        self,
        connection: Connection,
        dispatcher: Dispatcher,
        methods: Mapping[str, Endpoint],
        address: AddressLimits,
        scale: int,
        show_limits: bool,
        way: Way,
    ) -> None:
        self.connection = connection
        self._dispatcher = dispatcher
        self._methods = methods
        self._address = address
        self._scale = scale
        self._show_limits = show_limits
        self._way = way
        self._incoming, self._outgoing = Line(), Line()
        self._befallen: set[asyncio.Task[None]] = set()
        self._subscriptions: dict[int, str] = {}
        self._next_subscription = 0
        self._logon = Logon(self._now_ms())
        self._session_methods: dict[str, Callable[[Params, str], Any]] = {
            "session.status": self._status,
            "session.logout": self._log_out,
            "userDataStream.subscribe": self._subscribe_logged_on,
            "userDataStream.subscribe.signature": self._subscribe,
            "userDataStream.unsubscribe": self._unsubscribe,
            "session.subscriptions": self._list,
        }

    def listens(self, account: str) -> bool:
        return account in self._subscriptions.values()

    def event(self, account: str, event: Event, *, garbage: bool = False) -> None:
        """Send an event of an account that is subscribed to here."""
        way_s = self._way.latency.half()
        for number, subscribed in self._subscriptions.items():
            if subscribed == account:
                frame = orjson.dumps({"subscriptionId": number, "event": event(self._scale)})
                self._send(way_s, cut(frame) if garbage else frame)

    async def receive(self, text: str) -> None:
        """Take a request; it is answered in its turn."""
        way_s = self._way.latency.half()
        self._incoming.send(way_s, lambda: self._arrived(text, way_s))

    def _arrived(self, text: str, way_s: float) -> None:
        if not self._way.faults.watches:
            self._send(way_s, orjson.dumps(self.answer(text)))
            return
        task = asyncio.ensure_future(self._suffer(text, way_s))
        self._befallen.add(task)
        task.add_done_callback(self._befallen.discard)

    async def _suffer(self, text: str, way_s: float) -> None:
        """Answer a request that a fault may befall."""
        request_id, calls, symbol = named(text)
        try:
            await self._way.faults.before(calls, symbol)
            answer = self.answer(text)
            spoilt = await self._way.faults.after(calls, symbol)
        except Lost:
            self.connection.drop()
            return
        except ExchangeError as error:
            answer, spoilt = {"id": request_id, "status": error.status, "error": self._error(error)}, None
        self._send(way_s, self._changed(answer, spoilt))

    def _changed(self, answer: dict[str, Any], spoilt: Spoilt | None) -> bytes:
        if spoilt is not None and spoilt.status:
            answer = {"id": answer["id"], "status": spoilt.status, "error": self._error(spoilt.error())}
        frame = orjson.dumps(answer)
        return cut(frame) if spoilt is not None and not spoilt.status else frame

    def _send(self, way_s: float, frame: bytes) -> None:
        self._outgoing.send(way_s, lambda: self.connection.send(frame))

    def answer(self, text: str) -> dict[str, Any]:
        """What one request is answered with."""
        request_id: Any = None
        account, show = "", self._show_limits
        body: dict[str, Any]
        try:
            request = parsed(text)
            request_id = request.get("id")
            sent = request.get("params", {})
            if "returnRateLimits" in sent:
                show = sent["returnRateLimits"] is True
            result, account = self._handle(request, sent)
            body = {"id": request_id, "status": 200, "result": result}
        except ExchangeError as error:
            body = {"id": request_id, "status": error.status, "error": self._error(error)}
        if show:
            body["rateLimits"] = self._rate_limits(account)
        return body

    def _error(self, error: ExchangeError) -> dict[str, Any]:
        body = dict(error_body(error))
        if error.retry_after is not None:
            now_ms = self._now_ms()
            body["data"] = {"serverTime": now_ms, "retryAfter": now_ms + int(error.retry_after * 1000)}
        return body

    def _rate_limits(self, account: str) -> list[dict[str, Any]]:
        now, limits = self._dispatcher.wall(), self._dispatcher.limits
        weight = limits.rows()[0] | {"count": self._address.weight.count(now)}
        return [*(limits.orders(account).rows(now) if account else ()), weight]

    def _handle(self, request: Mapping[str, Any], sent: Mapping[str, Any]) -> tuple[Any, str]:
        method = request.get("method")
        if not isinstance(method, str):
            raise ExchangeError(-1102, "Mandatory parameter 'method' was not sent, was empty/null, or malformed.")
        name = method.removeprefix("v3/")
        values = {key: as_parameter(value) for key, value in sent.items() if key not in ("apiKey", "returnRateLimits")}
        params, key = Params(values), sent.get("apiKey")
        payload = signing.socket_payload(sent)
        if name == LOGON:
            return self._log_on(params, as_key(key), payload)
        if name in self._session_methods:
            self._address.charge(self._dispatcher.wall(), SESSION_WEIGHT)
            if name.endswith(".signature"):
                account = self._dispatcher.authenticate(params, as_key(key), payload)
                return self._session_methods[name](params, account), account
            return self._session_methods[name](params, ""), ""
        endpoint = self._methods.get(name)
        if endpoint is None:
            self._address.charge(self._dispatcher.wall(), 1)
            raise ExchangeError(-1020, "This operation is not supported.")
        logged_on = "" if "apiKey" in sent else self._logon.account
        return self._dispatcher.answer(endpoint, params, self._address, as_key(key), payload, logged_on)

    def _log_on(self, params: Params, key: str | None, payload: bytes) -> tuple[dict[str, Any], str]:
        self._address.charge(self._dispatcher.wall(), SESSION_WEIGHT)
        account = self._dispatcher.authenticate(params, key, payload)
        params.finish()
        if key is None or not self._dispatcher.may_log_on(key):
            raise ExchangeError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        self._logon.begin(key, account, self._now_ms())
        return self._session(), account

    def _status(self, params: Params, _account: str) -> dict[str, Any]:
        params.finish()
        return self._session()

    def _log_out(self, params: Params, _account: str) -> dict[str, Any]:
        params.finish()
        subscription = self._logon.end()
        if subscription in self._subscriptions:
            self._terminate(subscription)
        return self._session()

    def _session(self) -> dict[str, Any]:
        return self._logon.facts(
            self._now_ms(), self._scale, limits=self._show_limits, subscribed=bool(self._subscriptions)
        )

    def _now_ms(self) -> int:
        return int(self._dispatcher.wall() * 1000)

    def _subscribe_logged_on(self, params: Params, _account: str) -> dict[str, int]:
        if not self._logon.account:
            raise ExchangeError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        answer = self._subscribe(params, self._logon.account)
        self._logon.subscription = answer["subscriptionId"]
        return answer

    def _subscribe(self, params: Params, account: str) -> dict[str, int]:
        params.finish()
        if account in self._subscriptions.values():
            raise ExchangeError(-2035, "User Data Stream subscription already active.")
        if len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
            raise ExchangeError(-2042, "Maximum subscription ID reached for this connection.")
        number = self._next_subscription
        self._next_subscription += 1
        self._subscriptions[number] = account
        return {"subscriptionId": number}

    def _unsubscribe(self, params: Params, _account: str) -> dict[str, Any]:
        wanted = params.integer("subscriptionId")
        params.finish()
        if wanted is not None and wanted not in self._subscriptions:
            raise ExchangeError(-2036, "User Data Stream subscription not active.")
        for number in list(self._subscriptions) if wanted is None else [wanted]:
            self._terminate(number)
        return {}

    def _terminate(self, number: int) -> None:
        del self._subscriptions[number]
        event = {"e": "eventStreamTerminated", "E": self._now_ms() * self._scale}
        self._send(0.0, orjson.dumps({"subscriptionId": number, "event": event}))

    def _list(self, params: Params, _account: str) -> list[dict[str, int]]:
        params.finish()
        return [{"subscriptionId": number} for number in self._subscriptions]


def parsed(text: str) -> dict[str, Any]:
    """A request object; raises ExchangeError -1135 for anything else."""
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError:
        request = None
    if not isinstance(request, dict) or not isinstance(request.get("params", {}), dict):
        raise ExchangeError(-1135, "Invalid JSON Request")
    return request


def named(text: str) -> tuple[Any, tuple[str, ...], str]:
    """A request's id, the names that it goes by, and its symbol; empty where it has none."""
    try:
        request = parsed(text)
    except ExchangeError:
        return None, (), ""
    method = str(request.get("method", "")).removeprefix("v3/")
    names = (method, REST_NAMES[method]) if method in REST_NAMES else (method,)
    return request.get("id"), names, str(request.get("params", {}).get("symbol", ""))


def as_parameter(value: Any) -> str:
    return orjson.dumps(value).decode() if isinstance(value, list | dict) else signing.as_text(value)


def as_key(value: Any) -> str | None:
    return value if isinstance(value, str) else None
