"""What the README shows works as shown."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from thunes.cli import run_parser
from thunes.messages import Candle, Intent, Side
from thunes.strategies.base import Holding
from thunes.strategies.loader import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def candle(number: int, close: int) -> Candle:
    price = Decimal(close)
    return Candle("BTCUSDT", "1m", number * 60_000, number * 60_000 + 59_999, price, price, price, price, Decimal(1))


def test_the_strategy_in_the_readme_buys_after_three_rises_and_sells_when_they_end(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "mine.py"
    path.write_text(code)
    kind = load(str(path))
    strategy = kind("BTCUSDT", kind.parameters_type())
    answers = [strategy.on_candle(candle(number, 10 + number), None) for number in range(4)]
    assert answers == [None, None, None, Intent(Side.BUY, "THREE_UP")]
    holding = Holding(Decimal(1), Decimal(13))
    assert strategy.on_candle(candle(4, 9), holding) == Intent(Side.SELL, "NOT_RISING")


def test_ci_runs_the_readmes_test_command_word_for_word() -> None:
    commands = [line.strip() for line in README.splitlines() if line.startswith("    python3 -m venv")]
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_readme_fits_a_screen_or_two_and_links_only_to_what_is_there() -> None:
    assert README.count("\n") < 100
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("flag", ["--source", "--strategy", "--speed", "--duration", "--home"])
def test_every_flag_that_the_readme_names_exists(flag: str) -> None:
    assert flag in run_parser("thunes run").format_help()
