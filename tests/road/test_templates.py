"""Whole roads of content templates: simulated phones, Twilio and Meta."""

from __future__ import annotations

from typing import Any

import asyncpg

from tests.road.test_meta import ANN, META, OURS, QUICK, meeting, post, steps
from tests.support.house import House, house
from tests.support.settings import SMS, WHATSAPP
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, standing_in

MARIA, TOM = "+15551230001", "whatsapp:+15551230003"
REPLIES = {
    "twilio/text": {"body": "Hi {{1}}, shall we send it? Write yes or no."},
    "twilio/quick-reply": {
        "body": "Hi {{1}}, shall we send it?",
        "actions": [{"title": "Yes", "id": "yes"}, {"title": "No", "id": "no"}],
    },
}
HELLO = {"twilio/text": {"body": "Hi {{1}}, hello."}}


async def content(one: House, types: Any = REPLIES, **more: Any) -> str:
    """A template made by the API."""
    sent = {"language": "en", "variables": {"1": "you"}, "types": types, **more}
    async with one.http.post(f"{one.service.url}/v1/Content", json=sent) as response:
        assert response.status == 201, await response.text()
        return str((await response.json())["sid"])


async def submit(one: House, sid: str, **more: Any) -> None:
    """An approval request."""
    sent = {"name": "hello", "category": "UTILITY", **more}
    url = f"{one.service.url}/v1/Content/{sid}/ApprovalRequests/whatsapp"
    async with one.http.post(url, json=sent) as response:
        assert response.status == 201, await response.text()


async def made_of(one: House, ch: str, sid: str) -> Any:
    """A message of this template."""
    path = f"/v1/Conversations/{ch}/Messages"
    return await one.post(path, ContentSid=sid, ContentVariables='{"1": "Ann"}')


async def started(one: House, address: str, ours: str) -> str:
    """A conversation with somebody who never wrote."""
    ch = str((await one.post("/v1/Conversations"))["sid"])
    await one.post(
        f"/v1/Conversations/{ch}/Participants",
        MessagingBinding_Address=address,
        MessagingBinding_ProxyAddress=ours,
    )
    return ch


async def test_each_phone_gets_what_its_channel_and_carrier_can_show(dsn: str) -> None:
    async with house(dsn, delivery=QUICK) as one:
        ch = await one.conversation(MARIA)
        await one.post(
            f"/v1/Conversations/{ch}/Participants",
            MessagingBinding_Address=TOM,
            MessagingBinding_ProxyAddress=WHATSAPP,
        )
        await one.world.phone(TOM).text(WHATSAPP, "hi")  # opens the session
        message = await made_of(one, ch, await content(one))
        assert message["body"] == "Hi Ann, shall we send it?"
        maria, tom = one.world.phone(MARIA), one.world.phone(TOM)
        await one.world.until(lambda: (len(maria.received), len(tom.received)) == (2, 1))
        assert [got.body for got in maria.received] == [
            "hi",
            "Hi Ann, shall we send it? Write yes or no.",
        ]
        assert [got.body for got in one.world.phone(TOM).received] == [
            "Hi Ann, shall we send it?\n- Yes\n- No"
        ]


async def test_what_waits_for_a_template_that_is_gone_goes_as_its_text(dsn: str) -> None:
    async with house(dsn, delivery=QUICK) as one:
        ch, sid = await one.conversation(MARIA), await content(one)
        one.world.behave(MARIA, refuse="temporary", times=3, code=30001)
        await made_of(one, ch, sid)
        await one.delete(f"/v1/Content/{sid}")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 1)
        [got] = one.world.phone(MARIA).received
        assert (got.body or "").startswith("Hi Ann, shall we send it?")


def account(base_url: str) -> dict[str, str]:
    """The account at the stand-in for Twilio, as a carrier."""
    login = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN}
    return {"kind": "twilio", "base_url": base_url, **login}


async def test_twilio_sends_the_template_that_its_account_knows(dsn: str) -> None:
    theirs = "HX" + "7" * 32
    async with standing_in() as (stand_in, base_url):
        carriers = {"tw": account(base_url)}
        senders = [{"address": address, "carrier": "tw"} for address in (SMS, WHATSAPP)]
        contents = {
            "hello": {
                "language": "en",
                "types": REPLIES,
                "carriers": {"tw": {"sid": theirs}},
            }
        }
        sections = {"senders": senders, "contents": contents, "limits": {"session": "carrier"}}
        async with house(dsn, carriers=carriers, delivery=QUICK, **sections) as one:
            [known] = (await one.get("/v1/Content"))["contents"]
            for address, ours in ((TOM, WHATSAPP), (MARIA, SMS)):
                await made_of(one, await started(one, address, ours), known["sid"])
                await stand_in.world.until(
                    lambda address=address: len(stand_in.world.phone(address).received) == 1
                )
        rich, plain = stand_in.requests
        assert (rich["ContentSid"], rich["ContentVariables"]) == ([theirs], ['{"1":"Ann"}'])
        assert "Body" not in rich
        assert plain["Body"] == ["Hi Ann, shall we send it? Write yes or no."]
        assert "ContentSid" not in plain


APPROVED = {"hello": {"language": "en", "types": HELLO, "approval": {"status": "approved"}}}


async def test_who_cannot_send_a_template_is_not_asked_to_start_with_it(
    dsn: str, sql: asyncpg.Connection
) -> None:
    async with standing_in() as (stand_in, base_url):
        senders = [{"address": WHATSAPP, "carrier": "tw"}]
        sections = {"carriers": {"tw": account(base_url)}, "senders": senders}
        async with house(dsn, contents=APPROVED, delivery=QUICK, **sections) as one:
            [known] = (await one.get("/v1/Content"))["contents"]
            ch = await started(one, TOM, WHATSAPP)
            message = await made_of(one, ch, known["sid"])
            await steps(one, "failed")
            assert (await one.receipts(message))[0]["error_code"] == 63016
            said = await sql.fetchval("SELECT error_message FROM receipts")
            assert said == "the session is over, and carrier tw cannot send the template as such"
            assert stand_in.requests == []
            stand_in.world.inbound_url = f"{one.service.url}/carriers/tw/inbound"
            assert (await stand_in.world.phone(TOM).text(WHATSAPP, "hi")).acknowledged
            await made_of(one, ch, known["sid"])
            await stand_in.world.until(lambda: bool(stand_in.world.phone(TOM).received))
            assert [request["Body"] for request in stand_in.requests] == [["Hi Ann, hello."]]


async def test_of_two_carriers_the_one_that_can_send_it_does(dsn: str) -> None:
    async with standing_in() as (stand_in, base_url):
        carriers = {"tw": account(base_url), "lab": {"kind": "sandbox"}}
        senders = [{"address": WHATSAPP, "carrier": "tw", "fallback_carrier": "lab"}]
        sections = {"carriers": carriers, "senders": senders, "contents": APPROVED}
        async with house(dsn, delivery=QUICK, **sections) as one:
            [known] = (await one.get("/v1/Content"))["contents"]
            await made_of(one, await started(one, TOM, WHATSAPP), known["sid"])
            await one.world.until(lambda: bool(one.world.phone(TOM).received))
            assert [got.body for got in one.world.phone(TOM).received] == ["Hi Ann, hello."]
            assert stand_in.requests == []


async def test_within_a_session_whatsapp_shows_buttons_without_approval(dsn: str) -> None:
    async with meeting(dsn) as (one, stand_in):
        assert (await stand_in.world.phone(ANN).text(OURS, "hello")).acknowledged
        [conversation] = (await one.get("/v1/Conversations"))["conversations"]
        await made_of(one, conversation["sid"], await content(one))
        await steps(one, "sent", "delivered", "read")
        sent = stand_in.requests[-1]["interactive"]
        assert sent["type"] == "button"
        assert sent["body"] == {"text": "Hi Ann, shall we send it?"}


async def test_an_approved_template_starts_a_conversation_and_another_does_not(dsn: str) -> None:
    async with meeting(dsn) as (one, stand_in):
        ch, sid = await started(one, ANN, OURS), await content(one, HELLO)
        refused = await made_of(one, ch, sid)
        await steps(one, "failed")
        assert (await one.receipts(refused))[0]["error_code"] == 63016
        await submit(one, sid, status="approved")
        await made_of(one, ch, sid)
        await steps(one, "failed", "sent", "delivered", "read")
        assert stand_in.requests[-1]["template"] == {
            "name": "hello",
            "language": {"code": "en"},
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ann"}]}],
        }


async def test_what_whatsapp_decides_comes_by_its_door(dsn: str, sql: asyncpg.Connection) -> None:
    async with meeting(dsn) as (one, _):
        ours, other = await content(one, HELLO), await content(one, HELLO, language="de")
        for sid in (ours, other):
            await submit(one, sid)
        for event, status in (("APPROVED", "approved"), ("PAUSED", "paused")):
            assert await post(one, decided(event)) == 200
            assert await approval(one, ours) == status
            assert await approval(one, other) == "received"
        forged = META.forged(decided("APPROVED"))
        assert await post(one, forged) == 403
        assert await approval(one, ours) == "paused"


async def test_what_the_file_says_of_an_approval_whatsapp_does_not_change(dsn: str) -> None:
    declared = {"hello": {"language": "en", "types": HELLO, "approval": {"status": "approved"}}}
    async with meeting(dsn, contents=declared) as (one, _):
        [known] = (await one.get("/v1/Content"))["contents"]
        assert await post(one, decided("REJECTED")) == 200
        assert await approval(one, known["sid"]) == "approved"


def decided(event: str) -> Any:
    """WhatsApp's word on the template."""
    value = {
        "event": event,
        "message_template_name": "hello",
        "message_template_language": "en_US",
        "reason": "NONE",
    }
    change = {"field": "message_template_status_update", "value": value}
    return META.document("whatsapp_business_account", [{"id": "1", "changes": [change]}])


async def approval(one: House, sid: str) -> str:
    """How the template stands."""
    shown = await one.get(f"/v1/Content/{sid}/ApprovalRequests")
    return str(shown["whatsapp"]["status"])
