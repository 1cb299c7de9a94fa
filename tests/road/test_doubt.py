"""What became of a send whose answer was lost is asked whatever may be sent by now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.delivery.attempt import attempt
from app.delivery.pauses import Pauses
from app.model.traffic import Accepted, ContentTemplate, Outgoing
from app.observe import Observe
from app.runtime import Runtime
from app.store.database import Database
from app.store.deliveries import Parcel
from app.store.outbox import Claimed
from app.store.standing import Standing
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
