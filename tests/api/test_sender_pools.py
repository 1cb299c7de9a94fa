"""Participants who join by a messaging service: which of its senders they get, and keep."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from app.store import sticky_senders
from app.store.sticky_senders import Wanted

from .conftest import LONELY, OURS, OURS_TOO, OURS_WHATSAPP

PERSON, FRIEND = "+12125558675", "+12125558676"
ADDRESS, PROXY = "MessagingBinding.Address", "MessagingBinding.ProxyAddress"
CH = "/v1/Conversations"
WAITING_FOR_US = """
SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))
"""


def pool(world: Any, name: str = "default") -> str:
    sid: str = world.runtime.settings.messaging_service_sid(name)
    return sid


async def conversation(world: Any) -> str:
    _, made = await world.call("POST", CH, {})
    return str(made["url"])


async def join(world: Any, parent: str, address: str = PERSON, **more: Any) -> tuple[int, Any]:
    form = {ADDRESS: address, PROXY: more.get("proxy") or pool(world)}
    status, body = await world.call("POST", f"{parent}/Participants", form)
    return status, body


async def joined(world: Any, address: str = PERSON, **more: Any) -> tuple[str, str]:
    """The conversation, and the sender that they got in it."""
    parent = await conversation(world)
    status, body = await join(world, parent, address, **more)
    assert status == 201, body
    return parent, body["messaging_binding"]["proxy_address"]


async def test_they_get_a_sender_of_their_channel_and_the_pair_is_theirs(world: Any) -> None:
    parent, sender = await joined(world)
    assert sender in (OURS, OURS_TOO)
    _, on_whatsapp = await joined(world, f"whatsapp:{PERSON}")
    assert on_whatsapp == OURS_WHATSAPP
    status, refused = await join(world, await conversation(world), proxy=sender)
    assert (status, refused["code"]) == (409, 50416)
    assert refused["message"].endswith(parent.rpartition("/")[2])


async def test_they_keep_their_sender_while_its_pair_is_free(world: Any) -> None:
    first, sender = await joined(world)
    second, other = await joined(world)
    assert {sender, other} == {OURS, OURS_TOO}, "the first is held"
    for parent in (first, second):
        assert (await world.call("DELETE", parent))[0] == 204
    for _ in range(3):
        parent, again = await joined(world)
        assert again == sender
        await world.call("POST", parent, {"State": "closed"})


async def test_who_wrote_to_a_sender_gets_that_one(world: Any) -> None:
    for number in range(4):
        person = f"+1212555100{number}"
        first = (OURS, OURS_TOO)[number % 2]
        parent, _ = await joined(world, person, proxy=first)
        await world.call("POST", parent, {"State": "closed"})
        assert (await joined(world, person))[1] == first


async def test_without_stickiness_conversations_get_one_or_the_other(a_world: Any) -> None:
    async with a_world(messaging_services={"default": {"sticky": False}}) as world:
        got = set()
        for _ in range(20):
            parent, sender = await joined(world)
            got.add(sender)
            await world.call("POST", parent, {"State": "closed"})
        assert got == {OURS, OURS_TOO}


async def test_when_every_sender_is_held_the_best_ones_holder_is_named(world: Any) -> None:
    first, _ = await joined(world)
    await joined(world)
    status, refused = await join(world, await conversation(world))
    assert (status, refused["code"]) == (409, 50416)
    assert refused["message"].endswith(first.rpartition("/")[2])
    assert refused["message"].startswith("No free sender in the messaging service")


async def test_who_is_in_a_conversation_by_a_pool_is_not_added_again(world: Any) -> None:
    parent, _ = await joined(world)
    status, refused = await join(world, parent)
    assert (status, refused["code"]) == (409, 50416)
    assert refused["message"].endswith(parent.rpartition("/")[2])
    other, _ = await joined(world, FRIEND, proxy=OURS)
    assert (await join(world, other, FRIEND))[0] == 409, "they are there by one of its senders"


async def test_nobody_is_added_twice_at_once(world: Any) -> None:
    parent = await conversation(world)
    answers = await asyncio.gather(*(join(world, parent) for _ in range(4)))
    assert sorted(status for status, _ in answers) == [201, 409, 409, 409]


@pytest.mark.parametrize("explicit", [None, OURS, OURS_TOO])
async def test_one_request_does_not_bring_somebody_twice(world: Any, explicit: str | None) -> None:
    for proxies in ((pool(world), explicit), (explicit, pool(world))):
        twice = [
            {"messaging_binding": {"address": PERSON, "proxy_address": one or pool(world)}}
            for one in proxies
        ]
        form = [("Participant", json.dumps(one)) for one in twice]
        status, refused = await world.call("POST", "/v1/ConversationWithParticipants", form)
        assert (status, refused["code"]) == (409, 50425)


async def test_two_at_once_get_one_sender_each(world: Any) -> None:
    parents = [await conversation(world) for _ in range(4)]
    answers = await asyncio.gather(*(join(world, parent) for parent in parents))
    assert sorted(status for status, _ in answers) == [201, 201, 409, 409]
    got = {body["messaging_binding"]["proxy_address"] for status, body in answers if status == 201}
    assert got == {OURS, OURS_TOO}


async def test_one_request_may_bring_several_by_one_pool(world: Any) -> None:
    both = [
        {"messaging_binding": {"address": one, "proxy_address": pool(world)}}
        for one in (PERSON, FRIEND)
    ]
    form = [("Participant", json.dumps(one)) for one in both]
    status, made = await world.call("POST", "/v1/ConversationWithParticipants", form)
    assert status in (201, 202), made
    _, listed = await world.call("GET", f"{CH}/{made['sid']}/Participants")
    had = {
        one["messaging_binding"]["address"]: one["messaging_binding"]["proxy_address"]
        for one in listed["participants"]
    }
    assert set(had) == {PERSON, FRIEND}
    await world.call("DELETE", f"{CH}/{made['sid']}")
    assert (await joined(world))[1] == had[PERSON]


async def test_the_same_people_in_another_order_do_not_lock_each_other_out(world: Any) -> None:
    """Somebody else keeps a sender for the first of two, and then for the second."""
    people = [
        {"messaging_binding": {"address": one, "proxy_address": pool(world)}}
        for one in (FRIEND, PERSON)
    ]
    form = [("Participant", json.dumps(one)) for one in people]
    senders = [OURS, OURS_TOO]
    async with world.runtime.db.begin() as tx:
        for person in (PERSON, FRIEND):
            wanted = Wanted(world.account_sid, "IS1", pool(world), person, senders)
            await sticky_senders.keep(tx, wanted, OURS)
            if person == PERSON:
                path = "/v1/ConversationWithParticipants"
                other = asyncio.create_task(world.call("POST", path, form))
                async with asyncio.timeout(10):
                    while not await tx.sql.fetchval(WAITING_FOR_US):
                        await asyncio.sleep(0.01)
                await tx.sql.execute("SET LOCAL lock_timeout = '300ms'")
    status, made = await other
    assert status in (201, 202), made


async def test_an_update_moves_somebody_into_a_pool_once(world: Any) -> None:
    parent = await conversation(world)
    form = {ADDRESS: PERSON, PROXY: LONELY}
    await world.call("POST", parent, {"MessagingServiceSid": pool(world)})
    _, made = await world.call("POST", f"{parent}/Participants", form)
    status, moved = await world.call("POST", made["url"], {PROXY: pool(world)})
    assert status == 200, moved
    sender = moved["messaging_binding"]["proxy_address"]
    assert sender in (OURS, OURS_TOO)
    _, again = await world.call("POST", made["url"], {PROXY: pool(world)})
    assert again["messaging_binding"]["proxy_address"] == sender
    _, third = await joined(world)
    assert third != sender, "the pair is claimed"


@pytest.mark.parametrize(
    ("address", "proxy", "status", "code"),
    [
        (PERSON, "MG" + "0" * 32, 403, 50342),
        ("messenger:123", None, 400, 50414),
        (PERSON, "MG123", 400, 50408),
    ],
)
async def test_what_is_no_pool_for_them_is_refused(
    world: Any, address: str, proxy: str | None, status: int, code: int
) -> None:
    got, refused = await join(world, await conversation(world), address, proxy=proxy)
    assert (got, refused["code"]) == (status, code)
    if proxy == "MG123":
        assert "no SID of a messaging service" in refused["details"]["reason"]


async def test_questions_of_pools_are_answered_from_indexes(world: Any) -> None:
    given = {
        sticky_senders.KNOWN: (world.account_sid, "MG1", PERSON, "IS1", [OURS]),
        sticky_senders.HELD: (world.account_sid, [OURS, OURS_TOO], PERSON),
    }
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute("SET LOCAL enable_seqscan = off")
        for statement, values in given.items():
            rows = await tx.sql.fetch(f"EXPLAIN {statement}", *values)
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan" not in plan, plan
            assert "Sort" not in plan, plan
