"""A Bot API of our own on loopback: the documented protocol, and everything that goes wrong with it.

`core.telegram.org/bots/api`: methods at `/bot<TOKEN>/<method>`, answers `{"ok": true, "result": ...}` or `{"ok": false,
"error_code": ..., "description": ..., "parameters": {"retry_after": ...}}`.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from random import Random
from typing import Any

from aiohttp import web

TOKEN = "123456789:AAtokenAAtokenAAtokenAAtoken"
CHAT = 7
TAGS = {"b", "i", "u", "s", "code", "pre", "a"}
LONGEST_TEXT, LONGEST_CAPTION, LONGEST_DATA = 4096, 1024, 64
COMMAND = re.compile(r"[a-z0-9_]{1,32}")
PNG = b"\x89PNG\r\n\x1a\n"
PATIENCE_S = 30.0
QUIET_S = 0.05
"""For connections that are being opened or closed to come to their end before the loop does."""


@dataclass
class Sent:
    """A message that the server has taken."""

    number: int
    chat: int
    text: str
    photo: int
    buttons: dict[str, str]
    """Label to what it sends."""
    dropped: bool
    """The client was never told that it was taken."""


@dataclass
class Trouble:
    """What goes wrong of so many sends in ten, drawn from a seed."""

    seed: int = 0
    limited: float = 0.0
    broken: float = 0.0
    dropped: float = 0.0
    """The message is taken, and the connection closed without an answer."""
    lost: float = 0.0
    """The connection is closed before the message is looked at."""
    slow_s: float = 0.0
    garbage: float = 0.0


class Refused(Exception):
    def __init__(self, status: int, description: str, **parameters: Any) -> None:
        self.status = status
        self.document = {"ok": False, "error_code": status, "description": description}
        if parameters:
            self.document["parameters"] = parameters
        super().__init__(description)


class Tags(HTMLParser):
    """Telegram's HTML: few tags, each closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, _attributes: Any) -> None:
        if tag not in TAGS:
            raise Refused(400, f'Bad Request: can\'t parse entities: Unsupported start tag "{tag}"')
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise Refused(400, f'Bad Request: can\'t parse entities: Unexpected end tag "{tag}"')

    def handle_data(self, data: str) -> None:
        self.text += data


@dataclass
class BotApi:
    """One bot. What is set here holds from the next request on; what happened is read under `wait`."""

    token: str = TOKEN
    chats: set[int] = field(default_factory=lambda: {CHAT})
    blocked: set[int] = field(default_factory=set)
    trouble: Trouble = field(default_factory=Trouble)
    up: bool = True
    """False: no connection is answered."""
    messages: list[Sent] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    updates: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0
    _number: int = 0
    _polling: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._random = Random(self.trouble.seed)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/bot"

    # --- the other side of the chat ---

    def say(self, text: str, chat: int = CHAT, age_s: float = 0.0) -> None:
        """Somebody writes to the bot."""
        message = self._message(chat, text) | {"from": user(), "date": int(time.time() - age_s)}
        self._update({"message": message})

    def press(self, sent: Sent, label: str, chat: int | None = None) -> None:
        """Somebody presses a button of a message."""
        message = self._message(chat or sent.chat, sent.text) | {"message_id": sent.number}
        query = {"id": str(self._next()), "from": user(), "chat_instance": "1", "message": message}
        self._update({"callback_query": query | {"data": sent.buttons[label]}})

    def wait(self, happened: Callable[[], Any], seconds: float = PATIENCE_S, what: str = "that") -> None:
        with self._changed:
            if not self._changed.wait_for(happened, seconds):
                raise AssertionError(f"{what} did not come within {seconds:g} s; {self.counts}")

    def texts(self, chat: int = CHAT) -> list[str]:
        return [sent.text for sent in self.messages if sent.chat == chat]

    # --- requests ---

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        try:
            params = await given(request)
        except ConnectionError:  # the client has died
            return web.Response()
        with self._changed:
            self.counts[method] += 1
            self._changed.notify_all()
        if not self.up or (method.startswith("send") and self._draw(self.trouble.lost)):
            return drop(request)
        try:
            if request.match_info["token"] != self.token:
                raise Refused(401, "Unauthorized")
            if method.startswith("send"):
                await self._go_wrong()
                if self._draw(self.trouble.garbage):
                    return web.Response(text="<html>Bad Gateway", content_type="text/html")
            answer = getattr(self, re.sub("([A-Z])", r"_\1", f"_{method}").lower(), None)
            if answer is None:
                raise Refused(404, "Not Found")
            result = await answer(params)
        except Refused as refused:
            return web.json_response(refused.document, status=refused.status)
        if isinstance(result, Sent):
            if result.dropped:
                return drop(request)
            result = self._message(result.chat, result.text) | {"message_id": result.number}
        return web.json_response({"ok": True, "result": result})

    async def _go_wrong(self) -> None:
        if self.trouble.slow_s:
            await asyncio.sleep(self.trouble.slow_s)
        if self._draw(self.trouble.limited):
            raise Refused(429, "Too Many Requests: retry after 1", retry_after=1)
        if self._draw(self.trouble.broken):
            raise Refused(502, "Bad Gateway")

    def _draw(self, chance: float) -> bool:
        return chance > 0 and self._random.random() < chance

    async def _get_me(self, _params: dict[str, Any]) -> Any:
        return {"id": 1, "is_bot": True, "first_name": "T", "username": "thunes_bot"}

    async def _get_updates(self, params: dict[str, Any]) -> Any:
        """Long polling: an offset confirms all before it; a second poll at once is a conflict."""
        offset, until = int(params.get("offset", 0)), time.monotonic() + float(params.get("timeout", 0))
        if self._polling:
            raise Refused(409, "Conflict: terminated by other getUpdates request")
        self._polling += 1
        try:
            with self._changed:
                self.updates = [update for update in self.updates if update["update_id"] >= offset]
            while not self.updates and time.monotonic() < until and self.up:
                await asyncio.sleep(0.01)
            return self.updates[: int(params.get("limit", 100))]
        finally:
            self._polling -= 1

    async def _send_message(self, params: dict[str, Any]) -> Sent:
        text = plain(str(params.get("text", "")), params.get("parse_mode"))
        if not text.strip():
            raise Refused(400, "Bad Request: message text is empty")
        if units(text) > LONGEST_TEXT:
            raise Refused(400, "Bad Request: message is too long")
        return self._take(params, text, 0)

    async def _send_photo(self, params: dict[str, Any]) -> Sent:
        photo = params.get("photo", b"")
        if not isinstance(photo, bytes) or not photo.startswith(PNG):
            raise Refused(400, "Bad Request: IMAGE_PROCESS_FAILED")
        caption = plain(str(params.get("caption", "")), params.get("parse_mode"))
        if units(caption) > LONGEST_CAPTION:
            raise Refused(400, "Bad Request: message caption is too long")
        return self._take(params, caption, len(photo))

    async def _edit_message_text(self, params: dict[str, Any]) -> Any:
        with self._changed:
            self.edited.append(plain(str(params["text"]), params.get("parse_mode")))
            self._changed.notify_all()
        return self._message(int(params["chat_id"]), self.edited[-1])

    async def _answer_callback_query(self, params: dict[str, Any]) -> Any:
        with self._changed:
            self.answers.append(str(params.get("text", "")))
            self._changed.notify_all()
        return True

    async def _set_my_commands(self, params: dict[str, Any]) -> Any:
        listed = json.loads(params["commands"])
        wrong = [each for each in listed if not COMMAND.fullmatch(each["command"]) or not each["description"]]
        if wrong or len(listed) > 100:
            raise Refused(400, "Bad Request: BOT_COMMAND_INVALID")
        with self._changed:
            self.commands = {each["command"]: each["description"] for each in listed}
            self._changed.notify_all()
        return True

    def _take(self, params: dict[str, Any], text: str, photo: int) -> Sent:
        chat = int(params["chat_id"])
        if chat in self.blocked:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        if chat not in self.chats:
            raise Refused(400, "Bad Request: chat not found")
        rows = json.loads(params.get("reply_markup") or "{}").get("inline_keyboard", [])
        buttons = {button["text"]: button["callback_data"] for row in rows for button in row}
        if any(not 0 < len(data.encode()) <= LONGEST_DATA for data in buttons.values()):
            raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
        sent = Sent(self._next(), chat, text, photo, buttons, self._draw(self.trouble.dropped))
        with self._changed:
            self.messages.append(sent)
            self._changed.notify_all()
        return sent

    def _message(self, chat: int, text: str) -> dict[str, Any]:
        described = {"id": chat, "type": "private", "first_name": "Me"}
        return {"message_id": self._next(), "date": int(time.time()), "chat": described, "text": text}

    def _update(self, what: dict[str, Any]) -> None:
        with self._changed:
            self.updates = [*self.updates, {"update_id": self._next(), **what}]
            self._changed.notify_all()

    def _next(self) -> int:
        self._number += 1
        return self._number


def user() -> dict[str, Any]:
    return {"id": 9, "is_bot": False, "first_name": "Me"}


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def plain(text: str, parse_mode: Any) -> str:
    """What is read: without tags, which have to be right where there may be any."""
    if parse_mode is None:
        return text
    if parse_mode != "HTML":
        raise Refused(400, "Bad Request: unsupported parse_mode")
    tags = Tags()
    tags.feed(text)
    tags.close()
    if tags.open:
        raise Refused(400, f"Bad Request: can't parse entities: Can't find end tag for \"{tags.open[-1]}\"")
    return unescape(tags.text)


async def given(request: web.Request) -> dict[str, Any]:
    """The parameters, wherever they stand: query, form, or multipart with files."""
    params: dict[str, Any] = dict(request.query)
    for name, value in (await request.post()).items():
        params[name] = value.file.read() if isinstance(value, web.FileField) else value
    return params


def drop(request: web.Request) -> web.StreamResponse:
    """The connection ends without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@contextmanager
def running(api: BotApi | None = None) -> Iterator[BotApi]:
    """A server for as long as the block lasts, in a thread of its own."""
    made, loop, started = api or BotApi(), asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        application = web.Application(client_max_size=10_000_000)
        application.router.add_route("*", "/bot{token}/{method}", made.handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", made.port)
        await site.start()
        made.port = runner.addresses[0][1]
        started.set()
        await stop.wait()
        made.up = False
        await asyncio.sleep(QUIET_S)
        await runner.cleanup()
        await asyncio.sleep(QUIET_S)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(PATIENCE_S)
        yield made
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_S)
        loop.close()
