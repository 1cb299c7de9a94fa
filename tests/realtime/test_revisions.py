"""Every change of a conversation, or below it, is told under a revision of its own transaction."""

from __future__ import annotations

import asyncio

import asyncpg

from tests.realtime.town import SMS, town

AHEAD = """
SELECT h.conversation_sid, h.thing_sid, h.kind, h.revision, c.revision AS at
FROM changes h JOIN conversations c ON c.sid = h.conversation_sid
WHERE h.revision > c.revision OR h.revision < 1
UNION ALL
SELECT m.conversation_sid, m.sid, 'message', m.revision, c.revision
FROM messages m JOIN conversations c ON c.sid = m.conversation_sid
WHERE m.revision > c.revision OR m.revision < 1
"""
SAME = """
SELECT conversation_sid, revision FROM messages GROUP BY 1, 2 HAVING count(*) > 1
"""
UNORDERED = """
SELECT m.sid FROM messages m JOIN messages n ON n.conversation_sid = m.conversation_sid
  AND n.index > m.index AND n.revision <= m.revision
"""


async def test_no_change_runs_ahead_of_its_conversation(dsn: str, sql: asyncpg.Connection) -> None:
    async with town(dsn) as place:
        sid = await place.conversation("alice", "bob")
        path = f"/Conversations/{sid}"
        await place.rest("POST", f"{path}/Participants/alice", {"Attributes": '{"a":1}'})
        await place.rest(
            "POST", f"/Users/alice/Conversations/{sid}", {"NotificationLevel": "muted"}
        )
        members = '{"identity": "carol"}', '{"identity": "dave"}'
        form = [("FriendlyName", "both"), *(("Participant", one) for one in members)]
        both = (await place.rest("POST", "/ConversationWithParticipants", form))["sid"]
        first = await place.say(both, "hi", "carol")
        await place.rest("POST", f"/Conversations/{both}/Messages/{first['sid']}", {"Body": "ho"})
        await place.rest("DELETE", f"/Conversations/{both}/Messages/{first['sid']}")
        phone = place.phone()
        await phone.text(SMS, "one")
        await phone.text(SMS, "two")
        [made] = (await place.rest("GET", "/Conversations?Address=%2B15551230001"))["conversations"]
        texted = f"/Conversations/{made['sid']}"
        await place.rest("POST", f"{texted}/Participants", {"Identity": "al"})
        await place.say(made["sid"], "answer", "al")
        await place.service.hub.follower.look()
        async with place.client("al") as client:
            messages = await client.open("Lists", f"{made['sid']}.messages")
            await client.items(messages)
            await client.subscribe(messages)
            await client.until(
                lambda: (messages.items[2][1]["delivery"] or {}).get("delivered") == "all"
            )
        await place.rest("DELETE", "/Users/dave")
        await place.rest("DELETE", f"{path}/Participants/bob")
        await place.rest("POST", path, {"State": "closed"})
        await place.rest("DELETE", f"/Conversations/{both}")
        assert await sql.fetch(AHEAD) == []
        assert await sql.fetch(SAME) == []
        assert await sql.fetch(UNORDERED) == []
        gone = await sql.fetch("SELECT identity, kind FROM changes WHERE revision = 0")
        assert [tuple(row) for row in gone] == [("carol", "removed")]


async def test_messages_of_one_convoy_have_revisions_of_their_own(
    dsn: str, sql: asyncpg.Connection
) -> None:

    async with town(dsn, limits={"actions_per_s": 0}) as place:
        sid = await place.conversation("alice")
        await asyncio.gather(*(place.say(sid, str(number)) for number in range(40)))
        rows = await sql.fetch(
            "SELECT index, revision FROM messages WHERE conversation_sid = $1 ORDER BY index", sid
        )
        assert [row["index"] for row in rows] == list(range(40))
        first = rows[0]["revision"]
        assert [row["revision"] for row in rows] == list(range(first, first + 40))
