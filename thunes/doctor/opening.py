"""The exchange that is asked: the venue's own, that of the running system, or one started for this alone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from thunes.connections import Connections
from thunes.doctor.patient import Venue
from thunes.exchange.binance import BinanceRest
from thunes.exchange.keys import to_hide
from thunes.settings import WITH_KEYS, Settings
from thunes.storage.home import Home
from thunes.venue import Endpoints, credentials


@contextmanager
def open_venue(
    settings: Settings, home: Home, environ: Mapping[str, str], connect: Callable[[Home], Connections]
) -> Iterator[Venue]:
    """The venue, until the block ends; what was started for it is gone then, and so is what it wrote."""
    name, running = settings.run.venue, running_exchange(settings.run.venue, home, environ)
    if running is not None:
        yield _venue("the running system's", connect(home), running)
        return
    if name in WITH_KEYS:
        connections = connect(home)
        yield _venue(name, connections, connections.endpoints())
        return
    with tempfile.TemporaryDirectory(prefix="thunes-doctor-") as folder:
        connections = connect(Home(Path(folder)))
        try:
            yield _venue("started for this alone", connections, connections.endpoints())
        finally:
            if connections.exchange is not None:
                connections.exchange.stop()


def running_exchange(venue: str, home: Home, environ: Mapping[str, str]) -> Endpoints | None:
    """The embedded exchange of the system that runs on this home; None where none does, or it needs none."""
    run = home.read_run()
    if venue in WITH_KEYS or run is None or run.get("venue") != venue or home.holder() != str(run.get("pid")):
        return None
    found = credentials(home, environ)
    if found is None:
        return None
    stream = "ws" + found.rest.removeprefix("http")
    return Endpoints(found.rest, stream, f"{stream}/ws-api/v3", found.api_key, found.api_secret)


def _venue(where: str, connections: Connections, endpoints: Endpoints) -> Venue:
    def rest() -> BinanceRest:
        client = connections.make_rest(endpoints)
        client.sync_clock()
        return client

    return Venue(
        where=where,
        rest=rest,
        market_socket=connections.market_socket(endpoints),
        account_socket=lambda client: connections.account_socket(endpoints, lambda: client),
        secrets=(endpoints.api_key, *to_hide(endpoints.api_secret)),
    )
