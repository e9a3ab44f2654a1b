"""What the account's key may do: `GET /sapi/v1/account/apiRestrictions`, of the exchange's wallet documents."""

from __future__ import annotations

from thunes.exchange.simulator.dispatch import Act, Call

PATH = "/sapi/v1/account/apiRestrictions"


class ApiKeys:
    """The one key of this exchange: it reads and trades, and withdraws only where that is asked for."""

    def __init__(self, created_ms: int, *, may_withdraw: bool) -> None:
        self._created_ms = created_ms
        self._may_withdraw = may_withdraw

    def restrictions(self, _call: Call) -> Act:
        """Withdrawing needs a key that is bound to addresses, so both are told together."""
        return lambda: {
            "ipRestrict": self._may_withdraw,
            "createTime": self._created_ms,
            "enableReading": True,
            "enableWithdrawals": self._may_withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": False,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": True,
            "enablePortfolioMarginTrading": False,
        }
