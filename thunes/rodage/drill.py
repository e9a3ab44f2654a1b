"""The kill drill: kill a system that trades as fast as it can, again and again, and measure at the exchange.

Each round waits until entry orders are accepted and some rest, kills, and listens to the account's stream for the last
entry order that the exchange takes and for the last cancel. Then it sees that the switch holds under the flood, resumes
and goes on. With `hung` the system's process is stopped first, and `thunes kill` has to do without it.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

from thunes.rodage.account import listening
from thunes.rodage.rounds import Entries, Report, Round, measure
from thunes.rodage.subject import Subject, subject, until
from thunes.storage.segments import read_events

BUSY, RESTING, REFUSALS = 5, 2, 4
"""Entry orders accepted and resting before a kill, and refused after it."""
BUSY_SECONDS, EMPTY_SECONDS, REFUSED_SECONDS = 30.0, 5.0, 10.0
PHASE_SECONDS = 0.05
"""A kill comes at any moment, not always right after an order."""

Progressed = Callable[[Round], None]


async def drill(times: int, *, hung: bool, latency: float, progressed: Progressed) -> Report:
    """So many rounds on one system; `progressed` hears of each. DrillFailed where it could not be held."""
    chance = Random(times)
    entries = Entries()
    rounds = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thunes-drill-")))
        running = await stack.enter_async_context(subject(folder, latency))
        entries.resting |= await stack.enter_async_context(listening(running.exchange, entries.hear))
        for _ in range(times):
            done = await _round(running, entries, chance.uniform(0, PHASE_SECONDS), hung=hung)
            rounds.append(done)
            progressed(done)
        activations = sum(1 for event in read_events(running.home.logs) if event.event == "KILL_SWITCH_ACTIVATED")
    return Report(tuple(rounds), hung, activations)


async def _round(running: Subject, entries: Entries, pause: float, *, hung: bool) -> Round:
    entries.forget()

    async def busy() -> bool:
        return len(entries.accepted) >= BUSY and len(entries.resting) >= RESTING

    async def empty() -> bool:
        return not entries.resting

    await until(busy, BUSY_SECONDS, "no flood")
    before = await running.refused()
    await asyncio.sleep(pause)
    told, acknowledged = await (_kill_hung(running) if hung else _kill(running))
    await until(empty, EMPTY_SECONDS, "an entry order that stayed open")

    async def held() -> bool:
        return await running.refused() >= before + REFUSALS

    await until(held, REFUSED_SECONDS, "no entry that was refused")
    done = measure(entries, told, acknowledged, await running.refused() - before)
    await running.post("/api/resume", {"reason": "the drill goes on"})
    return done


async def _kill(running: Subject) -> tuple[float, float]:
    now = asyncio.get_running_loop().time
    told = now()
    await running.post("/api/kill", {"reason": "drill"})
    return told, now()


async def _kill_hung(running: Subject) -> tuple[float, float]:
    now = asyncio.get_running_loop().time
    running.send_signal(signal.SIGSTOP)
    try:
        told = now()
        await running.kill_from_outside("drill")
        return told, now()
    finally:
        running.send_signal(signal.SIGCONT)
