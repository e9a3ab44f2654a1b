"""Rounds: an order of each symbol is at another step when the whole system is struck."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.matrix.bench import PATIENCE, SYMBOLS, Bench, Told, until
from tests.e2e.matrix.cells import (
    ACCEPTED,
    BEFORE,
    CANCEL,
    CANCELLING,
    FILLED,
    KINDS,
    PARTLY,
    PLACE,
    SENT,
)
from tests.e2e.matrix.strikes import STRIKES, Strike
from tests.e2e.matrix.table import STEPS, Row
from thunes.messages import Side

WHERE = dict(zip(STEPS, SYMBOLS, strict=True))
HELD = {SENT: "hold-request", ACCEPTED: "hold-answer", FILLED: "hold-answer", CANCELLING: "hold-answer"}


def run(bench: Bench, names: Iterable[str]) -> list[Row]:
    return [row for name in names for row in of_round(bench, name, STRIKES[name])]


def of_round(bench: Bench, name: str, strike: Strike) -> list[Row]:
    """The round's six cells. What fails before the orders are looked at one by one fails all of them."""
    started = time.monotonic()

    def row(step: str, came_to: str, why: str) -> Row:
        return Row(name, step, bench.side, time.monotonic() - started, came_to, why)

    try:
        orders = suffer(bench, strike)
    except AssertionError as error:
        bench.control.clear()
        return [row(step, "", str(error)) for step in STEPS]
    rows = []
    for step, told in orders.items():
        try:
            rows.append(row(step, bench.agrees(told), ""))
            bench.assert_symbol_agrees(told.symbol)
        except AssertionError as error:
            rows.append(row(step, "", f"{told.symbol}: {error}"))
    return rows


def suffer(bench: Bench, strike: Strike) -> dict[str, Told]:
    """Bring the orders to their steps, strike, and wait until nothing is left of them; the orders by step."""
    with ThreadPoolExecutor(len(SYMBOLS)) as pool:

        def each(act: Callable[[str], Any], steps: Iterable[str]) -> dict[str, Any]:
            steps = list(steps)
            return dict(zip(steps, pool.map(act, steps), strict=True))

        each(lambda step: bench.prepare(WHERE[step]), STEPS)
        orders: dict[str, Told] = each(lambda step: bench.order(WHERE[step], KINDS[step]), (PARTLY, CANCELLING))
        each(lambda step: bench.partly_filled(orders[step]), (PARTLY, CANCELLING))
        holds = {step: hold(bench, step, strike) for step in HELD}
        bench.write(WHERE[CANCELLING], "all", Side.SELL)
        orders |= each(lambda step: bench.order(WHERE[step], KINDS.get(step, "market")), (SENT, ACCEPTED, FILLED))
        until(lambda: all(map(bench.control.fired, holds.values())), what="an order at each step")
        if strike.deadly:
            cause = die(bench, strike)
            orders[BEFORE] = Told(WHERE[BEFORE], bench.decision(cause))
        else:
            strike.act(bench)
            orders[BEFORE] = bench.tell(WHERE[BEFORE], "market")
        each(lambda step: bench.known(orders[step]), [step for step in STEPS if orders[step].approved])
        bench.control.clear()
        strike.undo(bench)
        until(bench.system.is_ready, what="readiness after the fault")
        each(lambda step: bench.flat(WHERE[step]), STEPS)
    return {step: orders[step] for step in STEPS}


def hold(bench: Bench, step: str, strike: Strike) -> int:
    """Keep the order at its step until the fault has struck."""
    match = CANCEL if step == CANCELLING else PLACE
    more = {"then": strike.then} if HELD[step] == "hold-request" else {}
    return bench.control.add(HELD[step], symbol=WHERE[step], count=1, match=match, seconds=strike.hold, **more)


def die(bench: Bench, strike: Strike) -> str:
    """Strike as soon as one more order is approved; what is not sent by then never arrives. Then start again."""
    symbol = WHERE[BEFORE]
    bench.control.add("hold-request", symbol=symbol, count=1, match=PLACE, seconds=strike.hold, then="drop")
    journal = bench.home / "logs" / "audit_trail.jsonl"
    with journal.open("rb") as file:
        file.seek(0, 2)
        cause = bench.write(symbol, "market")
        sought, read = f'"cause":"{cause}"'.encode(), b""
        deadline = time.monotonic() + PATIENCE
        while sought not in read:
            assert time.monotonic() < deadline, "no approval came"
            read += file.read()
        strike.act(bench)
    bench.start()
    return cause
