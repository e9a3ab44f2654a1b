"""The embedded exchange as a process of its own: `python -m thunes.exchange.simulator`, `thunes exchange`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import time
from decimal import Decimal, InvalidOperation
from pathlib import Path

import orjson

from thunes.errors import OperatorError
from thunes.exchange.simulator.embedded import Embedded, Options
from thunes.exchange.simulator.server import PortInUse
from thunes.exchange.simulator.signing import read_public_key
from thunes.exchange.simulator.source_protocol import SYNTHETIC

log = logging.getLogger(__name__)

DONE = 0
FAILED = 1
BAD_COMMAND = 2


def amount(text: str) -> Decimal:
    """A finite decimal that is not negative, for argparse."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not zero or more")
    return value


def fee(text: str) -> Decimal:
    value = amount(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not below 1")
    return value


def speed(text: str) -> float:
    return float(amount(text))


def port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def symbols(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip().upper() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError("names no symbol")
    return names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `thunes exchange`; `run` reads what they are parsed into."""
    parser.add_argument("--port", type=port, default=0, metavar="N", help="listen here on 127.0.0.1; 0 = any free port")
    parser.add_argument("--source", default=SYNTHETIC, metavar="PATH", help="synthetic, recorded frames or kline files")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the synthetic market")
    parser.add_argument("--speed", type=speed, metavar="X", help="market seconds a second; 0 = as fast as clients read")
    parser.add_argument("--home", type=Path, default=Path(), metavar="DIR", help="root of everything written")
    parser.add_argument("--symbols", type=symbols, default=("BTCUSDT", "ETHUSDT"), metavar="A,B", help="what is traded")
    parser.add_argument("--trend", type=float, default=1.0, metavar="X", help="of the synthetic market")
    parser.add_argument("--fee", type=fee, default=Decimal("0.001"), metavar="RATE", help="commission, as a fraction")
    parser.add_argument("--balance", type=amount, default=Decimal(10_000), metavar="USDT", help="the account's first")
    parser.add_argument("--key-may-withdraw", action="store_true", help="the account's key says that it may; for tests")
    parser.add_argument("--public-key", type=Path, metavar="FILE", help="the account's key is Ed25519, with this half")
    parser.add_argument("--parent", action="store_true", help="end when standard input does")
    parser.add_argument("--ready-json", action="store_true", help="report as JSON lines on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; the process's exit status. A person's mistakes are one line each on standard error."""
    try:
        return asyncio.run(serve(options_of(arguments), parent=arguments.parent, as_json=arguments.ready_json))
    except OperatorError as error:
        print(error, file=sys.stderr)
        return BAD_COMMAND
    except PortInUse as error:
        print(error, file=sys.stderr)
        return FAILED


def options_of(arguments: argparse.Namespace) -> Options:
    """Raises OperatorError for a public key that is none."""
    return Options(
        home=arguments.home,
        port=arguments.port,
        source=arguments.source,
        seed=arguments.seed,
        speed=arguments.speed,
        symbols=arguments.symbols,
        trend=arguments.trend,
        fee=arguments.fee,
        balance=arguments.balance,
        key_may_withdraw=arguments.key_may_withdraw,
        public_key=read_public_key(arguments.public_key) if arguments.public_key is not None else None,
    )


async def serve(options: Options, *, parent: bool, as_json: bool) -> int:
    """Run one exchange from its start to a signal, the end of the parent, or a failure of its database."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    running = await Embedded.start(options, time.time)
    announce(running, as_json)
    tasks = [asyncio.create_task(watch_source(running, as_json))]
    if parent:
        tasks.append(asyncio.create_task(end_with_parent(stopping)))
    running.failed.add_done_callback(lambda _: stopping.set())
    await stopping.wait()
    failure = running.failed.exception() if running.failed.done() else None
    for task in tasks:
        task.cancel()
    await running.stop()
    if failure is not None:
        print(f"data/exchange.db cannot be written ({failure}): free the disk and start again", file=sys.stderr)
        return FAILED
    return DONE


def announce(running: Embedded, as_json: bool) -> None:
    """Where to find it, and the key; standard output is the only place where they are shown."""
    facts = {
        "rest": running.rest,
        "stream": running.stream,
        "ws_api": running.ws_api,
        "api_key": running.account.api_key,
        "api_secret": running.api_secret,
    }
    if as_json:
        say({"event": "ready", **facts})
        return
    for name, value in facts.items():
        print(f"{name:<10} {value}", flush=True)


async def watch_source(running: Embedded, as_json: bool) -> None:
    """Say when the source has ended or failed; the exchange goes on serving."""
    await asyncio.wait([running.playing])
    error = running.playing.exception()
    if error is not None:
        log.error("the source failed: %s", error)
        event, line = {"event": "source_failed", "error": str(error)}, f"source failed: {error}"
    else:
        event, line = {"event": "source_ended"}, "source ended"
    if as_json:
        say(event)
    else:
        print(line, flush=True)


def say(event: dict[str, str]) -> None:
    print(orjson.dumps(event).decode(), flush=True)


async def end_with_parent(stopping: asyncio.Event) -> None:
    """Stop when standard input reaches its end: whoever started this is gone."""
    reader = asyncio.StreamReader()
    try:
        protocol = asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while await reader.read(1024):
            pass
    except (OSError, ValueError) as error:
        log.warning("standard input cannot be watched (%s), so there is no parent to end with", error)
    stopping.set()
