"""`python -m actors.simulated`: try seeds, and show the one that fails."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from rich.console import Console
from rich.progress import track

from actors.runtime.clock import SystemClock
from actors.simulated.invariants import SENTENCES
from actors.simulated.runs import run_seeds
from actors.simulated.system import Outcome


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    seeds = range(arguments.first, arguments.first + arguments.seeds) if arguments.seed is None else [arguments.seed]
    jobs = arguments.jobs if len(seeds) > 1 else 1
    clock = SystemClock()
    began_ns = clock.monotonic_ns()
    messages, crashes, events = 0, 0, Counter[str]()
    outcomes = run_seeds(seeds, arguments.messages, not arguments.no_faults, jobs)
    for outcome in track(outcomes, "seeds", total=len(seeds), console=Console(stderr=True), disable=len(seeds) == 1):
        if outcome.violations:
            _show(outcome, arguments)
            return 1
        messages += outcome.messages
        crashes += outcome.crashes
        events.update(outcome.events)
        if arguments.digests:
            print(f"{outcome.seed} {outcome.digest}")
    took = (clock.monotonic_ns() - began_ns) / 1e9
    print(
        f"{len(seeds)} seeds, {messages:,} messages, {crashes:,} crashes, {events['ORDER_FILLED']:,} orders filled,"
        f" {events['ORDER_UNKNOWN']:,} of unknown fate: no violation in {took:.1f} s"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m actors.simulated",
        description="Run whole systems in one thread under virtual time, with faults at seeded moments, and check after"
        " every step that these hold:",
        epilog="\n".join(f"  {name}: {sentence}" for name, sentence in SENTENCES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--first", type=int, default=1, help="the first of a range (default 1)")
    parser.add_argument("--seeds", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--messages", type=int, default=2_000, help="at least so many for each (default 2000)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--no-faults", action="store_true", help="let nothing go wrong")
    parser.add_argument("--digests", action="store_true", help="print each seed's digest")
    return parser


def _show(outcome: Outcome, arguments: argparse.Namespace) -> None:
    print("\n".join(outcome.tail))
    for violation in outcome.violations:
        print(f"seed {outcome.seed}, {outcome.virtual_s:.6f} s, message {outcome.messages}: {violation}")
    no_faults = " --no-faults" if arguments.no_faults else ""
    print(f"Again: python -m actors.simulated --seed {outcome.seed} --messages {arguments.messages}{no_faults}")


if __name__ == "__main__":
    sys.exit(main())
