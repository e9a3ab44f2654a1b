"""REST requests that are bent at one to three places, and their bytes on the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote

from hypothesis import strategies as st

from tests.exchange.malformed import json_garbage, texts


@dataclass(frozen=True, repr=False)
class Sent:
    """One HTTP request: parameters as pairs, because one may be sent twice."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    signed: bool = False
    in_body: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    raw_query: str = ""
    raw_body: bytes = b""
    signature: str | None = None
    """In place of the right one."""
    key: str | None = None
    """In place of the account's."""
    encode: Callable[[str], str] = quote

    def __repr__(self) -> str:
        """Short: a body may be large, and the bytes sent are shown anyway."""
        return f"<{self.method} {self.path}>"

    def pairs(self) -> str:
        return "&".join(f"{self.encode(name)}={self.encode(value)}" for name, value in self.params)


ORDER = (("symbol", "BTCUSDT"), ("side", "BUY"), ("type", "LIMIT"), ("timeInForce", "GTC"), ("quantity", "0.001"))
SYMBOL = (("symbol", "BTCUSDT"),)
API = "/api/v3"
VALID = (
    *(Sent("GET", f"{API}/{name}") for name in ("ping", "time", "exchangeInfo", "ticker/price", "ticker/24hr")),
    *(Sent("GET", f"{API}/{name}", (*SYMBOL, ("limit", "5"))) for name in ("depth", "trades", "historicalTrades")),
    Sent("GET", f"{API}/aggTrades", (*SYMBOL, ("fromId", "1"), ("limit", "5"))),
    Sent("GET", f"{API}/klines", (*SYMBOL, ("interval", "1m"), ("startTime", "1700000000000"), ("limit", "5"))),
    Sent("GET", f"{API}/uiKlines", (*SYMBOL, ("interval", "1h"), ("endTime", "1700000000000"))),
    *(
        Sent("GET", f"{API}/{name}", SYMBOL)
        for name in ("avgPrice", "ticker/24hr", "ticker/price", "ticker/bookTicker")
    ),
    Sent("GET", f"{API}/ticker/price", (("symbols", '["BTCUSDT"]'),)),
    *(
        Sent(method, f"{API}/{path}", (*ORDER, ("price", "29000"), *more), signed=True)
        for method, path, more in (
            ("POST", "order", (("newClientOrderId", "mine"),)),
            ("POST", "order/test", (("computeCommissionRates", "true"),)),
            ("POST", "order", (("newOrderRespType", "RESULT"), ("recvWindow", "5000"))),
            ("POST", "order/cancelReplace", (("cancelReplaceMode", "STOP_ON_FAILURE"), ("cancelOrderId", "1"))),
        )
    ),
    Sent("POST", f"{API}/order", (*SYMBOL, ("side", "SELL"), ("type", "MARKET"), ("quoteOrderQty", "50")), signed=True),
    Sent(
        "POST",
        f"{API}/order",
        (*SYMBOL, ("side", "BUY"), ("type", "STOP_LOSS"), ("quantity", "0.001"), ("stopPrice", "31000")),
        signed=True,
    ),
    Sent(
        "POST",
        f"{API}/orderList/oco",
        (
            *(*SYMBOL, ("side", "BUY"), ("quantity", "0.001"), ("aboveType", "STOP_LOSS"), ("aboveStopPrice", "31000")),
            *(("belowType", "LIMIT_MAKER"), ("belowPrice", "29000")),
        ),
        signed=True,
    ),
    *(
        Sent(method, f"{API}/{path}", (*SYMBOL, *more), signed=True)
        for method, path, more in (
            ("GET", "order", (("orderId", "1"),)),
            ("GET", "order", (("origClientOrderId", "standing"),)),
            ("DELETE", "order", (("orderId", "99"), ("cancelRestrictions", "ONLY_NEW"))),
            ("GET", "openOrders", ()),
            ("DELETE", "openOrders", (("recvWindow", "1"),)),
            ("GET", "allOrders", (("startTime", "1700000000000"), ("limit", "3"))),
            ("GET", "myTrades", (("fromId", "0"), ("limit", "3"))),
            ("DELETE", "orderList", (("orderListId", "99"),)),
        )
    ),
    *(
        Sent("GET", path, (("recvWindow", "5000.5"),), signed=True)
        for path in (
            f"{API}/account",
            f"{API}/rateLimit/order",
            f"{API}/openOrderList",
            "/sapi/v1/account/apiRestrictions",
        )
    ),
)


def as_is(text: str) -> str:
    """Not encoded, as far as it then still is a request line: what would end it is."""
    return quote(text, safe="%&=+;/?:@,~!$'()*[]{}|^`\"<>\\-_.")


METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")
PATHS = (
    "/",
    "//",
    "/api",
    f"{API}/",
    f"{API}/nope",
    f"{API}/order/",
    f"{API}//order",
    "/api/v1/order",
    "/%00",
    "/%ff",
    "/..",
)
HEADERS = (
    ("Content-Type", "application/json"),
    ("Content-Type", "text/plain; charset=utf-16"),
    ("Content-Type", "multipart/form-data; boundary=x"),
    ("Content-Type", ""),
    ("Accept", "application/xml"),
    ("Accept-Encoding", "br;q=nan"),
    ("X-MBX-TIME-UNIT", "MICROSECOND"),
    ("X-MBX-TIME-UNIT", "FORTNIGHT"),
    ("X-MBX-SBE", "1:0"),
    ("Cookie", "a=b; \x80"),
    ("Range", "bytes=5-1"),
    ("If-None-Match", "*"),
    ("X-Long", "x" * 4000),
)
KEYS = ("", "short", "x" * 64, "é" * 64, "0" * 65, "\x80" * 64, "null")
SIGNATURES = ("", "0", "f" * 64, "F" * 64, "g" * 64, "é", "f" * 5000, "AAAA====", "null", "%", "\x00")


def bends() -> st.SearchStrategy[Callable[[Sent], Sent]]:
    """One way in which a request can go wrong."""

    def at(sent: Sent, place: int, pair: tuple[str, str] | None) -> Sent:
        if not sent.params:
            return sent if pair is None else replace(sent, params=(pair,))
        place %= len(sent.params)
        return replace(sent, params=(*sent.params[:place], *([pair] if pair else []), *sent.params[place + 1 :]))

    def valued(place: int, value: str) -> Callable[[Sent], Sent]:
        return lambda sent: at(sent, place, (sent.params[place % len(sent.params)][0] if sent.params else "x", value))

    def named(place: int, name: str) -> Callable[[Sent], Sent]:
        return lambda sent: at(sent, place, (name, sent.params[place % len(sent.params)][1] if sent.params else "1"))

    def doubled(place: int) -> Callable[[Sent], Sent]:
        return lambda sent: (
            replace(sent, params=(*sent.params, *sent.params[place % len(sent.params) :][:1] * 2))
            if sent.params
            else sent
        )

    places = st.integers(0, 11)
    more = (
        "timestamp",
        "recvWindow",
        "signature",
        "limit",
        "symbol",
        "symbols",
        "orderId",
        "icebergQty",
        "stopPrice",
        "price",
    )
    return st.one_of(
        st.builds(valued, places, texts),
        st.builds(valued, places, texts),
        st.builds(valued, places, texts),
        st.builds(named, places, texts),
        st.builds(doubled, places),
        places.map(lambda place: lambda sent: at(sent, place, None)),
        st.tuples(st.one_of(st.sampled_from(more), texts), texts).map(
            lambda pair: lambda sent: replace(sent, params=(*sent.params, pair))
        ),
        st.sampled_from(METHODS).map(lambda method: lambda sent: replace(sent, method=method)),
        st.sampled_from(PATHS).map(lambda path: lambda sent: replace(sent, path=path)),
        st.text(max_size=30).map(lambda tail: lambda sent: replace(sent, path=sent.path + quote(tail))),
        st.sampled_from(HEADERS).map(lambda header: lambda sent: replace(sent, headers=(header,))),
        st.sampled_from(KEYS).map(lambda key: lambda sent: replace(sent, key=key)),
        st.one_of(st.sampled_from(SIGNATURES), texts).map(lambda given: lambda sent: replace(sent, signature=given)),
        st.just(lambda sent: replace(sent, in_body=True)),
        st.just(lambda sent: replace(sent, encode=as_is)),
        st.one_of(st.sampled_from(("&", "&&&===", "=", "a=b;c=d", "?", "%", "%ff=%fe", "+=+")), texts.map(quote)).map(
            lambda query: lambda sent: replace(sent, raw_query=query)
        ),
        json_garbage.map(lambda body: lambda sent: replace(sent, raw_body=body)),
        st.sampled_from((60_000, 70_000, 300_000)).map(lambda size: lambda sent: replace(sent, raw_body=b"x" * size)),
        st.integers(50, 400).map(
            lambda many: lambda sent: replace(sent, raw_query="&".join(f"p{n}=1" for n in range(many)))
        ),
    )


def bent(valid: Sent, ways: list[Callable[[Sent], Sent]]) -> Sent:
    for way in ways:
        valid = way(valid)
    return valid


requests = st.builds(bent, st.sampled_from(VALID), st.lists(bends(), min_size=1, max_size=3))
