"""How often each thing goes wrong in a simulated system."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Faults:
    """The first part are probabilities of one request, report or update; `*_every` are mean virtual seconds between two
    such events, 0 for never; the last are probabilities of a run.
    """

    request_lost: float = 0.02
    """It never arrives."""
    request_late: float = 0.02
    """The connection is lost at once, and the request arrives seconds later."""
    answer_lost: float = 0.04
    """The request is carried out; its answer is a 504, or a time-out."""
    rejected: float = 0.03
    rate_limited: float = 0.005
    query_lags: float = 0.2
    """A query does not see an order that is less than half a second old."""
    thin_book: float = 0.15
    """There is less to take than is asked for: a partial fill, and the rest expires."""
    rest_lost: float = 0.03
    """Reading candles, trades or the account fails."""
    report_lost: float = 0.05
    report_doubled: float = 0.05
    report_late: float = 0.1

    crash_every: float = 0.6
    hold_every: float = 0.5
    outage_every: float = 9.0
    """For a second or two nothing reaches the exchange."""
    gap_every: float = 4.0
    disconnect_every: float = 5.0
    stale_every: float = 15.0
    jump_every: float = 6.0
    kill_every: float = 6.0
    marker_every: float = 20.0
    reconnect_every: float = 10.0
    by_hand_every: float = 12.0
    """Somebody trades on the account without us, or cancels what rests."""

    disk_fails: float = 0.12
    power_cut: float = 0.2
    process_killed: float = 0.15


NONE = Faults(**dict.fromkeys(Faults.__slots__, 0.0))
"""Nothing goes wrong."""
