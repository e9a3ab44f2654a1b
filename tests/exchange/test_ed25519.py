"""Ed25519 keys from the settings to the exchange: read, refused in words, signed with, and verified."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.conftest import Exchange, Listener, Start
from tests.exchange.rest_calls import adapter, buy, refusal
from tests.exchange.socket_ends import Heard
from thunes.domain.market import ExecutionReport
from thunes.errors import ExchangeError, OperatorError, SettingsError
from thunes.exchange import keys
from thunes.exchange.account_frames import decode_account
from thunes.exchange.simulator.signing import check_ed25519, read_public_key
from thunes.exchange.streams import AccountSocket
from thunes.messages import OrderStatus
from thunes.settings import load_keys

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def pem(
    key: Any = KEY,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    text: bytes = key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())
    return text.decode()


def public_pem(key: Any = KEY) -> bytes:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text


def environ(secret: str) -> dict[str, str]:
    return {"THUNES_API_KEY": "the-api-key", "THUNES_API_SECRET": secret}


RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
PASSWORD = BestAvailableEncryption(b"secret")
BODY = pem().splitlines()[1]
NOT_USABLE = {
    "RSA": (pem(RSA), "RSA"),
    "RSA in its old form": (pem(RSA, PrivateFormat.TraditionalOpenSSL), "RSA"),
    "encrypted": (pem(encryption=PASSWORD), "is encrypted"),
    "encrypted RSA in its old form": (pem(RSA, PrivateFormat.TraditionalOpenSSL, PASSWORD), "is encrypted"),
    "elliptic curve": (pem(ec.generate_private_key(ec.SECP256R1())), "another kind"),
    "OpenSSH": (pem(form=PrivateFormat.OpenSSH), "OpenSSH"),
    "public": (public_pem().decode(), "public key"),
    "cut short": (pem()[:60], "cannot be read"),
    "without its end": (pem().rsplit("-----END", 1)[0], "cannot be read"),
    "one letter changed": (pem().replace("MC4C", "MC5C"), "cannot be read"),
    "a header alone": ("-----BEGIN PRIVATE KEY-----", "cannot be read"),
    "a certificate's header": (pem().replace("PRIVATE KEY", "CERTIFICATE"), "cannot be read"),
    "not ASCII": (pem().replace("MC4C", "ÄÖÜ\u2028"), "cannot be read"),
}


class TestSettings:
    @pytest.mark.parametrize(
        "secret",
        [
            pem(),
            pem().strip(),
            f"\n  {pem()}  \n",
            pem().replace("\n", "\r\n"),
            pem().replace("\n", "\\n"),
        ],
    )
    def test_a_private_key_is_taken_however_its_lines_are_joined(self, secret: str) -> None:
        taken = load_keys(environ(secret)).api_secret.get_secret_value()
        assert keys.signer(taken)(b"payload") == base64.b64encode(KEY.sign(b"payload")).decode()

    def test_it_may_be_in_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "key.pem"
        file.write_text(pem())
        loaded = load_keys({"THUNES_API_KEY": "the-api-key", "THUNES_API_SECRET_FILE": str(file)})
        assert loaded.api_secret.get_secret_value() == pem().strip()

    def test_a_file_that_is_no_text_is_refused_in_words(self, tmp_path: Path) -> None:
        file = tmp_path / "key.der"
        file.write_bytes(KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) + b"\xff")
        with pytest.raises(SettingsError, match="PEM"):
            load_keys({"THUNES_API_KEY": "the-api-key", "THUNES_API_SECRET_FILE": str(file)})

    @pytest.mark.parametrize(("secret", "word"), NOT_USABLE.values(), ids=NOT_USABLE)
    def test_what_cannot_be_signed_with_is_refused_in_words_without_the_key(self, secret: str, word: str) -> None:
        with pytest.raises(SettingsError) as refused:
            load_keys(environ(secret))
        [line] = refused.value.violations
        assert line.startswith("THUNES_API_SECRET: ")
        assert word in line
        assert [part for part in secret.splitlines() if len(part) > 8 and part in line] == []
        with pytest.raises(ValueError, match=word) as said:
            keys.private_key(secret)
        assert (said.value.__cause__, said.value.__suppress_context__ or said.value.__context__ is None) == (None, True)

    def test_any_other_text_is_an_hmac_secret_as_before(self) -> None:
        assert load_keys(environ("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3U")).api_secret.get_secret_value()[:3] == "Nhq"
        # rest-api.md's own example
        secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
        payload = (
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
            "&timestamp=1499827319559"
        )
        assert keys.signer(secret)(payload.encode()) == (
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
        )

    @given(st.text(max_size=200).map(lambda text: f"-----BEGIN {text}"))
    def test_no_text_breaks_the_reading(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"\bis\b|\bbegins\b"):
            keys.private_key(text)

    def test_everything_that_gives_it_away_is_hidden(self) -> None:
        assert {pem(), BODY} <= set(keys.to_hide(pem()))
        assert BODY in keys.to_hide(pem().replace("\n", "\\n"))
        assert keys.to_hide("hmac-secret") == ("hmac-secret",)


@pytest.fixture
def registered(start: Start) -> Iterator[Exchange]:
    """An exchange whose account's key is an Ed25519 one."""
    with start(public_key=KEY.public_key()) as running:
        yield running


class TestRest:
    def test_every_method_is_signed_so_that_the_exchange_takes_it(self, registered: Exchange) -> None:
        rest = adapter(registered.running.rest, registered.key, pem())
        assert "USDT" in rest.account()
        for number in range(20):  # a signature in base64 has, or has not, characters that URLs escape
            placed = buy(rest, "0.001", f"home-{number}", price=Decimal(29_000))
            assert rest.order("BTCUSDT", f"home-{number}").order_id == placed.order_id
            assert rest.cancel("BTCUSDT", f"home-{number}").status is OrderStatus.CANCELED
        assert rest.open_orders() == ()

    @pytest.mark.parametrize("secret", [pem(OTHER), "an-hmac-secret"])
    def test_another_key_s_signature_is_refused(self, registered: Exchange, secret: str) -> None:
        assert refusal(adapter(registered.running.rest, registered.key, secret).account).code == -1022

    def test_the_secret_that_the_account_had_before_signs_nothing(self, registered: Exchange) -> None:
        rest = adapter(registered.running.rest, registered.key, registered.secret)
        assert refusal(rest.account).code == -1022

    def test_an_account_with_a_secret_takes_no_private_key(self, exchange: Exchange) -> None:
        assert refusal(adapter(exchange.running.rest, exchange.key, pem()).account).code == -1022

    def test_the_key_is_in_no_text_of_the_adapter(self, registered: Exchange) -> None:
        rest = adapter(registered.running.rest, registered.key, pem(OTHER))
        told = refusal(rest.account)
        assert [text for text in (repr(rest), str(told), repr(told)) if BODY in text] == []


class TestSignatures:
    @pytest.mark.parametrize("given_", ["", "x", "é", "AAAA", "=", base64.b64encode(bytes(64)).decode()])
    def test_anything_else_is_refused(self, given_: str) -> None:
        with pytest.raises(ExchangeError, match="-1022"):
            check_ed25519(KEY.public_key(), b"payload", given_)

    def test_letters_count_in_either_case(self) -> None:
        signature = keys.signer(pem())(b"payload")
        check_ed25519(KEY.public_key(), b"payload", signature)
        with pytest.raises(ExchangeError, match="-1022"):
            check_ed25519(KEY.public_key(), b"payload", f"!{signature}")
        with pytest.raises(ExchangeError, match="-1022"):
            check_ed25519(KEY.public_key(), b"payload", signature.swapcase())
        with pytest.raises(ExchangeError, match="-1022"):
            check_ed25519(KEY.public_key(), b"payloaD", signature)

    @pytest.mark.parametrize("content", [b"", b"-----BEGIN PUBLIC KEY-----", pem().encode(), public_pem(RSA)])
    def test_a_file_that_is_no_public_key_is_the_operator_s_matter(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "key.pem"
        file.write_bytes(content)
        with pytest.raises(OperatorError, match="no Ed25519 public key"):
            read_public_key(file)
        with pytest.raises(OperatorError, match="cannot be read"):
            read_public_key(tmp_path / "nothing")


class TestAccountStream:
    def test_it_is_subscribed_with_a_private_key_and_gives_the_account_s_events(self, registered: Exchange) -> None:
        heard = Heard()
        wall_ms = lambda: int(time.time() * 1000)  # noqa: E731
        socket = AccountSocket(registered.running.ws_api, registered.key, pem(), wall_ms=wall_ms, **heard.options())
        socket.open()
        assert heard.next() == ("open",)
        buy(adapter(registered.running.rest, registered.key, pem()))
        _, data, _ = heard.next()
        report = decode_account(data)
        assert isinstance(report, ExecutionReport)
        assert report.client_order_id == "home-1"
        socket.close()
        heard.rest()

    def test_a_wrong_key_is_refused_in_the_exchange_s_words(self, registered: Exchange) -> None:
        heard = Heard()
        wall_ms = lambda: int(time.time() * 1000)  # noqa: E731
        AccountSocket(registered.running.ws_api, registered.key, pem(OTHER), wall_ms=wall_ms, **heard.options()).open()
        assert heard.rest() == [("close", "code=-1022 Signature for this request is not valid.")]


def signed(key: str, secret: str = pem(), **more: Any) -> dict[str, Any]:
    params = {"apiKey": key, "timestamp": int(time.time() * 1000), **more}
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return {**params, "signature": keys.signer(secret)(payload.encode())}


def now(**more: Any) -> dict[str, Any]:
    return {"timestamp": int(time.time() * 1000), **more}


class TestSessions:
    @pytest.fixture
    def session(self, registered: Exchange) -> Iterator[Listener]:
        with registered.listen("/ws-api/v3") as connection:
            yield connection

    def test_a_session_that_logged_on_needs_no_key_and_no_signature(
        self, registered: Exchange, session: Listener
    ) -> None:
        before = session.ask(id=1, method="account.status", params=now())
        assert before["error"]["code"] == -2014
        on = session.ask(id=2, method="session.logon", params=signed(registered.key))
        assert (on["status"], on["result"]["apiKey"]) == (200, registered.key)
        assert on["result"]["connectedSince"] <= on["result"]["authorizedSince"] <= on["result"]["serverTime"]
        after = session.ask(id=3, method="account.status", params=now())
        assert (after["status"], after["result"]["accountType"]) == (200, "SPOT")

    def test_its_requests_still_have_to_be_fresh(self, registered: Exchange, session: Listener) -> None:
        session.ask(id=1, method="session.logon", params=signed(registered.key))
        assert session.ask(id=2, method="account.status", params={})["error"]["code"] == -1102
        late = {"timestamp": int(time.time() * 1000) - 60_000}
        assert session.ask(id=3, method="account.status", params=late)["error"]["code"] == -1021

    def test_a_key_that_is_named_counts_for_itself(self, registered: Exchange, session: Listener) -> None:
        session.ask(id=1, method="session.logon", params=signed(registered.key))
        for key, code in (("x" * 64, -2015), (5, -2014), (None, -2014)):
            answer = session.ask(id=2, method="account.status", params=now(apiKey=key, signature="x"))
            assert answer["error"]["code"] == code

    @pytest.mark.parametrize(("secret", "code"), [(pem(OTHER), -1022), ("hmac", -1022)])
    def test_a_wrong_signature_does_not_log_on(
        self, registered: Exchange, session: Listener, secret: str, code: int
    ) -> None:
        refused = session.ask(id=1, method="session.logon", params=signed(registered.key, secret))
        assert refused["error"]["code"] == code
        assert session.ask(id=2, method="session.status")["result"]["apiKey"] is None

    def test_only_ed25519_keys_log_on(self, exchange: Exchange) -> None:
        with exchange.listen("/ws-api/v3") as session:
            refused = session.ask(id=1, method="session.logon", params=signed(exchange.key, exchange.secret))
            assert (refused["status"], refused["error"]["code"]) == (401, -2015)

    def test_its_own_subscription_ends_with_it_and_a_signed_one_does_not(
        self, registered: Exchange, session: Listener
    ) -> None:
        refused = session.ask(id=1, method="userDataStream.subscribe")
        assert refused["error"]["code"] == -2015
        session.ask(id=2, method="session.logon", params=signed(registered.key))
        assert session.ask(id=3, method="session.status")["result"]["userDataStream"] is False
        assert session.ask(id=4, method="userDataStream.subscribe")["result"] == {"subscriptionId": 0}
        assert session.ask(id=5, method="session.status")["result"]["userDataStream"] is True
        buy(adapter(registered.running.rest, registered.key, pem()))
        assert session.until(lambda frame: "event" in frame)["event"]["e"] == "executionReport"
        session.connection.send(json.dumps({"id": 6, "method": "session.logout"}))
        assert session.until(lambda f: f.get("event", {}).get("e") == "eventStreamTerminated")["subscriptionId"] == 0
        off = session.until(lambda frame: frame.get("id") == 6)["result"]
        assert (off["apiKey"], off["authorizedSince"], off["userDataStream"]) == (None, None, False)
        assert session.ask(id=7, method="account.status", params=now())["error"]["code"] == -2014
        again = signed(registered.key)
        assert session.ask(id=8, method="userDataStream.subscribe.signature", params=again)["status"] == 200
        session.ask(id=9, method="session.logon", params=signed(registered.key))
        off = session.ask(id=10, method="session.logout")["result"]
        assert off["userDataStream"] is True

    def test_logging_out_without_having_logged_on_does_nothing(self, session: Listener) -> None:
        assert session.ask(id=1, method="session.logout")["result"]["apiKey"] is None


class TestProcess:
    def test_the_exchange_takes_the_public_key_of_a_file_and_tells_no_secret(self, tmp_path: Path) -> None:
        file = tmp_path / "public.pem"
        file.write_bytes(public_pem())
        with subprocess.Popen(
            [*COMMAND, "--home", str(tmp_path), "--public-key", str(file), "--parent", "--ready-json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            balances = adapter(ready["rest"], ready["api_key"], pem()).account()
            process.stdin.close()
        assert ready["api_secret"] == ""
        assert balances["USDT"][0] == 10_000

    def test_a_file_that_is_none_is_one_line_and_status_2(self, tmp_path: Path) -> None:
        file = tmp_path / "public.pem"
        file.write_bytes(pem().encode())
        command = [*COMMAND, "--home", str(tmp_path / "home"), "--public-key", str(file)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
        assert not (tmp_path / "home").exists()


COMMAND = (sys.executable, "-m", "thunes.exchange.simulator")
