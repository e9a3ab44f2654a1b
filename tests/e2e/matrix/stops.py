"""Protective stops under faults: while they are placed, while they rest, while they are cancelled, and as they sell."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.e2e.matrix.bench import SYMBOLS, Bench, until
from tests.e2e.matrix.cells import CANCEL, LATE, PLACE, Spec, fault
from tests.e2e.matrix.strikes import kill_9
from tests.e2e.matrix.table import Row
from thunes.domain.books import has_ended
from thunes.domain.journal import AuditEvent
from thunes.messages import Side

PLACED, RESTING, CANCELLED, TRIGGERED = "stop placed", "stop resting", "stop cancelled", "stop triggered"
FAR, NEAR = "0.5", "0.02"
"""A stop that no trade reaches, and one that the next dip does."""
SYMBOL = SYMBOLS[0]

SPOILT: dict[str, Spec] = {
    "lose-request": fault("lose-request"),
    "hold-request, late": fault("hold-request", seconds=LATE, then="process"),
    "accept-then-504": fault("accept-then-504", status=504, code=-1007),
    "lose-answer": fault("lose-answer"),
    "hold-answer": fault("hold-answer", seconds=LATE),
}


@dataclass(frozen=True, slots=True)
class Case:
    fault: str
    step: str
    act: Callable[[Bench, str], None]


def cases() -> list[Case]:
    """Those that need the process for themselves come last."""
    found = [Case(name, PLACED, placed_under(spec)) for name, spec in SPOILT.items()]
    found += [Case(name, CANCELLED, cancelled_under(spec)) for name, spec in SPOILT.items()]
    found.append(Case("drop-report", TRIGGERED, triggered_unheard))
    found.append(Case("kill -9", RESTING, killed_while_it_rests))
    found.append(Case("kill -9", TRIGGERED, triggered_while_down))
    return found


def run(bench: Bench) -> list[Row]:
    return [row(bench, SYMBOL, case) for case in cases()]


def row(bench: Bench, symbol: str, case: Case) -> Row:
    """One case, and the end of all that it made."""
    started = time.monotonic()
    try:
        bench.prepare(symbol)
        case.act(bench, symbol)
        bench.flat(symbol)
        bench.assert_symbol_agrees(symbol)
        with bench.asking:
            assert bench.rest.open_orders(symbol) == (), "something rests that the books do not know"
        why = ""
    except AssertionError as error:
        why = str(error)
    return Row(case.fault, case.step, Side.BUY, time.monotonic() - started, "" if why else "in step", why)


def enter(bench: Bench, symbol: str, stop_loss: str) -> str:
    """Buy with a stop; the entry's correlation id, which its stop bears too."""
    told = bench.tell(symbol, "market", stop_loss=stop_loss)
    assert told.approved, told.decision.reason
    bench.ended(told)
    return told.key


def stops(bench: Bench, key: str) -> list[AuditEvent]:
    """The lines of an entry's stops."""
    return [e for e in bench.journal.events() if e.correlation_id == key and e.metadata.get("leg")]


def rests(bench: Bench, key: str) -> None:
    until(lambda: any(e.event == "ORDER_ACCEPTED" for e in stops(bench, key)), what="a stop that rests")


def has_sold(bench: Bench, key: str) -> None:
    until(lambda: any(e.event == "ORDER_FILLED" for e in stops(bench, key)), 60, "the stop's sale in the journal")


def placed_under(spec: Spec) -> Callable[[Bench, str], None]:
    """The entry's own request is let through by a fault that does nothing; the stop's meets the one that is meant."""

    before = spec["fault"] in ("lose-request", "hold-request")
    harmless = fault("hold-request", seconds=0.01, then="process") if before else fault("slow", seconds=0.01)

    def act(bench: Bench, symbol: str) -> None:
        for each in (harmless, spec):
            number = bench.control.add(**{**each, "symbol": symbol, "match": PLACE, "count": 1})
        key = enter(bench, symbol, FAR)
        until(lambda: bench.control.fired(number), what="the fault")
        rests(bench, key)
        with bench.asking:
            assert len(bench.rest.open_orders(symbol)) == 1, "one stop is all there may be"

    return act


def cancelled_under(spec: Spec) -> Callable[[Bench, str], None]:
    """An exit has to take the stop away before it can sell what that holds."""

    def act(bench: Bench, symbol: str) -> None:
        rests(bench, enter(bench, symbol, FAR))
        number = bench.control.add(**{**spec, "symbol": symbol, "match": CANCEL, "count": 1})
        bench.write(symbol, "all", Side.SELL)
        until(lambda: bench.control.fired(number), what="the fault")

    return act


def triggered_unheard(bench: Bench, symbol: str) -> None:
    """The stop sells, and the report of it is lost: it is asked about now and then."""
    bench.control.add("drop-report", symbol=symbol, kind="TRADE", count=2)
    has_sold(bench, enter(bench, symbol, NEAR))


def killed_while_it_rests(bench: Bench, symbol: str) -> None:
    key = enter(bench, symbol, FAR)
    rests(bench, key)
    kill_9(bench)
    bench.start()
    with bench.asking:
        assert len(bench.rest.open_orders(symbol)) == 1, "one stop is all there may be"
    assert not any(has_ended(e) for e in stops(bench, key))


def triggered_while_down(bench: Bench, symbol: str) -> None:
    key = enter(bench, symbol, NEAR)
    rests(bench, key)
    kill_9(bench)
    with bench.asking:
        until(lambda: not bench.rest.open_orders(symbol), 60, "the stop's sale at the exchange")
    bench.start()
    has_sold(bench, key)
