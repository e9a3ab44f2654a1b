"""One symbol's minutes as its venue counts them, in order and without a hole: from its stream, else read by REST."""

from __future__ import annotations

from collections.abc import Iterable

from thunes.exchange.simulator.tables import MINUTE_MS, Bar


class LiveCandles:
    """Which minute is next. What it returns is to be taken in order: closed minutes, each once, then the forming one.

    A candle says itself whether it is closed.
    """

    def __init__(self, next_ms: int) -> None:
        self.next_ms = next_ms
        """When the minute opens that is being formed, or the first one missed."""
        self._held: list[Bar] = []

    @property
    def behind(self) -> bool:
        """Whether minutes from `next_ms` on have to be read by REST before anything can go on."""
        return bool(self._held)

    def see(self, bar: Bar) -> tuple[Bar, ...]:
        """Take a candle of the stream. One ahead of the next minute is held until those before it were read."""
        if bar.candle.open_ms < self.next_ms:
            return ()
        if bar.candle.open_ms > self.next_ms:
            self._hold(bar)
            return ()
        return self._next(bar)

    def read(self, bars: Iterable[Bar]) -> tuple[Bar, ...]:
        """Take candles read by REST, oldest first and the newest still forming, then what the stream brought."""
        taken = [bar for bar in bars if bar.candle.open_ms >= self.next_ms]
        held, self._held = self._held, []
        # A minute that the venue itself lacks is passed over: it will not come.
        done = [each for bar in taken for each in self._next(bar)]
        return (*done, *(each for bar in held for each in self.see(bar)))

    def _next(self, bar: Bar) -> tuple[Bar, ...]:
        self.next_ms = bar.candle.open_ms + (MINUTE_MS if bar.candle.closed else 0)
        return (bar,)

    def _hold(self, bar: Bar) -> None:
        """Keep the newest of each minute."""
        if self._held and self._held[-1].candle.open_ms == bar.candle.open_ms:
            self._held.pop()
        self._held.append(bar)
