"""What makes a frame one that must not be traded on, each with the word that says why."""

from __future__ import annotations

from decimal import Decimal
from typing import NoReturn

import msgspec

from thunes.domain.market import order_status
from thunes.errors import MarketDataError
from thunes.messages import OrderStatus

KINDS = ("NOT_JSON", "MISSING_FIELD", "WRONG_TYPE", "BAD_PRICE", "BAD_QUANTITY", "CROSSED_BOOK", "BAD_CANDLE")

SMALLEST, LARGEST = Decimal("1E-20"), Decimal("1E+20")
"""No price or quantity listed is beyond these: `1E-999999` is a number too, and overflows a product."""

MICROSECONDS = 100_000_000_000_000
"""A time at or above this is in microseconds: as milliseconds it would be past the year 5138."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on bytes from outside; a deep nesting is a RecursionError."""


def check_price(price: Decimal) -> None:
    """A finite number above zero, or MarketDataError."""
    if not (price.is_finite() and SMALLEST <= price <= LARGEST):
        raise refusal("BAD_PRICE", f"a price of {price}")


def check_quantity(quantity: Decimal) -> None:
    """A finite number of at least zero, or MarketDataError."""
    if not (quantity.is_finite() and 0 <= quantity <= LARGEST):
        raise refusal("BAD_QUANTITY", f"a quantity of {quantity}")


def milliseconds(time: int) -> int:
    """A time of the exchange's, which it tells in milliseconds or, when asked to, in microseconds."""
    return time // 1000 if time >= MICROSECONDS else time


def refusal(kind: str, why: object) -> MarketDataError:
    return MarketDataError(kind, f"The frame cannot be used ({kind}): {why}.")


def refuse(error: Exception) -> NoReturn:
    """Say in our words why msgspec could not read a frame."""
    if isinstance(error, msgspec.ValidationError):
        raise refusal("MISSING_FIELD" if "missing required field" in str(error) else "WRONG_TYPE", error) from error
    raise refusal("NOT_JSON", error) from error


def known_status(word: str) -> OrderStatus:
    """An order's status, or MarketDataError for a word that the exchange does not document."""
    try:
        return order_status(word)
    except ValueError as error:
        raise refusal("WRONG_TYPE", error) from error
