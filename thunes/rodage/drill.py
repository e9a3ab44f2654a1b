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

from aiohttp import ClientError

from thunes.rodage.account import Account, listening
from thunes.rodage.rounds import Entries, Report, Round, measure
from thunes.rodage.subject import DrillFailed, Subject, subject, until
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
        account = await stack.enter_async_context(listening(running.exchange, entries.hear))
        entries.resting |= account.open_entries
        for _ in range(times):
            try:
                done = await _round(running, account, entries, chance.uniform(0, PHASE_SECONDS), hung=hung)
            except (ClientError, TimeoutError) as error:
                raise DrillFailed(f"The system does not answer any more ({error!r}); the drill is given up.") from error
            rounds.append(done)
            progressed(done)
        activations = sum(1 for event in read_events(running.home.logs) if event.event == "KILL_SWITCH_ACTIVATED")
    return Report(tuple(rounds), hung, activations)


async def _round(running: Subject, account: Account, entries: Entries, pause: float, *, hung: bool) -> Round:
    entries.forget()
    now = asyncio.get_running_loop().time

    async def busy() -> bool:
        return len(entries.accepted) >= BUSY and len(entries.resting) >= RESTING

    async def empty() -> bool:
        return not entries.resting

    await until(busy, BUSY_SECONDS, "no flood")
    before = await running.refused()
    await asyncio.sleep(pause)
    if hung:
        running.send_signal(signal.SIGSTOP)
    try:
        told = now()
        await (running.kill_from_outside if hung else running.kill)("drill")
        acknowledged, settled = now(), await account.caught_up()
    finally:
        if hung:
            running.send_signal(signal.SIGCONT)
    await until(empty, EMPTY_SECONDS, "an entry order that stayed open")

    async def held() -> bool:
        return await running.refused() >= before + REFUSALS

    await until(held, REFUSED_SECONDS, "no entry that was refused")
    done = measure(entries, told, acknowledged, settled, await running.refused() - before)
    await running.post("/api/resume", {"reason": "the drill goes on"})
    return done
