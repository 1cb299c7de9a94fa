"""Users through the official client, in both trees: made by hand, or with their first
participant."""

from __future__ import annotations

import asyncio
from typing import get_args

import orjson
import pytest
from twilio.base.exceptions import TwilioRestException

from app import ids
from app.api import users as users_api
from app.settings.types import PostEvent

KEYS = {
    *("sid", "account_sid", "chat_service_sid", "role_sid", "identity", "friendly_name"),
    *("attributes", "is_online", "is_notifiable", "date_created", "date_updated", "url", "links"),
}
LONG = "x" * 257
REFUSALS = [
    ({}, 400, 20001, "Missing required parameter Identity in the post body"),
    ({"Identity": ""}, 400, 50204, "Identity not provided"),
    ({"Identity": LONG}, 400, 50207, "Identity too long"),
    ({"Identity": "US" + "a" * 32}, 400, 50206, "Identity should not match user SID pattern"),
    ({"Identity": "system"}, 400, 50203, "Identity reserved"),
    ({"Identity": "ann"}, 409, 50201, "User already exists"),
    ({"Identity": "a", "FriendlyName": LONG}, 400, 50003, "Friendly name too long"),
    ({"Identity": "a", "Attributes": "{"}, 400, 50304, "Attributes not valid JSON"),
    ({"Identity": "a", "Attributes": f'"{"x" * 4096}"'}, 400, 50303, "Attributes too long"),
    ({"Identity": "a", "RoleSid": ""}, 400, 50103, "Role SID not provided"),
    ({"Identity": "a", "RoleSid": "RL1"}, 404, 50100, "Role not found"),
    ({"Identity": "a", "RoleSid": "RL" + "a" * 32}, 404, 50100, "Role not found"),
]
TOLD = {"X-Twilio-Webhook-Enabled": "true"}


@pytest.fixture(params=["account", "service"])
def ask(request, world):
    return world.api if request.param == "account" else world.service


async def roles(world) -> dict[str, str]:
    """The SIDs of the roles, by name."""
    _, listed = await world.call("GET", "/v1/Roles")
    return {one["friendly_name"]: one["sid"] for one in listed["roles"]}


async def listen(world, service_sid: str | None = None) -> str:
    """A webhook that wants every event; gives its SID."""
    sid = ids.new(ids.WEBHOOK)
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "INSERT INTO webhook_configurations (sid, account_sid, chat_service_sid, post_url,"
            " method, filters, date_created, date_updated)"
            " VALUES ($1, $2, $3, $4, 'POST', $5, $6, $6)",
            *(sid, world.account_sid, service_sid, "https://crm.example.com/hook"),
            *(list(get_args(PostEvent)), tx.now),
        )
    return sid


async def told(world) -> list[tuple[str, str, dict[str, str]]]:
    """What waits to be told, in order: lane, scope, parameters."""
    async with world.runtime.db.begin() as tx:
        rows = await tx.sql.fetch(
            "SELECT lane, scope, params::text AS said FROM outbox WHERE account_sid = $1"
            " AND kind = 'hook' ORDER BY seq",
            world.account_sid,
        )
    return [(row["lane"], row["scope"], orjson.loads(row["said"])) for row in rows]


async def test_a_user_lives_through_the_official_client(ask) -> None:
    made = await ask(
        lambda v1: v1.users.create(identity="ann", friendly_name="Ann", attributes='{"a": 1}')
    )
    assert (made.identity, made.friendly_name, made.attributes) == ("ann", "Ann", '{"a": 1}')
    fetched = await ask(lambda v1: v1.users("ann").fetch())
    assert (fetched.sid, fetched.is_online, fetched.is_notifiable) == (made.sid, None, None)
    changed = await ask(lambda v1: v1.users(made.sid).update(friendly_name="", attributes="{}"))
    assert (changed.friendly_name, changed.attributes) == (None, "{}")
    await ask(lambda v1: v1.users.create(identity="bob"))
    assert [one.identity for one in await ask(lambda v1: v1.users.list(page_size=1))] == [
        "ann",
        "bob",
    ]
    with pytest.raises(TwilioRestException) as refused:
        await ask(lambda v1: v1.users.create(identity="bob"))
    assert (refused.value.status, refused.value.code) == (409, 50201)
    assert await ask(lambda v1: v1.users("bob").delete())
    with pytest.raises(TwilioRestException) as gone:
        await ask(lambda v1: v1.users("bob").fetch())
    assert (gone.value.status, gone.value.code) == (404, 20404)


async def test_the_json_is_exactly_the_documented_one(world) -> None:
    for tree, service in (
        ("/v1", world.service_sid),
        (f"/v1/Services/{world.other_service_sid}", world.other_service_sid),
    ):
        status, made = await world.call("POST", f"{tree}/Users", {"Identity": "Ann Ä/ö"})
        assert (status, set(made)) == (201, KEYS)
        url = f"{world.base}{tree}/Users/{made['sid']}"
        assert (made["url"], made["links"]) == (url, {"user_conversations": f"{url}/Conversations"})
        assert made["chat_service_sid"] == service
        assert (made["is_online"], made["is_notifiable"], made["attributes"]) == (None, None, "{}")
        assert await world.call("GET", url) == (200, made)
        _, listed = await world.call("GET", f"{tree}/Users")
        assert (listed["users"], listed["meta"]["page_size"]) == ([made], 50)


async def test_every_refusal_has_its_code_and_text(world) -> None:
    await world.call("POST", "/v1/Users", {"Identity": "ann"})
    wrong = {"Identity": "a", "RoleSid": (await roles(world))["channel user"]}
    for form, status, code, message in [*REFUSALS, (wrong, 400, 50105, "Invalid role type")]:
        got, body = await world.call("POST", "/v1/Users", form)
        assert (got, body["code"], body["message"]) == (status, code, message), form
    for method, form in (("GET", None), ("POST", {"FriendlyName": "x"}), ("DELETE", None)):
        for key in ("nobody", "US" + "a" * 32):
            status, body = await world.call(method, f"/v1/Users/{key}", form)
            assert (status, body["code"]) == (404, 20404)


async def test_a_first_participant_makes_the_user_with_the_services_role(world) -> None:
    first, second = [(await world.call("POST", "/v1/Conversations", {}))[1] for _ in range(2)]
    for parent in (first, second):
        status, _ = await world.call("POST", f"{parent['url']}/Participants", {"Identity": "ann"})
        assert status == 201
    _, listed = await world.call("GET", "/v1/Users")
    [ann] = listed["users"]
    assert (ann["identity"], ann["role_sid"]) == ("ann", (await roles(world))["service user"])
    status, _ = await world.call("POST", "/v1/Users", {"Identity": "ann"})
    assert status == 409


async def test_many_first_participants_at_once_make_one_user(world) -> None:
    parents = [(await world.call("POST", "/v1/Conversations", {}))[1] for _ in range(6)]
    answers = await asyncio.gather(
        *(world.call("POST", f"{one['url']}/Participants", {"Identity": "ann"}) for one in parents)
    )
    assert {status for status, _ in answers} == {201}
    _, listed = await world.call("GET", "/v1/Users")
    assert [one["identity"] for one in listed["users"]] == ["ann"]


async def test_a_refused_participant_makes_no_user(world) -> None:
    _, parent = await world.call("POST", "/v1/Conversations", {})
    form = {"Identity": "ann", "RoleSid": "RL" + "a" * 32}
    status, _ = await world.call("POST", f"{parent['url']}/Participants", form)
    assert status == 404
    assert (await world.call("GET", "/v1/Users/ann"))[0] == 404


async def test_a_deleted_user_leaves_every_conversation_and_that_is_told(
    world, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users_api, "LEAVING_MAX", 2)
    await listen(world)
    parents = [(await world.call("POST", "/v1/Conversations", {}))[1] for _ in range(5)]
    for parent in parents:
        for identity in ("ann", "bob"):
            await world.call("POST", f"{parent['url']}/Participants", {"Identity": identity})
    await world.call("POST", parents[0]["url"], {"State": "closed"})
    status, _ = await world.call("DELETE", "/v1/Users/ann", headers=TOLD)
    assert status == 204
    said = [params for _, _, params in await told(world)]
    assert {params["EventType"] for params in said} == {"onParticipantRemoved"}
    assert {params["ConversationSid"] for params in said} == {one["sid"] for one in parents}
    assert {params["Identity"] for params in said} == {"ann"}
    for parent in parents:
        _, left = await world.call("GET", f"{parent['url']}/Participants")
        assert [one["identity"] for one in left["participants"]] == ["bob"]
    assert (await world.call("GET", "/v1/Users/ann"))[0] == 404
    assert (await world.call("GET", "/v1/Users/bob"))[0] == 200


async def test_joining_and_deleting_at_once_leave_no_participant_without_a_user(world) -> None:
    for _ in range(8):
        parents = [(await world.call("POST", "/v1/Conversations", {}))[1] for _ in range(3)]
        join = {"Identity": "ann"}
        await world.call("POST", f"{parents[0]['url']}/Participants", join)
        answers = await asyncio.gather(
            world.call("DELETE", "/v1/Users/ann"),
            *(world.call("POST", f"{one['url']}/Participants", join) for one in parents[1:]),
        )
        assert [status for status, _ in answers] == [204, 201, 201]
        _, found = await world.call("GET", "/v1/ParticipantConversations?Identity=ann")
        assert all(one["participant_user_sid"] for one in found["conversations"])
        await world.call("DELETE", "/v1/Users/ann")


async def test_what_happens_to_a_user_is_told_to_the_service_and_else_the_account(world) -> None:
    everybody = await listen(world)
    one = await listen(world, world.other_service_sid)
    trees = (
        ("/v1", everybody, "global"),
        (f"/v1/Services/{world.other_service_sid}", one, "service"),
    )
    for tree, _, _ in trees:
        _, user = await world.call("POST", f"{tree}/Users", {"Identity": "ann"}, headers=TOLD)
        await world.call("POST", user["url"], {"FriendlyName": "Ann"}, headers=TOLD)
        await world.call("POST", user["url"], {"FriendlyName": "silent"})
    said = await told(world)
    assert [(scope, params["EventType"]) for _, scope, params in said] == [
        (scope, event) for _, _, scope in trees for event in ("onUserAdded", "onUserUpdated")
    ]
    for place, (_, sid, _) in enumerate(trees):
        (lane, _, added), (same, _, updated) = said[2 * place : 2 * place + 2]
        assert lane == same == f"h:{sid}:{added['UserSid']}"
        assert set(updated) - set(added) == {"DateUpdated", "FriendlyName"}
        assert (updated["FriendlyName"], updated["Identity"], updated["Source"]) == (
            "Ann",
            "ann",
            "API",
        )
        assert "ConversationSid" not in updated


async def test_a_first_participant_tells_of_its_user_before_itself(world) -> None:
    await listen(world)
    _, parent = await world.call("POST", "/v1/Conversations", {})
    path = f"{parent['url']}/Participants"
    await world.call("POST", path, {"Identity": "ann"}, headers=TOLD)
    assert [params["EventType"] for _, _, params in await told(world)] == [
        "onUserAdded",
        "onParticipantAdded",
    ]


async def test_reachability_is_shown_of_one_user_where_the_service_allows_it(world) -> None:
    await world.call("POST", "/v1/Users", {"Identity": "ann"})
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "INSERT INTO push_bindings (sid, account_sid, chat_service_sid, identity, endpoint,"
            " binding_type, date_created, date_updated)"
            " VALUES ($1, $2, $3, 'ann', 'e', 'fcm', $4, $4)",
            *("BS" + world.account_sid[2:], world.account_sid, world.service_sid, tx.now),
        )
    assert (await world.call("GET", "/v1/Users/ann"))[1]["is_notifiable"] is None
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE services SET reachability_enabled = true WHERE sid = $1", world.service_sid
        )
    assert (await world.call("GET", "/v1/Users/ann"))[1]["is_notifiable"] is True
    _, listed = await world.call("GET", "/v1/Users")
    assert [one["is_notifiable"] for one in listed["users"]] == [None]
