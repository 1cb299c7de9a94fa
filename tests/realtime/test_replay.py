"""What a client missed while it was away comes, once, in order, from the rows as they are."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import asyncpg

from app.realtime import subscribing
from app.store import sync
from tests.realtime.town import joined, town
from tests.support.sdk import Entity, Sdk

NUMBERS = count(1)


async def test_everything_that_was_missed_comes_on_the_way_back(dsn: str) -> None:
    async with town(dsn) as place:
        sid = await place.conversation("alice", "bob")
        first = await place.say(sid, "0", "bob")
        gone = await place.say(sid, "1", "bob")
        async with place.client("alice") as alice:
            document, messages, roster = await joined(alice, sid)
            mine = await alice.open("Maps", "alice.my_conversations")
            await alice.items(messages)
            await alice.items(mine)
            await alice.subscribe(mine)
            held = [document, messages, roster, mine]
        path = f"/Conversations/{sid}"
        await place.rest("POST", f"{path}/Messages/{first['sid']}", {"Body": "zero"})
        await place.rest("DELETE", f"{path}/Messages/{gone['sid']}")
        await place.say(sid, "2", "bob")
        await place.rest("POST", path, {"FriendlyName": "renamed"})
        await place.rest("DELETE", f"{path}/Participants/bob")
        await place.rest("POST", f"{path}/Participants", {"Identity": "carol"})
        other = await place.conversation("alice")
        async with place.client("alice") as alice:
            await back(alice, *held)
            assert document.data["friendlyName"] == "renamed"
            assert document.data["lastMessage"]["index"] == 2
            assert messages.raised == [("updated", 0), ("removed", 1), ("added", 2)]
            assert messages.items[0][1]["text"] == "zero"
            people = sorted(one["identity"] for _, one in roster.items.values())
            assert people == ["alice", "carol"]
            assert [what for what, _ in roster.raised] == ["removed", "added"]
            assert ("added", other) in mine.raised
            ids = [event["id"] for event in alice.events("list_item_added")]
            assert ids == sorted(ids)
            # And it goes on from there.
            await place.say(sid, "3", "carol")
            await alice.until(lambda: ("added", 3) in messages.raised)


async def test_more_than_one_reading_is_replayed_whole(dsn: str, sql: asyncpg.Connection) -> None:
    async with town(dsn, limits={"actions_per_s": 0}) as place:
        sid = await place.conversation("alice")
        async with place.client("alice") as alice:
            held = await joined(alice, sid)
        count = sync.ROWS_MAX * 2 + 50
        await flood(sql, sid, count)
        async with place.client("alice") as alice:
            _, messages, _ = held
            await back(alice, *held)
            assert messages.raised == [("added", index) for index in range(count)]


async def test_a_lost_word_is_found_by_looking(dsn: str, sql: asyncpg.Connection) -> None:
    async with town(dsn) as place, place.client("alice") as alice:
        sid = await place.conversation("alice")
        _, messages, _ = await joined(alice, sid)
        await flood(sql, sid, 3)  # nobody says so
        await alice.until(lambda: len(messages.items) == 3)


async def test_who_left_and_came_back_hears_again(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice") as alice:
        sid = await place.conversation("alice", "bob")
        mine = await alice.open("Maps", "alice.my_conversations")
        await alice.items(mine)
        await alice.subscribe(mine)
        _, messages, _ = await joined(alice, sid)
        await place.rest("DELETE", f"/Conversations/{sid}/Participants/alice")
        await alice.until(lambda: ("removed", sid) in mine.raised)
        await place.say(sid, "not for alice", "bob")
        await place.rest("POST", f"/Conversations/{sid}/Participants", {"Identity": "alice"})
        await alice.until(lambda: ("added", sid) in mine.raised)
        assert messages.items == {}
        _, messages, _ = await joined(alice, sid)
        await place.say(sid, "for alice", "bob")
        await alice.until(lambda: ("added", 1) in messages.raised)


async def test_what_happens_during_the_replay_is_neither_lost_nor_doubled(dsn: str) -> None:
    async with town(dsn, limits={"actions_per_s": 0}) as place:
        sid = await place.conversation("alice", "bob")
        async with place.client("alice") as alice:
            document, messages, roster = await joined(alice, sid)
        for number in range(20):
            await place.say(sid, str(number), "bob")
        async with place.client("alice") as alice:
            await alice.init(place.token("alice"))
            adopt(alice, document, messages, roster)

            async with asyncio.TaskGroup() as group:
                group.create_task(alice.subscribe(document, messages, roster))
                for number in range(20, 40):
                    group.create_task(place.say(sid, str(number), "bob"))
            await alice.until(lambda: len(messages.items) == 40)
            assert [key for _, key in messages.raised] == list(range(40))


async def test_a_delivery_moves_its_message(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice") as alice:
        sid = await place.conversation("alice")
        form = {
            "MessagingBinding.Address": "+15551230001",
            "MessagingBinding.ProxyAddress": "+15005550006",
        }
        await place.rest("POST", f"/Conversations/{sid}/Participants", form)
        _, messages, roster = await joined(alice, sid)
        kinds = sorted(one["type"] for _, one in roster.items.values())
        assert kinds == ["chat", "sms"]
        sent = await alice.aim("POST", f"Conversations/{sid}/Messages", {"body": "hello"})
        await alice.until(
            lambda: messages.items and (messages.items[0][1]["delivery"] or {}).get("sent") == "all"
        )
        receipts = await alice.aim("GET", f"Conversations/{sid}/Messages/{sent['sid']}/Receipts")
        assert len(receipts["delivery_receipts"]) == 1 and receipts["meta"]["next_token"] is None
        named = {"MessageSid": sent["sid"]}
        status, page, _ = await alice.request(
            "GET", f"/Client/v2/Conversations/{sid}/MessageRecipients", params=named
        )
        assert (status, page["message_recipients"][0]["address"]) == (200, "+15551230001")


async def back(client: Sdk, *entities: Entity) -> None:
    """A client that comes back has what it had, and subscribes to all of it."""
    adopt(client, *entities)
    await client.subscribe(*entities)


def adopt(client: Sdk, *entities: Entity) -> None:
    for one in entities:
        one.raised.clear()
        one.established = False
        client.entities[one.sid] = one


async def flood(sql: asyncpg.Connection, sid: str, count: int) -> None:
    """Many messages at once, without a word to anybody."""
    async with sql.transaction():
        row: Any = await sql.fetchrow(
            "SELECT * FROM conversations WHERE sid = $1 FOR NO KEY UPDATE", sid
        )
        await sql.execute(
            """
            INSERT INTO messages (sid, account_sid, chat_service_sid, conversation_sid, index,
              author, body, source, revision, date_created, date_updated)
            SELECT 'IM' || md5(($1::text || n)), $2, $3, $1, $4 + n - 1, 'bob', n::text, 'API',
              $5 + n, now(), now() FROM generate_series(1, $6::int) AS n
            """,
            sid,
            row["account_sid"],
            row["chat_service_sid"],
            row["message_count"],
            row["revision"],
            count,
        )
        await sql.execute(
            "UPDATE conversations SET revision = revision + $2, message_count = message_count + $2"
            " WHERE sid = $1",
            sid,
            count,
        )


async def test_who_asks_again_is_answered_under_the_last_number(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice") as alice:
        sid = await place.conversation("alice", "bob")
        messages = await alice.open("Lists", f"{sid}.messages")
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(again(alice, messages))
        last = max(body["correlation_id"] for _, body in alice.pushed if "correlation_id" in body)
        assert [body["event_type"] for body in alice.confirmed(last)] == [
            "subscription_established"
        ]
        await place.say(sid, "once", "bob")
        await alice.until(lambda: ("added", 0) in messages.raised)
        assert len(alice.events("list_item_added")) == 1
        await alice.subscribe(messages, action="cancel")
        kinds = [body.get("event_type") for _, body in alice.pushed]
        assert kinds[-1] == "subscription_canceled"
        await place.say(sid, "unheard", "bob")
        document = await alice.open("Documents", f"{sid}.channel")
        await alice.subscribe(document)
        await place.rest("POST", f"/Conversations/{sid}", {"FriendlyName": "heard"})
        await alice.until(lambda: document.data["friendlyName"] == "heard")
        assert len(alice.events("list_item_added")) == 1


async def again(client: Sdk, entity: Entity) -> None:
    """Ask for a subscription, and wait for none."""
    body = {
        "action": "establish",
        "correlation_id": next(NUMBERS),
        "requests": [
            {"object_sid": entity.sid, "object_type": "list", "last_event_id": entity.last}
        ],
    }
    await client.request("POST", "/v4/Subscriptions", body)
    await client.until(lambda: client.confirmed(body["correlation_id"]) or client.pushed)


async def test_who_was_away_for_too_long_is_told_of_all_that_there_is(
    dsn: str, sql: asyncpg.Connection
) -> None:
    async with town(dsn) as place:
        sids = [await place.conversation("alice") for _ in range(3)]
        await sql.execute("DELETE FROM changes")  # as after `changes_days`
        async with place.client("alice") as alice:
            mine = await alice.open("Maps", "alice.my_conversations")
            await alice.items(mine)
            mine.last = 1
            mine.items = {sid: (1, {}) for sid in sids[:2]}  # what it had, long ago
            await alice.subscribe(mine)
            assert sorted(mine.items) == sorted(sids)
            assert {one["status"] for _, one in mine.items.values()} == {"joined"}


async def test_of_very_many_messages_the_latest_are_told(dsn: str, sql: asyncpg.Connection) -> None:
    async with town(dsn) as place:
        sid = await place.conversation("alice")
        async with place.client("alice") as alice:
            held = await joined(alice, sid)
        count = subscribing.MISSED_MAX + sync.ROWS_MAX + 50
        await flood(sql, sid, count)
        async with place.client("alice") as alice:
            await back(alice, *held)
            told = [key for _, key in held[1].raised]
            assert told == list(range(count - subscribing.MISSED_MAX, count))
            await place.say(sid, "on it goes", "alice")
            await alice.until(lambda: ("added", count) in held[1].raised)
