"""What an API key may do, and whether a trading system may have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class KeyRights:
    """A key's own rights (`GET /sapi/v1/account/apiRestrictions`), which are not the account's."""

    may_read: bool
    may_trade: bool
    may_withdraw: bool
    bound_to_address: bool
    """Only requests from named IP addresses are taken."""

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> KeyRights:
        """KeyError or ValueError for an answer that is not what the exchange documents."""
        names = ("enableReading", "enableSpotAndMarginTrading", "enableWithdrawals", "ipRestrict")
        rights = [answer[name] for name in names]
        if not all(isinstance(right, bool) for right in rights):
            raise ValueError("a right is neither true nor false")
        return cls(*rights)


def objection(rights: KeyRights) -> str:
    """Why no system may start with such a key, and what to do; empty for one that will do."""
    if rights.may_withdraw:
        return "The API key may withdraw; take `Enable Withdrawals` off it, or make another key."
    if not rights.may_read:
        return "The API key may not read the account; give it `Enable Reading`."
    if not rights.may_trade:
        return "The API key may not trade; give it `Enable Spot & Margin Trading`."
    return ""
