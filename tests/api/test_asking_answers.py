"""What each answer to a pre-event does: published, changed, rejected, refused; and what is left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from twilio.base.exceptions import TwilioRestException

from app.egress import ANSWER_BYTES_MAX
from app.observe import HookTried, Said
from app.ops.trace import as_json, trace

from .asking import Asked, asked, says
from .conftest import OURS

CANCELLED = "Webhook cancelled processing of command"
CONVERSATIONS = "/v1/Conversations"
PAIR = {"MessagingBinding.Address": "+15558675310", "MessagingBinding.ProxyAddress": OURS}


@pytest.fixture
async def one(world) -> AsyncIterator[Asked]:
    async with asked(world) as made:
        yield made


@pytest.fixture
async def talk(one: Asked) -> Any:
    """A conversation with somebody in it and a message."""
    made = await one.made(CONVERSATIONS, {"FriendlyName": "old"})
    member = await one.made(f"{made['url']}/Participants", PAIR)
    user = await one.made("/v1/Users", {"Identity": "ann"})
    said = await one.made(f"{made['url']}/Messages", {"Body": "old", "Author": "ann"})
    return made, member, said, user


def changes(made: Any, member: Any, said: Any, user: Any) -> list[tuple[str, str, Any]]:
    """Every change that somebody is asked about, of what `talk` made."""
    someone = json.dumps({"identity": "bob"})
    return [
        ("POST", CONVERSATIONS, {"FriendlyName": "new"}),
        ("POST", "/v1/ConversationWithParticipants", {"Participant": someone}),
        ("POST", made["url"], {"FriendlyName": "new"}),
        ("POST", f"{made['url']}/Messages", {"Body": "new"}),
        ("POST", said["url"], {"Body": "new"}),
        ("DELETE", said["url"], None),
        ("POST", f"{made['url']}/Participants", {"Identity": "bob"}),
        ("POST", member["url"], {"Attributes": '{"new":1}'}),
        ("POST", user["url"], {"FriendlyName": "new"}),
        ("DELETE", member["url"], None),
        ("DELETE", made["url"], None),
    ]


@pytest.mark.parametrize("status", [400, 403, 404, 410, 429, 500, 503])
async def test_an_error_rejects_the_change(one, status: int) -> None:
    one.answers(says("no swearing", status, "text/plain"))
    before = await one.rows()
    answered, body = await one.change("POST", CONVERSATIONS, {"FriendlyName": "x"})
    assert (answered, body["code"], body["message"]) == (403, 50056, CANCELLED)
    assert body["details"] == {"event": "onConversationAdd", "answered": status}
    assert await one.rows() == before
    (kept,) = await one.log()
    assert (kept["event"], kept["outcome"], kept["status_code"], kept["error_code"]) == (
        *("onConversationAdd", "refused", status, 50056),
    )
    assert kept["detail"] == "no swearing"


async def test_nothing_is_left_of_any_rejected_change(one, talk) -> None:
    one.answers(lambda hook: 403)
    before, shown = await one.rows(), [await one.world.call("GET", it["url"]) for it in talk]
    for method, path, form in changes(*talk):
        status, body = await one.change(method, path, form)
        assert (status, body["code"]) == (403, 50056), path
    assert await one.rows() == before
    assert [await one.world.call("GET", it["url"]) for it in talk] == shown


async def test_the_official_client_is_told_of_a_rejection(one, world) -> None:
    one.answers(lambda hook: 400)

    def create(v1: Any) -> Any:
        return v1.conversations.create(x_twilio_webhook_enabled="true")

    with pytest.raises(TwilioRestException) as caught:
        await world.api(create)
    assert (caught.value.status, caught.value.code) == (403, 50056)


@pytest.mark.parametrize(
    "answer",
    [
        lambda hook: 200,
        lambda hook: 201,
        lambda hook: 204,
        says("{}"),
        says(" \n"),
        says("null"),
        says("OK", kind="text/plain"),
        says("<Response/>", kind="text/xml"),
        says(b"\xff\xfe", kind="application/octet-stream"),
        says('{"friendly_name": null, "unique_name": "x", "state": "closed"}'),
        says('{"body": "x", "FriendlyName": "x"}'),
    ],
)
async def test_a_yes_that_changes_nothing(one, answer) -> None:
    one.answers(answer)
    status, made = await one.change("POST", CONVERSATIONS, {"FriendlyName": "mine"})
    assert (status, made["friendly_name"], made["unique_name"]) == (201, "mine", None)
    (kept,) = await one.log()
    assert (kept["conversation_sid"], kept["outcome"]) == (made["sid"], "delivered")
    assert (kept["error_code"], kept["detail"]) == (None, None)


async def test_every_change_happens_when_nobody_objects(one, talk) -> None:
    for method, path, form in changes(*talk):
        status, body = await one.change(method, path, form)
        assert status in (200, 201, 204), body


async def test_a_conversations_name_may_be_changed(one) -> None:
    # PHP says text/html of everything.
    one.answers(says('{"friendly_name": "yours é"}', kind="text/html"))
    await one.configure(
        PostWebhookUrl="https://example.com/after",
        Filters=["onConversationAdd", "onConversationUpdate", "onConversationAdded"],
    )
    _, made = await one.change("POST", CONVERSATIONS, {"FriendlyName": "mine"})
    assert made["friendly_name"] == "yours é"
    async with one.world.runtime.db.begin() as tx:
        told = await tx.sql.fetchval(
            "SELECT params ->> 'FriendlyName' FROM outbox WHERE conversation_sid = $1", made["sid"]
        )
    assert told == "yours é"
    one.answers(says('{"friendly_name": "again"}'))
    status, changed = await one.change("POST", made["url"], {"Attributes": "{}"})
    assert (status, changed["friendly_name"]) == (200, "again")
    assert one.customer.hooks[-1].form["FriendlyName"] == "yours é"
    one.answers(says('{"friendly_name": ""}'))
    _, cleared = await one.change("POST", made["url"], {"Attributes": "{}"})
    assert cleared["friendly_name"] is None


async def test_a_messages_body_author_and_attributes_may_be_changed(one, talk) -> None:
    made, _, said, _ = talk
    ann = await one.made(f"{made['url']}/Participants", {"Identity": "ann"})
    answer = {"body": "***", "author": "ann", "attributes": '{"checked": true}', "index": 7}
    one.answers(says(json.dumps(answer)))
    form = {"Body": "damn", "Author": "bob", "body": "twice"}
    _, added = await one.change("POST", f"{made['url']}/Messages", form)
    _, edited = await one.change("POST", said["url"], {"Subject": "kept"})
    for message in (added, edited):
        assert (message["body"], message["author"]) == ("***", "ann")
        assert message["attributes"] == '{"checked": true}'
        assert message["participant_sid"] == ann["sid"]
    assert (added["index"], edited["index"]) == (1, 0)
    async with one.world.runtime.db.begin() as tx:
        receipts = await tx.sql.fetchval(
            "SELECT count(*) FROM receipts WHERE message_sid = $1", added["sid"]
        )
    assert receipts == 1, "it goes out like any other"
    assert [kept["detail"] for kept in await one.log()] == ["changes body, author, attributes"] * 2


async def test_only_what_a_kind_of_event_may_change_is_changed(one, talk) -> None:
    made, member, said, user = talk
    everything = {"friendly_name": "x", "body": "x", "author": "x", "attributes": '{"x":1}'}
    one.answers(says(json.dumps(everything)))
    _, changed = await one.change("POST", member["url"], {"LastReadMessageIndex": "0"})
    assert changed["attributes"] == "{}"
    _, changed = await one.change("POST", user["url"], {"FriendlyName": "mine"})
    assert (changed["friendly_name"], changed["attributes"]) == ("mine", "{}")
    _, changed = await one.change("POST", made["url"], {"UniqueName": "mine"})
    assert (changed["friendly_name"], changed["attributes"]) == ("x", "{}")
    assert (await one.change("DELETE", said["url"]))[0] == 204


# The event, what is answered, and how the caller is refused.
BAD = [
    ("onConversationAdd", {"friendly_name": "x" * 257}, 50003, "Friendly name too long"),
    ("onConversationAdd", {"friendly_name": 7}, 20001, "Invalid FriendlyName"),
    ("onConversationAdd", {"friendly_name": "a\0b"}, 20001, "Invalid FriendlyName"),
    ("onConversationUpdate", {"friendly_name": ["x"]}, 20001, "Invalid FriendlyName"),
    ("onMessageAdd", {"body": "x" * 32769}, 50504, "Message body parameter is too long"),
    ("onMessageAdd", {"body": ""}, 50503, "Message body not provided"),
    ("onMessageAdd", {"body": {"x": 1}}, 20001, "Invalid Body"),
    ("onMessageAdd", {"author": "x" * 257}, 50310, "Author parameter is too long"),
    ("onMessageAdd", {"author": False}, 20001, "Invalid Author"),
    ("onMessageUpdate", {"attributes": "{"}, 50304, "Attributes not valid JSON"),
    ("onMessageUpdate", {"attributes": {"a": 1}}, 50304, "Attributes not valid JSON"),
    ("onMessageUpdate", {"attributes": '"' + "x" * 4096 + '"'}, 50303, "Attributes too long"),
    ("onMessageUpdate", {"body": "x" * 32769}, 50504, "Message body parameter is too long"),
]


@pytest.mark.parametrize(("event", "answer", "code", "said"), BAD)
async def test_a_value_that_fails_validation_is_the_callers_error(
    one, talk, event: str, answer: Any, code: int, said: str
) -> None:
    made, _, message, _ = talk
    path, form = {
        "onConversationAdd": (CONVERSATIONS, {}),
        "onConversationUpdate": (made["url"], {"FriendlyName": "x"}),
        "onMessageAdd": (f"{made['url']}/Messages", {"Body": "x"}),
        "onMessageUpdate": (message["url"], {"Body": "x"}),
    }[event]
    one.answers(says(json.dumps(answer)))
    before = await one.rows()
    status, body = await one.change("POST", path, form)
    assert (status, body["code"], body["message"]) == (400, code, said)
    assert [hook.event for hook in one.customer.hooks] == [event]
    assert await one.rows() == before


UNREADABLE = [
    says("{", kind="application/json"),
    says("[]"),
    says('"yes"'),
    says(b'{"friendly_name": "\xff"}'),
    says("[" * 100_000),
    says('{"friendly_name": "' + "x" * ANSWER_BYTES_MAX + '"}'),
    says("x" * (ANSWER_BYTES_MAX + 1), kind="text/plain"),
    lambda hook: web.Response(status=302, headers={"Location": "/elsewhere"}),
    lambda hook: web.Response(status=304),
]


@pytest.mark.parametrize("fate", ["open", "closed"])
@pytest.mark.parametrize("answer", UNREADABLE)
async def test_an_answer_that_says_nothing_is_none(one, answer, fate: str) -> None:
    await one.configure(PreWebhookOnTimeout=fate)
    one.answers(answer)
    await happens(one, fate, 50057)
    assert [hook.path for hook in one.customer.hooks] == ["/before"], "redirects lead nowhere"


@pytest.mark.parametrize("fate", ["open", "closed"])
async def test_who_does_not_answer_in_time_decides_nothing(one, fate: str) -> None:
    await one.configure(PreWebhookOnTimeout=fate.upper(), PreWebhookTimeout=100)
    one.customer.hold = asyncio.Event()
    await happens(one, fate, 50076)
    (kept,) = await one.log()
    assert (kept["detail"].partition(":")[0], kept["outcome"]) == (
        *("no answer in time", "unreachable"),
    )
    assert 0.1 <= (kept["finished_at"] - kept["started_at"]).total_seconds() < 5


@pytest.mark.parametrize("fate", ["open", "closed"])
async def test_a_customer_who_is_away_decides_nothing(one, fate: str, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/"
    await one.configure(PreWebhookUrl=url, PreWebhookOnTimeout=fate)
    one.customer.url = url
    await happens(one, fate, 50076)


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"nonsense"]
)
@pytest.mark.parametrize("fate", ["open", "closed"])
async def test_a_connection_that_breaks_is_no_answer(one, fate: str, said: bytes) -> None:
    async with breaking(said) as url:
        await one.configure(PreWebhookUrl=url, PreWebhookOnTimeout=fate)
        one.customer.url = url
        await happens(one, fate, 50076)


async def test_a_rejection_that_breaks_off_is_a_rejection(one) -> None:
    async with breaking(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nno") as url:
        await one.configure(PreWebhookUrl=url)
        status, body = await one.change("POST", CONVERSATIONS)
        assert (status, body["code"], body["details"]["answered"]) == (403, 50056, 403)


async def happens(one: Asked, fate: str, code: int) -> None:
    """Without an answer the change happens as it was asked for, or not at all; and it is said."""
    before = await one.rows()
    status, body = await one.change("POST", CONVERSATIONS, {"FriendlyName": "mine"})
    if fate == "open":
        assert (status, body["friendly_name"]) == (201, "mine")
    else:
        assert (status, body["code"], body["message"]) == (403, 50056, CANCELLED)
        assert await one.rows() == before
    (kept,) = await one.log()
    assert (kept["event"], kept["error_code"]) == ("onConversationAdd", code)
    assert f"on_timeout: {fate}" in kept["detail"]
    (said,) = [seen for seen in one.world.observed if isinstance(seen, Said)]
    assert (said.level, said.detail.split()[:2]) == ("warning", [f"{code}", "onConversationAdd"])


@asynccontextmanager
async def breaking(said: bytes) -> AsyncIterator[str]:
    """The URL of a server that says this to everybody and hangs up at once."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if not said:
            writer.transport.abort()
            return
        writer.write(said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_what_was_asked_is_observed_and_in_the_trace(one, talk, world) -> None:
    made = talk[0]
    one.answers(lambda hook: 403, "onMessageAdd")
    await one.change("POST", made["url"], {"FriendlyName": "new"})
    await one.change("POST", f"{made['url']}/Messages", {"Body": "x"})
    tried = [seen for seen in world.observed if isinstance(seen, HookTried)]
    assert [(it.event, it.outcome, it.status) for it in tried] == [
        ("onConversationUpdate", "delivered", 200),
        ("onMessageAdd", "refused", 403),
    ]
    assert {(it.scope, it.phase, it.attempt) for it in tried} == {("global", "pre", 1)}
    assert {it.conversation_sid for it in tried} == {made["sid"]}
    async with world.runtime.db.begin() as tx:
        found = await trace(tx.sql, made["sid"], world.account_sid)
    assert found is not None
    hooks = [entry for entry in as_json(found)["entries"] if entry["what"] == "hook"]
    assert [(it["event"], it["outcome"], it.get("error_code")) for it in hooks] == [
        ("onConversationUpdate", "delivered", None),
        ("onMessageAdd", "refused", 50056),
    ]
    assert hooks[0]["target"] == f"{one.customer.url}/before", "without its query"


async def test_what_changed_while_the_customer_thought_is_looked_at_again(one, talk) -> None:
    made, _, said, _ = talk
    one.customer.hold = asyncio.Event()
    posting = asyncio.create_task(one.change("POST", f"{made['url']}/Messages", {"Body": "x"}))
    editing = asyncio.create_task(one.change("POST", said["url"], {"Body": "x"}))
    await one.customer.until(lambda: one.customer.held == 2)
    assert (await one.world.call("POST", made["url"], {"State": "closed"}))[0] == 200
    one.customer.hold.set()
    for late in (posting, editing):
        status, body = await late
        assert (status, body["code"]) == (400, 50377)
