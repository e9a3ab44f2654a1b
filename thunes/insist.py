"""Questions that a start cannot do without: one answer lost on the way must not keep the system down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from thunes.errors import ExchangeError, NetworkError

log = logging.getLogger(__name__)

T = TypeVar("T")

TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds; each wait is twice the one before. A venue that asks for a longer pause is not waited for."""


def insist(ask: Callable[[], T], wait: Callable[[float], bool]) -> T:
    """The answer of `ask`, which only reads, asked up to five times where the network or the venue's limits fail it.

    `wait` waits so many seconds, and is true when nobody wants the answer any more. Raises the last error.
    """
    seconds = FIRST_WAIT
    for _ in range(TRIES - 1):
        try:
            return ask()
        except (NetworkError, ExchangeError) as error:
            pause = error.retry_after if isinstance(error, ExchangeError) else seconds
            if pause is None or pause > LONGEST_WAIT:
                raise  # a clear "no", or one for longer
            log.warning("%s Asking again in %.1f s.", error, pause)
            if wait(pause):
                raise
        seconds *= 2
    return ask()
