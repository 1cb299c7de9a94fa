"""Files that a provider keeps for a while, behind its login: fetched in time, or shown as lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app.observe import MediaFetched, Observe
from tests.road.test_json_carriers import MARIA, Provider, provided
from tests.road.test_meta import ANN, OURS, conversation, meeting
from tests.support.clock import AheadClock
from tests.support.files import Files
from tests.support.house import House, house
from tests.support.meta_stand_in import File
from tests.support.serving import serving
from tests.support.settings import SMS
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, standing_in

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 3000
LIVES_S = 300.0
KINDS = ["telnyx", "bandwidth", "vonage"]


class Seen:
    """What became of fetches."""

    def __init__(self) -> None:
        self.observe = Observe()
        self.fetched: list[MediaFetched] = []
        self.observe.to(self._watch)

    def _watch(self, observation: object) -> None:
        if isinstance(observation, MediaFetched):
            self.fetched.append(observation)

    @property
    def outcomes(self) -> list[str]:
        return [one.outcome for one in self.fetched]


def keeping(folder: Path) -> dict[str, Any]:
    """Files are kept here; what fails is tried three times more, at once. An attempt during which
    the time of a file ends is not taken over."""
    schedule = {"waits_s": [0.02] * 3, "jitter": 0, "timeout_s": 5, "lease_s": 4 * LIVES_S}
    return schedule | {"folder": str(folder), "free_bytes_min": 0}


async def shown(one: House, ch: str) -> dict[str, Any]:
    """The file of the conversation's only message, as the API shows it."""
    (message,) = (await one.get(f"/v1/Conversations/{ch}/Messages"))["messages"]
    (part,) = message["media"]
    service = (await one.get(f"/v1/Conversations/{ch}"))["chat_service_sid"]
    media: dict[str, Any] = await one.get(f"/v1/Services/{service}/Media/{part['sid']}")
    return media


async def ended(one: House, ch: str) -> dict[str, Any]:
    """The same when it is there, or given up."""
    while (media := await shown(one, ch))["status"] == "pending":
        await one.service.runtime.clock.sleep(0.01)
    return media


async def read(url: str) -> bytes:
    async with aiohttp.ClientSession() as anybody, anybody.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


async def pictured(one: Provider, clock: AheadClock, gone: int = 404) -> str:
    """A phone sends a picture, which the provider keeps for five minutes."""
    one.files.clock, one.files.gone = clock, gone
    return await one.conversation(media=[one.files.keep("a.png", PNG, LIVES_S)])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_file_is_there_when_its_url_is_over(kind: str, dsn: str, tmp_path: Path) -> None:
    clock, media = AheadClock(), keeping(tmp_path)
    async with provided(kind, dsn, clock=clock, media=media) as one:
        ch = await pictured(one, clock)
        assert (await ended(one.house, ch))["status"] == "stored"
        clock.ahead_s += 2 * LIVES_S
        link = (await shown(one.house, ch))["links"]["content_direct_temporary"]
        assert await read(link) == PNG
        assert one.files.asked == 1


@pytest.mark.parametrize(
    ("gone", "tries", "error"),
    [
        (404, 2, "the file is not there (HTTP 404)"),
        (410, 2, "the file is not there (HTTP 410)"),
        (403, 4, "given up after 4 attempts: HTTP 403"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_file_that_comes_too_late_is_shown_to_be_lost(
    kind: str, gone: int, tries: int, error: str, dsn: str, tmp_path: Path
) -> None:
    """The provider is ill while its own URL runs out."""
    clock, seen = AheadClock(), Seen()

    def meanwhile() -> None:
        clock.ahead_s += LIVES_S + 1

    async with provided(
        kind, dsn, clock=clock, observe=seen.observe, media=keeping(tmp_path)
    ) as one:
        one.files.meets.append(meanwhile)
        media = await ended(one.house, await pictured(one, clock, gone))
        assert (media["status"], media["error"]) == ("failed", error)
        assert media["links"]["content_direct_temporary"] is None
        assert one.files.asked == tries
        assert seen.outcomes[0] == "temporary"
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["bandwidth", "vonage"])
async def test_a_login_that_is_not_good_any_more_is_tried_again(
    kind: str, dsn: str, tmp_path: Path
) -> None:
    clock, media = AheadClock(), keeping(tmp_path)
    async with provided(kind, dsn, clock=clock, media=media) as one:
        opens, answers = one.files.opens, [False, False, True]
        one.files.opens = lambda header: answers.pop(0) and opens(header)
        assert (await ended(one.house, await pictured(one, clock)))["status"] == "stored"
        assert one.files.asked == 3


async def test_meta_is_asked_again_where_a_file_is_when_that_is_over(
    dsn: str, tmp_path: Path
) -> None:
    """Meta names a place for five minutes; the second one is reached in time."""
    clock, seen = AheadClock(), Seen()

    def meanwhile() -> None:
        clock.ahead_s += LIVES_S + 2

    made = {"clock": clock, "observe": seen.observe, "media": keeping(tmp_path)}
    async with meeting(dsn, **made) as (one, stand_in):
        stand_in.files["77"] = File(PNG, "image/png")
        stand_in.meanwhile.append(meanwhile)
        picture = {"url": "https://phone.example/77", "content_type": "image/png"}
        await stand_in.world.phone(ANN).text(OURS, "look", media=[picture])
        ch = await conversation(one)
        media = await ended(one, ch)
        assert (media["status"], media["size"]) == ("stored", len(PNG))
        while len(seen.outcomes) < 2:  # it is said after the commit
            await one.service.runtime.clock.sleep(0.01)
        assert seen.outcomes == ["temporary", "stored"]
        assert seen.fetched[0].detail == "the file is not there (HTTP 404)"


async def test_twilio_is_asked_again_where_a_file_lies_and_its_login_goes_no_further(
    dsn: str, tmp_path: Path
) -> None:
    """Its login opens the way to a storage, where a URL is good for a while and logins are not."""
    clock, seen = AheadClock(), Seen()
    storage, logins = Files(clock=clock, gone=403), list[str]()

    def open_to(header: str) -> bool:
        logins.append(header)
        return not header

    def signed(name: str) -> str:
        over = not logins  # the first URL is, by the time it is called
        return storage.keep(name, PNG, -1.0 if over else LIVES_S)

    storage.opens = open_to
    app = web.Application()
    app.router.add_get("/{name}", storage.fetch)
    async with serving(app) as storage.url, standing_in() as (twilio, base_url):
        lab = {"kind": "twilio", "account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN}
        sections: dict[str, Any] = {
            "carriers": {"lab": lab | {"base_url": base_url}},
            "senders": [{"address": SMS, "carrier": "lab", "messaging_service": "default"}],
            "media": keeping(tmp_path),
            "secrets": {"key": "a key of thirty-two characters ..."},
        }
        async with house(dsn, seen.observe, clock, **sections) as one:
            twilio.world.inbound_url = f"{one.service.url}/carriers/lab/inbound"
            twilio.signed = signed
            path = f"{base_url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/MM1/Media"
            picture = {"url": f"{path}/ME1", "content_type": "image/png"}
            texted = await twilio.world.phone(MARIA).text(SMS, media=[picture])
            assert texted.acknowledged, texted.tries
            media = await ended(one, await conversation(one))
            assert (media["status"], media["size"]) == ("stored", len(PNG))
            assert len(twilio.reads) == 2, "it is asked again"
            assert logins == ["", ""], "the storage does not see the login"
            assert seen.fetched[0].detail == "HTTP 403"
