"""Messages that would come at night wait for the morning, in their order, and say why."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from app.clock import Clock
from tests.support.clock import AheadClock
from tests.support.house import House, house
from tests.support.settings import SMS, WHATSAPP

MARIA, TOM = "+15551230001", "whatsapp:+15551230003"
LAB = {"carrier": "lab", "messaging_service": "default"}


def night(**more: Any) -> dict[str, Any]:
    """Quiet hours that began an hour ago and end in five."""
    now = Clock().now()
    start, end = now - timedelta(hours=1), now + timedelta(hours=5)
    return {"start": f"{start:%H:%M}", "end": f"{end:%H:%M}", "time_zone": "UTC", **more}


def senders(**more: Any) -> list[dict[str, Any]]:
    return [{"address": SMS, **LAB, **more}, {"address": WHATSAPP, **LAB}]


async def waiting(one: House, message: dict[str, Any]) -> tuple[str, datetime]:
    """Why a message waits, as a trace tells it, and until when."""
    trace = await one.get(f"/ops/trace/{message['sid']}")
    [reason] = [e["detail"] for e in trace["entries"] if e.get("outcome") == "postponed"]
    [due] = [e["at"] for e in trace["entries"] if e["what"] == "waiting"]
    return reason, datetime.fromisoformat(due.replace("Z", "+00:00")).astimezone(UTC)


async def postponed(one: House, count: int = 1) -> None:
    """Until so many attempts were put off."""
    page = ""
    async with asyncio.timeout(10):
        while f'outcome="postponed",reason="none"}} {count}.0' not in page:
            async with one.http.get(f"{one.service.url}/metrics") as response:
                page = await response.text()


async def test_a_message_waits_for_the_end_of_the_night_and_those_behind_it_too(dsn: str) -> None:
    clock, hours = AheadClock(), night()
    async with house(dsn, clock=clock, senders=senders(quiet_hours=[hours])) as one:
        ch = await one.conversation(MARIA)
        messages = [await one.say(ch, f"{n}") for n in range(3)]
        free = await one.conversation(TOM, WHATSAPP)
        await one.say(free, "another sender has no quiet hours")
        await postponed(one)
        await one.world.until(lambda: len(one.world.phone(TOM).received) == 1)
        reason, due = await waiting(one, messages[0])
        assert reason == f"quiet hours in UTC until {hours['end']}"
        assert f"{due:%H:%M}" == hours["end"]
        assert one.world.phone(MARIA).received == []
        clock.ahead_s += timedelta(hours=6).total_seconds()
        one.service.runtime.wakes.ring("delivery")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 3)
        assert [got.body for got in one.world.phone(MARIA).received] == ["0", "1", "2"]
        receipt = (await one.receipts(messages[0]))[0]
        assert receipt["error_code"] in (None, 0)


async def test_a_pool_has_quiet_hours_for_a_channel_and_answers_to_words_go(dsn: str) -> None:
    pool = {"default": {"autocreate": True, "quiet_hours": [night(channels=["sms"])]}}
    words = {"replies": "parley", "help_reply": "Ask us anything."}
    given = senders(opt_outs=words)
    async with house(dsn, senders=given, messaging_services=pool) as one:
        ch = await one.conversation(MARIA)
        await one.conversation(MARIA, body="HELP")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 1)
        await one.say(ch, "waits")
        other = await one.conversation(TOM, WHATSAPP)
        await one.say(other, "goes")
        await one.world.until(lambda: len(one.world.phone(TOM).received) == 1)
        await postponed(one)
        assert [got.body for got in one.world.phone(MARIA).received] == ["Ask us anything."]
