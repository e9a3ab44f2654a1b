"""Parameters, signatures and request times: what is refused, in the exchange's own words."""

from __future__ import annotations

from decimal import Decimal

import pytest

from thunes.errors import ExchangeError
from thunes.exchange.simulator import signing
from thunes.exchange.simulator.params import Params

NOW = 1_700_000_000.5


def refusal(action: object, *arguments: object) -> tuple[int, str]:
    assert callable(action)
    with pytest.raises(ExchangeError) as caught:
        action(*arguments)
    return caught.value.code, caught.value.message


def test_a_value_in_the_query_wins_over_the_body() -> None:
    assert Params.from_request("side=BUY", "side=SELL&type=MARKET").required("side") == "BUY"


def test_a_name_sent_twice_is_refused() -> None:
    assert refusal(Params.from_request, "a=1&a=2", "") == (-1101, "Duplicate values for a parameter detected.")


def test_a_missing_mandatory_parameter_is_named() -> None:
    message = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
    assert refusal(Params({}).required, "symbol") == (-1102, message)


def test_an_empty_parameter_is_named() -> None:
    assert refusal(Params({"symbol": ""}).required, "symbol") == (-1105, "Parameter 'symbol' was empty.")


@pytest.mark.parametrize("value", ["abc", "-1", "1e5", "1.", ".5", "NaN", "１", "1\n"])
def test_a_quantity_that_is_no_plain_decimal_is_illegal(value: str) -> None:
    message = r"Illegal characters found in parameter 'quantity'; legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'."
    assert refusal(Params({"quantity": value}).decimal, "quantity", 8) == (-1100, message)


def test_a_quantity_with_more_decimals_than_the_asset_has_too_much_precision() -> None:
    params = Params({"quantity": "0.123456789", "price": "1.1000000000"})
    assert refusal(params.decimal, "quantity", 8) == (-1111, "Parameter 'quantity' has too much precision.")
    assert params.decimal("price", 8) == Decimal("1.1")


def test_parameters_that_nobody_read_are_counted() -> None:
    params = Params({"symbol": "BTCUSDT", "foo": "1"})
    params.required("symbol")
    message = "Not all sent parameters were read; read '1' parameter(s) but was sent '2'."
    assert refusal(params.finish) == (-1104, message)


def test_times_may_be_sent_in_microseconds() -> None:
    assert Params({"startTime": "1700000000000123"}).time_ms("startTime") == 1_700_000_000_000


def test_a_number_beyond_64_bits_overflows() -> None:
    assert refusal(Params({"orderId": "9" * 20}).integer, "orderId") == (-1108, "Parameter 'orderId' overflowed.")


@pytest.mark.parametrize("value", ["BTCUSDT", "[]", "[1]", "{"])
def test_symbols_have_to_be_a_json_array_of_strings(value: str) -> None:
    assert refusal(Params({"symbols": value}).names, "symbols")[0] == -1135


# The exchange's published example (rest-api.md, "HMAC Keys").
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
QUERY = (
    b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
)
SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (QUERY + b"&signature=" + SIGNATURE.encode(), b""),
        (b"", QUERY + b"&signature=" + SIGNATURE.encode()),
        (QUERY[:50], QUERY[50:] + b"&signature=" + SIGNATURE.encode()),
    ],
)
def test_the_published_signature_is_accepted_over_query_and_body_in_either_case(query: bytes, body: bytes) -> None:
    payload = signing.signed_payload(query, body)
    signing.check_signature(SECRET, payload, SIGNATURE)
    signing.check_signature(SECRET, payload, SIGNATURE.upper())


def test_the_published_websocket_signature_is_accepted() -> None:
    params = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
        "recvWindow": 100,
        "timestamp": 1645423376532,
        "apiKey": "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
        "signature": "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
    }
    signing.check_signature(SECRET, signing.socket_payload(params), str(params["signature"]))


def test_one_changed_byte_breaks_the_signature() -> None:
    changed = QUERY.replace(b"price=0.1", b"price=0.2")
    error = (-1022, "Signature for this request is not valid.")
    assert refusal(signing.check_signature, SECRET, changed, SIGNATURE) == error
    assert refusal(signing.check_signature, SECRET, QUERY, "é") == error


@pytest.mark.parametrize("early", [0, 4999.9, 5000])
def test_a_request_within_its_window_is_fresh_in_milliseconds_and_microseconds(early: float) -> None:
    signing.check_time(int(NOW * 1000 - early + 0.9), None, NOW)
    signing.check_time(int(NOW * 1_000_000 - early * 1000), None, NOW)


def test_a_request_from_a_second_ahead_is_refused() -> None:
    message = "Timestamp for this request was 1000ms ahead of the server's time."
    signing.check_time(int(NOW * 1000) + 999, None, NOW)
    assert refusal(signing.check_time, int(NOW * 1000) + 1000, None, NOW) == (-1021, message)


def test_a_request_older_than_its_window_is_refused() -> None:
    message = "Timestamp for this request is outside of the recvWindow."
    assert refusal(signing.check_time, int(NOW * 1000) - 5001, None, NOW) == (-1021, message)
    assert refusal(signing.check_time, int(NOW * 1000) - 2, Decimal("1.5"), NOW) == (-1021, message)
    signing.check_time(int(NOW * 1000) - 59_000, Decimal(60000), NOW)


def test_a_window_over_a_minute_is_refused() -> None:
    code, message = refusal(signing.check_time, int(NOW * 1000), Decimal("60000.001"), NOW)
    assert (code, message) == (-1102, "'recvWindow' contains unexpected value. Cannot be greater than 60000.")


@pytest.mark.parametrize("key", [None, "", "short", "!" * 64])
def test_a_key_that_cannot_be_one_is_refused(key: str | None) -> None:
    assert refusal(signing.check_key_format, key) == (-2014, "API-key format invalid.")


def test_a_new_key_has_the_format_of_a_key() -> None:
    assert signing.check_key_format(signing.new_key()) != signing.new_key()
