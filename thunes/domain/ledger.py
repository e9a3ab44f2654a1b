"""What each account of the embedded exchange has, and where every unit of it came from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from thunes.domain.executions import Balance
from thunes.domain.filters import ZERO

NOTHING = Balance()


@dataclass(frozen=True, slots=True)
class Flow:
    """Of one asset: all deposits, all commissions taken, and what the public market got (negative: what it gave)."""

    deposited: Decimal = ZERO
    fees: Decimal = ZERO
    market: Decimal = ZERO


class Ledger:
    """Balances by account and asset: accounts' totals, fees and the market's share always add up to the deposits."""

    def __init__(self) -> None:
        self._accounts: dict[str, dict[str, Balance]] = {}
        self._deposited: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._fees: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._market: defaultdict[str, Decimal] = defaultdict(Decimal)

    def open(self, account: str, balances: Mapping[str, Balance]) -> None:
        """Opens an account with these balances; one that is open keeps what it has. Negative ones raise ValueError."""
        if account in self._accounts:
            return
        for asset, balance in balances.items():
            if balance.free < 0 or balance.locked < 0:
                raise ValueError(f"{account} cannot open with {balance.free} {asset} free and {balance.locked} locked")
        self._accounts[account] = dict(balances)
        for asset, balance in balances.items():
            self._deposited[asset] += balance.total

    def accounts(self) -> tuple[str, ...]:
        return tuple(self._accounts)

    def balances(self, account: str) -> Mapping[str, Balance]:
        """By asset, as they are now. Raises KeyError for an account that was never opened."""
        return dict(self._accounts[account])

    def balance(self, account: str, asset: str) -> Balance:
        return self._accounts[account].get(asset, NOTHING)

    def lock(self, account: str, asset: str, amount: Decimal) -> None:
        """Moves `amount` from free to locked, or back when negative."""
        if amount:
            self._change(account, asset, free=-amount, locked=amount)

    def pay(self, account: str, asset: str, amount: Decimal, *, unlocked: Decimal) -> None:
        """Pays `amount` to the market out of `unlocked` and, for what that lacks, of the free balance."""
        self._change(account, asset, free=unlocked - amount, locked=-unlocked)
        self._market[asset] += amount

    def receive(self, account: str, asset: str, amount: Decimal, *, fee: Decimal) -> None:
        """Credits `amount` from the market, less `fee`."""
        self._change(account, asset, free=amount - fee, locked=ZERO)
        self._market[asset] -= amount
        self._fees[asset] += fee

    def flows(self) -> Mapping[str, Flow]:
        """Where every unit is accounted for, by asset: deposited = the accounts' totals + fees + market."""
        assets = {*self._deposited, *self._fees, *self._market}
        return {a: Flow(self._deposited[a], self._fees[a], self._market[a]) for a in sorted(assets)}

    def _change(self, account: str, asset: str, *, free: Decimal, locked: Decimal) -> None:
        held = self._accounts[account]
        old = held.get(asset, NOTHING)
        held[asset] = Balance(old.free + free, old.locked + locked)
