"""A conversation under its former name, through the official client's Chat v3."""

from __future__ import annotations

import asyncio

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from app import ids

from .conftest import TOKEN, Redirected

CHAT = "https://chat.twilio.com"
MG = "MG" + "a" * 32
MANY = "UPDATE conversations SET message_count = 1000000 WHERE sid = $1"


class ToChat(Redirected):
    """The official client's transport for the Chat host."""

    def request(self, method: str, url: str, **options):
        return super().request(method, url.replace(CHAT, self._base), **options)


async def update(world, sid: str, **form):
    client = Client(world.account_sid, TOKEN, http_client=ToChat(world.base))
    channel = client.chat.v3.channels(world.other_service_sid, sid)
    return await asyncio.to_thread(lambda: channel.update(**form))


@pytest.fixture
async def parent(world) -> dict:
    tree = f"/v1/Services/{world.other_service_sid}"
    form = {"UniqueName": "it", "FriendlyName": "It", "Attributes": '{"a":1}'}
    _, made = await world.call("POST", f"{tree}/Conversations", form)
    await world.call("POST", f"{made['url']}/Participants", {"Identity": "ann"})
    await world.call("POST", f"{made['url']}/Messages", {"Body": "x"})
    return made


async def test_a_channel_is_migrated_with_the_official_client(world, parent) -> None:
    channel = await update(world, parent["sid"], type="private", messaging_service_sid=MG)
    assert (channel.type, channel.messaging_service_sid) == ("private", MG)
    assert (channel.members_count, channel.messages_count) == (1, 1)
    _, now = await world.call("GET", parent["url"])
    assert now["messaging_service_sid"] == MG
    assert (await update(world, "it")).sid == parent["sid"]


async def test_the_json_is_exactly_the_documented_one(world, parent) -> None:
    path = f"/v3/Services/{world.other_service_sid}/Channels/{parent['sid']}"
    status, body = await world.call("POST", path, {"Type": "private"})
    assert (status, body) == (
        200,
        {
            "sid": parent["sid"],
            "account_sid": world.account_sid,
            "service_sid": world.other_service_sid,
            "messaging_service_sid": None,
            "friendly_name": "It",
            "unique_name": "it",
            "attributes": '{"a":1}',
            "type": "private",
            "date_created": parent["date_created"],
            "date_updated": body["date_updated"],
            "created_by": "system",
            "members_count": 1,
            "messages_count": 1,
            "url": world.base + path,
        },
    )


async def test_messages_are_counted_that_are_there(world, parent) -> None:
    said = [
        (await world.call("POST", f"{parent['url']}/Messages", {"Body": "x"}))[1] for _ in range(3)
    ]
    assert (await update(world, parent["sid"], type="private")).messages_count == 4
    # Who is asked to go several times at once goes once, and counts once.
    answers = await asyncio.gather(
        *(world.call("DELETE", one["url"]) for one in (said[0], said[2]) * 3)
    )
    assert sorted(status for status, _ in answers) == [204] * 2 + [404] * 4
    await world.call("POST", parent["url"], {"FriendlyName": "That"})
    assert (await update(world, parent["sid"], type="private")).messages_count == 2
    await world.call("POST", f"{parent['url']}/Messages", {"Body": "x"})
    assert (await update(world, parent["sid"], type="private")).messages_count == 3
    # However many there are, they are not read for it.
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(MANY, parent["sid"])
    assert (await update(world, parent["sid"], type="private")).messages_count == 1_000_000 - 2


async def test_what_it_refuses(world, parent) -> None:
    for form, code in (
        ({"type": "public"}, 50393),
        ({"type": ""}, 50393),
        ({"messaging_service_sid": "x"}, 50341),
    ):
        with pytest.raises(TwilioRestException) as refused:
            await update(world, parent["sid"], **form)
        assert (refused.value.status, refused.value.code) == (400, code)
    for sid in (ids.new(ids.CONVERSATION), "nobody"):
        with pytest.raises(TwilioRestException) as missing:
            await update(world, sid, type="private")
        assert (missing.value.status, missing.value.code) == (404, 20404)
    await world.call("POST", parent["url"], {"State": "closed"})
    with pytest.raises(TwilioRestException) as closed:
        await update(world, parent["sid"], messaging_service_sid=MG)
    assert (closed.value.status, closed.value.code) == (400, 50377)


async def test_the_rest_of_version_3_is_not_here(world, parent) -> None:
    path = f"/v3/Services/{world.other_service_sid}/Channels/{parent['sid']}"
    assert (await world.call("POST", path, {}, auth=None))[0] == 401
    assert (await world.call("GET", path))[0] == 405
    for other in ("/v3/x", f"/v3/Services/{world.other_service_sid}", "/v3/Conversations"):
        status, body = await world.call("POST", other, {})
        assert (status, body["code"]) == (404, 20404)
