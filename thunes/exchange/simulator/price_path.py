"""The latent price of a synthetic market: regimes that trend up and down in turn, and volatility in clusters.

A minute of it is a pure function of where the price stands and of the minute's own random numbers, so a market can be
taken up at any minute from a handful of figures. Returns are logarithmic. Floats serve here, and here alone: what
leaves this module is rounded to ticks by whoever trades on it.

The volatility's logarithm is a first-order autoregression (S. J. Taylor, Modelling Financial Time Series, 1986), so
that large moves follow large ones. Most of a shock is pressure that wears off (J. Hasbrouck, Measuring the Information
Content of Stock Trades, 1991): what stays is mainly the regime's drift, so that trends show through the noise without
outweighing it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, sqrt
from random import Random

SECONDS = 60
UP, FLAT, DOWN = 1, 0, -1
QUIET_SHARE = 0.04
"""How often a regime is flat; else it turns against the last trend."""
SHORTEST_MINUTES, LONGEST_MINUTES, FURTHER_MINUTES = 10, 30, 0.7
"""A regime lasts the shortest time and an exponentially distributed rest of that mean, at most the longest."""
DRIFT = 0.00046
"""A trending regime's return a minute."""
VOLATILITY = 0.0022
"""The standard deviation of a second's shock, times the root of a minute."""
LASTING = 0.05
"""The share of a shock that stays."""
RELAXATION_S = 65.0
"""The rest of it decays by a factor e in so many seconds."""
PERSISTENCE = 0.93
"""How much of the volatility's logarithm is still there a minute later."""
SPREAD = 0.85
"""Standard deviation of the volatility's logarithm."""
WIDEST = 2.0 * SPREAD
"""The volatility's logarithm stays within this."""
BURST_SHARE, BURST = 0.03, 1.8
"""In so many seconds the price moves so many times as much."""
STILL_SHARE = 0.06
"""In so many seconds it stands still."""
MOVING_SECONDS = SECONDS * (1 - STILL_SHARE)
KEPT = exp(-SECONDS / MOVING_SECONDS / RELAXATION_S)
SHOCK = VOLATILITY * exp(-SPREAD * SPREAD) / sqrt(MOVING_SECONDS * (1 - BURST_SHARE + BURST_SHARE * BURST * BURST))
"""A second's standard deviation where the volatility's logarithm is 0."""


@dataclass(frozen=True, slots=True)
class PathState:
    """Where the price stands between two minutes: `value` is what stays, `pressure` what wears off.

    `trend` is UP, FLAT or DOWN, `last_trend` the last that was not flat.
    """

    value: float
    pressure: float = 0.0
    volatility: float = 0.0
    trend: int = FLAT
    last_trend: int = UP
    minutes_left: int = 0


def beginning(rng: Random) -> PathState:
    """A market somewhere within a regime, at a price of 1."""
    trend = rng.choice((UP, DOWN))
    return PathState(0.0, trend=trend, last_trend=trend, minutes_left=rng.randint(1, SHORTEST_MINUTES))


def _regime(state: PathState, rng: Random) -> PathState:
    """The state at the start of a minute, in a new regime where the old one is over."""
    if state.minutes_left > 0:
        return state
    quiet = state.trend != FLAT and rng.random() < QUIET_SHARE
    minutes = min(LONGEST_MINUTES, SHORTEST_MINUTES + int(rng.expovariate(1 / FURTHER_MINUTES)))
    last = state.last_trend if quiet else -state.last_trend
    return replace(state, trend=FLAT if quiet else last, last_trend=last, minutes_left=minutes)


def minute(before: PathState, rng: Random, strength: float) -> tuple[PathState, list[float]]:
    """The state a minute later, and the price's logarithm at the end of each second.

    `strength` scales the drift of trending regimes; 0 is a market without trends.
    """
    state = _regime(before, rng)
    gauss, uniform = rng.gauss, rng.random
    innovation = gauss(0.0, SPREAD * sqrt(1 - PERSISTENCE * PERSISTENCE))
    volatility = max(-WIDEST, min(WIDEST, PERSISTENCE * state.volatility + innovation))
    scale = SHOCK * exp(volatility)
    drift = strength * DRIFT * state.trend / MOVING_SECONDS
    value, pressure, prices = state.value, state.pressure, []
    for _ in range(SECONDS):
        chance = uniform()
        if chance >= STILL_SHARE:
            shock = gauss(0.0, scale * BURST if chance > 1 - BURST_SHARE else scale)
            value += drift + LASTING * shock
            pressure = pressure * KEPT + (1 - LASTING) * shock
        prices.append(value + pressure)
    after = PathState(value, pressure, volatility, state.trend, state.last_trend, state.minutes_left - 1)
    return after, prices
