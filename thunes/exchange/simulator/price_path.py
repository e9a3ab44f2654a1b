"""The latent price of a synthetic market: regimes that trend up and down in turn, and volatility that comes in clusters.

A minute of it is a pure function of where the price stands and of the minute's own random numbers, so a market can be
taken up at any minute from a handful of figures. Returns are logarithmic. Floats serve here, and here alone: what
leaves this module is rounded to ticks by whoever trades on it.

The volatility's logarithm is a first-order autoregression (S. J. Taylor, Modelling Financial Time Series, 1986); its
persistence and its spread are set so that absolute one-minute returns are correlated as those of large coins are.
Part of each shock is temporary, as pressure on prices is (J. Hasbrouck, Measuring the Information Content of Stock
Trades, 1991).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from random import Random

SECONDS = 60
UP, FLAT, DOWN = 1, 0, -1
QUIET_SHARE = 0.05
"""How often a regime is flat; else it turns against the last trend."""
SHORTEST_MINUTES, LONGEST_MINUTES, FURTHER_MINUTES = 10, 30, 2.5
"""A regime lasts the shortest time and an exponentially distributed rest of that mean, at most the longest."""
DRIFT = 0.001
"""A trending regime's return a minute."""
VOLATILITY = 0.0011
"""A typical second's standard deviation times the root of a minute."""
LASTING = 0.4
"""The share of a shock that stays."""
RELAXATION_S = 40.0
"""The rest of it decays by a factor e in so many seconds."""
PERSISTENCE = 0.95
SPREAD = 0.65
"""Standard deviation of the volatility's logarithm."""
MOST_SPREAD = 2.0 * SPREAD
BURST_SHARE, BURST = 0.06, 2.2
"""In so many seconds the price moves that much more."""
STILL_SHARE = 0.12
"""In so many seconds it stands still."""
CALM = exp(-SPREAD * SPREAD) / sqrt((1 - STILL_SHARE) * (1 - BURST_SHARE + BURST_SHARE * BURST * BURST))
DEXP=0.0

@dataclass(frozen=True, slots=True)
class PathState:
    """Where the price stands between two minutes. `trend` is UP, FLAT or DOWN; `last_trend` the last not flat."""

    log_price: float
    log_volatility: float = 0.0
    trend: int = FLAT
    last_trend: int = UP
    minutes_left: int = 0
    pressure: float = 0.0


def _regime(state: PathState, rng: Random) -> PathState:
    """The state at the start of a minute, in a new regime where the old one is over."""
    if state.minutes_left > 0:
        return state
    flat = state.trend != FLAT and rng.random() < QUIET_SHARE
    further = min(LONGEST_MINUTES - SHORTEST_MINUTES, int(rng.expovariate(1 / FURTHER_MINUTES)))
    last = state.last_trend if flat else -state.last_trend
    trend = FLAT if flat else last
    return PathState(state.log_price, state.log_volatility, trend, last, SHORTEST_MINUTES + further, state.pressure)


def minute(before: PathState, rng: Random, strength: float) -> tuple[PathState, list[float]]:
    """The state a minute later and the price's logarithm at the end of each second.

    `strength` scales the drift of trending regimes; 0 is a market without trends.
    """
    state = _regime(before, rng)
    gauss, uniform = rng.gauss, rng.random
    innovation = gauss(0.0, SPREAD * sqrt(1 - PERSISTENCE * PERSISTENCE))
    volatility = max(-MOST_SPREAD, min(MOST_SPREAD, PERSISTENCE * state.log_volatility + innovation))
    scale = VOLATILITY * CALM * exp(volatility) / sqrt(SECONDS)
    drift = strength * DRIFT * state.trend / (SECONDS * (1 - STILL_SHARE))* exp(DEXP*volatility)
    price, prices = state.log_price, []
    pressure=state.pressure; keep=exp(-1/RELAXATION_S/(1-STILL_SHARE))
    for _ in range(SECONDS):
        chance = uniform()
        if chance >= STILL_SHARE:
            shock=gauss(0.0, scale * BURST if chance > 1 - BURST_SHARE else scale)
            price += drift + LASTING*shock
            pressure=pressure*keep+(1-LASTING)*shock
        prices.append(price+pressure)
    return PathState(price, volatility, state.trend, state.last_trend, state.minutes_left - 1,pressure), prices
