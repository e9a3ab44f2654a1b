"""Who may speak to the console port: first where the request comes from, then whether it knows the token.

A page in the operator's browser can reach 127.0.0.1 (DNS rebinding, a cross-site form), so `Host` and `Origin` are
looked at before anything else, and before a wrong token could be told from a right one.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
WILDCARDS = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status and the sentence that goes with it."""

    status: int
    sentence: str


class Guard:
    """Decides on headers alone. `allowed_hosts` are names besides loopback's, without ports."""

    def __init__(self, token: str, allowed_hosts: Iterable[str] = ()) -> None:
        if not token:
            raise ValueError("the control token must not be empty, or an empty Authorization would pass")
        self._token = token.encode()
        self._configured = frozenset(host.lower() for host in allowed_hosts) - LOOPBACK - WILDCARDS
        self._hosts = LOOPBACK | self._configured

    def refusal(self, hosts: Sequence[str], origin: str | None, authorization: str | None) -> Refusal | None:
        """None to let the request in. `hosts` are all values of the Host header: there must be exactly one."""
        if len(hosts) != 1 or _name(f"//{hosts[0]}") not in self._hosts:
            return Refusal(403, "This host name is not allowed; add it to http.allowed_hosts if it is yours.")
        if origin is not None and not self._same_site(origin, hosts[0]):
            return Refusal(403, "A page of another origin may not use this API; open the console at this address.")
        if not self._knows_token(authorization):
            return Refusal(401, "A valid token is needed: send Authorization: Bearer with data/control.token's text.")
        return None

    def _same_site(self, origin: str, host: str) -> bool:
        """Another port of this machine is another site; a configured name may come through a proxy on any port."""
        name = _name(origin)
        if name is None or not origin.startswith(("http://", "https://")):
            return False
        return urlsplit(origin).netloc.lower() == host.lower() or name in self._configured

    def _knows_token(self, authorization: str | None) -> bool:
        scheme, _, token = (authorization or "").partition(" ")
        given = token.strip().encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, self._token) and scheme.lower() == "bearer"


def _name(url: str) -> str | None:
    """The host name in a URL, lower case and without its port; None where there is none or it is malformed."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
        return parts.hostname if parts.username is None else None
    except ValueError:
        return None
