"""A process with a journal, AlertActor and the real messenger: `python -m tests.alerts.alert_process HOME URL COUNT`.

It journals alerts up to the COUNTth, whatever of them the journal has already, and ends when all were told.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Event

from actors.runtime.mailbox import MailboxPolicy
from actors.runtime.threads import spawn
from actors.tree import plant, tree
from actors.world import World
from tests.alerts.bot_api import CHAT, TOKEN
from tests.e2e.support import wait_for
from tests.venue_in_process import Venue, make_world, rules_of
from thunes.alerts.alert import Outcome
from thunes.alerts.bot import TelegramBot
from thunes.alerts.desk import Desk
from thunes.alerts.keys import CHAT_IDS, load_telegram_keys
from thunes.alerts.keys import TOKEN as TOKEN_VARIABLE
from thunes.alerts.messenger import Messenger
from thunes.commands import PostCommands
from thunes.domain.supervision import Tree
from thunes.messages import Record
from thunes.storage.journal import read_events

EVENT = "RODAGE_VERDICT"
PATIENCE_S = 300.0
AHEAD = 2_000
"""Alerts that may wait in the outbox at once: the more, the less there is to see of a death in between."""


def main(home: Path, url: str, count: int) -> None:
    keys = load_telegram_keys({TOKEN_VARIABLE: TOKEN, CHAT_IDS: str(CHAT)})
    assert keys is not None
    made: list[World] = []

    def on_outcome(outcome: Outcome) -> None:
        made[0].post.tell("alert", outcome)

    desk = Desk(keys.chat_ids, lambda: None, PostCommands(lambda *_: None), {}, lambda: "", lambda: 0)  # type: ignore[arg-type,return-value]
    messenger = Messenger(
        TelegramBot(keys, url, desk, lambda: made[0].clock.wall()),
        (f"telegram:{CHAT}",),
        {},
        on_outcome,
        spawn,
        Event(),
    )
    world = make_world(home, Venue(rules_of("BTCUSDT")), messenger=messenger)
    made.append(world)
    specs = tree(world.symbols)
    kept = Tree(tuple(spec for spec in specs.children if spec.name in ("alert", "audit")))
    for spec in specs.children:
        if spec not in kept.children:
            world.post.register(spec.name, MailboxPolicy(limit=10))  # nobody reads them
    begun = sum(1 for event in read_events(home / "logs", 0) if event.event == EVENT)
    ready, _ended = plant(world, kept, Record("SYSTEM_STARTED", metadata={"begun": begun}))
    assert ready.wait(PATIENCE_S)
    for number in range(begun, count):
        wait_for(lambda: pending(world) < AHEAD, PATIENCE_S, "room")
        world.post.tell("audit", Record(EVENT, metadata={"verdict": f"alert {number}"}))
    last = lambda: sum(1 for event in read_events(home / "logs", 0) if event.event == EVENT) == count  # noqa: E731
    wait_for(last, PATIENCE_S, "the last line")
    wait_for(lambda: pending(world) == 0 and world.post["alert"].empty(), PATIENCE_S, "the last alert")


def pending(world: World) -> int:
    figures = world.board.figures.get("alert")
    return AHEAD if figures is None else figures.pending


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    os._exit(0)  # what is under way has been told
