"""Files on the roads: an inbound one is fetched and kept, an outbound one is fetched from us."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from PIL import Image

from app.carriers.sandbox_wire import Media
from app.observe import Failed, MediaFetched, Observation, Observe
from app.vault import Vault
from tests.support.house import House, house
from tests.support.serving import serving
from tests.support.settings import SMS, WHATSAPP

MARIA, TOM = "+15551230001", "whatsapp:+15551230003"
PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 3000
QUICK = {"waits_s": [0.02] * 3, "jitter": 0, "timeout_s": 1}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Keeper:
    """Where a carrier keeps files: answers as it is told, and counts."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: int = 0

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)


async def whole(_: web.Request) -> web.StreamResponse:
    return web.Response(body=PNG, content_type="image/png")


async def broken(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def gone(_: web.Request) -> web.StreamResponse:
    return web.Response(status=410)


async def silent(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"x")
    await asyncio.Event().wait()
    return response


async def lying(request: web.Request) -> web.StreamResponse:
    """Says more than it sends."""
    response = web.StreamResponse(headers={"Content-Length": "5000"})
    await response.prepare(request)
    await response.write(PNG)
    assert request.transport is not None
    request.transport.close()
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    """Says nothing of its size, and has none."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


@dataclass
class Place:
    """A house, and where its carrier keeps files."""

    house: House
    keeper: Keeper
    seen: list[Observation]

    async def picture(self, *names: str, to: str = SMS, phone: str = MARIA, **more: Any) -> str:
        """A phone sends pictures; gives the conversation."""
        media = [
            Media(url=f"{self.keeper.url}/{name}", content_type="image/png", **more)
            for name in names
        ]
        texted = await self.house.world.phone(phone).text(to, "look", media=media)
        assert texted.acknowledged, texted.tries
        listed = (await self.house.get("/v1/Conversations"))["conversations"]
        sid: str = listed[0]["sid"]
        return sid

    async def fetched(self, *outcomes: str) -> None:
        """Wait for these outcomes of fetches."""

        def found() -> list[str]:
            return [one.outcome for one in self.seen if isinstance(one, MediaFetched)]

        async with asyncio.timeout(20):
            while len(found()) < len(outcomes):
                await asyncio.sleep(0.01)
        assert found() == list(outcomes)

    async def media(self, conversation: str) -> list[dict[str, Any]]:
        """The Media resources of the conversation's messages."""
        path = f"/v1/Conversations/{conversation}/Messages"
        listed = (await self.house.get(path))["messages"]
        service = (await self.house.get(f"/v1/Conversations/{conversation}"))["chat_service_sid"]
        sids = [part["sid"] for one in listed for part in one["media"] or ()]
        return [await self.house.get(f"/v1/Services/{service}/Media/{sid}") for sid in sids]


def files(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file()]


Open = Callable[..., Any]


@pytest.fixture
def a_place(dsn: str, tmp_path: Path) -> Open:
    @asynccontextmanager
    async def opened(*answers: Answer, **media: Any) -> AsyncIterator[Place]:
        keeper, seen, observe = Keeper(answers=list(answers)), list[Observation](), Observe()
        observe.to(seen.append)
        app = web.Application()
        app.router.add_get("/{name}", keeper.take)
        given = {**QUICK, "folder": str(tmp_path / "media"), "free_bytes_min": 0, **media}
        secrets = {"key": "a key of thirty-two characters ..."}
        async with (
            serving(app) as keeper.url,
            house(dsn, observe, media=given, secrets=secrets) as one,
        ):
            yield Place(one, keeper, seen)

    return opened


async def read(url: str) -> bytes:
    async with aiohttp.ClientSession() as anybody, anybody.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


async def test_a_file_of_an_inbound_is_fetched_and_kept_once(a_place, tmp_path) -> None:
    async with a_place(whole) as place:
        ch = await place.picture("1", "2")
        await place.fetched("stored", "stored")
        one, two = await place.media(ch)
        for shown in (one, two):
            assert (shown["status"], shown["size"], shown["error"]) == ("stored", len(PNG), None)
            assert (shown["author"], shown["channel_sid"]) == (MARIA, ch)
            assert await read(shown["links"]["content_direct_temporary"]) == PNG
        assert len(files(tmp_path / "media")) == 1
        messages = (await place.house.get(f"/v1/Conversations/{ch}/Messages"))["messages"]
        assert [part["size"] for part in messages[0]["media"]] == [len(PNG)] * 2
        page = (await read(f"{place.house.service.url}/metrics")).decode()
        assert 'parley_media_fetches_total{outcome="stored"} 2.0' in page
        assert f'parley_media_known_bytes_total{{came="carrier"}} {float(len(PNG))}' in page


async def test_a_fetch_that_fails_is_tried_again(a_place) -> None:
    async with a_place(broken, lying, silent, whole) as place:
        ch = await place.picture("1")
        await place.fetched("temporary", "temporary", "temporary", "stored")
        [shown] = await place.media(ch)
        assert (shown["status"], shown["size"]) == ("stored", len(PNG))


@pytest.mark.parametrize(
    ("answer", "tries", "error"),
    [
        (broken, 4, "given up after 4 attempts: HTTP 500"),
        (gone, 1, "the file is not there (HTTP 410)"),
        (endless, 1, "the file has more than the 100000 bytes that we take"),
        (lying, 4, "given up after 4 attempts: the file did not come: ClientPayloadError"),
    ],
)
async def test_what_cannot_be_had_is_failed_and_says_why(
    a_place, tmp_path, answer, tries, error
) -> None:
    async with a_place(answer, bytes_max=100_000) as place:
        ch = await place.picture("1")
        await place.fetched(*["temporary"] * (tries - 1), "failed")
        [shown] = await place.media(ch)
        assert (shown["status"], shown["error"]) == ("failed", error)
        assert shown["links"]["content_direct_temporary"] is None
        service = place.house.service
        async with service.runtime.db.read() as tx:
            letters = await tx.sql.fetch("SELECT kind, reason FROM dead_letters")
        assert [tuple(letter) for letter in letters] == [("media", error)]
        assert files(tmp_path / "media") == []


async def test_without_a_key_to_seal_with_the_media_say_so(a_place) -> None:
    async with a_place(whole) as place:
        place.house.service.runtime.files.vault = Vault()
        ch = await place.picture("1")
        await place.fetched("temporary", "temporary", "temporary", "failed")
        [shown] = await place.media(ch)
        assert "no secret key" in shown["error"]
        assert not [one for one in place.seen if isinstance(one, Failed)]


async def test_without_room_a_file_is_not_fetched_and_says_so(a_place, tmp_path) -> None:
    async with a_place(whole, free_bytes_min=2**60) as place:
        ch = await place.picture("1")
        await place.fetched("temporary", "temporary", "temporary", "failed")
        [shown] = await place.media(ch)
        assert "no room to store media" in shown["error"]
        assert files(tmp_path / "media") == []


async def test_a_url_that_leads_inside_is_not_called(a_place) -> None:
    async with a_place(whole) as place:
        texted = Media(url="http://169.254.169.254/latest", content_type="image/png")
        await place.house.world.phone(MARIA).text(SMS, media=[texted])
        await place.fetched("temporary", "temporary", "temporary", "failed")
        assert place.keeper.asked == 0
        [one] = [s for s in place.seen if isinstance(s, MediaFetched) and s.outcome == "failed"]
        assert "forbidden address" in (one.detail or "")


async def test_what_one_person_sends_another_gets_from_us(a_place) -> None:
    """The carrier of the second is given our URL, when the file is there: not before."""
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return await whole(request)

    async with a_place(slow, timeout_s=15) as place:
        one = place.house
        before = await one.conversation(TOM, WHATSAPP)  # opens his session
        await one.post(f"/v1/Conversations/{before}", 200, State="closed")
        ch = await one.conversation(MARIA)
        await one.post(
            f"/v1/Conversations/{ch}/Participants",
            MessagingBinding_Address=TOM,
            MessagingBinding_ProxyAddress=WHATSAPP,
        )
        await place.picture("1")
        while not place.keeper.asked:
            await asyncio.sleep(0.01)
        assert one.world.phone(TOM).received == []
        release.set()
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) >= 2)
        [got] = one.world.phone(TOM).received
        [part] = got.media
        assert part.url.startswith(f"{one.service.url}/media/ME")
        assert part.url.endswith(".png")
        assert (await read(part.url), part.size) == (PNG, len(PNG))
        async with one.service.runtime.db.read() as tx:
            numbers = await tx.sql.fetch(
                "SELECT number, outcome FROM attempts WHERE kind = 'delivery' ORDER BY id"
            )
        assert [row["outcome"] for row in numbers][-1] == "accepted"
        assert {row["number"] for row in numbers} == {1}  # to wait for a file is no attempt


async def test_an_uploaded_file_reaches_a_phone_and_one_too_large_fails_with_the_code(
    a_place,
) -> None:
    async with a_place(whole) as place:
        one = place.house
        ch = await one.conversation(MARIA)
        service = (await one.get(f"/v1/Conversations/{ch}"))["chat_service_sid"]

        async def say(data: bytes) -> Any:
            url = f"{one.service.url}/v1/Services/{service}/Media"
            kind = {"Content-Type": "image/png"}
            async with one.http.post(url, data=io.BytesIO(data), headers=kind) as answer:
                made = await answer.json()
            return await one.post(f"/v1/Conversations/{ch}/Messages", MediaSid=made["sid"])

        await say(PNG)
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 2)
        [got] = one.world.phone(MARIA).received
        assert (got.body, await read(got.media[0].url)) == (None, PNG)
        message = await say(PNG + b"x" * 6_000_000)
        [receipt] = await one.receipts(message)
        assert (receipt["status"], receipt["error_code"]) == ("failed", 11751)


async def test_a_photo_too_large_for_the_channel_is_made_smaller_when_it_may_be(
    dsn: str, tmp_path: Path
) -> None:
    photo = io.BytesIO()
    noise = Image.frombytes("RGB", (1600, 1600), os.urandom(1600 * 1600 * 3))
    noise.save(photo, "PNG")
    data = photo.getvalue()
    assert len(data) > 7_000_000
    media = {"folder": str(tmp_path), "free_bytes_min": 0, "fetch": False}
    secrets = {"key": "a key of thirty-two characters ..."}
    async with house(dsn, media=media, secrets=secrets, limits={"profile": "relaxed"}) as one:
        ch = await one.conversation(MARIA)
        service = (await one.get(f"/v1/Conversations/{ch}"))["chat_service_sid"]
        url = f"{one.service.url}/v1/Services/{service}/Media"
        async with one.http.post(
            url, data=io.BytesIO(data), headers={"Content-Type": "image/png"}
        ) as answer:
            made = await answer.json()
        await one.say(ch, "look", MediaSid=made["sid"])
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 2)
        [got] = one.world.phone(MARIA).received
        smaller = await read(got.media[0].url)
        assert (got.body, got.media[0].content_type) == ("look", "image/jpeg")
        assert len(smaller) <= 5 * 1_048_576
        assert Image.open(io.BytesIO(smaller)).format == "JPEG"
