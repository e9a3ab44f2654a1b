"""`thunes kill`: no more buying, whether or not a system answers.

It marks the kill on the disk, which every sender of orders looks at before it sends, and asks the running system. Where
that does not confirm at once, what could still buy is cancelled at the venue from here.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from thunes.control.client import Refused, Tools, add_json
from thunes.control.question import Question
from thunes.domain.market import OrderAnswer
from thunes.errors import ExchangeError, NetworkError, ThunesError
from thunes.storage.home import Home

AT_ONCE_SECONDS = 0.15
"""For the system to confirm, before the way to the venue is prepared from here; that takes three times as long."""
LOOKS = 3
"""At the open orders: one that was on its way at the first is open at the next."""


class Rest(Protocol):
    """The venue, as far as a kill from outside needs it (`thunes.exchange.binance.BinanceRest`)."""

    def open_entries(self) -> Sequence[OrderAnswer]: ...
    def cancel(self, symbol: str, client_order_id: str) -> OrderAnswer: ...


Connect = Callable[[Home], Rest | None]


@dataclass(slots=True)
class Outcome:
    """What a kill came to: the document of `--json`."""

    confirmed: bool = False
    """The running system says that it buys no more."""
    marked: bool = False
    """The marker is on the disk."""
    cancelled: int = 0
    """Entry orders that were cancelled from here."""
    said: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """What is left for a person to do; with any of it the exit status is 1."""


class Kill:
    """`thunes kill`: no more buying, whether or not the system is there to be told."""

    name, help = "kill", "stop buying now, even when the system hangs or is down"
    examples = (
        'thunes kill --home x --reason "the market is mad"',
        "thunes kill --flatten                           sell what is held too",
    )

    def __init__(self, tools: Tools, connect: Connect) -> None:
        """`connect` gives the venue of a home, signed in as its account, or None where it or its keys are not known."""
        self._tools = tools
        self._connect = connect

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", default="killed from the command line", help="goes into the journal")
        parser.add_argument("--flatten", action="store_true", help="sell what is held too (needs the running system)")
        add_json(parser)

    def run(self, args: Namespace) -> int:
        home = Home(Path(args.home))
        if home.path.is_dir():
            outcome = self._kill(home, args.reason, args.flatten)
        else:
            outcome = Outcome(failures=[f"There is no directory {home.path}, so nothing was killed; check --home."])
        if args.json:
            self._tools.say_json(asdict(outcome))
        else:
            for line in outcome.said:
                self._tools.say(line)
            for line in outcome.failures:
                print(line, file=sys.stderr)
        return 1 if outcome.failures else 0

    def _kill(self, home: Home, reason: str, flatten: bool) -> Outcome:
        """Mark first: all else takes a network or a system that lives, the mark does not."""
        outcome = Outcome()
        try:
            home.write_kill(reason, "command line", self._tools.now())
            outcome.marked = True
        except OSError as error:
            outcome.failures.append(f"The kill could not be marked in {home.kill_file} ({error}).")
        with closing(Question(home, "/api/kill", {"reason": reason, "flatten": flatten})) as question:
            if not question.confirmed(AT_ONCE_SECONDS):
                self._unless_confirmed(home, question, outcome)
            outcome.confirmed = question.said_yes
        if outcome.confirmed:
            outcome.said, outcome.failures = ["Killed: the system confirms that it buys no more."], []
        else:
            _conclude(home, outcome, flatten)
        return outcome

    def _unless_confirmed(self, home: Home, question: Question, outcome: Outcome) -> None:
        """The way to the venue takes its time as well: it is prepared while the system may still answer."""
        try:
            rest = self._connect(home)
        except ThunesError as error:
            rest = None
            outcome.failures.append(f"The venue cannot be reached ({error}); cancel open orders at the exchange.")
        if question.confirmed(0.0):
            return
        outcome.said.append(question.why)
        _cancel_from_outside(home, rest, outcome)
        question.confirmed(0.0)


def _cancel_from_outside(home: Home, rest: Rest | None, outcome: Outcome) -> None:
    if rest is None:
        outcome.said.append("Open orders were not looked at: this home's venue or its keys are not known here.")
        return
    try:
        outcome.cancelled = cancel_entries(rest)
        outcome.said.append(f"Cancelled {outcome.cancelled} entry orders at the venue; stops stay.")
    except ThunesError as error:
        if isinstance(error, NetworkError) and (home.read_run() or {}).get("venue") in ("sim", "paper"):
            outcome.said.append("The embedded exchange does not answer either: while it is down, nothing can fill.")
        else:
            outcome.failures.append(f"Open orders may still fill ({error}); cancel them at the exchange.")


def cancel_entries(rest: Rest) -> int:
    """Cancel every BUY that is open, until a look finds none; how many there were. Refused when some are left.

    Stops and take-profits sell, so they stay. One that cannot be cancelled does not keep the others from it.
    """
    cancelled: set[str] = set()
    why = ""
    for _ in range(LOOKS):
        entries = rest.open_entries()
        if not entries:
            return len(cancelled)
        for order in entries:
            try:
                rest.cancel(order.symbol, order.client_order_id)
                cancelled.add(order.client_order_id)
            except (ExchangeError, NetworkError) as error:
                why = f", {error}"  # it has ended by itself, or is still open at the next look
    left = len(rest.open_entries())
    if left:
        raise Refused(f"{left} are still open{why}")
    return len(cancelled)


def _conclude(home: Home, outcome: Outcome, flatten: bool) -> None:
    """Say what holds now, and what is left to do by hand."""
    if outcome.marked:
        sentence = f"Marked the kill in {home.kill_file}: nothing is bought from this home until `thunes resume`."
        outcome.said.insert(1, sentence)
    else:
        outcome.failures.append("Nothing keeps a system of this home from buying: end its process by hand.")
    if flatten:
        outcome.failures.append("Nothing was sold: --flatten needs the running system; sell at the exchange.")
