"""The doctor's sockets: what opens, what stays silent, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.doctor.conftest import MakePatient, venue_of
from tests.exchange.conftest import START_MS, Exchange, trade
from tests.exchange.socket_ends import serving
from thunes.doctor import streams
from thunes.doctor.findings import Failed


def test_a_market_that_moves_delivers_a_frame(exchange: Exchange, patient_of: MakePatient) -> None:
    venue = venue_of(exchange)
    opens = venue.market_socket

    def and_then_a_trade(*names: object, on_open: object, **callbacks: object) -> object:
        def opened() -> None:
            on_open()  # type: ignore[operator]
            exchange.play(trade(1, "30000", "1", START_MS))

        return opens(*names, on_open=opened, **callbacks)

    said = streams.market(patient_of(), replace(venue, market_socket=and_then_a_trade))  # type: ignore[arg-type]

    assert "the first frame after" in said


def test_a_market_that_is_silent_is_a_failure(
    exchange: Exchange, patient_of: MakePatient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "FRAME_SECONDS", 0.3)

    with pytest.raises(Failed, match=r"no frame within 0\.3 s"):
        streams.market(patient_of(), venue_of(exchange))


def test_frames_that_cannot_be_read_are_a_failure(exchange: Exchange, patient_of: MakePatient) -> None:
    with serving(lambda connection: connection.send("hello")) as url, pytest.raises(Failed, match="cannot be read"):
        streams.market(patient_of(), venue_of(exchange, stream_url=url))


@pytest.mark.parametrize("look", [streams.market, streams.account])
def test_a_stream_that_does_not_open_is_a_failure(exchange: Exchange, patient_of: MakePatient, look: object) -> None:
    with pytest.raises(Failed, match="the connection failed"):
        look(patient_of(), venue_of(exchange, stream_url="ws://127.0.0.1:9"))  # type: ignore[operator]


def test_the_accounts_stream_takes_our_subscription(exchange: Exchange, patient_of: MakePatient) -> None:
    assert "subscribed after" in streams.account(patient_of(), venue_of(exchange))


def test_a_subscription_that_is_refused_is_a_failure(exchange: Exchange, patient_of: MakePatient) -> None:
    with pytest.raises(Failed, match="code=-1022"):
        streams.account(patient_of(), venue_of(exchange, secret="x" * 64))
