"""Devices that registered for push notifications, through the official client."""

from __future__ import annotations

import pytest
from twilio.base.exceptions import TwilioRestException

from app import ids
from app.model import PushBinding

TYPES = ("apn", "fcm", "gcm", "twilsock")


async def register(world, service_sid: str, identity: str, type_: str) -> str:
    """A device, as an SDK registers it."""
    async with world.runtime.db.begin() as tx:
        binding = PushBinding(
            sid=ids.new(ids.PUSH_BINDING),
            account_sid=world.account_sid,
            chat_service_sid=service_sid,
            credential_sid=ids.new(ids.CREDENTIAL),
            identity=identity,
            endpoint=f"{identity}-endpoint",
            binding_type=type_,
            message_types=["new_message", "added_to_conversation"],
            date_created=tx.now,
            date_updated=tx.now,
        )
        await tx.add(binding)
    return binding.sid


@pytest.fixture
async def devices(world) -> dict[str, str]:
    """One device of each type for ann, and one of bob's."""
    sid = world.other_service_sid
    made = {type_: await register(world, sid, "ann", type_) for type_ in TYPES}
    return made | {"bob": await register(world, sid, "bob", "apn")}


async def test_bindings_are_fetched_and_deleted_with_the_official_client(world, devices) -> None:
    sid = devices["fcm"]
    fetched = await world.service(lambda service: service.bindings(sid).fetch())
    assert (fetched.identity, fetched.binding_type) == ("ann", "fcm")
    assert fetched.message_types == ["new_message", "added_to_conversation"]
    url = f"/v1/Services/{world.other_service_sid}/Bindings/{sid}"
    status, shown = await world.call("GET", url)
    assert (status, shown) == (
        200,
        {
            "sid": sid,
            "account_sid": world.account_sid,
            "chat_service_sid": world.other_service_sid,
            "credential_sid": fetched.credential_sid,
            "date_created": shown["date_created"],
            "date_updated": shown["date_created"],
            "endpoint": "ann-endpoint",
            "identity": "ann",
            "binding_type": "fcm",
            "message_types": ["new_message", "added_to_conversation"],
            "url": world.base + url,
        },
    )
    assert await world.service(lambda service: service.bindings(sid).delete())
    with pytest.raises(TwilioRestException) as gone:
        await world.service(lambda service: service.bindings(sid).fetch())
    assert (gone.value.status, gone.value.code) == (404, 20404)


async def test_bindings_are_listed_by_type_and_identity(world, devices) -> None:
    async def listed(**filters) -> set[str]:
        found = await world.service(lambda service: service.bindings.list(**filters))
        return {one.sid for one in found}

    anns = {devices[type_] for type_ in TYPES}
    assert await listed() == set(devices.values())
    assert await listed(identity=["ann"]) == anns
    assert await listed(identity=["ann", "bob"]) == set(devices.values())
    assert await listed(binding_type=["apn"]) == {devices["apn"], devices["bob"]}
    assert await listed(binding_type=["gcm", "fcm"]) == {devices["gcm"], devices["fcm"]}
    assert await listed(binding_type=["apn"], identity=["ann"]) == {devices["apn"]}
    assert await listed(identity=["nobody"]) == set()


async def test_every_filter_stays_in_the_links(world, devices) -> None:
    path = f"/v1/Services/{world.other_service_sid}/Bindings"
    url = f"{path}?BindingType=apn&BindingType=gcm&Identity=ann&Identity=bob&PageSize=1"
    found = []
    while url:
        _, body = await world.call("GET", url)
        found += [one["sid"] for one in body["bindings"]]
        url = body["meta"]["next_page_url"]
    assert found == [devices["apn"], devices["gcm"], devices["bob"]]
    assert body["meta"]["key"] == "bindings"


async def test_a_type_that_is_none_is_refused(world) -> None:
    path = f"/v1/Services/{world.service_sid}/Bindings?BindingType=pigeon"
    status, body = await world.call("GET", path)
    assert (status, body["code"], body["message"]) == (400, 50209, "Invalid binding type")


async def test_a_binding_of_another_service_is_not_found(world, devices) -> None:
    for sid in (devices["apn"], "x"):
        for method in ("GET", "DELETE"):
            path = f"/v1/Services/{world.service_sid}/Bindings/{sid}"
            assert (await world.call(method, path))[0] == 404
    assert (await world.call("GET", "/v1/Bindings"))[0] == 404
