"""The road on a real database: resolution, creation, order, refusals, races."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from app.convoy import Convoy
from app.errors import Invalid, NotFound, Unavailable
from app.model.traffic import Inbound, MediaPart
from app.road.items import Arrival, Draft, Taken
from app.road.walk import Walker
from tests.road.conftest import Open, Roadside
from tests.support.settings import ACCOUNT, POST_EVENTS, SMS, WHATSAPP, settings

MARIA = "+15551230001"
TOM = "whatsapp:+15551230002"


async def test_a_first_message_creates_a_conversation_with_the_pair(roadside: Roadside) -> None:
    taken = await roadside.arrive("SM1", MARIA)
    assert (taken.outcome, taken.rule, taken.autocreate) == (
        "created",
        "messaging_service",
        "default",
    )
    row = await roadside.sql.fetchrow(
        "SELECT m.index, m.author, m.body, m.source, p.address, p.proxy_address, p.channel,"
        " b.open, c.state, c.message_count, c.messaging_service_sid"
        " FROM messages m JOIN participants p ON p.sid = m.participant_sid"
        " JOIN bindings b ON b.participant_sid = p.sid"
        " JOIN conversations c ON c.sid = m.conversation_sid WHERE m.sid = $1",
        taken.message_sid,
    )
    mg = roadside.runtime.settings.messaging_service_sid("default")
    assert tuple(row) == (0, MARIA, "hi", "SMS", MARIA, SMS, "sms", True, "active", 1, mg)


async def test_a_reply_goes_to_the_conversation_that_holds_the_pair(roadside: Roadside) -> None:
    first = await roadside.arrive("SM1")
    second = await roadside.arrive("SM2")
    assert (second.outcome, second.rule) == ("joined", "binding")
    assert second.conversation_sid == first.conversation_sid
    assert await roadside.indices(first.conversation_sid or "") == [0, 1]


async def test_a_duplicate_gives_the_message_that_it_became(roadside: Roadside) -> None:
    first = await roadside.arrive("SM1")
    again = await roadside.arrive("SM1", body="something else")
    assert again.outcome == "duplicate"
    assert (again.message_sid, again.conversation_sid) == (
        first.message_sid,
        first.conversation_sid,
    )
    assert await roadside.sql.fetchval("SELECT count(*) FROM messages") == 1


async def test_whatsapp_and_sms_forms_of_a_number_never_match(roadside: Roadside) -> None:
    sms = await roadside.arrive("SM1", "+15551230002")
    whatsapp = await roadside.arrive("SM2", "whatsapp:+15551230002", WHATSAPP)
    assert whatsapp.outcome == "created"
    assert whatsapp.conversation_sid != sms.conversation_sid


@pytest.mark.parametrize(
    ("to", "carrier", "reason"),
    [("+15005550099", "lab", "unknown sender"), (SMS, "other", "wrong carrier")],
)
async def test_what_nobody_owns_is_dropped_and_kept(
    roadside: Roadside, to: str, carrier: str, reason: str
) -> None:
    inbound = Inbound(carrier, "SM1", "sms", MARIA, to, body="hello?")
    taken = await roadside.road.submit(Arrival(ACCOUNT, inbound))
    assert isinstance(taken, Taken)
    assert (taken.outcome, taken.reason) == ("dropped", reason)
    kept = await roadside.sql.fetchrow(
        "SELECT i.message_sid, i.payload, d.outcome, d.reason, d.rule"
        " FROM inbox i JOIN decisions d USING (carrier, external_id)"
    )
    assert json.loads(kept["payload"])["body"] == "hello?"
    assert (kept["message_sid"], kept["outcome"], kept["reason"], kept["rule"]) == (
        None,
        "dropped",
        reason,
        "sender",
    )


CONFIGURED = {"addresses": [{"address": SMS}], "messaging_services": {"default": {}}}


async def test_rules_are_asked_in_their_order_and_say_why(open_road: Open) -> None:
    disabled = {"address": SMS, "auto_creation": {"enabled": False}}
    async with open_road(settings(**CONFIGURED | {"addresses": [disabled]})) as roadside:
        taken = await roadside.arrive("SM1")
        assert taken.outcome == "dropped"
        steps = await roadside.sql.fetchval("SELECT steps FROM decisions")
        assert [rule for rule, _ in json.loads(steps)] == [
            "sender",
            "binding",
            "address",
            "messaging_service",
            "sender_webhook",
        ]


async def test_a_webhook_rule_attaches_its_webhook_and_identities(open_road: Open) -> None:
    rule = {
        "type": "webhook",
        "webhook_url": "https://crm.example.com/hook",
        "webhook_method": "GET",
        "webhook_filters": ["onMessageAdded", "onParticipantAdded"],
        "default_identities": ["ann", "bob"],
    }
    given = settings(**CONFIGURED | {"addresses": [{"address": SMS, "auto_creation": rule}]})
    async with open_road(given) as roadside:
        taken = await roadside.arrive("SM1")
        assert (taken.rule, taken.autocreate) == ("address", "webhook")
        hook = await roadside.sql.fetchrow("SELECT * FROM scoped_webhooks")
        assert (hook["target"], hook["url"], hook["method"]) == (
            "webhook",
            "https://crm.example.com/hook",
            "GET",
        )
        told = await roadside.sql.fetch("SELECT event, params FROM outbox ORDER BY seq")
        assert [row["event"] for row in told] == [*["onParticipantAdded"] * 3, "onMessageAdded"]
        joined = [json.loads(row["params"]).get("Identity") for row in told[:3]]
        assert sorted(joined, key=str) == [None, "ann", "bob"]


async def test_a_studio_rule_hands_the_message_to_its_flow(open_road: Open) -> None:
    flow = "FW" + "1" * 32
    rule = {"type": "studio", "studio_flow_sid": flow, "studio_retry_count": 2}
    given = settings(
        **CONFIGURED | {"addresses": [{"address": SMS, "auto_creation": rule}]},
        flows={flow: {"url": "https://flows.example.com/x"}},
    )
    async with open_road(given) as roadside:
        assert (await roadside.arrive("SM1")).autocreate == "studio"
        item = await roadside.sql.fetchrow("SELECT * FROM outbox")
        assert (item["scope"], item["url"], item["retries_max"], item["event"]) == (
            "studio",
            "https://flows.example.com/x",
            2,
            "onMessageAdded",
        )


async def test_without_a_rule_the_senders_own_webhook_gets_the_form(open_road: Open) -> None:
    sender = {
        "address": SMS,
        "carrier": "lab",
        "webhook": {"url": "https://old.example.com/sms"},
    }
    async with open_road(settings(senders=[sender])) as roadside:
        taken = await roadside.arrive("SM1", form={"From": MARIA, "Body": "hi"})
        assert (taken.outcome, taken.rule) == ("forwarded", "sender_webhook")
        item = await roadside.sql.fetchrow("SELECT * FROM outbox")
        assert json.loads(item["params"]) == {"From": MARIA, "Body": "hi"}
        assert (item["scope"], item["url"]) == ("sender", "https://old.example.com/sms")
        assert await roadside.sql.fetchval("SELECT count(*) FROM conversations") == 0


async def test_events_of_autocreation_come_in_the_documented_order(open_road: Open) -> None:
    hooks = {"post_url": "https://app.example.com/hooks", "filters": list(POST_EVENTS)}
    async with open_road(settings(webhooks=hooks)) as roadside:
        taken = await roadside.arrive(
            "SM1", body=None, media=(MediaPart("https://m/1", "image/png"),)
        )
        rows = await roadside.sql.fetch("SELECT event, params, lane FROM outbox ORDER BY seq")
        assert [row["event"] for row in rows] == [
            "onConversationAdded",
            "onParticipantAdded",
            "onMessageAdded",
        ]
        added, joined, message = (json.loads(row["params"]) for row in rows)
        assert added["MessagingBinding.Address"] == MARIA
        assert joined["MessagingBinding.Type"] == "sms"
        assert message["MessageSid"] == taken.message_sid
        assert "Body" not in message
        assert json.loads(message["Media"])[0]["ContentType"] == "image/png"
        assert {row["lane"].rpartition(":")[2] for row in rows} == {taken.conversation_sid}


async def test_a_message_wakes_an_inactive_conversation(open_road: Open) -> None:
    hooks = {"post_url": "https://app.example.com/hooks", "filters": list(POST_EVENTS)}
    async with open_road(settings(webhooks=hooks)) as roadside:
        taken = await roadside.arrive("SM1")
        await roadside.sql.execute("UPDATE conversations SET state = 'inactive'")
        again = await roadside.arrive("SM2")
        assert again.conversation_sid == taken.conversation_sid
        assert await roadside.sql.fetchval("SELECT state FROM conversations") == "active"
        last = await roadside.sql.fetchrow("SELECT event, params FROM outbox ORDER BY seq DESC")
        params = json.loads(last["params"])
        assert (last["event"], params["Reason"], params["StateFrom"], params["StateTo"]) == (
            "onConversationStateUpdated",
            "EVENT",
            "inactive",
            "active",
        )


async def _close(roadside: Roadside, sid: str | None) -> None:
    async with roadside.sql.transaction():
        await roadside.sql.execute("UPDATE conversations SET state = 'closed' WHERE sid = $1", sid)
        await roadside.sql.execute(
            "UPDATE bindings SET open = false WHERE conversation_sid = $1", sid
        )


async def test_a_message_to_a_closed_conversations_pair_starts_a_new_one(
    roadside: Roadside,
) -> None:
    first = await roadside.arrive("SM1")
    await _close(roadside, first.conversation_sid)
    second = await roadside.arrive("SM2")
    assert second.outcome == "created"
    assert second.conversation_sid != first.conversation_sid


async def test_a_posted_message_fans_out_to_everybody_but_its_author(roadside: Roadside) -> None:
    before = await roadside.arrive("SM0", TOM, WHATSAPP)  # opens his session
    await _close(roadside, before.conversation_sid)
    taken = await roadside.arrive("SM1", MARIA)
    ch = taken.conversation_sid or ""
    ann = await roadside.join(ch, identity="ann")
    tom = await roadside.join(ch, channel="whatsapp", address=TOM, proxy_address=WHATSAPP)
    posted = await roadside.post(ch, "ann")
    assert (posted.message.index, posted.message.participant_sid) == (1, ann)
    assert posted.statuses == ("queued", "queued")
    rows = await roadside.sql.fetch("SELECT * FROM receipts ORDER BY channel")
    assert [(row["channel"], row["address"], row["proxy_address"]) for row in rows] == [
        ("sms", MARIA, SMS),
        ("whatsapp", TOM, WHATSAPP),
    ]
    assert rows[1]["participant_sid"] == tom
    assert await roadside.sql.fetchval("SELECT count(*) FROM lanes WHERE kind = 'delivery'") == 2
    echoed = await roadside.arrive("SM2", TOM, WHATSAPP)
    assert echoed.conversation_sid == ch
    last = await roadside.sql.fetch(
        "SELECT address FROM receipts WHERE message_sid = $1", echoed.message_sid
    )
    assert [row["address"] for row in last] == [MARIA]


async def test_a_body_too_long_for_sms_fails_that_receipt_at_once(open_road: Open) -> None:
    hooks = {"post_url": "https://app.example.com/hooks", "filters": ["onDeliveryUpdated"]}
    async with open_road(settings(webhooks=hooks)) as roadside:
        taken = await roadside.arrive("SM1", MARIA)
        posted = await roadside.post(taken.conversation_sid or "", body="x" * 1601)
        assert posted.statuses == ("failed",)
        row = await roadside.sql.fetchrow("SELECT status, error_code FROM receipts")
        assert tuple(row) == ("failed", 21617)
        told = await roadside.sql.fetchrow("SELECT event, params FROM outbox")
        params = json.loads(told["params"])
        assert (params["Status"], params["ErrorCode"]) == ("failed", "21617")


async def test_posting_to_a_closed_or_missing_conversation_is_refused(roadside: Roadside) -> None:
    taken = await roadside.arrive("SM1")
    await _close(roadside, taken.conversation_sid)
    with pytest.raises(Invalid) as closed:
        await roadside.post(taken.conversation_sid or "")
    assert closed.value.code == 50377
    with pytest.raises(NotFound):
        await roadside.post("CH" + "0" * 32)
    draft = Draft(ACCOUNT, "IS" + "0" * 32, taken.conversation_sid or "", "x", "y")
    with pytest.raises(NotFound):
        await roadside.road.submit(draft)


async def test_rest_messages_are_told_only_when_asked_for(open_road: Open) -> None:
    hooks = {"post_url": "https://app.example.com/hooks", "filters": ["onMessageAdded"]}
    async with open_road(settings(webhooks=hooks)) as roadside:
        taken = await roadside.arrive("SM1")
        ch = taken.conversation_sid or ""
        await roadside.post(ch)
        assert await roadside.sql.fetchval("SELECT count(*) FROM outbox WHERE kind='hook'") == 1
        await roadside.post(ch, tell=True)
        assert await roadside.sql.fetchval("SELECT count(*) FROM outbox WHERE kind='hook'") == 2


async def test_an_inbound_over_32_kb_is_cut_and_says_so(roadside: Roadside) -> None:
    await roadside.arrive("SM1", body="ä" * 20_000)
    row = await roadside.sql.fetchrow("SELECT body, attributes FROM messages")
    assert len(row["body"].encode()) == 32_768
    assert json.loads(row["attributes"]) == {"truncated": True}


async def test_a_hundred_first_messages_at_once_make_one_conversation(
    roadside: Roadside,
) -> None:
    """Over two walkers, as two processes would: the partial unique index decides."""
    other = Walker(roadside.runtime)
    second: Any = Convoy(other, longest=7, waiting_max=1000)
    async with asyncio.TaskGroup() as group:
        group.create_task(second.run())

        def submit(number: int, name: str) -> Any:
            inbound = Inbound("lab", name, "sms", MARIA, SMS, body=name)
            return (roadside.road, second)[number % 2].submit(Arrival(ACCOUNT, inbound))

        results = await asyncio.gather(
            *(submit(n + twin, f"SM{n}") for n in range(100) for twin in range(2))
        )
        second.close()
    await other.close()
    outcomes = [result.outcome for result in results]
    assert outcomes.count("created") == 1
    assert outcomes.count("joined") == 99
    assert outcomes.count("duplicate") == 100
    assert await roadside.sql.fetchval("SELECT count(*) FROM conversations") == 1
    ch = await roadside.sql.fetchval("SELECT sid FROM conversations")
    assert await roadside.indices(ch) == list(range(100))


async def test_closing_while_messages_come_never_loses_or_misplaces_one(
    roadside: Roadside,
) -> None:
    """Every message lands in a conversation that was open when it was numbered."""

    async def keep_closing() -> None:
        for _ in range(30):
            sid = await roadside.sql.fetchval("SELECT sid FROM conversations WHERE state='active'")
            if sid:
                async with roadside.sql.transaction():
                    await roadside.sql.execute(
                        "SELECT FROM conversations WHERE sid = $1 FOR NO KEY UPDATE", sid
                    )
                    await _close(roadside, sid)
            await asyncio.sleep(0)

    closing = asyncio.get_running_loop().create_task(keep_closing())
    results: list[Taken] = []
    for batch in range(60):
        results += await asyncio.gather(*(roadside.arrive(f"SM{batch}-{n}") for n in range(5)))
    await closing
    assert {result.outcome for result in results} <= {"created", "joined"}
    assert await roadside.sql.fetchval("SELECT count(*) FROM messages") == 300
    dense = await roadside.sql.fetch(
        "SELECT count(*) = max(index) + 1 AS dense, min(index) = 0 AS whole"
        " FROM messages GROUP BY conversation_sid"
    )
    assert all(row["dense"] and row["whole"] for row in dense)


async def test_a_poisoned_inbound_harms_no_neighbour(roadside: Roadside) -> None:
    good = [roadside.arrive(f"SM{n}", f"+1555123{n:04d}") for n in range(5)]
    bad = roadside.arrive("SM-bad", body="nul\x00byte")
    results = await asyncio.gather(*good, bad, return_exceptions=True)
    assert isinstance(results[-1], Exception)
    assert all(isinstance(result, Taken) for result in results[:-1])
    assert await roadside.sql.fetchval("SELECT count(*) FROM messages") == 5
    assert await roadside.sql.fetchval("SELECT count(*) FROM inbox") == 5


async def test_a_full_queue_says_so(roadside: Roadside) -> None:
    road: Any = Convoy(Walker(roadside.runtime), longest=1, waiting_max=2)
    arrival = Arrival(ACCOUNT, Inbound("lab", "SM1", "sms", MARIA, SMS))
    waiting = [road.enqueue(arrival), road.enqueue(arrival)]
    with pytest.raises(Unavailable):
        road.enqueue(arrival)
    for future in waiting:
        future.cancel()
