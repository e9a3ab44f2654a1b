"""The account's secret, and how requests are signed with it: HMAC-SHA256 with a text, or Ed25519 with a private key.

A secret that begins as a PEM block is a private key (faqs/api_key_types.md); any other is an HMAC secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

Sign = Callable[[bytes], str]

PEM = "-----BEGIN "
MAKE_ONE = "make one with `openssl genpkey -algorithm ed25519`"


def is_private_key(secret: str) -> bool:
    return secret.lstrip().startswith(PEM)


def private_key(secret: str) -> Ed25519PrivateKey:
    """The Ed25519 key of a PEM block. ValueError says what it is instead, never the key."""
    # An environment file has one line for each variable, so the block's ends of lines are often written as \n.
    text = secret.strip().replace("\\n", "\n")
    header = text.splitlines()[0]
    if "PUBLIC KEY" in header:
        raise ValueError("is a public key; give the private one, and the public one to the exchange")
    if "OPENSSH" in header:
        raise ValueError(f"is a key in OpenSSH's form; {MAKE_ONE}")
    if "ENCRYPTED" in text:
        raise ValueError("is encrypted; decrypt it with `openssl pkey -in KEY -out PLAIN` and give that file")
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"begins as a private key and cannot be read as one; {MAKE_ONE}") from None
    if isinstance(key, RSAPrivateKey):
        raise ValueError(f"is an RSA key, and of private keys only Ed25519 is supported; {MAKE_ONE}")
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"is a private key of another kind than Ed25519; {MAKE_ONE}")
    return key


def canonical(secret: str) -> str:
    """The private key as PKCS#8 in the fewest characters: python-binance takes a longer text for an RSA key."""
    return private_key(secret).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()


def signer(secret: str) -> Sign:
    """What signs a request's payload: lower-case hex for an HMAC secret, base64 for a private key."""
    if is_private_key(secret):
        key = private_key(secret)
        return lambda payload: base64.b64encode(key.sign(payload)).decode()
    return lambda payload: hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def to_hide(secret: str) -> tuple[str, ...]:
    """Every text that gives the secret away: of a PEM block each line of the key, however the lines are joined."""
    lines = secret.replace("\\n", "\n").splitlines() if is_private_key(secret) else ()
    return (secret, *(line.strip() for line in lines if line.strip() and not line.startswith("-----")))
