"""What nobody should send: nasty values, garbage, and valid frames bent; how many of each are thrown at what."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st

F = TypeVar("F", bound=Callable[..., Any])

SEED = os.environ.get("MALFORMED_SEED")
"""Unset: the same inputs at every run. A number: those of that draw."""
REPEAT = "The same again: run this test again as you ran it. Another draw: MALFORMED_SEED=7 before it."


INPUTS = {
    "requests": 5000,
    "broken HTTP": 500,
    "WebSocket API": 4000,
    "stream control": 2500,
    "broken sockets": 300,
    "market frames": 4000,
    "account frames": 3000,
    "REST answers": 1200,
    "frames on sockets": 500,
}
"""Inputs at least, by what they are thrown at."""


def thrown(at: str, *strategies: st.SearchStrategy[Any]) -> Callable[[F], F]:
    """Call a test with the inputs drawn for it, and say how to repeat what fails."""
    options = settings(
        max_examples=INPUTS[at],
        derandomize=SEED is None,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )

    def decorated(test: F) -> F:
        drawn: Any = options(given(*strategies)(test))
        return drawn if SEED is None else seed(int(SEED))(drawn)  # type: ignore[no-any-return]

    return decorated


def explained(what: object) -> None:
    """Shown with an input that fails."""
    note(f"{what}\n{REPEAT}")


NASTY_TEXT = (
    *(
        "",
        " ",
        "0",
        "-1",
        "-0",
        "+1",
        "1 ",
        " 1",
        "00",
        "1.",
        ".1",
        "1e5",
        "1E-8",
        "1e999999999",
        "0x10",
        "1_000",
        "1,5",
    ),
    *(
        "NaN",
        "sNaN",
        "Infinity",
        "-inf",
        "null",
        "None",
        "true",
        "True",
        "[]",
        "{}",
        '""',
        "\x00",
        "\n",
        "\r\n",
        "\x7f",
    ),
    *(
        "9" * 20,
        "9" * 21,
        "9" * 400,
        "-" + "9" * 30,
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
    ),
    *(
        "0.00000000",
        "0.000000001",
        "0." + "0" * 30 + "1",
        "1." + "9" * 21,
        "0.1.2",
        "٣",
        "½",
        "１２",
        "\u202e1",
        "💥",
        "é",
    ),
    *("btcusdt", "BTCUSDT\n", "BTCUSDT ", "BTC/USDT", "../../etc/passwd", "' OR 1=1 --", "<script>", "%00", "%", "%zz"),
    *('["BTCUSDT","BTCUSDT"]', '["BTCUSDT"', "[" * 300, '[["BTCUSDT"]]', '["NOPE"]', "[1]", "a" * 37, "a" * 5000),
    *("BUY", "SELL", "LIMIT", "MARKET", "STOP_LOSS", "GTC", "FOK", "GTX", "1m", "1M", "OCO", "FULL"),
)
texts = st.one_of(
    st.sampled_from(NASTY_TEXT),
    st.text(max_size=40),
    st.integers(-(10**25), 10**25).map(str),
    st.floats().map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12).map(
        lambda d: format(d, "f")
    ),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=4),
    st.dictionaries(st.text(max_size=8), scalars, max_size=4),
    st.sampled_from([10**30, -(10**30), [[[[]]]], {"a": {"b": []}}]),
)


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


json_garbage = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    values.map(lambda value: json.dumps(value).encode()),
    st.integers(1, 3000).map(nested),
    st.integers(1, 3000).map(lambda depth: b"[" * depth),
    st.sampled_from(
        [b"", b" ", b"{", b"}", b"null", b"NaN", b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"a":1}{"a":2}', b'{"a":1,"a":2}']
    ),
)


def mutated(valid: bytes, cuts: list[tuple[int, bytes]]) -> bytes:
    """Bytes put in the place of others; an empty piece truncates."""
    for place, piece in cuts:
        place %= len(valid) + 1
        valid = valid[:place] + piece + valid[place + len(piece) :] if piece else valid[:place]
    return valid


def replaced(valid: dict[str, Any], place: int, value: Any, inner: str | None) -> bytes:
    """A member of the object, or of the one within it, with another value."""
    target = valid | {inner: dict(valid[inner])} if inner else dict(valid)
    members = target[inner] if inner else target
    members[sorted(members)[place % len(members)]] = value
    return json.dumps(target).encode()


def missing(valid: dict[str, Any], place: int, inner: str | None) -> bytes:
    target = valid | {inner: dict(valid[inner])} if inner else dict(valid)
    members = target[inner] if inner else target
    del members[sorted(members)[place % len(members)]]
    return json.dumps(target).encode()


def frames(valid: tuple[dict[str, Any], ...]) -> st.SearchStrategy[bytes]:
    """These objects, bent, and garbage."""
    places = st.integers(0, 30)
    inner = {id(each): next((name for name, value in each.items() if isinstance(value, dict)), None) for each in valid}
    chosen = st.sampled_from(valid)
    amounts = st.one_of(texts, values)
    return st.one_of(
        json_garbage,
        st.builds(
            lambda each, cuts: mutated(json.dumps(each).encode(), cuts),
            chosen,
            st.lists(
                st.tuples(st.integers(0, 600), st.one_of(st.just(b""), st.binary(max_size=3))), min_size=1, max_size=3
            ),
        ),
        st.builds(lambda each, place, value: replaced(each, place, value, None), chosen, places, amounts),
        st.builds(lambda each, place, value: replaced(each, place, value, inner[id(each)]), chosen, places, amounts),
        st.builds(lambda each, place: missing(each, place, inner[id(each)]), chosen, places),
        chosen.map(lambda each: json.dumps(each, indent=3).encode("utf-16")),
    )
