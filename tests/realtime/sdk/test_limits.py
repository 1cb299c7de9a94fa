"""Limits of connections in the SDK's eyes: it waits for room, and says what was too much."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.realtime.sdk.clients import Drive, Person
from tests.realtime.sdk.place import Place, place

PER_S, TIMES = 20, 200
ASK = (
    "const it = await client.getConversationBySid(sid);"
    "const all = Array.from({length: times}, (_, n) => it.removeParticipant(`nobody ${n}`));"
    "const ended = await Promise.allSettled(all);"
    "return ended.map(({reason}) => [reason.status, reason.message])"
)
"""Many requests that cost little and that the SDK does not repeat."""


@pytest.fixture(scope="module")
async def narrow(
    ground: Ground, drive: Drive, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """A place with room for two connections of an account, which asks little."""
    few = {"account_connections_max": 2, "account_requests_per_s": PER_S}
    async with place(ground, tmp_path_factory.mktemp("narrow"), drive, realtime=few) as one:
        yield one


async def test_who_finds_no_room_comes_again_when_there_is_some(narrow: Place) -> None:
    alice, bob = await narrow.arrive("alice"), await narrow.arrive("bob")
    carol = await narrow.arrive("carol", ready=False)
    error = await carol.saw("connectionError", terminal=False, httpStatusCode=429)
    assert error["errorCode"] == 20429
    assert carol.all("initialized") == []
    await bob.run("await client.shutdown()")
    await carol.saw("initialized")
    sid = await narrow.meeting(alice, carol)
    assert len(await narrow.messages(sid)) == 1
    for one in (alice, carol):
        await one.run("await client.shutdown()")


async def test_requests_beyond_those_of_the_account_fail_as_such(narrow: Place) -> None:
    alice = await narrow.arrive("alice")
    sid = await narrow.meeting(alice)
    ended = await alice.run(ASK, sid=sid, times=TIMES)
    assert [429, "Too Many Requests"] in ended
    assert {status for status, _ in ended} > {429}, "some were answered"
    # It goes on: what the SDK needs it asks for again.
    await narrow.say(sid, "still here")
    await alice.saw("messageAdded", body="still here")


async def test_who_is_told_when_to_come_back_does(
    ground: Ground, drive: Drive, tmp_path: Path
) -> None:
    slow = {"connections_per_s": 2}
    async with place(ground, tmp_path, drive, services=2, realtime=slow) as here:
        first, second = here.front.ports
        here.front.ports = [first]
        people = [await here.arrive("agent") for _ in range(3)]
        sid = await here.meeting(*people)
        marks = [one.mark for one in people]
        here.front.ports = [second]
        here.town.services[0].terminate()
        for one, since in zip(people, marks, strict=True):
            await one.turns("connected", since)
        # The sockets of as many as may come at once just closed; the third was told when.
        told = ["disconnecting" in _states(*each) for each in zip(people, marks, strict=True)]
        assert sorted(told) == [False, False, True]
        await here.say(sid, "after")
        for one in people:
            await one.saw("messageAdded", body="after")
        assert here.clients.unhandled() == []


def _states(one: Person, since: int) -> list[str]:
    return one.all("connectionStateChanged", since)
