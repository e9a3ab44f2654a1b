"""Faults under the actors (mailboxes, timers, ends and restarts) and in what feeds them."""

from __future__ import annotations

from tests.faults.fault import Fault

RUNTIME = (
    Fault(
        "dead-letter-last",
        "What an actor died of is read after what came later.",
        "actors/runtime/mailbox.py",
        "                self._control.appendleft(letter)\n",
        "                self._queue.append(letter)\n",
        ("tests/actors/test_lanes.py",),
    ),
    Fault(
        "conflation-keeps-the-older",
        "Of two ticks that wait the older one is kept.",
        "actors/runtime/mailbox.py",
        "                    queued.message = message\n",
        "",
        ("tests/actors/test_mailbox.py",),
    ),
    Fault(
        "overflow-not-counted",
        "Frames are dropped and nobody knows.",
        "actors/runtime/mailbox.py",
        "        self.overflow += 1\n",
        "",
        ("tests/actors/test_mailbox.py",),
    ),
    Fault(
        "essential-dropped",
        "A full mailbox drops what must never be dropped.",
        "actors/runtime/mailbox.py",
        "            if not essential(letter.message):\n",
        "            if letter:\n",
        ("tests/actors/test_mailbox.py",),
    ),
    Fault(
        "closed-candle-droppable",
        "A flood of frames drops closed candles.",
        "actors/stream.py",
        ", essential=_is_closed_candle)",
        ")",
        ("tests/actors/test_lanes.py",),
    ),
    Fault(
        "mailbox-emptied-at-the-end",
        "What waits for an actor that dies is thrown away.",
        "actors/runtime/actor.py",
        "    def _actor_loop_teardown(self) -> None:\n",
        (
            "    def _actor_loop_teardown(self) -> None:\n"
            "        while not self.mailbox.empty():\n"
            "            self.mailbox.get()\n"
        ),
        ("tests/actors/test_actor.py",),
    ),
    Fault(
        "stop-left-behind",
        "A Stop stays in the mailbox and ends the replacement too.",
        "actors/runtime/actor.py",
        "                self._stop()\n",
        ("                self._stop()\n                self.mailbox.tell(message)\n"),
        ("tests/actors/test_actor.py",),
    ),
    Fault(
        "exit-told-twice",
        "The supervisor hears of one end twice.",
        "actors/runtime/actor.py",
        "            self._reason = exception_value\n",
        (
            "            self._reason = exception_value\n"
            '            self.tell("supervisor", Exited(self.name, self.incarnation, exception_value, None))\n'
        ),
        ("tests/actors/test_actor.py",),
        by_seeds=True,
    ),
    Fault(
        "timer-fires-twice",
        "A timer that is set again fires as it was set before, too.",
        "actors/runtime/threads.py",
        (
            "                if self._valid.get((name, key)) != tie:\n"
            "                    continue\n"
            "                del self._valid[name, key]\n"
        ),
        "                self._valid.pop((name, key), None)\n",
        ("tests/actors/test_timers.py",),
    ),
    Fault(
        "replaced-too-soon",
        "A replacement starts before all that go with it have left.",
        "thunes/domain/supervision.py",
        (
            "    def _replace_when_all_left(self) -> list[Action]:\n"
            '        if any(status == "leaving" for status in self.status.values()):\n'
            "            return []\n"
        ),
        "    def _replace_when_all_left(self) -> list[Action]:\n",
        ("tests/domain/test_supervision.py",),
        by_seeds=True,
    ),
    Fault(
        "dead-letter-not-journalled",
        "The message that an actor died of is in no journal.",
        "actors/supervisor.py",
        '            self.tell("audit", Record("DEAD_LETTER", metadata=lost))\n',
        "            pass\n",
        ("tests/concurrency/test_road.py::test_an_actor_that_crashes_is_replaced_and_trading_goes_on[books]",),
    ),
    Fault(
        "older-socket-opens",
        "The opening of an older socket is taken for the newer one's.",
        "actors/connection.py",
        ("        if generation != self._generation:\n            return False\n"),
        "",
        ("tests/actors/test_stream.py",),
    ),
    Fault(
        "older-socket-closes",
        "The end of an older socket is taken for the newer one's.",
        "actors/connection.py",
        ("        if generation != self._generation:\n            return\n        self._lost(why)\n"),
        "        self._lost(why)\n",
        ("tests/actors/test_stream.py",),
    ),
    Fault(
        "gap-not-filled",
        "Trades that no frame brought are not asked for.",
        "actors/stream.py",
        "            mended = self._mend(lambda: self._fetch_trades(verdict))\n",
        "            mended = True\n",
        ("tests/actors/test_stream.py",),
    ),
    Fault(
        "two-intents-at-once",
        "A strategy asks again while its order is under way.",
        "actors/strategy.py",
        "            self._give_way(intent, self.under_way)\n            return\n",
        "            self._give_way(intent, self.under_way)\n",
        ("tests/actors/test_strategy.py",),
    ),
    Fault(
        "order-events-unrouted",
        "An event of an order does not reach risk.",
        "actors/routing.py",
        "    **dict.fromkeys(ORDER_EVENTS, (RISK,)),\n",
        "",
        ("tests/actors/test_routing.py",),
    ),
)
