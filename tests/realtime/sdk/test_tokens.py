"""Tokens in the SDK's eyes: wrong ones, their end, new ones, revoked keys."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import pytest

from tests.realtime.sdk.clients import SdkError
from tests.realtime.sdk.place import KEY, Place

TTL_S = 12
"""Long enough for everything that comes before its end."""
STARTED = "await client.getSubscribedConversations()"
"""What the SDK asks at its start is answered: what is not when a socket closes, it waits for."""
UPDATE = "await client.updateToken(token); return client.connectionState"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"key": (KEY[0], "another-secret-of-enough-characters")}, 20107),
        ({"key": ("SK" + "9" * 32, KEY[1])}, 20103),
        ({"ttl": 100_000}, 20157),
        ({"ttl": -1}, 20104),
    ],
)
async def test_a_wrong_token_is_refused_for_good(here: Place, wrong: Any, code: int) -> None:
    alice = await here.arrive("alice", ready=False, **wrong)
    error = await alice.saw("connectionError", terminal=True)
    assert (error["httpStatusCode"], error["errorCode"]) == (401, code)
    await alice.saw("initFailed")
    assert bool(alice.all("tokenExpired")) == (code == 20104)


async def test_a_token_is_renewed_before_it_ends(here: Place) -> None:
    alice = await here.arrive("alice", ttl=183)
    sid = await here.meeting(alice)
    await alice.saw("tokenAboutToExpire")
    assert await alice.run(UPDATE, token=here.token(alice.identity)) == "connected"
    await here.say(sid, "still here")
    await alice.saw("messageAdded", body="still here")
    assert alice.all("tokenExpired") == []


async def test_a_token_that_ends_ends_the_connection_until_there_is_another(here: Place) -> None:
    alice = await here.arrive("alice", ttl=TTL_S)
    sid = await here.meeting(alice)
    await alice.saw("tokenAboutToExpire")
    await alice.saw("tokenExpired")
    await alice.turns("disconnected")  # the SDK takes no new token before
    since = alice.mark
    await here.say(sid, "while it was away")
    await alice.run(UPDATE, token=here.token(alice.identity))
    await alice.turns("connected", since)
    await alice.saw("messageAdded", body="while it was away")


async def test_a_token_of_somebody_else_renews_nothing(here: Place) -> None:
    alice = await here.arrive("alice")
    await alice.run(STARTED)
    since = alice.mark
    with pytest.raises(SdkError):
        await alice.run(UPDATE, token=here.token("mallory"))
    await alice.turns("denied", since)

    async def renewed() -> bool:  # the SDK forgets a token that comes while its socket closes
        state = await alice.run(UPDATE, token=here.token(alice.identity))
        return bool(state == "connected")

    await here.until(renewed)
    assert await alice.run("return client.user.identity") == alice.identity


async def test_a_revoked_key_ends_its_connections(here: Place) -> None:
    made = (await parley(here, "keys", "create")).split()
    key = (made[1], made[3])
    alice = await here.until(lambda: _arrived(here, key))
    await alice.run(STARTED)
    since = alice.mark
    await parley(here, "keys", "revoke", key[0])
    await alice.saw("connectionStateChanged", since=since)

    async def away() -> bool:
        return await alice.run("return client.connectionState") != "connected"

    await here.until(away)


async def _arrived(here: Place, key: tuple[str, str]) -> Any:
    """Somebody with a token of a key that was just made: a server knows it within seconds."""
    alice = await here.arrive("alice", ready=False, key=key)
    came = await alice.clients.until(
        lambda one: one.who == alice.name and one.event in ("initialized", "initFailed"), 0, 30
    )
    return alice if came.event == "initialized" else None


async def parley(here: Place, *words: str) -> str:
    """What the command line says."""
    child = here.town.service
    environment = {**os.environ, "PARLEY_DATABASE_URL": here.town.dsn}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", *words, "--config", str(child.config)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()
