"""What became of a send whose answer was lost is asked whatever may be sent by now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.delivery.attempt import attempt
from app.delivery.pauses import Pauses
from app.delivery.settle import Settler
from app.delivery.tried import Tried
from app.model.traffic import Accepted, ContentTemplate, Outgoing, Status
from app.observe import Observe
from app.runtime import Runtime
from app.store import outbox
from app.store.database import Database
from app.store.deliveries import Parcel
from app.store.outbox import Claimed
from app.store.standing import Standing
from tests.road.conftest import Open
from tests.support.clock import TurnedClock
from tests.support.settings import ACCOUNT, settings

REPLY = {"twilio/quick-reply": {"body": "x", "actions": [{"title": "Yes", "id": "y"}]}}
RECEIPT = "DY" + "0" * 32


class Remembering:
    """A carrier that took it."""

    name, groups, can_look_up, look_up_after_s = "lab", False, True, 0.0

    async def look_up(self, outgoing: Outgoing, context: Any) -> Sequence[Accepted]:
        assert outgoing.reference == RECEIPT
        return [Accepted("SM1")]

    async def send(self, outgoing: Outgoing, context: Any) -> Accepted:
        raise AssertionError("it was sent before")


@pytest.mark.parametrize("age_s", [86_390, 86_410])
async def test_a_session_that_ended_meanwhile_makes_nothing_of_what_was_accepted(
    db: Database, clock: TurnedClock, age_s: int
) -> None:
    nobody: Any = None
    carriers = {"lab": cast(Any, Remembering())}
    runtime = Runtime(settings(), db, nobody, nobody, clock, Observe(), carriers, "http://p")
    now, before = clock.now(), clock.now() - timedelta(minutes=1)
    item = SimpleNamespace(
        seq=1,
        account_sid=ACCOUNT,
        receipt_sid=RECEIPT,
        event=None,
        params=None,
        part=0,
        instead=None,
        attempts=2,
        unknown_since=before,
        created_at=before,
        started_at=now,
    )
    parcel = Parcel(
        channel="whatsapp",
        address="whatsapp:+15551230002",
        proxy_address="whatsapp:+15005550010",
        carrier="lab",
        external_id=None,
        status="queued",
        body="x",
        date_created=before,
        media=(),
        template=ContentTemplate("HX", "en", REPLY),
        standing=Standing(now - timedelta(seconds=age_s)),
    )
    tried = await attempt(runtime, Pauses(runtime.settings.delivery), cast(Claimed, item), parcel)
    assert (tried.outcome, tried.accepted) == ("accepted", Accepted("SM1"))


async def test_what_came_early_about_a_second_copy_says_nothing_of_the_first(
    open_road: Open,
) -> None:
    """It was sent again (`on_unknown: resend`), and meanwhile a callback told of the first send."""
    async with open_road() as road:
        taken = await road.arrive("SM0")
        await road.post(taken.conversation_sid, "agent")
        receipt = await road.sql.fetchval("SELECT sid FROM receipts")
        settler = Settler(road.runtime, Pauses(road.runtime.settings.delivery))
        async with road.runtime.db.begin() as tx:
            [item] = await outbox.claim(
                tx.sql, "delivery", limit=10, lease="l", now=tx.now, lease_s=60, rates={}
            )
        await settler([Status("lab", "SM2", "failed", 30005)])
        await settler([Status("lab", "SM1", "delivered", receipt_sid=receipt)])
        assert await settler([Tried(item, "accepted", Accepted("SM2"))]) == [True]
        await settler.close()
        row = await road.sql.fetchrow("SELECT external_id, status FROM receipts")
        assert tuple(row) == ("SM1", "delivered")
        assert await road.sql.fetchval("SELECT count(*) FROM early_statuses") == 0
        assert await road.sql.fetchval("SELECT count(*) FROM outbox WHERE kind = 'delivery'") == 0
