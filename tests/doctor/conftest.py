"""A patient over an embedded exchange whose market the test writes."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.conftest import Exchange, exchange, start
from tests.exchange.rest_calls import adapter
from thunes.doctor.patient import Patient, Venue
from thunes.exchange.binance import BinanceRest
from thunes.exchange.streams import AccountSocket, MarketSocket
from thunes.settings import load
from thunes.storage.home import Home

__all__ = ["exchange", "start"]

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def litter() -> Iterator[None]:
    """What the exchange's client library leaves open, and the end of a process would close, is dropped unsaid here."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def spawn(name: str, function: Callable[[], None]) -> None:
    threading.Thread(target=function, name=name, daemon=True).start()


def venue_of(running: Exchange, *, rest_url: str = "", stream_url: str = "", secret: str = "") -> Venue:
    """The exchange as a venue; an address or the secret replaced where the test wants it wrong."""
    sockets: dict[str, Any] = {"spawn": spawn, "monotonic_ns": time.monotonic_ns, "timeout": 5.0}
    stream, secret = stream_url or running.running.stream, secret or running.secret

    def account_socket(_rest: BinanceRest) -> Callable[..., AccountSocket]:
        address = f"{stream}/ws-api/v3"
        return partial(
            AccountSocket, address, running.key, secret, wall_ms=lambda: time.time_ns() // 1_000_000, **sockets
        )

    return Venue(
        where="the test's",
        rest=lambda: adapter(rest_url or running.running.rest, running.key, secret),
        market_socket=partial(MarketSocket, stream, **sockets),
        account_socket=account_socket,
        secrets=(running.key, secret),
    )


MakePatient = Callable[..., Patient]


@pytest.fixture
def patient_of(tmp_path: Path) -> MakePatient:
    """A patient with a home of this test; settings as variables of the environment, `venue` where one is asked."""

    def make(
        venue: Venue | None = None, environ: dict[str, str] | None = None, account: str = "embedded", **more: Any
    ) -> Patient:
        given = environ or {}
        flags = {"symbols": "BTCUSDT"}
        return Patient(
            settings=load(environ=given, flags=flags),
            home=Home(tmp_path / "home"),
            environ=given,
            account=account,
            open_venue=lambda: nullcontext(venue),  # type: ignore[arg-type,return-value]
            spawn=spawn,
            monotonic_ns=time.monotonic_ns,
            **more,
        )

    return make
