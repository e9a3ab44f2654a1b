"""Many seeds: run one, or a range of them over all processors."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from random import Random

from actors.simulated.faults import NONE, Faults
from actors.simulated.restless import Restless
from actors.simulated.system import Outcome, SimulatedSystem
from actors.tree import tree
from thunes.domain.supervision import Strategy
from thunes.settings import Settings, load
from thunes.strategies.base import Strategy as TradingStrategy

LIVELY = {
    "THUNES_RISK__MAX_POSITIONS": "1",
    "THUNES_RISK__MAX_EXPOSURE": "25",
    "THUNES_RISK__MAX_DAILY_LOSS": "5",
    "THUNES_RISK__COOL_DOWN": "8",
    "THUNES_RISK__MAX_ORDERS_PER_MINUTE": "60",
    "THUNES_RISK__STALE_AFTER": "2",
    "THUNES_BREAKER__FAIL_MAX": "2",
    "THUNES_BREAKER__RESET_TIMEOUT": "0.7",
    "THUNES_STREAM__WATCHDOG": "3",
    "THUNES_STREAM__QUEUE_SIZE": "30",
    "THUNES_EXCHANGE__TIMEOUT": "3",
}
"""Limits so narrow, and waits so short, that a run of seconds meets all of them."""

PATIENT = 10_000
"""Restarts that the supervisor bears where crashes come by the dozen; every eighth seed has its usual patience."""


STRATEGIES = {1: Strategy.REST_FOR_ONE, 2: Strategy.ONE_FOR_ALL}
"""By the seed's remainder: the strategies that the tree itself does not use are tried as well."""


def settings() -> Settings:
    return load(environ=LIVELY, flags={})


def restless(seed: int) -> Callable[[str], TradingStrategy]:
    """A factory: each strategy that it makes goes on by its own lot."""
    made = count()
    return lambda symbol: Restless(symbol, Random(f"strategy {seed} {symbol} {next(made)}"))


def run_seed(seed: int, messages: int, faults: Faults, *, trace: bool = True) -> Outcome:
    """One seed's system from start to rest, on a directory that is gone afterwards."""
    chosen = settings()
    specs = tree(chosen.run.symbols)
    if seed % 8:
        specs = replace(specs.with_patience(PATIENT), strategy=STRATEGIES.get(seed % 8, specs.strategy))
    with tempfile.TemporaryDirectory(prefix="thunes-simulated-") as folder:
        system = SimulatedSystem(seed, chosen, Path(folder), restless(seed), faults, trace=trace, specs=specs)
        with closing(system):
            return system.run(messages)


def run_seeds(seeds: Iterable[int], messages: int, faults: bool, jobs: int) -> Iterator[Outcome]:
    """Outcomes as they come, `jobs` processes at a time."""
    one = partial(run_seed, messages=messages, faults=Faults() if faults else NONE)
    if jobs == 1:
        yield from map(one, seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(one, seeds, chunksize=4)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
