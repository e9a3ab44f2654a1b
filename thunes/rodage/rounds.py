"""What a drill measures, and how it is judged. Pure; times are seconds of one monotonic clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thunes.domain.market import ExecutionReport
from thunes.messages import Side

GOAL_MS, GOAL_HUNG_MS = 50.0, 2000.0


@dataclass(slots=True)
class Entries:
    """The account's entry orders as its stream tells of them: when each was accepted, and which still rest."""

    accepted: list[float] = field(default_factory=list)
    cancelled: list[float] = field(default_factory=list)
    resting: set[str] = field(default_factory=set)

    def hear(self, report: ExecutionReport, at: float) -> None:
        if report.side is not Side.BUY:
            return
        if report.execution == "NEW":
            self.accepted.append(at)
        if report.execution == "CANCELED":
            self.cancelled.append(at)
        if report.status.is_open and report.order_type != "MARKET":
            self.resting.add(report.client_order_id)
        else:
            self.resting.discard(report.client_order_id)

    def forget(self) -> None:
        """Begin a round; what rests stays."""
        self.accepted.clear()
        self.cancelled.clear()


@dataclass(frozen=True, slots=True)
class Round:
    """One kill: milliseconds from the command."""

    acknowledged_ms: float
    last_order_ms: float
    """To the last entry order that the exchange accepted; 0 when none came after the command."""
    last_cancel_ms: float
    late_orders: int
    """Entry orders that it accepted once the kill was acknowledged, and all that was on its way had been heard."""
    left_open: int
    """Entry orders that were not cancelled."""
    refused: int
    """Entries that risk refused while the switch was on: how hard it was tried."""


def measure(entries: Entries, told: float, acknowledged: float, settled: float, refused: int) -> Round:
    """What the account's stream said of one kill, from the moment that it was told.

    Until `settled` it may say what the exchange did before the acknowledgement.
    """

    def after_ms(moments: Iterable[float]) -> float:
        return max((1000 * (at - told) for at in moments if at > told), default=0.0)

    return Round(
        acknowledged_ms=1000 * (acknowledged - told),
        last_order_ms=after_ms(entries.accepted),
        last_cancel_ms=after_ms(entries.cancelled),
        late_orders=sum(1 for at in entries.accepted if at > settled),
        left_open=len(entries.resting),
        refused=refused,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of them is at or below."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


MEASURED: Mapping[str, str] = {
    "last_order_ms": "last entry order accepted",
    "last_cancel_ms": "last entry order cancelled",
    "acknowledged_ms": "acknowledged",
}


@dataclass(frozen=True, slots=True)
class Report:
    """Some rounds of one kind."""

    rounds: tuple[Round, ...]
    hung: bool
    activations: int
    """Lines of the journal that say that the switch was thrown; one for each round is right."""

    @property
    def goal_ms(self) -> float:
        return GOAL_HUNG_MS if self.hung else GOAL_MS

    def figures(self, name: str) -> dict[str, float]:
        values = [float(getattr(each, name)) for each in self.rounds]
        found = {"p50": percentile(values, 0.5), "p99": percentile(values, 0.99), "max": max(values)}
        return {label: round(value, 1) for label, value in found.items()}

    def complaints(self) -> list[str]:
        """Why the drill has failed, a sentence each; nothing when it has not."""
        found = []
        if late := sum(each.late_orders for each in self.rounds):
            found.append(f"{late} entry orders were accepted after the kill was acknowledged.")
        if left := sum(each.left_open for each in self.rounds):
            found.append(f"{left} entry orders stayed open.")
        if self.activations != len(self.rounds):
            found.append(f"{len(self.rounds)} kills are {self.activations} in the journal.")
        for name in ("last_order_ms", "last_cancel_ms"):
            p99 = self.figures(name)["p99"]
            if p99 > self.goal_ms:
                found.append(f"p99 to the {MEASURED[name]} is {p99:g} ms; the goal is {self.goal_ms:g} ms.")
        return found

    def document(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "drill": "kill",
            "hung": self.hung,
            "times": len(self.rounds),
            "goal_ms": self.goal_ms,
            **{name: self.figures(name) for name in MEASURED},
            "refused": sum(each.refused for each in self.rounds),
            "complaints": self.complaints(),
            "passed": not self.complaints(),
        }
