"""What a channel told about a message is given back as it was told."""

from __future__ import annotations

import orjson
import pytest

from app import ids

TOLD = {"type": "whatsapp", "data": {"context": {"ProfileName": "Ann", "WaId": "15558675310"}}}


@pytest.mark.parametrize("kind", ["account", "service"])
async def test_the_stored_object_is_given_back(world, kind: str) -> None:
    tree = "/v1" if kind == "account" else f"/v1/Services/{world.other_service_sid}"
    _, parent = await world.call("POST", f"{tree}/Conversations", {"UniqueName": "it"})
    _, said = await world.call("POST", f"{parent['url']}/Messages", {"Body": "x"})
    link = said["links"]["channel_metadata"]
    assert link == f"{said['url']}/ChannelMetadata"
    status, body = await world.call("GET", link)
    assert (status, body["code"], body["message"]) == (404, 50530, "Channel Metadata not found")
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE messages SET channel_metadata = $2::text::jsonb WHERE sid = $1",
            said["sid"],
            orjson.dumps(TOLD).decode(),
        )
    assert await world.call("GET", link) == (200, TOLD)
    named = f"{tree}/Conversations/it/Messages/{said['sid']}/ChannelMetadata"
    assert await world.call("GET", named) == (200, TOLD)


async def test_a_message_that_is_not_there_has_none(world) -> None:
    _, parent = await world.call("POST", "/v1/Conversations", {})
    for sid in ("x", ids.new(ids.MESSAGE)):
        url = f"{parent['url']}/Messages/{sid}/ChannelMetadata"
        status, body = await world.call("GET", url)
        assert (status, body["code"]) == (404, 20404)
        assert (await world.call("POST", url, {}))[0] == 405
