"""Faults on the road of an order: the actors that decide, journal, permit and send."""

from __future__ import annotations

from tests.faults.fault import Fault

ROAD = (
    Fault(
        "reservation-dropped",
        "An approval reserves nothing, so three buys take one slot.",
        "actors/risk.py",
        "                books.reserve(order_beginnings.reserved(each, its_name, books.epoch))\n",
        "                pass\n",
        ("tests/actors/test_risk.py",),
        by_seeds=True,
    ),
    Fault(
        "passed-on-before-the-disk",
        "An approval goes on to the breaker before it is on the disk.",
        "actors/audit.py",
        (
            "        self.journal.commit()\n"
            "        after = self.world.clock.monotonic_ns()\n"
            "        if self.batch:\n"
            "            self.fsync.observe((after - before) / 1e6)\n"
            "        self._pass_on()\n"
        ),
        ("        self._pass_on()\n        self.journal.commit()\n        after = self.world.clock.monotonic_ns()\n"),
        ("tests/actors/test_audit.py",),
        by_seeds=True,
    ),
    Fault(
        "commit-without-fdatasync",
        "A commit writes, and does not make durable.",
        "thunes/storage/journal.py",
        ("            self._write(data)\n            self._sync(self._fd)\n"),
        "            self._write(data)\n",
        ("tests/storage/test_journal.py::test_commit_syncs_once_for_all_that_is_queued_and_after_the_write",),
    ),
    Fault(
        "disk-failure-forgotten",
        "After a failed write the journal takes more.",
        "thunes/storage/journal.py",
        ("        if self._failed:\n            raise"),
        ("        if False:\n            raise"),
        ("tests/storage/test_journal.py::test_after_a_failed_sync_nothing_more_is_taken",),
    ),
    Fault(
        "chain-not-linked",
        "A line does not name the hash of the line before.",
        "thunes/storage/journal.py",
        "prev_hash=self.head)",
        "prev_hash=GENESIS)",
        ("tests/storage/test_journal.py::test_a_restart_goes_on_where_the_chain_ended",),
    ),
    Fault(
        "torn-tail-kept",
        "A line that a crash tore stays in the journal.",
        "thunes/storage/journal.py",
        "        if walk.torn:\n",
        "        if False:\n",
        ("tests/storage/test_journal.py::test_a_torn_last_line_is_set_aside_and_journalled",),
        by_seeds=True,
    ),
    Fault(
        "carried-batch-dropped",
        "What was appended when AuditActor died is lost.",
        "actors/audit.py",
        "        self.unfinished: Unfinished = world.carry.setdefault(name, Unfinished())\n",
        "        self.unfinished = Unfinished()\n",
        ("tests/actors/test_audit.py",),
    ),
    Fault(
        "carried-batch-doubled",
        "What was written when AuditActor died is written again.",
        "actors/audit.py",
        "            if not self._is_on_the_disk(pending.event):\n",
        "            if pending:\n",
        ("tests/actors/test_audit.py",),
        by_seeds=True,
    ),
    Fault(
        "flush-answered-early",
        "Who waits for all before it to be on the disk is told at once.",
        "actors/audit.py",
        "                self.unfinished.flushes.append(message)\n",
        "                self.tell(message.reply_to, Flushed(message.incarnation))\n",
        ("tests/actors/test_audit.py",),
    ),
    Fault(
        "kill-not-urgent",
        "A kill waits behind the orders that are queued.",
        "actors/risk.py",
        "control=frozenset({Kill, Resume, Pause, Halt})",
        "control=frozenset({Resume, Pause, Halt})",
        ("tests/actors/test_lanes.py",),
    ),
    Fault(
        "kill-line-not-urgent",
        "The journal's line of a kill waits behind all others.",
        "actors/audit.py",
        "control=frozenset({UrgentRecord})",
        "control=frozenset()",
        ("tests/actors/test_lanes.py",),
    ),
    Fault(
        "kill-not-urgent-for-orders",
        "OrderActor sends what is queued before it takes a kill.",
        "actors/order.py",
        "control=frozenset({AuditEvent, Halt})",
        "control=frozenset({Halt})",
        ("tests/actors/test_lanes.py",),
    ),
    Fault(
        "kill-without-epoch",
        "A kill begins no new epoch.",
        "actors/risk.py",
        ("        books.epoch += 1\n        meta = {"),
        "        meta = {",
        ("tests/actors/test_risk.py",),
        by_seeds=True,
    ),
    Fault(
        "resume-without-epoch",
        "A resume begins no new epoch.",
        "actors/risk.py",
        "        books.epoch += 1\n        self.unfinished.flatten = False\n",
        "        self.unfinished.flatten = False\n",
        ("tests/actors/test_risk.py",),
        by_seeds=True,
    ),
    Fault(
        "epoch-check-removed",
        "An approval of before a kill is sent after it.",
        "actors/order.py",
        ('        if state.epoch < self.epoch:\n            return "STALE_EPOCH"\n'),
        "",
        ("tests/actors/test_order.py",),
    ),
    Fault(
        "marker-check-removed",
        "A kill marker on the disk is not looked for before a send.",
        "actors/order.py",
        "        if self.world.home.kill_active():\n",
        "        if False:\n",
        ("tests/actors/test_order.py",),
        by_seeds=True,
    ),
    Fault(
        "kill-cancels-nothing",
        "A kill leaves open buys at the exchange.",
        "actors/order.py",
        ("        if self.killed:\n            self._cancel_open(Side.BUY)\n"),
        "",
        ("tests/actors/test_order.py",),
    ),
    Fault(
        "permit-sent-twice",
        "A permit that comes twice is sent twice.",
        "actors/order.py",
        "        if acted_on:\n",
        "        if False:\n",
        ("tests/actors/test_order.py",),
    ),
    Fault(
        "lost-taken-for-refused",
        "OrderActor takes a lost answer for a refusal.",
        "actors/order.py",
        (
            "            case Refused(_, error) if DUPLICATE_ORDER not in error.message:\n"
            "                self.rejected[str(error.code)] += 1\n"
        ),
        (
            "            case Lost(_, error):\n"
            '                self._follow(orders.withheld(state, "RATE_LIMIT"))\n'
            "            case Refused(_, error) if DUPLICATE_ORDER not in error.message:\n"
            "                self.rejected[str(error.code)] += 1\n"
        ),
        ("tests/actors/test_order.py",),
    ),
    Fault(
        "unused-permit-counted",
        "A permit that was not used counts as a failed call.",
        "actors/breaker.py",
        "            self.circuit.withdraw(outcome.about)\n",
        "            self._tell(self.circuit.failed(outcome.about, now_ns))\n",
        ("tests/actors/test_breaker.py",),
    ),
    Fault(
        "permitted-twice",
        "An approval that is passed on twice is permitted twice.",
        "actors/breaker.py",
        ("        if approved.seq <= self.remembered.seen_seq:\n            return"),
        ("        if False:\n            return"),
        ("tests/actors/test_breaker.py",),
    ),
    Fault(
        "record-in-hand-lost",
        "The record that AuditActor died with is in no journal.",
        "actors/audit.py",
        "        if message is not self.unfinished.last and isinstance(message, Record | Flush):\n",
        "        if isinstance(message, Flush):\n",
        ("tests/actors/test_audit.py",),
        by_seeds=True,
    ),
    Fault(
        "record-in-hand-doubled",
        "The record that AuditActor died with is appended though it was appended already.",
        "actors/audit.py",
        "        if message is not self.unfinished.last and isinstance(message, Record | Flush):\n",
        "        if isinstance(message, Record | Flush):\n",
        ("tests/actors/test_audit.py",),
    ),
    Fault(
        "resume-takes-a-newer-marker",
        "The journal's word of a resume takes a marker away that somebody set since.",
        "actors/risk.py",
        '            self.world.home.write_kill(str(meta["why"]), str(meta["source"]), str(event.timestamp))\n',
        (
            '            self.world.home.write_kill(str(meta["why"]), str(meta["source"]), str(event.timestamp))\n'
            "        else:\n"
            "            self.world.home.clear_kill()\n"
        ),
        ("tests/actors/test_risk.py",),
    ),
    Fault(
        "flatten-forgotten",
        "A flatten that comes while books and exchange differ is not carried out later.",
        "actors/risk.py",
        "        self.unfinished.flatten = self.unfinished.flatten or kill.flatten\n",
        "        self.unfinished.flatten = kill.flatten\n",
        ("tests/actors/test_risk.py",),
    ),
    Fault(
        "judge-dies-again",
        "An intent that RiskActor died of is decided by its replacement as if nothing had been.",
        "thunes/domain/undecided.py",
        "                yield self.in_hand[0], True\n",
        "                yield self.in_hand[0], False\n",
        ("tests/actors/test_risk.py",),
    ),
    Fault(
        "pause-forgotten",
        "BreakerActor's replacement knows nothing of the pause that the exchange asked for.",
        "actors/breaker.py",
        "world.carry.setdefault(name, Remembered())",
        "Remembered()",
        ("tests/actors/test_breaker.py",),
    ),
    Fault(
        "orphan-forgotten",
        "Nobody hears of the approval that BreakerActor died of.",
        "actors/breaker.py",
        "        if isinstance(message, Approved):\n            self.tell(",
        "        if False:\n            self.tell(",
        ("tests/actors/test_breaker.py",),
    ),
    Fault(
        "window-by-the-wall-clock",
        "Whether a request's window has run out is read off a clock that somebody may set.",
        "actors/order.py",
        "        return self.world.clock.monotonic_ns() // 1_000_000\n",
        "        return self.world.clock.wall_ms()\n",
        ("tests/actors/test_order.py",),
    ),
    Fault(
        "gap-believed-read",
        "Candles that could not be read are taken for read.",
        "actors/stream.py",
        "                self.guard.last_candle_ms = before\n",
        "",
        ("tests/actors/test_stream.py",),
    ),
    Fault(
        "books-read-again",
        "A second word that the journal is flushed makes RiskActor read its books again, without what is on its way.",
        "actors/risk.py",
        "                if self.loaded or incarnation != self.incarnation:\n",
        "                if False:\n",
        ("tests/actors/test_risk.py",),
    ),
    Fault(
        "page-after-page",
        "After a reconnect it asks on as long as somebody trades, and uses up the request weight.",
        "actors/stream.py",
        "            if len(trades) < PAGE:\n",
        "            if not fresh:\n",
        ("tests/actors/test_stream.py",),
    ),
)
