"""One HTTP call to a carrier, and what is known when it does not work: nothing happened
(Temporary) or nobody can say (Unknown)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson

from app.carriers.contract import Context
from app.errors import Temporary, Unknown

CONNECT_S = 5.0
ANSWER_BYTES_MAX = 1_048_576

_SECONDS = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"(?<![0-9A-Za-z])\+?[0-9]{3,}([0-9]{4})(?![0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class Reply:
    """A carrier's answer. `body` is empty when it was longer than we take."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The JSON object in the answer; an empty one when there is none."""
        try:
            found = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}


async def call(
    context: Context,
    method: str,
    url: str,
    *,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    data: aiohttp.FormData | bytes | None = None,
    bytes_max: int = ANSWER_BYTES_MAX,
) -> Reply:
    """The answer, whatever its status; redirects are not followed.

    Raises Temporary when no connection came about, and Unknown when the request may have arrived
    and no whole answer came back within `timeout_s` seconds (after at most CONNECT_S to connect).
    """
    timeout = aiohttp.ClientTimeout(
        total=CONNECT_S + timeout_s, connect=CONNECT_S, sock_read=timeout_s
    )
    try:
        async with context.http.request(
            method,
            url,
            headers=headers,
            params=params,
            data=data,
            timeout=timeout,
            allow_redirects=False,
        ) as response:
            return Reply(response.status, response.headers, await _bounded(response, bytes_max))
    except (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        aiohttp.InvalidURL,
    ) as error:
        lost = f"no connection to the carrier: {type(error).__name__}"
        raise Temporary(lost, down=True) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unknown(f"the carrier's answer was lost: {type(error).__name__}") from error


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds of a Retry-After header, given as seconds or as a date (RFC 9110 10.2.3)."""
    given = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(given):
        return float(given)
    try:
        moment = parsedate_to_datetime(given)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def without_numbers(text: str) -> str:
    """An error text of a carrier for our logs: of phone numbers only the last four digits stay."""
    return _NUMBER.sub(r"***\1", text)[:300]


async def _bounded(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > bytes_max:
            response.close()
            return b""
    return bytes(body)
