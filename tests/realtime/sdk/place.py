"""Everything around the SDK's clients: the service behind one port, REST, tokens, phones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import SystemRandom
from typing import Any

from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant

from app import ids
from tests.faults.ground import Ground
from tests.faults.town import SMS, Town, town
from tests.realtime.sdk.balancer import Balancer, balancer
from tests.realtime.sdk.clients import WITHIN_S, Clients, Drive, Person
from tests.support.settings import ACCOUNT, TOKEN

KEY = ("SK" + "5" * 32, "the-secret-of-the-key-that-signs-tokens")
TOLD = {"X-Twilio-Webhook-Enabled": "true"}
OURS = SMS[1]
HELLO = "are you there?"
DECLARED: dict[str, Any] = {
    "language": "en",
    "variables": {"1": "Ann", "2": "4711"},
    "types": {"twilio/text": {"body": "Hi {{1}}, your order {{2}} is on its way."}},
}
"""A content template of the file's, `order_shipped`."""

_numbers = count(1)


@dataclass
class Place:
    """A service, and its clients. `uri` is the one option that they are given, if any."""

    town: Town
    front: Balancer
    clients: Clients
    uri: str | None
    service_sid: str = ""
    _people: dict[str, Person] = field(default_factory=dict)

    def token(self, identity: str, ttl: int = 3600, key: tuple[str, str] = KEY, **more: Any) -> str:
        """What the customer's server would give this person."""
        made = AccessToken(ACCOUNT, *key, identity=identity, ttl=ttl)
        made.add_grant(ChatGrant(service_sid=self.service_sid, **more))
        return str(made.to_jwt())

    def stranger(self, who: str) -> str:
        """An identity that nobody had before."""
        return f"{who}-{next(_numbers)}"

    def number(self) -> str:
        """A phone number that nobody had before."""
        return f"+1555{next(_numbers):07}"

    async def got(self, phone: str, body: str) -> bool:
        """Whether this phone got a message that says this."""
        return any(one.body == body for one in self.town.world.phone(phone).received)

    async def arrive(self, who: str, *, ready: bool = True, **token: Any) -> Person:
        """Somebody's application starts, and has started when this returns."""
        identity = who if "-" in who else self.stranger(who)
        name = f"{identity}/{next(_numbers)}"
        one = Person(self.clients, name, identity)
        since = one.mark
        await one.open(self.token(identity, **token), self.uri)
        if ready:
            await one.saw("initialized", since=since)
        return one

    async def rest(
        self, method: str, path: str, form: Any = None, status: int | None = None, **options: Any
    ) -> Any:
        """Ask the REST API."""
        url = path if path.startswith("http") else f"http://{self.front.origin}{path}"
        async with self.town.http.request(method, url, data=form, **options) as answer:
            said = await answer.json() if answer.content_length else None
            assert (status is None and answer.status < 300) or answer.status == status, said
            return said

    async def conversation(self, *identities: str, **form: str) -> str:
        """A conversation of the REST API's with these people; gives its SID."""
        made = await self.rest("POST", "/v1/Conversations", form)
        for identity in identities:
            await self.join(made["sid"], identity)
        sid: str = made["sid"]
        return sid

    async def meeting(self, *people: Person, **form: str) -> str:
        """A conversation of these applications, with a first message that all of them heard: they
        are told of everything that happens in it from now on."""
        sid = await self.conversation(*(one.identity for one in people), **form)
        await self.pushed(sid, *people)
        return sid

    async def pushed(self, conversation: str, *people: Person) -> None:
        """Wait until these have joined it, and hear of a message in it."""
        for one in people:
            await one.saw("conversationJoined", sid=conversation)
        said = await self.say(conversation, HELLO)
        for one in people:
            await one.saw("messageAdded", sid=said["sid"])

    async def join(self, conversation: str, identity: str, **form: str) -> str:
        """Somebody is put into a conversation; gives the participant's SID."""
        path = f"/v1/Conversations/{conversation}/Participants"
        made = await self.rest("POST", path, {"Identity": identity, **form})
        sid: str = made["sid"]
        return sid

    async def say(self, conversation: str, body: str, author: str = "system", **form: str) -> Any:
        """A message by REST."""
        path = f"/v1/Conversations/{conversation}/Messages"
        return await self.rest("POST", path, {"Body": body, "Author": author, **form})

    async def messages(self, conversation: str) -> list[Any]:
        """What the REST API shows, oldest first."""
        found: list[Any] = []
        url = f"/v1/Conversations/{conversation}/Messages?PageSize=100"
        while url:
            page = await self.rest("GET", url)
            found += page["messages"]
            url = page["meta"]["next_page_url"]
        return found

    async def role(self, kind: str, *permissions: str) -> str:
        """A role that allows only this; gives its SID."""
        form = [("FriendlyName", self.stranger("role")), ("Type", kind)]
        form += [("Permission", one) for one in permissions]
        sid: str = (await self.rest("POST", "/v1/Roles", form))["sid"]
        return sid

    async def until(self, done: Any, within_s: float = WITHIN_S) -> Any:
        """Ask again until the answer is not empty."""
        async with asyncio.timeout(within_s):
            while not (answer := await done()):
                await asyncio.sleep(0.05)
            return answer


@asynccontextmanager
async def place(
    ground: Ground,
    folder: Path,
    drive: Drive,
    *,
    services: int = 1,
    seed: int | None = None,
    public_url: str | None = None,
    **sections: Any,
) -> AsyncIterator[Place]:
    """A place whose service is ready, of so many processes behind one port. With a `public_url` its
    clients find it by themselves."""
    seed = SystemRandom().randrange(1_000_000) if seed is None else seed
    print(f"seed {seed}")  # shown with what fails
    keys = [{"sid": KEY[0], "secret": KEY[1]}]
    settings = {
        "account": {"sid": ACCOUNT, "auth_token": TOKEN, "api_keys": keys},
        "secrets": {"key": "the key of thirty-two characters or more"},
        "media": {"folder": str(folder / "media")},
        "limits": {"actions_per_s": 0},
        "contents": {"order_shipped": DECLARED},
        **sections,
    }
    async with AsyncExitStack() as stack:
        front = await stack.enter_async_context(balancer())
        around = await stack.enter_async_context(
            town(
                ground,
                folder,
                seed,
                services=services,
                public_url=public_url or f"http://{front.origin}",
                **settings,
            )
        )
        front.ports = [child.port for child in around.services]
        clients = await stack.enter_async_context(drive())
        uri = None if public_url else f"ws://{front.origin}/v3/wsconnect"
        one = Place(around, front, clients, uri)
        one.service_sid = (await one.rest("GET", "/v1/Configuration"))["default_chat_service_sid"]
        assert ids.is_sid(one.service_sid, ids.SERVICE)
        yield one
