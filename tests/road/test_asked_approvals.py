"""What WhatsApp thinks of templates at Twilio: asked for, and handed in, a few at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from app.inbound.approvals import Approvals
from app.observe import Observe, Said
from tests.road.test_templates import HELLO, content, made_of, started, submit
from tests.support.clock import AheadClock
from tests.support.house import House, house
from tests.support.settings import WHATSAPP
from tests.support.twilio_contents import (
    TwilioContents,
    contents_standing_in,
    throttled,
)
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, TwilioStandIn, standing_in

TOM = "whatsapp:+15551230003"
THEIRS = "HX" + "77" * 16
MINUTES_5, HOUR = 300.0, 3600.0


@dataclass
class Account:
    """A running house whose carrier is an account at Twilio, with templates there."""

    house: House
    clock: AheadClock
    twilio: TwilioStandIn
    contents: TwilioContents
    said: list[Said] = field(default_factory=list)

    async def made(self, sid: str = THEIRS, **approval: Any) -> str:
        """A template of ours, and how it stands at Twilio; gives its SID here."""
        self.contents.made(sid, **approval)
        return await content(self.house, HELLO, carriers={"lab": {"sid": sid}})

    async def turn(self, after_s: float = 0.0) -> None:
        """Time passes and the bell rings."""
        self.clock.ahead_s += after_s
        await Approvals(self.house.service.runtime).turn()

    async def stands(self, sid: str) -> tuple[str, str]:
        """How a template stands here, and why it was rejected."""
        told = (await self.house.get(f"/v1/Content/{sid}/ApprovalRequests"))["whatsapp"]
        return told["status"], told["rejection_reason"]


@asynccontextmanager
async def account(dsn: str, token: str = AUTH_TOKEN, **sections: Any) -> AsyncIterator[Account]:
    clock, observe, said = AheadClock(), Observe(), list[Said]()
    observe.to(lambda one: said.append(one) if isinstance(one, Said) else None)
    async with standing_in() as (twilio, base_url), contents_standing_in() as (contents, url):
        lab = {"kind": "twilio", "account_sid": ACCOUNT_SID, "auth_token": token}
        given: dict[str, Any] = {
            "carriers": {"lab": lab | {"base_url": base_url, "content_url": url}},
            "senders": [{"address": WHATSAPP, "carrier": "lab"}],
        }
        async with house(dsn, observe, clock, **given | sections) as one:
            yield Account(one, clock, twilio, contents, said)


async def test_what_was_approved_at_twilio_opens_a_conversation_here(dsn: str) -> None:
    async with account(dsn) as one:
        ours = await one.made(name="hello", category="UTILITY", status="approved")
        assert await one.stands(ours) == ("unsubmitted", "")
        await one.turn()
        assert await one.stands(ours) == ("approved", "")
        await made_of(one.house, await started(one.house, TOM, WHATSAPP), ours)
        await one.twilio.world.until(lambda: bool(one.twilio.world.phone(TOM).received))
        assert one.twilio.requests[0]["ContentSid"] == [THEIRS]


async def test_a_request_made_here_is_handed_in_and_asked_about_until_it_is_decided(
    dsn: str,
) -> None:
    async with account(dsn) as one:
        ours = await one.made()
        await one.turn()
        assert (one.contents.asked, one.contents.submitted) == ([THEIRS], [])
        await submit(one.house, ours, name="hello_there")
        await one.turn()
        wanted = {"name": "hello_there", "category": "UTILITY", "allow_category_change": True}
        assert one.contents.submitted == [(THEIRS, wanted)]
        assert await one.stands(ours) == ("received", "")
        await one.turn(MINUTES_5 - 30)
        assert len(one.contents.asked) == 2, "not yet"
        one.contents.approvals[THEIRS]["status"] = "pending"
        await one.turn(60)
        assert await one.stands(ours) == ("pending", "")
        one.contents.approvals[THEIRS] |= {"status": "rejected", "rejection_reason": "SCAM"}
        await one.turn(MINUTES_5 + 30)
        assert await one.stands(ours) == ("rejected", "SCAM")
        await one.turn(MINUTES_5 + 30)
        assert (len(one.contents.asked), len(one.contents.submitted)) == (4, 1)
        one.contents.approvals[THEIRS] |= {"status": "approved", "rejection_reason": ""}
        await one.turn(HOUR)
        assert await one.stands(ours) == ("approved", "")


async def test_a_request_that_is_made_while_carriers_are_asked_is_not_forgotten(dsn: str) -> None:
    async with account(dsn) as one:
        ours = await one.made()

        async def submitted() -> None:
            if len(one.contents.asked) == 1:
                await submit(one.house, ours)

        one.contents.meanwhile = submitted
        await one.turn()
        assert one.contents.submitted == []
        await one.turn()
        assert len(one.contents.submitted) == 1


async def test_a_request_whose_answer_is_lost_is_made_once(dsn: str) -> None:
    async with account(dsn) as one:
        ours = await one.made()
        await submit(one.house, ours)
        one.contents.cut = True
        await one.turn()
        await one.turn(MINUTES_5 + 30)
        assert await one.stands(ours) == ("received", "")
        assert (len(one.contents.submitted), len(one.contents.asked)) == (1, 2)


async def test_a_request_that_twilio_does_not_take_is_rejected_with_its_reason(dsn: str) -> None:
    async with account(dsn) as one:
        ours = await one.made()
        await submit(one.house, ours)
        one.contents.refuses = "The name is taken"
        await one.turn()
        assert await one.stands(ours) == ("rejected", "The name is taken")
        assert len(one.contents.submitted) == 1


async def test_a_throttled_account_is_left_alone_for_as_long_as_it_says(dsn: str) -> None:
    async with account(dsn) as one:
        sids = [f"HX{number:032x}" for number in range(3)]
        ours = [await one.made(sid, status="approved") for sid in sids]
        one.contents.troubles.append(throttled(900))
        await one.turn()
        assert len(one.contents.asked) == 1, "the others of this account wait, too"
        await one.turn(870)
        assert len(one.contents.asked) == 1
        await one.turn(60)
        assert len(one.contents.asked) == 4
        assert [await one.stands(sid) for sid in ours] == [("approved", "")] * 3


async def test_a_login_that_is_refused_is_said_without_it(dsn: str) -> None:
    async with account(dsn, token="wrong-token") as one:
        ours = await one.made(status="approved")
        await one.turn()
        await one.turn(HOUR / 2)
        assert len(one.contents.asked) == 1
        assert await one.stands(ours) == ("unsubmitted", "")
        warnings = [said.detail for said in one.said if said.event == "approvals"]
        assert warnings == [f"carrier lab does not tell of template {ours}: HTTP 401"]


async def test_what_the_file_says_of_an_approval_stays_and_others_are_not_asked_about(
    dsn: str,
) -> None:
    said = {
        "hello": {
            "language": "en",
            "types": HELLO,
            "variables": {"1": "you"},
            "approval": {"category": "UTILITY", "status": "paused"},
            "carriers": {"lab": {"sid": THEIRS}},
        },
        "named": {
            "language": "en",
            "types": HELLO,
            "variables": {"1": "you"},
            "carriers": {"lab": {"name": "named", "language": "en"}},
        },
    }
    async with account(dsn, contents=said) as one:
        one.contents.made(THEIRS, status="approved")
        await content(one.house, HELLO)
        await one.turn()
        assert one.contents.asked == []


async def test_a_few_at_a_time_are_asked_about_each_by_one_replica(dsn: str) -> None:
    async with account(dsn) as one:
        sids = [f"HX{number:032x}" for number in range(12)]
        for sid in sids:
            await one.made(sid, status="approved")
        await one.turn()
        assert len(one.contents.asked) == 5
        await asyncio.gather(one.turn(), one.turn())
        assert sorted(one.contents.asked) == sids
        await one.turn(HOUR + 30)
        assert len(one.contents.asked) == 17


async def test_what_is_no_contentsid_is_refused_and_never_asked_about(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """It would become part of a URL that the operator's login opens."""
    up = {"sid": "../../v2/Content/HX1?x="}
    async with account(dsn) as one:
        ours = await one.made()
        wanted = {"language": "en", "types": HELLO, "carriers": {"lab": up, "elsewhere": up}}
        path, url = "/v1/Content", one.house.service.url
        for method, place in (("POST", path), ("PUT", f"{path}/{ours}")):
            async with one.house.http.request(method, url + place, json=wanted) as response:
                status, said = response.status, await response.json()
            assert (status, said["code"]) == (400, 20001)
            assert said["message"].startswith("carriers.lab.sid is not HX")
        await sql.execute("UPDATE contents SET carriers = $1", json.dumps({"lab": up}))
        await one.turn()
        assert one.contents.asked == []
