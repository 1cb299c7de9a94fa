"""The stand-in for Twilio's API, driven by our own carrier and the official library's validator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import aiohttp
import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator

from app.carriers import signature
from app.carriers.contract import Context
from app.carriers.twilio import Options, Twilio
from app.clock import Clock
from app.errors import Permanent, Temporary, Unknown
from app.model.traffic import Accepted, Outgoing
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, standing_in

PHONE, OURS = "+15558675310", "+15005550006"
RECEIPT = "DY" + "0f" * 16

Posted = tuple[str, dict[str, str], str]


@asynccontextmanager
async def door() -> AsyncIterator[tuple[str, list[Posted]]]:
    """A door that takes everything: its URL and what came (URL, form, signature)."""
    posted: list[Posted] = []

    async def take(request: web.Request) -> web.Response:
        form = dict(parse_qsl(await request.text(), keep_blank_values=True))
        posted.append((str(request.url), form, request.headers[signature.HEADER]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/{door}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", posted
    await runner.cleanup()


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Clock())


def carrier(url: str, token: str = AUTH_TOKEN) -> Twilio:
    options = {"account_sid": ACCOUNT_SID, "auth_token": token, "base_url": url}
    return Twilio("tw", Options.model_validate(options))


def outgoing(body: str = "Hi", status_url: str | None = None) -> Outgoing:
    return Outgoing(RECEIPT, "sms", PHONE, OURS, body, (), status_url, Clock().now())


async def test_a_send_reaches_the_phone_and_is_reported(context: Context) -> None:
    async with door() as (door_url, posted), standing_in() as (twilio, url):
        status_url = f"{door_url}/status?receipt={RECEIPT}"
        accepted = await carrier(url).send(outgoing(status_url=status_url), context)
        await twilio.world.until(lambda: twilio.world.counts["statuses"] == 2)
        (received,) = twilio.world.phone(PHONE).received
    assert (received.body, received.external_id) == ("Hi", accepted.external_id)
    assert received.reference == RECEIPT
    assert [form["MessageStatus"] for _, form, _ in posted] == ["sent", "delivered"]
    for where, form, made in posted:
        assert RequestValidator(AUTH_TOKEN).validate(where, form, made)


async def test_a_phone_writes_to_the_door() -> None:
    async with (
        door() as (door_url, posted),
        standing_in(inbound_url=f"{door_url}/in") as (twilio, _),
    ):
        media = ["https://media.example.com/a.png"]
        texted = await twilio.world.phone(PHONE).text(OURS, "Hello", media=media)
    assert texted.acknowledged
    ((where, form, made),) = posted
    assert RequestValidator(AUTH_TOKEN).validate(where, form, made)
    assert (form["MessageSid"], form["NumMedia"]) == (texted.external_id, "1")
    assert form["MessageSid"].startswith("MM")


async def test_a_lost_answer_is_found_by_looking_up(context: Context) -> None:
    async with standing_in() as (twilio, url):
        twilio.world.behave(cut="after", times=1)
        lost = outgoing()
        with pytest.raises(Unknown):
            await carrier(url).send(lost, context)
        (received,) = twilio.world.phone(PHONE).received
        assert await carrier(url).look_up(lost, context) == [Accepted(received.external_id)]
        await carrier(url).send(lost, context)
        assert len(await carrier(url).look_up(lost, context) or ()) == 2


async def test_a_send_that_never_arrived_is_not_found(context: Context) -> None:
    async with standing_in() as (twilio, url):
        twilio.world.behave(cut="before")
        with pytest.raises(Unknown):
            await carrier(url).send(outgoing(), context)
        assert await carrier(url).look_up(outgoing(), context) == []


async def test_errors_are_twilios(context: Context) -> None:
    async with standing_in() as (twilio, url):
        with pytest.raises(Temporary) as refused:
            await carrier(url, token="wrong").send(outgoing(), context)
        assert refused.value.code == 20003
        with pytest.raises(Permanent) as refused_for_ever:
            await carrier(url).send(outgoing("x" * 1601), context)
        assert refused_for_ever.value.code == 21617
        twilio.world.behave(refuse="temporary", code=20429, retry_after_s=3, times=1)
        with pytest.raises(Temporary) as throttled:
            await carrier(url).send(outgoing(), context)
        assert throttled.value.retry_after_s == 3
        twilio.world.behave(refuse="permanent", code=21610, times=1)
        with pytest.raises(Permanent) as opted_out:
            await carrier(url).send(outgoing(), context)
        assert opted_out.value.code == 21610
        await carrier(url).send(outgoing(), context)


async def test_the_list_has_pages(context: Context) -> None:
    async with standing_in() as (twilio, url):
        lost = outgoing()
        await carrier(url).send(lost, context)
        for number in range(250):
            await carrier(url).send(outgoing(f"filler {number}"), context)
        (first, *_) = twilio.world.phone(PHONE).received
        assert await carrier(url).look_up(lost, context) == [Accepted(first.external_id, None)]
