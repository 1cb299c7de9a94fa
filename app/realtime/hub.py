"""Everybody who is connected to this process.

What moved anywhere is heard here: from our own commits at once, from other processes by NOTIFY.
What our commits moved is told to them likewise, after the commit and coalesced: never inside of
one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Coroutine
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from app import ids
from app.api import errors
from app.api.auth import Gate
from app.api.limits import Buckets
from app.errors import Refused, TooMany, Unavailable
from app.observe import Failed, Measured
from app.realtime import entry, frames
from app.realtime.entry import Door
from app.realtime.events import TYPING, notification
from app.realtime.follow import Follower
from app.realtime.frames import Frame, Malformed
from app.realtime.people import LATENCY_S, TYPING_S
from app.realtime.presence import Presence
from app.realtime.session import EXPIRED, OFFLOAD, REVOKED, Session
from app.realtime.subscribing import Subscriber
from app.realtime.topics import Topics
from app.realtime.tunnel import Tunnel
from app.realtime.wire import Typing, Wire
from app.road.items import Road
from app.runtime import Runtime
from app.store import sync
from app.store.keys import BELL

PATH = "/v3/wsconnect"
HEARTBEAT_S = 20.0
INIT_S = 30.0
"""How long somebody may take to say who they are."""
FRAME_BYTES_MAX = 4 << 20
WATCH_S = 1.0
WARNED_S = 180.0
"""How long before its end a client is told to renew its token."""
AGAIN_S = (1.0, 10.0)
"""When those come again who came too many at once: not all at once."""
DRAINED_S, CLOSE_S = 5.0, 3.0
"""How long requests may take to end when we stop, and clients to say goodbye."""
BACK_PER_S = 110.0
"""How many come back at once where there is no limit to that."""
OK = {"status": {"code": 200, "status": "OK"}}


class Hub:
    """Sockets, what they follow, and who tells whom. `road`, `actions` and `gate` are those of
    REST: a change is counted, and a key known, in one place."""

    def __init__(self, runtime: Runtime, road: Road, actions: Buckets, gate: Gate) -> None:
        self._runtime = runtime
        self.road, self.actions, self.gate = road, actions, gate
        self.process = ids.token()
        self.sessions: set[Session] = set()
        self.topics = Topics()
        self.follower = Follower(runtime, self.topics)
        self.wire = Wire(runtime, self._heard)
        self._presence = Presence(runtime, self.process, self.moved)
        self._limits = runtime.settings.realtime
        self._tunnel = Tunnel(runtime, road, actions, self._spawn, self._typed)
        self._door = Door(runtime, gate)
        self._group: asyncio.TaskGroup | None = None
        self._draining = False

    def join(self, site: web.Application) -> None:
        """Put the socket on the site; when the site goes, clients go elsewhere."""
        site.router.add_get(PATH, self.connect)
        site.on_shutdown.append(self._shut)

    async def _shut(self, _: web.Application) -> None:
        await self.drain()

    def moved(self, names: Collection[str]) -> None:
        """Our own commits moved these."""
        self.follower.hear(names)
        self.wire.tell(names)

    async def run(self) -> None:
        """Follow and tell until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for part in (
                self.follower.run(),
                self.follower.poll(),
                self.wire.run(),
                self.wire.listen(),
                self._presence.run(),
                self._watch(),
            ):
                group.create_task(part)

    async def tell(self) -> None:
        """Only tell, in a process that nobody connects to, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.wire.run())
            group.create_task(self.wire.listen())

    async def drain(self) -> None:
        """Nobody comes in any more; those who are here finish their requests and go elsewhere: as
        many of an account as may come at once are there within a second or two (a client whose
        socket closes is back sooner than one that is told to), the others are told when."""
        self._draining = True
        gone, per_s = Counter[str](), self._limits.connections_per_s or BACK_PER_S
        going = []
        for session in list(self.sessions):
            account = session.grant.account_sid if session.known else ""
            later_s = gone[account] // max(1.0, per_s)
            gone[account] += 1
            going.append(self._let_go(session, int(later_s * 1000)))
        await asyncio.gather(*going)
        with suppress(Unavailable):
            await self._presence.clear()

    async def _let_go(self, session: Session, later_ms: int) -> None:
        await session.finish(DRAINED_S)
        if later_ms:
            session.dismiss(OFFLOAD, later_ms)
        session.leave()
        await session.close(1001)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """GET /v3/wsconnect: one client, from its first frame to its last."""
        full = len(self.sessions) >= self._limits.connections_max
        if self._draining or full or self._group is None:
            headers = {"Retry-After": "1"}
            return errors.answer(503, errors.UNAVAILABLE, "Service unavailable", headers=headers)
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, max_msg_size=FRAME_BYTES_MAX, compress=False, timeout=CLOSE_S
        )
        if not socket.can_prepare(request):
            return errors.answer(400, errors.GENERIC + 400, "A WebSocket is expected here")
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        limit = self._limits.send_bytes_max
        session = Session(socket, transport, self._runtime.clock, limit)
        self.sessions.add(session)
        try:
            await self._serve(session, socket)
        finally:
            self.sessions.discard(session)
            session.leave()
            if session.known:
                self._door.left(session.grant)
                self._presence.left(session.grant.service_sid, session.identity)
        return socket

    async def _serve(self, session: Session, socket: web.WebSocketResponse) -> None:
        """Take frames until the socket closes."""
        wait_s: float | None = INIT_S
        while not session.gone:
            try:
                message = await socket.receive(timeout=wait_s)
            except TimeoutError:
                await session.close(1008)
                return
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
                return
            if message.type == WSMsgType.ERROR:
                return
            if message.type != WSMsgType.BINARY:
                continue
            try:
                frame = frames.unpack(message.data)
            except Malformed:
                await session.close(1002)
                return
            if not await self._take(session, frame):
                return
            wait_s = None if session.known else INIT_S

    async def _take(self, session: Session, frame: Frame) -> bool:
        """Do what a frame says; whether there may be another one."""
        method = frame.method
        if method == "close":
            await session.close()
            return False
        if method == "reply":
            session.acknowledged()
        elif method in ("init", "update"):
            await self._identify(session, frame)
        elif method == "message" and session.known:
            await session.slots.acquire()
            self._spawn(self._answer(session, frame))
        elif method in ("put_notification_ctx", "delete_notification_ctx"):
            session.reply(frame.id, OK)
        elif method == "message":
            await session.close(1008)
            return False
        return True

    async def _answer(self, session: Session, frame: Frame) -> None:
        try:
            await self._tunnel.handle(session, frame)
        finally:
            session.slots.release()

    async def _identify(self, session: Session, frame: Frame) -> None:
        """Let somebody in, or take their new token."""
        try:
            person = await self._door.enter(str(frame.header.get("token") or ""), session)
        except TooMany as many:
            wait_s = AGAIN_S[0] + (AGAIN_S[1] - AGAIN_S[0]) * ids.chance()
            wait = {"backoff_policy": {"reconnect_min_ms": int(wait_s * 1000)}}
            session.refuse(frame.id, 429, "TOO_MANY_REQUESTS", many.message, many.code, wait)
        except Refused as refused:
            session.refuse(frame.id, 401, "UNAUTHORIZED", refused.message, refused.code)
        except Unavailable:
            session.refuse(frame.id, 503, "SERVICE_UNAVAILABLE", "Service unavailable", 20503)
        except Exception as error:
            self._runtime.observe(Failed("letting a client in", error))
            session.refuse(frame.id, 500, "INTERNAL", "Internal Server Error", 20500)
        else:
            known = session.known
            session.enter(person)
            if not known:
                parts = (self._runtime, self.topics, self.follower, session, person)
                session.subscriber = Subscriber(*parts)
                self._presence.came(person.grant.service_sid, person.grant.identity)
                self.wire.here()
            session.reply(frame.id, entry.welcome(frame) if frame.method == "init" else OK)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> object:
        assert self._group is not None
        return self._group.create_task(self._guarded(work))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """What goes wrong with one client is no reason to stop for all."""
        try:
            await work
        except Exception as error:
            if not isinstance(error, Unavailable | ConnectionError):
                self._runtime.observe(Failed("a socket", error))

    def _typed(self, service_sid: str, sid: str, identity: str) -> None:
        """Somebody types: the other participants who are connected are told, everywhere."""
        self.wire.types(service_sid, sid, identity)
        self._spawn(self._types(service_sid, sid, identity))

    async def _types(self, service_sid: str, sid: str, identity: str) -> None:
        here = {
            one.identity: one
            for one in self.sessions
            if one.known and one.grant.service_sid == service_sid and one.identity != identity
        }
        if not here:
            return
        try:
            async with self._runtime.db.read() as tx:
                there = await sync.members(tx.sql, [sid], list(here))
        except Unavailable:
            return  # it would be over before it can be told
        timeout = TYPING_S + LATENCY_S
        body = {"channel_sid": sid, "identity": identity, "typing_timeout": timeout}
        frame = notification(TYPING, body)
        members = {who for _, who in there}
        for session in list(self.sessions):
            if not session.known or session.identity not in members:
                continue
            if session.grant.service_sid == service_sid:
                session.push(frame)

    def _heard(self, names: Collection[str], typing: Collection[Typing]) -> None:
        """Another process says so."""
        self.follower.hear(names)
        for one in typing if self._group is not None else ():
            self._spawn(self._types(*one))

    async def _watch(self) -> None:
        """Tell clients when their token ends, and let go whose token has, or whose key is gone."""
        clock, rung = self._runtime.clock, self._runtime.wakes.bell(BELL)
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(rung.wait(), WATCH_S)
                rung.clear()
                self._door.forget()
            try:
                await self._look_after(clock.now().timestamp())
            except Exception as error:
                if not isinstance(error, Unavailable):
                    self._runtime.observe(Failed("watching tokens", error))

    async def _look_after(self, now: float) -> None:
        known = [one for one in self.sessions if one.known and not one.gone]
        self._runtime.observe(Measured("sockets", len(known)))
        if known:
            self.wire.here()
        fallen = await self._door.fallen(one.grant for one in known)
        for session in known:
            left_s = session.grant.expires_at.timestamp() - now
            if session.grant.key_sid in fallen:
                session.dismiss(REVOKED)
                self._spawn(session.close(1008))
            elif left_s <= 0:
                session.dismiss(EXPIRED)
                self._spawn(session.close(1008))
            elif left_s <= WARNED_S and not session.warned:
                session.warned = True
                warning = {"client_update_type": "token_about_to_expire"}
                session.send({"method": "client_update", **warning})
