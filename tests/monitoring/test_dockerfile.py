"""What can be known of the image without building it: whose it is, what it runs, and that its health check tells."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
LINES = [line for line in re.sub(r"\\\n", " ", TEXT).splitlines() if line and not line.startswith("#")]
FINAL = LINES[[i for i, line in enumerate(LINES) if line.startswith("FROM")][-1] :]


def instruction(name: str, lines: list[str] = FINAL) -> str:
    (found,) = [line.removeprefix(name).strip() for line in lines if line.startswith(name + " ")]
    return found


def test_the_base_is_pinned_and_the_same_in_both_stages() -> None:
    bases = {line.split()[1] for line in LINES if line.startswith("FROM")}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases.pop())


def test_it_runs_as_a_numbered_user_without_rights() -> None:
    user, group = instruction("USER").split(":")
    assert int(user) > 1000
    assert int(group) > 1000
    assert f"--uid {user}" in TEXT


def test_signals_arrive_because_no_shell_is_in_between() -> None:
    entry = json.loads(instruction("ENTRYPOINT"))
    assert entry == ["python", "-m", "thunes.supervisor"]
    assert json.loads(instruction("CMD"))
    assert instruction("STOPSIGNAL") == "SIGTERM"


def test_the_home_is_a_volume_and_nothing_else_is_written() -> None:
    environment = dict(pair.split("=", 1) for pair in instruction("ENV").split())
    assert environment["THUNES_HOME"] == instruction("VOLUME") == instruction("WORKDIR")
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert environment["PYTHONSAFEPATH"] == "1", "no module is taken from the home"


def test_what_is_copied_exists_and_is_not_kept_out() -> None:
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in LINES:
        if line.startswith("COPY") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert source in admitted


def test_versions_are_those_of_the_constraints() -> None:
    installs = re.findall(r"pip install (.*)", TEXT)
    assert installs
    assert all("-c constraints.txt" in each for each in installs)
    assert "--no-build-isolation" in TEXT, "setuptools would be the newest"


@contextmanager
def answering(status: int) -> Iterator[int]:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nothing on the tests' output."""

    server = HTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def health(port: int) -> int:
    """The exit status of the health check's own command, on another port than the image's."""
    command = json.loads("[" + instruction("HEALTHCHECK").partition("CMD [")[2])
    assert command[0] == "python"
    code = command[2].replace(":9464/", f":{port}/")
    assert code != command[2]
    done = subprocess.run([sys.executable, command[1], code], capture_output=True, timeout=30, check=False)
    return done.returncode


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (404, False)])
def test_the_health_check_says_what_healthz_says(status: int, healthy: bool) -> None:
    with answering(status) as port:
        assert (health(port) == 0) is healthy


def test_the_health_check_fails_where_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert health(port) != 0
