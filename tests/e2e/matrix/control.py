"""The embedded exchange's control endpoint, as a test talks to it."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Control:
    """`url` is what the exchange's ready line says of its control endpoint."""

    url: str

    def add(self, fault: str, **details: Any) -> int:
        """Make the exchange do it; the fault's number."""
        return int(self._ask("POST", "/faults", {"fault": fault, **details})["id"])

    def fired(self, number: int) -> int:
        """How often the fault has struck. One that is used up may be gone from the list: it has struck then."""
        found = [row for row in self._ask("GET", "/faults")["faults"] if row["id"] == number]
        return int(found[0]["fired"]) if found else 1

    def clear(self) -> None:
        """Nothing more of what was asked for."""
        self._ask("DELETE", "/faults")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url.rstrip("/") + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else {}
