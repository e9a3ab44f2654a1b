"""Strategies decide on closed candles and ticks alone, and are found by name or by path."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from thunes.errors import SettingsError
from thunes.messages import Candle, Intent, Side, Tick
from thunes.strategies.base import Holding, Parameters, params_hash
from thunes.strategies.loader import available, load
from thunes.strategies.sma_crossover import SmaCrossover, SmaParameters

D = Decimal
MINUTE = 60_000
HELD = Holding(D(1), D(100))
ENTER = Intent(Side.BUY, "SMA_CROSS_ABOVE", stop_loss=D("0.02"))
LEAVE = Intent(Side.SELL, "SMA_CROSS_BELOW")


def candle(number: int, close: Decimal | int | str) -> Candle:
    price = D(close)
    return Candle("BTCUSDT", "1m", number * MINUTE, (number + 1) * MINUTE - 1, price, price, price, price, D(1))


def tick(bid: str) -> Tick:
    return Tick("BTCUSDT", D(bid), D(1), D(bid) + 1, D(1), 1, 0, 0)


def crossover(**parameters: Any) -> SmaCrossover:
    small = {"sma_fast": 2, "sma_slow": 4, "rsi_period": 2, "rsi_max": 100}
    return SmaCrossover("BTCUSDT", SmaParameters(**{**small, **parameters}))


def decisions(strategy: SmaCrossover, closes: Iterable[Any], holding: Holding | None = None) -> list[Intent | None]:
    return [strategy.on_candle(candle(number, close), holding) for number, close in enumerate(closes)]


class TestEntries:
    def test_a_fast_average_that_crosses_above_buys(self) -> None:
        assert decisions(crossover(), (10, 9, 8, 7, 8, 12))[-1] == ENTER

    def test_it_buys_on_the_candle_of_the_crossing_alone(self) -> None:
        assert decisions(crossover(), (10, 9, 8, 7, 8, 12, 13, 14, 15)).count(ENTER) == 1

    def test_averages_that_were_equal_and_part_upwards_have_crossed(self) -> None:
        # The averages of 2 and 4 are 5 and 5, then 7 and 6.
        assert decisions(crossover(), (4, 6, 4, 6, 8)) == [None, None, None, None, ENTER]

    def test_it_does_not_buy_what_it_holds(self) -> None:
        assert decisions(crossover(), (10, 9, 8, 7, 8, 12), HELD) == [None] * 6

    def test_an_rsi_at_its_limit_forbids_the_entry_and_one_below_allows_it(self) -> None:
        closes = (10, 9, 8, 7, 8, 12)
        reached = crossover()
        decisions(reached, closes)
        rsi = reached.rsi.value
        assert rsi is not None
        assert decisions(crossover(rsi_max=rsi), closes)[-1] is None
        assert decisions(crossover(rsi_max=rsi + 0.001), closes)[-1] == ENTER

    def test_an_entry_that_the_rsi_forbade_is_not_made_up_for_later(self) -> None:
        assert ENTER not in decisions(crossover(rsi_max=0), (10, 9, 8, 7, 8, 12, 12, 12, 12, 12))


class TestExits:
    FALL = (7, 8, 9, 10, 9, 5)

    def test_a_fast_average_that_crosses_below_sells_what_is_held(self) -> None:
        assert decisions(crossover(), self.FALL, HELD)[-1] == LEAVE

    def test_without_a_position_it_sells_nothing(self) -> None:
        assert decisions(crossover(), self.FALL) == [None] * 6

    def test_an_exit_does_not_ask_the_rsi(self) -> None:
        assert decisions(crossover(rsi_max=0), self.FALL, HELD)[-1] == LEAVE

    def test_to_touch_the_slow_average_from_above_is_not_to_cross_it(self) -> None:
        # The averages of 2 and 4 are 9.5 and 8.5, then 8.5 and 8.5, then 10 and 9.75.
        assert decisions(crossover(), (7, 8, 9, 10, 7, 13), HELD) == [None] * 6

    def test_to_go_on_below_after_touching_it_is_to_cross_it(self) -> None:
        # After 8.5 and 8.5 come 9 and 9.25.
        assert decisions(crossover(), (7, 8, 9, 10, 7, 11), HELD) == [None] * 5 + [LEAVE]

    @pytest.mark.parametrize(("bid", "leaves"), [("98.01", False), ("98", True), ("90", True)])
    def test_a_bid_at_the_stop_loss_sells_at_once(self, bid: str, leaves: bool) -> None:
        wanted = Intent(Side.SELL, "STOP_LOSS") if leaves else None
        assert crossover(stop_loss=D("0.02")).on_tick(tick(bid), HELD) == wanted

    def test_without_a_position_no_stop_is_hit(self) -> None:
        assert crossover().on_tick(tick("1"), None) is None


class TestWarmUp:
    def test_an_unready_indicator_gives_no_intent(self) -> None:
        assert decisions(crossover(rsi_period=9), (10, 9, 8, 7, 8, 12)) == [None] * 6
        assert decisions(crossover(), (1, 2, 9)) == [None] * 3

    def test_the_state_counts_the_candles_it_has_until_it_is_ready(self) -> None:
        strategy = SmaCrossover("BTCUSDT", SmaParameters())
        assert (strategy.warmup, strategy.state) == (50, "warming 0/50")
        decisions(strategy, range(1, 50))
        assert strategy.state == "warming 49/50"
        strategy.on_candle(candle(50, 50), None)
        assert strategy.state == "ready"

    def test_a_long_rsi_lengthens_the_warm_up(self) -> None:
        assert crossover(rsi_period=20).warmup == 21


class TestParameters:
    def test_the_defaults_are_the_documented_ones(self) -> None:
        assert SmaParameters().model_dump() == {
            "sma_fast": 10,
            "sma_slow": 50,
            "rsi_period": 14,
            "rsi_max": 70,
            "stop_loss": D("0.02"),
        }

    @pytest.mark.parametrize(
        "wrong",
        [
            {"sma_fast": 0},
            {"sma_fast": 50},
            {"sma_fast": 60, "sma_slow": 50},
            {"rsi_period": 0},
            {"rsi_max": 101},
            {"rsi_max": -1},
            {"stop_loss": 0},
            {"stop_loss": 1},
            {"sma_medium": 20},
        ],
    )
    def test_what_cannot_be_used_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            SmaParameters(**wrong)

    def test_they_cannot_be_changed_afterwards(self) -> None:
        with pytest.raises(ValidationError):
            SmaParameters().sma_fast = 20  # type: ignore[misc]

    def test_the_hash_names_the_values_and_nothing_else(self) -> None:
        assert params_hash(SmaParameters()) == params_hash(SmaParameters(sma_fast=10))
        assert params_hash(SmaParameters()) != params_hash(SmaParameters(sma_fast=11))
        assert len(params_hash(SmaParameters())) == 16

    def test_the_hash_does_not_ask_how_a_value_was_written_or_in_what_order(self) -> None:
        class Forwards(Parameters):
            a: int = 1
            b: Decimal = D("0.02")

        class Backwards(Parameters):
            b: Decimal = D("0.020")
            a: int = 1

        assert params_hash(Forwards()) == params_hash(Backwards())


MINE = """
from thunes.messages import Intent, Side
from thunes.strategies.base import Strategy

class Mine(Strategy):
    name = "mine"
    warmup = 2

    def on_candle(self, candle, holding):
        super().on_candle(candle, holding)
        return Intent(Side.BUY, "ALWAYS")
"""


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


class TestLoading:
    def test_a_shipped_strategy_is_found_by_its_module(self) -> None:
        assert load("sma_crossover") is SmaCrossover

    def test_every_shipped_strategy_loads_under_its_own_name(self) -> None:
        assert available()
        assert [load(name).name for name in available()] == list(available())

    def test_a_users_file_is_found_by_its_path_and_counts_its_candles(self, tmp_path: Path) -> None:
        strategy = load(written(tmp_path, MINE))("BTCUSDT", Parameters())
        assert strategy.state == "warming 0/2"
        assert strategy.on_candle(candle(0, 1), None) == Intent(Side.BUY, "ALWAYS")
        strategy.on_candle(candle(1, 1), None)
        assert strategy.state == "ready"
        assert strategy.on_tick(tick("1"), None) is None

    def test_an_unknown_name_lists_the_known_ones(self) -> None:
        assert violation("nonsense") == (
            "strategy 'nonsense' is unknown; use one of sma_crossover, or the path of a .py file."
        )

    @pytest.mark.parametrize("name", ["base", "loader", "../strategies/sma_crossover", ""])
    def test_what_is_no_strategy_of_ours_is_unknown(self, name: str) -> None:
        assert "is unknown" in violation(name)

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "absent.py"
        assert violation(str(path)) == f"strategy '{path}': no such file; give the path of a .py file."

    def test_a_file_that_does_not_import_says_why(self, tmp_path: Path) -> None:
        assert "1/0" not in violation(written(tmp_path, "1/0"))
        assert "ZeroDivisionError" in violation(written(tmp_path, "1/0"))
        assert "SyntaxError" in violation(written(tmp_path, "def"))

    def test_a_file_has_to_define_exactly_one_strategy(self, tmp_path: Path) -> None:
        assert "0 Strategy classes" in violation(written(tmp_path, "x = 1"))
        twice = MINE + "\nclass Other(Mine):\n    name = 'other'\n"
        assert "2 Strategy classes" in violation(written(tmp_path, twice))

    def test_a_strategy_that_is_only_imported_does_not_count(self, tmp_path: Path) -> None:
        text = "from thunes.strategies.sma_crossover import SmaCrossover\n" + MINE
        assert load(written(tmp_path, text)).name == "mine"

    def test_a_strategy_without_a_name_is_refused(self, tmp_path: Path) -> None:
        assert "has no name" in violation(written(tmp_path, MINE.replace('name = "mine"', "pass")))


def violation(spec: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load(spec)
    assert len(refused.value.violations) == 1
    return refused.value.violations[0]


def closes_of(folder: Path, symbol: str, limit: int) -> list[Decimal]:
    with gzip.open(folder / "klines" / f"{symbol}-1m-2021-06.csv.gz", "rt") as lines:
        return [D(row[4]) for row, _ in zip(csv.reader(lines), range(limit), strict=False)]


def crossings(closes: Sequence[Decimal], fast: int, slow: int) -> list[tuple[int, bool]]:
    """Where the averages cross, and whether upwards, computed anew from each whole window.

    Sums are compared crosswise so that nothing is divided.
    """
    found = []
    before: Decimal | None = None
    for end in range(slow, len(closes) + 1):
        lead = sum(closes[end - fast : end], D(0)) * slow - sum(closes[end - slow : end], D(0)) * fast
        if before is not None and before <= 0 < lead:
            found.append((end - 1, True))
        if before is not None and lead < 0 <= before:
            found.append((end - 1, False))
        before = lead
    return found


@pytest.mark.parametrize("symbol", ["BTCUSDT", "DOGEUSDT"])
def test_on_real_candles_it_trades_where_the_averages_cross(shared_data: Path, symbol: str) -> None:
    closes = closes_of(shared_data, symbol, 6_000)
    strategy = SmaCrossover(symbol, SmaParameters(rsi_max=100))
    holding: Holding | None = None
    traded = []
    for number, close in enumerate(closes):
        intent = strategy.on_candle(candle(number, close), holding)
        if intent is not None:
            traded.append((number, intent.side is Side.BUY))
            holding = Holding(D(1), close) if intent.side is Side.BUY else None
    crossed = crossings(closes, 10, 50)
    expected: list[tuple[int, bool]] = []
    for number, up in crossed:
        if up != bool(len(expected) % 2):
            expected.append((number, up))
    assert traded == expected
    assert len(traded) > 50
