"""The customer is asked and told about what applications do, and its word counts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.faults.ground import Ground
from tests.realtime.sdk.clients import Drive, SdkError
from tests.realtime.sdk.place import Place, place
from tests.support.serving import serving

OPEN = "const it = await client.getConversationBySid(sid); "
FILTERS = ["onMessageAdd", "onMessageAdded", "onConversationAdd", "onUserUpdated"]


class Strict:
    """A customer who refuses what is rude and softens what is loud."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []

    async def take(self, request: web.Request) -> web.Response:
        """A webhook, before or after."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.heard.append(form)
        body = form.get("Body", "")
        if form["EventType"] == "onMessageAdd" and "rude" in body:
            return web.Response(status=403)
        if form["EventType"] == "onMessageAdd" and body.isupper():
            return web.json_response({"body": body.lower()})
        if form["EventType"] == "onConversationAdd" and "rude" in form.get("FriendlyName", ""):
            return web.Response(status=403)
        return web.Response()

    def told(self, event: str, **like: str) -> list[dict[str, str]]:
        """What it heard of such events."""
        wanted = {"EventType": event, **like}.items()
        return [one for one in self.heard if wanted <= one.items()]


@pytest.fixture(scope="module")
async def strict() -> Strict:
    """The customer of this page."""
    return Strict()


@pytest.fixture(scope="module")
async def asked(
    ground: Ground, drive: Drive, strict: Strict, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """A place whose customer wants to be asked."""
    application = web.Application()
    application.router.add_post("/{any}", strict.take)
    async with serving(application) as url:
        urls = {"pre_url": f"{url}/before", "post_url": f"{url}/after"}
        hooks = {"webhooks": urls | {"filters": FILTERS}}
        async with place(ground, tmp_path_factory.mktemp("asked"), drive, **hooks) as one:
            yield one


async def test_the_customer_is_told_who_did_it(asked: Place, strict: Strict) -> None:
    alice = await asked.arrive("alice")
    sid = await asked.meeting(alice)
    await alice.run(OPEN + "await it.sendMessage('said aloud', {a: 1})", sid=sid)

    async def told() -> list[dict[str, str]]:
        return strict.told("onMessageAdded", Body="said aloud")

    [heard] = await asked.until(told)
    said = {name: heard[name] for name in ("Source", "ClientIdentity", "Author", "Attributes")}
    assert said == {
        "Source": "SDK",
        "ClientIdentity": alice.identity,
        "Author": alice.identity,
        "Attributes": '{"a":1}',
    }
    [before] = strict.told("onMessageAdd", Body="said aloud")
    assert (before["Source"], before["ClientIdentity"]) == ("SDK", alice.identity)


async def test_the_customer_s_no_is_the_sdk_s_error(asked: Place, strict: Strict) -> None:
    alice, bob = await asked.arrive("alice"), await asked.arrive("bob")
    sid = await asked.meeting(alice, bob)
    with pytest.raises(SdkError) as caught:
        await alice.run(OPEN + "await it.sendMessage('how rude')", sid=sid)
    assert caught.value.status == 403
    with pytest.raises(SdkError):
        await alice.run("await client.createConversation({friendlyName: 'rude room'})")
    await alice.run(OPEN + "await it.sendMessage('how kind')", sid=sid)
    await bob.saw("messageAdded", body="how kind")
    assert not strict.told("onMessageAdded", Body="how rude")
    assert [one["body"] for one in await asked.messages(sid)][1:] == ["how kind"]


async def test_the_customer_s_words_are_what_everybody_hears(asked: Place) -> None:
    alice, bob = await asked.arrive("alice"), await asked.arrive("bob")
    sid = await asked.meeting(alice, bob)
    await alice.run(OPEN + "await it.sendMessage('LOUD')", sid=sid)
    for one in (alice, bob):
        await one.saw("messageAdded", body="loud")
