"""From a request to its answer: limits, signature, parameters, endpoint. REST and the WebSocket API share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from thunes.errors import ExchangeError
from thunes.exchange.simulator import signing
from thunes.exchange.simulator.limits import AddressLimits, Limits
from thunes.exchange.simulator.params import Params, missing

Act = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key's secret and the account it trades for."""

    secret: str
    account: str


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed its security checks; `account` is empty for public endpoints."""

    params: Params
    account: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One documented request.

    `prepare` reads the parameters and hands back what does the work, so that a parameter nobody knows is refused before
    anything happens. With `trades` the request costs weight only when it fails.
    """

    prepare: Callable[[Call], Act]
    weight: Callable[[Params], int]
    signed: bool = False
    trades: bool = False
    places: bool = False
    """The answer of this one is an accepted order, and is counted."""


class Keys(Protocol):
    def credentials(self, key: str) -> Credentials | None: ...


class Dispatcher:
    """Answers calls in the order in which the exchange checks them."""

    def __init__(self, keys: Keys, limits: Limits, wall: Callable[[], float]) -> None:
        self.limits = limits
        self.wall = wall
        self._keys = keys

    def answer(
        self, endpoint: Endpoint, params: Params, address: AddressLimits, key: str | None, payload: bytes
    ) -> tuple[Any, str]:
        """The result and the account it is about. Raises ExchangeError; `payload` is what the client signed."""
        weight = self._weight(endpoint, params, address)
        address.charge(self.wall(), 0 if endpoint.trades else weight)
        try:
            account = self.authenticate(params, key, payload) if endpoint.signed else ""
            act = endpoint.prepare(Call(params, account))
            params.finish()
            result = act()
        except ExchangeError:
            if endpoint.trades:
                address.weight.add(self.wall(), weight)
            raise
        return result, account

    def _weight(self, endpoint: Endpoint, params: Params, address: AddressLimits) -> int:
        try:
            return endpoint.weight(params)
        except ExchangeError:
            address.charge(self.wall(), 1)
            raise

    def authenticate(self, params: Params, key: str | None, payload: bytes) -> str:
        """The account of a signed request; raises ExchangeError -2014, -1102, -1021, -2015 or -1022."""
        checked = signing.check_key_format(key)
        window = params.window()
        timestamp = params.integer("timestamp")
        if timestamp is None:
            raise missing("timestamp")
        given = params.required("signature")
        signing.check_time(timestamp, window, self.wall())
        credentials = self._keys.credentials(checked)
        if credentials is None:
            raise ExchangeError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        signing.check_signature(credentials.secret, payload, given)
        return credentials.account


def error_body(error: ExchangeError) -> Mapping[str, Any]:
    return {"code": error.code, "msg": error.message}
