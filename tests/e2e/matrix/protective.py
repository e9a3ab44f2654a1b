"""Protective orders under faults: while they are placed, while they rest, while they are cancelled, and as they sell.

A stop alone, and a pair: a stop with a take-profit beside it, one cancelling the other, placed in one request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.e2e.matrix.bench import SYMBOLS, Bench, until
from tests.e2e.matrix.cells import CANCEL, LATE, PLACE, Spec, fault
from tests.e2e.matrix.strikes import kill_9
from tests.e2e.matrix.table import Row
from thunes.domain.books import has_ended
from thunes.domain.journal import AuditEvent
from thunes.messages import Side

FAR, BELOW, ABOVE = "0.5", "0.02", "0.08"
"""How far from the market no trade comes, and how far one does now and then."""
SOLD = 90.0

SPOILT: Mapping[str, Spec] = {
    "lose-request": fault("lose-request"),
    "hold-request, late": fault("hold-request", seconds=LATE, then="process"),
    "accept-then-504": fault("accept-then-504", status=504, code=-1007),
    "lose-answer": fault("lose-answer"),
    "hold-answer": fault("hold-answer", seconds=LATE),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A stop or a pair: what the entry bears, how its protection is sent, and how many orders that is."""

    name: str
    far: Mapping[str, str]
    near: Mapping[str, str]
    """What is reached soon: a stop's stop, a pair's take-profit."""
    request: str
    orders: int


STOP = Kind("stop", {"stop_loss": FAR}, {"stop_loss": BELOW}, PLACE, 1)
PAIR = Kind(
    "pair",
    {"stop_loss": FAR, "take_profit": FAR},
    {"stop_loss": FAR, "take_profit": ABOVE},
    "POST /api/v3/orderList/oco",
    2,
)

Act = Callable[[Bench, str], None]


@dataclass(frozen=True, slots=True)
class Case:
    fault: str
    step: str
    act: Act


def together(kind: Kind) -> list[Case]:
    """Those of one symbol."""
    found = [Case(name, f"{kind.name} placed", placed_under(kind, spec)) for name, spec in SPOILT.items()]
    found += [Case(name, f"{kind.name} cancelled", cancelled_under(kind, spec)) for name, spec in SPOILT.items()]
    return [*found, Case("drop-report", f"{kind.name} triggered", triggered_unheard(kind))]


def alone(kind: Kind) -> list[Case]:
    """Those that need the process for themselves."""
    return [
        Case("kill -9", f"{kind.name} placed", killed_while_it_is_placed(kind)),
        Case("kill -9", f"{kind.name} resting", killed_while_it_rests(kind)),
        Case("kill -9", f"{kind.name} triggered", triggered_while_down(kind)),
    ]


def run(bench: Bench) -> list[Row]:
    """Each symbol works through a share of the cases, all at the same time; then come those that need all."""
    cases = [case for kind in (PAIR, STOP) for case in together(kind)]

    def lane(number: int) -> list[Row]:
        return [row(bench, SYMBOLS[number], case) for case in cases[number :: len(SYMBOLS)]]

    with ThreadPoolExecutor(len(SYMBOLS)) as pool:
        rows = [each for found in pool.map(lane, range(len(SYMBOLS))) for each in found]
    return rows + [row(bench, SYMBOLS[0], case) for kind in (STOP, PAIR) for case in alone(kind)]


def row(bench: Bench, symbol: str, case: Case) -> Row:
    """One case, and the end of all that it made."""
    started = time.monotonic()
    try:
        bench.prepare(symbol)
        case.act(bench, symbol)
        bench.flat(symbol)
        bench.assert_symbol_agrees(symbol)
        assert resting(bench, symbol) == 0, "something rests that the books do not know"
        why = ""
    except AssertionError as error:
        why = f"{symbol}: {error}"
    return Row(case.fault, case.step, Side.BUY, time.monotonic() - started, "" if why else "in step", why)


def enter(bench: Bench, symbol: str, terms: Mapping[str, str]) -> str:
    """Buy with protection; the entry's correlation id, which the protective orders bear too."""
    told = bench.order(symbol, "market", Side.BUY, **terms)
    bench.ended(told)
    return told.key


def legs(bench: Bench, key: str) -> Sequence[AuditEvent]:
    """The lines of an entry's protective orders."""
    return [e for e in bench.journal.events() if e.correlation_id == key and e.metadata.get("leg")]


def resting(bench: Bench, symbol: str) -> int:
    with bench.asking:
        return len(bench.rest.open_orders(symbol))


def rests(bench: Bench, kind: Kind, key: str) -> None:
    """The journal knows the protection to rest."""

    def accepted() -> bool:
        return sum(e.event == "ORDER_ACCEPTED" for e in legs(bench, key)) >= kind.orders

    until(accepted, what=f"a {kind.name} that rests")


def has_sold(bench: Bench, key: str) -> None:
    until(lambda: any(e.event == "ORDER_FILLED" for e in legs(bench, key)), SOLD, "the protection's sale")


def placed_under(kind: Kind, spec: Spec) -> Act:
    """The fault is asked for when the entry's own request, where that is of the same kind, has been let through."""
    before = spec["fault"] in ("lose-request", "hold-request")
    harmless = fault("hold-request", seconds=0.01, then="process") if before else fault("slow", seconds=0.01)

    def act(bench: Bench, symbol: str) -> None:
        for each in (harmless, spec) if kind.request == PLACE else (spec,):
            number = bench.control.add(**{**each, "symbol": symbol, "match": kind.request, "count": 1})
        key = enter(bench, symbol, kind.far)
        until(lambda: bench.control.fired(number), what="the fault")
        rests(bench, kind, key)
        assert resting(bench, symbol) == kind.orders, f"one {kind.name} is all there may be"

    return act


def cancelled_under(kind: Kind, spec: Spec) -> Act:
    """An exit has to take the protection away before it can sell what that holds."""

    def act(bench: Bench, symbol: str) -> None:
        rests(bench, kind, enter(bench, symbol, kind.far))
        number = bench.control.add(**{**spec, "symbol": symbol, "match": CANCEL, "count": 1})
        bench.write(symbol, "all", Side.SELL)
        until(lambda: bench.control.fired(number), what="the fault")

    return act


def triggered_unheard(kind: Kind) -> Act:
    """It sells, and the report of that is lost as the entry's was: what is open is asked about now and then."""

    def act(bench: Bench, symbol: str) -> None:
        number = bench.control.add("drop-report", symbol=symbol, kind="TRADE", count=2)
        has_sold(bench, enter(bench, symbol, kind.near))
        assert bench.control.fired(number) == 2, "the sale's report was not lost"

    return act


def killed_while_it_is_placed(kind: Kind) -> Act:
    """The request is on the wire, and the exchange carries it out while nobody is there."""

    def act(bench: Bench, symbol: str) -> None:
        if kind.request == PLACE:  # the entry's own request passes first
            bench.control.add("hold-request", symbol=symbol, match=PLACE, count=1, seconds=0.01, then="process")
        number = bench.control.add(
            "hold-request", symbol=symbol, match=kind.request, count=1, seconds=LATE, then="process"
        )
        key = bench.order(symbol, "market", Side.BUY, **kind.far).key
        until(lambda: bench.control.fired(number), what="the protection on the wire")
        kill_9(bench)
        bench.start()
        rests(bench, kind, key)
        assert resting(bench, symbol) == kind.orders, f"one {kind.name} is all there may be"

    return act


def killed_while_it_rests(kind: Kind) -> Act:
    def act(bench: Bench, symbol: str) -> None:
        key = enter(bench, symbol, kind.far)
        rests(bench, kind, key)
        kill_9(bench)
        bench.start()
        assert resting(bench, symbol) == kind.orders, f"one {kind.name} is all there may be"
        assert not any(has_ended(e) for e in legs(bench, key))

    return act


def triggered_while_down(kind: Kind) -> Act:
    def act(bench: Bench, symbol: str) -> None:
        key = enter(bench, symbol, kind.near)
        rests(bench, kind, key)
        kill_9(bench)
        until(lambda: not resting(bench, symbol), SOLD, "the sale at the exchange", every=0.5)
        bench.start()
        has_sold(bench, key)

    return act
