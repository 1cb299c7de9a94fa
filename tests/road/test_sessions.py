"""Sessions on the road: what people write opens one, and outside of it nothing is sent."""

from __future__ import annotations

import json
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from app.clock import iso_seconds
from app.model.traffic import Inbound
from app.ops.trace import trace
from app.road.items import Arrival, Draft, Posted
from app.road.walk import Walker
from tests.road.conftest import Open, Roadside
from tests.support.clock import START, TurnedClock
from tests.support.house import House, house
from tests.support.settings import ACCOUNT, SMS, WHATSAPP, settings

MARIA, TOM, RITA = "+15551230001", "whatsapp:+15551230003", "whatsapp:+15551230004"
DAY_S = 86_400.0
VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"


async def windows(roadside: Roadside) -> list[tuple[str, Any]]:
    rows = await roadside.sql.fetch(
        "SELECT address, last_inbound_at FROM messaging_windows ORDER BY address"
    )
    return [(row["address"], row["last_inbound_at"]) for row in rows]


async def codes(roadside: Roadside) -> list[tuple[str, int | None]]:
    rows = await roadside.sql.fetch("SELECT status, error_code FROM receipts ORDER BY sid")
    return [(row["status"], row["error_code"]) for row in rows]


async def tom(roadside: Roadside, external_id: str = "SM1", **parts: Any) -> str:
    """Tom writes; gives his conversation."""
    return (await roadside.arrive(external_id, TOM, WHATSAPP, **parts)).conversation_sid or ""


async def test_a_session_lasts_a_day_from_their_last_message(
    roadside: Roadside, clock: TurnedClock
) -> None:
    ch = await tom(roadside)
    clock.turn(DAY_S - 1)
    assert (await roadside.post(ch)).statuses == ("queued",)
    clock.turn(1)
    assert (await roadside.post(ch)).statuses == ("failed",)  # ours extends nothing
    await tom(roadside, "SM2")
    assert (await roadside.post(ch)).statuses == ("queued",)
    assert await codes(roadside) == [("queued", None), ("failed", 63016), ("queued", None)]
    assert await windows(roadside) == [(TOM, clock.now())]


async def test_nobody_who_never_wrote_is_written_to_and_each_has_a_session(
    roadside: Roadside,
) -> None:
    ch = await tom(roadside)
    await roadside.join(ch, channel="whatsapp", address=RITA, proxy_address=WHATSAPP)
    await roadside.join(ch, channel="sms", address=MARIA, proxy_address=SMS)
    assert (await roadside.post(ch)).statuses == ("queued", "failed", "queued")
    assert await roadside.sql.fetchval("SELECT count(*) FROM outbox WHERE kind = 'delivery'") == 2


async def test_what_was_long_under_way_opens_a_session_from_when_it_was_sent(
    roadside: Roadside, clock: TurnedClock
) -> None:
    ch = await tom(roadside, sent_at=START - timedelta(hours=23))
    await tom(roadside, "SM2", sent_at=START - timedelta(hours=30))  # an older one, later
    assert await windows(roadside) == [(TOM, START - timedelta(hours=23))]
    clock.turn(3600)
    assert (await roadside.post(ch)).statuses == ("failed",)
    await tom(roadside, "SM3", sent_at=clock.now() + timedelta(days=3))  # a clock that is wrong
    assert await windows(roadside) == [(TOM, clock.now())]


async def test_a_message_that_nobody_takes_opens_a_session_and_a_double_does_not(
    open_road: Open, clock: TurnedClock
) -> None:
    senders = [{"address": WHATSAPP, "carrier": "lab"}]
    async with open_road(settings(senders=senders)) as roadside:
        assert (await roadside.arrive("SM1", TOM, WHATSAPP)).outcome == "dropped"
        clock.turn(60)
        assert (await roadside.arrive("SM1", TOM, WHATSAPP)).outcome == "duplicate"
        assert await windows(roadside) == [(TOM, START)]


async def test_another_carrier_than_the_senders_opens_nothing(open_road: Open) -> None:
    senders = [{"address": WHATSAPP, "carrier": "other"}]
    carriers = {"lab": {"kind": "sandbox"}, "other": {"kind": "sandbox"}}
    async with open_road(settings(senders=senders, carriers=carriers)) as roadside:
        await roadside.arrive("SM1", TOM, WHATSAPP)
        assert await windows(roadside) == []


async def test_an_answer_in_the_convoy_that_opens_the_session_goes(
    roadside: Roadside, clock: TurnedClock
) -> None:
    ch = await tom(roadside)
    clock.turn(2 * DAY_S)
    service_sid = roadside.runtime.settings.service_sid("default")
    inbound = Inbound("lab", "SM2", "whatsapp", TOM, WHATSAPP, "back again")
    walker = Walker(roadside.runtime)
    _, posted = await walker(
        [Arrival(ACCOUNT, inbound), Draft(ACCOUNT, service_sid, ch, "system", "welcome")]
    )
    await walker.close()
    assert isinstance(posted, Posted)
    assert posted.statuses == ("queued",)


async def test_sessions_that_are_open_when_the_database_is_upgraded_stay_so(
    roadside: Roadside,
) -> None:
    await tom(roadside)
    await roadside.arrive("SM2", MARIA)
    before = await windows(roadside)
    await roadside.sql.execute("DELETE FROM messaging_windows")
    [revision] = VERSIONS.glob("*_sessions_opt_outs_segments.py")
    await roadside.sql.execute(import_module(f"migrations.versions.{revision.stem}").OPEN)
    assert await windows(roadside) == before


async def test_texts_leave_no_trace_of_sessions(roadside: Roadside) -> None:
    await roadside.arrive("SM1", MARIA)
    assert await windows(roadside) == []


async def test_a_template_needs_no_session(roadside: Roadside, clock: TurnedClock) -> None:
    ch = await tom(roadside)
    clock.turn(2 * DAY_S)
    assert (await roadside.post(ch, content_sid="HX" + "a" * 32)).statuses == ("queued",)


async def test_it_can_be_left_to_the_carrier(open_road: Open, clock: TurnedClock) -> None:
    async with open_road(settings(limits={"session": "carrier"})) as roadside:
        ch = await tom(roadside)
        clock.turn(2 * DAY_S)
        assert (await roadside.post(ch)).statuses == ("queued",)


async def test_the_trace_says_until_when_a_session_is_open(roadside: Roadside) -> None:
    ch = await tom(roadside)
    found = await trace(roadside.sql, ch)
    assert found is not None
    [joined] = [entry.details for entry in found.entries if entry.what == "joined"]
    assert joined["messaging_window"] == "until 2030-01-03T03:04:05.678Z"


async def expire(one: House) -> None:
    """Every session ended an hour ago."""
    async with one.service.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE messaging_windows SET last_inbound_at = $1", tx.now - timedelta(hours=25)
        )


@pytest.mark.parametrize(
    ("limits", "received", "code"), [({}, [], 63016), ({"session": "carrier"}, ["late"], None)]
)
async def test_what_waited_until_the_session_was_over_is_not_sent(
    dsn: str, limits: dict[str, str], received: list[str], code: int | None
) -> None:
    async with house(dsn, delivery={"waits_s": [3600], "timeout_s": 2}, limits=limits) as one:
        ch = await one.conversation(TOM, WHATSAPP)
        one.world.behave(TOM, refuse="temporary", times=1, statuses=False)
        message = await one.say(ch, "late")
        await one.world.until(lambda: one.world.counts["refuse"] == 1)
        await expire(one)
        await one.again()
        if received:
            await one.world.until(lambda: len(one.world.phone(TOM).received) == 1)
        else:
            await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 1)
        assert [got.body for got in one.world.phone(TOM).received] == received
        assert (await one.receipts(message))[0]["error_code"] == code


async def test_a_fan_out_after_the_session_is_told_at_once(dsn: str) -> None:
    async with house(dsn) as one:
        ch = await one.conversation(TOM, WHATSAPP)
        await expire(one)
        message = await one.say(ch, "too late")
        [receipt] = await one.receipts(message)
        assert (receipt["status"], receipt["error_code"]) == ("failed", 63016)
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 1)
        [told] = one.customer.events("onDeliveryUpdated")
        assert (told.form["Status"], told.form["ErrorCode"]) == ("failed", "63016")


async def test_an_enriched_roster_says_whose_session_is_open(dsn: str) -> None:
    enriched = {"filters": ["onMessageAdded"], "payload": "enriched"}
    async with house(dsn, webhooks=enriched) as one:
        ch = await one.conversation(TOM, WHATSAPP)
        await one.post(
            f"/v1/Conversations/{ch}/Participants",
            MessagingBinding_Address=RITA,
            MessagingBinding_ProxyAddress=WHATSAPP,
        )
        await one.post(
            f"/v1/Conversations/{ch}/Participants",
            MessagingBinding_Address=MARIA,
            MessagingBinding_ProxyAddress=SMS,
        )
        async with one.service.runtime.db.begin() as tx:
            at = await tx.sql.fetchval("SELECT last_inbound_at FROM messaging_windows")
        await one.told("POST", f"/v1/Conversations/{ch}/Messages", 201, Author="ann", Body="x")
        await one.customer.until(lambda: len(one.customer.events("onMessageAdded")) == 2)
        rosters = [json.loads(hook.form["Roster"]) for hook in one.customer.events()]
        opened = {"open": True, "expires_at": iso_seconds(at + timedelta(days=1))}
        assert [person.get("messaging_window") for person in rosters[0]] == [opened]
        assert [person.get("messaging_window") for person in rosters[1]] == [
            opened,
            {"open": False, "expires_at": None},
            None,
        ]
        assert not any({"Channel", "LastInboundAt"} & set(person) for person in rosters[1])
