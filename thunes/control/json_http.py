"""Reading a request's body and query strictly: what is not understood is refused, never guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from typing import Any

from aiohttp import web

TEXT_LIMIT = 500


def bad_request(sentence: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=sentence)


def reply(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer that no cache keeps."""
    body = json.dumps(document, ensure_ascii=False, default=str)
    return web.Response(
        status=status,
        text=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


async def command_body(request: web.Request, members: Set[str]) -> dict[str, Any]:
    """The JSON object of a POST, `{}` for an empty body; a member that is not in `members` is refused.

    A misspelt `flatten` must not pass for a kill without it.
    """
    raw = await request.read()
    if not raw:
        return {}
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Send application/json or an empty body.")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"The body is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise bad_request("The body must be a JSON object.")
    if unknown := sorted(set(body) - members):
        raise bad_request(f"Not understood: {', '.join(unknown)}; known: {', '.join(sorted(members)) or 'nothing'}.")
    return body


def text(body: Mapping[str, Any], member: str) -> str:
    """A short one-line string, `""` when it is not given; what could steer a terminal becomes a space."""
    value = body.get(member, "")
    if not isinstance(value, str) or len(value) > TEXT_LIMIT:
        raise bad_request(f"{member} must be a string of at most {TEXT_LIMIT} characters.")
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())


def flag(body: Mapping[str, Any], member: str) -> bool:
    value = body.get(member, False)
    if not isinstance(value, bool):
        raise bad_request(f"{member} must be true or false.")
    return value


def number(request: web.Request, name: str, *, default: int, least: int, most: int = 2**63 - 1) -> int:
    """A whole number from the query string, within its bounds."""
    given = request.query.get(name, str(default))
    if not given.isascii() or not given.isdigit() or len(given) > 19 or not least <= int(given) <= most:
        raise bad_request(f"{name} must be a whole number from {least} to {most}.")
    return int(given)
