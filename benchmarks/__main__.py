"""`python -m benchmarks [--quick]`: every figure once, as text and as a table for benchmarks/README.md."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import in_process, simulated, tick_cost, tick_to_order


def median_ratio(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[float, float, float]:
    """Medians of both, and the median of the ratios of interleaved rounds."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
    )


def rows(rounds: int, orders: int, count: int) -> Iterator[str]:
    """The table, row by row."""
    found = tick_to_order.measure(rounds, orders)
    ours, theirs = found["thunes"], found["bare loop"]
    yield "| figure | THUNES | against | ratio |"
    yield "|---|---|---|---|"
    for name, a, b in (("p50", ours.p50_us, theirs.p50_us), ("p99", ours.p99_us, theirs.p99_us)):
        yield f"| tick to order, {name} | {a:,.0f} µs | bare loop {b:,.0f} µs | {a / b:.2f} |"
    for label, run, floor, words in (
        (
            "journal events a second, durable by 100",
            lambda: in_process.journal_events_a_second(count, 100),
            lambda: in_process.json_lines_a_second(count),
            "json lines, no chain, no sync",
        ),
        (
            "ticks a second through Stream, Strategy and Risk",
            lambda: in_process.ticks_a_second(count),
            lambda: in_process.decoded_a_second(count),
            "json.loads alone",
        ),
        (
            "simulated messages a second, bare actors, untraced",
            lambda: simulated.simulated_a_second(10 * count),
            lambda: simulated.threaded_a_second(10 * count),
            "the same actors on threads",
        ),
        (
            "simulated messages a second, the whole tree, invariants checked",
            lambda: simulated.tree_a_second(count, faults=False),
            lambda: simulated.tree_a_second(count, faults=True),
            "with faults",
        ),
    ):
        a, b, ratio = median_ratio(run, floor, rounds)
        yield f"| {label} | {a:,.0f} | {words} {b:,.0f} | {ratio:.2f} |"
    costs = [tick_cost.tick_costs(5 * count) for _ in range(rounds)]
    kept, none = statistics.median(a for a, _ in costs), statistics.median(b for _, b in costs)
    ratio = statistics.median(a / b for a, b in costs)
    label = "a tick through Stream, Strategy and Risk, metrics kept"
    yield f"| {label} | {kept:.1f} µs | none kept {none:.1f} µs | {ratio:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a first look")
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/RESULTS.md")
    arguments = parser.parse_args()
    rounds, orders, count = (2, 60, 5_000) if arguments.quick else (5, 200, 20_000)
    today = datetime.now(UTC).date().isoformat()
    machine = f"{today}, Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    lines = [f"{machine}, {rounds} interleaved rounds.", ""]
    print(*lines, sep="\n")
    for row in rows(rounds, orders, count):
        print(row, flush=True)
        lines.append(row)
    if arguments.write:
        (Path(__file__).parent / "RESULTS.md").write_text("# Results\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
