"""Plain convoys are read without a lock and written in one statement, if all is still as it was."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from app import ids
from app.errors import Unavailable
from app.model.outbox import endpoint
from app.model.traffic import Inbound, MediaPart
from app.road import light
from app.road.convoy import Load
from app.road.items import Arrival, Draft, Taken
from app.road.walk import HEAVY_MOST_S, HEAVY_S, Walker, publish, walk, walk_lightly
from app.settings.models import Settings
from app.store.road_light import LOOK, Changed, statement
from tests.support.clock import TurnedClock
from tests.support.database import connected
from tests.support.settings import ACCOUNT, SMS, WHATSAPP, settings

from .conftest import Open, Roadside
from .test_claims import BOB, BY_RULE, MARIA, TOM, count, draft, end, text, under_way, walking
from .test_created import pin

SLEEPER = "+15551237777"
COLLEAGUE = {"channel": "sms", "address": "+15551230007", "proxy_address": SMS}
HOOK: dict[str, Any] = {"post_url": "https://app.example.com/hooks", "filters": ["onMessageAdded"]}
EVERYTHING = (
    "onConversationAdded",
    "onParticipantAdded",
    "onMessageAdded",
    "onConversationStateUpdated",
)
TOLD = settings(webhooks=HOOK | {"filters": [*EVERYTHING]})
TABLES = (
    "inbox",
    "bindings",
    "conversations",
    "participants",
    "messages",
    "media",
    "receipts",
    "decisions",
    "lanes",
    "outbox",
    "messaging_windows",
    "opt_outs",
    "changes",
)
TIMERS = "UPDATE accounts SET default_inactive_timer_s = 600, default_closed_timer_s = 86400"
SLEEPS = """
UPDATE conversations SET state = 'inactive', state_at = now(), next_timer_at = NULL,
  inactive_timer_s = 600, closed_timer_s = 86400 WHERE sid = $1
"""
DRAWN = {"token", "seq", "stamp"}
SID = re.compile(r"\b([A-Z]{2})[0-9a-f]{32}\b")


def loaded(roadside: Roadside, *items: Arrival | Draft) -> Load:
    """A convoy that is about to leave."""
    return Load.of(items, roadside.runtime.settings, roadside.runtime.clock.now())


@asynccontextmanager
async def undone(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as walkers have them; what is written on it does not stay."""
    async with connected(dsn) as sql:
        transaction = sql.transaction()
        await transaction.start()
        await pin(sql)
        yield sql
        await transaction.rollback()


async def written(sql: asyncpg.Connection) -> dict[str, list[str]]:
    """All that the road writes, but for what is drawn anew each time."""
    return {table: await _rows(sql, table) for table in TABLES}


async def _rows(sql: asyncpg.Connection, table: str) -> list[str]:
    found = [dict(row) for row in await sql.fetch(f"SELECT * FROM {table}")]
    kept = [{name: row[name] for name in row.keys() - DRAWN} for row in found]
    return sorted(SID.sub(r"\1", repr(sorted(row.items()))) for row in kept)


def mixed() -> tuple[Arrival, ...]:
    """Of everything that may walk lightly: bound and new pairs, twice the same, a session, somebody
    who opts out, a picture, one to a number that is nobody's, and one that wakes."""
    picture = Inbound(
        "lab", "SM7", "mms", BOB, SMS, media=(MediaPart("http://x.test/1", "image/png"),)
    )
    return (
        text("SM1"),
        text("SM2", BOB),
        text("SM3", TOM, WHATSAPP),
        text("SM2", BOB),
        text("SM4", "+15551239999"),
        text("SM5", MARIA, "+15005550099"),
        Arrival(ACCOUNT, Inbound("lab", "SM6", "sms", MARIA, SMS, body="STOP")),
        Arrival(ACCOUNT, picture),
        text("SM8", SLEEPER),
    )


@pytest.mark.parametrize("given", [settings(), TOLD], ids=["nobody is told", "all is told"])
async def test_it_writes_what_a_walk_with_locks_writes(
    open_road: Open, dsn: str, given: Settings
) -> None:
    async with open_road(given) as roadside:
        marias = await roadside.arrive("SM0")
        await roadside.join(marias.conversation_sid or "", **COLLEAGUE)
        await roadside.sql.execute(TIMERS)
        await roadside.sql.execute(SLEEPS, (await roadside.arrive("SM9", SLEEPER)).conversation_sid)
        told = []
        for way in (walk, walk_lightly):
            load = loaded(roadside, *mixed())
            async with undone(dsn) as sql:
                await way(sql, load)
                results = [carriage.result() for carriage in load.carriages]
                told.append((await written(sql), [SID.sub(r"\1", repr(one)) for one in results]))
        assert told[0] == told[1]
        outcomes = [one.outcome for one in results if isinstance(one, Taken)]
        assert outcomes == [
            "joined",
            "created",
            "created",
            "duplicate",
            "created",
            "dropped",
            "joined",
            "joined",
            "joined",
        ]


async def test_webhooks_are_written_with_the_place_that_they_lead_to(open_road: Open) -> None:
    async with open_road(TOLD) as roadside:
        await roadside.arrive("SM0")
        lanes = await roadside.sql.fetch("SELECT endpoint FROM lanes WHERE kind = 'hook'")
        assert {row["endpoint"] for row in lanes} == {endpoint(ACCOUNT, HOOK["post_url"])}


async def test_it_asks_twice(open_road: Open, dsn: str) -> None:
    async with open_road(TOLD) as roadside:
        await roadside.arrive("SM0")
        asked: list[str] = []
        async with connected(dsn) as sql:
            with sql.query_logger(lambda query: asked.append(query.query)):
                await walk_lightly(sql, loaded(roadside, *mixed()))
        assert asked == [LOOK, statement(seldom=True, begins=True)]
        assert await count(roadside, "messages") == 8


ASKED = settings(webhooks={"pre_url": "https://app.example.com/pre", "filters": ["onMessageAdd"]})
ENRICHED = settings(webhooks=HOOK | {"payload": "enriched"})
RULED = settings(addresses=BY_RULE)
STREAMED = "UPDATE accounts SET streamed = '{onMessageAdded}'"


@pytest.mark.parametrize(
    ("given", "before", "item"),
    [
        (ASKED, None, text("SM1", BOB)),
        (ENRICHED, None, text("SM1")),
        (ENRICHED, None, text("SM1", BOB)),
        (RULED, None, text("SM1", BOB)),
        (settings(), STREAMED, text("SM1")),
        (settings(), STREAMED, text("SM1", BOB)),
        (settings(), None, text("SM0")),
        (settings(), "UPDATE conversations SET grouped = true", text("SM1")),
    ],
    ids=[
        "somebody is asked first",
        "told in more words",
        "told in more words of a new one",
        "a rule attaches a webhook",
        "there is a stream",
        "there is a stream for a new one",
        "it came before",
        "a group text",
    ],
)
async def test_what_is_not_plain_is_not_touched(
    open_road: Open, dsn: str, given: Settings, before: str | None, item: Arrival
) -> None:
    async with open_road(given) as roadside:
        await roadside.arrive("SM0")
        if before is not None:
            await roadside.sql.execute(before)
        there = await written(roadside.sql)
        async with connected(dsn) as sql:
            with pytest.raises((light.Heavy, Changed)):
                assert light.plain([item])
                await walk_lightly(sql, loaded(roadside, item))
        assert await written(roadside.sql) == there


async def test_posts_answered_inbounds_and_groups_do_not_try(open_road: Open) -> None:
    async with open_road() as roadside:
        marias = await roadside.arrive("SM0")
        posted = draft(roadside, marias.conversation_sid)
        assert light.plain([text("SM1"), text("SM2", BOB)])
        assert not light.plain([text("SM1"), posted])
        assert not light.plain([text("SM1", MARIA, SMS, BOB)])


Change = Callable[[Roadside, str], Awaitable[object]]


async def _arrives(roadside: Roadside, _: str) -> object:
    return await roadside.arrive("SM1")


async def _is_posted(roadside: Roadside, conversation_sid: str) -> object:
    return await roadside.post(conversation_sid)


async def _is_taken(roadside: Roadside, _: str) -> object:
    return await roadside.arrive("SM-other", BOB)


@pytest.mark.parametrize("change", [_arrives, _is_posted, _is_taken])
async def test_when_something_changed_nothing_is_written(
    open_road: Open, dsn: str, change: Change
) -> None:
    """Of nobody in the convoy, also of those for whom all is as it was."""
    async with open_road() as roadside:
        marias = await roadside.arrive("SM0")
        await roadside.arrive("SM-tom", TOM, WHATSAPP)
        load = loaded(roadside, text("SM1"), text("SM2", BOB), text("SM3", TOM, WHATSAPP))
        async with connected(dsn) as sql:
            await pin_session(sql)
            await light.look(sql, load)
            publish(load)
            await change(roadside, marias.conversation_sid or "")
            there = await written(roadside.sql)
            with pytest.raises(Changed):
                await light.write(sql, load)
            assert await written(roadside.sql) == there
            await light.look(sql, again := loaded(roadside, text("SM4"), text("SM5", BOB)))
            publish(again)
            await light.write(sql, again)
        assert await roadside.indices(marias.conversation_sid or "") == list(
            range(2 + (change is not _is_taken))
        )


async def pin_session(sql: asyncpg.Connection) -> None:
    """Plans as the walkers have them, outside of a transaction."""
    await sql.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")


async def test_conversations_are_taken_in_the_order_of_their_sids(
    open_road: Open, dsn: str
) -> None:
    """Whatever the order in which their messages came: so two convoys never wait for each other."""
    async with open_road() as roadside:
        first = (await roadside.arrive("SM0")).conversation_sid
        second = (await roadside.arrive("SM1", BOB)).conversation_sid
        assert first is not None and second is not None and first < second
        items = text("SM3", BOB), text("SM2")
        for waited_for, taken in (second, True), (first, False):
            items = text(f"SM-bob {waited_for}", BOB), text(f"SM-maria {waited_for}")
            other_one = first if waited_for == second else second
            async with (
                under_way(roadside, draft(roadside, waited_for)) as other,
                walking(roadside, *items) as results,
            ):
                assert await is_locked(dsn, other_one) is taken
                await end(other)
                assert [one.outcome for one in await results] == ["joined", "joined"]
        assert await roadside.indices(first) == await roadside.indices(second) == [0, 1, 2, 3]


async def is_locked(dsn: str, conversation_sid: str | None) -> bool:
    """Whether somebody holds this conversation."""
    async with undone(dsn) as eyes:
        try:
            await eyes.execute(
                "SELECT FROM conversations WHERE sid = $1 FOR UPDATE NOWAIT", conversation_sid
            )
        except asyncpg.LockNotAvailableError:
            return True
    return False


async def test_who_waits_for_the_ledger_holds_nothing(open_road: Open, dsn: str) -> None:
    async with open_road() as roadside:
        marias = await roadside.arrive("SM0")
        async with under_way(roadside, text("SM1", TOM, WHATSAPP)) as other:
            items = text("SM2"), text("SM1", TOM, WHATSAPP), text("SM3", BOB)
            async with walking(roadside, *items) as results:
                assert not await is_locked(dsn, marias.conversation_sid)
                async with undone(dsn) as eyes:
                    await eyes.execute("SET LOCAL lock_timeout = '2s'")
                    await eyes.execute(CLAIM, ACCOUNT, SMS, BOB)
                assert not results.done()
                await end(other)
                said = await results
        assert [one.outcome for one in said] == ["joined", "duplicate", "created"]


async def test_a_lock_under_which_nothing_changes_is_waited_for(open_road: Open, dsn: str) -> None:
    """So is a claim that somebody takes back: nobody has to walk again."""
    async with open_road() as roadside:
        marias = await roadside.arrive("SM0")
        for item, held in (
            (text("SM1"), "SELECT FROM conversations WHERE sid = $1 FOR UPDATE"),
            (text("SM2", BOB), CLAIM),
        ):
            given = (marias.conversation_sid,) if "FOR UPDATE" in held else (ACCOUNT, SMS, BOB)
            async with connected(dsn) as other:
                transaction = other.transaction()
                await transaction.start()
                await other.execute(held, *given)
                asked: list[str] = []
                async with walking(roadside, item, asked=asked) as results:
                    await transaction.rollback()
                    [taken] = await results
            assert taken.outcome in ("joined", "created")
            assert len([one for one in asked if "inbox" in one]) == 1, "the light walk did it"


CLAIM = (
    "INSERT INTO bindings (participant_sid, conversation_sid, account_sid, proxy_address, address)"
    " VALUES ('MBx', 'CHx', $1, $2, $3)"
)


async def test_who_is_cut_off_in_the_middle_is_stored_once_when_it_comes_again(
    open_road: Open, dsn: str
) -> None:
    async with open_road() as roadside:
        marias = await roadside.arrive("SM0")
        items = text("SM1"), text("SM2", BOB)
        async with under_way(roadside, draft(roadside, marias.conversation_sid)) as other:
            async with walking(roadside, *items) as results:
                cut = await roadside.sql.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE wait_event_type = 'Lock'"
                )
                assert cut == 1
                with pytest.raises(Unavailable):
                    await results
            await end(other)
        walker = Walker(roadside.runtime)
        said = [one.outcome for one in await walker(items) if isinstance(one, Taken)]
        again = [one.outcome for one in await walker(items) if isinstance(one, Taken)]
        await walker.close()
        assert said == ["joined", "created"] and again == ["duplicate", "duplicate"]
        assert await roadside.indices(marias.conversation_sid or "") == [0, 1, 2]


async def test_when_a_service_goes_meanwhile_the_default_one_takes_its_place(
    open_road: Open, dsn: str
) -> None:
    async with open_road(settings(addresses=[{"address": SMS}])) as roadside:
        default = roadside.runtime.settings.service_sid("default")
        other = ids.new(ids.SERVICE)
        await roadside.sql.execute(
            "INSERT INTO services SELECT (jsonb_populate_record(s, jsonb_build_object('sid',"
            " $1::text))).* FROM services s WHERE sid = $2",
            other,
            default,
        )
        await roadside.sql.execute("UPDATE address_configurations SET auto_service_sid = $1", other)
        load = loaded(roadside, text("SM1"))
        async with connected(dsn) as sql:
            await light.look(sql, load)
            assert [one.chat_service_sid for one in load.conversations.values()] == [other]
            publish(load)
            await roadside.sql.execute("DELETE FROM services WHERE sid = $1", other)
            with pytest.raises(Changed):
                await light.write(sql, load)
        await roadside.arrive("SM1")
        found = await roadside.sql.fetchval("SELECT chat_service_sid FROM conversations")
        assert found == default


async def test_a_new_conversation_has_every_column(open_road: Open, dsn: str) -> None:
    async with open_road(TOLD) as roadside:
        await roadside.sql.execute(TIMERS)
        load = loaded(roadside, text("SM1"), text("SM2"))
        async with connected(dsn) as sql:
            await walk_lightly(sql, load)
        [made] = load.conversations.values()
        row = await roadside.sql.fetchrow("SELECT * FROM conversations")
        assert row is not None and vars(made) == dict(row)


async def test_who_comes_later_is_a_change_of_it(open_road: Open, clock: TurnedClock) -> None:
    """Who begins a conversation is none: nobody can have seen it without them."""
    changed = "SELECT thing_sid FROM changes WHERE thing_sid LIKE 'MB%'"
    async with open_road() as roadside:
        marias = await roadside.arrive("SM0")
        assert await roadside.sql.fetch(changed) == []
        clock.turn(1)
        colleague = await roadside.join(marias.conversation_sid or "", **COLLEAGUE)
        assert [row[0] for row in await roadside.sql.fetch(changed)] == [colleague]


async def test_the_more_often_it_fails_the_longer_it_is_not_tried(
    open_road: Open, clock: TurnedClock
) -> None:
    tries: list[str] = []
    async with open_road(ENRICHED) as roadside:
        walker = Walker(roadside.runtime)
        connection = await walker._held.live()
        connection.add_query_logger(
            lambda query: tries.append(query.query) if query.query == LOOK else None
        )
        for n, turn in enumerate((0, 0, HEAVY_S, HEAVY_S, HEAVY_S, *[HEAVY_MOST_S] * 20)):
            clock.turn(turn)
            [taken] = await walker([text(f"SM{n}")])
            assert isinstance(taken, Taken)
        assert len(tries) == 3 + 20
        await roadside.sql.execute("UPDATE webhook_configurations SET payload = 'twilio'")
        clock.turn(HEAVY_MOST_S)
        for n in range(100, 110):
            await walker([text(f"SM{n}")])
        assert len(tries) == 3 + 20 + 10
        await roadside.sql.execute("UPDATE webhook_configurations SET payload = 'enriched'")
        for n in range(200, 205):
            await walker([text(f"SM{n}")])
        clock.turn(HEAVY_S)
        await walker([text("SM-last")])
        assert len(tries) == 3 + 20 + 10 + 2
        await walker.close()


async def test_both_questions_are_answered_from_indexes(open_road: Open, dsn: str) -> None:
    seldom = text("SM8", "whatsapp:+15551239998", WHATSAPP)
    async with open_road(TOLD) as roadside:
        marias = await roadside.arrive("SM0")
        await roadside.join(marias.conversation_sid or "", **COLLEAGUE)
        asked: dict[str, tuple[Any, ...]] = {}
        for convoy in ([text("SM1")], [text("SM2", BOB)], [seldom], mixed()):
            async with undone(dsn) as walks:
                with walks.query_logger(lambda query: asked.update({query.query: query.args})):
                    await walk_lightly(walks, loaded(roadside, *convoy))
        assert len(asked) == 1 + 3
        for query, given in asked.items():
            assert len(query) < 15 * 1024, "the driver prepares nothing longer"
            async with undone(dsn) as eyes:
                lines = [row[0] for row in await eyes.fetch(f"EXPLAIN {query}", *given)]
            plan = "\n".join(lines)
            assert not re.search(r"Seq Scan|Hash Join|Merge Join", plan), plan
