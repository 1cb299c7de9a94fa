"""The generic carrier's requests: built from templates, sent, and their answers judged."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import orjson

from app.carriers import http_tree
from app.carriers.contract import Context
from app.carriers.exchange import Reply, call, retry_after
from app.carriers.http_answer import Judge, fits, identifier, json_of
from app.carriers.http_call import Call, Headers, Login, LookUp
from app.carriers.http_paths import Source, follow, spread, word
from app.carriers.http_template import OF_SECRETS, Value, read
from app.errors import Permanent, Temporary, Unknown
from app.model.traffic import Accepted, Outgoing

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
# The original's errors: too many media files; the address cannot be sent to.
TOO_MUCH_MEDIA = 21623
BAD_ADDRESS = 21211

_NOT_DIGITS = re.compile(r"[^0-9]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Line:
    """How the provider is reached: its secrets, its word for each channel, and how long one call
    may take."""

    secrets: Mapping[str, str] = field(repr=False)
    channels: Mapping[str, str]
    timeout_s: float


async def send(
    line: Line, request: Call, judge: Judge, outgoing: Outgoing, context: Context
) -> Accepted:
    """Send the message; raises Temporary, Permanent or Unknown."""
    room = http_tree.files_max([request.query, request.form, request.json_])
    if room is not None and len(outgoing.media) > room:
        text = f"the request for {outgoing.channel} has room for {room} files"
        raise Permanent(text, TOO_MUCH_MEDIA)
    reply = await _exchange(line, request, outgoing, context)
    return judge.accepted(reply, outgoing.reference, context.clock.now())


async def look_up(
    line: Line, request: LookUp, outgoing: Outgoing, context: Context
) -> list[Accepted] | None:
    """What may be this send; None when the provider shows only a part. Raises Temporary when it
    could not be asked or gave no answer that could be read."""
    try:
        reply = await _exchange(line, request, outgoing, context)
    except Unknown as lost:
        raise Temporary(lost.message, down=True) from lost
    if request.absent and fits(reply.status, request.absent):
        return []
    if not 200 <= reply.status < 300:
        wait_s = retry_after(reply.headers, context.clock.now())
        raise Temporary(f"the look-up: HTTP {reply.status}", None, wait_s)
    body = json_of(reply)
    reached = [body] if request.found is None else follow(body, request.found)
    found = [Source(body, each) for each in spread(reached)]
    names = [identifier(one.first(request.id)) for one in found]
    if not reached or None in names:
        raise Temporary("the look-up's answer holds no messages")
    if request.page is not None and len(found) >= request.page:
        return None
    values = _values(line, outgoing)
    wanted = {path: read(text).fill(values) for path, text in request.match.items()}
    return [
        Accepted(name)
        for one, name in zip(found, names, strict=True)
        if name is not None and _matches(one, wanted)
    ]


def opened(line: Line, headers: Headers, basic: Login | None) -> dict[str, str]:
    """Headers in which only secrets are named."""
    return _headers(headers, basic, _secrets(line))


async def _exchange(line: Line, request: Call, outgoing: Outgoing, context: Context) -> Reply:
    values = _values(line, outgoing)
    files: list[dict[str, Value]] = [
        {"media.url": part.url, "media.type": part.content_type} for part in outgoing.media
    ]
    headers = _headers(request.headers, request.basic, values)
    url = read(request.url).fill(values, _part) or ""
    query = http_tree.grow(request.query, values, files)
    if query not in ({}, http_tree.NOTHING):
        mark = "&" if "?" in url else "?"
        url += mark + urlencode(http_tree.pairs(query), quote_via=quote, safe="")
    body, content_type = _body(request, values, files)
    if content_type is not None and not any(one.lower() == "content-type" for one in headers):
        headers["Content-Type"] = content_type
    return await call(
        context, request.method, url, timeout_s=line.timeout_s, headers=headers, data=body
    )


def _values(line: Line, outgoing: Outgoing) -> dict[str, Value]:
    """The fields of a message, by their names in templates."""
    values: dict[str, Value] = {
        "body": outgoing.body,
        "channel": line.channels.get(outgoing.channel, outgoing.channel),
        "reference": outgoing.reference,
        "status_url": outgoing.status_url,
        **_secrets(line),
    }
    for name, address in (("to", outgoing.address), ("from", outgoing.proxy_address)):
        bare = address.rpartition(":")[2]
        values |= {
            name: address,
            f"{name}.bare": bare,
            f"{name}.digits": _NOT_DIGITS.sub("", bare) if bare.startswith("+") else bare,
        }
    return values


def _secrets(line: Line) -> dict[str, Value]:
    return {OF_SECRETS + name: secret for name, secret in line.secrets.items()}


def _body(
    request: Call, values: Mapping[str, Value], files: list[dict[str, Value]]
) -> tuple[bytes | None, str | None]:
    if request.form is not None:
        grown = http_tree.grow(request.form, values, files)
        pairs = [] if grown is http_tree.NOTHING else http_tree.pairs(grown)
        return urlencode(pairs).encode(), FORM
    if request.json_ is not None:
        grown = http_tree.grow(request.json_, values, files)
        return orjson.dumps({} if grown is http_tree.NOTHING else grown), JSON
    return None, None


def _headers(
    headers: Mapping[str, str], basic: Login | None, values: Mapping[str, Value]
) -> dict[str, str]:
    """The headers; one that comes out empty is left out."""
    filled = {name: read(text).fill(values) for name, text in headers.items()}
    made = {name: _CONTROL.sub(" ", text) for name, text in filled.items() if text}
    if basic is not None:
        username, password = (
            read(text).fill(values) or "" for text in (basic.username, basic.password)
        )
        pair = f"{username}:{password}".encode()
        made["Authorization"] = f"Basic {b64encode(pair).decode()}"
    return made


def _part(value: str) -> str:
    """A value within a URL; raises Permanent for what would be a way up."""
    if value in (".", ".."):
        raise Permanent("the address does not fit in a URL", BAD_ADDRESS)
    return quote(value, safe="")


def _matches(source: Source, wanted: Mapping[str, Value]) -> bool:
    return all(word(source.get(path)) == text for path, text in wanted.items())
