"""A day in words: short, plain numbers, and nothing that is not known."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunes.alerts.summary import amount, words
from thunes.domain.day import Day

D = Decimal
MIDNIGHT = 1_795_392_000_000
MINUTE = 60_000


def full() -> Day:
    return Day(
        name="2026-11-23",
        events=1_512,
        first_ms=MIDNIGHT,
        last_ms=MIDNIGHT + 1_439 * MINUTE,
        start=D("10000"),
        end=D("10001.2449"),
        points=[(MIDNIGHT, D("10000")), (MIDNIGHT + MINUTE, D("10001.2449"))],
        fills=[(MIDNIGHT, "BUY"), (MIDNIGHT, "BUY"), (MIDNIGHT, "SELL")],
        turnover={"USDT": D("1234.5")},
        fees={"USDT": D("0.35"), "BNB": D("0.0021")},
        wins=2,
        losses=1,
        pnl=D("1.3"),
        rejected=Counter(COOL_DOWN=3, POSITION_LIMIT=2),
        refused=Counter({"code -2010": 1}),
        happened=Counter(KILL_SWITCH_ACTIVATED=1, STREAM_DISCONNECTED=2, HEARTBEAT=1_440),
        doubts={"a": "found", "b": "absent", "c": "open"},
    )


def test_a_day_of_trading() -> None:
    assert words(full()).splitlines() == [
        "2026-11-23: +1.24 USDT (+0.01 %)",
        "Equity 10,000.00 → 10,001.24 USDT",
        "Closed 3: 2 won, 1 lost, +1.30 USDT net",
        "Fills 3: 2 bought, 1 sold",
        "Turnover 1,234.50 USDT",
        "Fees 0.0021 BNB, 0.35 USDT",
        "Rejected by risk 5: 3 COOL_DOWN, 2 POSITION_LIMIT",
        "Orders refused 1: 1 code -2010",
        "Unknown orders 3: 1 found, 1 never arrived, 1 still open",
        "Incidents: kill switch 1, disconnects 2",
        "Journal 00:00 to 23:59 UTC, 1,512 events",
    ]


def test_a_day_without_a_trade_is_in_the_currency_that_it_is_told() -> None:
    quiet = Day("2026-11-23", events=2, first_ms=MIDNIGHT, last_ms=MIDNIGHT, start=D(10), end=D(10))
    quiet.points = [(MIDNIGHT, D(10))]

    assert words(quiet, "EUR").splitlines()[:3] == [
        "2026-11-23: +0.00 EUR (+0.00 %)",
        "Equity 10.00 → 10.00 EUR",
        "No fills",
    ]
    assert "Incidents: none" in words(quiet)


def test_a_day_that_nobody_saw_has_no_figures() -> None:
    assert words(Day("2026-11-23")) == "2026-11-23: -\nNothing was journalled of this day."


@pytest.mark.parametrize(("start", "end"), [(None, None), (D(1), None), (None, D(1))])
def test_a_gain_that_is_not_known_is_a_dash(start: Decimal | None, end: Decimal | None) -> None:
    half = Day("2026-11-23", events=1, first_ms=MIDNIGHT, last_ms=MIDNIGHT, start=start, end=end)
    half.points = [(MIDNIGHT, D(1))] if start or end else []
    lines = words(half).splitlines()

    assert lines[0] == "2026-11-23: -"
    assert [line for line in lines if line.startswith("Equity")] == (
        [f"Equity {'1.00' if start else '-'} → {'1.00' if end else '-'}"] if start or end else []
    )


@pytest.mark.parametrize("start", ["0", "-5"])
def test_a_gain_on_nothing_has_no_percentage(start: str) -> None:
    day = Day("2026-11-23", events=1, first_ms=MIDNIGHT, last_ms=MIDNIGHT, start=D(start), end=D(7))

    assert words(day).splitlines()[0].endswith("(- %)")


def test_a_rare_reason_gives_way_to_the_frequent() -> None:
    day = full()
    day.rejected = Counter(A=1, B=2, C=3, D=4, E=5, F=1)

    assert "Rejected by risk 16: 5 E, 4 D, 3 C, 2 B, 2 others" in words(day)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "0.00"),
        ("-0.00", "0.00"),
        ("1E+3", "1,000.00"),
        ("1.239", "1.24"),
        ("-1.239", "-1.24"),
        ("0.5", "0.50"),
        ("-0.05136848", "-0.0514"),
        ("0.00012300", "0.00012"),
        ("1E-8", "0.00000001"),
        ("1.26E-12", "0.0000000000013"),
    ],
)
def test_amounts_are_written_out(value: str, shown: str) -> None:
    assert amount(D(value)) == shown


NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=D("-1e30"), max_value=D("1e30"))


@given(NUMBERS)
def test_an_amount_is_plain_never_a_wrong_0_and_near_its_value(value: Decimal) -> None:
    shown = amount(value, signed=True)
    assert re.fullmatch(r"[+-]\d{1,3}(,\d{3})*\.\d{2,}", shown)
    read = D(shown.replace(",", ""))
    assert bool(read) == bool(value)
    assert abs(read - value) <= max(D("0.005"), abs(value) / 10**20)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_summary_fits_a_phone_and_has_no_exponent(start: Decimal, end: Decimal, pnl: Decimal) -> None:
    day = full()
    day.start, day.end, day.pnl, day.turnover, day.fees = start, end, pnl, {"USDT": abs(end)}, {"BNB": pnl}
    said = words(day)

    assert len(said.splitlines()) <= 12
    assert not re.search(r"\d[eE][+-]?\d", said)
