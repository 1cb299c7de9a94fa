"""`parley explain`: the road's own decision, and nothing is changed by asking."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from app import ids
from app.errors import Invalid
from app.model import AddressConfiguration
from app.model.traffic import Inbound
from app.ops.explain import Explanation, as_json, explain, text
from app.road.items import Arrival, Taken
from app.road.walk import Walker
from app.settings.models import Settings
from app.store.database import Database
from tests.ops.conftest import SERVICE, Build, House
from tests.support.settings import ACCOUNT, SMS, WHATSAPP, settings

THEM, OTHER = "+15551230001", "+15551230002"
LONELY, HOOKED = "+15005550001", "+15005550002"


@pytest.fixture
def chosen() -> Settings:
    senders = [
        {"address": SMS, "carrier": "lab", "messaging_service": "default"},
        {"address": WHATSAPP, "carrier": "lab"},
        {"address": LONELY, "carrier": "lab"},
        {
            "address": HOOKED,
            "carrier": "lab",
            "webhook": {"url": "https://u:p@app.example.com/sms?token=secret"},
        },
    ]
    return settings(senders=senders)


@pytest.fixture
async def house(db: Database, build: Build, chosen: Settings) -> House:
    made: House = await build(db, chosen)
    async with db.begin() as tx:
        await tx.add(
            AddressConfiguration(
                sid=ids.new(ids.ADDRESS_CONFIGURATION),
                account_sid=ACCOUNT,
                type="whatsapp",
                address=WHATSAPP,
                auto_enabled=True,
                auto_type="webhook",
                auto_webhook_url="https://crm.example.com/hook?token=secret",
                auto_webhook_filters=["onMessageAdded"],
                default_identities=["ann"],
                date_created=tx.now,
                date_updated=tx.now,
            )
        )
    return made


async def ask(house: House, to: str, from_: str = THEM, body: str | None = None) -> Explanation:
    """Ask in a transaction that may not change anything."""
    async with house.sql.transaction(readonly=True):
        return await explain(house.sql, house.runtime.settings, to, from_, body)


async def arrive(house: House, to: str, from_: str) -> Taken:
    walker = Walker(house.runtime)
    channel = "whatsapp" if to.startswith("whatsapp:") else "sms"
    inbound = Inbound("lab", ids.token(), channel, from_, to, "hi", form={"Body": "hi"})
    (taken,) = await walker([Arrival(ACCOUNT, inbound)])
    await walker.close()
    assert isinstance(taken, Taken)
    return taken


@pytest.mark.parametrize(
    ("to", "from_", "rule", "outcome"),
    [
        (SMS, THEM, "messaging_service", "created"),
        (WHATSAPP, "whatsapp:" + THEM, "address", "created"),
        (LONELY, THEM, "none", "dropped"),
        (HOOKED, THEM, "sender_webhook", "forwarded"),
        ("+15005550099", THEM, "sender", "dropped"),
    ],
)
async def test_the_road_does_what_was_explained(
    house: House, to: str, from_: str, rule: str, outcome: str
) -> None:
    explained = await ask(house, to, from_)
    assert (explained.rule, explained.outcome) == (rule, outcome)
    taken = await arrive(house, to, from_)
    assert (taken.rule, taken.outcome) == (rule, outcome)
    if outcome == "created":
        again = await ask(house, to, from_)
        assert (again.rule, again.outcome) == ("binding", "joined")
        assert again.conversation_sid == taken.conversation_sid


async def test_what_would_be_created(house: House) -> None:
    explained = await ask(house, WHATSAPP, "whatsapp:" + THEM)
    assert explained.creates is not None
    assert explained.creates["type"] == "webhook"
    assert explained.creates["identities"] == ["ann"]
    assert explained.creates["webhook_url"] == "https://crm.example.com/hook"
    assert explained.creates["pair"]["address"] == "whatsapp:***0001"
    assert explained.not_asked == ("messaging_service", "sender_webhook")
    assert [rule for rule, _ in explained.steps] == ["sender", "binding", "address"]


async def test_who_would_receive_it(house: House) -> None:
    sid = await house.conversation()
    await house.pair(sid, THEM)
    other = await house.pair(sid, OTHER)
    gone = await house.pair(sid, "+15551230003", "+15005550077")
    explained = await ask(house, SMS, THEM, "x")
    assert {one.participant_sid: one.status for one in explained.recipients} == {
        other: "queued",
        gone: "failed",
    }
    too_long = await ask(house, SMS, THEM, "x" * 5000)
    assert {one.status for one in too_long.recipients} == {"failed"}


async def test_the_explanation_in_words(house: House) -> None:
    sid = await house.conversation()
    await house.pair(sid, THEM)
    await house.pair(sid, OTHER)
    words = text(await ask(house, SMS))
    assert words.splitlines()[0] == (
        f"A message from ***0001 to {SMS} would be joined by rule binding."
    )
    assert "not asked: an earlier rule takes it" in words
    assert "***0002" in words
    assert THEM not in words
    assert OTHER not in words
    forwarded = text(await ask(house, HOOKED))
    assert "The original form would go to https://app.example.com/sms." in forwarded
    created = text(await ask(house, WHATSAPP, "whatsapp:" + THEM))
    assert "It would create a conversation:" in created
    assert "secret" not in created + forwarded
    dropped = text(await ask(house, LONELY))
    assert "no rule takes messages to this address" in dropped


async def test_the_explanation_for_programs(house: House) -> None:
    body: dict[str, Any] = as_json(await ask(house, SMS))
    assert (body["rule"], body["outcome"]) == ("messaging_service", "created")
    assert body["steps"][0]["rule"] == "sender"
    assert body["creates"]["chat_service_sid"] == (house.runtime.settings.service_sid("default"))


async def test_what_is_no_address_is_refused(sql: asyncpg.Connection) -> None:
    with pytest.raises(Invalid, match="From is not an address"):
        await explain(sql, settings(), SMS, "nobody")


async def test_the_service_of_the_configuration_is_shown(house: House) -> None:
    await house.sql.execute("UPDATE address_configurations SET auto_service_sid = $1", SERVICE)
    explained = await ask(house, WHATSAPP, "whatsapp:" + THEM)
    assert (explained.creates or {})["chat_service_sid"] == SERVICE


async def test_a_group_text_is_explained_by_its_set_of_numbers(
    db: Database, house: House, chosen: Settings
) -> None:
    ann, bob = "+15558675310", "+15558675311"
    async with db.begin() as tx:
        found = await explain(tx.sql, chosen, SMS, ann, None, [bob, SMS])
        far = await explain(tx.sql, chosen, SMS, ann, None, ["+442071838750"])
    assert (found.outcome, found.rule) == ("created", "messaging_service")
    assert found.creates is not None
    assert len(found.creates["addresses"]) == 2
    assert found.creates["projected_addresses"] == [SMS]
    assert "pair" not in found.creates
    assert "projected_addresses" in text(found)
    assert far.outcome == "dropped"
    assert "United States and Canada" in dict(far.steps)["messaging_service"]
    walker = Walker(house.runtime)
    inbound = Inbound("lab", "MM1", "mms", ann, SMS, body="hi", others=(bob,))
    [taken] = await walker([Arrival(ACCOUNT, inbound)])
    await walker.close()
    assert isinstance(taken, Taken)
    async with db.begin() as tx:
        found = await explain(tx.sql, chosen, SMS, bob, None, [ann])
    assert (found.outcome, found.conversation_sid) == ("joined", taken.conversation_sid)
    assert found.recipients == (), "it is on every phone already"
