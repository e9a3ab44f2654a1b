"""The messenger: carries messages to people in an event loop of its own, in a thread of its own.

Whoever hands it a message goes on at once, and is told later what became of it, whatever happens in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from thunes.alerts.alert import Outcome
from thunes.alerts.bot import TelegramBot

log = logging.getLogger(__name__)

THREAD = "messenger"
STOP_SECONDS = 1.0

Spawn = Callable[[str, Callable[[], None]], None]


class Way(Protocol):
    """One kind of channel."""

    async def tell(self, channel: str, numbers: tuple[int, ...], text: str, picture: bytes | None) -> Outcome: ...


class Event(Protocol):
    """A flag that threads wait for (`threading.Event`)."""

    def set(self) -> None: ...
    def clear(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Messenger:
    """`chats` are told through `bot`, the others through `second`, by name. `on_outcome` is called in its thread."""

    def __init__(
        self,
        bot: TelegramBot | None,
        chats: tuple[str, ...],
        second: Mapping[str, Way],
        on_outcome: Callable[[Outcome], None],
        spawn: Spawn,
        told: Event,
        ignored: Callable[[], int] = lambda: 0,
    ) -> None:
        self.chats = chats
        self.second = tuple(second)
        self._bot = bot
        self._ways: dict[str, Way] = {**dict.fromkeys(chats, bot), **second} if bot is not None else dict(second)
        self._on_outcome = on_outcome
        self._spawn = spawn
        self._told = told
        self._ignored = ignored
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ignored(self) -> int:
        """Messages from chats that are not the operator's."""
        return self._ignored()

    def start(self) -> None:
        """Begin, unless it has begun, or nobody is there to be told."""
        if self._loop is None and self._ways:
            loop = self._loop = asyncio.new_event_loop()
            self._spawn(THREAD, lambda: self._run(loop))

    def send(self, channel: str, numbers: tuple[int, ...], text: str, picture: bytes | None) -> None:
        """Take a message along and return at once."""
        if self._loop is None:
            self._tell(Outcome(channel, numbers, False, "failed", "the messenger does not run"))
            return
        coroutine = self._carry(channel, numbers, text, picture)
        try:
            self._loop.call_soon_threadsafe(self._begin, coroutine)
        except RuntimeError:  # it has stopped meanwhile
            coroutine.close()
            self._tell(Outcome(channel, numbers, False, "failed", "the messenger has stopped"))

    def wait(self, seconds: float) -> bool:
        """Whether something was told within so many seconds."""
        told = seconds > 0 and self._told.wait(seconds)
        self._told.clear()
        return told

    def stop(self) -> None:
        """End; what is under way is left, and told again after the next start."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            if self._bot is not None:
                self._begin_in(loop, self._bot.listen())
            loop.run_forever()
            for task in self._tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait_for(self._end(), STOP_SECONDS))
        except Exception:
            log.exception("The messenger ended by an error; alerts wait on the disk for the next start.")
        finally:
            loop.close()

    async def _end(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._bot is not None:
            await self._bot.close()
        await asyncio.sleep(0)  # what was closed is told so in the loop's next round

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._begin_in(asyncio.get_running_loop(), coroutine)

    def _begin_in(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, channel: str, numbers: tuple[int, ...], text: str, picture: bytes | None) -> None:
        try:
            outcome = await self._ways[channel].tell(channel, numbers, text, picture)
        except Exception as error:
            log.exception("%s could not be told.", channel)
            outcome = Outcome(channel, numbers, False, "failed", type(error).__name__)
        self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        self._on_outcome(outcome)
        self._told.set()
