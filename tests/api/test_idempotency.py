"""Creates that are sent again: done once, answered the same."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from app.ops import retention
from app.store import idempotency

from .conftest import OURS
from .contract import BOTH, operations
from .tour import Tour

KEY = {"Idempotency-Key": "order-4711"}
PERSON = "+15558675310"


@pytest.fixture
async def talk(world) -> str:
    """The URL of a conversation with somebody outside."""
    _, made = await world.call("POST", "/v1/Conversations", {"UniqueName": "it"})
    pair = {"MessagingBinding.Address": PERSON, "MessagingBinding.ProxyAddress": OURS}
    assert (await world.call("POST", f"{made['url']}/Participants", pair))[0] == 201
    return str(made["url"])


CREATES = [
    ("/v1/Conversations", {"FriendlyName": "x"}, {"FriendlyName": "y"}, "conversations"),
    ("/v1/Services/{service}/Conversations", {}, {"Attributes": "{}"}, "conversations"),
    ("{talk}/Participants", {"Identity": "bob"}, {"Identity": "amy"}, "participants"),
    ("{talk}/Messages", {"Body": "hello"}, {"Body": "bye"}, "messages"),
]


async def count(world: Any, table: str) -> int:
    async with world.runtime.db.begin() as tx:
        found: int = await tx.sql.fetchval(
            f"SELECT count(*) FROM {table} WHERE account_sid = $1", world.account_sid
        )
    return found


@pytest.mark.parametrize(("path", "form", "other", "table"), CREATES)
async def test_the_same_request_again_is_answered_and_not_done(
    world, talk, path: str, form, other, table: str
) -> None:
    path = path.format(service=world.service_sid, talk=talk)
    before = await count(world, table)
    first = await world.call("POST", path, form, headers=KEY)
    again = await world.call("POST", path, form, headers=KEY)
    assert first[0] == 201
    assert again == first
    status, refused = await world.call("POST", path, other, headers=KEY)
    assert (status, refused["code"], refused["status"]) == (422, 20422, 422)
    assert await count(world, table) == before + 1
    assert (await world.call("POST", path, other, headers={"Idempotency-Key": "2"}))[0] == 201


@pytest.mark.parametrize(("path", "form", "other", "table"), CREATES)
async def test_of_many_at_once_one_is_done(world, talk, path: str, form, other, table: str) -> None:
    path = path.format(service=world.service_sid, talk=talk)
    before = await count(world, table)
    answers = await asyncio.gather(*(world.call("POST", path, form, headers=KEY) for _ in range(8)))
    assert [status for status, _ in answers] == [201] * 8
    assert len({body["sid"] for _, body in answers}) == 1
    assert await count(world, table) == before + 1


async def test_who_hangs_up_before_the_answer_gets_it_by_asking_again(world, talk) -> None:
    for path, form, table in (
        (f"{talk}/Messages", {"Body": "x"}, "messages"),
        ("/v1/Conversations", {}, "conversations"),
    ):
        before = await count(world, table)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await world.call(
                    "POST",
                    path,
                    form,
                    headers=KEY | {"Idempotency-Key": table},
                    timeout=aiohttp.ClientTimeout(total=0.001),
                )
        status, _ = await world.call("POST", path, form, headers={"Idempotency-Key": table})
        assert status == 201
        assert await count(world, table) == before + 1


async def test_a_message_is_answered_again_although_its_conversation_closed(world, talk) -> None:
    first = await world.call("POST", f"{talk}/Messages", {"Body": "x"}, headers=KEY)
    assert (await world.call("POST", talk, {"State": "closed"}))[0] == 200
    assert await world.call("POST", f"{talk}/Messages", {"Body": "x"}, headers=KEY) == first
    assert (await world.call("POST", f"{talk}/Messages", {"Body": "x"}))[0] == 400


async def test_a_refused_create_keeps_no_key(world, talk) -> None:
    path, form = f"{talk}/Participants", {"Identity": "bob"}
    assert (await world.call("POST", path, form))[0] == 201
    status, body = await world.call("POST", path, form, headers=KEY)
    assert (status, body["code"]) == (409, 50433)
    assert await count(world, "idempotency_keys") == 0
    assert (await world.call("POST", path, {"Identity": "amy"}, headers=KEY))[0] == 201


async def test_the_order_of_parameters_is_no_other_request(world) -> None:
    path = "/v1/Conversations"
    first = await world.call("POST", path, b"FriendlyName=a&UniqueName=b", headers=KEY)
    again = await world.call("POST", path, b"UniqueName=b&FriendlyName=a", headers=KEY)
    assert first[0] == 201
    assert again == first


async def test_updates_carry_no_key(world, talk) -> None:
    for name in ("a", "b"):
        status, body = await world.call("POST", talk, {"FriendlyName": name}, headers=KEY)
        assert (status, body["friendly_name"]) == (200, name)


@pytest.mark.parametrize("key", ["", "  ", "x" * 256, "é"])
async def test_a_key_that_cannot_be_one_is_refused(world, key: str) -> None:
    status, body = await world.call(
        "POST", "/v1/Conversations", {}, headers={"Idempotency-Key": key}
    )
    assert (status, body["code"], body["message"]) == (400, 20001, "Invalid Idempotency-Key")


async def test_an_answer_is_kept_for_a_day(world) -> None:
    first = await world.call("POST", "/v1/Conversations", {}, headers=KEY)
    for age, same in ((timedelta(hours=23, minutes=59), True), (timedelta(hours=24), False)):
        async with world.runtime.db.begin() as tx:
            await tx.sql.execute(
                "UPDATE idempotency_keys SET created_at = $1 WHERE account_sid = $2",
                tx.now - age,
                world.account_sid,
            )
        again = await world.call("POST", "/v1/Conversations", {}, headers=KEY)
        assert (again == first) is same
        assert again[0] == 201


async def test_what_is_too_old_is_deleted(world) -> None:
    assert (await world.call("POST", "/v1/Conversations", {}, headers=KEY))[0] == 201
    async with world.runtime.db.begin() as tx:
        later = tx.now + idempotency.LIFE
        await retention.idempotency_keys(tx.sql, tx.now, retention.IDEMPOTENCY_DAYS)
        kept = await tx.sql.fetchval("SELECT count(*) FROM idempotency_keys")
        assert kept >= 1
        await retention.idempotency_keys(tx.sql, later, retention.IDEMPOTENCY_DAYS)
        assert await tx.sql.fetchval("SELECT count(*) FROM idempotency_keys") == 0


async def test_each_account_has_keys_of_its_own(world, a_world) -> None:
    first = await world.call("POST", "/v1/Conversations", {}, headers=KEY)
    async with a_world() as other:
        second = await other.call("POST", "/v1/Conversations", {"FriendlyName": "x"}, headers=KEY)
    assert (first[0], second[0]) == (201, 201)


async def test_a_replayed_answer_says_so(world) -> None:
    for said in (None, "true"):
        url = f"{world.base}/v1/Conversations"
        async with world.http.post(url, headers=KEY | world.login) as answer:
            assert answer.status == 201
            assert answer.headers.get("Idempotency-Replayed") == said


@pytest.mark.parametrize("tree", BOTH)
async def test_every_create_is_done_once(world, tree: str) -> None:
    guide = Tour(world, tree, list(world.runtime.settings.senders_by_address))
    await guide.set_the_stage()
    for number, operation in enumerate(operations()):
        within = operation.path.startswith("/Services/{ChatServiceSid}/") is bool(tree)
        if operation.verb != "create" or not within:
            continue
        form, path = guide.new()[operation.path.removeprefix(tree)], guide.path(operation)
        headers = {"Idempotency-Key": f"{number}"}
        answers = await asyncio.gather(
            *(world.call("POST", path, form, headers=headers) for _ in range(3))
        )
        assert answers[0][0] == 201, answers
        assert answers[1:] == answers[:1] * 2, operation
