"""A day in words, for a phone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from thunes.domain.day import Day

UNKNOWN = "-"
REASONS_SHOWN = 4


def words(day: Day, currency: str = "") -> str:
    """The day's summary: at most 12 lines of plain text, the first of them says what was gained.

    `currency` is what equity and P&L are in; without it the one quote currency that the day's fills had. A number has
    no exponent, and what is not known is `-`.
    """
    currency = currency or day.currency
    if not day.events:
        return f"{day.name or UNKNOWN}: {UNKNOWN}\nNothing was journalled of this day."
    return "\n".join([*_money(day, currency), *_trading(day, currency), *_refusals(day), *_troubles(day), _span(day)])


def _money(day: Day, currency: str) -> Iterator[str]:
    if day.change is None:
        yield f"{day.name or UNKNOWN}: {UNKNOWN}"
    else:
        yield f"{day.name}: {_with(currency, amount(day.change, signed=True))} ({_percent(day)} %)"
    if day.points:
        yield f"Equity {_known(day.start)} → {_with(currency, _known(day.end))}"


def _trading(day: Day, currency: str) -> Iterator[str]:
    closed = day.wins + day.losses
    if closed:
        net = _with(currency, amount(day.pnl, signed=True))
        yield f"Closed {closed:,}: {day.wins:,} won, {day.losses:,} lost, {net} net"
    sides = Counter(side for _, side in day.fills)
    if day.fills:
        yield f"Fills {len(day.fills):,}: {sides['BUY']:,} bought, {sides['SELL']:,} sold"
        yield f"Turnover {_sums(day.turnover)}"
        yield f"Fees {_sums(day.fees) or '0'}"
    else:
        yield "No fills"


def _refusals(day: Day) -> Iterator[str]:
    for title, reasons in (("Rejected by risk", day.rejected), ("Orders refused", day.refused)):
        if reasons:
            yield f"{title} {reasons.total():,}: {_most(reasons)}"
    if day.doubts:
        of = Counter(day.doubts.values())
        unclear = f"{of['found']:,} found, {of['absent']:,} never arrived, {of['open']:,} still open"
        yield f"Unknown orders {len(day.doubts):,}: {unclear}"


def _troubles(day: Day) -> Iterator[str]:
    kinds = (
        ("kill switch", "KILL_SWITCH_ACTIVATED"),
        ("starts", "SYSTEM_STARTED"),
        ("restarts", "ACTOR_RESTARTED"),
        ("breaker trips", "CIRCUIT_OPENED"),
        ("disconnects", "STREAM_DISCONNECTED"),
        ("mismatches", "RECONCILIATION_MISMATCH"),
    )
    found = [f"{kind} {day.happened[event]:,}" for kind, event in kinds if day.happened[event]]
    yield f"Incidents: {', '.join(found) or 'none'}"


def _span(day: Day) -> str:
    first, last = (datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M") for ms in (day.first_ms, day.last_ms))
    return f"Journal {first} to {last} UTC, {day.events:,} events"


def amount(value: Decimal, *, signed: bool = False) -> str:
    """An amount of money without an exponent: cents from 1 on, below it 4 digits or the first two that are not 0."""
    places = 2 if not value or abs(value) >= 1 else max(4, 1 - value.adjusted())
    return _number(value, places, signed)


def _percent(day: Day) -> str:
    """Of the equity at the day's start; a small one to its first digit."""
    if day.change is None or not day.start or day.start < 0:
        return UNKNOWN
    percent = day.change / day.start * 100
    return _number(percent, max(2, -percent.adjusted()) if percent else 2, True)


def _number(value: Decimal, places: int, signed: bool) -> str:
    whole, _, fraction = format(value if value else Decimal(0), f"{'+' if signed else ''},.{places}f").partition(".")
    return f"{whole}.{fraction[:2]}{fraction[2:].rstrip('0')}"


def _known(value: Decimal | None) -> str:
    return UNKNOWN if value is None else amount(value)


def _with(currency: str, number: str) -> str:
    return f"{number} {currency}".rstrip()


def _sums(sums: Mapping[str, Decimal]) -> str:
    return ", ".join(_with(asset, amount(value)) for asset, value in sorted(sums.items()))


def _most(reasons: Counter[str]) -> str:
    ranked = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{count:,} {reason or UNKNOWN}" for reason, count in ranked[:REASONS_SHOWN]]
    rest = sum(count for _, count in ranked[REASONS_SHOWN:])
    return ", ".join([*shown, *([f"{rest:,} others"] if rest else [])])
