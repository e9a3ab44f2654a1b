"""From a request to its answer: limits, signature, parameters, endpoint. REST and the WebSocket API share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from thunes.errors import ExchangeError
from thunes.exchange.simulator import signing
from thunes.exchange.simulator.limits import AddressLimits, Limits
from thunes.exchange.simulator.params import Params, missing

Act = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key's secret, or the public key that it was registered with, and the account it trades for."""

    secret: str
    account: str
    public_key: Ed25519PublicKey | None = None


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
        self,
        endpoint: Endpoint,
        params: Params,
        address: AddressLimits,
        key: str | None,
        payload: bytes,
        logged_on: str = "",
    ) -> tuple[Any, str]:
        """The result and the account it is about. Raises ExchangeError; `payload` is what the client signed.

        `logged_on` is the account of the session that asks, if any: it need not name a key and sign.
        """
        weight = self._weight(endpoint, params, address)
        address.charge(self.wall(), 0 if endpoint.trades else weight)
        try:
            account = self.authenticate(params, key, payload, logged_on) if endpoint.signed else ""
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

    def authenticate(self, params: Params, key: str | None, payload: bytes, logged_on: str = "") -> str:
        """The account of a signed request; raises ExchangeError -2014, -1102, -1021, -2015 or -1022."""
        if logged_on and key is None:
            self._check_time(params)
            return logged_on
        checked = signing.check_key_format(key)
        given = self._check_time(params, signed=True)
        credentials = self._keys.credentials(checked)
        if credentials is None:
            raise ExchangeError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if credentials.public_key is not None:
            signing.check_ed25519(credentials.public_key, payload, given)
        else:
            signing.check_signature(credentials.secret, payload, given)
        return credentials.account

    def _check_time(self, params: Params, signed: bool = False) -> str:
        """Raises unless it is fresh; the signature, which has to be there when `signed`."""
        window = params.window()
        timestamp = params.integer("timestamp")
        if timestamp is None:
            raise missing("timestamp")
        given = params.required("signature") if signed else ""
        signing.check_time(timestamp, window, self.wall())
        return given

    def may_log_on(self, key: str) -> bool:
        """Whether sessions can be authenticated with this key: only with Ed25519 ones (web-socket-api.md)."""
        credentials = self._keys.credentials(key)
        return credentials is not None and credentials.public_key is not None


class Refusal(ExchangeError):
    """A refusal that says more than code and message."""

    def __init__(self, code: int, message: str, status: int, data: Mapping[str, Any]) -> None:
        super().__init__(code, message, status)
        self.data = data


def error_body(error: ExchangeError) -> Mapping[str, Any]:
    body = {"code": error.code, "msg": error.message}
    return body | {"data": error.data} if isinstance(error, Refusal) else body
