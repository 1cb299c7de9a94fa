"""From an HTTP request to what a carrier's dialect reads, under limits that hold before parsing."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from app.carriers.contract import Request
from app.settings.models import ServerSettings

FORM = "application/x-www-form-urlencoded"


class BadRequest(Exception):
    """The request is over a limit or cannot be read; `status` is the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def read(
    request: web.Request,
    settings: ServerSettings,
    public_url: str,
    *,
    bytes_max: int | None = None,
) -> Request:
    """The request as its carrier made it: `url` is the public one that was signed. `bytes_max` is
    for its body where that is not the usual. Raises BadRequest (413 too large, 400 not
    readable)."""
    body = await _body(request, bytes_max or settings.body_bytes_max)
    form: MultiDict[str] = MultiDict()
    if request.content_type == FORM:
        form = _form(body, settings.form_fields_max)
    return Request(
        method=request.method,
        url=public_url + request.raw_path,
        headers=request.headers,
        query=request.query,
        form=MultiDictProxy(form),
        body=body,
    )


def head(request: web.Request, public_url: str) -> Request:
    """The request before its body is read."""
    nothing: MultiDict[str] = MultiDict()
    return Request(
        method=request.method,
        url=public_url + request.raw_path,
        headers=request.headers,
        query=request.query,
        form=MultiDictProxy(nothing),
        body=b"",
    )


async def _body(request: web.Request, bytes_max: int) -> bytes:
    if (request.content_length or 0) > bytes_max:
        raise BadRequest(413, f"the body is larger than {bytes_max} bytes")
    if request.content.is_eof():  # it came with its head, as nearly all do
        body = request.content.read_nowait()
        if len(body) > bytes_max:
            raise BadRequest(413, f"the body is larger than {bytes_max} bytes")
        return body
    parts: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > bytes_max:
            raise BadRequest(413, f"the body is larger than {bytes_max} bytes")
        parts.append(chunk)
    return b"".join(parts)


def _form(body: bytes, fields_max: int) -> MultiDict[str]:
    """The fields of the body in their order; a name without `=` has an empty value."""
    try:
        text = body.decode().replace("+", " ").replace("%2B", "+")  # each number has one
        fields = [field for field in text.split("&") if field]
        if len(fields) > fields_max:
            raise BadRequest(400, f"the form has more than {fields_max} fields")
        return MultiDict([_pair(field) for field in fields])
    except UnicodeDecodeError:
        raise BadRequest(400, "the form is not UTF-8") from None


def _pair(field: str) -> tuple[str, str]:
    """The name and the value, without percent-encoding; raises UnicodeDecodeError for what is not
    UTF-8."""
    name, _, value = field.partition("=")
    if "%" in field:  # few have any
        return unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()
    return name, value
