"""The simulated carrier: its World in Python, over HTTP and in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from pydantic import ValidationError

from app.carriers import discover, sandbox_http
from app.carriers.contract import Carrier, Context, Hosted, Listing, Request, Unlisted
from app.carriers.sandbox import TEXTS_MAX, HomeSandbox
from app.carriers.sandbox_http import serving
from app.carriers.sandbox_wire import SandboxDialect
from app.carriers.sandbox_world import World
from app.clock import Clock
from app.errors import Permanent, Temporary, Unknown
from app.model.traffic import Accepted, MediaPart, Outgoing
from app.settings.models import CarrierSettings

ROOT = Path(__file__).parents[2]
PHONE, OTHER, OURS = "+15558675310", "+15558675311", "+15005550006"
WA_PHONE, WA_OURS = f"whatsapp:{PHONE}", f"whatsapp:{OURS}"
RECEIPT = "DY" + "0f" * 16
SECRET = "hush"
IMAGE = MediaPart("https://media.example.com/a.png", "image/png", 12, "a.png")


class Patient(Clock):
    """Waits as long as anybody likes without taking any time; keeps the waits."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await super().sleep(0)


@dataclass
class Door:
    """A door of ours: answers with the statuses in `answers`, then 200; checks signatures."""

    carrier: Carrier
    answers: list[int] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    checks: bool = True

    @property
    def said(self) -> list[dict[str, Any]]:
        return [orjson.loads(request.body) for request in self.requests]

    @property
    def words(self) -> list[str]:
        return [said["status"] for said in self.said]

    async def handle(self, http: web.Request) -> web.Response:
        request = Request(
            http.method, str(http.url), http.headers, http.query, http.query, await http.read()
        )
        assert not self.checks or self.carrier.verify(request) == "valid"
        self.requests.append(request)
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@asynccontextmanager
async def open_door(carrier: Carrier) -> AsyncIterator[Door]:
    door = Door(carrier)
    app = web.Application()
    app.router.add_post("/{door:.*}", door.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    door.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield door
    await runner.cleanup()


@dataclass
class Lab:
    """A sandbox carrier, its World and a door."""

    carrier: Carrier
    world: World
    door: Door
    context: Context

    async def send(self, body: str = "Hi", *, to: str = PHONE, status: bool = False) -> Accepted:
        return await self.carrier.send(self.outgoing(body, to=to, status=status), self.context)

    def outgoing(self, body: str = "Hi", *, to: str = PHONE, status: bool = False) -> Outgoing:
        url = f"{self.door.url}/status?receipt={RECEIPT}" if status else None
        ours, channel = (WA_OURS, "whatsapp") if to.startswith("whatsapp") else (OURS, "sms")
        return Outgoing(RECEIPT, channel, to, ours, body, (IMAGE,), url, Clock().now())


def sandbox(**options: Any) -> Carrier:
    given = {"secret": SECRET, "seed": 7} | options
    return discover.build("lab", CarrierSettings(kind="sandbox"), given)


@pytest.fixture(params=["home", "away"])
async def lab(request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    """The same World in our own process, and called over HTTP."""
    home = sandbox()
    assert isinstance(home, HomeSandbox)
    async with (
        open_door(home) as door,
        aiohttp.ClientSession() as http,
        home.living(f"{door.url}/inbound", None),
        serving(home.world, secret=SECRET) as url,
    ):
        carrier = home if request.param == "home" else sandbox(url=url)
        yield Lab(carrier, home.world, door, Context(http, Clock()))


@asynccontextmanager
async def patient_world(door: Door, waits_s: tuple[float, ...] = (1, 2)) -> AsyncIterator[World]:
    async with World(
        inbound_url=f"{door.url}/inbound",
        dialect=SandboxDialect(SECRET),
        clock=Patient(),
        retry_waits_s=waits_s,
    ) as world:
        yield world


async def test_a_send_reaches_the_phone(lab: Lab) -> None:
    accepted = await lab.send("Hi")
    (received,) = lab.world.phone(PHONE).received
    assert received.external_id == accepted.external_id
    assert (received.reference, received.channel, received.sender) == (RECEIPT, "sms", OURS)
    assert (received.body, received.media) == ("Hi", (IMAGE,))
    assert received.arrived_at is not None


async def test_what_a_phone_got_keeps_its_order(lab: Lab) -> None:
    for number in range(20):
        await lab.send(str(number))
    received = lab.world.phone(PHONE).received
    assert [one.body for one in received] == [str(number) for number in range(20)]


async def test_a_group_text_is_one_send_and_each_phone_reports(lab: Lab) -> None:
    lab.world.behave(OTHER, bounce=30005)
    outgoing = replace(lab.outgoing(status=True), others=(OTHER,))
    accepted = await lab.carrier.send(outgoing, lab.context)
    await lab.world.until(lambda: lab.world.idle)
    (received,) = lab.world.phone(PHONE).received
    assert (received.external_id, received.others) == (accepted.external_id, (OTHER,))
    assert lab.world.phone(OTHER).received == []
    statuses = [one for ask in lab.door.requests for one in lab.carrier.parse_status(ask)]
    assert {one.external_id for one in statuses} == {accepted.external_id}
    said = {(one.address, one.status) for one in statuses}
    assert said == {
        (PHONE, "sent"),
        (PHONE, "delivered"),
        (OTHER, "sent"),
        (OTHER, "undelivered"),
    }
    assert lab.world.summary()["doubles"] == []


async def test_a_repeated_send_is_a_double(lab: Lab) -> None:
    first, second = await lab.send(), await lab.send()
    assert first.external_id != second.external_id
    assert len(lab.world.phone(PHONE).received) == 2
    assert lab.world.summary()["doubles"] == [RECEIPT]


@pytest.mark.parametrize(
    ("to", "words"),
    [(PHONE, ["sent", "delivered"]), (WA_PHONE, ["sent", "delivered", "read"])],
)
async def test_statuses_come_by_themselves(lab: Lab, to: str, words: list[str]) -> None:
    accepted = await lab.send(to=to, status=True)
    await lab.world.until(lambda: lab.world.counts["statuses"] == len(words))
    assert lab.door.words == words
    assert lab.world.phone(to).received[0].statuses == words
    statuses = [lab.carrier.parse_status(request)[0] for request in lab.door.requests]
    assert {status.external_id for status in statuses} == {accepted.external_id}
    assert {status.receipt_sid for status in statuses} == {RECEIPT}


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ({"status_lost_share": 1}, []),
        ({"statuses": False}, []),
        ({"status_double_share": 1}, ["sent", "sent", "delivered", "delivered"]),
        ({"status_reorder_share": 1}, ["delivered", "sent"]),
        ({"bounce": 30005}, ["sent", "undelivered"]),
    ],
)
async def test_statuses_can_misbehave(
    lab: Lab, behaviour: dict[str, Any], words: list[str]
) -> None:
    lab.world.behave(**behaviour)
    await lab.send(status=True)
    await lab.world.until(lambda: lab.world.idle)
    assert lab.door.words == words
    if "bounce" in behaviour:
        assert lab.door.said[-1]["error_code"] == 30005
        assert lab.world.phone(PHONE).received == []


async def test_refusals_carry_their_code(lab: Lab) -> None:
    lab.world.behave(refuse="permanent", code=21610)
    with pytest.raises(Permanent) as permanent:
        await lab.send()
    assert permanent.value.code == 21610
    lab.world.behave(refuse="temporary", code=20429, retry_after_s=2.5)
    with pytest.raises(Temporary) as temporary:
        await lab.send()
    assert (temporary.value.code, temporary.value.retry_after_s) == (20429, 2.5)
    assert lab.world.phone(PHONE).received == []


async def test_media_without_a_url_is_refused_for_ever(lab: Lab) -> None:
    broken = replace(lab.outgoing(), media=(MediaPart("file:///etc/passwd", "text/plain"),))
    with pytest.raises(Permanent) as permanent:
        await lab.carrier.send(broken, lab.context)
    assert permanent.value.code == 21620


async def test_faults_end_after_so_many_times(lab: Lab) -> None:
    lab.world.phone(PHONE).behave(refuse="temporary", times=2)
    await lab.send(to=OTHER)
    for _ in range(2):
        with pytest.raises(Temporary):
            await lab.send()
    await lab.send()
    assert len(lab.world.phone(PHONE).received) == 1


async def test_an_unknown_outcome_is_settled_by_looking_up(lab: Lab) -> None:
    lab.world.behave(cut="before", times=1)
    with pytest.raises(Unknown):
        await lab.send()
    assert await lab.carrier.look_up(lab.outgoing(), lab.context) == []
    lab.world.behave(cut="after", times=1)
    with pytest.raises(Unknown):
        await lab.send()
    (received,) = lab.world.phone(PHONE).received
    found = await lab.carrier.look_up(lab.outgoing(), lab.context)
    assert found == [Accepted(received.external_id)]


async def test_a_phone_that_is_off_gets_everything_when_it_is_back(lab: Lab) -> None:
    phone = lab.world.phone(PHONE)
    phone.behave(offline=True)
    for body in "abc":
        await lab.send(body, status=True)
    await lab.world.until(lambda: lab.door.words == ["sent"] * 3)
    assert phone.received == []
    with pytest.raises(ValueError, match="offline"):
        phone.text_later(OURS, "Hello")
    phone.behave(offline=False)
    await lab.world.until(lambda: lab.door.words.count("delivered") == 3)
    assert [received.body for received in phone.received] == list("abc")


async def test_a_phone_writes_to_us(lab: Lab) -> None:
    texted = await lab.world.phone(PHONE).text(OURS, "Hello", media=[IMAGE.url], others=[OTHER])
    assert texted.acknowledged
    (inbound,) = lab.carrier.parse_inbound(lab.door.requests[0])
    assert (inbound.external_id, inbound.channel) == (texted.external_id, "mms")
    assert (inbound.address, inbound.proxy_address) == (PHONE, OURS)
    assert (inbound.body, inbound.others) == ("Hello", (OTHER,))
    assert inbound.sent_at is not None
    assert inbound.form["MediaUrl0"] == IMAGE.url


async def test_a_door_that_fails_is_called_again_with_the_same_id() -> None:
    async with open_door(sandbox()) as door, patient_world(door) as world:
        door.answers = [503, 500]
        texted = await world.phone(PHONE).text(OURS, "Hello")
    assert texted.tries == ["503", "500", "200"]
    assert texted.acknowledged
    assert {said["id"] for said in door.said} == {texted.external_id}


async def test_a_door_that_is_gone_is_given_up_in_the_end() -> None:
    async with open_door(sandbox()) as door:
        pass
    async with patient_world(door) as world:
        texted = await world.phone(PHONE).text(OURS, "Hello")
        assert (texted.tries, texted.acknowledged) == (["lost"] * 3, False)
        assert world.counts["given_up"] == 1


async def test_a_refusal_by_the_door_is_final() -> None:
    async with open_door(sandbox()) as door, patient_world(door) as world:
        door.answers = [403]
        texted = await world.phone(PHONE).text(OURS, "Hello")
    assert (texted.tries, texted.acknowledged) == (["403"], False)


async def test_an_inbound_can_come_twice(lab: Lab) -> None:
    lab.world.behave(inbound_double_share=1)
    texted = await lab.world.phone(PHONE).text(OURS, "Hello")
    assert [said["id"] for said in lab.door.said] == [texted.external_id] * 2


async def test_the_world_reaches_doors_behind_another_origin(lab: Lab) -> None:
    lab.world.inbound_url = "https://talk.example.com/carriers/lab/inbound?x=1"
    lab.world.via = lab.door.url
    lab.door.checks = False
    await lab.world.phone(PHONE).text(OURS, "Hello")
    (request,) = lab.door.requests
    assert request.url == f"{lab.door.url}/carriers/lab/inbound?x=1"
    public = Request(
        "POST", lab.world.inbound_url, request.headers, request.query, request.form, request.body
    )
    assert sandbox().verify(public) == "valid"


async def test_a_lost_text_comes_to_no_door_and_is_in_the_list(lab: Lab) -> None:
    lister: Any = lab.carrier
    assert isinstance(lister, Listing) and lister.lists
    since = Clock().now()
    lab.world.behave(inbound_lost_share=1)
    lost = await lab.world.phone(PHONE).text(OURS, "lost", media=["https://p.example/1"])
    assert (lost.done, lost.acknowledged, lost.tries) == (True, False, [])
    assert lab.world.counts["lost"] == 1
    lab.world.behave(inbound_lost_share=0)
    came = await lab.world.phone(PHONE).text(OURS, "came")
    assert [said["id"] for said in lab.door.said] == [came.external_id]
    page = await lister.listed(since, None, lab.context)
    assert [one.external_id for one in page.inbounds] == [came.external_id, lost.external_id]
    assert (page.following, page.junk, page.sent) == (None, 0, ())
    for one in page.inbounds:
        assert one.recovered and one.signature == "unchecked" and one.sent_at >= since
    assert await lister.whole(page.inbounds[1], lab.context) == page.inbounds[1]
    [brought] = lab.carrier.parse_inbound(lab.door.requests[-1])
    assert replace(page.inbounds[0], recovered=False, signature=brought.signature) == brought


async def test_the_list_of_texts_has_pages_that_newer_ones_do_not_move(lab: Lab) -> None:
    lister: Any = lab.carrier
    since = Clock().now()
    lab.world.behave(inbound_lost_share=1)
    phone = lab.world.phone(PHONE)
    made = [(await phone.text(OURS, str(number))).external_id for number in range(TEXTS_MAX + 5)]
    first = await lister.listed(since, None, lab.context)
    assert [one.external_id for one in first.inbounds] == made[:4:-1]
    await phone.text(OURS, "newer")
    second = await lister.listed(since, first.following, lab.context)
    assert [one.external_id for one in second.inbounds] == made[4::-1]
    assert second.following is None
    later = await lister.listed(Clock().now(), None, lab.context)
    assert later.following is None, "everything behind is older"
    assert (await lister.listed(since, "SM0", lab.context)).inbounds == ()


async def test_a_list_that_is_away_or_not_ours_is_said() -> None:
    home = sandbox()
    assert isinstance(home, HomeSandbox)
    async with aiohttp.ClientSession() as http:
        context = Context(http, Clock())
        async with home.world, serving(home.world, secret=SECRET) as url:
            stranger: Any = sandbox(url=url, secret="another")
            with pytest.raises(Unlisted) as refused:
                await stranger.listed(Clock().now(), None, context)
        known: Any = sandbox(url=url)
        with pytest.raises(Unlisted) as away:
            await known.listed(Clock().now(), None, context)
    assert (refused.value.outcome, away.value.outcome) == ("refused", "unreachable")
    assert not getattr(sandbox(reconcile=False), "lists", None)


async def fates(seed: int) -> list[str]:
    context = Context(None, Clock())  # type: ignore[arg-type]
    carrier = sandbox(seed=seed)
    assert isinstance(carrier, HomeSandbox)
    carrier.world.behave(refuse="temporary", refuse_share=0.5, cut="after", cut_share=0.5)
    fates = []
    async with carrier.living("http://127.0.0.1:1/", None):
        for number in range(40):
            outgoing = Outgoing(str(number), "sms", PHONE, OURS, "", (), None, Clock().now())
            try:
                fates.append((await carrier.send(outgoing, context)).external_id)
            except (Temporary, Unknown) as error:
                fates.append(type(error).__name__)
    return fates


async def test_a_seed_makes_every_run_the_same() -> None:
    first = await fates(1)
    assert first == await fates(1)
    assert first != await fates(2)
    assert {"Temporary", "Unknown"} < set(first)


async def test_memory_is_bounded() -> None:
    carrier = sandbox(records_max=10)
    assert isinstance(carrier, HomeSandbox)
    context = Context(None, Clock())  # type: ignore[arg-type]
    async with carrier.living("http://127.0.0.1:1/", None):
        for number in range(50):
            to = f"+1555867{number:04d}"
            outgoing = Outgoing(str(number), "sms", to, OURS, "", (), None, Clock().now())
            await carrier.send(outgoing, context)
        summary = carrier.world.summary()
        assert (summary["records"], len(summary["phones"])) == (10, 10)
        assert summary["counts"]["taken"] == 50
        assert carrier.world.records.referenced("0") == []
        assert len(carrier.world.records.referenced("49")) == 1


def test_a_carrier_that_cannot_be_asked() -> None:
    assert sandbox().can_look_up
    assert not sandbox(look_up=False).can_look_up


def test_without_a_secret_nothing_is_checked() -> None:
    plain = discover.build("lab", CarrierSettings(kind="sandbox"), {})
    request = Request("POST", "https://a.example/", {}, None, None, b"{}")  # type: ignore[arg-type]
    assert plain.verify(request) == "unchecked"


def test_only_a_world_of_our_own_is_hosted() -> None:
    assert isinstance(sandbox(), Hosted)
    assert not isinstance(sandbox(url="http://127.0.0.1:1"), Hosted)


async def test_nonsense_behaviour_is_refused(lab: Lab) -> None:
    for nonsense in ({"refuse": "maybe"}, {"cut_share": 2}, {"latency_s": -1}, {"mood": "bad"}):
        with pytest.raises(ValidationError):
            lab.world.behave(**nonsense)


@dataclass
class Browser:
    """Somebody who uses the World's pages."""

    http: aiohttp.ClientSession
    url: str
    secret: str = SECRET

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        return await self._ask("GET", path, None)

    async def post(self, path: str, said: Any) -> tuple[int, dict[str, Any]]:
        return await self._ask("POST", path, orjson.dumps(said))

    async def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.secret}"}
        async with self.http.request(method, self.url + path, data=body, headers=headers) as answer:
            return answer.status, await answer.json()


async def test_the_pages(lab: Lab) -> None:
    async with serving(lab.world, secret=SECRET) as url:
        browser = Browser(lab.context.http, url)
        order = {"reference": RECEIPT, "channel": "sms", "from": OURS, "to": PHONE, "body": "Hi"}
        status, taken = await browser.post("/messages", order)
        assert status == 201
        _, found = await browser.get(f"/messages?reference={RECEIPT}")
        assert [message["id"] for message in found["messages"]] == [taken["id"]]
        door = f"{lab.door.url}/elsewhere"
        changes = {"inbound_url": door, "address": OTHER, "offline": True}
        assert (await browser.post("/behaviour", changes))[0] == 200
        status, texted = await browser.post(f"/phones/{PHONE}/send", {"to": OURS, "body": "Yo"})
        assert (status, texted["acknowledged"]) == (200, True)
        assert lab.door.requests[-1].url == door
        again = {"to": OURS, "body": "Yo", "id": texted["id"], "wait": False}
        assert (await browser.post(f"/phones/{PHONE}/send", again))[0] == 202
        _, phone = await browser.get(f"/phones/{PHONE}")
        assert [one["body"] for one in phone["received"]] == ["Hi"]
        assert [one["id"] for one in phone["sent"]] == [texted["id"]] * 2
        _, summary = await browser.get("/")
        assert summary["counts"]["taken"] == 1
        assert summary["behaviour"][OTHER] == {"offline": True}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/messages", {}),
        ("/messages", []),
        ("/messages", {"reference": "x", "channel": "sms", "from": "x", "to": "y"}),
        (f"/phones/{PHONE}/send", {"to": "x"}),
        (f"/phones/{PHONE}/send", {"to": OURS, "mood": "bad"}),
        (f"/phones/{OTHER}/send", {"to": OURS}),
        ("/phones/nobody/send", {"to": OURS}),
        ("/behaviour", {"mood": "bad"}),
        ("/behaviour", {"address": "nobody"}),
    ],
)
async def test_the_pages_refuse_nonsense(lab: Lab, path: str, said: Any) -> None:
    lab.world.behave(OTHER, offline=True)
    async with serving(lab.world, secret=SECRET) as url:
        status, answer = await Browser(lab.context.http, url).post(path, said)
    assert status == 400
    assert answer["message"]


async def test_the_pages_want_the_secret(lab: Lab) -> None:
    async with serving(lab.world, secret=SECRET) as url:
        assert (await Browser(lab.context.http, url, "wrong").get("/"))[0] == 401
        wrong = sandbox(url=url, secret="wrong")
        with pytest.raises(Temporary):
            await wrong.send(lab.outgoing(), lab.context)
        with pytest.raises(Temporary):
            await wrong.look_up(lab.outgoing(), lab.context)


async def test_the_world_can_be_mounted(lab: Lab) -> None:
    app = web.Application()
    app.add_subapp("/carriers/lab/world", sandbox_http.pages(lab.world, SECRET))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/carriers/lab/world"
    assert (await Browser(lab.context.http, url).get("/"))[0] == 200
    await runner.cleanup()


async def test_a_world_of_its_own_process() -> None:
    environment = {**os.environ, sandbox_http.SECRET_VARIABLE: SECRET}
    command = ["-m", "app.carriers.sandbox_world", "--seed", "7"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as http:
            context = Context(http, Clock())
            outgoing = Outgoing(RECEIPT, "sms", PHONE, OURS, "Hi", (), None, Clock().now())
            accepted = await sandbox(url=url).send(outgoing, context)
            assert await sandbox(url=url).look_up(outgoing, context) == [accepted]
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
