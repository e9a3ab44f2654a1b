"""What the doctor asks of an exchange over real sockets, and what it says of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.doctor.conftest import MakePatient, venue_of
from tests.exchange.conftest import START_MS, Exchange, Start, book, trade
from tests.exchange.rest_calls import adapter
from tests.exchange.scripted_rest import Scripted, scripted
from thunes.doctor import exchange as asked
from thunes.doctor.findings import Failed
from thunes.domain.symbol_rules import SymbolRules
from thunes.errors import NetworkError
from thunes.exchange.simulator import rules as simulator_rules
from thunes.messages import OrderType, Side
from thunes.sections import Risk
from thunes.settings import load

THEIRS = "1111bbbb"
PRICE = Decimal(30_000)


@pytest.fixture
def script() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def risk(**changed: str) -> Risk:
    return load(environ={f"THUNES_RISK__{name.upper()}": value for name, value in changed.items()}, flags={}).risk


def btc(**changed: object) -> SymbolRules:
    """The embedded exchange's rules of BTCUSDT with some members of its entry replaced."""
    entry = {**simulator_rules.entries(["BTCUSDT"])["BTCUSDT"], "orderTypes": list(asked.NEEDED_TYPES), **changed}
    return SymbolRules.from_exchange_info(entry)


class TestClock:
    def test_the_distance_of_the_clocks_is_told(self, exchange: Exchange, patient_of: MakePatient) -> None:
        assert "this machine's" in asked.clock(patient_of(), venue_of(exchange))

    @pytest.mark.parametrize("off_ms", [-60_000, 60_000])
    def test_clocks_far_apart_are_a_failure(self, script: Scripted, patient_of: MakePatient, off_ms: int) -> None:
        script.answers({"serverTime": START_MS})
        rest = adapter(script.url)
        rest._wall_ms = lambda: START_MS + off_ms
        rest.sync_clock()

        with pytest.raises(Failed, match="60000 ms") as failed:
            asked.clock(patient_of(), _only(rest))
        assert "NTP" in failed.value.todo


def _only(rest: object) -> asked.Venue:
    return asked.Venue("the test's", lambda: rest, None, None, ())  # type: ignore[arg-type,return-value]


class TestKeys:
    def test_a_key_that_reads_and_trades_is_fine(self, exchange: Exchange, patient_of: MakePatient) -> None:
        said = asked.keys(patient_of(), venue_of(exchange))

        assert "may not withdraw" in said
        assert "1 assets held" in said

    def test_a_key_that_may_withdraw_is_a_failure(self, start: Start, patient_of: MakePatient) -> None:
        with start(key_may_withdraw=True) as exchange, pytest.raises(Failed, match="may withdraw") as failed:
            asked.keys(patient_of(), venue_of(exchange))
        assert failed.value.todo.startswith("Take `Enable Withdrawals` off it")

    def test_a_wrong_secret_is_a_failure(self, exchange: Exchange, patient_of: MakePatient) -> None:
        with pytest.raises(Failed, match="code=-1022"):
            asked.keys(patient_of(), venue_of(exchange, secret="x" * 64))

    def test_rights_that_a_venue_does_not_tell_are_not_checkable(
        self, exchange: Exchange, patient_of: MakePatient
    ) -> None:
        rest = adapter(exchange.running.rest, exchange.key, exchange.secret)
        rest._client.MARGIN_API_URL = f"{exchange.running.rest}/elsewhere"

        assert "not checkable here" in asked.keys(patient_of(), _only(rest))

    def test_a_venue_that_is_not_there_is_the_networks_failure(
        self, exchange: Exchange, patient_of: MakePatient
    ) -> None:
        with pytest.raises(NetworkError):
            asked.keys(patient_of(), venue_of(exchange, rest_url="http://127.0.0.1:9"))


class TestFilters:
    def test_the_default_trade_passes(self) -> None:
        assert asked.problems(btc(), PRICE, risk()) == []

    @pytest.mark.parametrize(
        ("changed", "price", "limits", "said"),
        [
            ({"status": "BREAK"}, "30000", {}, "has status BREAK"),
            ({"orderTypes": ["LIMIT", "MARKET"]}, "30000", {}, "takes no STOP_LOSS_LIMIT orders"),
            ({}, "30000", {"quote_per_trade": "4"}, r"refuses an entry of 4 (NOTIONAL): the least is 5"),
            ({}, "3000000", {"quote_per_trade": "10"}, r"refuses an entry of 10 (LOT_SIZE): the least is 30"),
            ({}, "30000", {"max_notional": "9"}, "entries of 10 are above risk.max_notional 9"),
            ({}, "0", {}, "has no price yet"),
        ],
    )
    def test_what_a_start_would_run_into_is_named(
        self, changed: dict[str, object], price: str, limits: dict[str, str], said: str
    ) -> None:
        assert asked.problems(btc(**changed), Decimal(price), risk(**limits)) == [said]

    def test_the_symbols_price_and_rules_are_the_exchanges(
        self, exchange: Exchange, patient_of: MakePatient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(asked, "NEEDED_TYPES", ("MARKET", "LIMIT"))
        exchange.play(trade(1, "30000", "1", START_MS))
        venue = venue_of(exchange)

        assert "BTCUSDT 30000" in asked.filters(patient_of(), venue)
        too_little = patient_of(environ={"THUNES_RISK__QUOTE_PER_TRADE": "4"})
        with pytest.raises(Failed, match=r"BTCUSDT refuses an entry of 4 \(NOTIONAL\)"):
            asked.filters(too_little, venue)

    def test_a_symbol_that_the_venue_does_not_list_is_named(self, start: Start, patient_of: MakePatient) -> None:
        with start([book("ETHUSDT")]) as exchange, pytest.raises(Failed, match="BTCUSDT: code=-1121"):
            asked.filters(patient_of(), venue_of(exchange))


class TestInstances:
    def test_an_account_of_ones_own(self, exchange: Exchange, patient_of: MakePatient) -> None:
        assert "no other" in asked.instances(patient_of(), venue_of(exchange))

    def test_another_is_named_with_the_way_on(self, exchange: Exchange, patient_of: MakePatient) -> None:
        adapter(exchange.running.rest, exchange.key, exchange.secret).place(
            symbol="BTCUSDT",
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            quantity=Decimal("0.01"),
            price=Decimal(20_000),
            client_order_id=f"{THEIRS}-{'0' * 20}",
        )

        with pytest.raises(Failed, match=f"home id {THEIRS}") as failed:
            asked.instances(patient_of(), venue_of(exchange))
        assert failed.value.todo.startswith("Stop it")
