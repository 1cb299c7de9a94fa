"""A customer decides on what carriers bring: asked first, without holding up the door, the carrier
or anybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.support.customer import Customer, Hook, customer
from tests.support.house import House, house
from tests.support.settings import SMS, TOKEN

ASKED = ("onConversationAdd", "onMessageAdd")
TOLD = ("onConversationAdded", "onParticipantAdded", "onMessageAdded")
ANN, BOB, OURS_TOO = "+15550001111", "+15550002222", "+15005550009"

Check = Callable[[], Awaitable[bool]]


@asynccontextmanager
async def deciding(
    dsn: str, sections: dict[str, Any] | None = None, **webhooks: Any
) -> AsyncIterator[tuple[House, Customer]]:
    """A running house and the customer who decides; the usual one is told afterwards."""
    async with customer(TOKEN) as judge:
        said = {
            "pre_url": f"{judge.url}/before",
            "post_url": f"{judge.url}/after",
            "filters": [*ASKED, *TOLD],
        }
        async with house(dsn, webhooks=said | webhooks, **sections or {}) as open_house:
            judge.holds = lambda hook: hook.event in ASKED
            yield open_house, judge


async def until(check: Check) -> None:
    """Wait until the database says so."""
    async with asyncio.timeout(20):
        while not await check():
            await asyncio.sleep(0.02)


def asked(judge: Customer, name: str | None = None) -> list[dict[str, str]]:
    """What was asked, answered or not."""
    return [hook.form for hook in judge.hooks if hook.event in ASKED and name in (None, hook.event)]


async def settled(one: House) -> None:
    """Nothing waits for an answer any more."""

    async def empty() -> bool:
        async with one.service.runtime.db.begin() as tx:
            waiting: int = await tx.sql.fetchval("SELECT count(*) FROM lanes WHERE kind = 'ask'")
            return waiting == 0

    await until(empty)


async def bodies(one: House) -> list[tuple[str, str, str, str]]:
    """Address, conversation, author, body of all messages, in their order."""
    async with one.service.runtime.db.begin() as tx:
        rows = await tx.sql.fetch(
            "SELECT p.address, m.conversation_sid, m.author, m.body FROM messages m"
            " JOIN participants p ON p.sid = m.participant_sid ORDER BY m.conversation_sid, m.index"
        )
    return [tuple(row) for row in rows]


async def decisions(one: House) -> list[tuple[str, str | None]]:
    """Outcome and reason of all decisions, in their order."""
    async with one.service.runtime.db.begin() as tx:
        rows = await tx.sql.fetch("SELECT outcome, reason FROM decisions ORDER BY sid")
    return [tuple(row) for row in rows]


def judging(**verdicts: Any) -> Callable[[Hook], int | web.Response]:
    """Answers by event: a status, or JSON."""

    def answer(hook: Hook) -> int | web.Response:
        verdict = verdicts.get(hook.event, 200)
        return verdict if isinstance(verdict, int) else web.json_response(verdict)

    return answer


async def test_autocreation_asks_for_the_conversation_alone_and_joining_for_the_message(
    dsn: str,
) -> None:
    async with deciding(dsn) as (one, judge):
        assert (await one.world.phone(ANN).text(SMS, "first")).acknowledged
        await judge.until(lambda: len(judge.events("onMessageAdded")) == 1)
        assert (await one.world.phone(ANN).text(SMS, "second")).acknowledged
        await judge.until(lambda: len(judge.events("onMessageAdded")) == 2)
        names = [hook.event for hook in judge.hooks]
        assert names[0] == "onConversationAdd"
        assert names.count("onMessageAdd") == names.count("onConversationAdd") == 1
        assert all(hook.signed for hook in judge.hooks)
        first, second = asked(judge)
        assert first | {"DateCreated": "", "AccountSid": "", "ChatServiceSid": ""} == {
            "AccountSid": "",
            "ChatServiceSid": "",
            "EventType": "onConversationAdd",
            "Source": "SMS",
            "RetryCount": "0",
            "Attributes": "{}",
            "DateCreated": "",
            "State": "active",
            "MessageBody": "first",
            "MessagingBinding.Address": ANN,
            "MessagingBinding.ProxyAddress": SMS,
            "MessagingServiceSid": first["MessagingServiceSid"],
        }
        (conversation,) = {row[1] for row in await bodies(one)}
        assert {key for key in second if not key.endswith("ServiceSid")} == {
            *("AccountSid", "EventType", "Source", "RetryCount", "ConversationSid", "Body"),
            *("Author", "ParticipantSid", "Attributes"),
        }
        assert (second["ConversationSid"], second["Body"], second["Author"]) == (
            conversation,
            "second",
            ANN,
        )


async def test_the_answer_changes_name_body_author_and_attributes(dsn: str) -> None:
    async with deciding(dsn) as (one, judge):
        changed = {"body": "s*****", "author": "anonymous", "attributes": '{"clean":true}'}
        judge.answer = judging(
            onConversationAdd={"friendly_name": "From the web"}, onMessageAdd=changed
        )
        await one.world.phone(ANN).text(SMS, "first")
        await settled(one)
        await one.world.phone(ANN).text(SMS, "second")
        await settled(one)
        (conversation,) = {row[1] for row in await bodies(one)}
        assert (await one.get(f"/v1/Conversations/{conversation}"))["friendly_name"] == (
            "From the web"
        )
        path = f"/v1/Conversations/{conversation}/Messages"
        first, second = (await one.get(path))["messages"]
        assert (first["body"], first["author"]) == ("first", ANN)
        assert {key: second[key] for key in changed} == changed
        await judge.until(lambda: len(judge.events("onMessageAdded")) == 2)
        told = judge.events("onMessageAdded")[-1].form
        assert (told["Body"], told["Author"]) == ("s*****", "anonymous")


@pytest.mark.parametrize(
    "answer",
    [
        {"body": 7},
        {"body": ""},
        {"author": "a" * 257},
        {"attributes": "no json"},
        {"friendly_name": "not of a message"},
    ],
)
async def test_an_answer_that_cannot_be_used_takes_nothing_from_the_message(
    dsn: str, answer: dict[str, Any]
) -> None:
    async with deciding(dsn, filters=["onMessageAdd"]) as (one, judge):
        judge.answer = judging(onMessageAdd=answer)
        for body in ("first", "second"):
            await one.world.phone(ANN).text(SMS, body)
            await settled(one)
        assert [row[2:] for row in await bodies(one)] == [(ANN, "first"), (ANN, "second")]
        assert len(asked(judge)) == 1


async def test_what_is_refused_is_dropped_with_a_reason_and_the_next_goes_on(dsn: str) -> None:
    async with deciding(dsn) as (one, judge):
        judge.answer = lambda hook: 403 if "spam" in hook.form.get("MessageBody", "") else 200
        dropped = await one.world.phone(ANN).text(SMS, "spam")
        await settled(one)
        assert dropped.acknowledged
        assert await bodies(one) == []
        assert await decisions(one) == [("dropped", "the pre-event webhook refused it")]
        trace = await one.get(f"/ops/trace/{dropped.external_id}")
        assert "refused" in str(trace)
        await one.world.phone(ANN).text(SMS, "sorry")
        await settled(one)
        assert [row[3] for row in await bodies(one)] == ["sorry"]
        again = await one.world.phone(ANN).text(SMS, "spam", external_id=dropped.external_id)
        assert again.acknowledged
        assert [row[3] for row in await bodies(one)] == ["sorry"], "it came before"


@pytest.mark.parametrize(("policy", "kept"), [("open", ["first"]), ("closed", [])])
async def test_silence_decides_as_the_target_says(dsn: str, policy: str, kept: list[str]) -> None:
    silence = {"pre_timeout_ms": 100, "pre_on_timeout": policy}
    async with deciding(dsn, **silence) as (one, judge):
        judge.hold = asyncio.Event()
        await one.world.phone(ANN).text(SMS, "first")
        await settled(one)
        assert [row[3] for row in await bodies(one)] == kept


async def test_a_hook_that_hangs_holds_up_its_pair_alone_and_keeps_its_order(dsn: str) -> None:
    async with deciding(dsn) as (one, judge):
        await one.world.phone(ANN).text(SMS, "0")
        await one.world.phone(BOB).text(SMS, "0")
        await settled(one)
        judge.hold = asyncio.Event()
        judge.holds = lambda hook: (hook.event, hook.form.get("Author")) == ("onMessageAdd", ANN)
        for number in range(1, 6):
            assert (await one.world.phone(ANN).text(SMS, str(number))).acknowledged
        await judge.until(lambda: judge.held == 1)
        for number in range(1, 6):
            assert (await one.world.phone(BOB).text(SMS, str(number))).acknowledged
        of_bob = [str(number) for number in range(6)]

        async def bob_is_through() -> bool:
            return [row[3] for row in await bodies(one) if row[0] == BOB] == of_bob

        await until(bob_is_through)
        assert [row[3] for row in await bodies(one) if row[0] == ANN] == ["0"]
        assert judge.held == 1, "one question at a time for a pair"
        judge.hold.set()
        await settled(one)
        assert [row[3] for row in await bodies(one) if row[0] == ANN] == of_bob


async def test_a_conversation_that_closes_meanwhile_is_asked_about_anew(dsn: str) -> None:
    async with deciding(dsn) as (one, judge):
        await one.world.phone(ANN).text(SMS, "old")
        await settled(one)
        ((_, conversation, _, _),) = await bodies(one)
        judge.hold = asyncio.Event()
        await one.world.phone(ANN).text(SMS, "new")
        await judge.until(lambda: judge.held == 1)
        await one.post(f"/v1/Conversations/{conversation}", 200, State="closed")
        judge.hold.set()
        await settled(one)
        assert [form["EventType"] for form in asked(judge)] == [
            "onConversationAdd",
            "onMessageAdd",
            "onConversationAdd",
        ]
        found = await bodies(one)
        assert [row[3] for row in found] == ["old", "new"]
        assert len({row[1] for row in found}) == 2


async def test_what_waits_goes_on_when_nobody_asks_any_more(dsn: str) -> None:
    async with deciding(dsn, pre_timeout_ms=5000) as (one, judge):
        judge.hold = asyncio.Event()
        await one.world.phone(ANN).text(SMS, "first")
        await judge.until(lambda: judge.held == 1)
        await one.world.phone(ANN).text(SMS, "second")
        async with one.service.runtime.db.begin() as tx:
            await tx.sql.execute("UPDATE webhook_configurations SET pre_url = NULL")
        judge.hold.set()
        await settled(one)
        assert [row[3] for row in await bodies(one)] == ["first", "second"]
        assert len(asked(judge)) == 1


async def test_a_repeat_of_what_waits_is_a_duplicate(dsn: str) -> None:
    async with deciding(dsn) as (one, judge):
        judge.hold = asyncio.Event()
        first = await one.world.phone(ANN).text(SMS, "first")
        await judge.until(lambda: judge.held == 1)
        again = await one.world.phone(ANN).text(SMS, "first", external_id=first.external_id)
        assert again.acknowledged
        judge.hold.set()
        await settled(one)
        assert [row[3] for row in await bodies(one)] == ["first"]
        assert len(asked(judge)) == 1


async def test_a_customer_who_hangs_takes_nobody_elses_places(dsn: str) -> None:
    """More pairs of one customer wait than there are places; another customer is asked at once."""
    second = "+15005550007"
    senders = [
        {"address": address, "carrier": "lab", "messaging_service": "default"}
        for address in (SMS, second)
    ]
    rule = {"address": second, "auto_creation": {"type": "default", "service": "other"}}
    sections = {"services": {"default": {}, "other": {}}, "addresses": [rule], "senders": senders}
    async with customer(TOKEN) as judge, customer(TOKEN) as other:
        asked_first = {"pre_url": judge.url, "filters": ["onConversationAdd"]}
        async with house(dsn, webhooks=asked_first, **sections) as one:
            judge.hold = asyncio.Event()
            listed = (await one.get("/v1/Services"))["services"]
            (sid,) = (service["sid"] for service in listed if service["friendly_name"] == "other")
            path = f"/v1/Services/{sid}/Configuration/Webhooks"
            await one.post(path, 200, PreWebhookUrl=other.url, Filters="onConversationAdd")
            phones = [
                one.world.phone(f"+1555{number:07d}") for number in range(2_000_000, 2_000_200)
            ]
            texted = await asyncio.gather(*(phone.text(SMS, "hi") for phone in phones))
            assert all(text.acknowledged for text in texted)
            await judge.until(lambda: judge.held >= 40)
            began = one.service.runtime.clock.monotonic()
            assert (await one.world.phone(BOB).text(second, "hi")).acknowledged
            await other.until(lambda: len(other.hooks) == 1)
            assert one.service.runtime.clock.monotonic() - began < 2.5, "not behind those that hang"
            assert judge.held < 128
            judge.hold.set()
            await settled(one)
            assert len(await bodies(one)) == 201


async def test_a_group_text_is_asked_about_once_with_all_its_numbers(dsn: str) -> None:
    """The author, the receivers, and our other number, to which it comes as a copy."""
    both = [{"address": one, "carrier": "lab"} for one in (SMS, OURS_TOO)]
    rules = [{"address": one} for one in (SMS, OURS_TOO)]
    async with deciding(dsn, {"senders": both, "addresses": rules}) as (one, judge):
        judge.hold = asyncio.Event()
        await one.world.phone(ANN).text(SMS, "hello all", others=[BOB, OURS_TOO])
        await judge.until(lambda: judge.held == 1)
        await one.world.phone(ANN).text(OURS_TOO, "hello all", others=[BOB, SMS])
        await one.world.phone(BOB).text(SMS, "hello Ann", others=[ANN, OURS_TOO])
        judge.hold.set()
        await settled(one)
        first, second = asked(judge)
        assert first["EventType"] == "onConversationAdd"
        assert first["MessagingBinding.AuthorAddress"] == ANN
        assert set(first["MessagingBinding.Address"].split(",")) == {SMS, OURS_TOO, BOB}
        assert "MessagingBinding.ProxyAddress" not in first
        assert (first["State"], first["MessageBody"]) == ("initializing", "hello all")
        assert (second["EventType"], second["Body"]) == ("onMessageAdd", "hello Ann")
        said = await bodies(one)
        assert [(author, body) for _, _, author, body in said] == [
            (ANN, "hello all"),
            (BOB, "hello Ann"),
        ]
        assert len({conversation for _, conversation, _, _ in said}) == 1
        outcomes = sorted(outcome for outcome, _ in await decisions(one))
        assert outcomes == ["created", "duplicate", "joined"]


async def test_a_group_text_that_is_refused_creates_nothing(dsn: str) -> None:
    async with deciding(dsn) as (one, judge):
        judge.answer = judging(onConversationAdd=403)
        await one.world.phone(ANN).text(SMS, "hello all", others=[BOB])
        await settled(one)
        assert await bodies(one) == []
        judge.answer = judging()
        await one.world.phone(BOB).text(SMS, "and now?", others=[ANN])
        await settled(one)
        assert [body for *_, body in await bodies(one)] == ["and now?"]
