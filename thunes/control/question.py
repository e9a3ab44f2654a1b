"""One request to a running system that may hang: sent at once, and its answer looked for now and then."""

from __future__ import annotations

import http.client
import json
import select
from collections.abc import Mapping
from typing import Any

from thunes.control.client import RunningSystem
from thunes.errors import ThunesError
from thunes.storage.home import Home

SEND_SECONDS = 0.3
"""For the connection, and for the rest of an answer that has begun to come: both ends are on this machine."""


class Question(RunningSystem):
    """A POST to the system of a home. Making one sends it, and never fails: `why` says what went wrong."""

    def __init__(self, home: Home, path: str, body: Mapping[str, Any]) -> None:
        self.why = ""
        self.said_yes = False
        self._connection: http.client.HTTPConnection | None = None
        try:
            super().__init__(home)
            self._send(path, body)
            self.why = f"THUNES on {self._where} has not answered yet; it may hang."
        except ThunesError as error:
            self.why = str(error)
        except (OSError, http.client.HTTPException) as error:
            self._end(f"THUNES on {self._where} does not answer ({error}); if it has died, start it again.")

    def _send(self, path: str, body: Mapping[str, Any]) -> None:
        self._connection = http.client.HTTPConnection(*self._address, timeout=SEND_SECONDS)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(body), headers)

    def confirmed(self, seconds: float) -> bool:
        """Whether the system has said yes, or does so within so many seconds from now."""
        if self._connection is not None and select.select([self._connection.sock], [], [], seconds)[0]:
            try:
                self._read(self._connection.getresponse())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._end(f"THUNES on {self._where} does not answer ({error}); if it has died, start it again.")
        return self.said_yes

    def _read(self, response: http.client.HTTPResponse) -> None:
        document = json.loads(response.read())
        self.said_yes = response.status < 400
        self._end(str(document.get("error", document) if isinstance(document, dict) else document))

    def _end(self, why: str) -> None:
        self.why = why
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
