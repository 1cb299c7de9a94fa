"""Outside of a session: the template that a sender has for it goes in the place of free words."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.road.test_meta import ANN, OURS, conversation, meeting, steps
from tests.road.test_parts import LONG, PNG, picture
from tests.road.test_sessions import expire
from tests.road.test_templates import content, started, submit
from tests.support.house import House, house
from tests.support.settings import WHATSAPP

TOM = "whatsapp:+15551230003"
QUICK = {"waits_s": [0.02] * 12, "timeout_s": 2}
REOPEN = {"twilio/text": {"body": "We wrote to you: {{1}} Please answer."}}
CONTENTS = {"reopen": {"language": "en", "types": REOPEN, "approval": {"status": "approved"}}}
FALLBACK = {"content": "reopen", "variables": {"1": "{body}"}}


def sections(fallback: Any = FALLBACK, **more: Any) -> dict[str, Any]:
    sender = {"address": WHATSAPP, "carrier": "lab", "messaging_service": "default"}
    given = {
        "senders": [sender | {"fallback_template": fallback}],
        "contents": CONTENTS,
        "delivery": QUICK,
        "carriers": {"lab": {"kind": "sandbox", "look_up_after_s": 0.05}},
    }
    return given | more


def got(one: House) -> list[str | None]:
    return [each.body for each in one.world.phone(TOM).received]


async def arrived(one: House, count: int = 1) -> None:
    await one.customer.until(
        lambda: (
            sum(hook.form["Status"] == "read" for hook in one.customer.events("onDeliveryUpdated"))
            == count
        )
    )


async def test_the_template_goes_with_the_text_on_one_line(dsn: str) -> None:
    async with house(dsn, **sections()) as one:
        ch = await one.conversation(TOM, WHATSAPP)
        await expire(one)
        message = await one.say(ch, "your parcel\n\nis here.")
        await arrived(one)
        assert got(one) == ["We wrote to you: your parcel is here. Please answer."]
        [receipt] = await one.receipts(message)
        assert (receipt["status"], receipt["error_code"]) == ("read", None)
        assert (await one.get(message["url"]))["body"] == "your parcel\n\nis here."


async def test_free_words_go_while_the_session_is_open(dsn: str) -> None:
    async with house(dsn, **sections()) as one:
        await one.say(await one.conversation(TOM, WHATSAPP), "hello")
        await arrived(one)
        assert got(one) == ["hello"]


async def test_it_goes_for_what_waited_until_the_session_was_over(dsn: str) -> None:
    waiting = sections(delivery={"waits_s": [3600], "timeout_s": 2})
    async with house(dsn, **waiting) as one:
        ch = await one.conversation(TOM, WHATSAPP)
        one.world.behave(TOM, refuse="temporary", times=1)
        await one.say(ch, "late.")
        await one.world.until(lambda: one.world.counts["refuse"] == 1)
        await expire(one)
        await one.again()
        await arrived(one)
        assert got(one) == ["We wrote to you: late. Please answer."]


async def test_it_stands_for_all_parts_and_the_receipt_names_what_it_replaced(
    dsn: str, sql: asyncpg.Connection
) -> None:
    relaxed = sections(limits={"profile": "relaxed"})
    async with house(dsn, **relaxed) as one:
        ch = await one.conversation(TOM, WHATSAPP)
        await expire(one)
        file = await picture(one, ch)
        message = await one.say(ch, LONG[:2000], MediaSid=file)
        await arrived(one)
        [said] = got(one)
        assert said is not None
        assert said.startswith("We wrote to you: 0000 0001")
        assert said.endswith("… Please answer.")
        row = await sql.fetchrow("SELECT dropped, parts, status FROM receipts")
        [known] = (await one.get("/v1/Content"))["contents"]
        lost = "body, media 1 image/png"
        assert tuple(row) == (f"{lost} (the template {known['sid']} in their place)", None, "read")
        [shown] = (await one.get(message["url"]))["media"]
        assert shown["size"] == len(PNG)


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_lost_answer_repeats_no_template(dsn: str, cut: str) -> None:
    async with house(dsn, **sections()) as one:
        ch = await one.conversation(TOM, WHATSAPP)
        await expire(one)
        one.world.behave(cut=cut, times=1, statuses=False)
        await one.say(ch, "first.")
        await one.say(ch, "second.")
        await one.world.until(lambda: len(got(one)) == 2)
        assert got(one) == [f"We wrote to you: {n}. Please answer." for n in ("first", "second")]
        assert one.world.records.doubles() == []


@pytest.mark.parametrize(
    ("fallback", "contents", "reason"),
    [
        (FALLBACK, {"reopen": {"language": "en", "types": REOPEN}}, "not approved"),
        ({"content": "HX" + "0" * 32}, CONTENTS, "no such template"),
        ({"content": "reopen"}, CONTENTS, "needs a value for its variable 1"),
        ({"content": "reopen", "variables": {"1": "a\tb"}}, CONTENTS, "a tab"),
    ],
)
async def test_where_it_cannot_go_the_receipt_fails_and_says_why(
    dsn: str, sql: asyncpg.Connection, fallback: Any, contents: Any, reason: str
) -> None:
    async with house(dsn, **sections(fallback, contents=contents)) as one:
        ch = await one.conversation(TOM, WHATSAPP)
        await expire(one)
        message = await one.say(ch, "hello")
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 1)
        [receipt] = await one.receipts(message)
        assert (receipt["status"], receipt["error_code"]) == ("failed", 63016)
        assert reason in await sql.fetchval("SELECT error_message FROM receipts")
        assert got(one) == []


async def test_whatsapp_gets_it_as_the_template_that_it_approved(dsn: str) -> None:
    async with meeting(dsn, contents=CONTENTS, fallback=FALLBACK) as (one, stand_in):
        assert (await stand_in.world.phone(ANN).text(OURS, "hello")).acknowledged
        ch = await conversation(one)
        await expire(one)
        await one.say(ch, "it is here.")
        await steps(one, "sent", "delivered", "read")
        assert stand_in.requests[-1]["template"] == {
            "name": "reopen",
            "language": {"code": "en"},
            "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "it is here."}]}
            ],
        }


async def test_a_template_of_the_api_starts_a_conversation_when_it_is_approved(dsn: str) -> None:
    """By its SID, which the file has and the API gave."""
    sid = "HX" + "5" * 32
    contents = {"reopen": {"language": "en", "types": REOPEN, "sid": sid}}
    fallback = {"content": sid, "variables": {"1": "Ann."}}
    async with house(dsn, **sections(fallback, contents=contents)) as one:
        assert await content(one, REOPEN)
        await submit(one, sid, status="approved")
        await one.say(await started(one, TOM, WHATSAPP), "hello")
        await arrived(one)
        assert got(one) == ["We wrote to you: Ann. Please answer."]
