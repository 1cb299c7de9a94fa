"""Whole roads through a provider that only a YAML file describes: config/plivo.yaml, as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.carriers import discover
from app.settings.load import load
from tests.support.house import House, house
from tests.support.plivo_stand_in import AUTH_ID, AUTH_TOKEN, PlivoStandIn, standing_in

EXAMPLE = Path(__file__).parents[2] / "config" / "plivo.yaml"
API = "https://api.plivo.com"
ENVIRONMENT = {
    "PARLEY_AUTH_TOKEN": "a-token",
    "PARLEY_PUBLIC_URL": "https://talk.example.com",
    "PLIVO_AUTH_ID": AUTH_ID,
    "PLIVO_AUTH_TOKEN": AUTH_TOKEN,
}
SMS, WHATSAPP = "+15005550006", "whatsapp:+15005550010"
PHONE = "+15551230001"
PICTURE = "https://media.example.com/1.png"


@dataclass
class Place:
    """A house whose only carrier is the described one, and the provider."""

    house: House
    provider: PlivoStandIn

    async def conversation(self, to: str = SMS, **parts: Any) -> str:
        """A phone writes to us; gives the conversation."""
        prefix = to.rpartition("+")[0]
        texted = await self.provider.world.phone(prefix + PHONE).text(to, "hello", **parts)
        assert texted.acknowledged, texted.tries
        listed = (await self.house.get("/v1/Conversations"))["conversations"]
        sid: str = listed[0]["sid"]
        return sid

    async def statuses(self, *expected: str) -> None:
        """Wait until the customer was told of these."""
        customer = self.house.customer
        await customer.until(
            lambda: (
                tuple(hook.form["Status"] for hook in customer.events("onDeliveryUpdated"))
                == expected
            )
        )


@pytest.fixture
async def place(dsn: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with standing_in() as (provider, url):
        path = tmp_path / "plivo.yaml"
        text = EXAMPLE.read_text()
        assert text.count(API) == 1
        path.write_text(text.replace(API, url))
        example = load(path, discover.kinds(), ENVIRONMENT)
        sections = {
            "carriers": dict(example.carriers),
            "senders": example.senders,
            "messaging_services": dict(example.messaging_services),
            "delivery": {"waits_s": [0.01], "jitter": 0},
        }
        async with house(dsn, **sections) as one:
            provider.world.inbound_url = f"{one.service.url}/carriers/plivo/inbound"
            yield Place(one, provider)


@pytest.mark.parametrize(
    ("to", "kind", "told"),
    [
        (SMS, "sms", ("sent", "delivered")),
        (WHATSAPP, "whatsapp", ("sent", "delivered", "read")),
    ],
)
async def test_a_message_makes_a_conversation_and_the_reply_arrives(
    place: Place, to: str, kind: str, told: tuple[str, ...]
) -> None:
    ch = await place.conversation(to)
    message = await place.house.say(ch, "hello & goodbye +1")
    await place.statuses(*told)
    phone = place.provider.world.phone(to.rpartition("+")[0] + PHONE)
    assert [got.body for got in phone.received] == ["hello & goodbye +1"]
    receipt = (await place.house.receipts(message))[0]
    assert (receipt["status"], receipt["error_code"]) == (told[-1], None)
    said = place.provider.requests[0]
    assert (said["src"], said["dst"]) == (to.rpartition("+")[2], "15551230001")
    assert (said["type"], "media_urls" in said) == (kind, False)


async def test_pictures_come_in(place: Place) -> None:
    ch = await place.conversation(media=[PICTURE])
    listed = (await place.house.get(f"/v1/Conversations/{ch}/Messages"))["messages"]
    assert [(one["author"], one["body"]) for one in listed] == [(PHONE, "hello")]
    assert [part["content_type"] for part in listed[0]["media"]] == ["image/png"]


async def test_a_message_that_comes_twice_is_one(place: Place) -> None:
    for _ in range(2):
        ch = await place.conversation(external_id="SM" + "5" * 32)
    listed = (await place.house.get(f"/v1/Conversations/{ch}/Messages"))["messages"]
    assert len(listed) == 1


async def test_an_undelivered_message_has_the_originals_code(place: Place) -> None:
    ch = await place.conversation()
    place.provider.world.behave(PHONE, bounce=30007)
    message = await place.house.say(ch, "buy now")
    await place.statuses("sent", "undelivered")
    assert (await place.house.receipts(message))[0]["error_code"] == 30007


async def test_a_refused_send_fails_its_receipt(place: Place) -> None:
    ch = await place.conversation()
    said = {"api_id": "0", "error": "Invalid dst"}
    place.provider.refusals = [web.json_response(said, status=400)]
    message = await place.house.say(ch, "hello")
    await place.statuses("failed")
    assert (await place.house.receipts(message))[0]["error_code"] == 30008
    assert len(place.provider.requests) == 1


@pytest.mark.parametrize("status", [429, 401, 404])
async def test_a_send_that_was_not_taken_is_tried_again(place: Place, status: int) -> None:
    ch = await place.conversation()
    place.provider.refusals = [web.json_response({"error": "later"}, status=status)]
    await place.house.say(ch, "hello")
    await place.statuses("sent", "delivered")
    assert len(place.provider.requests) == 2
    assert len(place.provider.world.phone(PHONE).received) == 1


async def test_a_forged_request_is_refused(place: Place) -> None:
    url = f"{place.house.service.url}/carriers/plivo/inbound"
    form = {"MessageUUID": "m1", "From": "15551230001", "To": "15005550006", "Text": "hi"}
    headers = {"X-Plivo-Signature-V2": "AAAA", "X-Plivo-Signature-V2-Nonce": "1"}
    async with place.house.http.post(url, data=form, headers=headers) as response:
        assert response.status == 403
    assert (await place.house.get("/v1/Conversations"))["conversations"] == []
