"""The commands that talk to a running system, and the kill that needs none."""

from __future__ import annotations

import io
import json
import shutil
import socket
import threading
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from tests.control.conftest import TOKEN, Served
from tests.sample_figures import SYSTEM, with_risk
from thunes.control import api
from thunes.control.breaker import Breaker
from thunes.control.client import COMMANDS, Tools
from thunes.control.kill import Kill, Rest
from thunes.domain.market import OrderAnswer
from thunes.errors import ExchangeError, NetworkError
from thunes.messages import OrderStatus, Side
from thunes.storage.home import Home

NOW = "2026-11-23T05:00:00.000000Z"


def order(name: str) -> OrderAnswer:
    none = Decimal(0)
    return OrderAnswer("BTCUSDT", name, 1, OrderStatus.NEW, Side.BUY, "LIMIT", Decimal(1), none, none, none, 1)


@dataclass
class Venue:
    """A venue with open orders; `stuck` ones stay open, `late` ones are open at the second look."""

    open: list[OrderAnswer] = field(default_factory=list)
    late: list[OrderAnswer] = field(default_factory=list)
    stuck: tuple[str, ...] = ()
    error: Exception | None = None
    cancels: list[str] = field(default_factory=list)

    def open_entries(self) -> Sequence[OrderAnswer]:
        if self.error is not None:
            raise self.error
        seen = tuple(self.open)
        self.open, self.late = [*self.open, *self.late], []
        return seen

    def cancel(self, symbol: str, client_order_id: str) -> OrderAnswer:
        self.cancels.append(client_order_id)
        if client_order_id in self.stuck:
            raise NetworkError("no answer")
        found = [order for order in self.open if (order.symbol, order.client_order_id) == (symbol, client_order_id)]
        self.open = [order for order in self.open if order not in found]
        if not found or client_order_id.startswith("gone"):
            raise ExchangeError(-2011, "Unknown order sent.")
        return found[0]


class Terminal:
    """A home and a person at its command line."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.home.prepare()
        self.venue: Venue | None = None
        self.printed = io.StringIO()
        self.ask: Callable[[str], str] | None = None
        self.wait: Callable[[float], None] = self.interrupted

    def interrupted(self, _seconds: float) -> None:
        """By Ctrl-C, as soon as a watch waits."""
        raise KeyboardInterrupt

    def connect(self, _home: Home) -> Rest | None:
        return self.venue

    def type(self, line: str, home: Path | None = None) -> int:
        console = Console(file=self.printed, width=80)
        tools = Tools(now=lambda: NOW, console=console, wait=self.wait, ask=self.ask)
        parser = ArgumentParser()
        subparsers = parser.add_subparsers(dest="command")
        made = (*(command(tools) for command in (*COMMANDS, Breaker)), Kill(tools, self.connect))
        commands = {command.name: command for command in made}
        for name, command in commands.items():
            command.add_arguments(subparsers.add_parser(name))
        args = parser.parse_args(line.split())
        args.home = str(home or self.home.path)
        return commands[args.command].run(args)

    @property
    def output(self) -> str:
        return self.printed.getvalue()

    def runs_at(self, port: int, venue: str = "sim") -> None:
        self.home.token_file.write_text(TOKEN)
        self.home.write_run({"venue": venue, "host": "127.0.0.1", "metrics_port": 1, "console_port": port})


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.fixture
def running(terminal: Terminal, served: Served) -> Terminal:
    terminal.runs_at(served.console_port)
    return terminal


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class TestWithARunningSystem:
    def test_status_shows_the_live_table(self, running: Terminal) -> None:
        assert running.type("status") == 0
        assert "THUNES sim  up 1:02:03  ready  kill switch off" in running.output
        assert "warming 12/50" in running.output

    def test_status_in_json_is_the_apis_own(self, running: Terminal) -> None:
        assert running.type("status --json") == 0
        assert json.loads(running.output) == api.status(SYSTEM)

    def test_a_proxy_of_the_environment_is_not_asked(
        self, running: Terminal, closed_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
        assert running.type("status") == 0

    def test_kill_is_marked_before_it_is_asked_for_and_then_confirmed(self, running: Terminal, served: Served) -> None:
        running.venue = Venue([order("entry")])
        assert running.type("kill --reason drill --flatten") == 0
        assert served.told == [("kill", "drill", "http", True)]
        assert running.output == "Killed: the system confirms that it buys no more.\n"
        assert running.home.kill_reason() == "drill"
        assert running.venue.cancels == []

    def test_a_kill_confirmed_only_while_orders_are_cancelled_from_here_is_confirmed(
        self, running: Terminal, served: Served
    ) -> None:
        served.orders_follow = False

        class Slow(Venue):
            def open_entries(self) -> Sequence[OrderAnswer]:
                served.take_epoch()
                threading.Event().wait(0.2)  # the server looks at its figures every few milliseconds
                return super().open_entries()

        running.venue = Slow([order("entry")])
        assert running.type("kill") == 0
        assert running.output == "Killed: the system confirms that it buys no more.\n"
        assert running.venue.cancels == ["entry"]

    def test_a_kill_confirmed_while_the_way_to_the_venue_is_prepared_cancels_nothing_from_here(
        self, running: Terminal, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        served.orders_follow, venue = False, Venue([order("entry")])

        def connect(_home: Home) -> Rest:
            served.take_epoch()
            threading.Event().wait(0.2)  # the server looks at its figures every few milliseconds
            return venue

        monkeypatch.setattr(running, "connect", connect)
        assert running.type("kill") == 0
        assert running.output == "Killed: the system confirms that it buys no more.\n"
        assert venue.cancels == []

    def test_a_system_that_refuses_to_kill_has_confirmed_nothing(self, running: Terminal) -> None:
        running.home.token_file.write_text("of another time")
        running.venue = Venue([order("entry")])
        assert running.type("kill") == 0
        assert "confirms" not in running.output
        assert running.venue.open == []

    def test_what_a_kill_came_to_is_one_document(self, running: Terminal) -> None:
        assert running.type("kill --json") == 0
        document = json.loads(running.output)
        assert (document["confirmed"], document["marked"], document["cancelled"]) == (True, True, 0)
        assert document["failures"] == []

    def test_resume_is_confirmed(self, running: Terminal, served: Served) -> None:
        served.figures = with_risk(kill_active=True)
        assert running.type("resume") == 0
        assert served.told == [("resume", "resumed from the command line", "http")]

    def test_reconnect_and_reconcile_are_passed_on(self, running: Terminal, served: Served) -> None:
        assert running.type("reconnect btcusdt") == running.type("reconcile") == 0
        assert served.told == [("reconnect", "BTCUSDT", "http"), ("reconcile", "http")]

    def test_what_came_of_a_command_is_one_document_in_json(self, running: Terminal, served: Served) -> None:
        expected = {
            "resume --reason fine --json": {"active": False, "reason": "fine"},
            "reconnect btcusdt --json": {"requested": True, "symbol": "BTCUSDT"},
            "reconcile --json": {"requested": True},
            "breaker --json": {"BinanceAPI": {"state": "half-open", "trips": 2}},
            "breaker reset BinanceAPI --json": {"name": "BinanceAPI", "state": "closed", "trips": 2},
        }
        for line, document in expected.items():
            running.printed.truncate(running.printed.seek(0))
            assert running.type(line) == 0
            assert json.loads(running.output) == document

    def test_the_breakers_are_a_table(self, running: Terminal) -> None:
        assert running.type("breaker") == 0
        lines = [line.split() for line in running.output.splitlines()]
        assert lines == [["circuit", "breaker", "state", "trips"], ["BinanceAPI", "half-open", "2"]]

    def test_before_a_breaker_has_said_anything_that_is_said(self, running: Terminal, served: Served) -> None:
        served.figures = replace(served.figures, breakers={})
        assert running.type("breaker") == 0
        assert running.output == "No circuit breaker has said anything yet.\n"

    def test_a_breakers_reset_is_confirmed(self, running: Terminal, served: Served) -> None:
        assert running.type("breaker reset BinanceAPI") == 0
        assert running.output == "Reset: circuit breaker BinanceAPI is closed.\n"
        assert served.told == [("reset_breaker", "http")]

    def test_an_unknown_breaker_is_told_those_that_exist(
        self, running: Terminal, served: Served, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert running.type("breaker reset Binance") == 1
        assert capsys.readouterr().err == "There is no circuit breaker 'Binance'; there are: BinanceAPI.\n"
        assert (running.output, served.told) == ("", [])

    def test_a_reset_has_to_name_its_breaker(self, running: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
        assert running.type("breaker reset") == 2
        assert "`thunes breaker` lists them" in capsys.readouterr().err

    def test_a_pace_without_a_watch_is_a_slip(self, running: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
        assert running.type("status --every 2") == 2
        assert "write --watch too" in capsys.readouterr().err

    def test_a_watch_waits_as_long_as_it_is_told_and_ctrl_c_is_no_failure(self, running: Terminal) -> None:
        waited: list[float] = []

        def wait(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 2:
                raise KeyboardInterrupt

        running.wait = wait
        assert running.type("status --watch --every 2.5") == 0
        assert waited == [2.5, 2.5]
        assert running.output.count("THUNES sim") == 2

    def test_a_watch_finds_a_system_that_was_started_again_elsewhere(
        self, running: Terminal, closed_port: int, served: Served, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ports = [served.console_port]
        running.runs_at(closed_port)

        def wait(_seconds: float) -> None:
            if not ports:
                raise KeyboardInterrupt
            running.runs_at(ports.pop())

        running.wait = wait
        assert running.type("status --watch") == 0
        assert "does not answer" in capsys.readouterr().err
        assert running.output.count("THUNES sim") == 1

    @pytest.mark.parametrize("answer", ["", " "])
    def test_a_question_without_an_answer_resumes_nothing(
        self, running: Terminal, served: Served, answer: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        running.ask = lambda _question: answer
        assert running.type("resume") == 2
        assert "say why it is safe" in capsys.readouterr().err
        assert served.told == []

    def test_what_the_system_refuses_is_said_in_its_words(
        self, running: Terminal, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert running.type("reconnect DOGEUSDT") == 1
        assert capsys.readouterr().err == "There is no stream 'DOGEUSDT'; there are: BTCUSDT, ETHUSDT, account.\n"


class TestWithoutOne:
    @pytest.mark.parametrize("line", ["status", "status --json", "resume", "reconnect BTCUSDT", "reconcile", "breaker"])
    def test_one_line_says_so_and_what_to_do(
        self, terminal: Terminal, line: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert terminal.type(line) == 1
        path = terminal.home.path
        assert capsys.readouterr().err == f"No THUNES runs on {path}; start one with `thunes run --home {path}`.\n"

    def test_one_that_died_without_a_word_is_told_from_one_that_never_ran(
        self, terminal: Terminal, closed_port: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        terminal.runs_at(closed_port)
        assert terminal.type("status") == 1
        assert "does not answer" in capsys.readouterr().err

    @pytest.mark.parametrize("described", ["{}", '{"host": "127.0.0.1", "console_port": "x"}'])
    def test_a_run_file_that_says_nothing_is_named(
        self, terminal: Terminal, described: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        terminal.runs_at(1)
        terminal.home.run_file.write_text(described)
        assert terminal.type("status") == 1
        assert "run.json does not say where THUNES listens" in capsys.readouterr().err


class TestKillFromOutside:
    def test_marks_the_kill_and_cancels_every_entry(self, terminal: Terminal, closed_port: int) -> None:
        terminal.runs_at(closed_port, venue="testnet")
        terminal.venue = Venue([order("a"), order("b"), order("gone")])
        assert terminal.type("kill --reason fire") == 0
        marker = json.loads(terminal.home.kill_file.read_text())
        assert marker == {"reason": "fire", "source": "command line", "since": NOW}
        assert terminal.venue.open == []
        assert "Cancelled 2 entry orders" in terminal.output

    def test_an_entry_that_was_on_its_way_at_the_first_look_is_cancelled_at_the_next(self, terminal: Terminal) -> None:
        terminal.venue = Venue([order("a")], late=[order("b")])
        assert terminal.type("kill --json") == 0
        assert terminal.venue.open == []
        document = json.loads(terminal.output)
        assert (document["confirmed"], document["marked"], document["cancelled"]) == (False, True, 2)

    def test_an_entry_that_cannot_be_cancelled_does_not_keep_the_others_from_it(
        self, terminal: Terminal, capsys: pytest.CaptureFixture[str]
    ) -> None:
        terminal.venue = Venue([order("a"), order("b")], stuck=("a",))
        assert terminal.type("kill") == 1
        assert [left.client_order_id for left in terminal.venue.open] == ["a"]
        assert "1 are still open" in capsys.readouterr().err

    def test_works_on_a_system_that_takes_connections_and_never_answers(self, terminal: Terminal) -> None:
        with socket.create_server(("127.0.0.1", 0)) as hung:
            terminal.runs_at(hung.getsockname()[1])
            terminal.venue = Venue([order("a")])
            assert terminal.type("kill") == 0
        assert terminal.home.kill_active()
        assert terminal.venue.open == []
        assert "it may hang" in terminal.output

    def test_works_on_a_system_that_ends_in_the_middle_of_its_answer(self, terminal: Terminal) -> None:
        with socket.create_server(("127.0.0.1", 0)) as dying:
            terminal.runs_at(dying.getsockname()[1])
            terminal.venue = Venue([order("a")])
            thread = threading.Thread(target=lambda: dying.accept()[0].close())
            thread.start()
            assert terminal.type("kill") == 0
            thread.join()
        assert terminal.venue.open == []
        assert "does not answer" in terminal.output

    def test_works_on_a_system_that_does_not_confirm(self, running: Terminal, served: Served) -> None:
        served.deaf = True
        assert running.type("kill") == 0
        assert running.home.kill_active()

    def test_works_where_nothing_runs_and_no_keys_are_known(self, terminal: Terminal) -> None:
        assert terminal.type("kill") == 0
        assert terminal.home.kill_reason() == "killed from the command line"
        assert "were not looked at" in terminal.output

    def test_an_embedded_exchange_that_is_down_fills_nothing(self, terminal: Terminal, closed_port: int) -> None:
        terminal.runs_at(closed_port, venue="sim")
        terminal.venue = Venue(error=NetworkError("refused"))
        assert terminal.type("kill") == 0
        assert "nothing can fill" in terminal.output

    @pytest.mark.parametrize(
        ("venue", "said"),
        [
            (lambda: Venue(error=NetworkError("time-out")), "time-out"),
            (lambda: Venue(error=ExchangeError(-2015, "Invalid API-key")), "code=-2015"),
            (lambda: Venue([order("a")], stuck=("a",)), "1 are still open, no answer"),
        ],
    )
    def test_orders_that_may_be_left_are_a_failure_but_the_mark_stays(
        self,
        terminal: Terminal,
        closed_port: int,
        venue: Callable[[], Venue],
        said: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        terminal.runs_at(closed_port, venue="testnet")
        terminal.venue = venue()
        assert terminal.type("kill") == 1
        assert said in capsys.readouterr().err
        assert terminal.home.kill_active()

    def test_flatten_is_not_claimed_without_the_system(
        self, terminal: Terminal, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert terminal.type("kill --flatten") == 1
        assert "Nothing was sold" in capsys.readouterr().err
        assert terminal.home.kill_active()

    def test_a_mark_that_cannot_be_written_is_a_failure_and_orders_are_cancelled_all_the_same(
        self, terminal: Terminal, capsys: pytest.CaptureFixture[str]
    ) -> None:
        terminal.venue = Venue([order("BTCUSDT")])
        shutil.rmtree(terminal.home.data)
        terminal.home.data.touch()
        assert terminal.type("kill") == 1
        assert "could not be marked" in capsys.readouterr().err
        assert terminal.venue.open == []

    def test_a_mistyped_home_is_not_made_and_not_called_killed(
        self, terminal: Terminal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        missing = tmp_path / "hoem"
        assert terminal.type("kill", home=missing) == 1
        assert "nothing was killed" in capsys.readouterr().err
        assert not missing.exists()
