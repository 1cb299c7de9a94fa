"""What webhooks lost is read from the carrier's list: with a stand-in for Twilio, by a turned
clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast
from urllib.parse import parse_qsl

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from multidict import MultiDict

from app.carriers import discover
from app.carriers.contract import Request
from app.carriers.sandbox_records import Texted
from app.carriers.sandbox_wire import Media, Send
from app.convoy import Convoy
from app.delivery.attempt import attempt
from app.delivery.pauses import Pauses
from app.delivery.settle import Settler, Settling
from app.inbound.gaps import LEASE_S, PAGES_MAX, PATIENCE, Gaps
from app.model.gaps import TRIES_MAX
from app.model.parts import reference
from app.model.traffic import Status
from app.observe import Failed, GapsSought, Observation, Observe, Recovered, Said
from app.ops.trace import text, trace
from app.road.items import Arrival, Draft, Road, Taken
from app.road.walk import Walker, order_of
from app.runtime import Runtime
from app.store import deliveries, outbox
from app.store import gaps as store
from app.store.database import Database
from app.store.declared import declare
from tests.road.conftest import Roadside
from tests.support.clock import TurnedClock
from tests.support.settings import ACCOUNT, SMS, WHATSAPP, settings
from tests.support.twilio_stand_in import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    Trouble,
    TwilioDialect,
    TwilioStandIn,
    standing_in,
)

ANN, BOB = "+15551230001", "+15551230002"
EVERY_S, GRACE_S, OVERLAP_S, LOOK_BACK_S = 300.0, 120.0, 900.0, 259_200.0
DOOR = "https://parley.test/carriers/lab/inbound"
Walk = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]


@dataclass
class Town:
    """A road, a settler, the stand-in, and what was observed."""

    clock: TurnedClock
    runtime: Runtime
    road: Road
    settling: Settling
    twilio: TwilioStandIn
    sql: asyncpg.Connection
    observed: list[Observation] = field(default_factory=list)

    def gaps(self) -> Gaps:
        """One replica."""
        return Gaps(self.runtime, self.road, self.settling.submit)

    def seen(self, kind: type) -> list[Any]:
        return [one for one in self.observed if isinstance(one, kind)]

    async def joins(self, conversation_sid: str, phone: str) -> None:
        """Somebody more, on the same number of ours."""
        there = {"channel": "sms", "address": phone, "proxy_address": SMS}
        await Roadside.join(cast(Any, self), conversation_sid, **there)

    async def lose(self, body: str = "hi", phone: str = ANN, to: str = SMS, **parts: Any) -> Texted:
        """A phone writes, and no webhook comes of it."""
        self.twilio.world.behave(inbound_lost_share=1.0)
        return await self.twilio.world.phone(phone).text(to, body, **parts)

    async def webhook(self, texted: Texted) -> Taken:
        """The webhook of a message comes."""
        call = TwilioDialect().inbound(DOOR, texted.message)
        form = MultiDict(parse_qsl(call.body.decode(), keep_blank_values=True))
        request = Request("POST", DOOR, call.headers, MultiDict(), form, call.body)
        [inbound] = self.runtime.carriers["lab"].parse_inbound(request)
        taken = await self.road.submit(Arrival(ACCOUNT, inbound))
        assert isinstance(taken, Taken)
        return taken

    async def look(self, after_s: float = EVERY_S, gaps: Gaps | None = None) -> GapsSought | None:
        """Time passes and the bell rings; what the turn did, None when none was due."""
        self.clock.turn(after_s)
        before = len(self.seen(GapsSought))
        await (gaps or self.gaps()).turn()
        done = self.seen(GapsSought)[before:]
        return done[0] if done else None

    async def bodies(self) -> list[str]:
        """Every message, in the order of its conversation."""
        rows = await self.sql.fetch("SELECT body FROM messages ORDER BY conversation_sid, index")
        return [row["body"] for row in rows]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as made:
        yield made


Build = Callable[..., Awaitable[Town]]


@pytest.fixture
async def build(
    stack: AsyncExitStack, db: Database, sql: asyncpg.Connection, clock: TurnedClock
) -> Build:
    async def built(breaking: str = "", **sections: Any) -> Town:
        twilio, url = await stack.enter_async_context(
            standing_in(inbound_url=DOOR, clock=clock, seed=7)
        )
        options = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN, "base_url": url}
        chosen = settings(carriers={"lab": {"kind": "twilio", **options}}, **sections)
        async with db.begin() as tx:
            await declare(tx, chosen)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        carriers = {"lab": discover.build("lab", chosen.carriers["lab"], options)}
        observe, nobody = Observe(), None
        shared = (chosen, db, http, nobody, clock, observe, carriers, "http://parley.test")
        runtime = Runtime(*shared)  # type: ignore[arg-type]
        walker, settler = Walker(runtime), Settler(runtime, Pauses(chosen.delivery))
        walk: Walk = walker

        async def broken(convoy: Sequence[Arrival | Draft]) -> Sequence[Any]:
            for one in convoy:
                if isinstance(one, Arrival) and one.inbound.body == breaking:
                    raise RuntimeError("the road is broken")
            return await walker(convoy)

        limits = {"longest": 64, "waiting_max": 10_000}
        road: Road = Convoy(broken if breaking else walk, order=order_of, **limits)
        settling: Settling = Convoy(settler, longest=64, waiting_max=1000)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for part in (road, settling):
            group.create_task(part.run())
            stack.callback(part.close)
        stack.push_async_callback(walker.close)
        stack.push_async_callback(settler.close)
        town = Town(clock, runtime, road, settling, twilio, sql)
        observe.to(town.observed.append)
        await town.gaps().meet()
        assert await town.look(0) is None, "the first look is not due"
        clock.turn(1)
        return town

    return built


@pytest.fixture
async def town(build: Build) -> Town:
    return await build()


async def test_what_a_webhook_lost_is_taken_in_once_and_marked(town: Town) -> None:
    texted = await town.lose("hello")
    sent_at = town.clock.now()
    done = await town.look()
    assert done is not None
    assert (done.outcome, done.missing, done.recovered) == ("complete", 1, 1)
    row = await town.sql.fetchrow("SELECT * FROM decisions")
    assert row["recovered"] and row["signature"] == "unchecked"
    assert row["sent_at"] == sent_at.replace(microsecond=0)
    [message] = await town.sql.fetch("SELECT * FROM messages")
    assert (message["body"], message["author"], message["source"]) == ("hello", ANN, "SMS")
    assert message["date_created"] == town.clock.now()
    entered = await town.sql.fetchrow("SELECT * FROM inbox")
    assert (entered["carrier"], entered["external_id"]) == ("lab", texted.external_id)
    assert entered["message_sid"] == message["sid"]
    [recovered] = town.seen(Recovered)
    assert (recovered.outcome, recovered.decision, recovered.address) == (
        "accepted",
        "created",
        "***0001",
    )
    assert EVERY_S <= recovered.late_s < EVERY_S + 1
    found = await trace(town.sql, texted.external_id)
    assert found is not None
    assert "recovered=True  sent_at=2030-01-02T03:04:06.000Z" in text(found)
    again = await town.look()
    assert again is not None and (again.missing, again.recovered) == (0, 0)
    assert await town.bodies() == ["hello"]
    assert await town.sql.fetchval("SELECT recovered FROM gap_looks") == 1


async def test_what_is_young_may_still_come_by_its_webhook(town: Town) -> None:
    town.clock.turn(EVERY_S - 1)
    await town.lose("young")
    done = await town.look(GRACE_S - 1)
    assert done is not None and done.missing == 0
    assert await town.look(1) is None, "it is not due"
    done = await town.look(EVERY_S)
    assert done is not None and done.recovered == 1


async def test_recovered_messages_are_in_the_order_in_which_they_were_sent(town: Town) -> None:
    town.twilio.page_max = 2
    for number in range(7):
        await town.lose(f"{number}")
        town.clock.turn(1)
    done = await town.look()
    assert done is not None and (done.pages, done.recovered) == (4, 7)
    assert await town.bodies() == [str(number) for number in range(7)]


async def test_so_are_those_of_several_people_in_one_conversation(town: Town) -> None:
    await town.webhook(await town.lose("first"))
    [conversation] = await town.sql.fetch("SELECT * FROM conversations")
    await town.joins(conversation["sid"], BOB)
    for number in range(8):
        await town.lose(f"{number}", BOB if number % 2 else ANN)
        town.clock.turn(1)
    await town.look()
    assert await town.bodies() == ["first", *(str(number) for number in range(8))]
    assert await town.sql.fetchval("SELECT count(*) FROM conversations") == 1


async def test_they_stand_behind_what_came_meanwhile(town: Town) -> None:
    first = await town.lose("lost")
    town.clock.turn(10)
    await town.webhook(await town.lose("came"))
    await town.look()
    assert await town.bodies() == ["came", "lost"]
    assert (await town.webhook(first)).outcome == "duplicate"


async def test_a_webhook_that_comes_after_all_is_a_duplicate(town: Town) -> None:
    texted = await town.lose("late")
    await town.look()
    taken = await town.webhook(texted)
    sid = await town.sql.fetchval("SELECT sid FROM messages")
    assert (taken.outcome, taken.message_sid) == ("duplicate", sid)
    assert await town.bodies() == ["late"]


async def test_a_webhook_at_the_same_moment_gives_one_message(town: Town) -> None:
    for number in range(5):
        lost = [await town.lose(f"{number}.{part}") for part in range(4)]
        town.clock.turn(EVERY_S)
        await asyncio.gather(*(town.webhook(one) for one in lost), town.gaps().turn())
    assert sorted(await town.bodies()) == [f"{n}.{part}" for n in range(5) for part in range(4)]
    assert await town.sql.fetchval("SELECT count(*) FROM inbox") == 20


async def test_one_replica_looks_at_a_time(town: Town) -> None:
    for number in range(30):
        await town.lose(f"{number}")
    town.clock.turn(EVERY_S)
    await asyncio.gather(*(town.gaps().turn() for _ in range(4)))
    [done] = town.seen(GapsSought)
    assert done.recovered == 30
    assert await town.sql.fetchval("SELECT recovered FROM gap_looks") == 30


async def test_a_look_goes_on_where_it_was_after_a_restart(town: Town) -> None:
    town.twilio.page_max = 1
    for number in range(PAGES_MAX + 3):
        await town.lose(f"{number:02}")
    done = await town.look()
    assert done is not None and (done.outcome, done.recovered) == ("partial", 0)
    await town.lose("newer")
    done = await town.look(0, gaps=town.gaps())
    assert done is not None and (done.outcome, done.pages, done.recovered) == ("complete", 3, 23)
    tokens = [read.partition("PageToken=")[2] for read in town.twilio.reads]
    assert len(set(tokens)) == PAGES_MAX + 3, "no page was read twice"
    assert await town.bodies() == [f"{number:02}" for number in range(PAGES_MAX + 3)]


async def test_who_died_with_a_look_is_followed_by_another(town: Town) -> None:
    await town.lose("hello")
    town.clock.turn(EVERY_S)
    async with town.runtime.db.begin() as tx:
        until = tx.now + timedelta(seconds=LEASE_S)
        dead = await store.claim(tx.sql, "lab", "dead", tx.now, until)
    assert dead is not None
    assert await town.look(LEASE_S - 1) is None
    done = await town.look(1)
    assert done is not None and done.recovered == 1
    with pytest.raises(store.Lost):
        async with town.runtime.db.begin() as tx:
            await store.turn_page(tx.sql, dead, None, tx.now)


async def test_who_died_between_the_road_and_its_note_takes_nothing_in_twice(town: Town) -> None:
    texted = await town.lose("hello")
    await town.look()
    await town.sql.execute(
        "INSERT INTO gap_finds (carrier, external_id, sent_at, payload) SELECT carrier,"
        " external_id, sent_at, $1::jsonb FROM decisions",
        store.orjson.dumps(store.stored(await _listed(town))).decode(),
    )
    done = await town.look()
    assert done is not None and (done.outcome, done.recovered) == ("complete", 0)
    assert town.seen(Recovered)[-1].outcome == "duplicate"
    assert texted.body is not None and await town.bodies() == [texted.body]
    assert await town.sql.fetchval("SELECT count(*) FROM gap_finds") == 0


async def _listed(town: Town) -> Any:
    lister: Any = town.runtime.carriers["lab"]
    page = await lister.listed(town.clock.now(), None, town.runtime.context)
    return page.inbounds[0]


TROUBLES: list[tuple[str, Trouble, str, float]] = [
    ("a wrong token", lambda _: web.json_response({"code": 20003}, status=401), "refused", EVERY_S),
    (
        "too many",
        lambda _: web.json_response({}, status=429, headers={"Retry-After": "1000"}),
        "throttled",
        1000.0,
    ),
    (
        "too many, for a year",
        lambda _: web.json_response({}, status=429, headers={"Retry-After": "31536000"}),
        "throttled",
        3600.0,
    ),
    ("away", lambda _: web.Response(status=503), "unreachable", EVERY_S),
    ("no list", lambda _: web.json_response({"messages": 7}), "garbage", EVERY_S),
    ("no JSON", lambda _: web.Response(text="<html>"), "garbage", EVERY_S),
    ("moved", lambda _: web.Response(status=302), "garbage", EVERY_S),
]


@pytest.mark.parametrize(
    ("trouble", "outcome", "wait_s"),
    [one[1:] for one in TROUBLES],
    ids=[one[0] for one in TROUBLES],
)
async def test_a_list_that_cannot_be_read_is_read_later(
    town: Town, trouble: Trouble, outcome: str, wait_s: float
) -> None:
    await town.lose("hello")
    town.twilio.troubles.append(trouble)
    done = await town.look()
    assert done is not None and (done.outcome, done.recovered) == (outcome, 0)
    assert done.detail and ANN not in done.detail
    assert await town.sql.fetchval("SELECT error FROM gap_looks") == done.detail
    assert await town.look(wait_s - 1) is None
    done = await town.look(1)
    assert done is not None and (done.outcome, done.recovered) == ("complete", 1)
    assert await town.sql.fetchrow("SELECT error, failures FROM gap_looks") == (None, 0)


async def test_a_position_that_means_nothing_any_more_begins_anew(town: Town) -> None:
    town.twilio.page_max = 1
    for number in range(3):
        await town.lose(f"{number}")

    def whole(request: web.Request) -> web.StreamResponse:
        town.twilio.troubles.append(lambda _: web.Response(status=400))
        page = {"messages": [], "next_page_uri": f"{request.rel_url}&PageToken=gone"}
        return web.json_response(page)

    town.twilio.troubles.append(whole)
    done = await town.look()
    assert done is not None and (done.outcome, done.pages) == ("expired", 1)
    done = await town.look()
    assert done is not None and (done.outcome, done.recovered) == ("complete", 3)


async def test_a_list_that_breaks_off_every_time_keeps_nothing_back_for_ever(town: Town) -> None:
    town.twilio.page_max = 1
    await town.lose("behind")
    town.clock.turn(1)
    await town.lose("in front")

    def breaks_off(request: web.Request) -> web.StreamResponse:
        town.twilio.troubles.append(lambda _: web.Response(status=500))
        rows = [town.twilio._row(one) for one in town.twilio._found(request.query)]
        following = f"{request.rel_url}&PageToken={rows[0]['sid']}"
        return web.json_response({"messages": rows[:1], "next_page_uri": following})

    for failures in range(PATIENCE + 1):
        town.twilio.troubles.append(
            breaks_off if not failures else lambda _: web.Response(status=500)
        )
        assert await town.bodies() == []
        done = await town.look()
        assert done is not None and done.outcome == "unreachable"
    assert await town.bodies() == ["in front"]
    done = await town.look()
    assert done is not None and (done.outcome, done.recovered) == ("complete", 1)
    assert await town.bodies() == ["in front", "behind"]


async def test_what_is_not_ours_or_was_before_us_is_left_alone(town: Town) -> None:
    await town.lose("not ours", to="+15005559999")
    await town.lose("another channel", f"whatsapp:{ANN}", WHATSAPP)
    done = await town.look()
    assert done is not None and (done.listed, done.missing) == (2, 1)
    assert await town.bodies() == ["another channel"]
    await town.sql.execute("TRUNCATE gap_looks, inbox, decisions")
    await town.gaps().meet()
    done = await town.look()
    assert done is not None and done.missing == 0, "we met the carrier after it"


async def test_after_a_long_silence_the_window_is_bounded_and_that_is_said(town: Town) -> None:
    await town.lose("too long ago")
    town.clock.turn(2 * LOOK_BACK_S)
    await town.lose("yesterday")
    done = await town.look(86_400)
    assert done is not None and done.recovered == 1
    [said] = town.seen(Said)
    assert (said.level, said.event) == ("warning", "gaps")
    assert await town.bodies() == ["yesterday"]


async def test_files_of_recovered_messages_are_fetched_like_any(build: Build) -> None:
    town = await build(media={"fetch": True})
    files = [Media(url=f"https://p.example/{n}", content_type="image/jpeg") for n in range(2)]
    texted = await town.lose("see", media=files)
    done = await town.look()
    assert done is not None and done.recovered == 1
    rows = await town.sql.fetch("SELECT * FROM media ORDER BY position")
    root = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{texted.external_id}/Media/ME"
    assert [root in row["source_url"] for row in rows] == [True, True]
    assert not any(row["source_url"].endswith(".json") for row in rows)
    assert [(row["content_type"], row["status"]) for row in rows] == [("image/jpeg", "pending")] * 2
    assert await town.sql.fetchval("SELECT count(*) FROM outbox WHERE kind = 'media'") == 2


async def test_a_list_of_files_that_is_away_keeps_the_order(town: Town) -> None:
    await town.lose("1")
    town.clock.turn(1)
    await town.lose("2", media=["https://p.example/1"])
    town.clock.turn(1)
    await town.lose("3")
    done = await _with_media_trouble(town, web.HTTPServiceUnavailable)
    assert (done.outcome, done.recovered) == ("unreachable", 1)
    assert await town.bodies() == ["1"]
    done = await town.look() or done
    assert (done.outcome, await town.bodies()) == ("complete", ["1", "2", "3"])


async def test_files_that_are_deleted_by_now_do_not_keep_the_words_back(town: Town) -> None:
    await town.lose("words", media=["https://p.example/1"])
    done = await _with_media_trouble(town, web.HTTPNotFound)
    assert (done.outcome, done.recovered) == ("complete", 1)
    assert await town.sql.fetchval("SELECT count(*) FROM media") == 0


async def _with_media_trouble(town: Town, kind: type[web.HTTPException]) -> GapsSought:
    """A look whose first question for files meets this."""

    def list_first(request: web.Request) -> web.StreamResponse:
        town.twilio.troubles.append(lambda _: web.Response(status=kind.status_code))
        rows = [town.twilio._row(one) for one in town.twilio._found(request.query)]
        return web.json_response({"messages": rows, "next_page_uri": None})

    town.twilio.troubles.append(list_first)
    done = await town.look()
    assert done is not None
    return done


async def test_a_message_that_breaks_the_road_does_not_keep_the_others_for_ever(
    build: Build,
) -> None:
    town = await build(breaking="bad")
    await town.lose("bad")
    town.clock.turn(1)
    await town.lose("good")
    done = await town.look()
    assert done is not None and (done.outcome, done.recovered) == ("failed", 1)
    for _ in range(TRIES_MAX - 1):
        done = await town.look()
        assert done is not None and done.outcome == "failed"
    assert len(town.seen(Failed)) == TRIES_MAX
    done = await town.look()
    assert done is not None and done.outcome == "complete"
    assert await town.bodies() == ["good"]
    assert await town.sql.fetchval("SELECT tries FROM gap_finds") == TRIES_MAX


async def _sent(town: Town, body: str = "an answer") -> Any:
    """A conversation with an answer on its way: its receipt."""
    taken = await town.webhook(await town.lose("hi"))
    service_sid = town.runtime.settings.service_sid("default")
    draft = Draft(ACCOUNT, service_sid, taken.conversation_sid or "", "agent", body)
    await town.road.submit(draft)
    return await town.sql.fetchrow("SELECT * FROM receipts")


async def _take(town: Town, receipt: Any, body: str = "an answer") -> str:
    """Twilio takes a send of ours."""
    send = Send(reference="", channel="sms", sender=SMS, to=receipt["address"], body=body)
    return (await town.twilio.world.take(send)).external_id


async def test_a_status_that_no_callback_told_is_settled(town: Town) -> None:
    receipt = await _sent(town)
    external_id = await _take(town, receipt)
    await town.sql.execute("UPDATE receipts SET external_id = $1, status = 'sent'", external_id)
    town.twilio.words[external_id] = "delivered"
    done = await town.look()
    assert done is not None and done.statuses == 1
    assert await town.sql.fetchval("SELECT status FROM receipts") == "delivered"
    for word in ("sent", "delivered", "pondered"):
        town.twilio.words[external_id] = word
        done = await town.look()
        assert done is not None and done.statuses == 0, word
    assert await town.sql.fetchval("SELECT status FROM receipts") == "delivered"


async def test_each_part_is_a_send_of_its_own(build: Build) -> None:
    town = await build(limits={"profile": "relaxed"})
    receipt = await _sent(town, "x" * 3200)
    externals = [await _take(town, receipt) for _ in range(2)]
    parts = [
        part | {"id": external_id, "status": "sent"}
        for part, external_id in zip(store.orjson.loads(receipt["parts"]), externals, strict=True)
    ]
    await town.sql.execute(
        "UPDATE receipts SET external_id = $1, status = 'sent', parts = $2::jsonb",
        externals[0],
        store.orjson.dumps(parts).decode(),
    )
    await town.sql.execute("DELETE FROM outbox")
    whole = "SELECT status FROM receipts"
    for external_id, said in zip(externals, ("sent", "delivered"), strict=True):
        town.twilio.words[external_id] = "delivered"
        done = await town.look()
        assert done is not None and (done.statuses, done.asked) == (1, 0)
        assert await town.sql.fetchval(whole) == said
        revision = await town.sql.fetchval("SELECT revision FROM conversations")
        done = await town.look()
        assert done is not None and done.statuses == 0, "it is known"
        assert await town.sql.fetchval("SELECT revision FROM conversations") == revision


async def test_a_part_that_is_known_is_no_reason_to_ask(build: Build) -> None:
    town = await build(limits={"profile": "relaxed"})
    receipt = await _sent(town, "x" * 3200)
    later = town.clock.now() + timedelta(hours=2)
    first, second = [await _take(town, receipt) for _ in range(2)]
    for number, external_id in enumerate((first, second)):
        await town.settling.submit(
            Status("lab", external_id, "sent", receipt_sid=reference(receipt["sid"], number))
        )
    await town.sql.execute("UPDATE outbox SET started_at = $1", town.clock.now())
    await town.sql.execute("UPDATE lanes SET due = $1", later)
    done = await town.look()
    assert done is not None and (done.listed, done.asked) == (3, 0)


async def test_a_send_of_which_nobody_knows_is_asked_about_as_soon_as_the_list_has_it(
    town: Town,
) -> None:
    receipt = await _sent(town)
    lane = f"d:{ACCOUNT} {SMS}:{ANN}"
    later = town.clock.now() + timedelta(hours=2)
    await town.sql.execute("UPDATE outbox SET started_at = $1", town.clock.now())
    await town.sql.execute("UPDATE lanes SET due = $1 WHERE lane = $2", later, lane)
    done = await town.look()
    assert done is not None and done.asked == 0, "it is not in the list"
    await _take(town, receipt)
    done = await town.look()
    assert done is not None and done.asked == 1
    due = "SELECT due FROM lanes WHERE lane = $1"
    assert await town.sql.fetchval(due, lane) == town.clock.now()
    await town.sql.execute("UPDATE lanes SET due = $1, lease = 'x' WHERE lane = $2", later, lane)
    done = await town.look()
    assert done is not None and done.asked == 0, "somebody works on it"
    await town.sql.execute("UPDATE lanes SET lease = NULL")
    await town.sql.execute("UPDATE outbox SET started_at = NULL")
    done = await town.look()
    assert done is not None and done.asked == 0, "nothing is in doubt"


async def test_and_then_it_is_settled_and_not_sent_again(town: Town) -> None:
    receipt = await _sent(town)
    later = town.clock.now() + timedelta(hours=2)
    await town.sql.execute("UPDATE outbox SET started_at = $1", town.clock.now())
    await town.sql.execute("UPDATE lanes SET due = $1", later)
    external_id = await _take(town, receipt)
    done = await town.look()
    assert done is not None and done.asked == 1
    async with town.runtime.db.begin() as tx:
        [item] = await outbox.claim(
            tx.sql, "delivery", limit=10, lease="l", now=tx.now, lease_s=60, rates={}
        )
        parcels = await deliveries.parcels(tx.sql, [item])
    pauses = Pauses(town.runtime.settings.delivery)
    assert await town.settling.submit(await attempt(town.runtime, pauses, item, parcels[item.seq]))
    row = await town.sql.fetchrow("SELECT external_id, status FROM receipts")
    assert row["external_id"] == external_id
    assert town.twilio.requests == [], "nothing was sent"
    assert await town.sql.fetchval("SELECT count(*) FROM outbox WHERE kind = 'delivery'") == 0


OUT = "SELECT opted_out FROM opt_outs WHERE address = $1"


async def test_a_stop_that_was_lost_opts_out(town: Town) -> None:
    await town.lose("STOP")
    await town.look()
    assert await town.sql.fetchval(OUT, ANN) is True


async def test_a_lost_start_does_not_undo_a_stop_that_came_since(town: Town) -> None:
    await town.webhook(await town.lose("STOP"))
    town.clock.turn(1)
    await town.lose("START")
    town.clock.turn(1)
    await town.webhook(await town.lose("START"))
    town.clock.turn(1)
    await town.webhook(await town.lose("STOP"))
    await town.look()
    assert await town.sql.fetchval(OUT, ANN) is True
    await town.lose("START")
    await town.look()
    assert await town.sql.fetchval(OUT, ANN) is False


async def test_the_questions_use_indexes(sql: asyncpg.Connection) -> None:
    now = TurnedClock().now()
    async with sql.transaction():
        await sql.execute("SET LOCAL enable_seqscan = off")
        for statement, values in (
            (store.CLAIM, ("lab", "l", now, now)),
            (store.KEEP, ("lab", "l", now, 1)),
            (store.TURN, ("lab", "l", "p", False, now)),
            (store.MISSING, ("lab", ["SM1", "SM2"])),
            (store.NEXT, ("lab", 20)),
            (store.FORGET, ("lab", ["SM1"])),
            (store.TRIED, ("lab", ["SM1"])),
            (store.STATUSES, ("lab", ["SM1"])),
            (store.ASK_NOW, (["d:1"], now, "delivery")),
        ):
            plan = [row[0] for row in await sql.fetch(f"EXPLAIN {statement}", *values)]
            assert not any("Seq Scan" in line for line in plan), plan
        plan = [row[0] for row in await sql.fetch(f"EXPLAIN {store.STATUSES}", "lab", ["SM1"])]
        assert any("receipts_parts" in line for line in plan), plan
        plan = [row[0] for row in await sql.fetch(f"EXPLAIN {store.NEXT}", "lab", 20)]
        assert any("gap_finds_order" in line for line in plan), plan
