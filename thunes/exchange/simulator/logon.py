"""Which API key a WebSocket API connection is authenticated with (web-socket-api.md, "Authentication requests")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Logon:
    """One connection's, from `session.logon` to `session.logout`. Times in milliseconds, wall time."""

    connected_ms: int
    key: str | None = None
    account: str = ""
    since_ms: int | None = None
    subscription: int | None = None
    """The one begun by `userDataStream.subscribe`, which ends with the session."""

    def begin(self, key: str, account: str, now_ms: int) -> None:
        self.key, self.account, self.since_ms = key, account, now_ms

    def end(self) -> int | None:
        """Forget the key; the subscription that ends with it, if any."""
        subscription, self.subscription = self.subscription, None
        self.key, self.account, self.since_ms = None, "", None
        return subscription

    def facts(self, now_ms: int, scale: int, *, limits: bool, subscribed: bool) -> dict[str, Any]:
        """What all three session requests are answered with; times multiplied by `scale`."""
        return {
            "apiKey": self.key,
            "authorizedSince": None if self.since_ms is None else self.since_ms * scale,
            "connectedSince": self.connected_ms * scale,
            "returnRateLimits": limits,
            "serverTime": now_ms * scale,
            "userDataStream": subscribed,
        }
