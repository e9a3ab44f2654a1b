"""The sections of the settings, each frozen and with its own checks.

Durations are seconds, amounts of money are decimals in the symbols' quote currency. A description says which clock a
duration is in: market time is the venue's, wall time the machine's. Defaults are in `default.toml` beside this module.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from thunes.errors import SettingsError
from thunes.exchange.simulator.fault_kinds import UnknownFault, from_flag
from thunes.exchange.simulator.rules import entries
from thunes.strategies.loader import load as load_strategy

SYMBOL = re.compile(r"[A-Z0-9]{5,20}")
CHAT_LEVEL = re.compile(r"-?\d+=(info|warning|critical)")
TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w")
DATABASES = ("sqlite:", "postgres:", "postgresql:")
SYNTHETIC = "synthetic"

Money = Decimal


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("true or false says nothing here; give what the setting asks for")
        return value


class Run(Section):
    """What the command line says most often."""

    venue: Literal["sim", "paper", "testnet", "demo", "live"] = Field(description="where to trade")
    symbols: tuple[str, ...] = Field(description="what to trade", min_length=1)
    strategy: str = Field(description="a module of thunes/strategies, or the path of a .py file")
    source: str = Field(description="sim: synthetic, or the path of recorded frames or kline CSVs")
    seed: int = Field(description="sim: the synthetic market's seed", ge=0)
    speed: float | None = Field(None, description="sim: market seconds a wall second; 0: as fast as it keeps up", ge=0)
    duration: float | None = Field(None, description="stop after this much wall time; none: at a signal", gt=0)
    metrics_port: int = Field(description="port of /metrics; 0: any that is free", ge=0, le=65_535)
    console_port: int = Field(description="port of the console and its API; 0: any that is free", ge=0, le=65_535)
    log: Literal["plain", "json", "live"] | None = Field(None, description="how the run is shown")

    @field_validator("symbols", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("symbols")
    @classmethod
    def _well_formed(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        wrong = [symbol for symbol in value if not SYMBOL.fullmatch(symbol)]
        problems = [f"{symbol!r} is none: a symbol is 5 to 20 capitals and digits, such as BTCUSDT" for symbol in wrong]
        problems += [f"{symbol} is named twice" for symbol in dict.fromkeys(value) if value.count(symbol) > 1]
        if info.data.get("venue") == "sim":
            problems += _not_traded_here([symbol for symbol in value if symbol not in wrong])
        if problems:
            raise ValueError("\n".join(problems))
        return value

    @field_validator("strategy")
    @classmethod
    def _loadable(cls, value: str) -> str:
        try:
            load_strategy(value)
        except SettingsError as error:
            raise ValueError(str(error).removeprefix("strategy ")) from error
        return value

    @field_validator("source")
    @classmethod
    def _there(cls, value: str) -> str:
        try:
            there = value == SYNTHETIC or Path(value).exists()
        except (OSError, ValueError):
            there = False  # too long for a path, or with a NUL in it
        if not there:
            raise ValueError(f"{value!r} is no file and no folder; give one, or `synthetic`")
        return value


class Risk(Section):
    max_daily_loss: Money = Field(gt=0, description="loss since 00:00 UTC (market time) that activates the kill switch")
    max_positions: int = Field(ge=1, description="open positions and entries under way")
    quote_per_trade: Money = Field(gt=0, description="what one entry spends")
    max_notional: Money = Field(gt=0, description="the most that one order may be worth")
    cool_down: float = Field(ge=0, description="market time without entries after a losing trade")
    max_exposure: Money = Field(gt=0, description="the most that all positions may be worth")
    max_drawdown: Money = Field(
        gt=0, le=1, description="fraction below the highest equity that activates the kill switch"
    )
    max_orders_per_minute: int = Field(ge=1, description="approvals in a minute of wall time")
    price_collar: Money = Field(gt=0, le=1, description="how far an order's price may be from the market's, a fraction")
    stale_after: float = Field(gt=0, description="wall time without market data after which nothing is approved")
    stop_limit_offset: Money = Field(gt=0, lt=1, description="how far below its stop price a resting stop may sell")
    limit_good_for: float = Field(
        gt=0, description="market time that a limit order rests, where its strategy does not say"
    )


class Breaker(Section):
    fail_max: int = Field(ge=1, description="failed calls in a row that open the circuit")
    reset_timeout: float = Field(gt=0, description="wall time until an open circuit tries one call")


class Exchange(Section):
    timeout: float = Field(gt=0, description="wall time that a request may take")
    rest_url: str = Field(
        description="another base address for REST, for paper that of the market data; empty: the exchange's own"
    )
    stream_url: str = Field(description="the same for the market streams")
    ws_api_url: str = Field(description="testnet, demo: the same for the WebSocket API")


class Supervisor(Section):
    hang_after: float = Field(gt=0, description="wall time that one message may take; past it the system gives up")


class Http(Section):
    host: str = Field(description="where metrics and console listen")
    allowed_hosts: tuple[str, ...] = Field(
        description="names besides loopback's under which the console may be reached"
    )


class Live(Section):
    max_capital: Money = Field(
        gt=0, description="the most that `live` may hold in positions, however large the account"
    )


class Simulator(Section):
    balance: Money = Field(gt=0, description="USDT that the account of the embedded exchange opens with")
    fee: Money = Field(ge=0, lt=1, description="commission as a fraction, maker and taker")
    maker_fee: Money | None = Field(None, ge=0, lt=1, description="that of what rested; none: `fee`")
    taker_fee: Money | None = Field(None, ge=0, lt=1, description="that of what took; none: `fee`")
    queue_ahead: Money = Field(
        ge=0, le=1, description="fraction of the volume displayed at its price that is ahead of a resting order"
    )
    order_limit: int = Field(ge=1, description="unfilled orders that the account may place in ten seconds")
    latency: float = Field(ge=0, le=60, description="wall time there and back, the median; none at speed 0")
    latency_spread: float = Field(ge=0, le=5, description="standard deviation of the latency's logarithm")
    faults: tuple[str, ...] = Field(description="what goes wrong from the start, each as NAME,key=value,key=value")
    fault_rate: float = Field(ge=0, le=100, description="random faults a second of wall time")
    fault_seed: int = Field(ge=0, description="of the random faults")
    control_port: int | None = Field(
        None, ge=0, le=65_535, description="where more faults can be armed; 0: any that is free; none: nowhere"
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="where the embedded exchange serves its own metrics; none: nowhere"
    )
    trend: float = Field(ge=0, le=10, description="how strongly the synthetic market's regimes drift; 1 is usual")

    @field_validator("faults", mode="before")
    @classmethod
    def _apart(cls, value: Any) -> Any:
        """Of the environment's text; commas are within a fault."""
        return tuple(part.strip() for part in value.split(";") if part.strip()) if isinstance(value, str) else value

    @field_validator("faults")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for each in value:
                from_flag(each)
        except UnknownFault as error:
            raise ValueError(str(error)) from error
        return value


class Stream(Section):
    queue_size: int = Field(ge=1, description="frames that may wait for a stream's actor; more are dropped and counted")
    watchdog: float = Field(gt=0, description="wall time without a frame after which a stream connects anew")


class StrategySection(BaseModel):
    """The strategy's own parameters, whose names and limits it checks itself, and its candles' length."""

    model_config = ConfigDict(frozen=True, extra="allow")

    interval: str = Field(description="length of the candles that it decides on")

    @field_validator("interval")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in INTERVALS:
            raise ValueError(f"{value!r} is no candle of the exchange; use one of {', '.join(INTERVALS)}")
        return value


class ParametersSection(Section):
    snapshot_at: str = Field(description="UTC time of day (market time) of the daily parameter snapshot")
    decay_sharpe: float = Field(description="a 7-day Sharpe below this counts as decay")
    decay_days: int = Field(ge=1, description="days in a row below it that raise the alert")

    @field_validator("snapshot_at")
    @classmethod
    def _time_of_day(cls, value: str) -> str:
        if not TIME_OF_DAY.fullmatch(value):
            raise ValueError(f"{value!r} is no time of day; write it as 08:00")
        return value


class Database(Section):
    url: str = Field(description="peewee's URL of the books' database; empty: SQLite in the home", repr=False)

    @field_validator("url")
    @classmethod
    def _known(cls, value: str) -> str:
        if value and not value.startswith(DATABASES):
            raise ValueError("is no URL of a database that is known; it starts with sqlite: or postgresql:")
        return value


class Alerts(Section):
    """Who is told what. The bot's token, its chats, the webhook and the mail server's password come as keys do."""

    level: Literal["info", "warning", "critical"] = Field(description="from which level on a chat is told")
    levels: tuple[str, ...] = Field(description="another level for single chats, each as CHAT=level")
    quiet_hours: str = Field(
        description="hours, UTC, in which chats are told only what is critical, as 22:00-07:00; empty: none"
    )
    second_after: float = Field(
        ge=0, description="wall time that a critical alert may wait for Telegram until the second channels are told"
    )
    telegram_url: str = Field(description="the Bot API's base address, up to the token")
    smtp: str = Field(description="HOST:PORT of the mail server for the second channel; empty: no mail")
    smtp_security: Literal["starttls", "tls", "none"] = Field(description="how the mail server is spoken to")
    smtp_user: str = Field(description="whom the mail server knows us as; empty: it wants no name")
    mail_from: str = Field(description="the sender of mails")
    mail_to: tuple[str, ...] = Field(description="who gets them")

    @field_validator("levels", "mail_to", mode="before")
    @classmethod
    def _apart(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("levels")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not CHAT_LEVEL.fullmatch(each):
                raise ValueError(f"{each!r} is no chat's level; write it as 123456=warning")
        return value

    @field_validator("quiet_hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        if value and not re.fullmatch(f"{TIME_OF_DAY.pattern}-{TIME_OF_DAY.pattern}", value):
            raise ValueError(f"{value!r} is no span of hours; write it as 22:00-07:00")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """A mail server alone sends nothing."""
        if self.smtp and not (self.mail_from and self.mail_to):
            raise ValueError("smtp sends nothing without mail_from and mail_to; give them too")
        if self.smtp and not re.fullmatch(r"[^:\s]+:\d{1,5}", self.smtp):
            raise ValueError(f"smtp: {self.smtp!r} is no HOST:PORT")
        return self

    def level_of(self, chat: int) -> str:
        """From which level on this chat is told."""
        return dict(each.split("=") for each in self.levels).get(str(chat), self.level)


def _not_traded_here(symbols: Sequence[str]) -> list[str]:
    try:
        entries(symbols)
    except SettingsError as error:
        return [line.removeprefix("symbols: ") for line in error.violations]
    return []
