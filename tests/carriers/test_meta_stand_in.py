"""The stand-in for Meta's API, driven by our own carrier."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app.carriers import meta_signature
from app.carriers.contract import Context
from app.carriers.meta import Meta, Options
from app.clock import Clock
from app.errors import Permanent, Temporary, Unknown
from app.model.traffic import Outgoing
from tests.support.clock import TurnedClock
from tests.support.meta_stand_in import (
    APP_SECRET,
    NUMBER,
    PAGE,
    File,
    MetaStandIn,
    standing_in,
)

ANN, OURS = "whatsapp:+15558675310", f"whatsapp:{NUMBER}"
RECEIPT = "DY" + "0f" * 16


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Clock())


def carrier(stand_in: MetaStandIn, url: str, **changes: Any) -> Meta:
    options = stand_in.options(url, **changes)
    del options["kind"]
    return Meta("wa", Options.model_validate(options))


def outgoing(body: str = "Hi", address: str = ANN, ours: str = OURS) -> Outgoing:
    channel = address.partition(":")[0]
    return Outgoing(RECEIPT, channel, address, ours, body, (), None, Clock().now())


async def write(stand_in: MetaStandIn, address: str = ANN, ours: str = OURS, **parts: Any) -> Any:
    """Somebody writes to a door that takes everything; gives the request that came."""
    came: list[tuple[bytes, str]] = []

    async def take(request: web.Request) -> web.Response:
        came.append((await request.read(), request.headers[meta_signature.HEADER]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stand_in.world.inbound_url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    texted = await stand_in.world.phone(address).text(ours, "Hello", **parts)
    await runner.cleanup()
    stand_in.world.inbound_url = None
    assert texted.acknowledged
    return came[0]


async def test_what_it_says_to_a_door_is_signed() -> None:
    async with standing_in() as (stand_in, _):
        body, made = await write(stand_in)
    assert meta_signature.verify(body, made, [APP_SECRET])
    assert b'"from":"15558675310"' in body


@pytest.mark.parametrize(
    ("address", "ours"),
    [(ANN, OURS), ("whatsapp:US.134", OURS), ("messenger:5", f"messenger:{PAGE}")],
)
async def test_a_send_reaches_who_wrote_within_a_day(
    address: str, ours: str, context: Context
) -> None:
    clock = TurnedClock()
    async with standing_in(clock=clock) as (stand_in, url):
        meta, sent = carrier(stand_in, url), outgoing("Hi", address, ours)
        with pytest.raises(Permanent) as closed:
            await meta.send(sent, context)
        await write(stand_in, address, ours)
        accepted = await meta.send(sent, context)
        (received,) = stand_in.world.phone(address).received
        clock.turn(24 * 3600)
        with pytest.raises(Permanent) as closed_again:
            await meta.send(sent, context)
    assert (received.body, received.external_id) == ("Hi", accepted.external_id)
    assert received.reference == RECEIPT
    assert closed.value.code == closed_again.value.code == 63016


async def test_errors_are_metas(context: Context) -> None:
    async with standing_in() as (stand_in, url):
        await write(stand_in)
        world = stand_in.world
        for wrong, code in (
            ({"access_token": "wrong"}, 190),
            ({"phone_numbers": {"7": NUMBER}}, 100),
        ):
            with pytest.raises(Temporary) as refused:
                await carrier(stand_in, url, **wrong).send(outgoing(), context)
            assert refused.value.code == code
        meta = carrier(stand_in, url)
        with pytest.raises(Permanent) as too_long:
            await meta.send(outgoing("x" * 4097), context)
        assert too_long.value.code == 63021
        world.behave(refuse="temporary", code=130429, retry_after_s=120, times=1)
        with pytest.raises(Temporary) as throttled:
            await meta.send(outgoing(), context)
        assert (throttled.value.code, throttled.value.retry_after_s) == (63018, 120)
        world.behave(refuse=None, cut="after", times=1)
        with pytest.raises(Unknown):
            await meta.send(outgoing(), context)
        assert [one.body for one in world.phone(ANN).received] == ["Hi"]


async def test_a_file_is_to_be_had_for_five_minutes_with_the_token(context: Context) -> None:
    clock = TurnedClock()
    async with standing_in(clock=clock) as (stand_in, url):
        stand_in.files["77"] = File(b"bytes of a photo", "image/jpeg")
        meta = carrier(stand_in, url)
        source = await meta.media_source(f"{url}/77", context)

        async def fetch(**headers: str) -> tuple[int, bytes]:
            async with context.http.get(source.url, headers=headers) as response:
                return response.status, await response.read()

        assert (await fetch())[0] == 401
        assert await fetch(**source.headers) == (200, b"bytes of a photo")
        clock.turn(timedelta(minutes=5, seconds=2).total_seconds())
        assert (await fetch(**source.headers))[0] == 404
        source = await meta.media_source(f"{url}/77", context)
        assert (await fetch(**source.headers))[0] == 200
        with pytest.raises(Temporary):
            await meta.media_source(f"{url}/78", context)
