"""The operator's desk: what the bot's commands do and answer, apart from Telegram.

Commands come from the configured chats alone; all else is ignored, counted and journalled. What changes something asks
first, with a button that expires: a message that was sent by mistake, or hours ago, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Protocol

from thunes.alerts import answers
from thunes.domain.figures import SystemFigures

SOURCE = "telegram"
CONFIRM_SECONDS = 60
TOO_OLD = "That was written a while ago, and not carried out. Write it again if it is still wanted."
EXPIRED = "This question has expired; nothing was done."

COMMANDS: Mapping[str, str] = {
    "status": "is it safe, earning and healthy",
    "positions": "what is held",
    "orders": "open orders",
    "pnl": "today's profit and loss against the limit",
    "trades": "the last closed trades",
    "performance": "profit, win rate, Sharpe ratio",
    "risk": "limits and how far they are used",
    "breaker": "the circuit breaker",
    "streams": "market and account streams",
    "actors": "every actor's state and mailbox",
    "params": "the strategy's parameters",
    "report": "the summary so far, with a picture",
    "kill": "stop buying: /kill REASON",
    "resume": "allow buying after a kill: /resume REASON",
    "flatten": "stop buying and sell what is held",
    "pause": "buy nothing new for now",
    "unpause": "end a pause",
    "reconnect": "open the streams anew: /reconnect [SYMBOL]",
    "reconcile": "compare books and exchange now",
    "ping": "does anybody listen",
    "help": "this list",
}


class Commands(Protocol):
    """What can be had done. Each only sends a message and returns at once."""

    def kill(self, reason: str, source: str, flatten: bool) -> None: ...
    def resume(self, reason: str, source: str) -> None: ...
    def pause(self, source: str) -> None: ...
    def unpause(self, source: str) -> None: ...
    def reconnect(self, symbol: str | None, source: str) -> None: ...
    def reconcile(self, source: str) -> None: ...
    def report(self) -> None: ...
    def ignored(self, source: str, chat: str, count: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A heading and lines of text, shown in fixed width where `table`; buttons as (label, what it sends)."""

    text: str
    table: bool = False
    buttons: tuple[tuple[str, str], ...] = ()

    def html_parts(self, units: int) -> list[str]:
        """As Telegram's HTML, escaped, in pieces of at most so many UTF-16 units each."""
        opening, closing = ("<pre>", "</pre>") if self.table else ("", "")
        pieces, piece = [], ""
        for line in self.text.splitlines():
            for part in _chunks(line, (units - 100) // 10):
                if _units(piece + escape(part)) + 1 > units - len(opening) - len(closing):
                    pieces.append(piece)
                    piece = ""
                piece += escape(part) + "\n"
        return [f"{opening}{each.rstrip()}{closing}" for each in (*pieces, piece) if each.strip()]


@dataclass(frozen=True, slots=True)
class Question:
    """Something that was asked for and waits for its button."""

    chat: int
    until_ns: int
    do: Callable[[], None]
    done: str


@dataclass(slots=True)
class Desk:
    """`chats` may command. `new_id` names a button's question; `now_ns` is monotonic."""

    chats: Collection[int]
    figures: Callable[[], SystemFigures]
    commands: Commands
    parameters: Mapping[str, str]
    new_id: Callable[[], str]
    now_ns: Callable[[], int]
    ignored: int = 0
    _questions: dict[str, Question] = field(default_factory=dict)

    def hear(self, chat: int, user: str, text: str, *, too_old: bool = False) -> Answer | None:
        """The answer to what was written; None for a stranger, who learns nothing, not even that this is a bot."""
        if chat not in self.chats:
            self._ignore(chat)
            return None
        word, _, rest = text.strip().partition(" ")
        name = word.removeprefix("/").partition("@")[0].lower()
        rest, source = " ".join(rest.split())[:200], f"{SOURCE} {user}".strip()
        if not word.startswith("/") or name not in {*COMMANDS, "start"}:
            return Answer(f"{word[:40]} is no command that I know; /help lists them.")
        if show := answers.SHOWN.get(name):
            return Answer(show(self.figures()), table=True)
        if too_old:
            return Answer(TOO_OLD)
        return self._act(name, rest, chat, source)

    def press(self, chat: int, data: str) -> str | None:
        """What a pressed button came to; None for a stranger's."""
        if chat not in self.chats:
            self._ignore(chat)
            return None
        word, _, number = data.partition(" ")
        question = self._questions.pop(number, None)
        if question is None or question.chat != chat or self.now_ns() > question.until_ns:
            return EXPIRED
        if word != "yes":
            return "Nothing was done."
        question.do()
        return question.done

    def _act(self, name: str, rest: str, chat: int, source: str) -> Answer:
        commands = self.commands
        match name:
            case "ping":
                return Answer("Here, and listening.")
            case "help" | "start":
                return Answer("\n".join(f"/{command} - {what}" for command, what in COMMANDS.items()))
            case "params":
                return Answer("\n".join(f"{key:<14}{value}" for key, value in self.parameters.items()), table=True)
            case "report":
                commands.report()
                return Answer("The summary is being drawn, and follows.")
            case "reconcile":
                commands.reconcile(source)
                return Answer("Asked to compare books and exchange; a difference would be told.")
            case "reconnect":
                return self._reconnect(rest, source)
            case "pause":
                commands.pause(source)
                return Answer("Asked to pause; what is held keeps its stops, and may be sold. /unpause ends it.")
        return self._confirm(name, rest, chat, source)

    def _reconnect(self, rest: str, source: str) -> Answer:
        symbol = rest if rest == "account" else rest.upper()
        known = self.figures().streams
        if symbol and symbol not in known:
            return Answer(f"There is no stream {symbol}; there are: {', '.join(known) or 'none yet'}.")
        self.commands.reconnect(symbol or None, source)
        return Answer(f"Asked to open {symbol or 'every stream'} anew.")

    def _confirm(self, name: str, reason: str, chat: int, source: str) -> Answer:
        commands = self.commands
        match name:
            case "kill":
                return self._ask(
                    chat, "Stop buying?", "Stop buying", "Killed. The alert that follows confirms it.",
                    lambda: commands.kill(reason or "killed from Telegram", source, False),
                )  # fmt: skip
            case "flatten":
                return self._ask(
                    chat, "Stop buying and sell all that is held, at the market?", "Sell all",
                    "Killed, and selling. The alerts that follow say what came of it.",
                    lambda: commands.kill(reason or "flattened from Telegram", source, True),
                )  # fmt: skip
            case "resume" if not reason:
                return Answer("Say why it is safe to buy again: /resume REASON.")
            case "resume":
                return self._ask(
                    chat, f"Allow buying again, because {reason}?", "Buy again",
                    "Asked to resume. The alert that follows confirms it, or says why not.",
                    lambda: commands.resume(reason, source),
                )  # fmt: skip
        return self._ask(
            chat, "End the pause?", "End it", "Asked to go on. The alert that follows confirms it.",
            lambda: commands.unpause(source),
        )  # fmt: skip

    def _ask(self, chat: int, question: str, label: str, done: str, do: Callable[[], None]) -> Answer:
        now_ns = self.now_ns()
        for number in [each for each, asked in self._questions.items() if now_ns > asked.until_ns]:
            del self._questions[number]
        number = self.new_id()
        self._questions[number] = Question(chat, now_ns + CONFIRM_SECONDS * 1_000_000_000, do, done)
        text = f"{question} The buttons work for {CONFIRM_SECONDS} seconds."
        return Answer(text, buttons=((label, f"yes {number}"), ("Leave it", f"no {number}")))

    def _ignore(self, chat: int) -> None:
        """Journalled at the first, the second, the fourth ...: strangers must not be able to fill the disk."""
        self.ignored += 1
        if self.ignored & (self.ignored - 1) == 0:
            self.commands.ignored(SOURCE, str(chat), self.ignored)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _chunks(line: str, longest: int) -> list[str]:
    return [line[start : start + longest] for start in range(0, max(len(line), 1), longest)]
