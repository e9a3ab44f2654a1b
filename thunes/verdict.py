"""Whether a home may trade with real money: what its newest rodage said, and what else stands in the way."""

from __future__ import annotations

from pathlib import Path

import msgspec

from thunes.storage.segments import read_events, segments, verify

EVENT = "RODAGE_VERDICT"
GO = "GO"

NO_GO = (
    "live is refused unless the newest rodage in this home's journal said GO{said};"
    " run `thunes rodage` on testnet until it does"
)
NOT_BOUNDED = (
    "live is refused although the rodage said GO: this version does not hold a real account to live.max_capital;"
    " use testnet or demo"
)


def newest_verdict(logs: Path) -> str | None:
    """What the newest rodage of a journal came to, or None where there was none.

    Raises JournalBroken where the chain that says so does not hold: a verdict counts only as part of it.
    """
    seq = _newest_seq(logs)
    if not seq:
        return None
    verify(logs)
    event = next(read_events(logs, seq - 1))
    return str(event.metadata.get("verdict", ""))


def why_not_live(logs: Path) -> str:
    """The sentence with which `live` is refused."""
    verdict = newest_verdict(logs)
    if verdict == GO:
        return NOT_BOUNDED
    return NO_GO.format(said=", and it has none" if verdict is None else f", and it said {verdict or 'nothing'}")


def _newest_seq(logs: Path) -> int:
    """The seq of the newest verdict, looked for from the newest segment back; 0 for none."""
    for path in reversed(segments(logs)):
        with path.open("rb") as file:
            found = [line for line in file if f'"event":"{EVENT}"'.encode() in line]
        if found:
            return int(msgspec.json.decode(found[-1])["seq"])
    return 0
