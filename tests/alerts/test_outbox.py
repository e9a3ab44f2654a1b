"""The outbox: on disk before it is sent, in order, counted in storms, told to each channel once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thunes.alerts.alert import Alert, Level
from thunes.alerts.outbox import AT_ONCE, Outbox
from thunes.errors import OutboxUnusable

CHAT, OTHER, MAIL = "telegram:1", "telegram:2", "email"


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "alerts.db")
    yield made
    made.close()


def alert(key: str, text: str = "", level: Level = Level.INFO, hold_s: float = 0.0) -> Alert:
    return Alert(level, key, text or key, hold_s)


def put(outbox: Outbox, *alerts: Alert, now_ms: int = 0, channels: tuple[str, ...] = (CHAT,)) -> None:
    outbox.keep([(each, channels) for each in alerts], now_ms)


def told_all(outbox: Outbox, channel: str = CHAT, now_ms: int = 10**9) -> list[str]:
    texts = []
    while due := outbox.next(channel, now_ms):
        texts += [each.text for each in due]
        outbox.told(channel, [each.number for each in due])
    return texts


def test_what_is_kept_is_there_in_order_after_a_death(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path / "alerts.db")) as first, closing(Outbox(tmp_path / "alerts.db")) as second:
        put(first, *(alert(f"A {n}") for n in range(30)))
        first.next(CHAT, 0)  # and no word of what came of it

        assert told_all(second) == [f"A {n}" for n in range(30)]


def test_alerts_and_notes_are_kept_together_or_not_at_all(outbox: Outbox) -> None:
    outbox.keep([(alert("A"), [CHAT])], 0, seq=7)
    with pytest.raises(OutboxUnusable):
        outbox.keep([(alert("B"), [CHAT]), (Alert(Level.INFO, "C", None), [CHAT])], 0, seq=9)  # type: ignore[arg-type]
    assert (outbox.note("seq"), told_all(outbox)) == (7, ["A"])


def test_a_storm_is_one_message_with_its_count_and_its_newest_text(outbox: Outbox) -> None:
    for n in range(100):
        put(outbox, alert("RESTART", f"restart {n}", hold_s=10.0), now_ms=n)
    assert outbox.next(CHAT, 9_999) == ()
    (due,) = outbox.next(CHAT, 10_000)
    assert (due.text, due.count, due.first_ms, due.last_ms) == ("restart 99", 100, 0, 99)


def test_what_is_being_told_is_counted_with_no_more(outbox: Outbox) -> None:
    put(outbox, alert("RESTART", "first"))
    (due,) = outbox.next(CHAT, 0)
    put(outbox, alert("RESTART", "second"))
    outbox.told(CHAT, [due.number])
    assert (due.count, told_all(outbox)) == (1, ["second"])


def test_what_one_has_heard_is_counted_with_no_more_for_the_other(outbox: Outbox) -> None:
    put(outbox, alert("RESTART", "first"), channels=(CHAT, OTHER))
    outbox.told(CHAT, [outbox.next(CHAT, 0)[0].number])
    put(outbox, alert("RESTART", "second"), channels=(CHAT, OTHER))
    assert (told_all(outbox), told_all(outbox, OTHER)) == (["second"], ["first", "second"])


def test_a_change_of_state_in_between_ends_the_counting(outbox: Outbox) -> None:
    put(outbox, *(alert(key) for key in ("KILL:on", "KILL:off", "KILL:on")))
    assert told_all(outbox) == ["KILL:on", "KILL:off", "KILL:on"]


def test_what_failed_is_counted_with_again_and_comes_first_again(outbox: Outbox) -> None:
    put(outbox, alert("A"), alert("B"))
    outbox.not_told(CHAT, [each.number for each in outbox.next(CHAT, 0)])
    put(outbox, alert("B", "B again"))
    assert [(each.text, each.count) for each in outbox.next(CHAT, 0)] == [("A", 1), ("B again", 2)]


def test_what_is_critical_overtakes_the_rest_and_is_alone_in_quiet_hours(outbox: Outbox) -> None:
    put(outbox, alert("A", hold_s=99), alert("B"), alert("C", level=Level.CRITICAL), alert("D", level=Level.CRITICAL))
    due = outbox.next(CHAT, 0, Level.CRITICAL)
    assert [each.text for each in due] == ["C", "D"]
    outbox.told(CHAT, [each.number for each in due])
    assert outbox.next(CHAT, 0) == ()
    assert told_all(outbox) == ["A", "B"]


def test_a_backlog_goes_in_few_messages_that_are_not_too_long(outbox: Outbox) -> None:
    put(outbox, *(alert(f"S {n}") for n in range(50)), *(alert(f"L {n}", "x" * 1000) for n in range(7)))
    sizes = []
    while due := outbox.next(CHAT, 0):
        sizes.append(len(due))
        outbox.told(CHAT, [each.number for each in due])
    assert (max(sizes), sum(sizes)) == (AT_ONCE, 57)
    assert sizes[-1] <= 3


def test_a_picture_goes_by_itself(outbox: Outbox) -> None:
    put(outbox, alert("A"), Alert(Level.INFO, "P", "P", picture=b"png"), alert("B"))
    batches = []
    while due := outbox.next(CHAT, 0):
        batches.append([(each.text, each.picture) for each in due])
        outbox.told(CHAT, [each.number for each in due])
    assert batches == [[("A", None)], [("P", b"png")], [("B", None)]]


def test_late_critical_ones_go_to_the_second_channels_once(outbox: Outbox) -> None:
    put(outbox, alert("A"), alert("B", level=Level.CRITICAL), now_ms=100)
    put(outbox, alert("C", level=Level.CRITICAL), now_ms=200)
    assert [outbox.escalate([CHAT], [MAIL], 150), outbox.escalate([CHAT], [MAIL], 150)] == [1, 0]
    assert told_all(outbox, MAIL) == ["B"]
    assert outbox.escalate([CHAT], [], 999) == 0
    assert told_all(outbox) == ["B", "C", "A"]


def test_what_nobody_listens_to_any_more_is_dropped_for_them_alone(outbox: Outbox) -> None:
    put(outbox, alert("A"))
    put(outbox, alert("B"), channels=(CHAT, OTHER))
    assert (outbox.waiting(), outbox.forget([CHAT]), outbox.waiting()) == ((CHAT, OTHER), 1, (OTHER,))
    assert (outbox.pending(), told_all(outbox, OTHER), outbox.pending()) == (1, ["B"], 0)


def test_nobody_to_tell_is_nothing_to_keep(outbox: Outbox) -> None:
    put(outbox, alert("A"), channels=())
    assert outbox.pending() == 0


def test_a_file_that_is_no_outbox_says_so(tmp_path: Path) -> None:
    (tmp_path / "alerts.db").write_bytes(b"what is this" * 1000)
    with pytest.raises(OutboxUnusable, match="cannot be used") as held:
        Outbox(tmp_path / "alerts.db")
    open_files = {link.resolve().name for link in Path("/proc/self/fd").iterdir()}
    assert "alerts.db" not in open_files, held  # which holds on to all that was made on the way


def test_a_database_that_is_held_by_somebody_else_says_so(outbox: Outbox, tmp_path: Path) -> None:
    outbox._database.execute("PRAGMA busy_timeout = 10")
    holder = sqlite3.connect(tmp_path / "alerts.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OutboxUnusable):
        put(outbox, alert("A"))
    holder.execute("COMMIT")
    holder.close()
    put(outbox, alert("A"))
    assert told_all(outbox) == ["A"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(["A", "B:on", "B:off", "C"]), st.sampled_from(list(Level))),
        st.tuples(st.just("take"), st.sampled_from([CHAT, OTHER]), st.just(Level.INFO)),
        st.tuples(st.just("told"), st.sampled_from([CHAT, OTHER]), st.just(Level.INFO)),
        st.tuples(st.just("lost"), st.sampled_from([CHAT, OTHER]), st.just(Level.INFO)),
    ),
    max_size=40,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=STEPS)
def test_whatever_happens_each_channel_hears_of_every_alert_exactly_once(steps: list[tuple[str, str, Level]]) -> None:
    outbox = Outbox("file:any?mode=memory")
    heard: dict[str, int] = {CHAT: 0, OTHER: 0}
    under_way: dict[str, tuple[tuple[int, int], ...]] = {}
    kept = 0
    for what, who, level in steps:
        if what == "put":
            put(outbox, alert(who, level=level), channels=(CHAT, OTHER))
            kept += 1
        elif what == "take" and who not in under_way:
            under_way[who] = tuple((due.number, due.count) for due in outbox.next(who, 0))
        elif who in under_way:
            taken = under_way.pop(who)
            if what == "told":
                outbox.told(who, [number for number, _ in taken])
                heard[who] += sum(count for _, count in taken)
            else:
                outbox.not_told(who, [number for number, _ in taken])
    for who in heard:
        outbox.not_told(who, [number for number, _ in under_way.get(who, ())])
    for who in heard:
        while due := outbox.next(who, 0):
            heard[who] += sum(each.count for each in due)
            outbox.told(who, [each.number for each in due])
    outbox.close()
    assert heard == {CHAT: kept, OTHER: kept}
