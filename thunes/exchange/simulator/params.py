"""A request's parameters, read one by one into our types with the exchange's own errors (errors.md, 11xx)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar
from urllib.parse import parse_qsl

import orjson

from thunes.errors import ExchangeError
from thunes.exchange.simulator.signing import MICROSECONDS_FROM

SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
INTEGER = r"^[0-9]{1,20}$"
DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
WINDOW = r"^([0-9]{1,20})(\.[0-9]{1,3})?$"
CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
LARGEST_LONG = 2**63 - 1
MOST_PARAMETERS = 100

E = TypeVar("E", bound=StrEnum)


def missing(name: str) -> ExchangeError:
    return ExchangeError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def not_valid(name: str) -> ExchangeError:
    return ExchangeError(-1130, f"Data sent for parameter '{name}' is not valid.")


def not_required(name: str) -> ExchangeError:
    return ExchangeError(-1106, f"Parameter '{name}' sent when not required.")


def pairs(part: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(part, keep_blank_values=True, max_num_fields=MOST_PARAMETERS, errors="replace")
    except ValueError as error:
        raise ExchangeError(-1101, "Too many parameters sent for this endpoint.") from error


class Params:
    """Named values, each read at most through one typed method; `finish` refuses what nobody read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._read: set[str] = set()

    @classmethod
    def from_request(cls, query: str, body: str) -> Params:
        """Query string and form body; a value in the query wins. Raises ExchangeError -1101 for a name sent twice."""
        values: dict[str, str] = {}
        for part in (body, query):
            found = pairs(part)
            if len({name for name, _ in found}) < len(found):
                raise ExchangeError(-1101, "Duplicate values for a parameter detected.")
            values.update(found)
        return cls(values)

    def has(self, name: str) -> bool:
        return name in self._values

    def glance(self, name: str) -> str:
        """The value as sent, empty where there is none; it does not count as read."""
        return self._values.get(name, "")

    def text(self, name: str, legal: str | None = None) -> str | None:
        """The value as sent; raises -1105 where it is empty and -1100 where it is not within `legal`."""
        self._read.add(name)
        value = self._values.get(name)
        if value is None:
            return None
        if not value:
            raise ExchangeError(-1105, f"Parameter '{name}' was empty.")
        if legal is not None and not re.fullmatch(legal, value, re.ASCII):
            raise ExchangeError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
        return value

    def required(self, name: str, legal: str | None = None) -> str:
        value = self.text(name, legal)
        if value is None:
            raise missing(name)
        return value

    def integer(self, name: str) -> int | None:
        """A whole number that fits 64 bits, else -1108."""
        value = self.text(name, INTEGER)
        if value is None:
            return None
        number = int(value)
        if number > LARGEST_LONG:
            raise ExchangeError(-1108, f"Parameter '{name}' overflowed.")
        return number

    def decimal(self, name: str, precision: int) -> Decimal | None:
        """A number without sign or exponent and at most `precision` decimals, else -1111."""
        value = self.text(name, DECIMAL)
        if value is None:
            return None
        if len(value.partition(".")[2].rstrip("0")) > precision:
            raise ExchangeError(-1111, f"Parameter '{name}' has too much precision.")
        return Decimal(value)

    def window(self) -> Decimal | None:
        """`recvWindow` in milliseconds, with up to three decimals."""
        value = self.text("recvWindow", WINDOW)
        return None if value is None else Decimal(value)

    def time_ms(self, name: str) -> int | None:
        """A moment in milliseconds, sent so or in microseconds."""
        value = self.integer(name)
        return value // 1000 if value is not None and value >= MICROSECONDS_FROM else value

    def limit(self, default: int, most: int) -> int:
        """`limit`, cut to `most`; a zero is refused with -1130."""
        value = self.integer("limit")
        if value == 0:
            raise not_valid("limit")
        return default if value is None else min(value, most)

    def choice(self, name: str, kind: type[E], refusal: ExchangeError) -> E | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError:
            raise refusal from None

    def boolean(self, name: str) -> bool:
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise not_valid(name)
        return value == "true"

    def names(self, name: str) -> list[str] | None:
        """A JSON array of strings, else -1135; -1151 where one is in it twice."""
        value = self.text(name)
        if value is None:
            return None
        try:
            found = orjson.loads(value)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, list) or not found or not all(isinstance(item, str) for item in found):
            raise ExchangeError(-1135, f"JSON sent for parameter '{name}' is not valid")
        if len(set(found)) < len(found):
            raise ExchangeError(-1151, "Symbol is present multiple times in the list.")
        return found

    def finish(self) -> None:
        """Raises ExchangeError for parameters that this endpoint does not know."""
        sent, read = len(self._values), len(self._read & self._values.keys())
        if read == sent:
            return
        if not self._read:
            raise ExchangeError(-1101, f"Too many parameters; expected '0' and received '{sent}'.")
        raise ExchangeError(
            -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
        )
