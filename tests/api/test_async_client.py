"""The official client, in its asynchronous flavour and in its blocking one, does every operation of
both trees; nothing of it is changed but the host that it talks to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from .conftest import ORIGINAL, OURS, TOKEN, Redirected, World, living
from .contract import BOTH, SERVICE, Operation, operations
from .tour import Tour

SID = re.compile(r"[A-Z]{2}[0-9a-f]{32}")
NOUNS = (
    ("/Configuration/Addresses", "/AddressConfigurations"),
    (r"(/Users/\w+)/Conversations", r"\1/UserConversations"),
    ("/Receipts", "/DeliveryReceipts"),
)
"""What the client calls otherwise than the path does."""
NOBODY = "0" * 32
# What aiohttp 3.14 says of the way in which the official client authenticates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:BasicAuth is deprecated:DeprecationWarning",
    "ignore:The 'auth' parameter is deprecated:DeprecationWarning",
)
each = pytest.mark.parametrize("operation", list(operations()), ids=lambda one: one.name)


class AsyncRedirected(AsyncTwilioHttpClient):
    """The official client's asynchronous transport, to our host."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    async def request(self, method: str, url: str, *rest: Any, **options: Any) -> Any:
        return await super().request(method, url.replace(ORIGINAL, self._base), *rest, **options)


@dataclass
class Asynchronous:
    """The client as coroutines."""

    v1: Any

    async def ask(self, at: Any, verb: str, **form: Any) -> Any:
        return await getattr(at, f"{verb}_async")(**form)

    async def stream(self, at: Any, **form: Any) -> list[Any]:
        return [one async for one in await at.stream_async(**form)]


@dataclass
class Blocking:
    """The client that most have, in a thread."""

    v1: Any

    async def ask(self, at: Any, verb: str, **form: Any) -> Any:
        return await asyncio.to_thread(getattr(at, verb), **form)

    async def stream(self, at: Any, **form: Any) -> list[Any]:
        return await asyncio.to_thread(lambda: list(at.stream(**form)))


Flavour = Asynchronous | Blocking


@asynccontextmanager
async def asynchronous(world: World, token: str = TOKEN) -> AsyncIterator[Flavour]:
    async with AsyncRedirected(world.base) as transport:
        yield Asynchronous(Client(world.account_sid, token, http_client=transport).conversations.v1)


@asynccontextmanager
async def blocking(world: World, token: str = TOKEN) -> AsyncIterator[Flavour]:
    transport = Redirected(world.base)
    try:
        yield Blocking(Client(world.account_sid, token, http_client=transport).conversations.v1)
    finally:
        transport.close()


@dataclass
class Scene:
    """One world, a client of one flavour, and a stage in each tree."""

    world: World
    opened: Any
    flavour: Flavour
    stages: dict[str, Tour]

    def stage(self, operation: Operation) -> Tour:
        return self.stages[SERVICE if operation.path.startswith(f"{SERVICE}/") else ""]


OPENED = {"async": asynchronous, "blocking": blocking}


@pytest.fixture(scope="module", params=OPENED)
async def scene(api_dsn: str, request: Any) -> AsyncIterator[Scene]:
    opened = OPENED[request.param]
    async with living(api_dsn) as world, opened(world) as flavour:
        numbers = [one for one in world.runtime.settings.senders_by_address if one.startswith("+")]
        stages = {tree: Tour(world, tree, list(numbers)) for tree in BOTH}
        for stage in stages.values():
            await stage.set_the_stage()
        yield Scene(world, opened, flavour, stages)


@each
async def test_the_client_does_it(scene: Scene, operation: Operation) -> None:
    stage, flavour = scene.stage(operation), scene.flavour
    local = operation.path.removeprefix(stage.tree)
    if operation.verb == "page":
        await _lists(flavour, _reached(flavour, stage.path(operation)), stage.questions.get(local))
        return
    if operation.verb == "delete":
        await _deletes(flavour, stage, operation)
        return
    path = stage.path(operation)
    form = {"create": stage.new, "update": lambda: stage.changes, "fetch": dict}[operation.verb]()
    if operation.path.endswith("/Addresses"):
        stage.addresses.pop(0)
    at = _reached(flavour, path, whole=operation.verb != "create")
    given = await flavour.ask(at, operation.verb, **_named(form.get(local)))
    assert [key for key in operation.keys if not hasattr(given, key)] == []
    if SID.fullmatch(last := path.rpartition("/")[2]) and hasattr(given, "sid"):
        assert given.sid == last


async def _lists(flavour: Flavour, at: Any, question: Any) -> None:
    """By list, by stream and by page: the same."""
    asked = _named(question)
    page = await flavour.ask(at, "page", page_size=1, **asked)
    (first,) = list(page)
    listed = await flavour.ask(at, "list", limit=2, page_size=1, **asked)
    streamed = await flavour.stream(at, limit=2, page_size=1, **asked)
    assert [str(one) for one in listed] == [str(one) for one in streamed]
    assert str(listed[0]) == str(first)


async def _deletes(flavour: Flavour, stage: Tour, operation: Operation) -> None:
    """Something made for this alone goes, and is gone."""
    makers = {one.path: one for one in operations() if one.verb == "create"}
    collection = operation.path.rpartition("/")[0]
    sids = {}
    if collection in makers:
        sids["Sid"] = (await stage.create(makers[collection]))["sid"]
    elif collection.endswith("/Bindings"):
        sids["Sid"] = await stage.bind()
    at = _reached(flavour, stage.path(operation, **sids))
    assert await flavour.ask(at, "delete") is True
    with pytest.raises(TwilioRestException) as gone:
        await flavour.ask(at, "fetch")
    assert (gone.value.status, gone.value.code) == (404, 20404)


def _reached(flavour: Flavour, path: str, *, whole: bool = True) -> Any:
    """What the client has for a path; `whole`: what has no SID is one thing, not a list."""
    for noun, called in NOUNS:
        path = re.sub(noun, called, path)
    at, segments = flavour.v1, path.split("/")[2:]
    for segment in segments:
        at = at(segment) if SID.fullmatch(segment) else getattr(at, _snake(segment))
    return at() if whole and not hasattr(at, "stream") and "Configuration" in segments else at


def _named(form: Any) -> dict[str, Any]:
    """A form as keyword arguments."""
    return {_snake(name): value for name, value in (form or {}).items()}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|\.", "_", name).lower()


async def test_pages_follow_each_other_in_every_way(scene: Scene) -> None:
    flavour, conversations = scene.flavour, scene.flavour.v1.conversations
    made = await flavour.ask(conversations, "create")
    messages = conversations(made.sid).messages
    for number in range(5):
        await flavour.ask(messages, "create", body=f"{number}")
    streamed = await flavour.stream(messages, page_size=2)
    assert [one.body for one in streamed] == list("01234")
    assert [one.index for one in await flavour.ask(messages, "list", limit=3)] == [0, 1, 2]
    page, seen = await flavour.ask(messages, "page", page_size=2), []
    while page is not None:
        last, rows = page, [one.body for one in page]
        seen.append(rows)
        page = await flavour.ask(page, "next_page")
    assert seen == [["0", "1"], ["2", "3"], ["4"]]
    before = await flavour.ask(last, "previous_page")
    assert [one.body for one in before] == ["2", "3"]
    again = await flavour.ask(messages, "get_page", target_url=last.previous_page_url)
    assert [one.body for one in again] == ["2", "3"]


PAIR = {
    "messaging_binding_address": "+15558675399",
    "messaging_binding_proxy_address": OURS,
}
REFUSED = (
    ("/v1/Conversations", "create", {"attributes": "{"}, 400, 50304),
    ("/v1/Conversations", "create", {"state": "closed"}, 400, 50384),
    (f"/v1/Conversations/CH{NOBODY}", "fetch", {}, 404, 20404),
    (f"/v1/Conversations/CH{NOBODY}/Participants", "create", {"identity": "ann"}, 404, 20404),
    ("/v1/Conversations/{held}/Participants", "create", PAIR, 409, 50416),
    ("/v1/Conversations/{closed}", "update", {"state": "active"}, 400, 50377),
    ("/v1/Conversations/{closed}/Messages", "create", {"body": "late"}, 400, 50377),
    (f"/v1/Services/IS{NOBODY}/Users", "create", {"identity": "ann"}, 404, 20404),
    ("/v1/Users", "create", {"identity": "me"}, 409, 50201),
)


@pytest.fixture(scope="module")
async def sids(scene: Scene) -> dict[str, str]:
    """A conversation whose pair is held, and one that is closed."""
    flavour, conversations = scene.flavour, scene.flavour.v1.conversations
    held = await flavour.ask(conversations, "create")
    await flavour.ask(conversations(held.sid).participants, "create", **PAIR)
    closed = await flavour.ask(conversations, "create")
    await flavour.ask(conversations(closed.sid), "update", state="closed")
    return {"held": held.sid, "closed": closed.sid}


@pytest.mark.parametrize(("path", "verb", "form", "status", "code"), REFUSED)
async def test_what_is_refused_is_raised_with_its_code(
    scene: Scene, sids: dict[str, str], path: str, verb: str, form: Any, status: int, code: int
) -> None:
    at = _reached(scene.flavour, path.format(**sids), whole=False)
    with pytest.raises(TwilioRestException) as refused:
        await scene.flavour.ask(at, verb, **form)
    assert (refused.value.status, refused.value.code) == (status, code)


async def test_somebody_with_a_wrong_token_is_told_so(scene: Scene) -> None:
    async with scene.opened(scene.world, "not the token") as stranger:
        with pytest.raises(TwilioRestException) as refused:
            await stranger.ask(stranger.v1.conversations, "create")
    assert (refused.value.status, refused.value.code) == (401, 20003)
