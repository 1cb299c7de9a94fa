"""Conversation services through the official client, and how one goes."""

from __future__ import annotations

import asyncio

import pytest
from twilio.base.exceptions import TwilioRestException

from app import ids
from app.store import declared, removal

from .conftest import OURS

PATH = "/v1/Services"
BELOW = [
    "conversations",
    "users",
    "roles",
    "bindings",
    "configuration",
    "participant_conversations",
    "conversation_with_participants",
]
TOLD = {"X-Twilio-Webhook-Enabled": "true"}


async def count(world, table: str, service_sid: str) -> int:
    async with world.runtime.db.begin() as tx:
        return await tx.sql.fetchval(
            f"SELECT count(*) FROM {table} WHERE chat_service_sid = $1", service_sid
        )


async def filled(world, conversations: int = 3, messages: int = 3) -> str:
    """A new service with conversations, pairs, messages and people in it."""
    service = await world.api(lambda v1: v1.services.create(friendly_name="full"))
    tree = f"{PATH}/{service.sid}/Conversations"
    for number in range(conversations):
        _, made = await world.call("POST", tree, {})
        pair = {"MessagingBinding.Address": f"+1555867{number:04}"}
        pair |= {"MessagingBinding.ProxyAddress": OURS}
        for form in ({"Identity": f"user {number}"}, pair):
            status, body = await world.call("POST", f"{made['url']}/Participants", form)
            assert status == 201, body
        for _ in range(messages):
            await world.call("POST", f"{made['url']}/Messages", {"Body": "x"})
        hook = {"Target": "studio", "Configuration.FlowSid": "FW" + "a" * 32}
        await world.call("POST", f"{made['url']}/Webhooks", hook)
    return service.sid


async def test_a_service_lives_through_the_official_client(world) -> None:
    made = await world.api(lambda v1: v1.services.create(friendly_name="Second"))
    fetched = await world.api(lambda v1: v1.services(made.sid).fetch())
    assert (fetched.friendly_name, fetched.account_sid) == ("Second", world.account_sid)
    listed = await world.api(lambda v1: v1.services.list())
    first = sorted([world.service_sid, world.other_service_sid])
    assert [one.sid for one in listed] == [*first, made.sid]
    assert await world.api(lambda v1: v1.services(made.sid).delete())
    with pytest.raises(TwilioRestException) as gone:
        await world.api(lambda v1: v1.services(made.sid).fetch())
    assert (gone.value.status, gone.value.code) == (404, 20404)


async def test_the_json_is_exactly_the_documented_one(world) -> None:
    status, made = await world.call("POST", PATH, {"FriendlyName": "a"})
    url = f"{world.base}{PATH}/{made['sid']}"
    assert (status, made) == (
        201,
        {
            "account_sid": world.account_sid,
            "sid": made["sid"],
            "friendly_name": "a",
            "date_created": made["date_created"],
            "date_updated": made["date_created"],
            "url": url,
            "links": made["links"],
        },
    )
    assert sorted(made["links"]) == sorted(BELOW)
    for link in made["links"].values():
        assert link.startswith(f"{url}/")
    upper = f"{PATH}/IS{made['sid'][2:].upper()}"
    assert await world.call("GET", upper) == (200, made)


async def test_a_new_service_has_default_roles(world) -> None:
    sid = (await world.api(lambda v1: v1.services.create(friendly_name="a"))).sid
    configured = await world.api(lambda v1: v1.services(sid).configuration().fetch())
    roles = {
        configured.default_conversation_creator_role_sid,
        configured.default_conversation_role_sid,
        configured.default_chat_service_role_sid,
    }
    assert len(roles) == 3
    assert all(ids.is_sid(role, ids.ROLE) for role in roles)


@pytest.mark.parametrize(
    ("form", "code", "said"),
    [
        ({}, 20001, "Missing required parameter FriendlyName in the post body"),
        ({"FriendlyName": ""}, 50000, "FriendlyName not provided"),
        ({"FriendlyName": "x" * 257}, 50003, "Friendly name too long"),
    ],
)
async def test_a_service_needs_a_name(world, form, code: int, said: str) -> None:
    status, body = await world.call("POST", PATH, form)
    assert (status, body["code"], body["message"]) == (400, code, said)


async def test_services_are_listed_in_pages_oldest_first(world) -> None:
    made = [(await world.call("POST", PATH, {"FriendlyName": str(n)}))[1]["sid"] for n in range(5)]
    found, url = [], f"{PATH}?PageSize=3"
    while url:
        _, body = await world.call("GET", url)
        found += [one["sid"] for one in body["services"]]
        url = body["meta"]["next_page_url"]
    assert body["meta"]["key"] == "services"
    assert found[2:] == made


async def test_a_service_goes_with_everything_in_it_and_tells_of_each_conversation(world) -> None:
    sid = await filled(world)
    form = {"PostWebhookUrl": "https://example.com/a", "Filters": "onConversationRemoved"}
    await world.call("POST", f"{PATH}/{sid}/Configuration/Webhooks", form)
    assert (await world.call("DELETE", f"{PATH}/{sid}", headers=TOLD))[0] == 204
    tables = ("conversations", "participants", "messages", "users", "roles", "scoped_webhooks")
    assert [await count(world, table, sid) for table in tables] == [0] * 6
    async with world.runtime.db.begin() as tx:
        told = await tx.sql.fetch(
            "SELECT params::text FROM outbox WHERE params->>'ChatServiceSid' = $1", sid
        )
    assert len([one for one in told if "onConversationRemoved" in one[0]]) == 3
    _, free = await world.call("POST", "/v1/Conversations", {})
    pair = {"MessagingBinding.Address": "+15558670000", "MessagingBinding.ProxyAddress": OURS}
    assert (await world.call("POST", f"{free['url']}/Participants", pair))[0] == 201


async def test_a_large_service_goes_in_small_steps(world, monkeypatch) -> None:
    sid = await filled(world, conversations=5, messages=4)
    monkeypatch.setattr(removal, "CONVERSATIONS_MAX", 2)
    monkeypatch.setattr(removal, "ROWS_MAX", 3)
    assert (await world.call("DELETE", f"{PATH}/{sid}"))[0] == 204
    assert await count(world, "messages", sid) == 0


async def test_nothing_leads_into_a_service_that_goes_and_a_repeated_delete_ends_it(world) -> None:
    sid = await filled(world)
    await world.call(
        "POST",
        "/v1/Configuration/Addresses",
        {"Type": "sms", "Address": OURS, "AutoCreation.ConversationServiceSid": sid},
    )
    async with world.runtime.db.begin() as tx:  # as far as a crash may leave it
        service = await removal.lock(tx, world.account_sid, sid)
        await removal.mark(tx, service)
    for method, path in (
        ("GET", ""),
        ("GET", "/Conversations"),
        ("POST", "/Conversations"),
        ("POST", "/Configuration"),
    ):
        status, body = await world.call(method, f"{PATH}/{sid}{path}", {})
        assert (status, body["code"]) == (404, 20404)
    _, listed = await world.call("GET", PATH)
    assert sid not in {one["sid"] for one in listed["services"]}
    status, body = await world.call("POST", "/v1/Configuration", {"DefaultChatServiceSid": sid})
    assert (status, body["code"]) == (404, 50050)
    _, configured = await world.call("GET", f"/v1/Configuration/Addresses/{OURS}")
    assert "conversation_service_sid" not in configured["auto_creation"]
    for status in (204, 404):
        assert (await world.call("DELETE", f"{PATH}/{sid}"))[0] == status
    assert await count(world, "conversations", sid) == 0


async def test_the_default_service_and_a_declared_one_stay(world) -> None:
    status, body = await world.call("DELETE", f"{PATH}/{world.service_sid}")
    assert (status, body["code"]) == (409, 20409)
    assert "default" in body["message"]
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE services SET declared_as = 'services.other' WHERE sid = $1",
            world.other_service_sid,
        )
    status, body = await world.call("DELETE", f"{PATH}/{world.other_service_sid}")
    assert (status, body["code"]) == (409, 20409)
    assert body["details"] == {"declared_as": "services.other"}
    assert "services.other" in body["message"]


async def test_services_are_not_found_by_what_is_no_sid(world) -> None:
    for path in (f"{PATH}/x", f"{PATH}/{ids.new(ids.SERVICE)}"):
        for method in ("GET", "DELETE"):
            assert (await world.call(method, path))[0] == 404
        assert (await world.call("POST", path, {}))[0] == 405


async def test_who_writes_while_a_service_goes_is_answered_or_finds_nothing(world) -> None:
    sid = await filled(world)
    tree = f"{PATH}/{sid}/Conversations"
    _, listed = await world.call("GET", tree)
    urls = [one["url"] for one in listed["conversations"]]

    async def write(number: int) -> int:
        await asyncio.sleep(number / 500)
        if number % 3 == 0:
            return (await world.call("POST", tree, {}))[0]
        url = urls[number % len(urls)]
        if number % 3 == 1:
            return (await world.call("POST", f"{url}/Messages", {"Body": "x"}))[0]
        return (await world.call("POST", f"{url}/Participants", {"Identity": f"{number}"}))[0]

    deleted, *written = await asyncio.gather(
        world.call("DELETE", f"{PATH}/{sid}"), *(write(number) for number in range(90))
    )
    assert deleted[0] == 204
    assert set(written) <= {201, 404}
    assert await count(world, "conversations", sid) == 0
    assert (await world.call("GET", f"{PATH}/{sid}"))[0] == 404


async def test_the_service_that_the_file_implies_stays(world) -> None:
    settings = world.runtime.settings
    implied = settings.service_sid("default")
    async with world.runtime.db.begin() as tx:
        await declared.declare(tx, settings)
    status, body = await world.call("DELETE", f"{PATH}/{implied}")
    assert (status, body["code"]) == (409, 20409)
    assert "the file declares none" in body["message"]
