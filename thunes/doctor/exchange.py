"""What is asked of the venue over REST: its clock, the key, the symbols' rules, and who else trades there."""

from __future__ import annotations

from decimal import Decimal

from thunes.account import Unknown, in_words, others, rights
from thunes.doctor.findings import Failed
from thunes.doctor.patient import Patient, Venue
from thunes.domain.filters import order_violation, round_down
from thunes.domain.key_rights import objection
from thunes.domain.symbol_rules import SymbolRules
from thunes.errors import ExchangeError
from thunes.messages import OrderType, Side
from thunes.sections import Risk

LARGEST_SKEW_MS = 1000
"""A request that is further ahead is refused by the exchange; ours are corrected, the journal's times are not."""
NEEDED_TYPES = ("MARKET", "LIMIT", "STOP_LOSS_LIMIT")


def clock(_patient: Patient, venue: Venue) -> str:
    """Of `clock`: that the venue answers at all, and how far its clock is from the machine's."""
    skew = venue.rest().figures.clock_skew_ms
    ahead = f"{abs(skew):.0f} ms {'ahead of' if skew > 0 else 'behind'} this machine's"
    if abs(skew) > LARGEST_SKEW_MS:
        raise Failed(f"the exchange's clock is {ahead}", "Let NTP set this machine's clock (timedatectl set-ntp true).")
    return f"the exchange answers ({venue.where}); its clock is {ahead}"


def keys(_patient: Patient, venue: Venue) -> str:
    """That the key is the account's, and may do what it must and no more."""
    rest = venue.rest()
    try:
        held = sum(1 for free, locked in rest.account().values() if free + locked)
    except ExchangeError as error:
        todo = "Check the key, its secret, its venue and the addresses that it is bound to."
        raise Failed(f"the exchange refuses the key ({error})", todo) from error
    found = rights(rest)
    if isinstance(found, Unknown):
        return f"the key is taken, {held} assets held; its permissions are not checkable here ({found.why})"
    if wrong := objection(found):
        said, _, todo = wrong.partition("; ")
        raise Failed(said, f"{todo[0].upper()}{todo[1:]}")
    bound = "bound to addresses" if found.bound_to_address else "not bound to addresses"
    return f"reads and trades, may not withdraw, {bound}; {held} assets held"


def filters(patient: Patient, venue: Venue) -> str:
    """That every symbol trades, takes our kinds of order, and that what we spend is enough for its filters."""
    rest, symbols, risk = venue.rest(), patient.settings.run.symbols, patient.settings.risk
    try:
        entries = rest.exchange_info(symbols)
    except ExchangeError as error:
        raise Failed(f"{', '.join(symbols)}: {error}", "Correct --symbols.") from error
    wrong, prices = [], []
    for symbol in symbols:
        if symbol not in entries:
            wrong.append(f"{symbol} is not listed")
            continue
        rules = SymbolRules.from_exchange_info(entries[symbol])
        candles = rest.klines(symbol, "1m", limit=1)
        price = candles[-1].close if candles else Decimal(0)
        prices.append(f"{symbol} {price}")
        wrong += [f"{symbol} {problem}" for problem in problems(rules, price, risk)]
    if wrong:
        raise Failed("; ".join(wrong), "Correct --symbols, risk.quote_per_trade or risk.max_notional.")
    return f"{', '.join(prices)}: {risk.quote_per_trade} a trade passes NOTIONAL and LOT_SIZE"


def problems(rules: SymbolRules, price: Decimal, risk: Risk) -> list[str]:
    """What of a symbol's rules a system with these limits would run into, in words."""
    found = [] if rules.status == "TRADING" else [f"has status {rules.status}"]
    missing = [kind for kind in NEEDED_TYPES if kind not in rules.order_types]
    found += [f"takes no {', no '.join(missing)} orders"] if missing else []
    if risk.max_notional < risk.quote_per_trade:
        found.append(f"entries of {risk.quote_per_trade} are above risk.max_notional {risk.max_notional}")
    if price <= 0:
        return [*found, "has no price yet"]
    quantity = round_down(risk.quote_per_trade / price, rules.step_size)
    broken = order_violation(
        rules,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        price=None,
        quantity=quantity,
        quote_quantity=None,
        average_price=price,
        last_price=price,
    )
    if broken:
        least = max(rules.min_notional, (rules.min_quantity or rules.lot) * price)
        found.append(f"refuses an entry of {risk.quote_per_trade} ({broken}): the least is {least.normalize():f}")
    return found


def instances(patient: Patient, venue: Venue) -> str:
    """That no other THUNES trades on the account."""
    found = others(venue.rest(), patient.settings.run.symbols, patient.home_id)
    if found:
        said, _, todo = in_words(found).partition(": ")
        raise Failed(said, f"{todo[0].upper()}{todo[1:]}.")
    return "no other THUNES trades on the account"
