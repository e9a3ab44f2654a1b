"""All published figures as one value: what `/metrics`, `/api/status`, the live table and the summary read."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from thunes.domain.figures import (
    ActorFigures,
    AlertFigures,
    BreakerFigures,
    ExchangeFigures,
    JournalFigures,
    MachineFigures,
    OrderFigures,
    RiskFigures,
    StrategyFigures,
    StreamFigures,
    SystemFigures,
    TradeFigures,
)

T = TypeVar("T")

STATES = {"down": "stopped", "starting": "starting", "running": "running", "leaving": "stopping"}


class Box(Protocol):
    """A mailbox, as far as its depth and age are asked for."""

    def __len__(self) -> int: ...
    def oldest_ns(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures are read: references that the actors replace, and the mailboxes themselves."""

    venue: str
    version: str
    git_sha: str
    symbols: Sequence[str]
    figures: Mapping[str, Any]
    handled: Mapping[str, int]
    boxes: Mapping[str, Box]
    exchange: Callable[[], ExchangeFigures]
    now_ns: Callable[[], int]
    started_ns: int
    ready: Callable[[], bool]
    machine: Callable[[], MachineFigures]


def machine_figures(home: Path) -> MachineFigures:
    """The process's peak memory, the size of the home's disk and the room that is left on it."""
    disk = shutil.disk_usage(home)
    return MachineFigures(
        rss_peak_kb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, disk_free=disk.free, disk_size=disk.total
    )


def read_figures(sources: Sources) -> SystemFigures:
    """The system at this moment. Takes no lock that an actor holds while it works, so it answers when one hangs."""
    figures, now_ns = sources.figures, sources.now_ns()
    streams = _by_symbol(figures, "stream", StreamFigures)
    risk = _one(figures, "risk", RiskFigures)
    breaker = _one(figures, "breaker", BreakerFigures)
    why = _not_ready(sources, streams, risk)
    return SystemFigures(
        venue=sources.venue,
        version=sources.version,
        git_sha=sources.git_sha,
        uptime_s=(now_ns - sources.started_ns) / 1e9,
        now_ns=now_ns,
        ready=not why,
        not_ready=why,
        actors=_actors(sources, now_ns),
        streams=streams,
        strategies=_by_symbol(figures, "strategy", StrategyFigures),
        risk=risk,
        breakers={breaker.name: breaker} if breaker is not None else {},
        orders=_by_symbol(figures, "order", OrderFigures),
        journal=_one(figures, "audit", JournalFigures),
        trading=_one(figures, "metrics", TradeFigures),
        exchange=sources.exchange(),
        machine=_machine(sources),
        alerts=_one(figures, "alert", AlertFigures),
    )


def _machine(sources: Sources) -> MachineFigures | None:
    try:
        return sources.machine()
    except OSError:
        return None  # a home that is gone must not take the kill switch's page with it


def _one(figures: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    found = figures.get(name)
    return found if isinstance(found, kind) else None


def _by_symbol(figures: Mapping[str, Any], prefix: str, kind: type[T]) -> dict[str, T]:
    named = {name.partition(".")[2]: figures[name] for name in list(figures) if name.startswith(prefix + ".")}
    return {symbol: found for symbol, found in named.items() if isinstance(found, kind)}


def _not_ready(sources: Sources, streams: Mapping[str, StreamFigures], risk: RiskFigures | None) -> str:
    if not sources.ready():
        return "the actors are starting"
    away = [name for name in (*sources.symbols, "account") if name not in streams or not streams[name].connected]
    if away:
        return f"not connected: {', '.join(away)}"
    if risk is None or not risk.synced:
        return "account, open orders and books are not in step yet"
    return ""


def _actors(sources: Sources, now_ns: int) -> tuple[ActorFigures, ...]:
    status: Mapping[str, tuple[str, int]] = sources.figures.get("supervisor", {})
    rows = []
    for name, box in sources.boxes.items():
        state, restarts = status.get(name, ("running" if name == "supervisor" else "down", 0))
        oldest = box.oldest_ns()
        shown = "restarting" if state == "starting" and restarts else STATES.get(state, state)
        rows.append(
            ActorFigures(
                name=name,
                state=shown,
                mailbox=len(box),
                oldest_ms=(now_ns - oldest) / 1e6 if oldest else 0.0,
                handled=sources.handled.get(name, 0),
                restarts=restarts,
            )
        )
    return tuple(rows)
