"""Doing what flows ask for, as far as it happens outside of the conversation's tables: the message
that is to be said, and the HTTP request that is to be made."""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp
import orjson

from app import egress, ids
from app.errors import Invalid, NotFound, Refused
from app.flows import asks
from app.flows.asks import Answered, Call, CallFailed, Say
from app.model.traffic import ContentTemplate
from app.road.items import Draft
from app.rules.conversations import check_attributes
from app.rules.templates import body_of, check_supported, check_variables
from app.runtime import Runtime
from app.store import contents
from app.store.outbox import Claimed
from app.store.running import Parcel

TIMEOUT_S_MAX = 10.0
URL_CHARS_MAX = 2048
SAID_CHARS_MAX = 200
HEADERS_OF_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
IDEMPOTENCY_KEY = "Idempotency-Key"


async def draft(runtime: Runtime, item: Claimed, parcel: Parcel, said: Say) -> Draft:
    """The message that a flow says, as the API would take it. Raises Refused."""
    limits = runtime.settings.limits
    template = await _template(runtime, item.account_sid, said)
    body = (body_of(template) if template is not None else said.body) or ""
    if not body and not said.media:
        raise Invalid(50503, "Message body not provided")
    if len(body.encode()) > limits.body_bytes_max:
        raise Invalid(50504, "Message body parameter is too long")
    attributes = said.attributes or "{}"
    check_attributes(attributes, bytes_max=limits.attributes_bytes_max)
    for url in said.media:
        _check_url(url)
    return Draft(
        account_sid=item.account_sid,
        service_sid=_sid(said.service, ids.SERVICE) or parcel.service_sid,
        conversation_sid=_sid(said.conversation, ids.CONVERSATION) or item.conversation_sid or "",
        author=parcel.ours or said.author,
        body=body or None,
        attributes=attributes,
        content_sid=template.sid if template else None,
        content_variables=orjson.dumps(template.variables).decode() if template else None,
        template=template,
        media_urls=() if template else said.media,
    )


async def call(runtime: Runtime, asked: Call, key: str, most_s: float) -> Answered | CallFailed:
    """Make one request, within `most_s` seconds; who gets it twice, because we were killed under
    it, knows it by its key."""
    headers = {
        name: value
        for name, value in asked.headers.items()
        if name.lower() not in HEADERS_OF_OURS and "\n" not in value and "\r" not in value
    }
    headers.setdefault(IDEMPOTENCY_KEY, key)
    try:
        _check_url(asked.url)
        async with egress.call(
            runtime.egress,
            asked.method,
            asked.url,
            timeout_s=min(asked.timeout_s, TIMEOUT_S_MAX, most_s),
            headers=headers,
            data=asked.body.encode() if asked.body else None,
        ) as response:
            body = await egress.read(response)
            return Answered(response.status, dict(response.headers), body)
    except TimeoutError:
        return CallFailed("no answer in time")
    except Refused as refused:
        return CallFailed(refused.message)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return CallFailed(f"{type(error).__name__}: {error}"[:SAID_CHARS_MAX])


def host(asked: Call) -> str:
    """Where a request leads: whose places it takes."""
    return urlsplit(asked.url).netloc.rpartition("@")[2].lower()


def refused(refused: Refused) -> asks.Refused:
    """What the flow hears of a refusal."""
    return asks.Refused(refused.message, refused.code)


async def _template(runtime: Runtime, account_sid: str, said: Say) -> ContentTemplate | None:
    if not said.content_sid:
        return None
    sid = _sid(said.content_sid, ids.CONTENT)
    variables = orjson.dumps(dict(said.content_variables)).decode()
    given = check_variables(variables, runtime.settings.limits)
    async with runtime.db.read() as tx:
        content = await contents.find(tx, account_sid, sid) if sid else None
        if content is None:
            raise NotFound(20404, "Content not found")
        approval = (await contents.approvals(tx, [content.sid])).get(content.sid)
    template = contents.as_template(content, approval, given)
    check_supported(template)
    return template


def _check_url(url: str) -> None:
    """Raises Invalid for what is no URL that can be called."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > URL_CHARS_MAX:
        raise Invalid(20001, "Invalid URL")


def _sid(text: str, prefix: str) -> str | None:
    """A SID as it is stored; None for any other text (a template that came to nothing)."""
    return ids.lowered(text) if ids.is_sid(text, prefix) else None
