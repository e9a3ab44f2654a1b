"""What a line of the journal is to people: its words, how urgent it is, and which alerts it may be counted with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from thunes.alerts.alert import Alert, Level
from thunes.domain.journal import AuditEvent

STORM_SECONDS = 10.0
"""What tends to come in storms waits this long for more of its kind."""

LONGEST = 500
"""Characters of a reason that another program wrote."""


def alert_of(event: AuditEvent) -> Alert | None:
    """The alert that the event is; None for what nobody has to be told of.

    Text alone: escaping belongs to whoever sends it.
    """
    word = WORDS.get(event.event)
    return word(event) if word is not None else None


def lost(stream: str, seconds: float) -> Alert:
    """A stream that has not come back within a while."""
    text = f"No {stream} stream for {seconds:.0f} s; it is being connected again. Nothing is bought on old prices."
    return Alert(Level.WARNING, f"STREAM {stream}:lost", text)


def found_again(stream: str) -> Alert:
    return Alert(Level.INFO, f"STREAM {stream}:back", f"The {stream} stream is back.")


def _started(event: AuditEvent) -> Alert:
    meta = event.metadata
    symbols = ", ".join(meta.get("symbols", ()))
    text = f"Started: venue {_said(meta, 'venue')}, {symbols or 'no symbols'}, version {_said(meta, 'version')}."
    return Alert(Level.INFO, "SYSTEM:started", text)


def _stopped(event: AuditEvent) -> Alert:
    why = _said(event.metadata, "why")
    if why == "asked to":
        return Alert(Level.INFO, "SYSTEM:stopped", "Stopped, as it was asked to.")
    return Alert(Level.CRITICAL, "SYSTEM:gave up", f"Gave up safely: {why}. Nothing is bought; look at the log.")


def _filled(event: AuditEvent) -> Alert:
    meta = event.metadata
    verb, quote = ("Bought" if event.side == "BUY" else "Sold"), _said(meta, "quote_asset")
    worth = f"{_number(meta, 'quote_quantity')} {quote}"
    text = f"{verb} {_number(meta, 'quantity')} {event.symbol} at {_number(meta, 'price')}, {worth}."
    return Alert(Level.INFO, f"FILL {event.seq}", text)  # each is told by itself


def _closed(event: AuditEvent) -> Alert:
    text = f"Closed {event.symbol}: {_money(event.metadata, 'pnl')} net of fees."
    return Alert(Level.INFO, f"CLOSED {event.seq}", text)


def _killed(event: AuditEvent) -> Alert:
    meta = event.metadata
    text = f"KILL SWITCH ON: {_said(meta, 'why')} (by {_said(meta, 'source')}). Nothing is bought until you resume."
    return Alert(Level.CRITICAL, "KILL_SWITCH:on", text)


def _resumed(event: AuditEvent) -> Alert:
    meta = event.metadata
    text = f"Kill switch off: {_said(meta, 'why')} (by {_said(meta, 'source')}). Buying goes on."
    return Alert(Level.CRITICAL, "KILL_SWITCH:off", text)


def _commanded(event: AuditEvent) -> Alert | None:
    """A command that was refused, or that changed what is bought; the others are in the journal alone."""
    meta = event.metadata
    command, source = _said(meta, "command"), _said(meta, "source")
    if "chat" in meta:
        return None  # a stranger's: telling would let strangers fill the operator's chat
    if "refused" in meta:
        text = f"{command} was refused (asked by {source}): {_said(meta, 'refused')}."
        return Alert(Level.WARNING, f"COMMAND {command}", text)
    if command in ("pause", "unpause"):
        done = "Paused: nothing new is bought" if command == "pause" else "Buying goes on"
        return Alert(Level.WARNING, f"PAUSE:{command}", f"{done} (by {source}).")
    return None


def _circuit_opened(_event: AuditEvent) -> Alert:
    text = "Circuit breaker open: requests to the exchange failed in a row. No order is sent until it answers again."
    return Alert(Level.WARNING, "CIRCUIT:open", text)


def _circuit_closed(_event: AuditEvent) -> Alert:
    return Alert(Level.INFO, "CIRCUIT:closed", "Circuit breaker closed: the exchange answers again.")


def _mismatch(event: AuditEvent) -> Alert:
    text = f"Books and exchange differ: {_said(event.metadata, 'why')}. Nothing is bought until they agree."
    return Alert(Level.CRITICAL, "MISMATCH", text, hold_s=STORM_SECONDS)


def _restarted(event: AuditEvent) -> Alert:
    text = f"Actor {_said(event.metadata, 'actor')} failed and was restarted: {_said(event.metadata, 'why')}"
    return Alert(Level.WARNING, "RESTART", text, hold_s=STORM_SECONDS)


def _decayed(event: AuditEvent) -> Alert:
    text = f"The parameters have decayed: {_said(event.metadata, 'why')}. Consider new ones before going on."
    return Alert(Level.WARNING, "DECAY", text)


def _rodage(event: AuditEvent) -> Alert:
    meta = event.metadata
    words = {"RODAGE_STARTED": "started", "RODAGE_RESTARTED": "starts again", "RODAGE_VERDICT": "has its verdict"}
    more = meta.get("verdict") or meta.get("why") or ""
    text = f"The rodage {words[event.event]}{': ' if more else ''}{str(more)[:LONGEST]}."
    return Alert(Level.WARNING if event.event == "RODAGE_RESTARTED" else Level.INFO, f"RODAGE {event.seq}", text)


WORDS: Mapping[str, Callable[[AuditEvent], Alert | None]] = {
    "SYSTEM_STARTED": _started,
    "SYSTEM_STOPPED": _stopped,
    "ORDER_PARTIALLY_FILLED": _filled,
    "ORDER_FILLED": _filled,
    "POSITION_CLOSED": _closed,
    "KILL_SWITCH_ACTIVATED": _killed,
    "KILL_SWITCH_DEACTIVATED": _resumed,
    "OPERATOR_COMMAND": _commanded,
    "CIRCUIT_OPENED": _circuit_opened,
    "CIRCUIT_CLOSED": _circuit_closed,
    "RECONCILIATION_MISMATCH": _mismatch,
    "ACTOR_RESTARTED": _restarted,
    "PARAMETER_DECAY": _decayed,
    "RODAGE_STARTED": _rodage,
    "RODAGE_RESTARTED": _rodage,
    "RODAGE_VERDICT": _rodage,
}


def _said(metadata: Mapping[str, Any], name: str) -> str:
    """One line of what the journal has, or a dash."""
    value = " ".join(str(metadata.get(name, "-")).split())
    return value if len(value) <= LONGEST else value[:LONGEST] + "…"


def _number(metadata: Mapping[str, Any], name: str) -> str:
    """Plain digits, without the zeros that the exchange fills up with."""
    value = metadata.get(name)
    if value is None:
        return "-"
    text = format(Decimal(value), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _money(metadata: Mapping[str, Any], name: str) -> str:
    value = metadata.get(name)
    return "-" if value is None else f"{Decimal(value):+.4f}"
