"""The status table that updates in place while the system runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live

from thunes.control.api import status
from thunes.control.view import status_view
from thunes.domain.figures import SystemFigures


def renderable(figures: SystemFigures, places: Sequence[str]) -> RenderableType:
    """One moment of the system; `places` are lines that say where metrics, journal and log are."""
    return status_view(status(figures), places)


class LiveView:
    """A context in which `refresh()` redraws the table; it makes no thread, the caller sets the pace.

    What is logged to `console` meanwhile appears above the table, and the last table stays when the context ends.
    """

    def __init__(self, figures: Callable[[], SystemFigures], places: Sequence[str], console: Console) -> None:
        self._figures = figures
        self._places = tuple(places)
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> LiveView:
        self._live.start()
        self.refresh()
        return self

    def refresh(self) -> None:
        """Draw the figures of now."""
        self._live.update(renderable(self._figures(), self._places), refresh=True)

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._live.stop()
