"""The second channels: a webhook and mail, for critical alerts that Telegram does not take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

import aiohttp
import aiosmtplib

from thunes.alerts.alert import Outcome

SECONDS = 15.0
SUBJECT_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Webhook:
    """Takes a POST of `{"text": ...}`, as Slack, Mattermost and others do."""

    url: str

    async def tell(self, channel: str, numbers: tuple[int, ...], text: str, _picture: bytes | None) -> Outcome:
        """Any 2xx is an answer that it has it."""
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
                session.post(self.url, json={"text": text}) as response,
            ):
                if response.ok:
                    return Outcome(channel, numbers, True, "sent")
                kind = "limited" if response.status == 429 else "refused" if response.status < 500 else "failed"
                wait_s = _seconds(response.headers.get("Retry-After", ""))
                return Outcome(channel, numbers, False, kind, f"it answered {response.status}", wait_s)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # An address may hold a secret, and some of these errors repeat it.
            return Outcome(channel, numbers, False, "failed", type(error).__name__)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail server that is logged in to with a name and a password, where it wants them."""

    host: str
    port: int
    security: str
    """starttls, tls or none."""
    user: str
    password: str
    sender: str
    receivers: tuple[str, ...]
    now: Callable[[], datetime]

    async def tell(self, channel: str, numbers: tuple[int, ...], text: str, picture: bytes | None) -> Outcome:
        """Told once the server has taken it for at least one receiver."""
        try:
            await aiosmtplib.send(
                self._message(numbers, text, picture),
                hostname=self.host,
                port=self.port,
                use_tls=self.security == "tls",
                start_tls=self.security == "starttls",
                username=self.user or None,
                password=self.password if self.user else None,
                timeout=SECONDS,
            )
        except aiosmtplib.SMTPResponseException as error:
            kind = "refused" if error.code >= 500 else "failed"
            return Outcome(channel, numbers, False, kind, f"the mail server answered {error.code}")
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return Outcome(channel, numbers, False, "failed", type(error).__name__)
        return Outcome(channel, numbers, True, "sent")

    def _message(self, numbers: tuple[int, ...], text: str, picture: bytes | None) -> EmailMessage:
        mail = EmailMessage()
        first = text.splitlines()[0] if text else "alert"
        mail["Subject"] = f"THUNES: {first[:SUBJECT_CHARACTERS]}"
        mail["From"], mail["To"] = self.sender, ", ".join(self.receivers)
        mail["Date"], mail["Message-ID"] = format_datetime(self.now()), make_msgid(f"{numbers[0]}", "thunes.local")
        mail.set_content(text)
        if picture is not None:
            mail.add_attachment(picture, maintype="image", subtype="png", filename="equity.png")
        return mail


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdecimal() else 0.0
