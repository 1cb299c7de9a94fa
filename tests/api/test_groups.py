"""Group texts over HTTP: one open conversation per set of numbers, whatever happens at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from app.store import timers

from .conftest import OURS, OURS_TOO

ANN, BOB, CAROL = "+15558675310", "+15558675311", "+15558675312"
ADDRESS, PROXY = "MessagingBinding.Address", "MessagingBinding.ProxyAddress"
PROJECTED = "MessagingBinding.ProjectedAddress"
HELD = "Group MMS with given participant list already exists as Conversation "
PATH = "/v1/ConversationWithParticipants"


def native(address: str) -> dict[str, Any]:
    return {"messaging_binding": {"address": address}}


def projected(address: str = OURS, **more: str) -> dict[str, Any]:
    return {"messaging_binding": {"projected_address": address}, **more}


async def with_participants(world, *people: dict[str, Any]) -> tuple[int, Any]:
    form = [("Participant", json.dumps(one)) for one in people]
    return await world.call("POST", PATH, form)


async def conversation(world) -> str:
    """The URL of a new one."""
    _, made = await world.call("POST", "/v1/Conversations", {})
    return str(made["url"])


async def join(world, url: str, **form: str) -> tuple[int, Any]:
    """Somebody joins; `address`, `projected` and `proxy` stand for their long names."""
    names = {"address": ADDRESS, "projected": PROJECTED, "proxy": PROXY, "identity": "Identity"}
    named = {names[name]: text for name, text in form.items()}
    return await world.call("POST", f"{url}/Participants", named)


async def group(world, *natives: str, ours: str = OURS, identity: str | None = None) -> str:
    """The URL of a conversation that is a group, made one by one."""
    url = await conversation(world)
    who = {} if identity is None else {"identity": identity}
    assert (await join(world, url, projected=ours, **who))[0] == 201
    for address in natives:
        status, body = await join(world, url, address=address)
        assert status == 201, body
    return url


async def held(world) -> list[str]:
    """The number groups of this account that are open."""
    async with world.runtime.db.begin() as tx:
        rows = await tx.sql.fetch(
            "SELECT numbers FROM number_groups WHERE account_sid = $1 AND open"
            " AND numbers IS NOT NULL ORDER BY numbers",
            world.account_sid,
        )
    return [row["numbers"] for row in rows]


async def test_the_official_client_makes_the_documented_group(world) -> None:
    made = await world.api(lambda v1: v1.conversations.create(friendly_name="Home-buying"))
    at = made.sid

    def add(**form: str) -> Any:
        names = {"address": "messaging_binding_address"}
        names["projected"] = "messaging_binding_projected_address"
        sent = {names.get(name, name): text for name, text in form.items()}
        return lambda v1: v1.conversations(at).participants.create(**sent)

    agent = await world.api(add(identity="realEstateAgent", projected=OURS))
    buyer = await world.api(add(address=ANN))
    await world.api(add(address=BOB))
    assert agent.messaging_binding == {"type": "sms", "projected_address": OURS}
    assert buyer.messaging_binding == {"type": "sms", "address": ANN}
    assert await held(world) == [f"{OURS} {ANN} {BOB}"]
    said = await world.api(
        lambda v1: v1.conversations(at).messages.create(author="realEstateAgent", body="Glad!")
    )
    assert said.participant_sid == agent.sid
    receipts = await world.api(
        lambda v1: v1.conversations(at).messages(said.sid).delivery_receipts.list()
    )
    assert [(one.status, one.error_code) for one in receipts] == [(None, None)] * 2
    with pytest.raises(TwilioRestException) as refused:
        await world.api(lambda v1: v1.conversations(at).messages.create(body="from nobody"))
    assert (refused.value.status, refused.value.code) == (400, 50513)
    assert refused.value.msg.endswith("Message author should be among Group MMS participants")


async def test_the_participant_that_completes_a_taken_set_is_refused_with_who_has_it(world) -> None:
    first = (await group(world, ANN, BOB))[-34:]
    url = await group(world, BOB)
    status, body = await join(world, url, address=ANN)
    assert (status, body["code"], body["message"]) == (409, 50438, HELD + first)
    assert body["details"] == {
        "conversation_sid": first,
        "participant_sid": None,
        "state": "active",
    }
    status, body = await with_participants(world, native(BOB), native(ANN), projected())
    assert (status, body["code"], body["message"][-34:]) == (409, 50438, first)
    _, people = await world.call("GET", f"{url}/Participants")
    assert len(people["participants"]) == 2
    assert (await join(world, url, address=CAROL))[0] == 201


async def test_another_number_of_ours_or_another_account_is_another_group(world, a_world) -> None:
    await group(world, ANN, BOB)
    await group(world, ANN, BOB, ours=OURS_TOO)
    async with a_world() as other:
        await group(other, ANN, BOB)
        assert await held(other) == [f"{OURS} {ANN} {BOB}"]
    assert len(await held(world)) == 2


@pytest.mark.parametrize("way", ["close", "delete", "leave", "inactive"])
async def test_closing_deleting_and_leaving_free_the_set_and_nothing_else_does(
    world, way: str
) -> None:
    url = await group(world, ANN, BOB)
    if way == "leave":
        _, people = await world.call("GET", f"{url}/Participants")
        last = people["participants"][-1]["url"]
        assert (await world.call("DELETE", last))[0] == 204
        assert await held(world) == [f"{OURS} {ANN}"]
        assert (await world.call("POST", url, {"State": "closed"}))[0] == 200
    elif way == "delete":
        assert (await world.call("DELETE", url))[0] == 204
    else:
        state = "closed" if way == "close" else way
        assert (await world.call("POST", url, {"State": state}))[0] == 200
    status, _ = await with_participants(world, native(ANN), native(BOB), projected())
    assert status == (409 if way == "inactive" else 201)


async def test_who_leaves_may_not_make_a_set_that_is_taken(world) -> None:
    url = await group(world, ANN, BOB)
    await group(world, ANN)
    _, people = await world.call("GET", f"{url}/Participants")
    bob = people["participants"][-1]["url"]
    status, body = await world.call("DELETE", bob)
    assert (status, body["code"]) == (409, 50438)
    assert (await world.call("GET", bob))[0] == 200
    assert len(await held(world)) == 2


async def test_a_number_changes_hands_within_its_group(world) -> None:
    """A projected address may be shared, and change its identity; the set stays what it was."""
    url = await group(world, ANN, BOB)
    status, agent = await join(world, url, projected=OURS, identity="agent")
    assert (status, await held(world)) == (201, [f"{OURS} {ANN} {BOB}"])
    for form, code in (
        ({"projected": OURS}, 50437),
        ({"projected": OURS, "identity": "agent"}, 50437),
        ({"projected": OURS_TOO, "identity": "agent"}, 50433),
        ({"address": ANN}, 50437),
    ):
        status, body = await join(world, url, **form)
        assert (status, body["code"]) == (409, code)
    assert (await world.call("POST", agent["url"], {"Identity": ""}))[0] == 409  # two gateways
    _, other = await join(world, url, projected=OURS_TOO)
    status, body = await world.call("POST", other["url"], {"Identity": "agent"})
    assert (status, body["code"]) == (409, 50433)
    assert (await world.call("DELETE", other["url"]))[0] == 204
    assert (await world.call("DELETE", agent["url"]))[0] == 204
    assert await held(world) == [f"{OURS} {ANN} {BOB}"]
    _, people = await world.call("GET", f"{url}/Participants")
    gateway = people["participants"][0]["url"]
    for identity in ("agent", "null", "boss"):
        status, shown = await world.call("POST", gateway, {"Identity": identity})
        assert (status, shown["identity"]) == (200, None if identity == "null" else identity)
    assert await held(world) == [f"{OURS} {ANN} {BOB}"]


async def test_a_chat_becomes_a_group_and_a_chat_again(world) -> None:
    url = await conversation(world)
    _, agent = await join(world, url, identity="agent")
    status, shown = await world.call("POST", agent["url"], {PROJECTED: OURS})
    assert (status, shown["messaging_binding"]) == (
        200,
        {"type": "sms", "projected_address": OURS},
    )
    _, ann = await join(world, url, address=ANN)
    assert await held(world) == [f"{OURS} {ANN}"]
    status, body = await world.call("POST", agent["url"], {PROJECTED: ""})
    assert (status, body["code"]) == (400, 50434)
    assert await held(world) == [f"{OURS} {ANN}"]
    assert (await world.call("DELETE", ann["url"]))[0] == 204
    status, shown = await world.call("POST", agent["url"], {PROJECTED: ""})
    assert (status, shown["messaging_binding"]) == (200, None)
    assert await held(world) == []
    assert (await join(world, url, address=BOB, proxy=OURS))[0] == 201
    assert (await world.call("POST", f"{url}/Messages", {"Body": "hi"}))[0] == 201


async def test_groups_and_others_do_not_mix(world) -> None:
    grouped = await group(world, ANN, BOB)
    for form, code in (({"identity": "x"}, 50434), ({"address": CAROL, "proxy": OURS}, 50435)):
        status, body = await join(world, grouped, **form)
        assert (status, body["code"]) == (400, code)
    paired = await conversation(world)
    await join(world, paired, address=CAROL, proxy=OURS)
    for form in ({"address": ANN}, {"projected": OURS}):
        status, body = await join(world, paired, **form)
        assert (status, body["code"]) == (400, 50435)
        assert body["details"]["reason"]
    assert await held(world) == [f"{OURS} {ANN} {BOB}"]


async def test_a_group_of_two_keeps_its_pair_and_a_pair_does_not_stop_a_group(world) -> None:
    first = (await group(world, ANN))[-34:]
    url = await conversation(world)
    status, body = await join(world, url, address=ANN, proxy=OURS)
    assert (status, body["code"], body["message"][-34:]) == (409, 50416, first)
    assert body["details"]["participant_sid"][:2] == "MB"
    pair = {"messaging_binding": {"address": ANN, "proxy_address": OURS}}
    status, body = await with_participants(world, pair)
    assert (status, body["code"]) == (409, 50425)
    assert body["details"]["conflicts"][0]["conversation_sid"] == first
    assert (await join(world, url, address=BOB, proxy=OURS))[0] == 201
    await group(world, BOB, CAROL)


async def test_a_group_takes_as_many_as_the_limits_say(a_world) -> None:
    async with a_world(limits={"actions_per_s": 0, "participants_group_max": 3}) as world:
        url = await group(world, ANN, BOB)
        status, body = await join(world, url, address=CAROL)
        assert (status, body["code"]) == (400, 50436)
        people = [native(f"+1555867540{n}") for n in range(3)]
        status, body = await with_participants(world, projected(), *people)
        assert (status, body["code"]) == (400, 50436)


async def test_a_deleted_user_leaves_its_groups_and_their_sets(world) -> None:
    alone = await group(world, ANN, BOB, identity="agent")
    await group(world, CAROL)
    shared = await group(world, CAROL, ours=OURS_TOO, identity="agent")
    assert (await join(world, shared, projected=OURS))[0] == 201
    plain = await conversation(world)
    await join(world, plain, identity="agent")
    assert (await world.call("DELETE", "/v1/Users/agent"))[0] == 204
    # The set that is left of the shared one is taken: it stays without.
    assert await held(world) == [f"{OURS} {CAROL}"]
    for url, left in ((alone, 2), (shared, 2), (plain, 0)):
        _, people = await world.call("GET", f"{url}/Participants")
        assert len(people["participants"]) == left


async def test_a_timer_that_closes_a_group_frees_its_set(world) -> None:
    url = await group(world, ANN, BOB)
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE conversations SET closed_timer_s = 600, active_at = $2, state_at = $2,"
            " next_timer_at = $2 WHERE sid = $1",
            url[-34:],
            tx.now.replace(year=2020),
        )
    async with world.runtime.db.begin() as tx:
        step = await timers.sweep(tx.sql, tx.now)
    assert url[-34:] in [one.conversation.sid for one in step.elapsed]
    assert await held(world) == []
    await group(world, ANN, BOB)


async def test_of_many_at_once_one_gets_the_set(world) -> None:
    for turn in range(5):
        people = [native(f"+1555867{turn}{n:03}") for n in range(4)]
        answers = await asyncio.gather(
            *(with_participants(world, projected(), *people[k:], *people[:k]) for k in range(4)),
            *(with_participants(world, *people, projected()) for _ in range(4)),
        )
        assert sorted(status for status, _ in answers) == [201, *[409] * 7]
        [made] = [body for status, body in answers if status == 201]
        refused = {body["message"] for status, body in answers if status == 409}
        assert refused == {HELD + made["sid"]}
    assert len(await held(world)) == 5


async def test_those_who_join_a_group_at_once_are_all_in_its_set(world) -> None:
    url = await group(world)
    people = [f"+1555867532{n}" for n in range(8)]
    answers = await asyncio.gather(*(join(world, url, address=one) for one in people))
    assert [status for status, _ in answers] == [201] * 8
    assert await held(world) == [" ".join([OURS, *people])]


async def test_groups_that_swap_a_member_at_once_end_with_one_set_each(world) -> None:
    for turn in range(4):
        extra = f"+1555867540{turn}"
        one, two = await group(world, extra, ANN), await group(world, extra, BOB)
        answers = await asyncio.gather(join(world, one, address=BOB), join(world, two, address=ANN))
        assert sorted(status for status, _ in answers) == [201, 409]
        assert {body["code"] for status, body in answers if status == 409} == {50438}
    sets = await held(world)
    assert len(sets) == len(set(sets)) == 8


async def test_joining_while_it_closes_ends_closed_and_free(world) -> None:
    for turn in range(6):
        url = await group(world, f"+1555867550{turn}")
        await asyncio.gather(
            join(world, url, address=ANN), world.call("POST", url, {"State": "closed"})
        )
        assert await held(world) == []


async def test_changes_of_one_participant_at_once_leave_the_set_that_is_there(world) -> None:
    for turn in range(6):
        url = await group(world, f"+1555867560{turn}", identity="agent")
        _, people = await world.call("GET", f"{url}/Participants")
        agent, ann = (one["url"] for one in people["participants"])
        await asyncio.gather(
            world.call("POST", agent, {"Identity": ""}),
            world.call("DELETE", ann),
            world.call("DELETE", agent),
        )
        _, people = await world.call("GET", f"{url}/Participants")
        assert people["participants"] == []
        assert await held(world) == []
        async with world.runtime.db.begin() as tx:
            row = await tx.sql.fetchrow(
                "SELECT grouped, (SELECT count(*) FROM number_groups g"
                " WHERE g.conversation_sid = c.sid) AS rows FROM conversations c WHERE sid = $1",
                url[-34:],
            )
        assert tuple(row) == (False, 0)
