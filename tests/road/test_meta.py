"""Whole roads with Meta: its door, batches, people without a number, lost answers, Messenger."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import asyncpg
import pytest

from app.carriers.sandbox_wire import Media
from app.clock import Clock
from app.observe import Observe
from tests.carriers.cases import MetaCase, Wire
from tests.support.house import House, house
from tests.support.meta_stand_in import NUMBER, PAGE, MetaStandIn, standing_in

OURS, OUR_PAGE = f"whatsapp:{NUMBER}", f"messenger:{PAGE}"
ANN, BOB, EVE = "whatsapp:+15551230001", "whatsapp:+15551230002", "messenger:5678"
HIDDEN = "whatsapp:US.13491208655302741918"
QUICK = {"waits_s": [0.05] * 40, "timeout_s": 2}
SENDERS = [
    {"address": address, "carrier": "lab", "messaging_service": "default"}
    for address in (OURS, OUR_PAGE)
]
META = MetaCase()


@asynccontextmanager
async def meeting(
    dsn: str,
    *,
    contents: Any = None,
    fallback: Any = None,
    clock: Clock | None = None,
    observe: Observe | None = None,
    media: Any = None,
    **options: Any,
) -> AsyncIterator[tuple[House, MetaStandIn]]:
    """A house that Meta knows."""
    async with standing_in(clock=clock) as (stand_in, url):
        carriers = {"lab": stand_in.options(url, **options)}
        senders = [one | {"fallback_template": fallback} for one in SENDERS]
        sections = {"carriers": carriers, "senders": senders, "contents": contents or {}}
        if media is not None:
            sections |= {"media": media, "secrets": {"key": "a key of thirty-two characters ..."}}
        async with house(dsn, observe, clock, delivery=QUICK, **sections) as one:
            assert await stand_in.subscribe(door(one))
            yield one, stand_in


def door(one: House, name: str = "inbound") -> str:
    return f"{one.service.url}/carriers/lab/{name}"


async def post(one: House, wire: Wire) -> int:
    """What the door answers."""
    url = one.service.url + wire.target
    async with one.http.post(url, headers=wire.headers, data=BytesIO(wire.body)) as response:
        return response.status


async def conversation(one: House) -> str:
    """The only conversation."""
    (found,) = (await one.get("/v1/Conversations"))["conversations"]
    return str(found["sid"])


async def steps(one: House, *wanted: str) -> None:
    """Wait until the receipts went through exactly these."""
    await one.customer.until(
        lambda: (
            [hook.form["Status"] for hook in one.customer.events("onDeliveryUpdated")] == [*wanted]
        )
    )


async def test_the_door_is_registered_by_who_knows_the_word(dsn: str) -> None:
    async with meeting(dsn) as (one, stand_in):
        for name in ("inbound", "status"):
            assert await stand_in.subscribe(door(one, name))
            assert not await stand_in.subscribe(door(one, name), "guessed")
        async with one.http.get(door(one)) as response:
            assert response.status == 403


async def test_a_message_a_reply_and_its_receipts(dsn: str) -> None:
    async with meeting(dsn) as (one, stand_in):
        phone = stand_in.world.phone(ANN)
        assert (await phone.text(OURS, "hello")).acknowledged
        ch = await conversation(one)
        message = await one.say(ch, "hello back")
        await steps(one, "sent", "delivered", "read")
        assert [got.body for got in phone.received] == ["hello back"]
        (receipt,) = await one.receipts(message)
        assert receipt["status"] == "read"
        assert receipt["channel_message_sid"].startswith("WA")
        (first, _) = (await one.get(f"/v1/Conversations/{ch}/Messages"))["messages"]
        assert (first["author"], first["body"]) == (ANN, "hello")
        told = await one.get(first["links"]["channel_metadata"])
        assert told["data"]["context"]["ProfileName"] == "Ann"


async def test_a_photo_is_a_message_with_media_and_words(dsn: str) -> None:
    async with meeting(dsn) as (one, stand_in):
        photo = Media(url="https://phone.example/77", content_type="image/jpeg")
        await stand_in.world.phone(ANN).text(OURS, "look", media=[photo])
        path = f"/v1/Conversations/{await conversation(one)}/Messages"
        (message,) = (await one.get(path))["messages"]
        assert message["body"] == "look"
        assert [part["content_type"] for part in message["media"]] == ["image/jpeg"]


async def test_a_batch_becomes_its_messages_in_their_order(
    dsn: str, sql: asyncpg.Connection
) -> None:
    async with meeting(dsn) as (one, stand_in):
        await stand_in.world.phone(ANN).text(OURS, "hello")
        ch = await conversation(one)
        message = await one.say(ch, "hello back")
        await steps(one, "sent", "delivered", "read")
        sid = await sql.fetchval("SELECT external_id FROM receipts")

        def said(number: int, who: str) -> dict[str, Any]:
            text = {"type": "text", "text": {"body": f"{number}"}}
            return {"id": META.new_id(number), "from": who.removeprefix("whatsapp:+"), **text}

        wire = META.changes(
            {"messages": [said(1, ANN), said(2, BOB), said(3, ANN)]},
            {"statuses": [{"id": sid, "status": "delivered"}, {"id": "x", "status": "sent"}]},
            {"messages": [said(3, ANN), said(4, ANN), {"id": "nobody"}]},
        )
        assert [await post(one, wire) for _ in range(3)] == [200] * 3
        listed = (await one.get(f"/v1/Conversations/{ch}/Messages"))["messages"]
        assert [m["body"] for m in listed] == ["hello", "hello back", "1", "3", "4"]
        assert await sql.fetchval("SELECT count(*) FROM conversations") == 2
        assert (await one.receipts(message))[0]["status"] == "read", "never backwards"


async def test_somebody_who_hides_the_number_is_answered(dsn: str) -> None:
    async with meeting(dsn) as (one, stand_in):
        phone = stand_in.world.phone(HIDDEN)
        await phone.text(OURS, "guess who")
        ch = await conversation(one)
        await one.say(ch, "who?")
        await steps(one, "sent", "delivered", "read")
        await phone.text(OURS, "me")
        assert [got.body for got in phone.received] == ["who?"]
        assert stand_in.requests[0]["recipient"] == HIDDEN.removeprefix("whatsapp:")
        (participant,) = (await one.get(f"/v1/Conversations/{ch}/Participants"))["participants"]
        assert participant["messaging_binding"]["address"] == HIDDEN
        assert await conversation(one) == ch


async def test_a_participant_is_added_by_a_user_id(dsn: str) -> None:
    async with meeting(dsn) as (one, _):
        ch = (await one.post("/v1/Conversations"))["sid"]
        added = await one.post(
            f"/v1/Conversations/{ch}/Participants",
            MessagingBinding_Address=HIDDEN,
            MessagingBinding_ProxyAddress=OURS,
        )
        assert added["messaging_binding"]["type"] == "whatsapp"


async def test_a_lost_answer_is_made_up_for_by_a_status(dsn: str, sql: asyncpg.Connection) -> None:
    async with meeting(dsn, wait_for_status_s=3600) as (one, stand_in):
        phone = stand_in.world.phone(ANN)
        await phone.text(OURS, "hello")
        stand_in.world.behave(cut="after", times=1)
        message = await one.say(await conversation(one), "once")
        await steps(one, "sent", "delivered", "read")
        await one.again()
        await one.say(await conversation(one), "next")
        await stand_in.world.until(lambda: len(phone.received) == 2)
        assert [got.body for got in phone.received] == ["once", "next"]
        (receipt,) = await one.receipts(message)
        assert receipt["status"] == "read"


async def test_without_a_status_the_policy_decides(dsn: str) -> None:
    async with meeting(dsn, wait_for_status_s=0.3, on_unknown="fail") as (one, stand_in):
        phone = stand_in.world.phone(ANN)
        await phone.text(OURS, "hello")
        stand_in.world.behave(cut="before", times=1)
        message = await one.say(await conversation(one), "once")
        await steps(one, "failed")
        assert (await one.receipts(message))[0]["error_code"] == 30008
        assert phone.received == []


@pytest.mark.parametrize(
    ("behaviour", "wanted", "code"),
    [
        ({"refuse": "permanent", "code": 131047}, ["failed"], 63016),
        ({"refuse": "permanent", "code": 131049}, ["undelivered"], 63049),
        ({"bounce": 131026}, ["sent", "undelivered"], 63024),
        ({"refuse": "temporary", "code": 130429, "times": 2}, ["sent", "delivered", "read"], None),
    ],
)
async def test_refusals_end_in_the_originals_codes(
    dsn: str, behaviour: dict[str, Any], wanted: list[str], code: int | None
) -> None:
    async with meeting(dsn) as (one, stand_in):
        await stand_in.world.phone(ANN).text(OURS, "hello")
        stand_in.world.behave(**behaviour)
        message = await one.say(await conversation(one), "hello back")
        await steps(one, *wanted)
        (receipt,) = await one.receipts(message)
        assert (receipt["status"], receipt["error_code"] or None) == (wanted[-1], code)


async def test_messenger_from_hello_to_delivered(dsn: str) -> None:
    async with meeting(dsn) as (one, stand_in):
        person = stand_in.world.phone(EVE)
        await person.text(OUR_PAGE, "hello", media=["https://scontent.example/a.jpg"])
        ch = await conversation(one)
        message = await one.say(ch, "hello back")
        await steps(one, "sent", "delivered")
        assert [got.body for got in person.received] == ["hello back"]
        (receipt,) = await one.receipts(message)
        assert receipt["channel_message_sid"].startswith("SM")
        (participant,) = (await one.get(f"/v1/Conversations/{ch}/Participants"))["participants"]
        assert participant["messaging_binding"] == {
            "type": "messenger",
            "address": EVE,
            "proxy_address": OUR_PAGE,
        }


async def test_a_lost_answer_of_messenger_is_made_up_for_by_the_echo(dsn: str) -> None:
    async with meeting(dsn, wait_for_status_s=3600) as (one, stand_in):
        person = stand_in.world.phone(EVE)
        await person.text(OUR_PAGE, "hello")
        stand_in.world.behave(cut="after", times=1)
        await one.say(await conversation(one), "once")
        await steps(one, "sent", "delivered")
        await one.again()
        await one.say(await conversation(one), "next")
        await stand_in.world.until(lambda: len(person.received) == 2)
        assert [got.body for got in person.received] == ["once", "next"]


WORDS = (
    *("object", "entry", "changes", "field", "value", "messages", "statuses", "metadata", "id"),
    *("from", "type", "text", "body", "image", "status", "errors", "code", "messaging", "sender"),
    *("message", "mid", "attachments", "whatsapp_business_account", "page", "display_phone_number"),
)


def shape(chance: random.Random, depth: int = 0) -> Any:
    """Something in Meta's words that Meta would not say."""
    if depth > 6 or chance.random() < 0.25:
        return chance.choice([None, True, -1, 10**25, 0.5, "", "15551230001", "\x00", *WORDS])
    if chance.random() < 0.4:
        return [shape(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(WORDS): shape(chance, depth + 1) for _ in range(chance.randrange(1, 6))}


async def test_the_door_answers_no_shape_with_a_5xx(dsn: str) -> None:
    chance = random.Random(7)
    bodies = [shape(chance) for _ in range(150)]
    for about, inner in (("whatsapp_business_account", "changes"), ("page", "messaging")):
        rows = [shape(chance) for _ in range(100)]
        bodies += [{"object": about, "entry": [{inner: [row]}]} for row in rows]
        value = [{"field": "messages", "value": row} for row in rows]
        bodies += [{"object": about, "entry": [{"changes": [row]}]} for row in value]
    async with meeting(dsn) as (one, _):
        answers = {
            await post(one, META.signed("inbound", json.dumps(body).encode())) for body in bodies
        }
    assert answers == {200, 400}
