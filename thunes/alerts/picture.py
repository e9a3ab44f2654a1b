"""The picture of a day's equity.

It is drawn in a process of its own, `python -m thunes.alerts.picture`, which reads a JSON document from its standard
input and writes a PNG: what matplotlib needs of memory and time, and what it may fail of, stays out of the process that
trades.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Context, Decimal, localcontext
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from matplotlib.axes import Axes

log = logging.getLogger(__name__)

WIDTH, HEIGHT, DPI = 1000, 500, 100
SIGNATURE, LAST_CHUNK = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
LEAST_PRIORITY = 19
HANDED_ON = ("PATH", "HOME", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "TMPDIR")
"""Of our environment, which holds keys."""
PAPER, INK, GRID, LINE = "#ffffff", "#1c2733", "#d5dbe1", "#1565c0"
SIDES = {"BUY": ("^", "#2e7d32", "bought"), "SELL": ("v", "#c62828", "sold")}
MOST_TICKS = 9
DIGITS, PRECISE = Context(prec=28), Context(prec=60)
"""What an amount keeps of its digits; with the second, differences between such amounts are exact."""
WRITTEN_OUT = (-12, 15)
"""Powers of ten beyond which an axis needs an exponent."""
HOUR_MS = 3_600_000


async def equity_png(
    title: str,
    points: Sequence[tuple[int, Decimal]],
    timeout: float,
    *,
    currency: str = "",
    fills: Sequence[tuple[int, str]] = (),
) -> bytes | None:
    """The picture as a PNG of 1000 x 500 pixels; None, with a warning in the log, when there is none in time.

    `points` are milliseconds of UTC and equity in `currency`, `fills` such milliseconds and BUY or SELL; `timeout` is
    seconds. The process that draws has the least priority and is gone when this returns or is cancelled.
    """
    document = {
        "title": title,
        "currency": currency,
        "points": [(ms, str(equity)) for ms, equity in points],
        "fills": list(fills),
    }
    try:
        png, said = await asyncio.wait_for(_drawn_apart(json.dumps(document).encode()), timeout)
    except (OSError, TimeoutError) as error:
        png, said = b"", str(error) or f"it took more than {timeout:g} s"
    if png.startswith(SIGNATURE) and png.endswith(LAST_CHUNK):
        return png
    log.warning("The equity picture could not be drawn (%s): there is none today.", said or "nothing was said why")
    return None


async def _drawn_apart(document: bytes) -> tuple[bytes, str]:
    """What the other process wrote, and its last words."""
    with tempfile.TemporaryDirectory(prefix="thunes-picture-") as folder:
        # matplotlib keeps its settings and a list of fonts there; our own HOME may be read-only.
        environ = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
        environ |= {"MPLCONFIGDIR": folder, "OPENBLAS_NUM_THREADS": "1"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "thunes.alerts.picture"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environ,
        )
        try:
            png, errors = await process.communicate(document)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return png, errors.decode(errors="replace").strip().rpartition("\n")[2][:300]


# --- in the process that draws ---


@dataclass(frozen=True, slots=True)
class Scale:
    """What an axis of amounts shows, and where: a number from 0 at its foot to 1 at its head.

    Amounts may be larger, or nearer to each other, than a float can tell; a place on paper is not.
    """

    low: Decimal
    high: Decimal
    ticks: tuple[Decimal, ...]

    @classmethod
    def of(cls, amounts: Sequence[Decimal]) -> Self:
        """Room for all of these, at least one, and round numbers at the ticks."""
        with localcontext(PRECISE):
            low, high = min(amounts), max(amounts)
            room = (high - low) / 12 or abs(low) / 1000 or Decimal(1)
            low, high = low - room, high + room
            step = _round_step((high - low) / MOST_TICKS)
            first = (low / step).to_integral_value(ROUND_CEILING)
            ticks = [(first + number) * step for number in range(int((high / step - first).to_integral_value()) + 1)]
            # A label at the very foot would run into those of the time.
            return cls(low, high, tuple(tick for tick in ticks if low + room / 3 <= tick <= high))

    def place(self, amount: Decimal) -> float:
        with localcontext(PRECISE):
            return float((amount - self.low) / (self.high - self.low))

    def label(self, tick: Decimal) -> str:
        """As many digits as tell one tick from the next."""
        with localcontext(PRECISE):
            size, step = max(abs(self.low), abs(self.high)).adjusted(), (self.ticks[1] - self.ticks[0]).adjusted()
            if step < WRITTEN_OUT[0] or size >= WRITTEN_OUT[1]:
                return f"{tick:.{max(0, min(size - step, 9))}e}"
            return format(tick if tick else Decimal(0), f",.{max(2, -step) if step < 0 else 0}f")


def _round_step(least: Decimal) -> Decimal:
    """1, 2 or 5 times a power of ten: the smallest that is no smaller."""
    power = Decimal(1).scaleb(least.adjusted())
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)


def draw(document: dict[str, Any]) -> bytes:
    """The PNG of `{title, currency, points: [[ms, "equity"], ...], fills: [[ms, side], ...]}`.

    ValueError for an equity that is no finite number.
    """
    points = sorted((int(ms), _finite(equity)) for ms, equity in document["points"])
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams.update(
        {
            "font.family": ["DejaVu Sans"],  # comes with matplotlib
            "font.size": 13,
            "text.parse_math": False,
            "text.color": INK,
            "axes.edgecolor": GRID,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
        }
    )
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(
        (WIDTH / DPI, HEIGHT / DPI), DPI, facecolor=PAPER, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    )
    axes = figure.add_subplot(facecolor=PAPER)
    axes.set_title(str(document["title"]), loc="left", fontsize=16, fontweight="bold", pad=12)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    if points:
        _plot(axes, points, document.get("fills", []), str(document.get("currency", "")))
    else:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "No equity is known of this day.", ha="center", va="center", transform=axes.transAxes)
    written = BytesIO()
    figure.savefig(written, format="png", dpi=DPI, facecolor=PAPER)
    return written.getvalue()


def _plot(axes: Axes, points: list[tuple[int, Decimal]], fills: list[tuple[int, str]], currency: str) -> None:
    scale = Scale.of([equity for _, equity in points])
    times, places = [ms for ms, _ in points], [scale.place(equity) for _, equity in points]
    axes.axhline(places[0], color=INK, linewidth=1, linestyle=(0, (4, 4)), alpha=0.5)
    axes.plot(times, places, color=LINE, linewidth=2.2, solid_joinstyle="round", zorder=3)
    axes.plot(times[-1:], places[-1:], color=LINE, marker="o", markersize=10, zorder=4)
    for side, (marker, colour, label) in SIDES.items():
        at = [int(ms) for ms, its_side in fills if its_side == side and times[0] <= int(ms) <= times[-1]]
        if at:
            heights = [_between(times, places, ms) for ms in at]
            axes.plot(at, heights, marker, color=colour, markersize=10, markeredgecolor=PAPER, label=label, zorder=5)
    axes.set(ylim=(0, 1), ylabel=f"equity, {currency}" if currency else "equity")
    axes.set_yticks([scale.place(tick) for tick in scale.ticks], [scale.label(tick) for tick in scale.ticks])
    axes.grid(axis="y", color=GRID, linewidth=1)
    _mark_time(axes, times[0], times[-1])
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0.2)


def _between(times: list[int], places: list[float], ms: int) -> float:
    """How high the line is at a moment that it covers."""
    after = bisect_left(times, ms)
    if times[after] == ms:
        return places[after]
    share = (ms - times[after - 1]) / (times[after] - times[after - 1])
    return places[after - 1] + share * (places[after] - places[after - 1])


def _mark_time(axes: Axes, first: int, last: int) -> None:
    """A handful of round moments of UTC."""
    room = max((last - first) // 50, 30_000)
    low, high = first - room, last + room
    steps = [60_000, 300_000, 900_000, *(hours * HOUR_MS for hours in (1, 3, 6, 24, 72, 168, 720, 8760))]
    step = next((step for step in steps if (high - low) / step <= 9), (high - low) // 9)
    ticks = range(-(-low // step) * step, high + 1, step)
    form = "%H:%M" if high - low <= 48 * HOUR_MS else "%Y-%m-%d"
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [datetime.fromtimestamp(tick / 1000, UTC).strftime(form) for tick in ticks])
    axes.set_xlabel("UTC")


def _finite(text: str) -> Decimal:
    try:
        value = DIGITS.create_decimal(text)
    except ArithmeticError:
        value = Decimal("nan")
    if not value.is_finite():
        raise ValueError(f"an equity is {text!r}, which is no number")
    return value


def main() -> None:
    os.nice(LEAST_PRIORITY)
    with tempfile.TemporaryDirectory(prefix="thunes-picture-") as folder:
        os.environ.setdefault("MPLCONFIGDIR", folder)
        sys.stdout.buffer.write(draw(json.loads(sys.stdin.buffer.read())))


if __name__ == "__main__":
    main()
