"""The load: phones that write, some for the first time, and agents who answer what they hear of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from app.carriers.sandbox_records import Texted
from tests.faults.child import Child
from tests.faults.town import HOOKED, SMS, WHATSAPP, Town

TOLD = {"X-Twilio-Webhook-Enabled": "true"}
GROUPS = 3
AGENTS = 3
BURST = 40
LOST = 0
"""The status of a post whose answer never came."""


def pairs() -> list[tuple[str, str]]:
    """Forty pairs of a phone and one of our addresses."""
    phones = [f"+1555200{n:04d}" for n in range(14)]
    sms = [(phone, address) for phone in phones for address in (SMS[1], HOOKED)]
    return sms + [(f"whatsapp:+1555300{n:04d}", WHATSAPP) for n in range(12)]


def members() -> list[tuple[str, str]]:
    """The members of the groups, three in each."""
    return [(f"+1555400{n:04d}", SMS[0]) for n in range(3 * GROUPS)]


@dataclass
class Posted:
    """One post of an agent. Only a 201 is a promise."""

    conversation_sid: str
    body: str
    status: int = LOST
    sid: str | None = None


@dataclass
class Load:
    """What was written so far, by phones and agents."""

    town: Town
    texts: list[Texted] = field(default_factory=list)
    posts: list[Posted] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    per_s: float = 50.0
    more: str = ""
    """What agents add to every post."""
    _heard: int = 0
    _stopped: bool = False
    _people: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._people = [*pairs(), *members()]
        self.town.random.shuffle(self._people)

    async def set_up(self) -> None:
        """Conversations with three phones each, made by an agent before the storm."""
        for number in range(GROUPS):
            group = await self._create("/v1/Conversations", FriendlyName=f"group {number}")
            self.groups.append(group["sid"])
            for phone, ours in members()[number::GROUPS]:
                await self._create(
                    f"/v1/Conversations/{group['sid']}/Participants",
                    **{
                        "MessagingBinding.Address": phone,
                        "MessagingBinding.ProxyAddress": ours,
                    },
                )

    async def run(self) -> None:
        """Phones and agents, until `stop`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._phones())
            for _ in range(AGENTS):
                group.create_task(self._agent())

    def stop(self) -> None:
        """Nobody writes any more."""
        self._stopped = True

    async def _phones(self) -> None:
        random = self.town.random
        while not self._stopped:
            count = random.randint(1, 6)
            # new ones join as time goes by, so that there are first messages in every fault
            reach = min(len(self._people), 4 + len(self.texts) // 5)
            for _ in range(count):
                self.text(*self._people[random.randrange(reach)])
            await asyncio.sleep(count / self.per_s)

    async def burst(self) -> None:
        """Many write at once, half of them to a group; what follows hits the service at work."""
        random = self.town.random
        for _ in range(BURST // 2):
            self.text(*random.choice(self._people))
            self.text(*random.choice(members()))
        await asyncio.sleep(random.uniform(0, 0.1))

    def text(self, phone: str, to: str) -> None:
        """One phone writes; the body is like no other."""
        number = len(self.texts)
        body = f"text {number}"
        self.texts.append(self.town.world.phone(phone).text_later(to, body))

    async def _agent(self) -> None:
        random = self.town.random
        while not self._stopped:
            self._listen()
            places = [*self.groups, *self.known]
            service = random.choice(self.town.services)
            if await self.post(service, random.choice(places)) == 201:
                await asyncio.sleep(0.1 * random.random())
            else:
                await asyncio.sleep(0.3)

    def _listen(self) -> None:
        """Learn of conversations as an application does: from its webhooks."""
        hooks = self.town.customer.hooks
        for hook in hooks[self._heard :]:
            if hook.event == "onConversationAdded":
                sid = hook.form["ConversationSid"]
                if sid not in self.known and sid not in self.groups:
                    self.known.append(sid)
        self._heard = len(hooks)

    async def post(self, service: Child, conversation_sid: str) -> int:
        """An agent posts a message, once, whatever comes back; gives the status, 0 for none."""
        posted = Posted(conversation_sid, f"post {len(self.posts)}{self.more}")
        self.posts.append(posted)
        url = f"{service.url}/v1/Conversations/{conversation_sid}/Messages"
        form = {"Author": "ann", "Body": posted.body}
        try:
            async with self.town.http.post(url, data=form, headers=TOLD) as response:
                said = await response.json()
                posted.sid = said.get("sid")
                posted.status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            posted.status = LOST
        return posted.status

    async def _create(self, path: str, **form: str) -> Any:
        async with self.town.http.post(self.town.service.url + path, data=form) as response:
            assert response.status == 201, await response.text()
            return await response.json()


@asynccontextmanager
async def storm(town: Town, per_s: float = 50.0, more: str = "") -> AsyncIterator[Load]:
    """Load on the town while the block runs; at its end everything is quiet again."""
    load = Load(town, per_s=per_s, more=more)
    await load.set_up()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        try:
            yield load
        finally:
            load.stop()
    await town.ready()
    await town.quiet()
