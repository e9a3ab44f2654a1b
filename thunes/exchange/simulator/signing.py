"""Who sent a request, and whether it is fresh (rest-api.md, "SIGNED Endpoint security" and "Timing security")."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from thunes.errors import ExchangeError, OperatorError

KEY_FORMAT = re.compile(r"[A-Za-z0-9]{64}")
AHEAD_MS = 1000
DEFAULT_WINDOW_MS = Decimal(5000)
LONGEST_WINDOW_MS = Decimal(60000)
MICROSECONDS_FROM = 10**14
"""A timestamp from here on is in microseconds: as milliseconds it would lie beyond the year 5138."""


def new_key() -> str:
    """A fresh API key or secret in the exchange's form: 64 letters and digits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(64))


def signature(secret: str, payload: bytes) -> str:
    """HMAC-SHA256 in lower-case hex."""
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def signed_payload(query: bytes, body: bytes) -> bytes:
    """What the client signed: query string and body as sent, joined by nothing, without the signature itself."""
    return b"".join(
        b"&".join(pair for pair in part.split(b"&") if not pair.startswith(b"signature=")) for part in (query, body)
    )


def socket_payload(params: Mapping[str, Any]) -> bytes:
    """What a WebSocket API client signed: all parameters but the signature, sorted by name."""
    pairs = sorted((name, value) for name, value in params.items() if name != "signature")
    return "&".join(f"{name}={as_text(value)}" for name, value in pairs).encode()


def as_text(value: Any) -> str:
    """A JSON value as it reads in a signature payload."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def check_key_format(key: str | None) -> str:
    """The key; raises ExchangeError -2014 where it cannot be one."""
    if key is None or not KEY_FORMAT.fullmatch(key):
        raise ExchangeError(-2014, "API-key format invalid.", 401)
    return key


def check_time(timestamp: int, window_ms: Decimal | None, now: float) -> None:
    """Raises ExchangeError -1021 unless the request is fresh: milliseconds or microseconds, `now` in wall seconds."""
    sent_ms = Decimal(timestamp) / 1000 if timestamp >= MICROSECONDS_FROM else Decimal(timestamp)
    now_ms = Decimal(int(now * 1_000_000)) / 1000
    window = DEFAULT_WINDOW_MS if window_ms is None else window_ms
    if window > LONGEST_WINDOW_MS:
        raise ExchangeError(-1102, "'recvWindow' contains unexpected value. Cannot be greater than 60000.")
    if sent_ms >= now_ms + AHEAD_MS:
        raise ExchangeError(-1021, f"Timestamp for this request was {AHEAD_MS}ms ahead of the server's time.")
    if now_ms - sent_ms > window:
        raise ExchangeError(-1021, "Timestamp for this request is outside of the recvWindow.")


def check_signature(secret: str, payload: bytes, given: str) -> None:
    """Raises ExchangeError -1022 unless `given`, hex in either case, signs `payload`; compares in constant time."""
    if not hmac.compare_digest(signature(secret, payload).encode(), given.lower().encode()):
        raise ExchangeError(-1022, "Signature for this request is not valid.")


def check_ed25519(key: Ed25519PublicKey, payload: bytes, given: str) -> None:
    """Raises ExchangeError -1022 unless `given`, in base64, is the private key's signature of `payload`."""
    try:
        key.verify(base64.b64decode(given, validate=True), payload)
    except (ValueError, InvalidSignature):
        raise ExchangeError(-1022, "Signature for this request is not valid.") from None


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The Ed25519 public key of a PEM file. Raises OperatorError."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror}): give a public key as a PEM file") from error
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise OperatorError(f"{path} is no Ed25519 public key: make one with `openssl pkey -in KEY -pubout`")
    return key
