"""A client of the socket, as the official SDK is one: frames, requests in the tunnel, events
applied to what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant

from app.realtime.frames import Frame, pack, unpack

AIM, CDS = "aim.us1.twilio.com", "cds.us1.twilio.com"
WITHIN_S = 30.0
numbers = count(1)


def token(
    account_sid: str,
    key_sid: str,
    secret: str,
    service_sid: str,
    identity: str,
    ttl_s: int = 3600,
) -> str:
    """An access token, made by the official helper library."""
    made = AccessToken(account_sid, key_sid, secret, identity=identity, ttl=ttl_s)
    made.add_grant(ChatGrant(service_sid=service_sid))
    return str(made.to_jwt())


class Entity:
    """What a client holds of a document, list or map."""

    def __init__(self, kind: str, root: dict[str, Any]) -> None:
        self.kind, self.sid = kind, root["sid"]
        self.last = root["last_event_id"]
        self.data = root.get("data")
        self.items: dict[Any, tuple[int, Any]] = {}
        self.gone: dict[Any, int] = {}
        self.established = False
        self.raised: list[tuple[str, Any]] = []

    def apply(self, kind: str, event: dict[str, Any]) -> None:
        """An event, as the SDK takes it: what it has already is passed over."""
        if kind.endswith("_removed") and "_item_" not in kind:
            self.raised.append(("gone", None))
            return
        if kind == "document_updated":
            if event["id"] > self.last:
                self.last, self.data = event["id"], event["document_data"]
                self.raised.append(("updated", None))
            return
        key = event.get("item_index", event.get("item_key"))
        known = max(self.items.get(key, (-1, None))[0], self.gone.get(key, -1))
        if event["id"] <= known:
            return
        if self.established:
            self.last = max(self.last, event["id"])
        if kind.endswith("_removed"):
            self.items.pop(key, None)
            self.gone[key] = event["id"]
        else:
            self.items[key] = (event["id"], event["item_data"])
        self.raised.append((kind.rpartition("_")[2], key))


class Sdk:
    """One connected client."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.frames: list[Frame] = []
        self.pushed: list[tuple[str, dict[str, Any]]] = []
        self.entities: dict[str, Entity] = {}
        self.closed = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[Frame]] = {}
        self._stirred = asyncio.Event()

    async def run(self) -> None:
        """Read until the socket closes."""
        async for message in self.socket:
            if message.type != aiohttp.WSMsgType.BINARY:
                continue
            frame = unpack(message.data)
            if frame.method == "reply":
                waiting = self._waiting.pop(frame.id, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(frame)
            else:
                await self.acknowledge(frame)
            self._stirred.set()
        self.closed.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("closed"))
        self._stirred.set()

    async def acknowledge(self, frame: Frame) -> None:
        reply = {"method": "reply", "id": frame.id, "status": {"code": 200, "status": "OK"}}
        if not self.socket.closed:
            try:
                await self.socket.send_bytes(pack(reply))
            except ConnectionError:
                return
        self.frames.append(frame)
        if frame.method == "notification":
            self._take(frame.header["message_type"], orjson.loads(frame.payload))

    def _take(self, message_type: str, body: dict[str, Any]) -> None:
        self.pushed.append((message_type, body))
        kind = body.get("event_type", "")
        for event in body.get("events", ()):
            sid = next(
                (
                    event[f"{one}_sid"]
                    for one in ("document", "list", "map")
                    if f"{one}_sid" in event
                ),
                event.get("object_sid"),
            )
            entity = self.entities.get(sid or "")
            if entity is None:
                continue
            if kind == "subscription_established":
                entity.established = True
                entity.last = max(entity.last, event["last_event_id"])
            elif not kind.startswith("subscription"):
                entity.apply(kind, event)

    async def ask(self, header: dict[str, Any], body: bytes = b"") -> Frame:
        """Send a frame and wait for its answer."""
        frame_id = f"TM{next(numbers)}"
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[frame_id] = future
        await self.socket.send_bytes(pack({"id": frame_id, **header}, body))
        async with asyncio.timeout(WITHIN_S):
            return await future

    async def init(self, access_token: str) -> Frame:
        return await self.ask(
            {"method": "init", "token": access_token, "capabilities": ["client_update"]}
        )

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        params: dict[str, str] | None = None,
        host: str = AIM,
        kind: str = "application/json; charset=utf-8",
    ) -> tuple[int, Any, str]:
        """A request in the tunnel: status, body, and the word beside the status."""
        payload = b""
        if body is not None:
            payload = body if isinstance(body, bytes) else orjson.dumps(body)
        request = {
            "host": host,
            "path": path,
            "method": method,
            "params": params or {},
            "headers": {},
        }
        header = {
            "method": "message",
            "active_grant": "ip_messaging",
            "http_request": request,
            "payload_type": kind,
        }
        frame_id = f"TM{next(numbers)}"
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[frame_id] = future
        head = orjson.dumps({"id": frame_id, **header, "payload_size": len(payload)})
        await self.socket.send_bytes(b"TWILSOCK V3.0 %d\r\n%b\r\n%b" % (len(head), head, payload))
        async with asyncio.timeout(WITHIN_S):
            frame = await future
        status = frame.header["http_status"]
        return status["code"], orjson.loads(frame.payload or b"null"), status["status"]

    async def aim(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """A command that must go well."""
        status, answer, said = await self.request(method, f"/Client/v2/{path}", body, **options)
        assert status < 300, (status, answer, said)
        return answer

    async def open(self, kind: str, name: str) -> Entity:
        """Read an entity's root."""
        path = f"/v3/{kind}/{quote(name, safe='')}"
        status, root, said = await self.request("GET", path, host=CDS)
        assert status == 200, (status, root, said)
        return self.entities.setdefault(root["sid"], Entity(kind, root))

    async def items(self, entity: Entity, **params: str) -> dict[str, Any]:
        """Read a page of an entity's items, and hold them."""
        path = f"/v3/{entity.kind}/{entity.sid}/Items"
        status, page, said = await self.request("GET", path, params=params, host=CDS)
        assert status == 200, (status, page, said)
        for item in page["items"]:
            key = item.get("index", item.get("key"))
            if item["last_event_id"] >= entity.items.get(key, (-1, None))[0]:
                entity.items[key] = (item["last_event_id"], item["data"])
        return page

    async def subscribe(self, *entities: Entity, action: str = "establish") -> int:
        """Subscribe to these, and wait until that is confirmed."""
        number = next(numbers) * 1_000_000_007
        types = {"Documents": "document", "Lists": "list", "Maps": "map"}
        wanted = [
            {"object_sid": one.sid, "object_type": types[one.kind], "last_event_id": one.last}
            for one in entities
        ]
        body = {
            "event_protocol_version": 4,
            "action": action,
            "correlation_id": number,
            "retried_requests": 0,
            "ttl_in_s": -1,
            "requests": wanted,
        }
        status, answer, said = await self.request("POST", "/v4/Subscriptions", body, host=CDS)
        assert status == 202, (status, answer, said)
        await self.until(lambda: len(self.confirmed(number)) == len(entities))
        return number

    def confirmed(self, number: int) -> list[dict[str, Any]]:
        """What was said to a request for subscriptions."""
        return [body for _, body in self.pushed if body.get("correlation_id") == number]

    async def until(self, condition: Callable[[], Any], within_s: float = WITHIN_S) -> None:
        """Wait until this is so: it is looked at after every frame."""
        async with asyncio.timeout(within_s):
            while not condition():
                self._stirred.clear()
                await self._stirred.wait()

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of this type so far."""
        return [
            event
            for _, body in self.pushed
            if body.get("event_type") == kind
            for event in body["events"]
        ]


@asynccontextmanager
async def connected(url: str, access_token: str) -> AsyncIterator[Sdk]:
    """A client whose token was taken."""
    async with raw(url) as sdk:
        reply = await sdk.init(access_token)
        assert reply.header["status"]["code"] == 200, reply
        yield sdk


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[Sdk]:
    """A socket that has said nothing yet."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/v3/wsconnect") as socket:
        sdk = Sdk(socket)
        reading = asyncio.create_task(sdk.run())
        try:
            yield sdk
        finally:
            await socket.close()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
