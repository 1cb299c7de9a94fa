"""Requests in the tunnel: which path is for whom.

Hosts are labels that nobody resolves: paths alone count, below whatever prefix the client was
given.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from app.api import errors
from app.api.limits import Buckets
from app.errors import Invalid, NotFound, Refused, Unavailable
from app.observe import Failed
from app.realtime import reading, subscribing
from app.realtime.asked import Answer, Asked, failed, segment
from app.realtime.commands import Commands
from app.realtime.frames import Frame
from app.realtime.session import Session
from app.road.items import Road
from app.runtime import Runtime

SYNC = re.compile(
    r"(?P<prefix>.*?)/v3/(?P<kind>Documents|Lists|Maps)/(?P<key>[^/]+)(?P<items>/Items)?"
)
SUBSCRIBE = re.compile(r".*?/v4/Subscriptions")
COMMAND = re.compile(r"(?P<prefix>.*?)/Client/v2/(?P<path>.+)")
REGISTER = re.compile(r".*?/v1/registrations(?P<id>/[^/]+)?")
IN_ORDER_S = 1.0
"""How long a page of items waits for the events of what is in it: a client that reads an item
before it hears of it never says that it was added."""
OK = {"code": 200, "status": "OK"}

Handler = Callable[[Session, Asked], Awaitable[Answer]]


class Tunnel:
    """Answers requests of clients. `spawn` runs what goes on after an answer."""

    def __init__(
        self,
        runtime: Runtime,
        road: Road,
        actions: Buckets,
        spawn: Callable[[Any], object],
        typed: Callable[[str, str, str], None],
    ) -> None:
        self._runtime, self._spawn = runtime, spawn
        limits, clock = runtime.settings.realtime, runtime.clock
        self._of_socket = Buckets(limits.requests_per_s, clock)
        self._of_account = Buckets(limits.account_requests_per_s, clock)
        # When thousands come back at once they wait in line here, and REST does not wait for them.
        self._reading = asyncio.Semaphore(max(1, runtime.settings.database.pool_max // 2))
        self._commands = Commands(runtime, road, actions, typed)

    async def handle(self, session: Session, frame: Frame) -> None:
        """Answer one request, whatever comes of it."""
        try:
            answer = await self._answer(session, frame)
        except Exception as error:
            answer = self._went_wrong(error)
        await session.room()
        body = b"" if answer.body is None else orjson.dumps(answer.body)
        header = {"status": OK, "http_status": {"code": answer.status, "status": answer.said}}
        if body:
            header["http_headers"] = {"Content-Type": "application/json"}
        session.reply(frame.id, header, body)

    async def _answer(self, session: Session, frame: Frame) -> Answer:
        self._of_socket.take(session.id)
        self._of_account.take(session.grant.account_sid)
        asked = Asked.of(frame)
        path = asked.path.partition("?")[0]
        if found := SYNC.fullmatch(path):
            return await self._sync(session, asked, found)
        if SUBSCRIBE.fullmatch(path) and asked.method == "POST":
            return self._subscribe(session, asked)
        if found := COMMAND.fullmatch(path):
            base = f"https://{asked.host}{found['prefix']}"
            return await self._commands.run(session, asked, found["path"], base)
        if (found := REGISTER.fullmatch(path)) is not None:
            return await self._commands.register(session, asked, (found["id"] or "")[1:])
        raise NotFound(errors.NOT_FOUND, f"The requested resource {path} was not found")

    async def _sync(self, session: Session, asked: Asked, found: re.Match[str]) -> Answer:
        if asked.method != "GET":
            raise Invalid(errors.METHOD_NOT_ALLOWED, "Method not allowed")
        base = f"https://{asked.host}{found['prefix']}"
        read = reading.items if found["items"] else reading.root
        key = segment(found["key"])
        async with self._reading:
            who = session.person
            answer = await read(self._runtime, who, asked, base, found["kind"], key)
        if found["items"] and session.subscriber is not None:
            latest = max((one["last_event_id"] for one in answer.body["items"]), default=0)
            if await session.subscriber.follows(key, latest, IN_ORDER_S):
                await session.heard(IN_ORDER_S)
        return answer

    def _subscribe(self, session: Session, asked: Asked) -> Answer:
        """Accept; confirmations are pushed, each as soon as its replay is."""
        action, correlation_id, wanted = subscribing.requests(asked.json)
        subscriber = session.subscriber
        assert subscriber is not None
        if action == "cancel":
            subscriber.cancel(correlation_id, wanted)
        else:
            subscriber.ask(correlation_id, wanted)
            self._spawn(self._establish(session, correlation_id, wanted))
        return subscribing.accepted()

    async def _establish(self, session: Session, correlation_id: Any, wanted: Any) -> None:
        assert session.subscriber is not None
        try:
            async with self._reading:
                if not session.gone:
                    await session.subscriber.establish(correlation_id, wanted)
        except Unavailable:
            session.give_up()  # it comes back and asks again
        except Exception as error:
            self._runtime.observe(Failed("a subscription", error))
            session.give_up()

    def _went_wrong(self, error: Exception) -> Answer:
        """The answer to what went wrong: the client shows the word beside the status."""
        if isinstance(error, Refused):
            response = errors.of_refused(error)
            return failed(response.status, error.code, error.message)
        if isinstance(error, Unavailable):
            return failed(503, errors.UNAVAILABLE, "Service unavailable")
        if isinstance(error, web.HTTPException):
            return failed(error.status, errors.GENERIC + error.status, error.reason)
        self._runtime.observe(Failed("a request in the tunnel", error))
        return failed(500, errors.INTERNAL, "Internal Server Error")
