"""Several processes on one database: what happens in one is heard in all."""

from __future__ import annotations

import asyncpg

from app.clock import Clock
from app.observe import Failed
from app.realtime.follow import POLL_S
from tests.realtime.town import SMS, Town, joined, town

ENDLESS_S = 1e9
TYPING = "twilio.ipmsg.typing_indicator"


class Unpolled(Clock):
    """Real time, in which nobody comes to look at what he was not told of."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(ENDLESS_S if seconds == POLL_S else seconds)


async def test_what_one_process_commits_the_clients_of_the_other_hear(dsn: str) -> None:
    async with (
        town(dsn) as one,
        town(dsn, Unpolled()) as other,
        other.client("alice") as alice,
    ):
        mine = await alice.open("Maps", "alice.my_conversations")
        await alice.subscribe(mine)
        sid = await one.conversation("alice", "bob")
        await alice.until(lambda: ("added", sid) in mine.raised)
        document, messages, roster = await joined(alice, sid)
        await one.say(sid, "from the other side", "bob")
        await alice.until(lambda: ("added", 0) in messages.raised)
        await one.rest("POST", f"/Conversations/{sid}", {"FriendlyName": "named"})
        await alice.until(lambda: document.data["friendlyName"] == "named")
        await one.rest("POST", f"/Conversations/{sid}/Participants", {"Identity": "carol"})
        await alice.until(lambda: len(roster.items) == 3)
        async with one.client("bob") as bob:
            await bob.request(
                "POST",
                "/Client/v2/Typing",
                f"ChannelSid={sid}".encode(),
                kind="application/x-www-form-urlencoded",
            )
            await alice.until(lambda: [1 for kind, _ in alice.pushed if kind == TYPING])
        assert clean(one) and clean(other)


async def test_an_inbound_reaches_an_agent_on_another_process(dsn: str) -> None:
    async with (
        town(dsn) as one,
        town(dsn, Unpolled()) as other,
        other.client("agent") as agent,
    ):
        sid = await one.conversation("agent")
        form = {
            "MessagingBinding.Address": "+15551230001",
            "MessagingBinding.ProxyAddress": SMS,
        }
        await one.rest("POST", f"/Conversations/{sid}/Participants", form)
        _, messages, _ = await joined(agent, sid)
        phone = one.phone()
        await phone.text(SMS, "hello")
        await agent.until(lambda: ("added", 0) in messages.raised)
        assert messages.items[0][1]["author"] == "+15551230001"


async def test_a_reader_that_lost_its_connection_finds_what_it_missed(
    dsn: str, sql: asyncpg.Connection
) -> None:
    async with town(dsn) as one, town(dsn) as other, other.client("alice") as alice:
        sid = await one.conversation("alice", "bob")
        _, messages, _ = await joined(alice, sid)
        await sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND query LIKE 'LISTEN%'"
        )
        for number in range(5):
            await one.say(sid, str(number), "bob")
        await alice.until(lambda: len(messages.items) == 5)
        assert [key for _, key in messages.raised] == list(range(5))


async def test_clients_move_to_another_process_when_theirs_drains(dsn: str) -> None:
    async with town(dsn) as other:
        async with town(dsn) as one:
            sid = await one.conversation("alice", "bob")
            client = one.client("alice")
            alice = await client.__aenter__()
            held = await joined(alice, sid)
            await one.say(sid, "0", "bob")
            await alice.until(lambda: len(held[1].items) == 1)
        await alice.until(alice.closed.is_set)
        await client.__aexit__(None, None, None)
        for number in range(1, 4):
            await other.say(sid, str(number), "bob")
        async with other.client("alice") as alice:
            for entity in held:
                entity.established = False
                alice.entities[entity.sid] = entity
            await alice.subscribe(*held)
            assert [key for _, key in held[1].raised] == [0, 1, 2, 3]


def clean(place: Town) -> bool:
    """Nothing broke."""
    return [one for one in place.observed if isinstance(one, Failed)] == []
