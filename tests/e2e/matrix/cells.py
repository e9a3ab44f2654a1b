"""The cells of the fault matrix: which fault can meet an order at which step.

A step is where the order is, as the exchange sees it, when the fault strikes:

- before send: risk is about to approve it, or has; no request is on the wire
- sent: the request is on the wire, and the exchange has not carried it out
- accepted: it rests without a fill, and the answer to its request is not back
- partly filled: a part is filled and the rest rests (with faults of the request: its answer is not back)
- filled: all is filled, and the answer is not back
- cancelling: it is partly filled, and the request to cancel it is on the wire

A cell is a fault, a step and a side, and it is counted where the three can meet:

- A fault of a request strikes that request. What keeps the exchange from carrying it out can only meet an order that is
  `sent`; what spoils the answer meets one that is accepted, partly filled or filled by then. Both kinds meet a cancel.
  Before send there is no request.
- A fault of the reports needs a report: of the acceptance, of a part, of the whole fill, of the cancellation. Before
  send and sent there is none.
- What befalls the streams, the clock, or THUNES as a whole (a kill, with and without -9) meets every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e.matrix.bench import TIMEOUT
from tests.e2e.matrix.table import STEPS

BEFORE, SENT, ACCEPTED, PARTLY, FILLED, CANCELLING = STEPS
KINDS = {ACCEPTED: "resting", PARTLY: "partial", CANCELLING: "partial"}
"""What the script is told to order, so that the order comes to that step; elsewhere a MARKET order."""
PLACE, CANCEL = "POST /api/v3/order", "DELETE /api/v3/order"

Spec = Mapping[str, Any]
"""What the control endpoint is told."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One order that one fault meets. `specs` are all asked for at once."""

    fault: str
    step: str
    specs: tuple[Spec, ...] = ()
    alone: bool = False
    """It befalls the whole account, so no other cell may be under way: a pause, or a comparison of all balances."""


def fault(name: str, **details: Any) -> Spec:
    return {"fault": name, **details}


LATE, TOO_LATE = TIMEOUT + 0.5, 7.0
"""Seconds: after the client has given up but within the request's window, and after that window."""

NOT_CARRIED_OUT: Mapping[str, Spec] = {
    "lose-request": fault("lose-request"),
    "hold-request, dropped": fault("hold-request", seconds=LATE, then="drop"),
    "hold-request, late": fault("hold-request", seconds=LATE, then="process"),
    "hold-request, past its window": fault("hold-request", seconds=TOO_LATE, then="process"),
    "reject": fault("reject", code=-2010, message="Account has insufficient balance for requested action.", status=400),
    "limit 429": fault("limit", status=429, retry_after=1),
    "limit 418": fault("limit", status=418, retry_after=1),
}
ANSWER_SPOILT: Mapping[str, Spec] = {
    "accept-then-504": fault("accept-then-504", status=504, code=-1007),
    "accept-then-503": fault("accept-then-504", status=503, code=-1006),
    "lose-answer": fault("lose-answer"),
    "hold-answer": fault("hold-answer", seconds=LATE),
    "slow": fault("slow", seconds=1.0),
    "garbage": fault("garbage"),
}
REPORTS = ("drop-report", "delay-report", "double-report", "reorder-report")
REPORTED = {ACCEPTED: "NEW", PARTLY: "TRADE", FILLED: "TRADE", CANCELLING: "CANCELED"}


def of_requests() -> Iterator[Cell]:
    for name, spec in NOT_CARRIED_OUT.items():
        alone = name.startswith(("limit", "reject"))
        yield Cell(name, SENT, ({**spec, "match": PLACE},), alone)
        yield Cell(name, CANCELLING, ({**spec, "match": CANCEL},), alone)
    for name, spec in ANSWER_SPOILT.items():
        for step in (ACCEPTED, PARTLY, FILLED):
            yield Cell(name, step, ({**spec, "match": PLACE},))
        yield Cell(name, CANCELLING, ({**spec, "match": CANCEL},))


def of_reports() -> Iterator[Cell]:
    """With the answer there, and with the answer lost too."""
    for name in REPORTS:
        for step, kind in REPORTED.items():
            more = {"seconds": 1.0} if name == "delay-report" else {}
            spec = fault(name, kind=kind, **more)
            yield Cell(name, step, (spec,))
            lost = fault("lose-answer", match=CANCEL if step == CANCELLING else PLACE)
            yield Cell(f"{name} and lose-answer", step, (spec, lost))
