"""A market that stands still, as recorded frames: every fault then meets an order in the state that it was made for.

One side is a ladder of small levels that no frame ever renews, so what a LIMIT order takes off its best level stays
taken and the rest of the order rests. The other side is deep, and its best quantity changes all the time: that is the
market's life. Trades are printed beyond the ladder, where they reach no order that rests.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from thunes.messages import Side

START_MS = 1_735_689_600_000
MINUTES = 2_880
LEVELS, LEVEL_QUANTITY = 400, 2
STEP_CENTS = 1
DEEP = 100_000
TICKS_A_MINUTE = 4
EXTREMES = {9: "111.00", 19: "97.50"}
"""By minute of twenty: with `swings`, a trade is printed then that reaches a sale 8 % above, a stop 2 % below."""


def write(folder: Path, symbols: tuple[str, ...], ladder: Side, *, swings: bool = False) -> Path:
    """One file a symbol. `ladder` is the side of the orders that take from it: a BUY takes asks."""
    folder.mkdir(parents=True, exist_ok=True)
    for symbol in symbols:
        lines = (f"{START_MS * 1_000_000} {json.dumps(frame)}\n" for frame in frames(symbol, ladder, swings))
        (folder / f"{symbol}.jsonl").write_text("".join(lines))
    return folder


def frames(symbol: str, ladder: Side, swings: bool) -> Iterator[dict[str, object]]:
    sign = 1 if ladder is Side.BUY else -1
    levels = [[cents(10_000 + sign * STEP_CENTS * n), str(LEVEL_QUANTITY)] for n in range(LEVELS)]
    deep = [cents(10_000 - sign * 10), str(DEEP)]
    sides = ([deep], levels) if ladder is Side.BUY else (levels, [deep])
    yield {"lastUpdateId": 1, "bids": sides[0], "asks": sides[1]}
    beyond = cents(10_000 + sign * 500)
    update, numbers = 1, itertools.count(1)
    for minute in range(MINUTES):
        for part in range(TICKS_A_MINUTE):
            time_ms = START_MS + minute * 60_000 + part * (60_000 // TICKS_A_MINUTE) + 1
            update += 1
            renewed = [[deep[0], str(DEEP + update % 2)]]
            change = {"b": renewed, "a": []} if ladder is Side.BUY else {"b": [], "a": renewed}
            head = {"e": "depthUpdate", "E": time_ms, "s": symbol, "U": update, "u": update}
            yield {"stream": f"{symbol.lower()}@depth", "data": head | change}
        at_ms = START_MS + minute * 60_000 + 50_000
        if swings and (extreme := EXTREMES.get(minute % 20)):
            yield trade(symbol, next(numbers), at_ms, extreme)
        yield trade(symbol, next(numbers), at_ms, beyond)


def trade(symbol: str, number: int, time_ms: int, price: str) -> dict[str, object]:
    data = {"e": "trade", "E": time_ms, "T": time_ms, "s": symbol, "t": number, "p": price, "q": "1", "m": False}
    return {"stream": f"{symbol.lower()}@trade", "data": data}


def cents(number: int) -> str:
    return f"{number // 100}.{number % 100:02d}"
