"""Devices that SDKs register for push notifications, and what the REST API then shows of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app import ids
from app.api import registrations
from app.errors import Denied, Invalid
from app.rules.access_tokens import Grant
from app.store.push_bindings import DEVICES_MAX

NEW, ADDED = "twilio.conversations.new_message", "twilio.conversations.added_to_conversation"


def grant(world: Any, identity: str = "alice", **more: Any) -> Grant:
    expires = world.runtime.clock.now() + timedelta(hours=1)
    of = {"account_sid": world.account_sid, "service_sid": world.service_sid, **more}
    return Grant(identity=identity, key_sid=ids.new("SK"), expires_at=expires, **of)


def device(address: str = "device-1", kind: str = "fcm", types: Any = (NEW,)) -> dict[str, Any]:
    """What the official package asks."""
    return {
        "endpoint_platform": "web",
        "channel_type": kind,
        "version": "3",
        "message_types": list(types),
        "data": {"registration_id": address},
    }


async def shown(world: Any, query: str = "") -> list[Any]:
    path = f"/v1/Services/{world.service_sid}/Bindings{query}"
    status, page = await world.call("GET", path)
    assert status == 200
    found: list[Any] = page["bindings"]
    return found


async def test_a_device_registers_once_however_often_it_asks(world) -> None:
    runtime, push = world.runtime, ids.new(ids.CREDENTIAL)
    first = await registrations.register(runtime, grant(world), device())
    bearer = grant(world, credential_sid=push)
    again = await registrations.register(runtime, bearer, device(types=(NEW, ADDED, NEW)))
    assert again == first
    [binding] = await shown(world)
    said = [binding[key] for key in ("sid", "identity", "endpoint", "binding_type")]
    assert said == [first, "alice", "device-1", "fcm"]
    assert (binding["message_types"], binding["credential_sid"]) == ([NEW, ADDED], push)


async def test_another_device_channel_or_person_is_another_binding(world) -> None:
    for who, body in (
        ("alice", device()),
        ("alice", device("device-2")),
        ("alice", device(kind="apn")),
        ("bob", device()),
    ):
        await registrations.register(world.runtime, grant(world, who), body)
    assert len(await shown(world)) == 4
    assert len(await shown(world, "?Identity=alice")) == 3


async def test_who_is_deleted_has_no_devices_any_more(world) -> None:
    await world.call("POST", "/v1/Users", {"Identity": "alice"})
    for who in ("alice", "bob"):
        await registrations.register(world.runtime, grant(world, who), device())
    assert (await world.call("DELETE", "/v1/Users/alice"))[0] == 204
    assert [one["identity"] for one in await shown(world)] == ["bob"]


async def test_a_device_is_forgotten_by_its_binding_or_its_address(world) -> None:
    runtime, alice, bob = world.runtime, grant(world), grant(world, "bob")
    sids = [await registrations.register(runtime, alice, device(f"{n}")) for n in range(3)]
    by_address = {"binding_type": "fcm", "address": "1"}
    await registrations.unregister(runtime, bob, sids[0])
    await registrations.forget(runtime, bob, by_address)
    elsewhere = grant(world, service_sid=world.other_service_sid)
    await registrations.unregister(runtime, elsewhere, sids[0])
    await registrations.forget(runtime, elsewhere, by_address)
    assert len(await shown(world)) == 3  # nobody else's
    for _ in range(2):  # what is gone may be forgotten again
        await registrations.unregister(runtime, alice, sids[0])
        await registrations.forget(runtime, alice, by_address)
        assert [one["sid"] for one in await shown(world)] == [sids[2]]
    await registrations.unregister(runtime, alice, "nonsense")


async def test_of_too_many_devices_those_go_that_were_not_heard_of_for_longest(world) -> None:
    for n in range(DEVICES_MAX + 2):
        await registrations.register(world.runtime, grant(world), device(f"{n:03}"))
        if n == DEVICES_MAX - 1:
            await registrations.register(world.runtime, grant(world), device("000"))
    kept = {one["endpoint"] for one in await shown(world, "?PageSize=100")}
    assert len(kept) == DEVICES_MAX
    assert "000" in kept
    assert not {"001", "002"} & kept


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (20001, None),
        (20001, []),
        (50209, {}),
        (50209, device(kind="sms")),
        (50209, {**device(), "channel_type": ["fcm"]}),
        (20001, {**device(), "data": None}),
        (20001, {**device(), "data": {}}),
        (20001, device("")),
        (20001, device("x" * 1025)),
        (20001, device("é")),
        (20001, device("a\x00b")),
        (20001, {**device(), "message_types": "all"}),
        (20001, device(types=[1])),
        (20001, device(types=["x" * 101])),
        (20001, device(types=[str(n) for n in range(51)])),
    ],
)
async def test_what_is_no_registration_is_refused(world, code: int, body: Any) -> None:
    with pytest.raises(Invalid) as caught:
        await registrations.register(world.runtime, grant(world), body)
    assert caught.value.code == code
    assert await shown(world) == []


async def test_a_service_that_is_going_takes_no_devices(world) -> None:
    gone = grant(world, service_sid=ids.new(ids.SERVICE))
    with pytest.raises(Denied):
        await registrations.register(world.runtime, gone, device())
