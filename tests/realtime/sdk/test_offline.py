"""The network goes, things happen, it comes back: nothing was missed, nothing comes twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.realtime.sdk.clients import Person
from tests.realtime.sdk.place import HELLO, Place

OPEN = "const it = await client.getConversationBySid(sid); "
BODIES = OPEN + "return (await it.getMessages(100)).items.map((one) => [one.index, one.body])"


@asynccontextmanager
async def offline(here: Place, *people: Person) -> AsyncIterator[None]:
    """Nobody has a network while the block runs; everybody is connected again when it has."""
    marks = {one.name: one.mark for one in people}
    here.front.down = True
    here.front.cut()
    for one in people:
        await one.saw("connectionStateChanged", since=marks[one.name])
    marks = {one.name: one.mark for one in people}
    try:
        yield
    finally:
        here.front.down = False
    for one in people:
        await one.turns("connected", marks[one.name])


async def behind(here: Place, method: str, path: str, form: object = None) -> object:
    """REST that does not come by the port that is down."""
    return await here.rest(method, here.town.service.url + path, form)


async def test_messages_that_came_meanwhile_are_there(here: Place) -> None:
    alice = await here.arrive("alice")
    sid = await here.meeting(alice)
    path = f"/v1/Conversations/{sid}/Messages"
    sids = [(await here.say(sid, body))["sid"] for body in ("kept", "edited", "removed")]
    await alice.saw("messageAdded", body="removed")
    async with offline(here, alice):
        for n in range(40):
            await behind(here, "POST", path, {"Body": f"missed {n}"})
        await behind(here, "POST", f"{path}/{sids[1]}", {"Body": "edited meanwhile"})
        await behind(here, "DELETE", f"{path}/{sids[2]}")
    await alice.saw("messageAdded", body="missed 39")
    await alice.saw("messageUpdated", body="edited meanwhile")
    await alice.saw("messageRemoved", sid=sids[2])
    await here.say(sid, "after")
    await alice.saw("messageAdded", body="after")
    heard = [one["index"] for one in alice.all("messageAdded")]
    assert heard == list(range(45))
    shown = [[one["index"], one["body"]] for one in await here.messages(sid)]
    assert await alice.run(BODIES, sid=sid) == shown


async def test_what_became_of_conversations_and_people_is_known(here: Place) -> None:
    alice = await here.arrive("alice")
    stays, goes, kicked = [await here.meeting(alice) for _ in range(3)]
    other = await here.join(stays, "other-before")
    await alice.saw("participantJoined", identity="other-before")
    async with offline(here, alice):
        await behind(here, "DELETE", f"/v1/Conversations/{goes}")
        await behind(here, "DELETE", f"/v1/Conversations/{kicked}/Participants/{alice.identity}")
        await behind(here, "POST", f"/v1/Conversations/{stays}", {"FriendlyName": "renamed"})
        await behind(here, "DELETE", f"/v1/Conversations/{stays}/Participants/{other}")
        people = f"/v1/Conversations/{stays}/Participants"
        await behind(here, "POST", people, {"Identity": "other-after"})
        made = await behind(here, "POST", "/v1/Conversations", {"FriendlyName": "new"})
        assert isinstance(made, dict)
        people = f"/v1/Conversations/{made['sid']}/Participants"
        await behind(here, "POST", people, {"Identity": alice.identity})
    await alice.saw("conversationRemoved", sid=goes)
    await alice.saw("conversationRemoved", sid=kicked)
    await alice.saw("conversationUpdated", sid=stays, name="renamed")
    await alice.saw("participantLeft", identity="other-before")
    await alice.saw("participantJoined", identity="other-after")
    await alice.saw("conversationJoined", sid=made["sid"])
    names = "return (await client.getSubscribedConversations()).items.map((one) => one.sid)"
    assert sorted(await alice.run(names)) == sorted([stays, made["sid"]])


async def test_what_is_sent_without_a_network_goes_when_it_is_back(here: Place) -> None:
    alice = await here.arrive("alice")
    sid = await here.meeting(alice)
    for turn in range(1, 4):
        async with offline(here, alice):
            pass
        index = await alice.run(OPEN + "return it.sendMessage(body)", sid=sid, body=f"{turn}")
        assert index == turn
    assert [one["body"] for one in await here.messages(sid)] == [HELLO, "1", "2", "3"]
    await alice.saw("messageAdded", body="3")
    assert [one["body"] for one in alice.all("messageAdded")] == [HELLO, "1", "2", "3"]
