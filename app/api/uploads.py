"""A file as it comes by HTTP: as the body itself, as a file of a multipart form, or, where that is
allowed, from the URL that `MediaUrl` names.

Tools that send a file as it is often call it a form, as curl does: a body that is no form is the
file.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime

import aiohttp
from aiohttp import BodyPartReader

from app import ids
from app.api import forms
from app.api import parameters as kinds
from app.api.call import FORM, Call
from app.api.forms import INVALID, Form
from app.errors import CarrierError, Invalid
from app.files import sniff
from app.media import intake
from app.media.download import download
from app.media.intake import Incoming
from app.model import Media
from app.settings.types import web_url
from app.store import media
from app.store.scope import Scope

NAME_CHARS_MAX = 256
FORM_BYTES_MAX = 8192
CHUNK_BYTES = 65_536
NO_URL = (
    "Missing required parameter MediaUrl in the post body: a form has it, or the body is a file"
)

_FIELD = rb"(?:[A-Za-z][\w.-]{0,99}=[!-%'-<>-~]*)?"
_FIELDS = re.compile(_FIELD + rb"(?:&" + _FIELD + rb")*")

MEDIA_URL = kinds.text("MediaUrl", web_url)
FILENAME = kinds.short("Filename", NAME_CHARS_MAX, INVALID, "Invalid Filename")


@dataclass(frozen=True, slots=True)
class Came:
    """What is said of a file that came, and how it did: upload or url."""

    how: str
    content_type: str
    filename: str | None = None


async def receive(call: Call, filename: str | None, author: str | None = None) -> Media:
    """The file of this request, kept under its own name or this one, for any message to take. One
    that an `author` uploads comes itself: nobody's application makes us fetch. Raises Invalid."""
    runtime = call.runtime
    async with intake.receiving(runtime) as incoming:
        came = await _take(call, incoming, urls=author is None)
        kind = _kind(came, incoming.head)
        kept = await intake.put(runtime, incoming)
        async with call.begin() as (tx, scope):
            key = await intake.adopt(runtime, tx.sql, incoming, kept)
            made = _row(scope, kind, filename or came.filename, author, kept.size, key, tx.now)
            await media.add(tx, made)
    await intake.settle(runtime, kept, key, came.how)
    return made


def _row(
    scope: Scope,
    kind: str,
    filename: str | None,
    author: str | None,
    size: int,
    key: str,
    now: datetime,
) -> Media:
    return Media(
        sid=ids.new(ids.MEDIA),
        account_sid=scope.account_sid,
        chat_service_sid=scope.service_sid,
        content_type=kind,
        filename=filename,
        author=author,
        size=size,
        status="stored",
        file_key=key,
        date_created=now,
        date_updated=now,
    )


def _kind(came: Came, head: bytes) -> str:
    """The type under which the file is kept. Raises Invalid 50511 for what is no type, and for one
    that the file cannot be."""
    said = sniff.plain(came.content_type)
    if came.content_type.strip() and not said:
        raise Invalid(50511, "Invalid message media content type")
    if said not in ("", sniff.UNKNOWN) and not sniff.believable(said, head):
        details = {"content_type": said, "found": sniff.sniffed(head)}
        raise Invalid(50511, "Invalid message media content type", details)
    return sniff.settled(came.content_type, head)


async def _take(call: Call, incoming: Incoming, *, urls: bool) -> Came:
    """The file, however it comes; from a URL only if `urls`. Raises Invalid: too large, broken off,
    too slow, no file."""
    request, upload_s = call.request, call.runtime.settings.media.upload_s
    if (request.content_length or 0) > incoming.bytes_max + FORM_BYTES_MAX:
        raise Invalid(*intake.TOO_LARGE, {"bytes_max": incoming.bytes_max})
    try:
        async with asyncio.timeout(upload_s):
            return await _read(call, incoming, urls)
    except TimeoutError:
        raise Invalid(INVALID, f"The file did not come within {upload_s:g} seconds") from None
    except (aiohttp.ClientPayloadError, ConnectionError, aiohttp.http.HttpProcessingError):
        raise Invalid(INVALID, "The body broke off") from None


async def _read(call: Call, incoming: Incoming, urls: bool) -> Came:
    if urls and MEDIA_URL in call.form:
        return await _fetched(call, call.form[MEDIA_URL], incoming)
    request = call.request
    if request.content_type.startswith("multipart/"):
        return await _part(call, incoming, urls)
    if urls and request.content_type == FORM:
        return await _form_or_file(call, incoming)
    async for chunk in request.content.iter_chunked(CHUNK_BYTES):
        await incoming.write(chunk)
    return Came("upload", request.headers.get("Content-Type", ""))


async def _form_or_file(call: Call, incoming: Incoming) -> Came:
    """What is called a form: with `MediaUrl` it is one, else the file. Raises Invalid for what is
    nothing but fields of a form, without that one."""
    head = b""
    async for chunk in call.request.content.iter_chunked(CHUNK_BYTES):
        head += chunk
        if len(head) > FORM_BYTES_MAX:
            break
    if len(head) <= FORM_BYTES_MAX:
        if (url := _url_in(head)) is not None:
            return await _fetched(call, url, incoming)
        if _FIELDS.fullmatch(head):
            raise Invalid(forms.MISSING, NO_URL)
    if head:
        await incoming.write(head)
    async for chunk in call.request.content.iter_chunked(CHUNK_BYTES):
        await incoming.write(chunk)
    return Came("upload", "")


def _url_in(body: bytes) -> str | None:
    try:
        sent = forms.decode(body.decode(), 100)
    except (UnicodeDecodeError, Invalid):
        return None
    named = [text for name, text in sent if name.lower() == MEDIA_URL.name.lower()]
    return named[-1] if named else None


async def _part(call: Call, incoming: Incoming, urls: bool) -> Came:
    """The first file of a multipart form, or the one that its `MediaUrl` names."""
    try:
        reader = await call.request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader):
                continue
            if urls and part.name is not None and part.name.lower() == MEDIA_URL.name.lower():
                url = (await part.read_chunk(FORM_BYTES_MAX)).decode("utf-8", "replace")
                return await _fetched(call, url, incoming)
            if part.filename is None:
                continue
            while chunk := await part.read_chunk(CHUNK_BYTES):
                await incoming.write(chunk)
            filename = part.filename.replace("\x00", "")[-NAME_CHARS_MAX:]
            return Came("upload", part.headers.get("Content-Type", ""), filename or None)
    except (ValueError, AssertionError):
        raise Invalid(INVALID, "The body is not multipart/form-data") from None
    raise Invalid(INVALID, "The form has no file and no MediaUrl")


async def _fetched(call: Call, url: str, incoming: Incoming) -> Came:
    """The file at a URL. Raises Invalid when it is not to be had."""
    runtime = call.runtime
    url = Form([(MEDIA_URL.name, url)], [MEDIA_URL])[MEDIA_URL]
    timeout_s = runtime.settings.media.timeout_s
    try:
        said = await download(runtime.egress, url, {}, incoming, timeout_s)
    except CarrierError as error:
        raise Invalid(INVALID, f"Invalid MediaUrl: {error.message}") from None
    return Came("url", said.content_type, said.filename)
