"""Messages and their receipts through the official client, in both trees."""

from __future__ import annotations

import pytest
from twilio.base.exceptions import TwilioRestException

from app import ids

from .conftest import OURS

PEOPLE = ("+15558675310", "+15558675311")


@pytest.fixture(params=["account", "service"])
def ask(request, world):
    return world.api if request.param == "account" else world.service


async def talk(ask) -> str:
    """A conversation of alice and two people with phones."""
    sid = (await ask(lambda v1: v1.conversations.create(unique_name="talk"))).sid
    await ask(lambda v1: v1.conversations(sid).participants.create(identity="alice"))
    for person in PEOPLE:
        await ask(
            lambda v1, person=person: v1.conversations(sid).participants.create(
                messaging_binding_address=person, messaging_binding_proxy_address=OURS
            )
        )
    return sid


async def test_a_message_is_posted_read_edited_and_deleted(ask) -> None:
    sid = await talk(ask)
    made = await ask(
        lambda v1: v1.conversations("talk").messages.create(
            author="alice", body="Hello", attributes='{"importance": "high"}'
        )
    )
    assert (made.conversation_sid, made.index, made.author) == (sid, 0, "alice")
    assert made.participant_sid is not None
    assert made.media is None
    assert made.delivery == {
        "total": 2,
        "sent": "none",
        "delivered": "none",
        "read": "none",
        "failed": "none",
        "undelivered": "none",
    }
    fetched = await ask(lambda v1: v1.conversations(sid).messages(made.sid).fetch())
    assert (fetched.body, fetched.delivery) == ("Hello", made.delivery)
    edited = await ask(
        lambda v1: v1.conversations(sid).messages(made.sid).update(body="Hi", author="bot")
    )
    assert (edited.body, edited.author, edited.participant_sid) == ("Hi", "bot", None)
    assert await ask(lambda v1: v1.conversations(sid).messages(made.sid).delete())
    with pytest.raises(TwilioRestException) as gone:
        await ask(lambda v1: v1.conversations(sid).messages(made.sid).fetch())
    assert (gone.value.status, gone.value.code) == (404, 20404)


async def test_the_author_gets_no_copy_and_no_name_means_system(ask) -> None:
    sid = await talk(ask)
    mine = await ask(lambda v1: v1.conversations(sid).messages.create(author=PEOPLE[0], body="a"))
    assert mine.delivery["total"] == 1
    plain = await ask(lambda v1: v1.conversations(sid).messages.create(body="b"))
    assert (plain.author, plain.participant_sid, plain.index) == ("system", None, 1)


async def test_receipts_are_listed_and_fetched(ask) -> None:
    sid = await talk(ask)
    made = await ask(lambda v1: v1.conversations(sid).messages.create(body="Hello"))
    receipts = await ask(
        lambda v1: v1.conversations(sid).messages(made.sid).delivery_receipts.list()
    )
    assert len(receipts) == 2
    first = await ask(
        lambda v1: (
            v1.conversations(sid).messages(made.sid).delivery_receipts(receipts[0].sid).fetch()
        )
    )
    assert (first.sid, first.message_sid, first.status) == (receipts[0].sid, made.sid, None)


async def test_the_json_is_exactly_the_documented_one(world) -> None:
    for tree, service in (
        ("/v1", {}),
        (
            f"/v1/Services/{world.other_service_sid}",
            {"chat_service_sid": world.other_service_sid},
        ),
    ):
        _, parent = await world.call("POST", f"{tree}/Conversations", {})
        status, made = await world.call("POST", f"{parent['url']}/Messages", {"Body": "Hello"})
        url = f"{parent['url']}/Messages/{made['sid']}"
        assert status == 201
        assert made == {
            "sid": made["sid"],
            "account_sid": world.account_sid,
            **service,
            "conversation_sid": parent["sid"],
            "body": "Hello",
            "media": None,
            "author": "system",
            "participant_sid": None,
            "attributes": "{}",
            "date_created": made["date_created"],
            "date_updated": made["date_created"],
            "index": 0,
            "delivery": None,
            "content_sid": None,
            "url": url,
            "links": {
                "delivery_receipts": f"{url}/Receipts",
                "channel_metadata": f"{url}/ChannelMetadata",
            },
        }
        assert (await world.call("GET", url)) == (200, made)


async def test_a_receipt_shows_what_became_of_its_copy(world) -> None:
    sid = await talk(world.api)
    _, made = await world.call("POST", f"/v1/Conversations/{sid}/Messages", {"Body": "Hello"})
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE receipts SET status = 'failed', error_code = 30003,"
            " channel_message_sid = 'SM' || substr(sid, 3) WHERE message_sid = $1 AND address = $2",
            made["sid"],
            PEOPLE[0],
        )
    _, page = await world.call("GET", made["links"]["delivery_receipts"])
    failed, waiting = page["delivery_receipts"]
    assert failed == {
        "sid": failed["sid"],
        "account_sid": world.account_sid,
        "conversation_sid": sid,
        "message_sid": made["sid"],
        "channel_message_sid": "SM" + failed["sid"][2:],
        "participant_sid": failed["participant_sid"],
        "status": "failed",
        "error_code": 30003,
        "date_created": failed["date_created"],
        "date_updated": failed["date_updated"],
        "url": f"{made['url']}/Receipts/{failed['sid']}",
    }
    assert (waiting["status"], waiting["error_code"]) == (None, None)
    _, message = await world.call("GET", made["url"])
    assert (message["delivery"]["failed"], message["delivery"]["sent"]) == ("some", "none")


async def test_a_message_wakes_an_inactive_conversation(world) -> None:
    _, parent = await world.call("POST", "/v1/Conversations", {"State": "inactive"})
    await world.call("POST", f"{parent['url']}/Messages", {"Body": "Hello"})
    _, woken = await world.call("GET", parent["url"])
    assert woken["state"] == "active"


async def test_a_message_of_another_conversation_or_service_is_not_found(world) -> None:
    _, mine = await world.call("POST", "/v1/Conversations", {})
    _, other = await world.call("POST", "/v1/Conversations", {})
    _, made = await world.call("POST", f"{mine['url']}/Messages", {"Body": "Hello"})
    service = f"/v1/Services/{world.other_service_sid}/Conversations"
    for path in (
        f"{other['url']}/Messages/{made['sid']}",
        f"{service}/{mine['sid']}/Messages/{made['sid']}",
        f"{service}/{mine['sid']}/Messages",
        f"{other['url']}/Messages/{made['sid']}/Receipts",
        f"{made['url']}/Receipts/{ids.new(ids.RECEIPT)}",
        f"{mine['url']}/Messages/0",
    ):
        status, body = await world.call("GET", path)
        assert (status, body["code"]) == (404, 20404)
        status, body = await world.call("POST", path, {"Body": "x"})
        assert status in (404, 405)


async def test_imported_dates_and_media_are_shown(world) -> None:
    _, parent = await world.call("POST", "/v1/Conversations", {})
    form = {"Body": "old", "DateCreated": "2020-01-02T03:04:05Z"}
    _, made = await world.call("POST", f"{parent['url']}/Messages", form)
    assert made["date_created"] == made["date_updated"] == "2020-01-02T03:04:05Z"
    medium = ids.new(ids.MEDIA)
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "INSERT INTO media (sid, account_sid, chat_service_sid, message_sid, position,"
            " content_type, filename, size, date_created, date_updated)"
            " SELECT $2, account_sid, chat_service_sid, sid, 0, 'image/jpeg', 'car.jpg', 42056,"
            " date_created, date_updated FROM messages WHERE sid = $1",
            made["sid"],
            medium,
        )
    _, page = await world.call("GET", f"{parent['url']}/Messages")
    assert page["messages"][0]["media"] == [
        {"sid": medium, "size": 42056, "content_type": "image/jpeg", "filename": "car.jpg"}
    ]
    status, edited = await world.call("POST", made["url"], {"Body": ""})
    assert (status, edited["body"]) == (200, None)
