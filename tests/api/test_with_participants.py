"""Conversations with participants: one request through the official client, in both trees, makes
everything or nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from .conftest import LONELY, OURS, OURS_TOO, OURS_WHATSAPP
from .test_users import TOLD, listen, told

PERSON, OTHER = "+15558675310", "+15558675311"
PATH = "/v1/ConversationWithParticipants"
KEYS = {
    *("account_sid", "chat_service_sid", "messaging_service_sid", "sid", "friendly_name"),
    *("unique_name", "attributes", "state", "date_created", "date_updated", "timers", "links"),
    *("bindings", "url"),
}
HELD = "Participant and proxy address pairs for one or more participants already in use"
ROLE = "Conversation role not found"
BAD = "One of the JSON requests for participant creation is invalid"


def pair(address: str = PERSON, proxy: str = OURS) -> dict[str, Any]:
    return {"messaging_binding": {"address": address, "proxy_address": proxy}}


def alone(address: str = PERSON) -> dict[str, Any]:
    return {"messaging_binding": {"address": address}}


def projected(address: str = OURS, **more: str) -> dict[str, Any]:
    return {"messaging_binding": {"projected_address": address}, **more}


def form(*participants: Any, **more: str) -> list[tuple[str, str]]:
    """The form of a request; a text stands for itself."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in participants]
    return [*more.items(), *(("Participant", text) for text in texts)]


# What is sent, and how it is refused.
REFUSALS = [
    (form("[]"), 400, 50424, BAD),
    (form("{"), 400, 50424, BAD),
    (form({"identity": "a"}, "ann"), 400, 50424, BAD),
    (form({"identity": 7}), 400, 50424, BAD),
    (form({"messaging_binding": "x"}), 400, 50424, BAD),
    (form({"messaging_binding": {"address": ["x"]}}), 400, 50424, BAD),
    (form(*({"identity": f"p{n}"} for n in range(11))), 400, 50426, None),
    (form({}), 400, 20001, None),
    (form({"identity": ""}), 400, 50204, "Identity not provided"),
    (form({"identity": "a\0b"}), 400, 20001, "Invalid Identity"),
    (form({"identity": "system"}), 400, 50203, "Identity reserved"),
    (form({"identity": "a", **pair()}), 400, 50211, None),
    (form(pair("5558675310")), 400, 50407, "Invalid messaging binding address"),
    (form(pair(PERSON, "nobody")), 400, 50408, "Invalid participant proxy address"),
    (form(pair(PERSON, "+15005550099")), 403, 50413, None),
    (form(pair(PERSON, OURS_WHATSAPP)), 400, 50414, None),
    (form(alone(PERSON), alone(OTHER)), 400, 50435, "Group MMS activation failed"),
    (form(alone(PERSON), projected(), pair(OTHER)), 400, 50435, "Group MMS activation failed"),
    (form(alone(PERSON), projected(), {"identity": "a"}), 400, 50435, None),
    (
        form(alone(PERSON), projected(), alone(PERSON)),
        409,
        50437,
        "Group Participant already exists",
    ),
    (form(alone(PERSON), projected("+15005550099")), 403, 50439, None),
    (form(pair(PERSON, LONELY)), 400, 50373, "No Messaging Service assigned to Conversation"),
    (form({"identity": "a", "attributes": "{"}), 400, 50304, "Attributes not valid JSON"),
    (form({"identity": "a", "role_sid": "RL1"}), 400, 50109, ROLE),
    (form({"identity": "a", "role_sid": "RL" + "a" * 32}), 404, 50109, ROLE),
    (form({"identity": "a"}, {"identity": "a"}), 409, 50433, "Participant already exists"),
    (form(pair(), pair()), 409, 50425, HELD),
    (form({"identity": "a"}, State="closed"), 400, 50384, None),
    (form({"identity": "a"}, FriendlyName="x" * 257), 400, 50003, "Friendly name too long"),
    (form({"identity": "a"}, pair(), UniqueName="taken"), 409, 50353, None),
]


@pytest.fixture(params=["account", "service"])
def ask(request, world):
    return world.api if request.param == "account" else world.service


async def left(world) -> dict[str, int]:
    """How many rows of each kind this account has."""
    kinds = ("conversations", "participants", "users", "bindings", "number_groups")
    async with world.runtime.db.begin() as tx:
        return {
            kind: await tx.sql.fetchval(
                f"SELECT count(*) FROM {kind} WHERE account_sid = $1", world.account_sid
            )
            for kind in kinds
        }


async def test_the_official_client_makes_a_conversation_with_everybody(ask) -> None:
    made = await ask(
        lambda v1: v1.conversation_with_participants.create(
            friendly_name="Friendly",
            unique_name="one",
            participant=[
                json.dumps(pair()),
                json.dumps(
                    {"MessagingBinding.Address": OTHER, "MessagingBinding.ProxyAddress": OURS}
                ),
                json.dumps({"identity": "ann", "attributes": {"a": 1}}),
                json.dumps({"Identity": "bob", "Attributes": '{"b": 2}'}),
            ],
        )
    )
    assert (made.friendly_name, made.unique_name, made.state) == ("Friendly", "one", "active")
    people = await ask(lambda v1: v1.conversations("one").participants.list())
    shown = [
        (one.identity, (one.messaging_binding or {}).get("address"), one.attributes)
        for one in people
    ]
    assert shown == [
        (None, PERSON, "{}"),
        (None, OTHER, "{}"),
        ("ann", None, '{"a":1}'),
        ("bob", None, '{"b": 2}'),
    ]
    assert len({one.role_sid for one in people}) == 1
    assert people[0].role_sid
    with pytest.raises(TwilioRestException) as refused:
        await ask(
            lambda v1: v1.conversation_with_participants.create(participant=[json.dumps(pair())])
        )
    assert (refused.value.status, refused.value.code) == (409, 50425)


async def test_the_json_is_exactly_the_documented_one(world) -> None:
    for tree in ("/v1", f"/v1/Services/{world.other_service_sid}"):
        path = f"{tree}/ConversationWithParticipants"
        status, made = await world.call("POST", path, form({"identity": "ann"}, State="inactive"))
        assert (status, set(made), made["state"]) == (201, KEYS, "inactive")
        assert made["url"] == f"{world.base}{tree}/Conversations/{made['sid']}"
        assert await world.call("GET", made["url"]) == (200, made)
    status, alone = await world.call("POST", PATH, {})
    assert (status, alone["state"]) == (201, "active")


async def test_every_refusal_leaves_nothing_behind(world) -> None:
    await world.call("POST", "/v1/Conversations", {"UniqueName": "taken"})
    before = await left(world)
    for sent, status, code, message in REFUSALS:
        got, body = await world.call("POST", PATH, sent)
        assert (got, body["code"], body["message"]) == (status, code, message or body["message"]), (
            sent
        )
        assert await left(world) == before, sent


async def test_the_participant_that_is_wrong_is_named_by_its_place(world) -> None:
    _, body = await world.call("POST", PATH, form({"identity": "a"}, pair("5558675310")))
    assert (body["code"], body["details"]["participant"]) == (50407, 1)
    assert body["details"]["parameter"] == "MessagingBinding.Address"


async def test_all_pairs_that_are_held_are_named_with_who_holds_them(world) -> None:
    holders = []
    for address in (PERSON, OTHER):
        _, made = await world.call("POST", PATH, form(pair(address)))
        _, people = await world.call("GET", f"{made['url']}/Participants")
        holders.append((made["sid"], people["participants"][0]["sid"]))
    before = await left(world)
    sent = form(pair(PERSON), pair(OTHER), pair(PERSON, OURS_TOO), {"identity": "new"})
    status, body = await world.call("POST", PATH, sent)
    assert (status, body["code"], body["message"]) == (409, 50425, HELD)
    conflicts = sorted(body["details"]["conflicts"], key=lambda one: one["address"])
    assert conflicts == [
        {
            "address": address,
            "proxy_address": OURS,
            "conversation_sid": conversation,
            "participant_sid": participant,
            "state": "active",
        }
        for address, (conversation, participant) in zip((PERSON, OTHER), holders, strict=True)
    ]
    assert await left(world) == before


async def test_of_two_at_once_with_a_common_pair_one_is_made_whole_and_one_not_at_all(
    world,
) -> None:
    for turn in range(10):
        mine, common, yours = (f"+1555867{turn:02}{n}0" for n in (1, 2, 3))
        answers = await asyncio.gather(
            world.call("POST", PATH, form(pair(mine), pair(common), {"identity": f"a{turn}"})),
            world.call("POST", PATH, form(pair(common), pair(yours), {"identity": f"b{turn}"})),
        )
        assert sorted(status for status, _ in answers) == [201, 409]
        [winner] = [body for status, body in answers if status == 201]
        [refused] = [body for status, body in answers if status == 409]
        assert refused["code"] == 50425
        assert [one["conversation_sid"] for one in refused["details"]["conflicts"]] == [
            winner["sid"]
        ]
        assert await left(world) == {
            "conversations": turn + 1,
            "participants": 3 * (turn + 1),
            "users": turn + 1,
            "bindings": 2 * (turn + 1),
            "number_groups": 0,
        }


async def test_many_at_once_in_every_order_end_without_a_deadlock(world) -> None:
    people = [f"+15558675{n:03}" for n in range(4)]
    for _ in range(5):
        answers = await asyncio.gather(
            *(
                world.call(
                    "POST",
                    PATH,
                    form(
                        *(pair(people[(n + k * step) % 4]) for k in range(3)),
                        {"identity": f"i{n % 2}"},
                    ),
                )
                for n in range(4)
                for step in (1, 3)
            )
        )
        assert sorted(status for status, _ in answers) == [201, *[409] * 7]
        [made] = [body for status, body in answers if status == 201]
        assert (await world.call("DELETE", made["url"]))[0] == 204


async def test_events_tell_it_in_the_originals_order(world) -> None:
    await listen(world)
    sent = form(pair(), {"identity": "ann"})
    _, made = await world.call("POST", PATH, sent, headers=TOLD)
    said = [params for _, _, params in await told(world)]
    assert [params["EventType"] for params in said] == [
        "onConversationAdded",
        "onUserAdded",
        "onParticipantAdded",
        "onParticipantAdded",
        "onConversationStateUpdated",
    ]
    moved = said[-1]
    assert said[0]["State"] == moved["StateFrom"] == "initializing"
    assert (moved["StateTo"], moved["Reason"], moved["Source"]) == ("active", "EVENT", "API")
    assert {params.get("ConversationSid", made["sid"]) for params in said} == {made["sid"]}
    assert all(params["RoleSid"] for params in said[2:4])


async def test_that_it_is_ready_is_told_even_if_nobody_asked_to_be_told(world) -> None:
    """A change of state by itself (EVENT) always is."""
    await listen(world)
    await world.call("POST", PATH, form({"identity": "bob"}))
    [moved] = [params for _, _, params in await told(world)]
    said = (moved["EventType"], moved["Reason"], moved["StateTo"])
    assert said == ("onConversationStateUpdated", "EVENT", "active")
