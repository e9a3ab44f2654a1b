"""What is printed when a run ends."""

from __future__ import annotations

import io
from dataclasses import dataclass

from rich.console import Console

from tests.sample_figures import BARE, HEAD, SYSTEM, with_risk
from thunes.summary import summary


@dataclass(frozen=True)
class Verified:
    events: int = 1234
    head: str = HEAD


EXPECTED = f"""\
THUNES sim: 1:02:03, version 0.1.0 (56a2cfc)
  market      2,000 ticks, 0 candles, 1 reconnects, 2 gaps
  decisions   7 approved, 3 rejected
              2 COOL_DOWN
              1 STALE_MARKET_DATA
  orders      8 placed, 4 refused by the exchange, 1 of unknown fate
  fills       7; 2 positions closed: 2 won, 0 lost
  fees        0.4200
  P&L         +12.3456 realised net of fees, -0.1500 unrealised
  today       -5.0000 of a loss limit of 20
  journal     1,234 events, chain verified; its head is
              {HEAD}
"""


def test_a_run_is_summed_up_in_plain_lines_that_a_pipe_keeps_whole() -> None:
    pipe = io.StringIO()
    Console(file=pipe, width=80).print(summary(SYSTEM, Verified()))
    assert pipe.getvalue() == EXPECTED


def test_a_run_that_ended_before_anything_was_known_makes_nothing_up() -> None:
    assert str(summary(BARE, None)) == (
        "THUNES sim: 0:00, version 0.1.0 (unknown)\n  market      0 ticks, 0 candles, 0 reconnects, 0 gaps"
    )


def test_a_journal_that_was_not_verified_is_not_called_so() -> None:
    last = str(summary(SYSTEM, None)).splitlines()[-1]
    assert last == "  journal     up to line 1,234, NOT verified; run `thunes audit verify`"


def test_a_kill_that_is_still_active_is_said() -> None:
    assert "ACTIVE: drill" in str(summary(with_risk(kill_active=True, kill_reason="drill"), Verified()))
