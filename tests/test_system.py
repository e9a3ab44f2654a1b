"""The system's figures are read from what each part published, and say in words why it is not ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.sample_figures import NOW_NS, ORDERS, RISK, STRATEGIES, STREAMS, SYSTEM
from thunes.domain.figures import (
    ActorFigures,
    AlertFigures,
    BreakerFigures,
    ExchangeFigures,
    MachineFigures,
    StreamFigures,
    SystemFigures,
)
from thunes.system import Sources, read_figures

SYMBOLS = ("BTCUSDT", "ETHUSDT")
STARTED_NS = 100_000_000_000


@dataclass(frozen=True)
class Box:
    waiting: int = 0
    oldest: int = 0

    def __len__(self) -> int:
        return self.waiting

    def oldest_ns(self) -> int:
        return self.oldest


def board() -> dict[str, Any]:
    """What the actors of a system that is ready have published."""
    return {
        "risk": RISK,
        "breaker": BreakerFigures("BinanceAPI", "closed", 2),
        "audit": SYSTEM.journal,
        "metrics": SYSTEM.trading,
        **{f"order.{symbol}": figures for symbol, figures in ORDERS.items()},
        **{f"strategy.{symbol}": figures for symbol, figures in STRATEGIES.items()},
        **{f"stream.{symbol}": replace(figures, connected=True) for symbol, figures in STREAMS.items()},
    }


@dataclass
class System:
    """The places that figures are read from; a test changes one of them."""

    figures: dict[str, Any] = field(default_factory=board)
    handled: dict[str, int] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)
    exchange: ExchangeFigures = field(default_factory=lambda: ExchangeFigures(used_weight=25, clock_skew_ms=1.5))
    planted: bool = True
    machine: Callable[[], MachineFigures] = lambda: MachineFigures(1, 2, 3)

    def read(self) -> SystemFigures:
        return read_figures(
            Sources(
                venue="sim",
                version="1.0",
                git_sha="abc",
                symbols=SYMBOLS,
                figures=self.figures,
                handled=self.handled,
                boxes=self.boxes,
                exchange=lambda: self.exchange,
                now_ns=lambda: NOW_NS,
                started_ns=STARTED_NS,
                ready=lambda: self.planted,
                machine=self.machine,
            )
        )

    def actor(self, name: str, box: Box | None = None) -> ActorFigures:
        self.boxes[name] = box or Box()
        (actor,) = self.read().actors
        return actor


def test_a_home_that_is_gone_takes_its_disk_s_figures_with_it_and_nothing_else() -> None:
    def gone() -> MachineFigures:
        raise FileNotFoundError("home")

    assert System().read().machine == MachineFigures(1, 2, 3)
    assert System(machine=gone).read().machine is None
    assert System(machine=gone).read().ready


def test_alerts_are_known_once_somebody_tells_of_them() -> None:
    alerts = AlertFigures(1, {})
    assert System().read().alerts is None
    assert System(figures={**board(), "alert": alerts}).read().alerts == alerts


def test_with_streams_account_and_books_in_step_it_is_ready() -> None:
    figures = System().read()
    assert (figures.ready, figures.not_ready) == (True, "")


def test_until_every_actor_has_started_it_is_not_ready() -> None:
    figures = System(planted=False).read()
    assert (figures.ready, figures.not_ready) == (False, "the actors are starting")


@pytest.mark.parametrize("name", [*SYMBOLS, "account"])
def test_a_stream_that_is_not_connected_or_never_was_is_named(name: str) -> None:
    system = System()
    system.figures[f"stream.{name}"] = replace(system.figures[f"stream.{name}"], connected=False)
    assert (system.read().ready, system.read().not_ready) == (False, f"not connected: {name}")
    del system.figures[f"stream.{name}"]
    assert (system.read().ready, system.read().not_ready) == (False, f"not connected: {name}")


def test_all_streams_that_are_away_are_named_at_once() -> None:
    system = System()
    del system.figures["stream.ETHUSDT"], system.figures["stream.account"]
    assert system.read().not_ready == "not connected: ETHUSDT, account"


def test_until_books_and_exchange_agree_it_is_not_ready() -> None:
    words = "account, open orders and books are not in step yet"
    system = System()
    system.figures["risk"] = replace(RISK, synced=False)
    assert (system.read().ready, system.read().not_ready) == (False, words)
    del system.figures["risk"]
    assert (system.read().ready, system.read().not_ready) == (False, words)


def test_a_system_of_which_nothing_is_known_yet_can_be_read() -> None:
    figures = System(figures={}, planted=False).read()
    parts = (
        figures.risk,
        figures.journal,
        figures.trading,
        dict(figures.breakers),
        dict(figures.orders),
        figures.actors,
    )
    assert parts == (None, None, None, {}, {}, ())


def test_every_part_is_shown_as_it_was_published() -> None:
    system = System()
    figures = system.read()
    assert (figures.risk, figures.journal, figures.trading) == (RISK, SYSTEM.journal, SYSTEM.trading)
    assert (figures.orders, figures.strategies) == (ORDERS, STRATEGIES)
    assert set(figures.streams) == {*SYMBOLS, "account"}
    assert figures.breakers == {"BinanceAPI": system.figures["breaker"]}
    assert (figures.venue, figures.version, figures.git_sha) == ("sim", "1.0", "abc")
    assert (figures.uptime_s, figures.now_ns) == (800.0, NOW_NS)


def test_figures_of_another_kind_under_a_name_are_not_taken_for_it() -> None:
    system = System()
    system.figures["risk"] = StreamFigures("BTCUSDT", connected=True, last_frame_ns=1)
    system.figures["stream.BTCUSDT"] = RISK
    figures = system.read()
    assert figures.risk is None
    assert "BTCUSDT" not in figures.streams


def test_the_exchange_s_figures_are_the_gate_s_whatever_a_single_call_was_told() -> None:
    told = ExchangeFigures(25, 1.5, 6_000, {"10S": 3}, paused_until_ns=7)
    system = System(exchange=told)
    system.figures["breaker"] = BreakerFigures("BinanceAPI", "closed", 0)
    assert system.read().exchange == told


@pytest.mark.parametrize(
    ("state", "restarts", "shown"),
    [
        ("down", 0, "stopped"),
        ("starting", 0, "starting"),
        ("starting", 2, "restarting"),
        ("running", 2, "running"),
        ("leaving", 0, "stopping"),
        ("leaving", 1, "stopping"),
    ],
)
def test_an_actors_state_is_told_in_the_words_for_people(state: str, restarts: int, shown: str) -> None:
    system = System()
    system.figures["supervisor"] = {"risk": (state, restarts)}
    actor = system.actor("risk")
    assert (actor.state, actor.restarts) == (shown, restarts)


def test_the_supervisor_runs_as_long_as_anybody_can_ask_and_a_name_that_it_does_not_know_is_stopped() -> None:
    assert System().actor("supervisor").state == "running"
    assert System().actor("risk").state == "stopped"


def test_an_actors_row_has_what_waits_for_it_and_for_how_long() -> None:
    system = System(handled={"risk": 7})
    actor = system.actor("risk", Box(3, NOW_NS - 2_500_000))
    assert (actor.name, actor.mailbox, actor.oldest_ms, actor.handled) == ("risk", 3, 2.5, 7)


def test_an_empty_mailbox_has_no_age_and_an_actor_that_handled_nothing_says_so() -> None:
    actor = System().actor("risk")
    assert (actor.mailbox, actor.oldest_ms, actor.handled) == (0, 0.0, 0)
