"""Group texts through the whole house: phones on one side, the API on the other."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from app.store import deliveries
from tests.road.test_templates import content
from tests.support.house import House, house
from tests.support.settings import SMS

OURS_TOO = "+15005550009"
ANN, BOB, CAROL = "+15558675310", "+15558675311", "+15558675312"


async def make(
    one: House, *natives: str, identity: str | None = None, ours: str = SMS
) -> tuple[int, Any]:
    """A group made over REST at one stroke; status and body."""
    binding: dict[str, Any] = {"messaging_binding": {"projected_address": ours}}
    people = [binding if identity is None else binding | {"identity": identity}]
    people += [{"messaging_binding": {"address": address}} for address in natives]
    form = [("Participant", json.dumps(person)) for person in people]
    url = f"{one.service.url}/v1/ConversationWithParticipants"
    async with one.http.post(url, data=form) as response:
        return response.status, await response.json()


async def rows(one: House, question: str, *given: Any) -> list[tuple[Any, ...]]:
    async with one.service.runtime.db.begin() as tx:
        return [tuple(row) for row in await tx.sql.fetch(question, *given)]


async def test_a_group_made_over_rest_takes_what_its_people_write(dsn: str) -> None:
    async with house(dsn) as one:
        status, made = await make(one, ANN, BOB, identity="agent")
        assert status in (201, 202)
        assert (await one.world.phone(BOB).text(SMS, "hi all", others=[ANN])).acknowledged
        path = f"/v1/Conversations/{made['sid']}/Messages"
        [message] = (await one.get(path))["messages"]
        assert (message["author"], message["body"]) == (BOB, "hi all")
        assert await one.receipts(message) == []
        assert (await one.world.phone(BOB).text(SMS, "just us")).acknowledged
        assert len((await one.get(path))["messages"]) == 1, "a text to us alone is none of a group"


async def test_rest_and_a_first_text_at_once_make_one_group(dsn: str) -> None:
    """Whoever wins, the text is in the one conversation that has the numbers."""
    async with house(dsn) as one:
        for n in range(12):
            them = f"+1555867{5400 + n}"
            later = make(one, ANN, them)
            text = one.world.phone(them).text(SMS, f"{n}", others=[ANN])
            both = (later, text) if n % 2 else (text, later)
            results = await asyncio.gather(*both)
            status, made = results[0] if n % 2 else results[1]
            texted = results[1] if n % 2 else results[0]
            assert texted.acknowledged
            held = await rows(
                one,
                "SELECT conversation_sid FROM number_groups WHERE numbers LIKE $1 AND open",
                f"%{them}",
            )
            said = await rows(one, "SELECT conversation_sid FROM messages WHERE body = $1", f"{n}")
            assert held == said
            assert len(held) == 1
            if status == 409:
                assert (made["code"], made["message"][-34:]) == (50438, held[0][0])
            else:
                assert made["sid"] == held[0][0]


async def test_people_who_leave_and_come_while_texts_arrive_lose_none(dsn: str) -> None:
    """A set that changes is another group: each text is in one that had it, none is lost."""
    async with house(dsn) as one:
        _, made = await make(one, ANN, BOB)
        people = f"/v1/Conversations/{made['sid']}/Participants"

        async def come_and_go() -> None:
            for _ in range(5):
                joined = await one.post(people, MessagingBinding_Address=CAROL)
                await one.delete(joined["url"])

        async def write() -> None:
            for n in range(20):
                texted = await one.world.phone(ANN).text(SMS, f"{n}", others=[BOB])
                assert texted.acknowledged

        await write_or_conflict(come_and_go(), write())
        said = await rows(one, "SELECT body FROM messages ORDER BY sid")
        assert [body for (body,) in said] == [str(n) for n in range(20)]


async def write_or_conflict(changing: Any, writing: Any) -> None:
    """Both at once. A change may be refused: its numbers were taken by what a text created."""

    async def change() -> None:
        try:
            await changing
        except AssertionError as error:
            assert "50438" in str(error)

    await asyncio.gather(change(), writing)


CH = "/v1/Conversations"
QUICK = {"waits_s": [0.02] * 12, "timeout_s": 2}


def lab(**more: Any) -> dict[str, Any]:
    return {"lab": {"kind": "sandbox", "secret": "s", "look_up_after_s": 0.05, **more}}


async def test_one_send_reaches_everybody_and_each_has_a_receipt(dsn: str) -> None:
    async with house(dsn) as one:
        _, made = await make(one, ANN, BOB, CAROL, identity="agent")
        one.world.behave(BOB, bounce=30005)
        message = await one.say(made["sid"], "hello all", "agent")
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 6)
        [got] = one.world.phone(ANN).received
        assert (got.sender, got.body, set(got.others)) == (SMS, "hello all", {BOB, CAROL})
        assert [got.body for got in one.world.phone(CAROL).received] == ["hello all"]
        assert one.world.phone(BOB).received == []
        assert len({one.external_id for one in one.world.records.taken()}) == 1
        people = await one.get(f"{CH}/{made['sid']}/Participants")
        address = {p["sid"]: p["messaging_binding"].get("address") for p in people["participants"]}
        receipts = await one.receipts(message)
        fared = {address[r["participant_sid"]]: (r["status"], r["error_code"]) for r in receipts}
        assert fared == {
            ANN: ("delivered", None),
            CAROL: ("delivered", None),
            BOB: ("undelivered", 30005),
        }
        assert len({r["channel_message_sid"] for r in receipts}) == 3
        assert {r["channel_message_sid"][:2] for r in receipts} == {"MM"}


async def test_they_answer_into_the_group_and_the_number_itself_may_write(dsn: str) -> None:
    async with house(dsn) as one:
        texted = await one.world.phone(ANN).text(SMS, "hi both", others=[BOB])
        assert texted.acknowledged
        [(sid,)] = await rows(one, "SELECT sid FROM conversations")
        await one.say(sid, "hello from us", SMS)
        await one.world.until(lambda: len(one.world.phone(BOB).received) == 1)
        await one.world.phone(BOB).text(SMS, "hi too", others=[ANN])
        messages = (await one.get(f"{CH}/{sid}/Messages"))["messages"]
        assert [(m["author"], m["body"]) for m in messages] == [
            (ANN, "hi both"),
            (SMS, "hello from us"),
            (BOB, "hi too"),
        ]
        assert [got.body for got in one.world.phone(ANN).received] == ["hello from us"]


async def test_a_group_gets_messages_in_their_order_through_failures(dsn: str) -> None:
    async with house(dsn, delivery=QUICK) as one:
        _, made = await make(one, ANN, BOB, identity="agent")
        one.world.behave(ANN, refuse="temporary", refuse_share=0.5, times=10, code=30001)
        one.world.behave(BOB, refuse="temporary", refuse_share=0.5, times=10, code=30001)
        for n in range(20):
            await one.say(made["sid"], f"{n}", "agent")
        await one.world.until(lambda: len(one.world.phone(BOB).received) == 20)
        for phone in (ANN, BOB):
            got = [got.body for got in one.world.phone(phone).received]
            assert got == [str(n) for n in range(20)]


async def test_a_lost_answer_is_settled_for_everybody_without_a_second_send(dsn: str) -> None:
    async with house(dsn, delivery=QUICK, carriers=lab()) as one:
        _, made = await make(one, ANN, BOB, identity="agent")
        for address in (ANN, BOB):
            one.world.behave(address, cut="after", times=2)
        for n in range(4):
            await one.say(made["sid"], f"{n}", "agent")
        await one.world.until(lambda: len(one.world.phone(BOB).received) == 4)
        question = "SELECT count(*) FROM receipts WHERE status = 'delivered'"
        async with asyncio.timeout(20):
            while await rows(one, question) != [(8,)]:
                await asyncio.sleep(0.02)
        assert one.world.records.doubles() == []
        assert [got.body for got in one.world.phone(ANN).received] == list("0123")


async def test_a_refusal_of_the_send_fails_every_receipt(dsn: str) -> None:
    async with house(dsn) as one:
        _, made = await make(one, ANN, BOB, identity="agent")
        for address in (ANN, BOB):
            one.world.behave(address, refuse="permanent", code=30007)
        message = await one.say(made["sid"], "no", "agent")
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 2)
        receipts = await one.receipts(message)
        assert [(r["status"], r["error_code"]) for r in receipts] == [("failed", 30007)] * 2


async def test_an_author_outside_is_not_sent_for(dsn: str) -> None:
    async with house(dsn) as one:
        _, made = await make(one, ANN, BOB)
        message = await one.say(made["sid"], "in her name", ANN)
        [receipt] = await one.receipts(message)
        assert (receipt["status"], receipt["error_code"]) == ("failed", 21606)


async def test_a_number_whose_carrier_sends_no_group_texts_cannot_be_in_one(dsn: str) -> None:
    """What comes in by it is taken all the same; an answer fails, and says why."""
    twilio = {
        "kind": "twilio",
        "account_sid": "AC" + "b" * 32,
        "auth_token": "t",
        "signature": "off",
    }
    senders = [
        {"address": SMS, "carrier": "lab"},
        {"address": OURS_TOO, "carrier": "other", "messaging_service": "default"},
    ]
    async with house(dsn, carriers=lab() | {"other": twilio}, senders=senders) as one:
        status, refused = await make(one, ANN, BOB, ours=OURS_TOO)
        assert (status, refused["code"]) == (403, 50452)
        assert refused["message"].endswith(
            f"the sender {OURS_TOO} does not carry mms, or its carrier does not send group texts"
        )
        form = {"MessageSid": "MM1", "From": ANN, "To": OURS_TOO, "Body": "hi"}
        form |= {"NumMedia": "0", "OtherRecipients0": BOB, "AccountSid": twilio["account_sid"]}
        url = f"{one.service.url}/carriers/other/inbound"
        async with one.http.post(url, data=form) as answer:
            assert answer.status == 200
        [(sid,)] = await rows(one, "SELECT sid FROM conversations WHERE grouped")
        message = await one.say(sid, "hello", OURS_TOO)
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 2)
        receipts = await one.receipts(message)
        assert [(r["status"], r["error_code"]) for r in receipts] == [("failed", 21612)] * 2


async def test_a_group_of_two_writes_and_answers_like_a_pair(dsn: str) -> None:
    async with house(dsn) as one:
        _, made = await make(one, ANN, identity="agent")
        message = await one.say(made["sid"], "hello", "agent")
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 2)
        [got] = one.world.phone(ANN).received
        assert (got.sender, got.body, got.others) == (SMS, "hello", ())
        [receipt] = await one.receipts(message)
        assert receipt["status"] == "delivered"
        assert await one.conversation(ANN) == made["sid"]


async def test_a_number_of_ours_that_is_in_the_group_is_on_everybodys_phone(dsn: str) -> None:
    """It is among the receivers, and what our agents wrote does not come back by it."""
    senders = [{"address": one, "carrier": "lab"} for one in (SMS, OURS_TOO)]
    async with house(dsn, senders=senders) as one:
        _, made = await make(one, ANN, identity="agent")
        people = f"{CH}/{made['sid']}/Participants"
        await one.post(people, MessagingBinding_ProjectedAddress=OURS_TOO, Identity="boss")
        for author, number, other in (("agent", SMS, OURS_TOO), ("boss", OURS_TOO, SMS)):
            await one.say(made["sid"], author, author)
            await one.world.until(
                lambda author=author: author in [g.body for g in one.world.phone(ANN).received]
            )
            got = one.world.phone(ANN).received[-1]
            assert (got.sender, got.others) == (number, (other,))
            assert (await one.world.phone(number).text(other, author, others=[ANN])).acknowledged
        messages = (await one.get(f"{CH}/{made['sid']}/Messages"))["messages"]
        assert [message["body"] for message in messages] == ["agent", "boss"]
        assert len(await rows(one, "SELECT sid FROM receipts")) == 2


async def test_a_send_that_is_found_is_known_by_each_receipt_that_it_is_for(dsn: str) -> None:
    """A look-up may find it just when a report has settled it: that is no other send."""
    async with house(dsn) as one:
        _, made = await make(one, ANN, BOB, identity="agent")
        grouped = await one.receipts(await one.say(made["sid"], "hello", "agent"))
        pair = await one.receipts(await one.say(await one.conversation(CAROL), "hello"))
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 6)
        [name] = {got.external_id for got in one.world.phone(BOB).received}
        async with one.service.runtime.db.begin() as tx:
            for receipt in grouped:
                assert await deliveries.others(tx.sql, "lab", [name], receipt["sid"], 0) == set()
            assert await deliveries.others(tx.sql, "lab", [name], pair[0]["sid"], 0) == {name}


async def test_who_opts_out_while_a_group_text_waits_is_not_sent_it(dsn: str) -> None:
    async with house(dsn, delivery={"waits_s": [3600], "timeout_s": 2}) as one:
        _, made = await make(one, ANN, BOB, identity="agent")
        for phone in (ANN, BOB):
            one.world.behave(phone, refuse="temporary", times=1)
        message = await one.say(made["sid"], "never", "agent")
        await one.world.until(lambda: one.world.counts["refuse"] >= 1)
        _, second = await rows(one, "SELECT address FROM receipts ORDER BY sid")
        assert (await one.world.phone(second[0]).text(SMS, "STOP")).acknowledged
        await one.again()

        def failed() -> bool:
            told = one.customer.events("onDeliveryUpdated")
            return [hook.form["Status"] for hook in told].count("failed") == 2

        await one.customer.until(failed)
        ends = [(each["status"], each["error_code"]) for each in await one.receipts(message)]
        assert ends == [("failed", 21610)] * 2
        assert all(one.world.phone(phone).received == [] for phone in (ANN, BOB))


async def test_a_group_gets_of_a_template_what_the_fan_out_saw(dsn: str) -> None:
    async with house(dsn, delivery=QUICK) as one:
        _, made = await make(one, ANN, BOB, identity="agent")
        sid = await content(one, {"twilio/media": {"media": ["http://127.0.0.1/x.png"]}})
        path = f"/v1/Conversations/{made['sid']}/Messages"
        await one.post(path, ContentSid=sid, Author="agent")
        await one.world.until(lambda: len(one.world.phone(ANN).received) == 1)
        assert [part.url for part in one.world.phone(ANN).received[0].media] == [
            "http://127.0.0.1/x.png"
        ]
