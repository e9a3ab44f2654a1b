"""How a system reaches its venue: addresses and keys, clients and sockets, and the embedded exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from thunes.exchange.binance import BinanceRest
from thunes.exchange.gate import Gate
from thunes.exchange.streams import AccountSocket, MarketSocket
from thunes.settings import Settings, load_keys
from thunes.storage.home import Home
from thunes.venue import EMBEDDED, EmbeddedExchange, Endpoints, ReadySignal, Spawn, exchange_arguments, public_endpoints


class Clock(Protocol):
    """The machine's clocks (`actors.runtime.clock.Clock`)."""

    def wall_ms(self) -> int: ...
    def monotonic_ns(self) -> int: ...


def ignore(_event: str, _why: str) -> None:
    """Nobody needs to know."""


class Connections:
    """The ways to one venue. `on_event` hears of the embedded exchange's source: its event and why."""

    def __init__(
        self,
        settings: Settings,
        home: Home,
        environ: Mapping[str, str],
        clock: Clock,
        *,
        spawn: Spawn,
        make_signal: Callable[[], ReadySignal],
        on_event: Callable[[str, str], None] = ignore,
    ) -> None:
        self.exchange: EmbeddedExchange | None = None
        self._settings = settings
        self._home = home
        self._environ = environ
        self._clock = clock
        self._spawn = spawn
        self._make_signal = make_signal
        self._on_event = on_event
        self._gates: dict[str, Gate] = {}

    def endpoints(self) -> Endpoints:
        """Where the venue is; the embedded exchange is started for it."""
        if self._settings.run.venue not in EMBEDDED:
            return public_endpoints(self._settings.run.venue, self._settings.exchange, load_keys(self._environ))
        arguments = ["--home", str(self._home.path), *exchange_arguments(self._settings)]
        self.exchange = EmbeddedExchange(
            arguments, spawn=self._spawn, make_signal=self._make_signal, on_event=self._on_event
        )
        return self.exchange.start()

    def make_rest(self, endpoints: Endpoints) -> BinanceRest:
        """A client of its own for each thread."""
        return BinanceRest(
            endpoints.rest,
            endpoints.api_key,
            endpoints.api_secret,
            timeout=self._settings.exchange.timeout,
            wall_ms=self._clock.wall_ms,
            gate=self.gate(endpoints),
        )

    def gate(self, endpoints: Endpoints) -> Gate:
        """What all requests to a venue share: a pause that one of them is asked for is everybody's."""
        made = Gate(wall_ms=self._clock.wall_ms, monotonic_ns=self._clock.monotonic_ns)
        return self._gates.setdefault(endpoints.rest, made)

    def market_socket(self, endpoints: Endpoints) -> Callable[..., MarketSocket]:
        return partial(MarketSocket, endpoints.stream, **self._socket_options())

    def account_socket(self, endpoints: Endpoints, rest: Callable[[], BinanceRest]) -> Callable[..., AccountSocket]:
        """It signs with the exchange's time, which `rest` knows."""
        return partial(
            AccountSocket,
            endpoints.ws_api,
            endpoints.api_key,
            endpoints.api_secret,
            wall_ms=lambda: self._clock.wall_ms() + int(rest().figures.clock_skew_ms),
            gate=self.gate(endpoints),
            **self._socket_options(),
        )

    def _socket_options(self) -> dict[str, Any]:
        return {
            "spawn": self._spawn,
            "monotonic_ns": self._clock.monotonic_ns,
            "timeout": self._settings.exchange.timeout,
        }
