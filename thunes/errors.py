"""The tree of exceptions, named for whose fault each is.

ThunesError
├── OperatorError            the person at the keyboard: settings, flags, files, a second process
│   ├── SettingsError        one or more settings are wrong; `violations` holds a line for each
│   ├── SourceError          a market file is missing, truncated or malformed; names file and row
│   ├── HomeInUse            another process holds this home, or it belongs to another venue
│   └── AccountInUse         another THUNES trades on this account
├── JournalError             the audit trail cannot be trusted or written
│   ├── JournalBroken        a line does not verify; names it
│   └── JournalUnwritable    an append or an fdatasync failed: nothing may pass on
├── BooksUnusable            the database of the books cannot be read or written
├── OutboxUnusable           alerts cannot be kept until they are told
├── ExchangeError            the exchange said no, in its own words (`code`, `message`)
│   └── HeldBack             its limits leave no room now, so it was not even asked
│       └── KilledMeanwhile  the kill switch was thrown, so it was not even asked
├── NetworkError             the request's fate is unknown: time-out, lost connection, 5xx
└── MarketDataError          a frame that must not be traded on

A message is one sentence and ends with what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class ThunesError(Exception):
    """Anything that THUNES raises on purpose."""


class OperatorError(ThunesError):
    """The person at the keyboard can mend it; exit status 2."""


class SettingsError(OperatorError):
    """Settings or flags that cannot be used, every violation at once."""

    def __init__(self, violations: Sequence[str]) -> None:
        self.violations = tuple(violations)
        super().__init__("\n".join(self.violations))


class SourceError(OperatorError):
    """A market source that cannot be read; the message names the file and, where there is one, the row."""


class HomeInUse(OperatorError):
    """Another process, venue or account owns this home."""


class AccountInUse(OperatorError):
    """Another THUNES trades on this account; the message names its home's id."""


class JournalError(ThunesError):
    """The audit trail cannot be trusted or cannot be written."""


class JournalBroken(JournalError):
    """A line of the journal does not verify; the message names file and line."""


class JournalUnwritable(JournalError):
    """An append or an fdatasync failed, so nothing may be passed on."""


class BooksUnusable(ThunesError):
    """The books' database cannot be read or written; the message says why."""


class OutboxUnusable(ThunesError):
    """The alerts' outbox cannot be read or written; the message says why."""


class ExchangeError(ThunesError):
    """The exchange refused a request: `code` and `message` are its own, `status` is HTTP's."""

    def __init__(self, code: int, message: str, status: int = 400, retry_after: float | None = None) -> None:
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after
        super().__init__(f"code={code} {message}")


class HeldBack(ExchangeError):
    """The request was not sent: the exchange would refuse it with this code, or asked for a pause; `retry_after` says
    in how many seconds it may be sent.
    """


class KilledMeanwhile(HeldBack):
    """The order was not sent: the kill switch was thrown between its approval and its last byte."""


class NetworkError(ThunesError):
    """A request whose fate is unknown: a time-out, a lost connection, a 5xx. Ask before sending again."""


class MarketDataError(ThunesError):
    """A frame that is not what the exchange documents, so that nothing may be decided on it; `kind` says why."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)
