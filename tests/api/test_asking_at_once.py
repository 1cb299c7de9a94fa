"""Many questions: of one request, of requests that carry a key, of a customer who hangs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from app.webhooks.before import AT_ONCE_MAX

from .asking import TOLD, Asked, asked, says
from .conftest import OURS

CONVERSATIONS, WITH = "/v1/Conversations", "/v1/ConversationWithParticipants"
PAIR = {"messaging_binding": {"address": "+15558675310", "proxy_address": OURS}}


@pytest.fixture
async def one(world) -> AsyncIterator[Asked]:
    async with asked(world) as made:
        yield made


def form(*participants: Any, **more: str) -> list[tuple[str, str]]:
    return [*more.items(), *(("Participant", json.dumps(one)) for one in participants)]


@pytest.mark.parametrize("tree", ["", "/Services/{}"])
async def test_a_conversation_with_participants_is_asked_about_first_then_everybody(
    one, tree: str
) -> None:
    tree = tree.format(one.world.other_service_sid)
    one.answers(says('{"friendly_name": "yours"}'), "onConversationAdd")
    sent = form({"identity": "ann"}, PAIR, {"identity": "bob"}, FriendlyName="mine")
    status, made = await one.change("POST", f"/v1{tree}/ConversationWithParticipants", sent)
    assert (status, made["friendly_name"], made["state"]) == (201, "yours", "active")
    first, *rest = one.customer.hooks
    assert (first.event, first.form["State"]) == ("onConversationAdd", "initializing")
    assert [hook.event for hook in rest] == ["onParticipantAdd"] * 3
    assert {hook.form["ConversationSid"] for hook in rest} == {made["sid"]}
    who = {hook.form.get("Identity", hook.form.get("MessagingBinding.Address")) for hook in rest}
    assert who == {"ann", "bob", "+15558675310"}


@pytest.mark.parametrize("event", ["onConversationAdd", "onParticipantAdd"])
async def test_one_rejection_is_enough(one, event: str) -> None:
    def decide(hook: Any) -> int:
        return 403 if hook.form.get("Identity", "bob") == "bob" else 200

    one.answers(decide, event)
    before = await one.rows()
    status, body = await one.change("POST", WITH, form({"identity": "ann"}, {"identity": "bob"}))
    assert (status, body["code"], body["details"]["event"]) == (403, 50056, event)
    assert await one.rows() == before
    expected = 1 if event == "onConversationAdd" else 3
    assert len(one.customer.hooks) == expected, "nobody is asked about what cannot be any more"


async def test_participants_are_asked_about_without_the_conversation(one) -> None:
    await one.configure(Filters="onParticipantAdd")
    one.answers(lambda hook: 403)
    status, _ = await one.change("POST", WITH, form({"identity": "ann"}))
    assert status == 403
    assert [hook.event for hook in one.customer.hooks] == ["onParticipantAdd"]


CREATES = [
    (CONVERSATIONS, {"FriendlyName": "x"}),
    (WITH, form({"identity": "ann"})),
    ("{talk}/Participants", {"Identity": "bob"}),
    ("{talk}/Messages", {"Body": "hello"}),
]
creates = pytest.mark.parametrize(("path", "sent"), CREATES)
KEY = {"Idempotency_Key": "order-1"}


@pytest.fixture
async def talk(one: Asked) -> str:
    return str((await one.made(CONVERSATIONS))["url"])


@creates
async def test_a_key_is_asked_about_once(one, talk, path: str, sent: Any) -> None:
    path = path.format(talk=talk)
    first = await one.change("POST", path, sent, **KEY)
    asked_ = len(one.customer.hooks)
    assert asked_ >= 1
    one.answers(lambda hook: 403)
    assert await one.change("POST", path, sent, **KEY) == first
    assert first[0] == 201
    assert len(one.customer.hooks) == asked_
    status, body = await one.change("POST", path, {"Body": "y", "Identity": "amy"}, **KEY)
    assert (status, body["code"]) == (422, 20422)
    assert len(one.customer.hooks) == asked_


@creates
async def test_many_with_one_key_are_asked_about_once(one, talk, path: str, sent: Any) -> None:
    path = path.format(talk=talk)
    answers = await asyncio.gather(*(one.change("POST", path, sent, **KEY) for _ in range(8)))
    assert [status for status, _ in answers] == [201] * 8
    assert len({body["sid"] for _, body in answers}) == 1
    tokens = [hook.token for hook in one.customer.hooks]
    assert len(tokens) == len(set(tokens)) == (2 if path == WITH else 1)


@creates
async def test_a_rejected_key_is_free_and_asked_about_under_the_same_token(
    one, talk, path: str, sent: Any
) -> None:
    path = path.format(talk=talk)
    one.answers(lambda hook: 403)
    before = await one.rows()
    status, body = await one.change("POST", path, sent, **KEY)
    assert (status, body["code"]) == (403, 50056)
    assert await one.rows() == before
    one.answers(lambda hook: 200)
    assert (await one.change("POST", path, sent, **KEY))[0] == 201
    first, second = one.customer.hooks[:2]
    assert first.event == second.event
    assert first.token == second.token
    other = {"Idempotency_Key": "order-2"}
    fresh = {"FriendlyName": "y", "Body": "y", "Identity": "amy"}
    assert (await one.change("POST", path, fresh, **other))[0] == 201
    assert one.customer.hooks[-1].token not in (first.token, second.token)


async def test_a_changed_request_is_answered_again_as_it_was_sent(one) -> None:
    one.answers(says('{"friendly_name": "yours"}'))
    first = await one.change("POST", CONVERSATIONS, {"FriendlyName": "mine"}, **KEY)
    again = await one.change("POST", CONVERSATIONS, {"FriendlyName": "mine"}, **KEY)
    assert first == again
    assert first[1]["friendly_name"] == "yours"


async def test_a_value_that_fails_validation_leaves_no_key(one, talk) -> None:
    one.answers(says('{"body": ""}'))
    status, _ = await one.change("POST", f"{talk}/Messages", {"Body": "x"}, **KEY)
    assert status == 400
    assert (await one.rows())["idempotency_keys"] == 0


async def test_a_customer_who_hangs_holds_up_nothing_else(one, world, talk) -> None:
    """More questions than may be open, and than there are database connections."""
    hanging = AT_ONCE_MAX + 10
    one.customer.hold = asyncio.Event()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=TOLD | world.login) as http:

        async def create() -> int:
            async with http.post(world.base + CONVERSATIONS) as answer:
                return answer.status

        creating = [asyncio.create_task(create()) for _ in range(hanging)]
        await one.customer.until(lambda: one.customer.held == AT_ONCE_MAX)
        for method, path, sent, expected in (
            ("GET", CONVERSATIONS, None, 200),
            ("POST", CONVERSATIONS, {}, 201),
            ("POST", f"{talk}/Messages", {"Body": "x"}, 201),
            ("DELETE", talk, None, 204),
        ):
            status, _ = await world.call(method, path, sent)
            assert status == expected
        assert not any(task.done() for task in creating)
        assert one.customer.held == AT_ONCE_MAX, "the others wait for their turn"
        one.customer.hold.set()
        assert set(await asyncio.gather(*creating)) == {201}
    assert len(one.customer.events("onConversationAdd")) == hanging


@pytest.mark.parametrize(("fate", "status"), [("open", 201), ("closed", 403)])
async def test_who_gets_no_turn_in_time_was_not_answered(one, world, fate, status: int) -> None:
    await one.configure(PreWebhookTimeout="300", PreWebhookOnTimeout=fate)
    one.customer.hold = asyncio.Event()
    hanging = AT_ONCE_MAX + 10
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=TOLD | world.login) as http:

        async def create() -> int:
            async with http.post(world.base + CONVERSATIONS) as answer:
                return answer.status

        answers = await asyncio.gather(*(create() for _ in range(hanging)))
    assert answers == [status] * hanging
    log = await one.log()
    assert len(log) == hanging
    assert {kept["error_code"] for kept in log} == {50076}
    one.customer.hold.set()
