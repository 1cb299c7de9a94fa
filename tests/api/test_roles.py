"""Roles through the official client, in both trees, and what is refused of them."""

from __future__ import annotations

import asyncio

import pytest
from twilio.base.exceptions import TwilioRestException

from app import ids
from app.model.permissions import BEGINNINGS, PERMISSIONS

KEYS = {
    *("sid", "account_sid", "chat_service_sid", "friendly_name", "type", "permissions"),
    *("date_created", "date_updated", "url"),
}
NAME, TYPE, PERMISSION = "FriendlyName", "Type", "Permission"
ROLE = {NAME: "helper", TYPE: "conversation", PERMISSION: "sendMessage"}

MISSING = "Missing required parameter {} in the post body"

REFUSALS = [
    ({TYPE: "service", PERMISSION: "x"}, 20001, MISSING.format(NAME)),
    ({NAME: "a", PERMISSION: "x"}, 20001, MISSING.format(TYPE)),
    ({NAME: "a", TYPE: "service"}, 20001, MISSING.format(PERMISSION)),
    (ROLE | {NAME: ""}, 50000, "FriendlyName not provided"),
    (ROLE | {NAME: "x" * 65}, 50003, "Friendly name too long"),
    (ROLE | {TYPE: "channel"}, 50105, "Invalid role type"),
    (ROLE | {PERMISSION: "fly"}, 50104, "Permission not found"),
    (ROLE | {PERMISSION: ""}, 50104, "Permission not found"),
    (ROLE | {PERMISSION: "createConversation"}, 50104, "Permission not found"),
    (ROLE | {TYPE: "service"}, 50104, "Permission not found"),
]


@pytest.fixture(params=["account", "service"])
def ask(request, world):
    return world.api if request.param == "account" else world.service


async def seeded(world, tree: str = "/v1") -> dict[str, str]:
    """The URLs of the roles that a service begins with, by name."""
    _, listed = await world.call("GET", f"{tree}/Roles")
    return {one["friendly_name"]: one["url"] for one in listed["roles"]}


async def test_a_role_lives_through_the_official_client(ask) -> None:
    made = await ask(
        lambda v1: v1.roles.create(
            friendly_name="helper",
            type="conversation",
            permission=["sendMessage", "addParticipant"],
        )
    )
    assert (made.friendly_name, made.type) == ("helper", "conversation")
    assert made.permissions == ["sendMessage", "addParticipant"]
    fetched = await ask(lambda v1: v1.roles(made.sid).fetch())
    assert fetched.date_created == made.date_created
    changed = await ask(lambda v1: v1.roles(made.sid).update(permission=["leaveConversation"]))
    assert (changed.permissions, changed.friendly_name) == (["leaveConversation"], "helper")
    names = [one.friendly_name for one in await ask(lambda v1: v1.roles.list(page_size=2))]
    assert names == [*(one.friendly_name for one in BEGINNINGS), "helper"]
    assert await ask(lambda v1: v1.roles(made.sid).delete())
    with pytest.raises(TwilioRestException) as gone:
        await ask(lambda v1: v1.roles(made.sid).fetch())
    assert (gone.value.status, gone.value.code) == (404, 20404)


async def test_the_json_is_exactly_the_documented_one(world) -> None:
    for tree, service in (
        ("/v1", world.service_sid),
        (f"/v1/Services/{world.other_service_sid}", world.other_service_sid),
    ):
        status, made = await world.call("POST", f"{tree}/Roles", ROLE)
        assert (status, set(made)) == (201, KEYS)
        assert (made["chat_service_sid"], made["permissions"]) == (service, ["sendMessage"])
        assert made["url"] == f"{world.base}{tree}/Roles/{made['sid']}"
        assert (await world.call("GET", made["url"])) == (200, made)
        _, listed = await world.call("GET", f"{tree}/Roles")
        assert listed["roles"][-1] == made
        assert (listed["meta"]["key"], listed["meta"]["page_size"]) == ("roles", 50)


async def test_a_service_begins_with_the_originals_roles(world) -> None:
    _, listed = await world.call("GET", "/v1/Roles")
    assert [(one["friendly_name"], one["type"]) for one in listed["roles"]] == [
        ("service admin", "service"),
        ("service user", "service"),
        ("channel admin", "conversation"),
        ("channel user", "conversation"),
    ]
    for one in listed["roles"]:
        assert one["permissions"]
        assert set(one["permissions"]) <= PERMISSIONS[one["type"]]


@pytest.mark.parametrize("type_", sorted(PERMISSIONS))
async def test_every_known_permission_is_taken(world, type_: str) -> None:
    every = sorted(PERMISSIONS[type_])
    form = [(NAME, "x" * 64), (TYPE, type_), *((PERMISSION, one) for one in [*every, *every])]
    status, made = await world.call("POST", "/v1/Roles", form)
    assert (status, made["permissions"]) == (201, every)


async def test_every_refusal_has_its_code_and_text(world) -> None:
    for form, code, message in REFUSALS:
        status, body = await world.call("POST", "/v1/Roles", form)
        assert (status, body["code"], body["message"]) == (400, code, message), form
    admin = (await seeded(world))["channel admin"]
    for form, code in (({}, 20001), ({PERMISSION: "joinConversation"}, 50104)):
        status, body = await world.call("POST", admin, form)
        assert (status, body["code"]) == (400, code)


async def test_a_role_of_another_service_is_not_there(world) -> None:
    sid = (await seeded(world))["channel user"][-34:]
    for path in (
        f"/v1/Services/{world.other_service_sid}/Roles/{sid}",
        f"/v1/Roles/{ids.new('RL')}",
        "/v1/Roles/helper",
    ):
        for method, form in (
            ("GET", None),
            ("POST", {PERMISSION: "sendMessage"}),
            ("DELETE", None),
        ):
            status, body = await world.call(method, path, form)
            assert (status, body["code"]) == (404, 20404)


async def test_a_role_in_use_stays(world) -> None:
    roles = await seeded(world)
    for default in ("service user", "channel admin", "channel user"):
        status, body = await world.call("DELETE", roles[default])
        assert (status, body["code"]) == (400, 20001)
    _, parent = await world.call("POST", "/v1/Conversations", {})
    for path, form, type_ in (
        (f"{parent['url']}/Participants", {"Identity": "ann"}, "conversation"),
        ("/v1/Users", {"Identity": "bob"}, "service"),
    ):
        _, role = await world.call(
            "POST", "/v1/Roles", ROLE | {TYPE: type_, PERMISSION: "editOwnMessage"}
        )
        _, holder = await world.call("POST", path, form | {"RoleSid": role["sid"]})
        assert holder["role_sid"] == role["sid"]
        assert (await world.call("DELETE", role["url"]))[0] == 400
        assert (await world.call("DELETE", holder["url"]))[0] == 204
        assert (await world.call("DELETE", role["url"]))[0] == 204
    assert (await world.call("DELETE", roles["service admin"]))[0] == 204


async def test_a_role_that_is_given_while_it_is_deleted_is_there_or_refused(world) -> None:
    for turn in range(8):
        _, role = await world.call(
            "POST", "/v1/Roles", ROLE | {TYPE: "service", PERMISSION: "editOwnUserInfo"}
        )
        form = {"Identity": f"user {turn}", "RoleSid": role["sid"]}
        (gone, _), (made, _) = await asyncio.gather(
            world.call("DELETE", role["url"]), world.call("POST", "/v1/Users", form)
        )
        assert (gone, made) in ((204, 404), (400, 201))
