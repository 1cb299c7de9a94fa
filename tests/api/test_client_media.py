"""Files of applications with an access token: who may bring and who may see them, from any page."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import FormData

from app import ids
from app.api.client_media import CORS, LIST_MAX, service_path
from app.rules import access_tokens
from app.rules.access_tokens import Signer
from app.vault import Vault

from .conftest import TOKEN, World
from .test_contents import made as template
from .test_keys import WRITE, make, revoke
from .test_media import PNG, attach, get, upload


class Apps:
    """Applications of people in a conversation of this world."""

    def __init__(self, world: World, key: tuple[str, str], conversation: str) -> None:
        self.world, self.key, self.conversation = world, key, conversation
        self.path = service_path(world.service_sid)

    def token(self, who: str, service: str | None = None, **times: Any) -> str:
        times = {"now": self.world.runtime.clock.now(), "ttl_s": 600, **times}
        signer = Signer(self.key[0], self.world.account_sid, self.key[1])
        return access_tokens.make(signer, service or self.world.service_sid, who, **times)

    async def ask(
        self, method: str, path: str, who: str | None, data: Any = None, **options: Any
    ) -> tuple[int, Any]:
        """A request of somebody's application; its answer must be one that a page may read."""
        headers = dict(options.pop("headers", {}))
        if who is not None:
            headers["X-Twilio-Token"] = who if who.count(".") == 2 else self.token(who)
        url = f"{self.world.base}{self.path}{path}"
        request = self.world.http.request(method, url, data=data, headers=headers, **options)
        async with request as answer:
            for name, value in CORS.items():
                assert answer.headers[name] == value
            body = await answer.read()
            assert answer.content_type == "application/json" if body else not body
            return answer.status, await answer.json() if body else None

    async def upload(self, who: str, data: Any = PNG, query: str = "", **headers: str) -> Any:
        headers = {"Content-Type": "image/png", **headers}
        return await self.ask("POST", f"?Category=media{query}", who, data, headers=headers)

    async def post(self, sid: str, author: str) -> None:
        form = {"MediaSid": sid, "Author": author}
        status, said = await self.world.call(
            "POST", f"/v1/Conversations/{self.conversation}/Messages", form
        )
        assert status == 201, said


@pytest.fixture
async def apps(world: World) -> Apps:
    key = await make(world, WRITE)
    _, conversation = await world.call("POST", "/v1/Conversations", {})
    for who in ("alice", "bob"):
        status, _ = await world.call(
            "POST", f"{conversation['url']}/Participants", {"Identity": who}
        )
        assert status == 201
    return Apps(world, key, conversation["sid"])


async def test_a_browser_asks_before(apps: Apps) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    for path in ("", "Set", "/ME" + "0" * 32, "/nowhere/at/all"):
        assert await apps.ask("OPTIONS", path, None, headers=asked) == (204, None)


async def test_a_file_is_brought_and_seen_by_those_in_its_conversation(apps: Apps) -> None:
    status, made = await apps.upload("alice", query="&Filename=%C3%A4+b.png")
    assert (status, made["author"], made["filename"]) == (201, "alice", "ä b.png")
    assert (made["content_type"], made["size"], made["category"]) == (
        "image/png",
        len(PNG),
        "media",
    )
    assert made["url"] == f"{apps.world.base}{apps.path}/{made['sid']}"
    one = f"/{made['sid']}"
    assert await apps.ask("GET", one, "alice") == (200, made | {"links": _any(made)})
    for stranger in ("bob", "carol"):  # not sent to anybody yet
        status, said = await apps.ask("GET", one, stranger)
        assert (status, said["code"]) == (404, 50507)
    await apps.post(made["sid"], "alice")
    status, seen = await apps.ask("GET", one, "bob")
    assert (status, seen["author"], seen["channel_sid"]) == (200, "alice", apps.conversation)
    assert (await apps.ask("GET", one, "carol"))[0] == 404
    status, body, headers = await get(apps.world, seen["links"]["content_direct_temporary"])
    assert (status, body) == (200, PNG)
    assert headers["Access-Control-Allow-Origin"] == "*"


class _any(dict[str, str]):
    """The links of a file: a temporary URL has its time in it."""

    def __init__(self, made: Any) -> None:
        super().__init__(made["links"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and other.keys() == self.keys()

    __hash__ = None  # type: ignore[assignment]


async def test_a_form_of_a_browser_brings_the_file_with_its_name(apps: Apps) -> None:
    form = FormData()
    form.add_field("file", PNG, filename="photo.png", content_type="image/png")
    status, made = await apps.ask("POST", "?Category=media", "alice", form)
    assert (status, made["filename"], made["content_type"]) == (201, "photo.png", "image/png")


async def test_several_are_shown_in_the_order_asked_for(apps: Apps) -> None:
    mine = [(await apps.upload("alice", PNG + bytes([n])))[1]["sid"] for n in range(3)]
    theirs = (await apps.upload("bob"))[1]["sid"]
    asked = [mine[2], theirs, mine[0], "ME" + "0" * 32, "nonsense", mine[2]]
    body = {"command": "get", "list": [{"media_sid": sid} for sid in asked]}
    status, said = await apps.ask("POST", "Set", "alice", json=body)
    codes = [(one["code"], one["media_record"]["sid"]) for one in said]
    assert status == 200
    assert codes == list(zip((200, 404, 200, 404, 404, 200), asked, strict=True))
    assert all("content_direct_temporary" in said[n]["media_record"]["links"] for n in (0, 2, 5))
    assert await apps.ask("POST", "Set", "alice", json={"command": "get", "list": []}) == (200, [])


async def test_without_a_key_what_a_template_says_spoils_no_list(a_world) -> None:
    """It needs no key to be kept, and so it may be there without one: nothing can sign its URL."""
    key = ids.new(ids.API_KEY), "the secret of an application ..."
    account = {"sid": ids.new("AC"), "auth_token": TOKEN}
    account["api_keys"] = [{"sid": key[0], "secret": key[1]}]
    async with a_world(account=account) as world:
        _, parent = await world.call("POST", "/v1/Conversations", {})
        await world.call("POST", f"{parent['url']}/Participants", {"Identity": "alice"})
        file = await upload(world)
        await attach(world, parent, file["sid"])
        world.runtime.vault = world.runtime.files.vault = Vault()
        said = {"ContentSid": (await template(world))["sid"]}
        status, message = await world.call("POST", f"{parent['url']}/Messages", said)
        assert status == 201
        body = ids.twin(ids.MEDIA, message["sid"])
        asked = {"command": "get", "list": [{"media_sid": one} for one in (body, file["sid"])]}
        apps = Apps(world, key, parent["sid"])
        status, found = await apps.ask("POST", "Set", "alice", json=asked)
        assert (status, [one["code"] for one in found]) == (200, [200, 200])
        for one in found:
            assert one["media_record"]["links"]["content_direct_temporary"] is None
        url = f"/v1/Services/{world.service_sid}/Media/{body}"
        assert (await world.call("GET", url))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"not json",
        b'{"command": "get"}',
        b'{"command": "delete", "list": []}',
        b'{"command": "get", "list": {}}',
        b'{"command": "get", "list": ["ME"]}',
        b'{"command": "get", "list": [{"media_sid": 1}]}',
        b'{"command": "get", "list": [' + b",".join([b"{}"] * (LIST_MAX + 1)) + b"]}",
    ],
)
async def test_a_list_that_is_none_is_refused(apps: Apps, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    status, said = await apps.ask("POST", "Set", "alice", body, headers=headers)
    assert (status, said["code"]) == (400, 20001)


async def test_who_may_send_no_media_may_bring_none(apps: Apps) -> None:
    status, said = await apps.upload("carol")  # in no conversation
    assert (status, said["code"]) == (403, 50107)
    role = {"FriendlyName": "quiet", "Type": "conversation", "Permission": "sendMessage"}
    _, made = await apps.world.call("POST", "/v1/Roles", role)
    path = f"/v1/Conversations/{apps.conversation}/Participants"
    assert (await apps.world.call("POST", path, {"Identity": "carol", "RoleSid": made["sid"]}))[
        0
    ] == 201
    status, said = await apps.upload("carol")
    assert (status, said["code"]) == (403, 50107)


async def test_who_has_left_sees_the_files_no_more(apps: Apps) -> None:
    _, made = await apps.upload("alice")
    await apps.post(made["sid"], "alice")
    one = f"/{made['sid']}"
    assert (await apps.ask("GET", one, "bob"))[0] == 200
    path = f"/v1/Conversations/{apps.conversation}/Participants/bob"
    assert (await apps.world.call("DELETE", path))[0] == 204
    assert (await apps.ask("GET", one, "bob"))[0] == 404


@pytest.mark.parametrize(
    ("code", "who"),
    [
        (20101, None),
        (20101, "a.b.c"),
        (20104, "expired"),
        (20105, "early"),
        (20106, "elsewhere"),
        (20107, "forged"),
        (20157, "long"),
    ],
)
async def test_a_token_that_is_not_right_is_named(apps: Apps, code: int, who: str | None) -> None:
    now = apps.world.runtime.clock.now()
    tokens = {
        "expired": apps.token("alice", now=now - timedelta(hours=1)),
        "early": apps.token("alice", now=now + timedelta(hours=1)),
        "long": apps.token("alice", ttl_s=100_000),
        "elsewhere": apps.token("alice", apps.world.other_service_sid),
        "forged": apps.token("alice")[:-8] + "AAAAAAAA",
    }
    for method, path in (("POST", ""), ("GET", "/ME" + "0" * 32), ("POST", "Set")):
        status, said = await apps.ask(method, path, tokens.get(who or "", who))
        assert (status, said["code"], said["status"]) == (401, code, 401)


async def test_a_revoked_key_opens_nothing_more(apps: Apps) -> None:
    assert (await apps.upload("alice"))[0] == 201
    await revoke(apps.world.runtime.db, apps.key[0])
    async with asyncio.timeout(10):
        while (await apps.upload("alice"))[0] != 401:
            await asyncio.sleep(0.05)


async def test_a_file_is_bounded_and_must_be_what_it_says(a_world) -> None:
    async with a_world(media={"bytes_max": 2000}) as world:
        apps = Apps(world, await make(world, WRITE), "")
        _, parent = await world.call("POST", "/v1/Conversations", {})
        await world.call("POST", f"{parent['url']}/Participants", {"Identity": "alice"})
        for data, kind, code in (
            (PNG + bytes(2000), "image/png", 50512),
            (b"no picture", "image/png", 50511),
            (b"", "image/png", 50511),
        ):
            status, said = await apps.upload("alice", data, **{"Content-Type": kind})
            assert (status, said["code"]) == (400, code)
        status, said = await apps.ask("POST", "?Category=body", "alice", PNG)
        assert (status, said["code"]) == (400, 20001)


async def test_nobody_s_application_makes_us_fetch(apps: Apps) -> None:
    url = "http://169.254.169.254/latest"
    status, made = await apps.upload(
        "alice", b"x", f"&MediaUrl={url}", **{"Content-Type": "text/plain"}
    )
    assert (status, made["size"]) == (201, 1)
    with aiohttp.MultipartWriter("form-data") as parts:
        part = parts.append(url)
        part.set_content_disposition("form-data", name="MediaUrl")
        status, said = await apps.ask("POST", "", "alice", parts)
    assert (status, said["code"]) == (400, 20001)
