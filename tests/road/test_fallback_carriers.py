"""A sender's fallback carrier takes over what the first surely did not take, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from app.carriers.sandbox import HomeSandbox
from app.carriers.sandbox_world import World
from app.store import deliveries
from tests.road.test_pauses import HELD, Seen, paused, until
from tests.support.clock import AheadClock
from tests.support.house import House, house
from tests.support.mails import PNG
from tests.support.settings import SMS

PHONES = [f"+1555123{n:04d}" for n in range(6)]
AWAY = {"refuse": "temporary", "code": 20503}
"""The whole service is away: nothing was taken."""
DELIVERY = {"waits_s": [0.02] * 30, "timeout_s": 2, "pause_after": 3, "pauses_s": [60, 600]}
SLOW: dict[str, Any] = {
    name: {"kind": "sandbox", "secret": "s", "look_up_after_s": 30} for name in ("lab", "spare")
}
"""Whoever asks what became of a send is told the truth only after a while."""
WHATSAPP_ONLY = {
    "kind": "http",
    "channels": {"whatsapp": "whatsapp"},
    "send": {"url": "http://127.0.0.1:1/", "form": {"to": "{to}", "text": "{body}"}},
    "inbound": {"format": "json", "id": "id", "from": "f", "to": "t"},
    "verify": {"scheme": "none"},
}
TRYING = "SELECT true FROM carrier_pauses WHERE probe IS NOT NULL"
TRIED = """
SELECT detail FROM attempts WHERE outcome = 'accepted' AND conversation_sid = $1 ORDER BY id
"""
WAITING = "SELECT attempts FROM outbox WHERE kind = 'delivery'"
SPINS = "SELECT count(*) FROM attempts WHERE outcome = 'postponed'"
WAITED = "SELECT count(DISTINCT seq) = $1 FROM attempts WHERE outcome = 'postponed'"


def duo(**more: Any) -> dict[str, Any]:
    """Two carriers, and a sender that may use both."""
    lab = {"kind": "sandbox", "secret": "s", "look_up_after_s": 0.02}
    sender = {"address": SMS, "carrier": "lab", "fallback_carrier": "spare"}
    return {
        "carriers": {"lab": lab, "spare": lab},
        "senders": [{**sender, "messaging_service": "default"}],
        "delivery": DELIVERY,
        **more,
    }


def spare(one: House) -> World:
    carrier = one.service.runtime.carriers["spare"]
    assert isinstance(carrier, HomeSandbox)
    return carrier.world


def got(world: World, phone: str) -> list[str]:
    return [received.body or "" for received in world.phone(phone).received]


async def talk(one: House, *bodies: str) -> list[dict[str, Any]]:
    """Everybody is written to; gives the last messages."""
    chats = [await one.conversation(phone) for phone in PHONES]
    said: list[dict[str, Any]] = []
    for body in bodies:
        said = await asyncio.gather(*(one.say(ch, body) for ch in chats))
    return said


@pytest.mark.parametrize("code", [20503, 20003])  # it is away; it does not take our credentials
async def test_what_the_first_surely_did_not_take_goes_by_the_other_at_once(
    dsn: str, code: int
) -> None:
    async with house(dsn, **duo(delivery=DELIVERY | {"waits_s": [3600], "pause_after": 0})) as one:
        ch = await one.conversation(PHONES[0])
        one.world.behave(refuse="temporary", code=code, times=1)
        message = await one.say(ch, "first")
        await one.say(ch, "second")
        await one.world.until(lambda: got(one.world, PHONES[0]) == ["second"])
        assert got(spare(one), PHONES[0]) == ["first"]
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) >= 4)
        assert (await one.receipts(message))[0]["status"] == "delivered"
        entries = (await one.get(f"/ops/trace/{message['sid']}"))["entries"]
        [tried] = [entry for entry in entries if entry["what"] == "attempt"]
        said = f"by spare (lab: the sandbox refuses with {code})"
        assert (tried["outcome"], tried["detail"]) == ("accepted", said)
        assert [e["carrier"] for e in entries if e["what"] == "fan-out"] == ["spare"]


async def test_while_the_first_is_paused_all_goes_by_the_other_and_then_back(
    dsn: str, sql: asyncpg.Connection
) -> None:
    clock, seen = AheadClock(), Seen()
    async with house(dsn, seen.observe, clock, **duo()) as one:
        chats = [await one.conversation(phone) for phone in PHONES]
        one.world.behave(**AWAY)
        for body in ("1", "2", "3"):
            await asyncio.gather(*(one.say(ch, body) for ch in chats))
        await until(lambda: _all(spare(one), ["1", "2", "3"]))
        await until(lambda: _all_settled(sql))
        assert list(await paused(one)) == ["lab"]
        one.world.behave(refuse=None)
        clock.ahead_s += 120
        await until(lambda: sql.fetchval(TRYING))  # the next one is let through
        await one.say(chats[0], "4")
        await one.world.until(lambda: got(one.world, PHONES[0]) == ["4"])
        told = {row[0] for row in await sql.fetch("SELECT detail FROM attempts")}
        assert {
            "by spare (lab: the sandbox refuses with 20503)",
            "by spare (lab is paused)",
        } <= told
        await until(lambda: _said(seen, "Resumed"))
        assert got(spare(one), PHONES[0]) == ["1", "2", "3"]


async def test_what_may_have_happened_waits_for_who_knows(dsn: str) -> None:
    """The answer was lost, the carrier is paused: nobody else may send that message."""
    clock = AheadClock()
    async with house(dsn, None, clock, **duo(carriers=SLOW)) as one:
        chats = [await one.conversation(phone) for phone in PHONES]
        one.world.behave(cut="after", statuses=False)
        await asyncio.gather(*(one.say(ch, "once") for ch in chats))
        await until(lambda: paused(one))
        await until(lambda: _all_have_it(one))  # also what was on its way when that began
        taken = {phone for phone in PHONES if got(one.world, phone)}
        await asyncio.gather(*(one.say(ch, "then") for ch in chats))
        others = [phone for phone in PHONES if phone not in taken]
        await until(lambda: _all(spare(one), ["once", "then"], others))
        assert all(got(spare(one), phone) == [] for phone in taken)
        one.world.behave(cut=None)
        clock.ahead_s += 120
        await one.world.until(lambda: all(got(one.world, p) == ["once", "then"] for p in taken))
        assert all(got(spare(one), phone) == [] for phone in taken)


async def test_when_both_are_away_all_waits_for_either(dsn: str, sql: asyncpg.Connection) -> None:
    clock = AheadClock()
    async with house(dsn, None, clock, **duo()) as one:
        one.world.behave(**AWAY)
        spare(one).behave(**AWAY)
        await talk(one, "1", "2")
        await until(lambda: sql.fetchval(f"SELECT ({HELD}) = {len(PHONES)}"))
        assert sorted(await paused(one)) == ["lab", "spare"]
        spare(one).behave(refuse=None)
        clock.ahead_s += 800
        await until(lambda: _all(spare(one), ["1", "2"]))
        assert all(got(one.world, phone) == [] for phone in PHONES)


async def test_what_only_the_fallback_carries_goes_once_that_one_is_well(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """The first carrier is well all the time and has no MMS: nobody else tries the other."""
    clock, seen = AheadClock(), Seen()
    sms = {**WHATSAPP_ONLY, "channels": {"sms": "sms"}}
    sender = {"address": SMS, "carrier": "plain", "fallback_carrier": "lab"}
    given = duo(
        carriers={"plain": sms, "lab": duo()["carriers"]["lab"]},
        senders=[{**sender, "messaging_service": "default"}],
    )
    async with house(dsn, seen.observe, clock, **given) as one:
        chats = [await _chat(one, phone) for phone in PHONES]
        one.world.behave(**AWAY)
        await asyncio.gather(*(_picture(one, ch) for ch in chats))
        await until(lambda: paused(one))
        await until(lambda: sql.fetchval(WAITED, len(PHONES)))
        await until(lambda: sql.fetchval(f"SELECT ({HELD}) = {len(PHONES)}"))
        assert await sql.fetchval(SPINS) == len(PHONES), "each found out once"
        one.world.behave(refuse=None)
        clock.ahead_s += 120
        await one.world.until(lambda: all(got(one.world, phone) for phone in PHONES))
        await until(lambda: _said(seen, "Resumed"))
        assert one.world.records.doubles() == []
        assert await sql.fetchval(f"SELECT ({HELD}) = 0")
        assert await sql.fetchval(SPINS) <= 2 * len(PHONES)


async def test_what_stands_behind_goes_by_the_first_once_the_head_has_gone(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """A lane that waited for the fallback for the sake of its head has its whole route again."""
    clock = AheadClock()
    plain = {**WHATSAPP_ONLY, "channels": {"sms": "sms"}}
    sender = {"address": SMS, "carrier": "plain", "fallback_carrier": "lab"}
    given = duo(
        carriers={"plain": plain, "lab": duo()["carriers"]["lab"]},
        senders=[{**sender, "messaging_service": "default"}],
    )
    async with house(dsn, None, clock, **given) as one:
        chats = [await _chat(one, phone) for phone in PHONES]
        one.world.behave(**AWAY)
        await asyncio.gather(*(_picture(one, ch) for ch in chats))
        await until(lambda: sql.fetchval(f"SELECT ({HELD}) = {len(PHONES)}"))
        names = "SELECT DISTINCT endpoint FROM lanes WHERE endpoint LIKE 'd:%'"
        assert [row[0] for row in await sql.fetch(names)] == ["d:lab|plain,lab"]
        await one.say(chats[0], "words behind")
        await until(lambda: sql.fetchval(f"SELECT ({HELD}) = {len(PHONES)}"))
        one.world.behave(refuse=None)
        clock.ahead_s += 120
        await one.world.until(lambda: len(got(one.world, PHONES[0])) == 2)
        assert got(one.world, PHONES[0])[1] == "words behind"
        await until(lambda: _all_settled(sql))
        _, tried = await sql.fetch(TRIED, chats[0])
        assert tried[0].startswith("by lab (plain: "), "the first was tried"


async def test_what_the_fallback_may_have_is_asked_about_whoever_else_is_tried(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """Both are paused and both pauses end: the turn of the first is of no use to these."""
    clock, seen = AheadClock(), Seen()
    async with house(dsn, seen.observe, clock, **duo(carriers=SLOW)) as one:
        chats = [await one.conversation(phone) for phone in PHONES[:3]]
        one.world.behave(**AWAY)
        spare(one).behave(cut="after", statuses=False)
        await asyncio.gather(*(one.say(ch, "once") for ch in chats))
        await until(lambda: _paused(one, "lab", "spare"))
        clock.ahead_s += 31
        await until(lambda: sql.fetchval(f"SELECT ({HELD}) = 3"))
        spare(one).behave(cut=None)
        clock.ahead_s += 120
        await until(lambda: _said(seen, "Resumed"))
        clock.ahead_s += 5
        await until(lambda: _all_settled(sql))
        await until(lambda: _paused(one, "lab"))
        assert all(got(spare(one), phone) == ["once"] for phone in PHONES[:3])
        assert all(got(one.world, phone) == [] for phone in PHONES)


async def test_what_the_fallback_may_have_waits_without_attempts_until_that_one_is_well(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """The first carrier is well, and nobody else tries the other."""
    clock, seen = AheadClock(), Seen()
    async with house(dsn, seen.observe, clock, **duo(carriers=SLOW)) as one:
        chats = [await one.conversation(phone) for phone in PHONES]
        spare(one).behave(cut="after", statuses=False)
        for ch, phone, other in zip(chats[:3], PHONES[:3], chats[3:], strict=True):
            one.world.behave(phone, **AWAY)
            await one.say(ch, "once")
            await until(lambda phone=phone: _all(spare(one), ["once"], [phone]))
            await one.say(other, "well")
            await until(lambda: _is_done(sql, "accepted"))
            await sql.execute("DELETE FROM attempts WHERE outcome = 'accepted'")
        await until(lambda: _paused(one, "spare"))
        clock.ahead_s += 31
        await until(lambda: sql.fetchval(WAITED, 3))
        assert [row["attempts"] for row in await sql.fetch(WAITING)] == [1, 1, 1]
        clock.ahead_s += 120
        await until(lambda: _said(seen, "Resumed"))
        clock.ahead_s += 5
        await until(lambda: _all_settled(sql))
        await until(lambda: _paused(one))
        assert all(got(spare(one), phone) == ["once"] for phone in PHONES[:3])


async def test_a_carrier_that_cannot_carry_it_is_no_fallback(dsn: str) -> None:
    """It carries another channel: the message waits for its own."""
    lab = {"kind": "sandbox", "secret": "s"}
    given = duo(carriers={"lab": lab, "spare": WHATSAPP_ONLY})
    async with house(dsn, **given) as one:
        ch = await one.conversation(PHONES[0])
        one.world.behave(**AWAY, times=2)
        message = await one.say(ch, "waits")
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 2)
        assert got(one.world, PHONES[0]) == ["waits"]
        entries = (await one.get(f"/ops/trace/{message['sid']}"))["entries"]
        tried = [entry["outcome"] for entry in entries if entry["what"] == "attempt"]
        assert tried == ["temporary", "temporary", "accepted"]


async def test_by_whom_it_goes_is_changed_by_an_index(sql: asyncpg.Connection) -> None:
    asked = f"EXPLAIN {deliveries.REROUTE}"
    async with sql.transaction():
        await sql.execute("SET LOCAL enable_seqscan = off")  # tables of a row are read whole
        rows = await sql.fetch(asked, "d:1", "a", "IM1", SMS, "DY1", "spare")
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan, plan


async def _all(world: World, bodies: list[str], phones: list[str] = PHONES) -> bool:
    return all(got(world, phone) == bodies for phone in phones)


async def _all_have_it(one: House) -> bool:
    return all(got(one.world, phone) + got(spare(one), phone) for phone in PHONES)


async def _said(seen: Seen, word: str) -> bool:
    return word in seen.words


async def _paused(one: House, *carriers: str) -> bool:
    return sorted(await paused(one)) == sorted(carriers)


async def _all_settled(sql: asyncpg.Connection) -> bool:
    return await sql.fetch(WAITING) == []


async def _is_done(sql: asyncpg.Connection, outcome: str) -> bool:
    return bool(await sql.fetchval("SELECT count(*) > 0 FROM attempts WHERE outcome = $1", outcome))


async def _chat(one: House, phone: str) -> str:
    sid: str = (await one.post("/v1/Conversations"))["sid"]
    binding = {"MessagingBinding_Address": phone, "MessagingBinding_ProxyAddress": SMS}
    await one.post(f"/v1/Conversations/{sid}/Participants", **binding)
    return sid


async def _picture(one: House, conversation: str) -> None:
    chat = (await one.get(f"/v1/Conversations/{conversation}"))["chat_service_sid"]
    url = f"{one.service.url}/v1/Services/{chat}/Media?Filename=a.png"
    headers = {"Content-Type": "image/png"}
    async with one.http.post(url, data=PNG, headers=headers) as response:
        assert response.status == 201, await response.text()
        made = await response.json()
    await one.say(conversation, "look", MediaSid=made["sid"])
