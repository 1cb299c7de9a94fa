"""The webhook sink: a signed JSON POST of an array of events ("Webhook quickstart", Event Streams).

With `batch_events: false` each event goes alone and not in an array. A GET has no body: it carries
one event, as the parameter `event`. The URL's user and password go as Basic authentication with the
first request; they are not in the URL that is signed, because a receiver does not see them there.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import aiohttp

from app import egress
from app.carriers.signature import HEADER, sign, sign_json
from app.runtime import Runtime
from app.store.stream_followers import Claimed
from app.streams.cloudevents import JSON, batch
from app.streams.sending import DETAIL_CHARS_MAX, Message, Sent

RETRY_AFTER_STATUSES = frozenset({429, 503})
ALONE_SHARE = 1 / 3
"""How much of its lease a follower may spend on beginning to send events one by one."""


class Webhook:
    """Calls customers."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        schedule = runtime.settings.streams
        self._timeout_s = schedule.timeout_s
        self._alone_s = ALONE_SHARE * schedule.effective_lease_s(3 * schedule.timeout_s + 15)

    async def send(self, follower: Claimed, messages: Sequence[Message]) -> Sent:
        """All in one call, or one by one until one does not arrive."""
        if together(follower.configuration):
            sent = await self._post(follower, batch([one.body for one in messages]))
            return Sent(
                len(messages) if sent.outcome == "delivered" else 0,
                sent.outcome,
                sent.status,
                sent.detail,
                sent.retry_after_s,
            )
        return await self._one_by_one(follower, messages)

    async def close(self) -> None:
        """Nothing is held."""

    async def _one_by_one(self, follower: Claimed, messages: Sequence[Message]) -> Sent:
        clock = self._runtime.clock
        ends = clock.monotonic() + self._alone_s
        sent, arrived = Sent(0, "delivered"), 0
        for message in messages:
            if arrived and clock.monotonic() >= ends:
                break
            sent = await self._post(follower, message.body)
            if sent.outcome != "delivered":
                break
            arrived += 1
        return Sent(arrived, sent.outcome, sent.status, sent.detail, sent.retry_after_s)

    async def _post(self, follower: Claimed, body: bytes) -> Sent:
        house = self._runtime.settings.houses.get(follower.account_sid)
        if house is None:
            return _unreachable("the account is not in the file any more: nothing signs for it")
        token = house.account.auth_token.get_secret_value()
        method, url, request = _request(follower.configuration, body, token)
        try:
            async with egress.call(
                self._runtime.egress, method, url, timeout_s=self._timeout_s, **request
            ) as response:
                answer = await egress.read(response, DETAIL_CHARS_MAX)
        except TimeoutError:
            return _unreachable("no answer in time")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _unreachable(f"{type(error).__name__}: {error}")
        if 200 <= response.status < 300:
            return Sent(1, "delivered", response.status)
        detail = f"{response.status} {answer.decode(errors='replace')}"[:DETAIL_CHARS_MAX]
        return Sent(0, "refused", response.status, detail, _retry_after(response))


def together(configuration: Mapping[str, Any]) -> bool:
    """Whether several events go in one call."""
    return configuration["method"] == "POST" and bool(configuration["batch_events"])


def _request(
    configuration: Mapping[str, Any], body: bytes, token: str
) -> tuple[str, str, dict[str, Any]]:
    """Method, URL, and the rest of a request, signed."""
    url, headers = _without_user(configuration["destination"].partition("#")[0])
    if configuration["method"] == "GET":
        mark = "&" if "?" in url else "?"
        url = f"{url}{mark}event={quote(body, safe='')}"
        return "GET", url, {"headers": headers | {HEADER: sign(url, {}, token)}}
    url, signature = sign_json(url, body, token)
    headers |= {"Content-Type": JSON, HEADER: signature}
    return "POST", url, {"headers": headers, "data": body}


def _without_user(url: str) -> tuple[str, dict[str, str]]:
    """The URL without user and password, and the header that they go in."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, {}
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return bare, {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    if response.status in RETRY_AFTER_STATUSES and text.isdecimal():
        return float(text)
    return None


def _unreachable(detail: str) -> Sent:
    return Sent(0, "unreachable", detail=detail[:DETAIL_CHARS_MAX])
