"""`parley trace`: the timeline of a message or conversation, by any of its names."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from app import ids
from app.model.traffic import Inbound
from app.ops.trace import ENTRIES_MAX, Trace, as_json, text, trace
from app.road.items import Arrival, Draft, Posted, Taken
from app.road.walk import Walker
from app.store import outbox, settling
from app.store.settling import Settled
from tests.ops.conftest import SERVICE, House
from tests.support.clock import TurnedClock
from tests.support.settings import ACCOUNT, SMS

THEM, OTHER = "+15551230001", "+15551230002"
HEX = "0123456789abcdef" * 2
INBOUND_ID = "SM" + "1" * 32


class Told:
    """A conversation with a little history."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.walker = Walker(house.runtime)

    async def arrive(self, external_id: str, **parts: Any) -> Taken:
        inbound = Inbound("lab", external_id, "sms", THEM, SMS, "a private word")
        inbound = replace(inbound, **parts)
        (taken,) = await self.walker([Arrival(ACCOUNT, inbound)])
        assert isinstance(taken, Taken), taken
        return taken

    async def post(self, conversation_sid: str) -> Posted:
        draft = Draft(ACCOUNT, SERVICE, conversation_sid, "agent", "an answer", tell=True)
        (posted,) = await self.walker([draft])
        assert isinstance(posted, Posted), posted
        return posted

    async def attempt(self, kind: str, outcome: str, **settled: Any) -> None:
        """Claim the head of a lane and settle it."""
        async with self.house.runtime.db.begin() as tx:
            claimed = await outbox.claim(
                tx.sql, kind, limit=10, lease="l", now=tx.now, lease_s=60, rates={}
            )
            ended = [Settled(item, outcome, **settled) for item in claimed]
            await settling.settle(tx.sql, ended, tx.now)


@pytest.fixture
async def told(house: House) -> Any:
    made = Told(house)
    yield made
    await made.walker.close()


def whats(found: Trace) -> list[str]:
    return [entry.what for entry in found.entries]


async def look(told: Told, name: str | None) -> Trace:
    found = await trace(told.house.sql, name or "")
    assert found is not None
    return found


async def test_a_message_is_told_from_its_arrival_on(told: Told, clock: TurnedClock) -> None:
    taken = await told.arrive(INBOUND_ID)
    clock.turn(1)
    await told.attempt("hook", "refused", due=clock.now() + timedelta(seconds=60), status_code=500)
    found = await look(told, taken.message_sid)
    assert whats(found) == [
        "received",
        *["rule"] * 4,
        "decided",
        "conversation",
        "message",
        "hook",
        "waiting",
    ]
    received, hook = found.entries[0].details, found.entries[-2].details
    assert (received["carrier"], received["signature"]) == ("lab", "valid")
    assert received["address"] == "***0001"
    assert (hook["number"], hook["outcome"], hook["status_code"]) == (1, "refused", 500)
    assert hook["target"] == "https://crm.example.com/hooks"
    waiting = found.entries[-1]
    assert (waiting.details["state"], waiting.at) == ("due", clock.now() + timedelta(seconds=60))


async def test_a_fan_out_is_told_with_its_attempts_and_statuses(
    told: Told, clock: TurnedClock
) -> None:
    taken = await told.arrive(INBOUND_ID)
    assert taken.conversation_sid is not None
    await told.house.pair(taken.conversation_sid, OTHER)
    clock.turn(1)
    posted = await told.post(taken.conversation_sid)
    found = await look(told, posted.message.sid)
    assert whats(found).count("fan-out") == 2
    waiting = [one.details for one in found.entries if one.what == "waiting"]
    assert sorted(one["kind"] for one in waiting) == ["delivery", "delivery", "hook"]
    clock.turn(1)
    await told.attempt("delivery", "accepted", external_id="SM" + HEX)
    receipt = await told.house.sql.fetchrow("SELECT * FROM receipts ORDER BY sid LIMIT 1")
    assert receipt is not None
    await told.house.sql.execute(
        "UPDATE receipts SET status = 'delivered', external_id = $2, channel_message_sid = $3,"
        " date_updated = $4 WHERE sid = $1",
        receipt["sid"],
        "SM" + HEX,
        "MM" + HEX,
        clock.now(),
    )
    found = await look(told, posted.message.sid)
    attempts = [one.details for one in found.entries if one.what == "attempt"]
    assert [one["outcome"] for one in attempts] == ["accepted", "accepted"]
    (status,) = [one.details for one in found.entries if one.what == "status"]
    assert (status["status"], status["sid"]) == ("delivered", receipt["sid"])
    for name in (receipt["sid"], "SM" + HEX, "MM" + HEX, "MM" + HEX.upper()):
        assert (await look(told, name)).message_sid == posted.message.sid


async def test_a_conversation_is_told_whole(told: Told, clock: TurnedClock) -> None:
    taken = await told.arrive(INBOUND_ID)
    assert taken.conversation_sid is not None
    clock.turn(1)
    await told.arrive("SM" + "2" * 32)
    participant = await told.house.sql.fetchval("SELECT sid FROM participants")
    found = await look(told, taken.conversation_sid)
    assert whats(found) == [
        *("received", "decided", "conversation", "joined", "message", "waiting"),
        *("received", "decided", "message", "waiting"),
    ]
    assert (await look(told, participant)).conversation_sid == taken.conversation_sid
    shouted = await look(told, taken.conversation_sid.upper())
    assert shouted.entries == found.entries


async def test_a_carriers_id_finds_the_message(told: Told) -> None:
    taken = await told.arrive("wamid.HBgLMTU1NTEyMzAwMDEVAgASGBQ=")
    found = await look(told, " wamid.HBgLMTU1NTEyMzAwMDEVAgASGBQ= ")
    assert found.message_sid == taken.message_sid


async def test_a_message_that_was_dropped_is_told(told: Told) -> None:
    await told.arrive("dropped", proxy_address="+15005550099")
    found = await look(told, "dropped")
    assert whats(found) == ["received", "rule", "decided"]
    assert found.entries[-1].details["reason"] == "unknown sender"
    assert (found.message_sid, found.conversation_sid) == (None, None)


async def test_the_channels_sid_of_a_carrier_without_sids_finds_the_receipt(
    told: Told, clock: TurnedClock
) -> None:
    taken = await told.arrive(INBOUND_ID)
    assert taken.conversation_sid is not None
    posted = await told.post(taken.conversation_sid)
    sid = await told.house.sql.fetchval(
        "UPDATE receipts SET external_id = 'wamid.1', channel_message_sid = 'WA' || substr(sid, 3)"
        " RETURNING sid"
    )
    assert (await look(told, "WA" + sid[2:])).message_sid == posted.message.sid
    assert (await look(told, "wamid.1")).message_sid == posted.message.sid


async def test_an_early_status_is_told(told: Told) -> None:
    await told.house.sql.execute(
        "INSERT INTO early_statuses (carrier, external_id, status, received_at)"
        " VALUES ('lab', 'SM9', 'sent', $1)",
        told.house.now,
    )
    assert whats(await look(told, "SM9")) == ["early status"]


async def test_a_dead_letter_is_told(told: Told, clock: TurnedClock) -> None:
    taken = await told.arrive(INBOUND_ID)
    await told.attempt("hook", "unreachable", dead="given up after 12 attempts")
    found = await look(told, taken.message_sid)
    assert found.entries[-1].what == "dead letter"
    assert found.entries[-1].details["reason"] == "given up after 12 attempts"


async def test_what_is_forgotten_and_what_never_was(told: Told, sql: asyncpg.Connection) -> None:
    taken = await told.arrive(INBOUND_ID)
    assert taken.message_sid is not None
    for name in ("", "nothing", "CH" + "9" * 32, "IM" + "9" * 32, "DY" + "9" * 32, "SM" + HEX):
        assert await trace(sql, name) is None
    await sql.execute("DELETE FROM conversations")
    deleted = await look(told, taken.message_sid)  # the decision is kept
    assert "decided" in whats(deleted)
    assert "message" not in whats(deleted)


async def test_a_conversation_tells_of_removed_messages_that_somebody_was_told_of(
    told: Told, clock: TurnedClock, sql: asyncpg.Connection
) -> None:
    taken = await told.arrive(INBOUND_ID)
    assert taken.conversation_sid is not None
    clock.turn(1)
    await told.attempt("hook", "accepted", status_code=200)
    await sql.execute("DELETE FROM conversations")
    found = await look(told, taken.conversation_sid)
    assert whats(found) == ["received", "decided", "hook"]
    assert found.entries[1].details["message_sid"] == taken.message_sid
    assert await trace(sql, taken.conversation_sid, ACCOUNT) is not None
    assert await trace(sql, taken.conversation_sid, "AC" + "9" * 32) is None


async def test_only_the_last_entries_are_shown(told: Told, clock: TurnedClock) -> None:
    sid = await told.house.conversation()
    await told.house.sql.execute(
        "INSERT INTO messages (sid, account_sid, chat_service_sid, conversation_sid, index, author,"
        " source, date_created, date_updated) SELECT 'IM' || lpad(n::text, 32, '0'), $1, $2, $3, n,"
        " 'agent', 'API', $4::timestamptz + make_interval(secs => n), $4"
        " FROM generate_series(1, 300) n",
        ACCOUNT,
        SERVICE,
        sid,
        clock.now(),
    )
    found = await look(told, sid)
    assert (len(found.entries), found.more) == (ENTRIES_MAX, True)
    assert found.entries[-1].details["index"] == 300
    assert text(found).splitlines()[-1] == "Only the last 200 entries are shown."


async def test_the_timeline_shows_nobody(told: Told, clock: TurnedClock) -> None:
    taken = await told.arrive(INBOUND_ID)
    assert taken.conversation_sid is not None
    clock.turn(1)
    await told.post(taken.conversation_sid)
    await told.attempt("delivery", "permanent", detail=f"{OTHER} is not a number")
    for name in (taken.conversation_sid, taken.message_sid):
        found = await look(told, name)
        words = text(found) + str(as_json(found))
        for private in (THEM, OTHER, "a private word", "an answer", "secret"):
            assert private not in words
    lines = text(await look(told, taken.conversation_sid)).splitlines()[1:]
    assert len({line[:24] for line in lines if line[23] == "Z"}) == 2
    assert len({line.index("  ", 26) > 0 for line in lines}) == 1


class Watched:
    """Remembers what was asked."""

    def __init__(self, sql: asyncpg.Connection) -> None:
        self._sql = sql
        self.asked: dict[str, tuple[Any, ...]] = {}

    async def fetch(self, statement: str, *given: Any) -> Any:
        self.asked[statement] = given
        return await self._sql.fetch(statement, *given)

    async def fetchrow(self, statement: str, *given: Any) -> Any:
        self.asked[statement] = given
        return await self._sql.fetchrow(statement, *given)


async def test_every_question_is_answered_from_an_index(
    told: Told, sql: asyncpg.Connection
) -> None:
    taken = await told.arrive(INBOUND_ID)
    assert taken.conversation_sid is not None
    posted = await told.post(taken.conversation_sid)
    receipt = await sql.fetchval("SELECT sid FROM receipts")
    participant = await sql.fetchval("SELECT sid FROM participants")
    watched: Any = Watched(sql)
    names = (posted.message.sid, taken.conversation_sid, receipt, participant)
    for name in (*names, INBOUND_ID, "unknown", "MM" + HEX, ids.new(ids.MEDIA), ids.new("WH")):
        await trace(watched, name)
    assert len(watched.asked) > 15
    # A sequential scan now stands only where no index leads.
    await sql.execute("SET enable_seqscan = off")
    for statement, given in watched.asked.items():
        plan = await sql.fetch(f"EXPLAIN {statement}", *given)
        lines = [row[0] for row in plan]
        assert not [line for line in lines if "Seq Scan" in line], statement
