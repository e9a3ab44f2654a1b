"""`thunes kill`: no more buying, whether or not a system answers.

Where none does, it marks the kill on the disk, which every sender of orders looks at before it sends, and cancels what
is open at the venue.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from thunes.control.client import Refused, RunningSystem, Tools, Unreachable, said
from thunes.errors import NetworkError, ThunesError
from thunes.storage.home import Home

KILL_SECONDS = 1.0


class Kill:
    """`thunes kill`: no more buying, whether or not the system is there to be told."""

    name, help = "kill", "stop buying now, even when the system hangs or is down"

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", default="killed from the command line", help="goes into the journal")
        parser.add_argument("--flatten", action="store_true", help="sell what is held too (needs the running system)")

    def run(self, args: Namespace) -> int:
        return said(lambda: self._kill(args))

    def _kill(self, args: Namespace) -> None:
        home = Home(Path(args.home))
        if not home.path.is_dir():
            raise Unreachable(f"There is no directory {home.path}, so nothing was killed; check --home.")
        try:
            body = {"reason": args.reason, "flatten": args.flatten}
            RunningSystem(home).post("/api/kill", body, KILL_SECONDS)
        except ThunesError as error:
            self._kill_from_outside(home, args, error)
        else:
            self._tools.say("Killed: the system confirms that it buys no more.")

    def _kill_from_outside(self, home: Home, args: Namespace, why: ThunesError) -> None:
        """Mark first: cancelling takes a network, the mark does not. What fails is said at the end, all of it."""
        say, failures = self._tools.say, []
        say(str(why))
        try:
            home.write_kill(args.reason, "command line", self._tools.now())
            say(f"Marked the kill in {home.kill_file}: nothing is bought from this home until `thunes resume`.")
        except OSError as error:
            failures.append(f"The kill could not be marked in {home.kill_file} ({error}); end the process by hand.")
        try:
            say(self._cancel_open_orders(home))
        except ThunesError as error:
            failures.append(f"Open orders may still fill ({error}); cancel them at the exchange.")
        if args.flatten:
            failures.append("Nothing was sold: --flatten needs the running system; sell at the exchange.")
        if failures:
            raise Unreachable("\n".join(failures))

    def _cancel_open_orders(self, home: Home) -> str:
        rest, run = self._tools.connect(home), home.read_run() or {}
        if rest is None:
            return "Open orders were not looked at: this home's venue or its keys are not known here."
        try:
            rest.sync_clock()
            before = rest.open_orders()
            for symbol in sorted({order.symbol for order in before}):
                rest.cancel_all(symbol)
            left = rest.open_orders()
        except NetworkError:
            if run.get("venue") in ("sim", "paper"):
                return "The embedded exchange does not answer either: while it is down, nothing can fill."
            raise
        if left:
            raise Refused(f"{len(left)} are still open")
        return f"Cancelled {len(before)} open orders at the venue." if before else "No order is open at the venue."
