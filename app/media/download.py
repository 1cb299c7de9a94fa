"""A file is fetched from where somebody else keeps it, through the guarded client."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import aiohttp

from app import egress
from app.errors import Invalid, Permanent, Temporary
from app.media.intake import Incoming

REDIRECTS_MAX = 5
MOVED = frozenset({301, 302, 303, 307, 308})
GONE = frozenset({404, 410})
CODE = 63019
"""The original's "Media failed to download"."""
READ_S = 20.0
"""How long a server may be silent in the middle of a file."""


class Gone(Permanent):
    """There is no such file at this URL, or no longer."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the other side says of the file that it sent."""

    content_type: str
    filename: str | None


async def download(
    client: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    incoming: Incoming,
    timeout_s: float,
) -> Said:
    """Fetch the file. A redirect is followed, without `headers` when it leads to another host.

    Raises Temporary when another try may do better; Permanent when it is too large for us, and Gone
    when it is not there; NoRoom.
    """
    try:
        async with AsyncExitStack() as stack:
            response = await _open(stack, client, url, headers, timeout_s)
            length = response.content_length
            if length is not None and length > incoming.bytes_max:
                raise Permanent(f"the file has {length} bytes, we take {incoming.bytes_max}", CODE)
            async for chunk in response.content.iter_any():
                await incoming.write(chunk)
            if length is not None and incoming.draft.size != length and _as_is(response):
                raise Temporary("the file came shorter than it said", CODE)
            return _said(response)
    except Invalid:
        text = f"the file has more than the {incoming.bytes_max} bytes that we take"
        raise Permanent(text, CODE) from None
    except TimeoutError:
        raise Temporary("the file did not come in time", CODE) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Temporary(_why(error), CODE) from None


async def _open(
    stack: AsyncExitStack,
    client: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    timeout_s: float,
) -> aiohttp.ClientResponse:
    for _ in range(REDIRECTS_MAX + 1):
        called = egress.call(
            client, "GET", url, timeout_s=timeout_s, read_s=READ_S, headers=dict(headers)
        )
        response = await stack.enter_async_context(called)
        location = response.headers.get("Location")
        if response.status not in MOVED or not location:
            return _checked(response)
        response.close()
        further = urljoin(url, location)
        if _origin(further) != _origin(url):
            headers = {}
        url = further
    raise Permanent("the file moves in circles", CODE)


def _checked(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    if response.status in GONE:
        raise Gone(f"the file is not there (HTTP {response.status})", CODE)
    if response.status != 200:
        raise Temporary(f"HTTP {response.status}", CODE)
    return response


def _why(error: Exception) -> str:
    """What went wrong, without the URL: it may be a secret."""
    closed = getattr(error, "os_error", None)
    if isinstance(closed, egress.Refused):
        return str(closed.strerror)
    return f"the file did not come: {type(error).__name__}"


def _said(response: aiohttp.ClientResponse) -> Said:
    disposition = response.content_disposition
    filename = disposition.filename if disposition is not None else None
    return Said(response.headers.get("Content-Type", ""), filename)


def _as_is(response: aiohttp.ClientResponse) -> bool:
    return "Content-Encoding" not in response.headers


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
