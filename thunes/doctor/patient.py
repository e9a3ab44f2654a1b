"""What is examined: a home, its settings, and the venue that they lead to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from thunes.exchange.binance import BinanceRest
from thunes.exchange.streams import AccountSocket, MarketSocket
from thunes.settings import Settings
from thunes.storage.home import Home


@dataclass(frozen=True, slots=True)
class Venue:
    """An exchange that can be asked. `rest` makes a client whose clock is the exchange's, for one thread each."""

    where: str
    rest: Callable[[], BinanceRest]
    market_socket: Callable[..., MarketSocket]
    account_socket: Callable[[BinanceRest], Callable[..., AccountSocket]]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Patient:
    """`open_venue` holds an exchange for as long as its block lasts; `account` is whose the home has to be."""

    settings: Settings
    home: Home
    environ: Mapping[str, str]
    account: str
    open_venue: Callable[[], AbstractContextManager[Venue]]
    spawn: Callable[[str, Callable[[], None]], None]
    monotonic_ns: Callable[[], int]
    send_test: bool = False
    """Whether each chat gets a message that says that this is a test."""

    @property
    def telegram_url(self) -> str:
        return self.settings.alerts.telegram_url

    @property
    def home_id(self) -> str:
        """Empty for a home that nobody has claimed."""
        owner = self.home.read_owner()
        return owner[2] if owner is not None else ""

    def ms_since(self, start_ns: int) -> float:
        return (self.monotonic_ns() - start_ns) / 1e6
