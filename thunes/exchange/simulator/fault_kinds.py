"""Every fault that the embedded exchange can be told to have, with its parameters: a table, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from thunes.errors import OperatorError

LONGEST_S = 86_400.0
MOST_TIMES = 1_000_000_000
MOST_OFFSET_MS = 86_400_000
LONGEST_TEXT = 200
LONGEST_REPEATED = 60
"""Characters of a wrong value that its refusal repeats."""
EVERYTHING = "*"
PLACING = "POST /api/v3/order"
REQUIRED: Any = object()
"""Stands for a default that there is none of."""
REQUEST = re.compile(r"\*|[A-Z]+ /\S*|[A-Za-z0-9]+(\.[A-Za-z0-9]+)*")
SYMBOL = re.compile(r"[A-Z0-9]{1,20}")


class UnknownFault(OperatorError):
    """A fault that is asked for in a way that nobody understands; the message says what there is."""


class Seam(StrEnum):
    """Where a fault strikes."""

    REQUEST = "a request that came in"
    ANSWER = "an answer that goes out"
    REPORT = "an execution report"
    FRAME = "a frame of a stream"
    CONNECTIONS = "open connections"
    CONNECT = "a connection being made"
    CLOCK = "the clock"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of a fault: its type, and what it may be. A default of None makes it optional."""

    kind: type
    default: Any = REQUIRED
    choices: tuple[Any, ...] = ()
    least: float = 0
    most: float = LONGEST_S

    def read(self, value: Any) -> Any:
        """The value in its own type; raises ValueError with what it has to be."""
        if value is None and self.default is None:
            return None
        if type(value).__name__ not in (self.kind.__name__, "int" if self.kind is float else ""):
            raise ValueError(NAMES[self.kind])
        if self.choices and value not in self.choices:
            raise ValueError(f"one of {', '.join(map(str, self.choices))}")
        if self.kind is str and not 0 < len(value) <= LONGEST_TEXT:
            raise ValueError(f"1 to {LONGEST_TEXT} characters long")
        if self.kind is not str and not self.least <= value <= self.most:
            raise ValueError(f"{NAMES[self.kind]} from {self.least:g} to {self.most:g}")
        return self.kind(value)

    def from_text(self, text: str) -> Any:
        """What a command line says; what is no number stays text, and is refused by `read`."""
        if self.kind is str:
            return text
        try:
            return self.kind(text)
        except ValueError:
            return text


NAMES = {int: "a whole number", float: "a number", str: "text"}

COUNT = Parameter(int, 1, least=1, most=MOST_TIMES)
OPTIONAL_TEXT = Parameter(str, None)
CODE = Parameter(int, None, least=-9999, most=-1)


def seconds(default: float | None) -> Parameter:
    return Parameter(float, default)


def one_of(default: str, *others: str) -> Parameter:
    return Parameter(str, default, choices=(default, *others))


@dataclass(frozen=True, slots=True)
class Kind:
    """One fault by name."""

    name: str
    seam: Seam
    help: str
    parameters: Mapping[str, Parameter]


def of_request(name: str, seam: Seam, text: str, match: str = PLACING, **more: Parameter) -> Kind:
    common = {"match": Parameter(str, match), "symbol": OPTIONAL_TEXT, "count": COUNT}
    return Kind(name, seam, text, {**common, **more})


def of_report(name: str, text: str, **more: Parameter) -> Kind:
    return Kind(name, Seam.REPORT, text, {"kind": OPTIONAL_TEXT, "symbol": OPTIONAL_TEXT, "count": COUNT, **more})


def of_connections(name: str, text: str, **more: Parameter) -> Kind:
    streams = one_of("all", "market", "account")
    return Kind(name, Seam.CONNECTIONS, text, {"streams": streams, "count": COUNT, **more})


def of_market(name: str, text: str) -> Kind:
    return Kind(name, Seam.FRAME, text, {"streams": one_of("market"), "symbol": OPTIONAL_TEXT, "count": COUNT})


ALL = (
    of_request("lose-request", Seam.REQUEST, "the connection is cut before anything is done"),
    of_request(
        "hold-request",
        Seam.REQUEST,
        "held before it is processed, which it is even if its client has gone; then=drop: it is lost instead",
        seconds=seconds(2.0),
        then=one_of("process", "drop"),
    ),
    of_request(
        "reject",
        Seam.REQUEST,
        "refused with this error",
        code=Parameter(int, -2010, least=-9999, most=-1),
        message=Parameter(str, "Account has insufficient balance for requested action."),
        status=Parameter(int, 400, least=400, most=599),
    ),
    of_request(
        "limit",
        Seam.REQUEST,
        "refused as too much, with Retry-After; for so many seconds where they are given, else count times",
        match=EVERYTHING,
        status=Parameter(int, 429, choices=(429, 418)),
        retry_after=Parameter(int, 1, least=0),
        seconds=seconds(None),
    ),
    of_request(
        "accept-then-504",
        Seam.ANSWER,
        "processed and answered with a proxy's error page; with a code: with that error as JSON",
        status=Parameter(int, 504, least=500, most=599),
        code=CODE,
    ),
    of_request("lose-answer", Seam.ANSWER, "processed, and the connection is cut without an answer"),
    of_request("hold-answer", Seam.ANSWER, "processed, and its answer is held", seconds=seconds(2.0)),
    of_request("slow", Seam.ANSWER, "processed, and its answer comes late", seconds=seconds(1.0)),
    of_request("garbage", Seam.ANSWER, "processed, and its answer is cut in the middle, so that it is no JSON"),
    of_report("drop-report", "never sent"),
    of_report("delay-report", "sent later; others overtake it", seconds=seconds(1.0)),
    of_report("double-report", "sent twice"),
    of_report("reorder-report", "sent after the next one, or after so many seconds", seconds=seconds(5.0)),
    of_connections("disconnect", "cut at once"),
    of_connections("silence", "nothing is sent but pings and pongs; it is not sent later", seconds=seconds(10.0)),
    of_connections("half-open", "nothing is sent and nothing read, then cut", seconds=seconds(60.0)),
    of_connections("no-pong", "the client's pings are not answered", seconds=seconds(10.0)),
    of_connections("server-shutdown", "serverShutdown is sent, and then they are closed", seconds=seconds(1.0)),
    of_market("gap", "an update of book or candle is not sent"),
    of_market("crossed", "a best bid above the best ask"),
    Kind(
        "garbage-frame",
        Seam.FRAME,
        "a frame is cut in the middle",
        {"streams": one_of("all", "market", "account"), "count": COUNT},
    ),
    Kind(
        "refuse-connections",
        Seam.CONNECT,
        "nobody is let in for so long",
        {"streams": one_of("all", "market", "account"), "seconds": seconds(5.0)},
    ),
    Kind(
        "clock",
        Seam.CLOCK,
        "the exchange's clock is off, until it is cleared or set again, or for so many seconds",
        {"offset_ms": Parameter(int, least=-MOST_OFFSET_MS, most=MOST_OFFSET_MS), "seconds": seconds(None)},
    ),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in ALL}


def checked(name: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a fault, defaults filled in. Raises UnknownFault with what there is instead."""
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnknownFault(f"there is no fault {shown(name)}; there are: {', '.join(KINDS)}")
    unknown = [each for each in given if each not in kind.parameters]
    if unknown:
        raise UnknownFault(f"{name} has no {shown(unknown[0])}; it has: {', '.join(kind.parameters)}")
    values = {}
    for each, parameter in kind.parameters.items():
        value = given.get(each, parameter.default)
        if value is REQUIRED:
            raise UnknownFault(f"{name} needs {each}; it has: {', '.join(kind.parameters)}")
        try:
            values[each] = parameter.read(value)
        except ValueError as error:
            raise UnknownFault(f"{each} of {name} has to be {error}, not {shown(value)}") from None
    if not REQUEST.fullmatch(values.get("match", EVERYTHING)):
        raise UnknownFault(f"match of {name} has to be {EVERYTHING!r} or as in {PLACING!r}, not {values['match']!r}")
    return values


def shown(value: Any) -> str:
    """A wrong value as it was given, or its beginning."""
    text = repr(value)
    return text if len(text) <= LONGEST_REPEATED else f"{text[:LONGEST_REPEATED]}..."


def check_place(values: Mapping[str, Any], requests: Collection[str], symbols: Collection[str]) -> None:
    """Raises UnknownFault for a request or a symbol that the exchange does not serve."""
    match, symbol = values.get("match", EVERYTHING), values.get("symbol")
    if match != EVERYTHING and match not in requests:
        known = ", ".join(sorted(each for each in requests if " " in each))
        raise UnknownFault(f"there is no request {match!r}; there are: {EVERYTHING}, {known}")
    if symbol is not None and symbol not in symbols:
        raise UnknownFault(f"{symbol} is not served here; there are: {', '.join(sorted(symbols))}")


def from_words(name: str, words: Iterable[str]) -> dict[str, Any]:
    """The parameters that `key=value` words give. Raises UnknownFault."""
    kind, given = KINDS.get(name), {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise UnknownFault(f"{word!r} is no key=value")
        parameter = kind.parameters.get(key) if kind is not None else None
        given[key] = text if parameter is None else parameter.from_text(text)
    return given


def from_flag(text: str) -> tuple[str, dict[str, Any]]:
    """What `--fault NAME,key=value,key=value` asks for. Raises UnknownFault."""
    name, _, rest = text.partition(",")
    given = from_words(name, rest.split(",") if rest else ())
    return name, checked(name, given)


def described() -> str:
    """The table for people: a line for each fault, and one for its parameters and their defaults."""
    lines = []
    for kind in ALL:
        each = (f"{name}={'' if p.default in (None, REQUIRED) else p.default}" for name, p in kind.parameters.items())
        lines += [f"  {kind.name:<19} {kind.help}", f"  {'':<19} {'  '.join(each)}"]
    return "\n".join(lines)
