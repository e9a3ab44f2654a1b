"""Which series a PromQL expression reads, without a PromQL library: there is none for Python worth a dependency."""

from __future__ import annotations

import re
from collections.abc import Iterator

TOKEN = re.compile(
    r"""
      \s+ | \#[^\n]*
    | (?P<string> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` )
    | (?P<number> [0-9.][0-9a-zA-Z_.]* )
    | \$\{[^}]*\} | \$\w+ | \[\[[^\]]*\]\]           # Grafana's variables
    | (?P<name> [a-zA-Z_:][a-zA-Z0-9_:]* )
    | (?P<sign> =~ | !~ | != | == | <= | >= | . )
    """,
    re.VERBOSE | re.DOTALL,
)
LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
"""These may be followed by a list of labels in brackets."""
WORDS = LISTS | {"and", "or", "unless", "offset", "bool", "atan2", "inf", "nan"}
AGGREGATED = {"by", "without"}


def metrics_in(expr: str) -> set[str]:
    """The metrics that are read, as scraped: `x_bucket`, not the histogram's `x`. Recorded series are left out."""
    return {name for name in _series(expr) if ":" not in name}


def recorded_in(expr: str) -> set[str]:
    """The recorded series that are read: those with a colon in their name."""
    return {name for name in _series(expr) if ":" in name}


def _series(expr: str) -> Iterator[str]:
    tokens = [(match.lastgroup, match.group()) for match in TOKEN.finditer(expr) if match.lastgroup]
    place = 0
    while place < len(tokens):
        kind, text = tokens[place]
        following = tokens[place + 1][1] if place + 1 < len(tokens) else ""
        if text == "{":
            end = _closing(tokens, place, "}")
            yield from _named(tokens[place + 1 : end])
            place = end
        elif text == "[":
            place = _closing(tokens, place, "]")
        elif kind == "name" and text.lower() in LISTS and following == "(":
            place = _closing(tokens, place, ")")
        elif kind == "name" and text.lower() not in WORDS and following != "(" and following not in AGGREGATED:
            yield text
        place += 1


def _closing(tokens: list[tuple[str | None, str]], start: int, bracket: str) -> int:
    return next(index for index in range(start, len(tokens)) if tokens[index] == ("sign", bracket))


def _named(matchers: list[tuple[str | None, str]]) -> Iterator[str]:
    """What matchers say of the metric's name: `__name__="x"`, and since Prometheus 3 `"x"` alone."""
    for index, (kind, text) in enumerate(matchers):
        if kind != "string":
            continue
        before = [token for _, token in matchers[max(0, index - 2) : index]]
        after = matchers[index + 1][1] if index + 1 < len(matchers) else ","
        if before == ["__name__", "="] or (before[-1:] in ([], [","]) and after == ","):
            yield text[1:-1]
