"""A key that may withdraw, or may not trade, is no key for a trading system."""

from __future__ import annotations

from typing import Any

import pytest

from thunes.domain.key_rights import KeyRights, objection

ANSWER = {
    "ipRestrict": False,
    "enableReading": True,
    "enableSpotAndMarginTrading": True,
    "enableWithdrawals": False,
    "enableFutures": False,
}


def said(**changes: bool) -> str:
    return objection(KeyRights.from_answer({**ANSWER, **changes}))


def test_a_key_that_reads_and_trades_will_do() -> None:
    assert said() == ""
    assert said(ipRestrict=True) == ""


@pytest.mark.parametrize(
    ("right", "given", "names"),
    [
        ("enableWithdrawals", True, "Enable Withdrawals"),
        ("enableReading", False, "Enable Reading"),
        ("enableSpotAndMarginTrading", False, "Enable Spot & Margin Trading"),
    ],
)
def test_a_right_too_many_or_too_few_is_named_with_what_to_do(right: str, given: bool, names: str) -> None:
    assert names in said(**{right: given})


@pytest.mark.parametrize("name", ["ipRestrict", "enableReading", "enableSpotAndMarginTrading", "enableWithdrawals"])
@pytest.mark.parametrize("wrong", [None, "false", 0])
def test_a_right_that_is_missing_or_no_truth_value_is_not_taken_for_no(name: str, wrong: Any) -> None:
    without = {key: value for key, value in ANSWER.items() if key != name}

    with pytest.raises(KeyError):
        KeyRights.from_answer(without)
    with pytest.raises(ValueError, match="neither true nor false"):
        KeyRights.from_answer({**ANSWER, name: wrong})
