"""The status document as a table for people, the same for the live view and for `thunes status`.

Made for 80 columns by 24 lines: a wider terminal gives the room to the last decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Document = Mapping[str, Any]

UNKNOWN = "-"
STYLES = {"running": "green", "starting": "yellow", "restarting": "red", "stopping": "yellow", "stopped": "red"}
BREAKERS = {"closed": "green", "half-open": "yellow", "open": "bold red"}


def status_view(status: Document, places: Sequence[str]) -> RenderableType:
    """`status` as `/api/status` gives it; `places` are lines that say where to look further."""
    parts: list[RenderableType] = [_header(status), *_warnings(status), Text(), _market(status), Text()]
    parts.append(_actors(status))
    if places:
        parts += [Text(), *(Text(place, "dim", overflow="fold") for place in places)]
    return Group(*parts)


def _header(status: Document) -> Text:
    """Two lines, each short enough for 80 columns with the longest venue, uptime and journal."""
    pnl, seq = status["pnl"], status["journal"]["seq"]
    used = "" if pnl["used"] is None else f" ({pnl['used']:.0%} of the loss limit of {plain(pnl['limit'], 0)})"
    system = [
        Text(f"THUNES {status['venue']}", "bold"),
        Text(f"up {timedelta(seconds=int(status['uptime_s']))}"),
        Text("ready", "green") if status["ready"] else Text("not ready", "yellow"),
        _kill_switch(status["kill_switch"]),
    ]
    money = [
        Text(f"today {signed(pnl['today'])}{used}", _by_sign(pnl["today"])),
        Text(f"journal {UNKNOWN if seq is None else seq}"),
    ]
    return Text("\n").join(Text("  ").join(line) for line in (system, money))


def _kill_switch(switch: Document) -> Text:
    active = switch["active"]
    if active is None:
        return Text("kill switch -", "dim")
    return Text("KILLED", "bold white on red") if active else Text("kill switch off", "green")


def _warnings(status: Document) -> list[Text]:
    """One line for each thing that stops trading; none when all is well."""
    lines, switch, orders = [], status["kill_switch"], status["orders"]
    if switch["active"]:
        since = f" since {switch['since'][:19]}" if switch["since"] else ""
        lines.append(Text(f"Buying is stopped{since}: {switch['reason'] or 'no reason given'}.", "bold red"))
    if not status["ready"]:
        lines.append(Text(f"Not ready: {status['not_ready']}.", "yellow"))
    lines += [
        Text(f"Circuit breaker {name} is {state}.", BREAKERS.get(state, "red"))
        for name, state in status["breakers"].items()
        if state != "closed"
    ]
    if orders["open"] or orders["unknown"]:
        unknown = f", the fate of {orders['unknown']} unknown" if orders["unknown"] else ""
        lines.append(Text(f"Open orders: {orders['open']}{unknown}.", "yellow" if unknown else ""))
    return lines


def _market(status: Document) -> Table:
    table = _table()
    for title in ("symbol", "bid", "age", "position", "unreal."):
        table.add_column(title, justify="left" if title == "symbol" else "right", no_wrap=True)
    table.add_column("strategy: last decision")
    held = {position["symbol"]: position for position in status["positions"]}
    for symbol, strategy in status["strategies"].items():
        position = held.get(symbol, {})
        market, stream = status["market"].get(symbol, {}), status["streams"].get(symbol, {})
        unrealised = position.get("unrealised")
        table.add_row(
            Text(symbol, "bold"),
            plain(market.get("bid"), 2),
            _age(stream),
            plain(position.get("quantity"), 0),
            Text(signed(unrealised), _by_sign(unrealised)),
            _decision(strategy),
        )
    return table


def _age(stream: Document) -> Text:
    """Since the last frame; red where the socket is closed, for then it only grows."""
    age = stream.get("age_s")
    if age is None:
        return Text(UNKNOWN, "dim")
    shown = f"{age:.1f}s" if age < 100 else f"{age / 60:.0f}min"
    return Text(shown, "" if stream["connected"] else "bold red")


def _decision(strategy: Document) -> Text:
    state, decision = strategy["state"], strategy["last_decision"]
    if state == "ready":
        return Text(decision or "ready, no signal yet", "" if decision else "dim")
    return Text(f"{state}; {decision}" if decision else state, "yellow")


def _actors(status: Document) -> Table:
    """Two actors a line, so that a whole tree fits a small terminal: state, messages waiting, restarts."""
    table = _table()
    for title in ("actor", "state", "mail", "rst") * 2:
        table.add_column(title, justify="right" if title in ("mail", "rst") else "left", no_wrap=title != "actor")
    actors = [_actor(actor) for actor in status["actors"]]
    half = (len(actors) + 1) // 2
    for left, right in zip_longest(actors[:half], actors[half:], fillvalue=()):
        table.add_row(*left, *right)
    return table


def _actor(actor: Document) -> tuple[Text, ...]:
    mailbox, restarts = actor["mailbox"], actor["restarts"]
    return (
        Text(actor["name"], no_wrap=True, overflow="ellipsis"),
        Text(actor["state"], STYLES.get(actor["state"], "red")),
        Text(str(mailbox), "yellow" if mailbox > 100 else ""),
        Text(str(restarts), "yellow" if restarts else "dim"),
    )


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=False)


def plain(amount: str | None, places: int) -> str:
    """An amount without needless zeros, but with at least `places` of them after the point."""
    if amount is None:
        return UNKNOWN
    whole, _, fraction = format(Decimal(amount), ",f").partition(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    return f"{whole}.{fraction}" if fraction else whole


def signed(amount: str | None) -> str:
    """Money with its sign, to the cent."""
    return UNKNOWN if amount is None else f"{Decimal(amount):+,.2f}"


def _by_sign(amount: str | None) -> str:
    value = Decimal(amount or 0)
    return "red" if value < 0 else "green" if value > 0 else ""
