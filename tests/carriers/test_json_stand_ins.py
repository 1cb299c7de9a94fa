"""The stand-ins for Telnyx, Bandwidth and Vonage, driven by our own carriers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict, MultiDict

from app.carriers import discover
from app.carriers.contract import Carrier, Context, MediaKeeper, MediaSource, Request
from app.clock import Clock
from app.errors import Permanent, Temporary, Unknown
from app.model.traffic import Accepted, MediaPart, Outgoing
from app.settings.models import CarrierSettings
from tests.support import bandwidth_stand_in, telnyx_stand_in, vonage_stand_in
from tests.support.serving import serving

PHONE, OURS, ANN = "+15558675310", "+15005550006", "+15558675311"
RECEIPT = "DY" + "0f" * 16
FILE = MediaPart("https://media.example.com/a.png", "image/png")

STAND_INS: dict[str, tuple[Any, dict[str, Any]]] = {
    "telnyx": (
        telnyx_stand_in,
        {"api_key": telnyx_stand_in.API_KEY, "public_key": telnyx_stand_in.PUBLIC_KEY},
    ),
    "bandwidth": (bandwidth_stand_in, bandwidth_stand_in.OPTIONS),
    "vonage": (vonage_stand_in, vonage_stand_in.OPTIONS),
}
STRANGERS: dict[str, dict[str, Any]] = {
    "telnyx": {"api_key": "KEY_of-somebody"},
    "bandwidth": {"password": "wrong"},
    "vonage": {"application_id": "bbbbbbbb-bbbb-cccc-dddd-0123456789ab"},
}
OPTED_OUT = {"telnyx": (40300, 21610), "bandwidth": (4775, 30008), "vonage": (1120, 21606)}


@pytest.fixture(params=sorted(STAND_INS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Clock())


@asynccontextmanager
async def door() -> AsyncIterator[tuple[str, list[Request]]]:
    """A door that takes everything: its URL and what came."""
    came: list[Request] = []

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        headers, query = CIMultiDict(request.headers), MultiDict(request.query)
        came.append(Request("POST", str(request.url), headers, query, MultiDict(), body))
        return web.Response()

    app = web.Application()
    app.router.add_post("/{door}", take)
    async with serving(app) as url:
        yield url, came


def carrier(kind: str, base_url: str, **options: Any) -> Carrier:
    given = STAND_INS[kind][1] | {"base_url": base_url} | options
    return discover.build("lab", CarrierSettings(kind=kind), given)


def outgoing(body: str | None = "Hi", *media: MediaPart, status_url: str | None = None) -> Outgoing:
    channel, now = "mms" if media else "sms", Clock().now()
    return Outgoing(RECEIPT, channel, PHONE, OURS, body, media, status_url, now)


async def test_a_send_reaches_the_phone_and_is_reported(kind: str, context: Context) -> None:
    async with door() as (door_url, came), STAND_INS[kind][0].standing_in() as (provider, url):
        status_url = f"{door_url}/status?receipt={RECEIPT}"
        if kind == "bandwidth":
            provider.callback_url = f"{door_url}/status"
        one = carrier(kind, url)
        accepted = await one.send(outgoing("Hi", FILE, status_url=status_url), context)
        await provider.world.until(lambda: provider.world.counts["statuses"] == 2)
        (got,) = provider.world.phone(PHONE).received
    assert (got.body, [part.url for part in got.media]) == ("Hi", [FILE.url])
    assert got.reference == RECEIPT
    statuses = [status for request in came for status in one.parse_status(request)]
    assert [one.verify(request) for request in came] == ["valid", "valid"]
    assert [status.status for status in statuses] == ["sent", "delivered"]
    assert {status.receipt_sid for status in statuses} == {RECEIPT}
    assert {status.external_id for status in statuses} == {accepted.external_id}


async def test_a_phone_writes_to_the_door(kind: str) -> None:
    async with (
        door() as (door_url, came),
        STAND_INS[kind][0].standing_in(inbound_url=f"{door_url}/in") as (provider, url),
    ):
        phone = provider.world.phone(PHONE)
        texted = await phone.text(OURS, "Hello", media=[FILE.url], others=[ANN])
        one = carrier(kind, url)
        (message,) = one.parse_inbound(came[0])
    assert texted.acknowledged
    assert one.verify(came[0]) == "valid"
    assert (message.channel, message.address, message.proxy_address) == ("mms", PHONE, OURS)
    assert (message.body, message.others) == ("Hello", (ANN,))
    assert [part.url for part in message.media] == [FILE.url]


async def test_a_bounce_has_the_original_s_number(kind: str, context: Context) -> None:
    bounce = {"telnyx": 40006, "bandwidth": 4702, "vonage": 1180}[kind]
    async with door() as (door_url, came), STAND_INS[kind][0].standing_in() as (provider, url):
        if kind == "bandwidth":
            provider.callback_url = f"{door_url}/status"
        provider.world.behave(bounce=bounce)
        one = carrier(kind, url)
        await one.send(outgoing(status_url=f"{door_url}/status"), context)
        await provider.world.until(lambda: provider.world.counts["statuses"] == 2)
    last = one.parse_status(came[-1])[0]
    assert (last.status, last.error_code) == ("undelivered", 30003)


async def test_strangers_are_not_served(kind: str, context: Context) -> None:
    async with STAND_INS[kind][0].standing_in() as (provider, url):
        with pytest.raises(Temporary) as refused:
            await carrier(kind, url, **STRANGERS[kind]).send(outgoing(), context)
        assert refused.value.code == 20003
        assert provider.world.phone(PHONE).received == []


async def test_refusals_are_told_apart(kind: str, context: Context) -> None:
    async with STAND_INS[kind][0].standing_in() as (provider, url):
        one, (theirs, ours) = carrier(kind, url), OPTED_OUT[kind]
        provider.world.behave(refuse="temporary", retry_after_s=3, times=1)
        with pytest.raises(Temporary) as throttled:
            await one.send(outgoing(), context)
        assert (throttled.value.code, throttled.value.retry_after_s) == (20429, 3)
        provider.world.behave(refuse="permanent", code=theirs, times=1)
        with pytest.raises(Permanent) as refused:
            await one.send(outgoing(), context)
        assert refused.value.code == ours
        provider.world.behave(refuse=None, cut="after", times=1)
        with pytest.raises(Unknown):
            await one.send(outgoing(), context)
        provider.world.behave(cut=None)
        assert isinstance(await one.send(outgoing(), context), Accepted)


async def test_bandwidth_s_list_finds_what_was_lost(context: Context) -> None:
    async with bandwidth_stand_in.standing_in() as (provider, url):
        one, lost = carrier("bandwidth", url), outgoing()
        assert await one.look_up(lost, context) == []
        provider.world.behave(cut="after", times=1)
        with pytest.raises(Unknown):
            await one.send(lost, context)
        (received,) = provider.world.phone(PHONE).received
        for number in range(120):
            await one.send(outgoing(f"filler {number}"), context)
        assert await one.look_up(lost, context) == [Accepted(received.external_id)]
        provider.listing = False
        assert await one.look_up(lost, context) is None


async def _fetch(source: MediaSource, context: Context) -> tuple[int, bytes]:
    async with context.http.get(source.url, headers=source.headers) as response:
        return response.status, await response.read()


@pytest.mark.parametrize("kind", ["bandwidth", "vonage"])
async def test_a_file_behind_a_login_is_had_while_it_lasts(kind: str, context: Context) -> None:
    async with STAND_INS[kind][0].standing_in() as (provider, url):
        one = carrier(kind, url)
        assert isinstance(one, MediaKeeper)
        kept = provider.files.keep("a.png", b"\x89PNG")
        assert (await _fetch(MediaSource(kept, {}), context))[0] == 401
        source = await one.media_source(kept, context)
        assert await _fetch(source, context) == (200, b"\x89PNG")
        provider.files.expire()
        assert (await _fetch(source, context))[0] == 404


async def test_a_file_of_telnyx_is_had_just_so_while_it_lasts(context: Context) -> None:
    async with telnyx_stand_in.standing_in() as (provider, url):
        assert not isinstance(carrier("telnyx", url), MediaKeeper)
        kept = MediaSource(provider.files.keep("a.png", b"\x89PNG"), {})
        assert await _fetch(kept, context) == (200, b"\x89PNG")
        provider.files.expire()
        assert (await _fetch(kept, context))[0] == 404
