"""One request to the exchange through python-binance's Client: its signing and parameters, our errors and limits.

One instance for each thread: a session is not shared; the gate is, by all of an account. An error says whose it is:
ExchangeError is the exchange's clear "no", NetworkError means that nobody knows whether the request was carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import requests
from binance.client import Client
from binance.exceptions import BinanceAPIException, BinanceRequestException

from thunes.domain.budget import TOO_MANY_REQUESTS, Kind, Pause
from thunes.domain.figures import ExchangeFigures
from thunes.errors import ExchangeError, HeldBack, NetworkError
from thunes.exchange import keys
from thunes.exchange.gate import Gate, retry_after_s
from thunes.exchange.last_look import LastLook, Unless

T = TypeVar("T")

FATE_UNKNOWN = frozenset({-1001, -1006, -1007, -1008})
"""Codes that say nothing of whether the request was carried out (errors.md)."""

MISSHAPEN = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError)
"""What reading an answer raises that is not what is documented; a nesting too deep to read is a RecursionError."""

TIMESTAMP_OUTSIDE_WINDOW = -1021
SAPI = "/sapi/"
"""A venue that does not have these paths may answer them with a firewall's 403, which asks for no pause."""
LONGEST_PAGE = 200
"""What is kept of an answer that is not the exchange's JSON."""


class RestClient:
    """A session of one account with one venue, and what every request goes through."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        api_secret: str,
        *,
        timeout: float,
        wall_ms: Callable[[], int],
        recv_window: int = 5_000,
        gate: Gate | None = None,
    ) -> None:
        """`api_secret` is an HMAC secret or an Ed25519 private key as PEM (`thunes.exchange.keys`).

        `gate` is what all that ask as this account share; one made here is for a client that is alone.
        """
        own = (
            {"private_key": keys.canonical(api_secret)}
            if keys.is_private_key(api_secret)
            else {"api_secret": api_secret}
        )
        client = Client(api_key, requests_params={"timeout": timeout}, ping=False, **own)
        _close_loop(client)
        client.API_URL = f"{base_url}/api"
        client.MARGIN_API_URL = f"{base_url}/sapi"
        client.REQUEST_RECVWINDOW = recv_window
        # A proxy of the environment must not see, delay or answer an order.
        client.session.trust_env = False
        # A redirect would send the order again, and the key to wherever it points.
        client.session.max_redirects = 0
        self._client = client
        self._wall_ms = wall_ms
        self.gate = gate or Gate(wall_ms=wall_ms, monotonic_ns=lambda: wall_ms() * 1_000_000)

    def __repr__(self) -> str:
        return f"BinanceRest({self._client.API_URL})"

    @property
    def figures(self) -> ExchangeFigures:
        """What the answers' headers and the last look at the exchange's clock said, to any that shares the gate."""
        return self.gate.figures

    def sync_clock(self, kind: Kind = Kind.SESSION) -> None:
        """Let all that share the gate sign with the exchange's time: half the round trip is taken as the way back."""
        before = self._wall_ms()
        server_ms = self._answer(lambda answer: int(answer["serverTime"]), self._client.get_server_time, kind)
        self.gate.skew_ms = server_ms - (before + self._wall_ms()) // 2

    def _call(
        self, shape: Callable[[Any], T], request: Callable[[], Any], kind: Kind = Kind.READ, orders: int = 0
    ) -> T:
        """The answer to one request. One whose timestamp was refused was not carried out: with the exchange's clock
        read anew it is sent again, once.
        """
        try:
            return self._answer(shape, request, kind, orders)
        except ExchangeError as error:
            if error.code != TIMESTAMP_OUTSIDE_WINDOW:
                raise
            with suppress(ExchangeError, NetworkError):
                # With a cancel's own right of way: during a pause nobody else may read the clock for it.
                self.sync_clock(Kind.CANCEL if kind is Kind.CANCEL else Kind.SESSION)
            return self._answer(shape, request, kind, orders)

    def _looking(self, unless: Unless | None, request: Callable[[], Any]) -> Callable[[], Any]:
        """The request, whose body goes out only if nothing has come up by then."""
        if unless is None:
            return request

        def look_and_send() -> Any:
            self._client.session.auth = LastLook(unless)
            try:
                return request()
            finally:
                self._client.session.auth = None

        return look_and_send

    def _answer(self, shape: Callable[[Any], T], request: Callable[[], Any], kind: Kind, orders: int = 0) -> T:
        """The answer to one request, in the shape wanted; HeldBack where the gate does not let it out.

        An answer that cannot be brought into it says nothing of whether the request was carried out, as silence does.
        """
        ticket = self.gate.admit(kind, orders)
        client = self._client
        client.timestamp_offset, client.response = self.gate.skew_ms, None
        pause, counted = None, True
        try:
            return shape(request())
        except (BinanceAPIException, BinanceRequestException, requests.RequestException, *MISSHAPEN) as error:
            ours, pause = self._ours(error, client.response)
            counted = isinstance(ours, NetworkError)
            raise ours from error
        except HeldBack:
            counted = False
            raise
        finally:
            headers = {} if client.response is None else client.response.headers
            self.gate.settle(ticket, headers, counted=counted, pause=pause)

    def _ours(
        self, error: Exception, response: requests.Response | None
    ) -> tuple[ExchangeError | NetworkError, Pause | None]:
        """Whose fault an error is, and the pause that the answer asks for. 429 and 418 refuse, whatever their body."""
        if response is None:
            return not_as_it_should(error), None
        status, headers = response.status_code, response.headers
        code, message = own_words(error)
        pause = None
        if status != 403 or SAPI not in response.url:
            pause = self.gate.pause_asked(status, code, message, headers)
        if status in (418, 429) and code not in FATE_UNKNOWN:
            return ExchangeError(code or TOO_MANY_REQUESTS, message, status, pause.seconds if pause else None), pause
        if not isinstance(error, BinanceAPIException):
            return not_as_it_should(error), pause
        if not 400 <= status < 500 or code in FATE_UNKNOWN or not code:
            text = f"The exchange answered {status} (code={code} {message}); its fate is unknown."
            return NetworkError(text), pause
        return ExchangeError(
            code, message, status, retry_after_s(headers.get("Retry-After"), self.gate.exchange_ms)
        ), pause


def not_as_it_should(error: Exception) -> NetworkError:
    return NetworkError(f"The exchange did not answer as it should ({type(error).__name__}); ask again.")


def own_words(error: Exception) -> tuple[int, str]:
    """The exchange's code and message, or 0 and the beginning of what came instead: a page may be long."""
    code, message = getattr(error, "code", 0), getattr(error, "message", "")
    known = code if type(code) is int else 0
    return known, str(message) if known else " ".join(str(message).split())[:LONGEST_PAGE]


def _close_loop(client: Client) -> None:
    """The library makes an event loop in each thread, for coroutines that we never ask for.

    It would stay open, with its two sockets, until the thread's client is forgotten.
    """
    if not client.loop.is_running():
        client.loop.close()
        asyncio.set_event_loop(None)
