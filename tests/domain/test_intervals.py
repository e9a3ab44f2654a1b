"""The exchange's names for a candle's length, and nothing else, are lengths."""

from __future__ import annotations

import pytest

from thunes.domain.intervals import interval_ms

# https://developers.binance.com/docs/binance-spot-api-docs/rest-api: kline intervals
NAMED = {
    "1s": 1,
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "2h": 7_200,
    "4h": 14_400,
    "6h": 21_600,
    "8h": 28_800,
    "12h": 43_200,
    "1d": 86_400,
    "3d": 259_200,
    "1w": 604_800,
}


@pytest.mark.parametrize(("interval", "seconds"), NAMED.items())
def test_every_fixed_interval_of_the_exchange_has_its_length(interval: str, seconds: int) -> None:
    assert interval_ms(interval) == seconds * 1000


@pytest.mark.parametrize("word", ["", "m", "1", "1M", "1y", "0m", "-1m", "1.5h", "m1", " 1m", "1 m", "1m "])
def test_what_is_no_fixed_interval_is_refused_in_words_that_show_one(word: str) -> None:
    with pytest.raises(ValueError, match=r"is not an interval such as 1m"):
        interval_ms(word)
