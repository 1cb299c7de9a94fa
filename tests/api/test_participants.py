"""Participants through the official client, in both trees, and what two at once may not do."""

from __future__ import annotations

import asyncio

import pytest
from twilio.base.exceptions import TwilioRestException

from .conftest import LONELY, OURS, OURS_TOO

PERSON = "+15558675310"
PAIR = {"MessagingBinding.Address": PERSON, "MessagingBinding.ProxyAddress": OURS}


@pytest.fixture(params=["account", "service"])
def ask(request, world):
    return world.api if request.param == "account" else world.service


async def conversation(world, **form: str) -> str:
    """The URL of a new conversation in the account's tree."""
    _, made = await world.call("POST", "/v1/Conversations", form)
    return made["url"]


async def role(world, name: str, tree: str = "/v1") -> str:
    """The SID of the role with this name."""
    _, listed = await world.call("GET", f"{tree}/Roles")
    return next(one["sid"] for one in listed["roles"] if one["friendly_name"] == name)


async def test_a_bound_participant_lives_through_the_official_client(ask) -> None:
    parent = (await ask(lambda v1: v1.conversations.create(unique_name="group"))).sid
    made = await ask(
        lambda v1: v1.conversations("group").participants.create(
            messaging_binding_address=PERSON,
            messaging_binding_proxy_address=OURS,
            attributes='{"role": "driver"}',
        )
    )
    assert made.conversation_sid == parent
    assert made.messaging_binding == {"type": "sms", "address": PERSON, "proxy_address": OURS}
    assert made.identity is None
    fetched = await ask(lambda v1: v1.conversations(parent).participants(made.sid).fetch())
    assert fetched.attributes == '{"role": "driver"}'
    changed = await ask(
        lambda v1: (
            v1.conversations(parent)
            .participants(made.sid)
            .update(
                messaging_binding_proxy_address=OURS_TOO,
                attributes="{}",
                last_read_message_index=3,
            )
        )
    )
    assert changed.messaging_binding["proxy_address"] == OURS_TOO
    assert (changed.attributes, changed.last_read_message_index) == ("{}", 3)
    assert changed.last_read_timestamp is not None
    assert await ask(lambda v1: v1.conversations(parent).participants(made.sid).delete())
    assert await ask(lambda v1: v1.conversations(parent).participants.list()) == []


async def test_an_identity_stands_in_a_path_for_its_participant(ask) -> None:
    parent = (await ask(lambda v1: v1.conversations.create())).sid
    made = await ask(lambda v1: v1.conversations(parent).participants.create(identity="alice"))
    assert made.messaging_binding is None
    found = await ask(lambda v1: v1.conversations(parent).participants("alice").fetch())
    assert found.sid == made.sid
    with pytest.raises(TwilioRestException) as refused:
        await ask(lambda v1: v1.conversations(parent).participants.create(identity="alice"))
    assert (refused.value.status, refused.value.code) == (409, 50433)
    assert await ask(lambda v1: v1.conversations(parent).participants("alice").delete())


async def test_the_json_is_exactly_the_documented_one(world) -> None:
    for tree, service in (
        ("/v1", {}),
        (
            f"/v1/Services/{world.other_service_sid}",
            {"chat_service_sid": world.other_service_sid},
        ),
    ):
        _, parent = await world.call("POST", f"{tree}/Conversations", {})
        status, made = await world.call(
            "POST", f"{parent['url']}/Participants", {"Identity": "alice"}
        )
        assert status == 201
        assert made == {
            "account_sid": world.account_sid,
            **service,
            "conversation_sid": parent["sid"],
            "sid": made["sid"],
            "identity": "alice",
            "attributes": "{}",
            "messaging_binding": None,
            "role_sid": await role(world, "channel user", tree),
            "date_created": made["date_created"],
            "date_updated": made["date_created"],
            "url": f"{parent['url']}/Participants/{made['sid']}",
            "last_read_message_index": None,
            "last_read_timestamp": None,
        }


async def test_a_pair_is_held_by_one_open_conversation(world) -> None:
    first, second = await conversation(world), await conversation(world)
    _, holder = await world.call("POST", f"{first}/Participants", PAIR)
    status, body = await world.call("POST", f"{second}/Participants", PAIR)
    sid = first[-34:]
    assert (status, body["code"], body["message"]) == (
        409,
        50416,
        f"A binding for this participant and proxy address already exists in Conversation {sid}",
    )
    assert body["details"] == {
        "conversation_sid": sid,
        "participant_sid": holder["sid"],
        "state": "active",
    }


@pytest.mark.parametrize("way", ["remove", "close", "delete", "change"])
async def test_a_pair_is_free_again_at_once(world, way: str) -> None:
    first, second = await conversation(world), await conversation(world)
    _, holder = await world.call("POST", f"{first}/Participants", PAIR)
    freeing = {
        "remove": ("DELETE", holder["url"], None),
        "close": ("POST", first, {"State": "closed"}),
        "delete": ("DELETE", first, None),
        "change": ("POST", holder["url"], {"MessagingBinding.ProxyAddress": OURS_TOO}),
    }
    status, _ = await world.call(*freeing[way])
    assert status in (200, 204)
    status, _ = await world.call("POST", f"{second}/Participants", PAIR)
    assert status == 201


async def test_a_change_of_the_proxy_address_takes_no_held_pair(world) -> None:
    first, second = await conversation(world), await conversation(world)
    await world.call("POST", f"{first}/Participants", PAIR)
    other = PAIR | {"MessagingBinding.ProxyAddress": OURS_TOO}
    _, made = await world.call("POST", f"{second}/Participants", other)
    form = {"MessagingBinding.ProxyAddress": OURS}
    status, body = await world.call("POST", made["url"], form)
    assert (status, body["code"]) == (409, 50416)
    _, fetched = await world.call("GET", made["url"])
    assert fetched["messaging_binding"]["proxy_address"] == OURS_TOO


async def test_of_two_that_claim_a_pair_at_once_one_wins(world) -> None:
    for _ in range(10):
        urls = [await conversation(world) for _ in range(4)]
        answers = await asyncio.gather(
            *(world.call("POST", f"{url}/Participants", PAIR) for url in urls)
        )
        assert sorted(status for status, _ in answers) == [201, 409, 409, 409]
        winner = next(url for url, (status, _) in zip(urls, answers, strict=True) if status == 201)
        for status, body in answers:
            assert status == 201 or body["message"].endswith(winner[-34:])
        assert (await world.call("DELETE", winner))[0] == 204


async def test_of_two_that_join_with_one_identity_at_once_one_wins(world) -> None:
    parent = await conversation(world)
    answers = await asyncio.gather(
        *(world.call("POST", f"{parent}/Participants", {"Identity": "bob"}) for _ in range(4))
    )
    assert sorted(status for status, _ in answers) == [201, 409, 409, 409]


async def test_joining_closing_and_leaving_at_once_leave_no_open_pair_behind(world) -> None:
    for _ in range(10):
        parent, other = await conversation(world), await conversation(world)
        _, made = await world.call("POST", f"{parent}/Participants", PAIR)
        answers = await asyncio.gather(
            world.call("POST", parent, {"State": "closed"}),
            world.call(
                "POST",
                f"{parent}/Participants",
                PAIR | {"MessagingBinding.Address": "+15558675311"},
            ),
            world.call("DELETE", made["url"]),
            world.call("POST", f"{other}/Participants", PAIR),
        )
        assert all(status < 500 for status, _ in answers)
        async with world.runtime.db.begin() as tx:
            left = await tx.sql.fetchval(
                "SELECT count(*) FROM bindings WHERE open AND conversation_sid = $1", parent[-34:]
            )
        assert left == 0
        await world.call("DELETE", other)


async def test_limits_count_everybody_and_external_ones(a_world) -> None:
    limits = {"participants_max": 3, "participants_external_max": 1}
    async with a_world(limits=limits) as world:
        parent = await conversation(world)
        second = PAIR | {"MessagingBinding.Address": "+15558675311"}
        wanted = [
            (PAIR, 201, None),
            (second, 400, 50418),
            ({"Identity": "a"}, 201, None),
            ({"Identity": "b"}, 201, None),
            ({"Identity": "c"}, 400, 50417),
        ]
        for form, status, code in wanted:
            got, body = await world.call("POST", f"{parent}/Participants", form)
            assert (got, body.get("code")) == (status, code)


async def test_an_external_participant_needs_a_messaging_service(world) -> None:
    parent = await conversation(world)
    lonely = PAIR | {"MessagingBinding.ProxyAddress": LONELY}
    status, body = await world.call("POST", f"{parent}/Participants", lonely)
    assert (status, body["code"]) == (400, 50373)
    await world.call("POST", parent, {"MessagingServiceSid": "MG" + "a" * 32})
    status, _ = await world.call("POST", f"{parent}/Participants", lonely)
    assert status == 201


async def test_null_clears_the_read_horizon(world) -> None:
    parent = await conversation(world)
    _, made = await world.call("POST", f"{parent}/Participants", {"Identity": "alice"})
    form = {"LastReadMessageIndex": "7", "LastReadTimestamp": "2024-01-02T03:04:05Z"}
    _, read = await world.call("POST", made["url"], form)
    assert (read["last_read_message_index"], read["last_read_timestamp"]) == (
        7,
        "2024-01-02T03:04:05Z",
    )
    _, cleared = await world.call("POST", made["url"], {"LastReadMessageIndex": "null"})
    assert (cleared["last_read_message_index"], cleared["last_read_timestamp"]) == (None, None)


async def test_an_unchanged_proxy_address_is_accepted(world) -> None:
    parent = await conversation(world)
    _, made = await world.call("POST", f"{parent}/Participants", PAIR)
    form = {"MessagingBinding.ProxyAddress": f" {OURS}", "Attributes": '{"a": 1}'}
    status, changed = await world.call("POST", made["url"], form)
    assert (status, changed["attributes"]) == (200, '{"a": 1}')
    assert changed["messaging_binding"] == made["messaging_binding"]
    status, body = await world.call("POST", f"{await conversation(world)}/Participants", PAIR)
    assert (status, body["code"]) == (409, 50416)


async def test_two_changes_of_a_proxy_address_at_once_leave_one_pair(world) -> None:
    parent = await conversation(world)
    _, made = await world.call("POST", f"{parent}/Participants", PAIR)
    for _ in range(10):
        answers = await asyncio.gather(
            *(
                world.call("POST", made["url"], {"MessagingBinding.ProxyAddress": proxy})
                for proxy in (OURS, OURS_TOO, OURS, OURS_TOO)
            ),
            world.call("POST", made["url"], {"Attributes": "{}"}),
        )
        assert {status for status, _ in answers} == {200}
        _, shown = await world.call("GET", made["url"])
        async with world.runtime.db.begin() as tx:
            held = await tx.sql.fetch(
                "SELECT proxy_address FROM bindings WHERE participant_sid = $1", made["sid"]
            )
        assert [row["proxy_address"] for row in held] == [
            shown["messaging_binding"]["proxy_address"]
        ]


async def test_everybody_gets_the_services_role_unless_another_one_is_given(world) -> None:
    parent = await conversation(world)
    default, admin = await role(world, "channel user"), await role(world, "channel admin")
    for form, given in (
        (PAIR, default),
        ({"Identity": "ann"}, default),
        ({"Identity": "bob", "RoleSid": admin}, admin),
    ):
        _, made = await world.call("POST", f"{parent}/Participants", form)
        assert made["role_sid"] == given
    status, changed = await world.call("POST", f"{parent}/Participants/ann", {"RoleSid": admin})
    assert (status, changed["role_sid"]) == (200, admin)


async def test_a_role_must_be_one_for_conversations_of_this_service(world) -> None:
    parent = await conversation(world)
    await world.call("POST", f"{parent}/Participants", {"Identity": "ann"})
    other = f"/v1/Services/{world.other_service_sid}"
    for strange in (
        await role(world, "service user"),
        await role(world, "channel user", other),
        "RL" + "a" * 32,
    ):
        for path, form in (("", {"Identity": "bob"}), ("/ann", {})):
            status, body = await world.call(
                "POST", f"{parent}/Participants{path}", form | {"RoleSid": strange}
            )
            assert (status, body["code"], body["message"]) == (
                404,
                50109,
                "Conversation role not found",
            )


async def test_an_identity_stands_in_every_path_of_its_participant(world) -> None:
    parent = await conversation(world)
    await world.call("POST", f"{parent}/Participants", {"Identity": "Ann Ä/ö"})
    path = f"{parent}/Participants/Ann%20%C3%84%2F%C3%B6"
    status, changed = await world.call("POST", path, {"Identity": "Ann Ä/ö", "Attributes": "[]"})
    assert (status, changed["attributes"]) == (200, "[]")
    assert (await world.call("GET", path))[1] == changed
    assert (await world.call("DELETE", path))[0] == 204
    assert (await world.call("DELETE", path))[0] == 404


async def test_an_identity_is_in_so_many_conversations_that_are_not_closed(a_world) -> None:
    limits = {"conversations_per_identity_max": 2, "actions_per_s": 0}
    async with a_world(limits=limits) as world:
        parents = [await conversation(world) for _ in range(6)]
        join = {"Identity": "ann"}
        answers = await asyncio.gather(
            *(world.call("POST", f"{parent}/Participants", join) for parent in parents)
        )
        assert sorted(status for status, _ in answers) == [201, 201, *[400] * 4]
        refused = {(b["code"], b["message"]) for status, b in answers if status == 400}
        assert refused == {(50214, "User conversation limit exceeded")}
        text = '{"identity": "ann"}'
        status, body = await world.call(
            "POST", "/v1/ConversationWithParticipants", {"Participant": text}
        )
        assert (status, body["code"]) == (400, 50214)
        joined = [p for p, (status, _) in zip(parents, answers, strict=True) if status == 201]
        left = next(parent for parent in parents if parent not in joined)
        await world.call("POST", joined[0], {"State": "inactive"})
        assert (await world.call("POST", f"{left}/Participants", join))[0] == 400
        await world.call("POST", joined[0], {"State": "closed"})
        assert (await world.call("POST", f"{left}/Participants", join))[0] == 201
