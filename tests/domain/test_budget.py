"""What may still be asked of an exchange: pauses by what they are about, and counts by aligned windows."""

from __future__ import annotations

from typing import Any

import pytest

from thunes.domain.budget import Budget, Kind, Pause, Scope, Window

MINUTE = 60_000
NOW = 1_700_000_040_000
"""A whole minute of the exchange's clock."""
SECOND_NS = 1_000_000_000


def held(budget: Budget, kind: Kind, *, orders: int = 0, ns: int = 0, ms: int = NOW) -> tuple[int, int] | None:
    """(code, status) of what holds it."""
    found = budget.hold(kind, orders, ns, ms)
    return (found.code, found.status) if found is not None else None


class TestPauses:
    @pytest.mark.parametrize(
        ("scope", "held_back"),
        [
            (Scope.ORDERS, {Kind.PLACE: (-1015, 429)}),
            (Scope.REQUESTS, dict.fromkeys((Kind.READ, Kind.SESSION, Kind.PLACE), (-1003, 429))),
            (Scope.ADDRESS, dict.fromkeys(Kind, (-1003, 418))),
        ],
    )
    def test_each_holds_back_what_it_is_about_until_it_is_over(
        self, scope: Scope, held_back: dict[Kind, tuple[int, int]]
    ) -> None:
        budget = Budget().paused(Pause(scope, 17.0), now_ns=5 * SECOND_NS)
        during = {kind: held(budget, kind, orders=1, ns=22 * SECOND_NS - 1) for kind in Kind}
        assert {kind: why for kind, why in during.items() if why is not None} == held_back
        assert [kind for kind in Kind if held(budget, kind, orders=1, ns=22 * SECOND_NS)] == []

    def test_the_rest_of_it_is_said(self) -> None:
        budget = Budget().paused(Pause(Scope.REQUESTS, 17.0), now_ns=0)
        hold = budget.hold(Kind.READ, 0, 10 * SECOND_NS, NOW)
        assert hold is not None
        assert hold.seconds == 7.0

    def test_a_shorter_one_does_not_end_a_longer_one(self) -> None:
        budget = Budget().paused(Pause(Scope.REQUESTS, 17.0), 0).paused(Pause(Scope.REQUESTS, 1.0), 0)
        assert held(budget, Kind.READ, ns=10 * SECOND_NS) == (-1003, 429)

    def test_a_ban_outlasts_a_pause(self) -> None:
        budget = Budget().paused(Pause(Scope.REQUESTS, 1.0), 0).paused(Pause(Scope.ADDRESS, 120.0), 0)
        assert held(budget, Kind.PLACE, orders=1, ns=60 * SECOND_NS) == (-1003, 418)


class TestWeight:
    def test_reading_may_use_four_fifths_and_the_rest_is_for_orders_and_cancels(self) -> None:
        assert held(Budget().used(NOW, 4_799), Kind.READ) is None
        full = Budget().used(NOW, 4_800)
        assert held(full, Kind.READ) == (-1003, 429)
        assert [held(full, kind, orders=1) for kind in (Kind.SESSION, Kind.PLACE, Kind.CANCEL)] == [None] * 3

    def test_reading_waits_for_the_exchange_s_next_minute(self) -> None:
        full = Budget().used(NOW + 12_500, 6_000)
        hold = full.hold(Kind.READ, 0, 0, NOW + 12_500)
        assert hold is not None
        assert hold.seconds == 47.5
        assert held(full, Kind.READ, ms=NOW + MINUTE - 1) == (-1003, 429)
        assert held(full, Kind.READ, ms=NOW + MINUTE) is None

    def test_answers_that_overtake_each_other_do_not_make_it_less(self) -> None:
        assert held(Budget().used(NOW + 2, 4_801).used(NOW + 1, 4_700), Kind.READ) == (-1003, 429)

    def test_a_late_answer_says_nothing_of_a_minute_that_has_begun_since(self) -> None:
        late = Budget().used(NOW + MINUTE, 10).used(NOW + MINUTE - 1, 6_000)
        assert late.weight.at(NOW + MINUTE) == 10

    def test_a_clock_that_was_set_back_does_not_hold_anything_for_long(self) -> None:
        assert Budget().used(NOW + 3_600_000, 6_000).used(NOW, 20).weight.at(NOW) == 20


class TestOrders:
    def test_the_order_that_would_break_a_limit_is_not_let_out(self) -> None:
        budget = Budget().sent(1).settled(NOW, 1, {"10S": 49, "1D": 900}, counted=True)
        assert held(budget, Kind.PLACE, orders=1) is None
        assert held(budget, Kind.PLACE, orders=2) == (-1015, 429)
        assert held(budget.sent(1), Kind.PLACE, orders=1) == (-1015, 429)

    def test_it_may_go_when_the_longest_of_the_full_windows_starts_again(self) -> None:
        budget = Budget().sent(1).settled(NOW + 3_000, 1, {"10S": 50, "1D": 160_000}, counted=True)
        hold = budget.hold(Kind.PLACE, 1, 0, NOW + 3_000)
        day_ms = 86_400_000
        assert hold is not None
        assert hold.seconds == (day_ms - (NOW + 3_000) % day_ms) / 1000
        ten = Budget().sent(1).settled(NOW + 3_000, 1, {"10S": 50, "1D": 60}, counted=True)
        hold = ten.hold(Kind.PLACE, 1, 0, NOW + 3_000)
        assert hold is not None
        assert hold.seconds == 7.0
        assert held(ten, Kind.PLACE, orders=1, ms=NOW + 10_000) is None

    def test_the_exchange_s_count_may_fall_because_fills_are_taken_off(self) -> None:
        budget = Budget().sent(1).settled(NOW, 1, {"10S": 50, "1D": 60}, counted=True)
        budget = budget.sent(1).settled(NOW, 1, {"10S": 3, "1D": 13}, counted=True)
        assert (budget.orders["10S"].at(NOW), budget.orders["1D"].at(NOW)) == (3, 13)

    def test_an_order_of_unknown_fate_counts_and_a_refused_one_does_not(self) -> None:
        budget = Budget().sent(2).settled(NOW, 2, {}, counted=True).sent(1).settled(NOW, 1, {}, counted=False)
        assert (budget.orders["10S"].at(NOW), budget.orders["1D"].at(NOW), budget.placing) == (2, 2, 0)


class TestLimits:
    def test_they_are_the_venue_s_own_once_it_told_them(self) -> None:
        budget = Budget().limited(
            [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 100},
                {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 5},
                {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 7},
                {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
            ]
        )
        assert budget.weight == Window(MINUTE, 100)
        assert budget.orders == {"10S": Window(10_000, 5), "1D": Window(86_400_000, 7)}

    def test_what_was_counted_is_kept(self) -> None:
        rows = [{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 5}]
        budget = Budget().sent(1).settled(NOW, 1, {"10S": 5, "1D": 5}, counted=True).limited(rows)
        assert held(budget, Kind.PLACE, orders=1) == (-1015, 429)

    @pytest.mark.parametrize("rows", [None, {}, "rows", 5, [], [None], [[]], [{}]])
    def test_what_is_not_documented_changes_nothing(self, rows: Any) -> None:
        assert Budget().limited(rows) == Budget()

    @pytest.mark.parametrize("name", ["rateLimitType", "interval", "intervalNum", "limit"])
    @pytest.mark.parametrize("value", [None, "", "x", 0, -5, 1.5, True, [], {}])
    def test_a_row_that_is_not_whole_is_passed_over(self, name: str, value: Any) -> None:
        row = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 5}
        assert Budget().limited([{**row, name: value}]) == Budget()
