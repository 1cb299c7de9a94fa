"""kill -9 of processes that clients are connected to: in a client's view nothing is lost, nothing
comes twice."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.ground import Ground
from tests.faults.town import Town, town
from tests.support import sdk
from tests.support.sdk import Entity
from tests.support.settings import ACCOUNT, TOKEN

pytestmark = pytest.mark.faults

KEY, SECRET = "SK" + "c" * 32, "the-secret-of-the-key-that-signs-tokens"
AGENTS = ("alice", "bob", "carol")
AWAY = (OSError, aiohttp.ClientError, TimeoutError, ConnectionError, AssertionError)


class Agent:
    """An application that is connected as long as any process is there, and writes now and then."""

    def __init__(self, one: Town, identity: str, token: str, sid: str) -> None:
        self.one, self.identity, self.token, self.sid = one, identity, token, sid
        self.messages: Entity | None = None
        self.roster: Entity | None = None
        self.said: list[str] = []
        self.connections = 0
        self.stopped = False

    async def run(self) -> None:
        """Connect, again and again."""
        for number in count():
            if self.stopped:
                return
            child = self.one.services[number % len(self.one.services)]
            try:
                async with sdk.connected(child.url, self.token) as client:
                    await self._catch_up(client)
                    self.connections += 1
                    await self._talk(client)
            except AWAY:
                await asyncio.sleep(0.05)

    async def _catch_up(self, client: sdk.Sdk) -> None:
        if self.messages is None or self.roster is None:
            self.messages = await client.open("Lists", f"{self.sid}.messages")
            self.roster = await client.open("Maps", f"{self.sid}.roster")
        for one in (self.messages, self.roster):
            one.established = False
            client.entities[one.sid] = one
        await client.subscribe(self.messages, self.roster)

    async def _talk(self, client: sdk.Sdk) -> None:
        while not client.closed.is_set() and not self.stopped:
            body = f"{self.identity} {len(self.said)} {self.connections}"
            await client.aim("POST", f"Conversations/{self.sid}/Messages", {"body": body})
            self.said.append(body)
            await asyncio.sleep(0.01)

    async def stay(self) -> None:
        """Once more, to see all that there is."""
        async with sdk.connected(self.one.service.url, self.token) as client:
            await self._catch_up(client)


async def test_no_client_loses_or_doubles_a_message(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    account = {
        "sid": ACCOUNT,
        "auth_token": TOKEN,
        "api_keys": [{"sid": KEY, "secret": SECRET}],
    }
    settings: dict[str, Any] = {
        "account": account,
        "limits": {"actions_per_s": 0},
        "realtime": {"connections_per_s": 0},
    }
    async with town(ground, tmp_path, seed, services=2, **settings) as one:
        sid, service_sid = await meeting(one)
        agents = [
            Agent(one, who, sdk.token(ACCOUNT, KEY, SECRET, service_sid, who), sid)
            for who in AGENTS
        ]
        async with asyncio.TaskGroup() as group:
            for agent in agents:
                group.create_task(agent.run())
            for _ in range(kills):
                talked = sum(len(agent.said) for agent in agents)
                while sum(len(agent.said) for agent in agents) < talked + 20:
                    await asyncio.sleep(0.02)
                await asyncio.sleep(one.random.uniform(0.0, 0.1))
                child = one.random.choice(one.services)
                child.kill()
                child.start()
                await child.ready(one.http)
            for agent in agents:
                agent.stopped = True
        shown = await all_messages(one, sid)
        said = [body for agent in agents for body in agent.said]
        bodies = [body for _, body in shown]
        assert len(set(bodies)) == len(bodies), one.story("doubled in the database")
        assert set(said) <= set(bodies), one.story("lost in the database")
        for agent in agents:
            await agent.stay()
            assert agent.messages is not None
            added = [key for what, key in agent.messages.raised if what == "added"]
            assert len(set(added)) == len(added), one.story(f"{agent.identity} heard twice")
            seen = {key: data["text"] for key, (_, data) in agent.messages.items.items()}
            assert seen == dict(shown), one.story(f"{agent.identity} sees something else")
            assert sorted(added) == added, one.story(f"{agent.identity} heard out of order")


async def meeting(one: Town) -> tuple[str, str]:
    """A conversation of all agents; its SID and its service's."""
    made = await rest(one, "POST", "/v1/Conversations", {"FriendlyName": "x"})
    for who in AGENTS:
        path = f"/v1/Conversations/{made['sid']}/Participants"
        await rest(one, "POST", path, {"Identity": who})
    return made["sid"], made["chat_service_sid"]


async def all_messages(one: Town, sid: str) -> list[tuple[int, str]]:
    """Index and body of every message there is."""
    found: list[tuple[int, str]] = []
    url = f"{one.service.url}/v1/Conversations/{sid}/Messages?PageSize=100"
    while url:
        page = await rest(one, "GET", url)
        found += [(it["index"], it["body"]) for it in page["messages"]]
        url = page["meta"]["next_page_url"]
    return found


async def rest(one: Town, method: str, path: str, form: Any = None) -> Any:
    """A request of REST that must go well."""
    url = path if path.startswith("http") else f"{one.service.url}{path}"
    async with one.http.request(method, url, data=form) as response:
        assert response.status < 300, await response.text()
        return await response.json()
