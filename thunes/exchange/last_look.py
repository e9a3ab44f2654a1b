"""A request that may still be withdrawn when its headers are on the way: its body is what it asks for."""

from __future__ import annotations

from collections.abc import Callable

from requests import PreparedRequest

from thunes.errors import KilledMeanwhile

Unless = Callable[[], bool]


class LastLook:
    """An authentication of `requests`, which is called when a request is ready: it puts the look into the body."""

    def __init__(self, unless: Unless) -> None:
        self._unless = unless

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        body = request.body or b""
        request.body = Body(body.encode() if isinstance(body, str) else body, self._unless)  # type: ignore[assignment]
        return request


class Body:
    """Bytes that are read once, immediately before they are written to the socket; KilledMeanwhile when it must not."""

    def __init__(self, data: bytes, unless: Unless) -> None:
        self._data = data
        self._length = len(data)
        self._unless = unless

    def __len__(self) -> int:
        return self._length

    def read(self, _size: int = -1) -> bytes:
        """All of it, then nothing: an order is much smaller than any block."""
        if self._data and self._unless():
            raise KilledMeanwhile(0, "Not sent: the kill switch was thrown after the order was approved.")
        data, self._data = self._data, b""
        return data
