"""Address configurations through the official client."""

from __future__ import annotations

import pytest
from twilio.base.exceptions import TwilioRestException

from app import ids

from .conftest import OURS, OURS_TOO, OURS_WHATSAPP

FLOW = "FW" + "a" * 32
PATH = "/v1/Configuration/Addresses"


async def test_a_configuration_lives_through_the_official_client(world) -> None:
    made = await world.api(
        lambda v1: v1.address_configurations.create(
            type="sms",
            address=OURS,
            friendly_name="My Test Configuration",
            auto_creation_enabled=True,
            auto_creation_type="webhook",
            auto_creation_conversation_service_sid=world.other_service_sid,
            auto_creation_webhook_url="https://example.com/hook",
            auto_creation_webhook_method="POST",
            auto_creation_webhook_filters=["onParticipantAdded", "onMessageAdded"],
            address_country="us",
        )
    )
    assert made.auto_creation == {
        "enabled": True,
        "type": "webhook",
        "conversation_service_sid": world.other_service_sid,
        "webhook_url": "https://example.com/hook",
        "webhook_method": "POST",
        "webhook_filters": ["onParticipantAdded", "onMessageAdded"],
    }
    fetched = await world.api(lambda v1: v1.address_configurations(OURS).fetch())
    assert (fetched.sid, fetched.address_country) == (made.sid, "US")
    changed = await world.api(
        lambda v1: v1.address_configurations(made.sid).update(
            auto_creation_enabled=False,
            auto_creation_type="studio",
            auto_creation_studio_flow_sid=FLOW,
            auto_creation_studio_retry_count=3,
            friendly_name="Updated",
        )
    )
    assert changed.auto_creation == {
        "enabled": False,
        "type": "studio",
        "conversation_service_sid": world.other_service_sid,
        "studio_flow_sid": FLOW,
        "studio_retry_count": 3,
    }
    assert await world.api(lambda v1: v1.address_configurations(OURS).delete())
    assert await world.api(lambda v1: v1.address_configurations.list()) == []


async def test_the_json_is_exactly_the_documented_one(world) -> None:
    form = {"Type": "whatsapp", "Address": OURS_WHATSAPP, "AutoCreation.Enabled": "true"}
    status, made = await world.call("POST", PATH, form)
    assert status == 201
    assert made == {
        "account_sid": world.account_sid,
        "sid": made["sid"],
        "address": OURS_WHATSAPP,
        "type": "whatsapp",
        "friendly_name": None,
        "address_country": None,
        "auto_creation": {"enabled": True, "type": "default"},
        "date_created": made["date_created"],
        "date_updated": made["date_created"],
        "url": f"{world.base}{PATH}/{made['sid']}",
    }
    for key in (OURS_WHATSAPP, OURS_WHATSAPP.replace(":+", ":%2B"), made["sid"].upper()):
        key = made["sid"] if key.startswith("IG") else key
        assert (await world.call("GET", f"{PATH}/{key}")) == (200, made)


async def test_lists_are_filtered_by_type(world) -> None:
    for type_, address in (("sms", OURS), ("sms", OURS_TOO), ("whatsapp", OURS_WHATSAPP)):
        await world.call("POST", PATH, {"Type": type_, "Address": address})
    found = await world.api(lambda v1: v1.address_configurations.list())
    assert [one.address for one in found] == [OURS, OURS_TOO, OURS_WHATSAPP]
    found = await world.api(lambda v1: v1.address_configurations.list(type="whatsapp"))
    assert [one.address for one in found] == [OURS_WHATSAPP]


async def test_an_address_has_one_configuration(world) -> None:
    form = {"type": "sms", "address": OURS}
    await world.api(lambda v1: v1.address_configurations.create(**form))
    with pytest.raises(TwilioRestException) as refused:
        await world.api(lambda v1: v1.address_configurations.create(**form))
    assert (refused.value.status, refused.value.code) == (409, 20409)


async def test_what_the_yaml_declares_can_be_read_but_not_changed(world) -> None:
    _, made = await world.call("POST", PATH, {"Type": "sms", "Address": OURS})
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE address_configurations SET declared_as = 'config/parley.yaml: addresses[0]'"
            " WHERE sid = $1",
            made["sid"],
        )
    assert (await world.call("GET", made["url"]))[0] == 200
    for method in ("POST", "DELETE"):
        status, body = await world.call(method, made["url"], {"FriendlyName": "x"})
        assert (status, body["code"]) == (409, 20409)
        assert "config/parley.yaml: addresses[0]" in body["message"]


async def test_an_account_has_addresses_and_a_service_has_none(world) -> None:
    tree = f"/v1/Services/{world.service_sid}"
    status, _ = await world.call("GET", f"{tree}/Configuration/Addresses")
    assert status == 404
    status, body = await world.call("GET", f"{PATH}/{ids.new('IG')}")
    assert (status, body["code"]) == (404, 20404)


async def test_echo_and_payload_of_a_rules_webhook_are_set_and_not_shown(world) -> None:
    form = {
        "Type": "sms",
        "Address": OURS,
        "AutoCreation.Type": "webhook",
        "AutoCreation.WebhookUrl": "https://example.com/h",
        "AutoCreation.WebhookFilters": "onMessageAdded",
    }
    ours = {"AutoCreation.WebhookEcho": "true", "AutoCreation.WebhookPayload": "enriched"}
    _, made = await world.call("POST", PATH, form)
    status, changed = await world.call("POST", made["url"], ours)
    assert (status, changed["auto_creation"]) == (200, made["auto_creation"])
    async with world.runtime.db.begin() as tx:
        row = await tx.sql.fetchrow(
            "SELECT auto_webhook_echo, auto_webhook_payload FROM address_configurations"
            " WHERE sid = $1",
            made["sid"],
        )
    assert tuple(row) == (True, "enriched")
    for name in ours:
        status, body = await world.call("POST", made["url"], {name: "x"})
        assert (status, body["code"], body["message"]) == (400, 20001, f"Invalid {name}")
