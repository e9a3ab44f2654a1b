"""The status table as people see it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tests.sample_figures import ACTORS, BARE, OPEN_ORDER, ORDERS, SYSTEM, with_risk
from thunes.control.view import plain, signed
from thunes.domain.figures import BreakerFigures, SystemFigures
from thunes.live import LiveView, renderable

PLACES = ("metrics http://127.0.0.1:9464/metrics", "journal ./logs/audit_trail.jsonl   log ./logs/paper_trader.log")

AT_80_COLUMNS = """\
THUNES sim  up 1:02:03  ready  kill switch off
today -5.00 (25% of the loss limit of 20)  journal 1234
Circuit breaker BinanceAPI is half-open.
Open orders: 1, the fate of 1 unknown.

symbol         bid    age  position  unreal.  strategy: last decision
BTCUSDT  63,000.10   0.2s   0.00015    -0.15  BUY refused: COOL_DOWN (a losing
                                              trade was closed less than an hour
                                              ago)
ETHUSDT   2,450.50  12.0s         -        -  warming 12/50

actor          state    mail  rst  actor             state    mail  rst
supervisor     running     0    0  order.ETHUSDT     running     7    0
alert          running     1    0  reconciler        running     8    0
metrics        running     2    0  strategy.BTCUSDT  running     9    0
audit          running     3    0  strategy.ETHUSDT  running    10    0
risk           running     4    1  stream.account    running    11    0
breaker        running     5    0  stream.BTCUSDT    running    12    0
order.BTCUSDT  running     6    0  stream.ETHUSDT    running    13    0

metrics http://127.0.0.1:9464/metrics
journal ./logs/audit_trail.jsonl   log ./logs/paper_trader.log
"""


def shown(figures: SystemFigures, width: int = 80) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(renderable(figures, PLACES))
    return "".join(line.rstrip() + "\n" for line in console.export_text().splitlines())


def test_the_whole_system_fits_80_columns_and_24_lines() -> None:
    assert shown(SYSTEM) == AT_80_COLUMNS
    assert len(AT_80_COLUMNS.splitlines()) <= 24


def test_a_wider_terminal_shows_each_decision_on_one_line() -> None:
    assert "BUY refused: COOL_DOWN (a losing trade was closed less than an hour ago)\n" in shown(SYSTEM, width=120)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_symbol_or_state_is_cut_where_actors_restart(width: int) -> None:
    actors = tuple(replace(actor, state="restarting") for actor in ACTORS)
    text = shown(replace(SYSTEM, actors=actors), width)
    assert text.count("restarting") == len(actors)
    assert "…" not in text


def test_an_odd_number_of_actors_shows_them_all() -> None:
    text = shown(replace(SYSTEM, actors=ACTORS[:5]))
    assert all(actor.name in text for actor in ACTORS[:5])


def test_a_kill_is_loud_and_says_why_and_since_when() -> None:
    figures = with_risk(kill_active=True, kill_reason="drill", kill_since="2026-11-23T04:55:00.000000Z")
    assert "KILLED" in shown(figures)
    assert "Buying is stopped since 2026-11-23T04:55:00: drill." in shown(figures)


def test_before_anything_is_known_nothing_is_made_up() -> None:
    text = shown(BARE)
    assert "kill switch -" in text
    assert "today -  journal -" in text
    assert "Not ready: the account is not in step yet." in text


def test_what_is_well_is_not_warned_of() -> None:
    quiet = replace(SYSTEM, breakers={"BinanceAPI": BreakerFigures("BinanceAPI", "closed", 0)}, orders={})
    assert "breaker" not in shown(quiet).split("symbol")[0]
    assert "Open orders" not in shown(quiet)


def test_an_order_whose_fate_is_known_is_counted_without_alarm() -> None:
    of = replace(ORDERS["ETHUSDT"], open=(replace(OPEN_ORDER, status="NEW"),), unknown=0)
    assert "Open orders: 1.\n" in shown(replace(SYSTEM, orders={"ETHUSDT": of}))


def test_what_others_wrote_is_not_read_as_markup() -> None:
    assert "[bold]x[/nothing]" in shown(with_risk(kill_active=True, kill_reason="[bold]x[/nothing]"))


def test_the_view_redraws_in_place_with_the_newest_figures() -> None:
    figures = [SYSTEM]
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=80, height=40, color_system=None)
    with LiveView(lambda: figures[-1], PLACES, console) as view:
        assert "kill switch off" in terminal.getvalue()
        figures.append(with_risk(kill_active=True))
        assert "KILLED" not in terminal.getvalue()
        view.refresh()
        assert "KILLED" in terminal.getvalue()
    assert "\x1b[1A" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[?25h")


def test_amounts_keep_their_digits_and_lose_their_padding() -> None:
    assert [plain(amount, 2) for amount in ("63000.10000000", "0.00015000", "5", None)] == [
        "63,000.10",
        "0.00015",
        "5.00",
        "-",
    ]
    assert (plain("100", 0), plain("0.0040", 0)) == ("100", "0.004")
    assert [signed(amount) for amount in ("-5", "1234.567", None)] == ["-5.00", "+1,234.57", "-"]
