"""Market streams: `/ws/<name>` raw and `/stream?streams=a/b` combined, with live SUBSCRIBE and UNSUBSCRIBE.

Answers and error objects are those of web-socket-streams.md, "Live Subscribing/Unsubscribing to streams".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from thunes.exchange.simulator.connections import Connection
from thunes.exchange.simulator.hub import Hub, Listener

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
LONGEST_ID = 36


class Refusal(Exception):
    """A control message that is answered with an error object."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def invalid(message: str) -> Refusal:
    return Refusal(2, f"Invalid request: {message}")


class StreamSession:
    """One connection's control messages."""

    def __init__(self, hub: Hub, listener: Listener, most_streams: int) -> None:
        self._hub = hub
        self._listener = listener
        self._most_streams = most_streams
        self._handlers: dict[str, Callable[[Any], Any]] = {
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._unsubscribe,
            "LIST_SUBSCRIPTIONS": self._list,
            "SET_PROPERTY": self._set_property,
            "GET_PROPERTY": self._get_property,
        }

    @property
    def connection(self) -> Connection:
        return self._listener.connection

    async def receive(self, text: str) -> None:
        self.connection.send(orjson.dumps(self.answer(text)))

    def answer(self, text: str) -> dict[str, Any]:
        """What one control message is answered with."""
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            message = f"Invalid JSON: expected value at line {error.lineno} column {error.colno}"
            return {"code": 3, "msg": message}
        request_id = request.get("id") if isinstance(request, dict) else None
        try:
            return {"result": self._handle(request), "id": request_id}
        except Refusal as refusal:
            named = {"id": request_id} if is_request_id(request_id) and request_id is not None else {}
            return {"code": refusal.code, "msg": refusal.message, **named}

    def _handle(self, request: Any) -> Any:
        if not isinstance(request, dict):
            raise invalid("expected an object")
        if "id" not in request or not is_request_id(request["id"]):
            raise invalid("request ID must be an unsigned integer")
        if "method" not in request:
            raise invalid("missing field `method` at line 1 column 1")
        method = request["method"]
        if not isinstance(method, str) or method not in METHODS:
            expected = ", ".join(f"`{name}`" for name in METHODS)
            raise invalid(f"unknown variant `{method}`, expected one of {expected} at line 1 column 1")
        if set(request) - {"id", "method", "params"}:
            raise invalid("too many parameters")
        return self._handlers[method](request.get("params"))

    def _subscribe(self, params: Any) -> None:
        names = stream_names(params)
        if len(self._listener.streams.keys() | names) > self._most_streams:
            raise invalid(f"too many streams; a connection can listen to at most {self._most_streams}")
        self._hub.subscribe(self._listener, names)

    def _unsubscribe(self, params: Any) -> None:
        self._hub.unsubscribe(self._listener, stream_names(params))

    def _list(self, params: Any) -> list[str]:
        if params:
            raise invalid("too many parameters")
        return list(self._listener.streams)

    def _set_property(self, params: Any) -> None:
        property_name(params)
        if len(params) != 2 or not isinstance(params[1], bool):
            raise Refusal(1, "Invalid value type: expected Boolean")
        self._listener.combined = params[1]

    def _get_property(self, params: Any) -> bool:
        property_name(params)
        if len(params) > 1:
            raise invalid("too many parameters")
        return self._listener.combined


def is_request_id(value: Any) -> bool:
    """A 64-bit integer, an alphanumeric string of at most 36 characters, or null."""
    if isinstance(value, str):
        return len(value) <= LONGEST_ID and value.replace("-", "").isalnum()
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def stream_names(params: Any) -> list[str]:
    if not isinstance(params, list) or not params or not all(isinstance(name, str) and name for name in params):
        raise invalid("stream names must be a list of strings")
    return params


def property_name(params: Any) -> None:
    if not isinstance(params, list) or not params or not isinstance(params[0], str):
        raise invalid("property name must be a string")
    if params[0] != "combined":
        raise Refusal(0, "Unknown property")
