"""Whose fault an error of the REST adapter is, and that no order is ever sent twice."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.rest_calls import KEY, ORDER, SECRET, adapter, buy, refusal
from tests.exchange.scripted_rest import Scripted, scripted
from tests.exchange.socket_ends import unused_port
from thunes.domain.budget import Kind
from thunes.errors import NetworkError


@pytest.fixture
def script() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


ANSWERS_OF_UNKNOWN_FATE: dict[str, tuple[Any, int]] = {
    "500": ({"code": -1000, "msg": "An unknown error occurred."}, 500),
    "502 in HTML": (b"<html>Bad Gateway</html>", 502),
    "503 busy": ({"code": -1008, "msg": "Server is currently overloaded."}, 503),
    "504": ({"code": -1007, "msg": "Timeout waiting for response."}, 504),
    "disconnected": ({"code": -1001, "msg": "Internal error."}, 400),
    "unexpected response": ({"code": -1006, "msg": "An unexpected response was received."}, 400),
    "timeout as 400": ({"code": -1007, "msg": "Timeout waiting for response."}, 400),
    "firewall": (b"<html>403 Forbidden</html>", 403),
    "error without a code": ({"msg": "?"}, 400),
    "error that is a list": ([], 400),
    "error that is text": ("no", 400),
    "error whose code is text": ({"code": "x", "msg": "?"}, 400),
    "error whose code is a list": ({"code": [1], "msg": "?"}, 400),
    "error nested too deep": (b"[" * 100_000, 400),
    "200 nested too deep": (b"[" * 100_000, 200),
    "200 not JSON": (b"<html>Welcome to the hotel</html>", 200),
    "200 empty": (b"", 200),
    "200 an object of something else": ({}, 200),
    "200 a list": ([], 200),
    "200 null": (None, 200),
    "200 not a number": ({**ORDER, "executedQty": "NaN"}, 200),
    "200 no amount": ({**ORDER, "executedQty": "lots"}, 200),
    "200 a status that nobody documents": ({**ORDER, "status": "MAYBE"}, 200),
}


class TestErrors:
    @pytest.mark.parametrize(("body", "status"), ANSWERS_OF_UNKNOWN_FATE.values(), ids=ANSWERS_OF_UNKNOWN_FATE)
    def test_an_answer_that_does_not_tell_leaves_the_fate_unknown_and_is_asked_once(
        self, script: Scripted, body: Any, status: int
    ) -> None:
        script.answers(body, status)
        with pytest.raises(NetworkError):
            buy(adapter(script.url))
        assert len(script.requests) == 1

    def test_silence_leaves_the_fate_unknown_and_the_order_was_sent_once(self, script: Scripted) -> None:
        script.hanging = threading.Event()
        with pytest.raises(NetworkError, match="Timeout"):
            buy(adapter(script.url, timeout=0.2))
        assert len(script.requests) == 1

    def test_a_connection_lost_after_the_order_went_out_is_not_tried_again(self, script: Scripted) -> None:
        script.silent = True
        with pytest.raises(NetworkError):
            buy(adapter(script.url))
        assert len(script.requests) == 1

    def test_a_refused_connection_leaves_the_fate_unknown_too(self) -> None:
        with pytest.raises(NetworkError):
            buy(adapter(f"http://127.0.0.1:{unused_port()}"))

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_is_not_followed_with_an_order_or_a_key(self, script: Scripted, status: int) -> None:
        with scripted() as elsewhere:
            elsewhere.answers(ORDER)
            script.answers(b"", status, Location=f"{elsewhere.url}/api/v3/order")
            with pytest.raises(NetworkError):
                buy(adapter(script.url))
            assert (len(script.requests), elsewhere.requests) == (1, [])

    @pytest.mark.parametrize(("status", "code"), [(429, -1003), (418, -1003), (429, -1015)])
    def test_a_limit_that_was_reached_says_when_to_come_back(self, script: Scripted, status: int, code: int) -> None:
        script.answers({"code": code, "msg": "Too many requests"}, status, Retry_After="17")
        error = refusal(lambda: buy(adapter(script.url)))
        assert (error.code, error.status, error.retry_after) == (code, status, 17.0)

    def test_without_that_header_nothing_is_said_of_it(self, script: Scripted) -> None:
        script.answers({"code": -1013, "msg": "Filter failure: NOTIONAL"}, 400)
        assert refusal(lambda: buy(adapter(script.url))).retry_after is None

    def test_nothing_open_is_no_error_when_all_is_canceled_but_any_other_refusal_is(self, script: Scripted) -> None:
        script.answers({"code": -2011, "msg": "Unknown order sent."}, 400)
        adapter(script.url).cancel_all("BTCUSDT")
        script.answers({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, 401)
        assert refusal(lambda: adapter(script.url).cancel_all("BTCUSDT")).code == -2015

    def test_errors_seen_by_users_are_refusals_in_the_exchange_s_words(
        self, script: Scripted, shared_data: Path
    ) -> None:
        lines = (shared_data / "binance-spot-payloads" / "observed-errors.jsonl").read_text().splitlines()
        for seen in map(json.loads, lines):
            script.answers(seen["body"], seen["http"] or 400)
            error = refusal(lambda: buy(adapter(script.url)))
            assert (error.code, error.message) == (seen["body"]["code"], seen["body"]["msg"])

    def test_the_keys_are_in_no_text_and_no_log(self, script: Scripted, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        rest = adapter(script.url)
        texts = [repr(rest), str(rest), repr(rest.figures)]
        for body, status in ANSWERS_OF_UNKNOWN_FATE.values():
            rest = adapter(script.url)
            script.answers(body, status)
            with pytest.raises(NetworkError) as unknown:
                buy(rest)
            texts += [str(unknown.value), repr(unknown.value)]
        assert script.requests[0].key == KEY
        assert [text for text in [*texts, caplog.text] if KEY in text or SECRET in text] == []

    def test_a_refused_timestamp_is_sent_again_with_the_exchanges_clock_once(
        self, script: Scripted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
        rest = adapter(script.url)

        def synced(_kind: Kind) -> None:
            script.answers({"balances": [{"asset": "BTC", "free": "1", "locked": "0"}]})

        script.answers(refused, 400)
        monkeypatch.setattr(rest, "sync_clock", synced)
        assert list(rest.account()) == ["BTC"]
        script.answers(refused, 400)
        monkeypatch.setattr(rest, "sync_clock", lambda _kind: None)
        before = len(script.requests)
        assert refusal(rest.account).code == -1021
        assert len(script.requests) == before + 2
