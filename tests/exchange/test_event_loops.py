"""A client that an actor makes in its own thread leaves nothing open there."""

from __future__ import annotations

import asyncio
import threading

from thunes.exchange.binance import BinanceRest


def test_the_event_loop_that_the_library_makes_for_a_thread_is_closed() -> None:
    made: list[BinanceRest] = []
    left: list[str] = []

    def make() -> None:
        for _ in range(2):
            made.append(BinanceRest("http://127.0.0.1:1", "key", "secret", timeout=1, wall_ms=lambda: 0))
        try:
            asyncio.get_event_loop_policy().get_event_loop()
        except RuntimeError:
            left.append("none")

    thread = threading.Thread(target=make)
    thread.start()
    thread.join(10)
    make()
    assert [rest._client.loop.is_closed() for rest in made] == [True] * 4
    assert left == ["none"] * 2


def test_a_loop_that_runs_is_left_alone() -> None:
    async def main() -> bool:
        BinanceRest("http://127.0.0.1:1", "key", "secret", timeout=1, wall_ms=lambda: 0)
        return asyncio.get_running_loop().is_closed()

    assert asyncio.run(main()) is False
