"""Whether a system may trade as an account: its key's rights, and who else trades on it. Asked before a start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from thunes.domain.instances import FRESH_MS, foreign_orders
from thunes.domain.key_rights import KeyRights, objection
from thunes.domain.market import OrderAnswer
from thunes.errors import AccountInUse, ExchangeError, OperatorError
from thunes.messages import Candle

REAL_MONEY = ("live",)
LATER = (418, 429)
"""Asked too often: that says nothing of the key."""
MINUTE_MS = 60_000


class AccountRest(Protocol):
    """The venue, as far as it is asked here (`thunes.exchange.binance.BinanceRest`)."""

    def api_restrictions(self) -> KeyRights | None: ...
    def open_orders(self) -> Sequence[OrderAnswer]: ...
    def recent_orders(self, symbol: str) -> Sequence[OrderAnswer]: ...
    def klines(self, symbol: str, interval: str, *, limit: int) -> Sequence[Candle]: ...


@dataclass(frozen=True, slots=True)
class Unknown:
    """The venue does not say what the key may do; `why` in its words."""

    why: str


def rights(rest: AccountRest) -> KeyRights | Unknown:
    """The key's rights as the venue tells them; NetworkError or ExchangeError where it may tell them later."""
    try:
        found = rest.api_restrictions()
    except ExchangeError as error:
        if error.status in LATER:
            raise
        return Unknown(str(error))
    return found if found is not None else Unknown("the venue has no such request")


def check_key(rest: AccountRest, venue: str) -> None:
    """OperatorError for a key that may withdraw or may not trade; on a venue with real money also where it is unknown.

    Where only play money is at stake a venue need not tell: the testnet has no such request.
    """
    found = rights(rest)
    if isinstance(found, Unknown):
        if venue in REAL_MONEY:
            raise OperatorError(f"What the API key may do cannot be checked ({found.why}); nothing is started.")
    elif wrong := objection(found):
        raise OperatorError(wrong)


def others(rest: AccountRest, symbols: Sequence[str], home_id: str) -> dict[str, str]:
    """Every other home that trades on the account, and what shows it.

    Seen are all open orders, and those of `symbols` that traded a short while ago.
    """
    orders, now_ms = list(rest.open_orders()), 0
    for symbol in symbols:
        orders += rest.recent_orders(symbol)
        # The embedded exchange's orders have its market's time, which only its market tells.
        now_ms = max([now_ms, *(candle.open_ms for candle in rest.klines(symbol, "1m", limit=1))])
    return {home: _shown(order) for home, order in sorted(foreign_orders(orders, home_id, now_ms).items())}


def check_alone(rest: AccountRest, symbols: Sequence[str], home_id: str) -> None:
    """AccountInUse where another THUNES trades on the account, with what to do."""
    found = others(rest, symbols, home_id)
    if found:
        raise AccountInUse(f"{in_words(found)}.")


def in_words(found: dict[str, str]) -> str:
    """Which other homes, by what, and how to go on."""
    named = "; ".join(f"{home} ({shown})" for home, shown in found.items())
    minutes = FRESH_MS // MINUTE_MS
    return (
        f"Another THUNES trades on this account, home id {named}: stop it, or use another account; if it is gone,"
        f" cancel its open orders at the exchange and start {minutes} minutes (of the exchange's time) after its last"
        " trade"
    )


def _shown(order: OrderAnswer) -> str:
    return f"order {order.client_order_id} of {order.symbol} {'is open' if order.status.is_open else 'has just traded'}"
