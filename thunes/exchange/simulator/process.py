"""The embedded exchange as a process of its own: `python -m thunes.exchange.simulator`, `thunes exchange`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import orjson

from thunes.errors import NetworkError, OperatorError
from thunes.exchange.simulator.embedded import Embedded
from thunes.exchange.simulator.fault_kinds import UnknownFault, from_flag
from thunes.exchange.simulator.limits import LimitSettings
from thunes.exchange.simulator.live_source import REST, STREAM, LiveSettings
from thunes.exchange.simulator.loopback import PortInUse
from thunes.exchange.simulator.options import Delay, Options, Trouble
from thunes.exchange.simulator.random_faults import MOST_A_SECOND
from thunes.exchange.simulator.signing import read_public_key
from thunes.exchange.simulator.source_protocol import LIVE, SYNTHETIC

log = logging.getLogger(__name__)

DONE = 0
FAILED = 1
BAD_COMMAND = 2
USUAL = Delay()
LONGEST_LATENCY_S = 60.0
WIDEST_SPREAD = 5.0


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


def share(text: str) -> Decimal:
    value = amount(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is above 1")
    return value


def at_most(most: float) -> Callable[[str], float]:
    """Reads a number from 0 to `most`."""

    def read(text: str) -> float:
        value = float(amount(text))
        if value > most:
            raise argparse.ArgumentTypeError(f"{text!r} is above {most:g}")
        return value

    return read


def at_least_one(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def fault(text: str) -> tuple[str, Mapping[str, Any]]:
    try:
        return from_flag(text)
    except UnknownFault as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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
    parser.add_argument("--metrics-port", type=port, metavar="N", help="serve /metrics here; off if left out")
    parser.add_argument("--source", default=SYNTHETIC, metavar="PATH", help="synthetic, live, or files of a market")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the synthetic market")
    parser.add_argument("--speed", type=speed, metavar="X", help="market seconds a second; 0 = as fast as clients read")
    parser.add_argument("--home", type=Path, default=Path(), metavar="DIR", help="root of everything written")
    parser.add_argument("--config", metavar="FILE", help="not read; accepted by every subcommand")
    parser.add_argument("--symbols", type=symbols, default=("BTCUSDT", "ETHUSDT"), metavar="A,B", help="what is traded")
    parser.add_argument("--trend", type=float, default=1.0, metavar="X", help="of the synthetic market")
    parser.add_argument("--live-rest", default=REST, metavar="URL", help="of the live market; default %(default)s")
    parser.add_argument("--live-stream", default=STREAM, metavar="URL", help="the same; default %(default)s")
    parser.add_argument("--fee", type=fee, default=Decimal("0.001"), metavar="RATE", help="commission, as a fraction")
    parser.add_argument("--balance", type=amount, default=Decimal(10_000), metavar="USDT", help="the account's first")
    parser.add_argument("--key-may-withdraw", action="store_true", help="the account's key says that it may; for tests")
    parser.add_argument("--public-key", type=Path, metavar="FILE", help="the account's key is Ed25519, with this half")
    parser.add_argument(
        "--control-port", type=port, metavar="N", help="arm faults here; 0 = any free port; off if left out"
    )
    add_realism(parser)
    parser.add_argument("--parent", action="store_true", help="end when standard input does")
    parser.add_argument("--ready-json", action="store_true", help="report as JSON lines on standard output")


def add_realism(parser: argparse.ArgumentParser) -> None:
    """The flags of what makes trading here as hard as elsewhere, and of what goes wrong."""
    parser.add_argument("--maker-fee", type=fee, metavar="RATE", help="of what rested; default: --fee")
    parser.add_argument("--taker-fee", type=fee, metavar="RATE", help="of what took; default: --fee")
    parser.add_argument(
        "--queue-ahead",
        type=share,
        default=Decimal(1),
        metavar="SHARE",
        help="of what is displayed at its price, what is ahead of a resting order; default 1, all of it",
    )
    parser.add_argument(
        "--order-limit",
        type=at_least_one,
        default=LimitSettings().orders_per_10s,
        metavar="N",
        help="unfilled orders that an account may place in ten seconds; default %(default)s",
    )
    parser.add_argument(
        "--latency",
        type=at_most(LONGEST_LATENCY_S),
        default=USUAL.median_s,
        metavar="SECONDS",
        help="median there and back, wall time; default %(default)s; none at speed 0",
    )
    parser.add_argument(
        "--latency-spread",
        type=at_most(WIDEST_SPREAD),
        default=USUAL.spread,
        metavar="X",
        help="standard deviation of its logarithm; default %(default)s",
    )
    parser.add_argument(
        "--fault",
        type=fault,
        action="append",
        default=[],
        metavar="NAME[,key=value]",
        help="what goes wrong from the start; may be given again; `thunes fault --help` lists all",
    )
    parser.add_argument(
        "--fault-rate",
        type=at_most(MOST_A_SECOND),
        default=0.0,
        metavar="X",
        help="random faults a wall second; default none",
    )
    parser.add_argument("--fault-seed", type=int, default=1, metavar="N", help="of the random faults; default 1")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; the process's exit status. A person's mistakes are one line each on standard error."""
    try:
        return asyncio.run(serve(options_of(arguments), parent=arguments.parent, as_json=arguments.ready_json))
    except OperatorError as error:
        print(error, file=sys.stderr)
        return BAD_COMMAND
    except (PortInUse, NetworkError) as error:
        print(error, file=sys.stderr)
        return FAILED


def limits(order_limit: int) -> LimitSettings:
    """The exchange's own, or with more orders, and with the request weight that these and their cancels need."""
    weight = max(LimitSettings().weight_per_minute, order_limit * 6 * 2)
    return LimitSettings(orders_per_10s=order_limit, weight_per_minute=weight)


def options_of(arguments: argparse.Namespace) -> Options:
    """Raises OperatorError for a public key that is none, and for a pace of the live market."""
    if arguments.source == LIVE and arguments.speed is not None:
        raise OperatorError("--speed: the live market has a pace of its own; leave it out.")
    return Options(
        home=arguments.home,
        port=arguments.port,
        metrics_port=arguments.metrics_port,
        source=arguments.source,
        seed=arguments.seed,
        speed=arguments.speed,
        symbols=arguments.symbols,
        trend=arguments.trend,
        fee=arguments.fee,
        maker_fee=arguments.maker_fee,
        taker_fee=arguments.taker_fee,
        queue_ahead=arguments.queue_ahead,
        balance=arguments.balance,
        limits=limits(arguments.order_limit),
        delay=Delay(arguments.latency, arguments.latency_spread, arguments.seed),
        trouble=Trouble(tuple(arguments.fault), arguments.fault_rate, arguments.fault_seed, arguments.control_port),
        live=LiveSettings(rest=arguments.live_rest, stream=arguments.live_stream, seed=os.getpid()),
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
        **({"control": running.control} if running.control else {}),
        **({"metrics": running.metrics} if running.metrics else {}),
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
