"""Faults between the journal and the people who have to be told."""

from __future__ import annotations

from tests.faults.fault import Fault

PEOPLE = (
    Fault(
        "alert-sent-and-forgotten",
        "An alert counts as told when it is sent, whatever becomes of it.",
        "actors/alert.py",
        "            done = self.outbox.told if outcome.done else self.outbox.not_told\n",
        "            done = self.outbox.told\n",
        ("tests/actors/test_alert.py",),
        by_seeds=True,
    ),
    Fault(
        "alert-of-before-the-death-lost",
        "What AlertActor had not heard when it died it does not read from the journal.",
        "actors/alert.py",
        "        for event in self.world.ports.read_journal(heard):\n            self._hear(event)\n",
        "",
        ("tests/actors/test_alert.py",),
        by_seeds=True,
    ),
    Fault(
        "alert-told-twice",
        "A line that comes by post and from the journal is told twice.",
        "actors/alert.py",
        "        if event.seq <= self.seq:\n            return  # a crash of Audit's tells some twice\n",
        "",
        ("tests/actors/test_alert.py",),
    ),
    Fault(
        "quiet-hours-for-all",
        "In quiet hours not even a kill is told.",
        "thunes/alerts/outbox.py",
        "AND urgent = ? AND level >= ? ",
        "AND urgent = ? AND level > ? ",
        ("tests/alerts/test_outbox.py",),
    ),
    Fault(
        "storm-over-a-change",
        "A kill is counted with the one before the resume, and nobody hears of the second.",
        "thunes/alerts/outbox.py",
        "        if row is None or (row[1], row[2], row[3]) != (alert.key, 0, int(alert.level)):\n",
        "        if row is None or (row[2], row[3]) != (0, int(alert.level)):\n",
        ("tests/alerts/test_outbox.py",),
    ),
    Fault(
        "anybody-commands",
        "Whoever finds the bot may press its buttons.",
        "thunes/alerts/desk.py",
        (
            "        if chat not in self.chats:\n"
            "            self._ignore(chat)\n"
            "            return None\n"
            "        word, _, number"
        ),
        "        word, _, number",
        ("tests/alerts/test_desk.py",),
    ),
    Fault(
        "button-for-ever",
        "A button works hours later.",
        "thunes/alerts/desk.py",
        " or self.now_ns() > question.until_ns:\n",
        ":\n",
        ("tests/alerts/test_desk.py",),
    ),
    Fault(
        "kill-from-outside-takes-the-stops",
        "`thunes kill` cancels stops with the entries.",
        "thunes/exchange/binance.py",
        "        return tuple(order for order in found if order.side is Side.BUY)\n",
        "        return tuple(found)\n",
        ("tests/exchange/test_binance_adapter.py",),
    ),
)
