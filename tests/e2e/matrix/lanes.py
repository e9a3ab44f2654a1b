"""Cells of requests and reports: each symbol works through cells of its own, all at the same time."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.matrix.bench import SYMBOLS, Bench, Told, until
from tests.e2e.matrix.cells import CANCELLING, KINDS, Cell
from tests.e2e.matrix.table import Row
from thunes.messages import Side


def run(bench: Bench, cells: Iterable[Cell]) -> list[Row]:
    """What became of each cell: those that need the account for themselves come last, one after the other."""
    together: queue.SimpleQueue[Cell] = queue.SimpleQueue()
    alone = []
    for cell in sorted(cells, key=lambda cell: "past its window" not in cell.fault):  # the longest first
        alone.append(cell) if cell.alone else together.put(cell)

    def lane(symbol: str) -> list[Row]:
        rows: list[Row] = []
        while True:
            try:
                cell = together.get_nowait()
            except queue.Empty:
                return rows
            rows.append(row(bench, symbol, cell))

    with ThreadPoolExecutor(len(SYMBOLS)) as pool:
        rows = [each for found in pool.map(lane, SYMBOLS) for each in found]
    return rows + [row(bench, SYMBOLS[0], cell) for cell in alone]


def row(bench: Bench, symbol: str, cell: Cell) -> Row:
    """One cell, and whether it went as it has to."""
    started = time.monotonic()
    try:
        came_to, why = suffer(bench, symbol, cell), ""
    except AssertionError as error:
        came_to, why = "", f"{symbol}: {error}"
    return Row(cell.fault, cell.step, bench.side, time.monotonic() - started, came_to, why)


def suffer(bench: Bench, symbol: str, cell: Cell) -> str:
    """Bring an order to the step, let the fault strike, and see that all is well afterwards; how the order ended."""
    if cell.alone:
        bench.lift(symbol)  # so that no pause is left of the cell before
    bench.prepare(symbol)
    if cell.step == CANCELLING:
        told = bench.order(symbol, KINDS[cell.step])
        bench.partly_filled(told)
        faults = ask_for(bench, symbol, cell)
        bench.write(symbol, "all", Side.SELL)
    else:
        faults = ask_for(bench, symbol, cell)
        told = bench.order(symbol, KINDS.get(cell.step, "market"))
    until(lambda: all(map(bench.control.fired, faults)), what=f"the fault {cell.fault}")
    bench.known(told)
    finish(bench, told)
    return bench.agrees(told)


def ask_for(bench: Bench, symbol: str, cell: Cell) -> list[int]:
    return [bench.control.add(**{"symbol": symbol, "count": 1, **spec}) for spec in cell.specs]


def finish(bench: Bench, told: Told) -> None:
    """Nothing is left of the cell, and both sides hold the same."""
    bench.flat(told.symbol)
    bench.assert_symbol_agrees(told.symbol)
