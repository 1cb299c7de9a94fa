"""Applications that are connected: what a socket costs, and how soon an inbound message is at an
agent's."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

import aiohttp
import orjson

from app.carriers import signature
from app.clock import Clock
from app.realtime.entities import sid as entity_sid
from app.realtime.frames import pack, unpack
from app.rules.access_tokens import Signer, make
from tests.bench import town
from tests.bench.processes import resident_mib, used_s
from tests.bench.stage import Dataset, Served, Stage, connected
from tests.bench.table import Figure, percentile

ROLES = "api,inbound"
KEY, SECRET = "SK" + "7" * 32, "the-secret-of-the-key-of-the-bench"
UNLIMITED = (
    *("connections_per_s", "all_connections_per_s", "account_connections_max"),
    *("requests_per_s", "account_requests_per_s"),
)
IDLE, QUICK_IDLE = 7000, 300
"""As many as a process takes."""
IDLE_S = 4.0
PER_S = 20
FOLLOWING = 100
"""Of those who are connected, how many have the conversation of the inbounds open."""
TALKING_S = 3.0
numbers = itertools.count(1)

SEAT = """
WITH room AS (SELECT * FROM conversations WHERE sid = $2)
INSERT INTO participants (sid, account_sid, chat_service_sid, conversation_sid, identity, role_sid,
  date_created, date_updated)
SELECT 'MB' || md5('seat' || n), r.account_sid, r.chat_service_sid, r.sid, 'agent ' || n,
  (SELECT default_conversation_role_sid FROM services s WHERE s.sid = r.chat_service_sid), now(),
  now()
FROM room r, generate_series(1, $1::int) AS n
ON CONFLICT DO NOTHING
"""
ROOM = """
SELECT c.sid, c.chat_service_sid, c.account_sid FROM conversations c
JOIN bindings b ON b.conversation_sid = c.sid WHERE b.address = $1 AND b.open
"""


MANY = 120
STARTER = """
INSERT INTO participants (sid, account_sid, chat_service_sid, conversation_sid, identity,
  date_created, date_updated)
SELECT 'MB' || md5('starter' || sid), account_sid, chat_service_sid, sid, 'agent 1', now(), now()
FROM conversations ORDER BY sid LIMIT $1
ON CONFLICT DO NOTHING
"""


class Ear:
    """A connected client that notes when each message came to it, by its text."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: dict[str, float] = {}
        self.answers: dict[str, asyncio.Future[Any]] = {}
        self.ready = asyncio.Event()
        self.established = 0

    async def listen(self) -> None:
        """Until the socket closes."""
        async for message in self.socket:
            data = message.data
            if b"list_item_added" in data:
                at = monotonic()
                for event in orjson.loads(unpack(data).payload)["events"]:
                    self.heard.setdefault(event["item_data"]["text"], at)
            elif b"subscription_established" in data:
                self.established += 1
                self.ready.set()
            elif b'"method":"reply"' in data[:200]:
                frame = unpack(data)
                future = self.answers.pop(frame.id, None)
                if future is not None and not future.done():
                    future.set_result(frame)

    async def ask(self, header: dict[str, Any], body: bytes = b"") -> Any:
        """Send a frame and wait for the answer to it."""
        frame_id = f"TM{next(numbers)}"
        future = self.answers[frame_id] = asyncio.get_running_loop().create_future()
        await self.socket.send_bytes(pack({"id": frame_id, **header}, body))
        return await asyncio.wait_for(future, 60)

    async def request(
        self, method: str, path: str, body: Any = None, params: dict[str, str] | None = None
    ) -> Any:
        """A request in the tunnel."""
        given = {name: value for name, value in (params or {}).items() if value}
        asked = {"host": "x", "path": path, "method": method, "params": given, "headers": {}}
        payload = b"" if body is None else orjson.dumps(body)
        return await self.ask({"method": "message", "http_request": asked}, payload)


async def sockets(stage: Stage) -> Sequence[Figure]:
    """Memory and processor time of an idle socket."""
    dataset = await stage.dataset(stage.small)
    many = QUICK_IDLE if stage.quick else IDLE
    async with stage.service(dataset, ROLES, **_settings()) as served:
        before = resident_mib(served.process)
        began = monotonic()
        async with crowd(dataset, served, many) as _:
            took_s = monotonic() - began
            each_kib = (resident_mib(served.process) - before) * 1024 / many
            used, at = used_s(served.process), monotonic()
            await asyncio.sleep(IDLE_S)
            idle = (used_s(served.process) - used) / (monotonic() - at)
    words = f"{many:,} connected at {many / took_s:,.0f}/s; {idle:.1%} of a core while idle"
    return [Figure("KiB of memory for a socket", each_kib, beside=words)]


async def heard(stage: Stage) -> Sequence[Figure]:
    """From the inbound's request to `messageAdded`, with few and many sockets connected."""
    dataset = await stage.dataset(stage.small)
    found = []
    async with stage.service(dataset, ROLES, **_settings()) as served:
        for many in (1, 100) if stage.quick else (1, 100, 2000):
            async with crowd(dataset, served, many, following=min(many, FOLLOWING)) as ears:
                await _lags(served, ears[0], PER_S)  # connections and plans are made
                lags = await _lags(served, ears[0], round(PER_S * max(1.0, stage.seconds)))
            p50, p99 = percentile(lags, 0.5) * 1000, percentile(lags, 0.99) * 1000
            words = f"p50 {p50:.1f} p99 {p99:.1f} ms of {len(lags)} at {PER_S}/s"
            found.append(
                Figure(f"inbound -> messageAdded, {many} sockets: p99 ms", p99, beside=words)
            )
    return found


async def crowded(stage: Stage) -> Sequence[Figure]:
    """Messages to one conversation that 200 follow."""
    dataset = await stage.dataset(stage.small)
    many = 50 if stage.quick else 200
    async with (
        stage.service(dataset, ROLES, **_settings()) as served,
        crowd(dataset, served, many, following=many) as ears,
    ):
        sid = (await _room(dataset))["sid"]
        count = round(100 * stage.seconds)
        path = f"/Client/v2/Conversations/{sid}/Messages"
        began = monotonic()
        for start in range(0, count, 16):
            posts = (
                ears[n % many].request("POST", path, {"body": f"{began} {n}"})
                for n in range(start, start + 16)
            )
            await asyncio.gather(*posts)
        sent = -(-count // 16) * 16
        while min(len(ear.heard) for ear in ears) < sent:
            await asyncio.sleep(0.01)
            assert monotonic() - began < 120, "not all were heard"
        took_s = monotonic() - began
    words = f"{sent / took_s * many:,.0f} events/s to sockets"
    return [
        Figure(f"messages/s to one conversation that {many} follow", sent / took_s, beside=words)
    ]


async def starting(stage: Stage) -> Sequence[Figure]:
    """An application with 120 conversations starts (all that the SDK asks then), and comes back."""
    dataset = await stage.dataset(stage.small)
    async with connected(dataset.dsn) as sql:
        await sql.execute(STARTER, MANY)
    async with (
        stage.service(dataset, ROLES, **_settings()) as served,
        crowd(dataset, served, 1) as ears,
    ):
        [ear] = ears
        began, used = monotonic(), used_s(served.process)
        wanted, requests = await _start(ear)
        took_s, cpu_s = monotonic() - began, used_s(served.process) - used
        began = monotonic()
        await _subscribe(ear, wanted)
        back_s = monotonic() - began
    words = f"{requests} requests, CPU {cpu_s * 1e6 / requests:.0f} us each; back in {back_s:.2f} s"
    return [Figure(f"start of a client with {MANY} conversations, s", took_s, beside=words)]


async def _start(ear: Ear) -> tuple[list[dict[str, Any]], int]:
    """What the SDK does at its start; what it subscribes to, and how many requests that took."""
    requests, token, sids = 1, "", []
    await ear.request("GET", "/Client/v2/Configuration")
    while True:
        path = "/Client/v2/MyConversations"
        page = orjson.loads((await ear.request("GET", path, params={"PageToken": token})).payload)
        sids += [one["conversation_sid"] for one in page["conversations"]]
        requests += 1
        token = page["meta"]["next_token"]
        if not token:
            break

    async def one(path: str) -> Any:
        return orjson.loads((await ear.request("GET", path)).payload)

    kinds = {"channel": "Documents", "messages": "Lists", "roster": "Maps"}
    names = [(kind, sid) for sid in sids for kind in kinds]
    roots = await asyncio.gather(*(one(f"/v3/{kinds[kind]}/{sid}.{kind}") for kind, sid in names))
    rosters = [root["sid"] for root in roots if root["sid"].startswith("MP")]
    await asyncio.gather(*(one(f"/v3/Maps/{sid}/Items") for sid in rosters))
    types = {"ET": "document", "ES": "list", "MP": "map"}
    wanted = [
        {
            "object_sid": root["sid"],
            "object_type": types[root["sid"][:2]],
            "last_event_id": root["last_event_id"],
        }
        for root in roots
    ]
    await _subscribe(ear, wanted)
    return wanted, requests + len(roots) + len(rosters) + -(-len(wanted) // 100)


async def _subscribe(ear: Ear, wanted: Sequence[dict[str, Any]]) -> None:
    before = ear.established
    for start in range(0, len(wanted), 100):
        some = wanted[start : start + 100]
        body = {"action": "establish", "correlation_id": next(numbers), "requests": some}
        await ear.request("POST", "/v4/Subscriptions", body)
    while ear.established < before + len(wanted):
        await asyncio.sleep(0.005)


@asynccontextmanager
async def crowd(
    dataset: Dataset, served: Served, many: int, following: int = 0
) -> AsyncIterator[list[Ear]]:
    """So many clients, of whom some follow the first conversation."""
    room = await _room(dataset)
    async with connected(dataset.dsn) as sql:
        await sql.execute(SEAT, max(following, 1), room["sid"])
    signer = Signer(KEY, room["account_sid"], SECRET)
    ears: list[Ear] = []
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for start in range(0, many, 50):
            numbers_ = range(start + 1, min(many, start + 50) + 1)
            found = await asyncio.gather(*(_enter(http, served) for _ in numbers_))
            for ear in found:
                group.create_task(ear.listen())
            await asyncio.gather(
                *(_init(ear, signer, room, n) for ear, n in zip(found, numbers_, strict=True))
            )
            ears += found
        for ear in ears[:following]:
            await _follow(ear, room["sid"])
        try:
            yield ears
        finally:
            await asyncio.gather(*(ear.socket.close() for ear in ears))


async def _lags(served: Served, ear: Ear, count: int) -> list[float]:
    """Post so many inbounds, evenly; how long each took to that client, in seconds."""
    url = served.url + town.INBOUND
    began = monotonic()
    sent: dict[str, float] = {}
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:

        async def post(form: dict[str, str]) -> None:
            made = signature.compute(url, form.items(), town.CARRIER_TOKEN)
            sent[form["Body"]] = monotonic()
            async with http.post(url, data=form, headers={signature.HEADER: made}) as answer:
                assert answer.status == 200, answer.status

        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / PER_S - monotonic()))
            group.create_task(post(town.form(f"soon {began} {number}", 0)))
    while not sent.keys() <= ear.heard.keys():
        await asyncio.sleep(0.01)
        assert monotonic() - began < 60, "not all were heard"
    return [ear.heard[body] - at for body, at in sent.items()]


async def _enter(http: aiohttp.ClientSession, served: Served) -> Ear:
    return Ear(await http.ws_connect(f"{served.url}/v3/wsconnect", max_msg_size=0))


async def _init(ear: Ear, signer: Signer, room: Any, number: int) -> None:
    who = f"agent {number}"
    token = make(signer, room["chat_service_sid"], who, now=Clock().now(), ttl_s=3600)
    frame = await ear.ask({"method": "init", "token": token, "capabilities": []})
    assert frame.header["status"]["code"] == 200, frame.header


async def _follow(ear: Ear, sid: str) -> None:
    root = orjson.loads((await ear.request("GET", f"/v3/Lists/{sid}.messages")).payload)
    wanted = {
        "object_sid": entity_sid("messages", sid),
        "object_type": "list",
        "last_event_id": root["last_event_id"],
    }
    body = {"action": "establish", "correlation_id": 1, "requests": [wanted]}
    await ear.request("POST", "/v4/Subscriptions", body)
    await asyncio.wait_for(ear.ready.wait(), 30)


async def _room(dataset: Dataset) -> Any:
    async with connected(dataset.dsn) as sql:
        return await sql.fetchrow(ROOM, town.address(town.CUSTOMER, 0))


def _settings() -> dict[str, Any]:
    return {
        "account": {
            "sid": town.ACCOUNT,
            "auth_token": town.TOKEN,
            "api_keys": [{"sid": KEY, "secret": SECRET}],
        },
        "realtime": dict.fromkeys(UNLIMITED, 0),
        "limits": {"actions_per_s": 0},
    }
