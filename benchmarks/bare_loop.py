"""What most people write: websocket-client and python-binance in one loop, without risk, journal or books."""

from __future__ import annotations

import json
import sys

import websocket
from binance.client import Client

QUANTITY = {"BUY": "0.00021", "SELL": "0.00020"}
"""A little more is bought than sold, because the fee is taken from what is bought."""


def main(rest: str, stream: str, key: str, secret: str) -> None:
    client = Client(key, secret, ping=False)
    client.API_URL = f"{rest}/api"
    client.session.trust_env = False
    socket = websocket.create_connection(f"{stream}/stream?streams=btcusdt@bookTicker", http_no_proxy=["*"])
    side = "BUY"
    while True:
        json.loads(socket.recv())
        client.create_order(symbol="BTCUSDT", side=side, type="MARKET", quantity=QUANTITY[side])
        side = "SELL" if side == "BUY" else "BUY"


if __name__ == "__main__":
    main(*sys.argv[1:])
