"""Prometheus, Alertmanager and a webhook's receiver, each alive on a free port of loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.stack import ALERTMANAGER, PROMETHEUS, dump, for_older, prometheus_config, quick_routes
from tests.monitoring.stack import shortened_rules as with_short_waits

PATIENCE = 60.0


def program(*names: str, package: str) -> str:
    """The first of these that is installed; the test is skipped where none is."""
    for name in names:
        if (found := shutil.which(name)) is not None:
            return found
    pytest.skip(f"{names[0]} is not installed: apt-get install {package}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def asked(url: str, **query: str) -> Any:
    """The JSON at an address of loopback, whatever its status."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The condition's first true value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.02)
    return found


@dataclass(frozen=True)
class Notice:
    """One alert of one call of the webhook."""

    at: float
    name: str
    status: str
    labels: dict[str, str]


@dataclass
class Hook:
    """What Alertmanager called, in order."""

    port: int = 0
    notices: list[Notice] = field(default_factory=list)

    def first(self, name: str, status: str, since: float) -> Notice | None:
        found = (n for n in list(self.notices) if n.name == name and n.status == status and n.at >= since)
        return next(found, None)

    def wait(self, name: str, status: str, since: float, seconds: float = PATIENCE) -> Notice:
        notice: Notice = until(lambda: self.first(name, status, since), f"{name} {status}", seconds)
        return notice


@contextmanager
def webhook() -> Iterator[Hook]:
    hook = Hook()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            at = time.monotonic()
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for alert in told["alerts"]:
                labels = alert["labels"]
                hook.notices.append(Notice(at, labels["alertname"], alert["status"], labels))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Nothing on the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def to_webhook(text: str, url: str) -> str:
    """alertmanager.yml with a webhook in place of what each receiver sends to; routes, groups and inhibitions stay."""
    document = yaml.safe_load(text)
    for receiver in document["receivers"]:
        if set(receiver) != {"name"}:
            name = receiver["name"]
            receiver.clear()
            receiver |= {"name": name, "webhook_configs": [{"url": url, "send_resolved": True}]}
    return dump(document)


@contextmanager
def running(command: list[str], log: Path, ready: str) -> Iterator[None]:
    """A server until the block ends; `ready` is the address that answers 200 once it is."""
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)

    def is_ready() -> bool:
        assert process.poll() is None, log.read_text()
        with suppress(OSError), urllib.request.urlopen(ready, timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    try:
        until(is_ready, f"{command[0]} at {ready}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@contextmanager
def alertmanager(folder: Path, hook: Hook) -> Iterator[str]:
    """Its address. The committed file, without its waits, and with a webhook for each receiver."""
    binary = program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
    text = (ALERTMANAGER / "alertmanager.yml").read_text()
    quick = quick_routes(for_older(text, templates=str(ALERTMANAGER / "templates" / "*.tmpl")))
    (folder / "alertmanager.yml").write_text(to_webhook(quick, f"http://127.0.0.1:{hook.port}/"))
    place = f"127.0.0.1:{free_port()}"
    command = [binary, "--config.file=alertmanager.yml", "--storage.path=alertmanager", "--cluster.listen-address="]
    command += [f"--web.listen-address={place}", "--log.level=warn"]
    with running(command, folder / "alertmanager.log", f"http://{place}/-/ready"):
        yield place


@contextmanager
def prometheus(folder: Path, target: str, manager: str) -> Iterator[str]:
    """Its address. The committed files, with an interval of a second and no waits."""
    binary = program("prometheus", package="prometheus")
    (folder / "prometheus.yml").write_text(prometheus_config(target=target, alertmanager=manager, interval="1s"))
    (folder / "rules.yml").write_text(quick_rules((PROMETHEUS / "rules.yml").read_text()))
    place = f"127.0.0.1:{free_port()}"
    command = [binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"]
    command += [f"--web.listen-address={place}", "--enable-feature=exemplar-storage"]
    with running(command, folder / "prometheus.log", f"http://{place}/-/ready"):
        yield f"http://{place}"


def quick_rules(text: str) -> str:
    """rules.yml without waits; restarts are looked for in the last 20 seconds, not 10 minutes, so that they end."""
    document = yaml.safe_load(with_short_waits(text))
    for group in document["groups"]:
        for rule in group["rules"]:
            if rule.get("alert") == "ActorRestarting":
                rule["expr"] = rule["expr"].replace("[10m]", "[20s]").replace("[30m]", "[20s]")
    return dump(document)
