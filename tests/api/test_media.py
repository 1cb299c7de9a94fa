"""The Media resource: files come in, are shown, opened for a while, attached once and collected."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app import ids
from app.media.collection import collect
from app.settings.media import MediaSettings
from tests.support.clock import TurnedClock
from tests.support.serving import serving

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
PDF = b"%PDF-1.7 " + b"x" * 700_000


def path(world: Any, service: str | None = None) -> str:
    return f"/v1/Services/{service or world.service_sid}/Media"


async def upload(
    world: Any, data: Any = PNG, kind: str | None = "image/png", status: int = 201, query: str = ""
) -> Any:
    headers = {} if kind is None else {"Content-Type": kind}
    got, said = await world.call("POST", path(world) + query, data, headers=headers)
    assert got == status, said
    return said


async def get(world: Any, url: str, **headers: str) -> tuple[int, bytes, Any]:
    async with world.http.get(url, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers


async def conversation(world: Any) -> Any:
    return (await world.call("POST", "/v1/Conversations", {}))[1]


async def attach(world: Any, parent: Any, sid: str, **form: str) -> tuple[int, Any]:
    found: tuple[int, Any] = await world.call(
        "POST", f"{parent['url']}/Messages", {"MediaSid": sid, **form}
    )
    return found


def kept(world: Any) -> list[Any]:
    folder = world.runtime.files.folder
    return [one for one in folder.rglob("*") if one.is_file()]


async def test_a_file_comes_in_as_it_is_and_its_temporary_url_opens_it(world) -> None:
    made = await upload(world, query="?Filename=car%20%C3%A4.png")
    service = world.service_sid
    url = f"{world.base}/v1/Services/{service}/Media/{made['sid']}"
    assert made == {
        "sid": made["sid"],
        "account_sid": world.account_sid,
        "service_sid": service,
        "date_created": made["date_created"],
        "date_updated": made["date_created"],
        "channel_sid": None,
        "message_sid": None,
        "size": len(PNG),
        "content_type": "image/png",
        "filename": "car ä.png",
        "author": "system",
        "status": "stored",
        "error": None,
        "url": url,
        "links": {
            "content": f"{url}/Content",
            "content_direct_temporary": made["links"]["content_direct_temporary"],
        },
    }
    status, body, headers = await get(world, made["links"]["content_direct_temporary"])
    assert (status, body, headers["Content-Type"]) == (200, PNG, "image/png")
    assert headers["Content-Disposition"] == "inline; filename*=UTF-8''car%20%C3%A4.png"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    status, body, _ = await get(world, made["links"]["content"], **world.login)
    assert (status, body) == (200, PNG)
    assert (await get(world, made["links"]["content"]))[0] == 401
    assert (await world.call("GET", url))[1]["sid"] == made["sid"]


async def test_what_lies_on_the_disk_says_nothing_of_what_is_in_it(world) -> None:
    await upload(world, PDF, "application/pdf")
    [file] = kept(world)
    raw = file.read_bytes()
    assert b"xxxxxxxx" not in raw
    assert len(raw) > len(PDF)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=262143-262145", 206, 262_143, 262_146),
        ("bytes=300000-", 206, 300_000, len(PDF)),
        ("bytes=-10", 206, len(PDF) - 10, len(PDF)),
        (f"bytes=5-{len(PDF) * 2}", 206, 5, len(PDF)),
        ("lines=1-2", 200, 0, len(PDF)),
        (f"bytes={len(PDF)}-", 416, 0, 0),
    ],
)
async def test_a_range_of_a_file_can_be_asked_for(world, asked, status, start, end) -> None:
    made = await upload(world, PDF, "application/pdf")
    got, body, headers = await get(world, made["links"]["content_direct_temporary"], Range=asked)
    assert (got, body) == (status, PDF[start:end])
    if status == 206:
        assert headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(PDF)}"


async def test_head_and_etag_spare_the_bytes(world) -> None:
    made = await upload(world)
    url = made["links"]["content_direct_temporary"]
    async with world.http.head(url) as answer:
        assert (answer.status, answer.content_length) == (200, len(PNG))
        tag = answer.headers["ETag"]
    assert (await get(world, url, **{"If-None-Match": tag}))[0] == 304


async def test_a_temporary_url_is_good_for_300_seconds_and_for_nothing_else(world) -> None:
    made, other = await upload(world), await upload(world, PDF, "application/pdf")
    url = made["links"]["content_direct_temporary"]
    passed = url.split("/")[-2]
    until = int(passed.partition("-")[0])
    now = world.runtime.clock.now().timestamp()
    assert 290 < until - now <= 300
    later = url.replace(f"/{until}-", f"/{until + 1}-")
    for wrong in (
        later,
        url.replace(made["sid"], other["sid"]),
        url.replace(passed, passed[:-1] + ("A" if passed[-1] != "A" else "B")),
        url.replace("-0.", "-9."),
        url.replace(passed, "x"),
    ):
        assert (await get(world, wrong))[0] == 404, wrong
    over = TurnedClock(world.runtime.clock.now() + timedelta(seconds=301))
    world.runtime.clock = over
    assert (await get(world, url))[0] == 404


async def test_curl_calls_a_file_a_form(world) -> None:
    made = await upload(world, PNG, "application/x-www-form-urlencoded")
    assert (made["content_type"], made["size"]) == ("image/png", len(PNG))


@pytest.mark.parametrize("fields", [b"", b"Foo=bar", b"Filename=a.png&Media.Url=https%3A%2F%2Fx&"])
async def test_a_form_without_its_url_is_told_which_parameter_is_missing(world, fields) -> None:
    said = await upload(world, fields, "application/x-www-form-urlencoded", 400)
    assert (said["code"], kept(world)) == (20001, [])
    assert said["message"].startswith("Missing required parameter MediaUrl in the post body")


@pytest.mark.parametrize("text", [b"a = b", b"hello world", b"x=1\ny=2\n", b"=1", b"\xe4=1"])
async def test_text_that_is_no_form_is_a_file_whatever_it_is_called(world, text) -> None:
    assert (await upload(world, text, "application/x-www-form-urlencoded"))["size"] == len(text)


async def test_a_multipart_form_brings_its_file_and_its_name(world) -> None:
    form = aiohttp.FormData({"Note": "passed over"})
    form.add_field("File", PNG, filename="cat.png", content_type="image/png")
    made = await upload(world, form, None)
    assert (made["filename"], made["content_type"], made["size"]) == ("cat.png", "image/png", 1032)
    empty = aiohttp.FormData({"Note": "x"}, default_to_multipart=True)
    assert "no file" in (await upload(world, empty, None, 400))["message"]


async def test_a_url_can_be_imported(world) -> None:
    async def file(request: web.Request) -> web.Response:
        if "moved" in request.path:
            raise web.HTTPFound("/cat.png")
        if "gone" in request.path:
            raise web.HTTPNotFound
        return web.Response(body=PNG, content_type="image/png")

    app = web.Application()
    app.router.add_get("/{name}", file)
    async with serving(app) as url:
        form = aiohttp.FormData({"MediaUrl": f"{url}/moved"})
        made = await upload(world, form, None)
        assert (made["content_type"], made["size"]) == ("image/png", len(PNG))
        said = await upload(world, aiohttp.FormData({"MediaUrl": f"{url}/gone"}), None, 400)
        assert said["message"] == "Invalid MediaUrl: the file is not there (HTTP 404)"
    said = await upload(world, aiohttp.FormData({"MediaUrl": "nonsense"}), None, 400)
    assert said["message"] == "Invalid MediaUrl"


@pytest.mark.parametrize(
    ("data", "kind", "code"),
    [
        (b"plain text", "image/png", 50511),
        (PNG, "application/pdf", 50511),
        (PNG, "text/plain", 50511),
        (PNG, "no type at all", 50511),
        (b"", "image/png", 50511),
    ],
)
async def test_a_file_must_be_what_it_is_said_to_be(world, data, kind, code) -> None:
    said = await upload(world, data, kind, 400)
    assert said["code"] == code
    assert kept(world) == []


@pytest.mark.parametrize(
    ("data", "kind", "becomes"),
    [
        (PNG, "application/octet-stream", "image/png"),
        (b"BEGIN:VCARD", "text/vcard; charset=utf-8", "text/vcard; charset=utf-8"),
        (b"\x00\x01\x02", "application/octet-stream", "application/octet-stream"),
        (b"\x00\x00\x00\x18ftypM4A ....", "audio/x-m4a", "audio/x-m4a"),
        (b"PK\x03\x04......", "application/vnd.oasis.opendocument.text", None),
    ],
)
async def test_the_type_is_found_out_or_believed(world, data, kind, becomes) -> None:
    assert (await upload(world, data, kind))["content_type"] == (becomes or kind)


async def test_more_than_the_limit_is_refused_while_it_comes(a_world) -> None:
    async with a_world(media={"bytes_max": 1000}) as world:

        async def endless():
            for _ in range(100):
                yield b"x" * 1000

        for data in (b"x" * 20_000, endless()):
            said = await upload(world, data, "application/octet-stream", 400)
            assert (said["code"], said["details"]) == (50512, {"bytes_max": 1000})
        assert kept(world) == []
        assert (await upload(world, b"x" * 1000, "text/plain"))["size"] == 1000


async def test_without_room_nothing_is_taken_and_the_caller_hears_why(a_world) -> None:
    async with a_world(media={"free_bytes_min": 2**60}) as world:
        headers = {**world.login, "Content-Type": "image/png"}
        url = world.base + path(world)
        async with world.http.post(url, data=PNG, headers=headers) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
            assert (await answer.json())["message"] == "There is no room to store media"
        assert kept(world) == []


async def test_who_breaks_off_leaves_nothing(world) -> None:
    async def half():
        yield b"x" * 600_000
        raise ConnectionResetError

    with pytest.raises(aiohttp.ClientError):
        await upload(world, half(), "text/plain")
    for _ in range(200):
        if not kept(world):
            break
        await asyncio.sleep(0.02)
    assert kept(world) == []


async def test_a_message_takes_a_file_once(world) -> None:
    parent, made = await conversation(world), await upload(world)
    status, message = await attach(world, parent, made["sid"].upper().replace("ME", "ME"))
    assert (status, message["body"]) == (201, None)
    assert message["media"] == [
        {"sid": made["sid"], "size": len(PNG), "content_type": "image/png", "filename": None}
    ]
    assert (await world.call("GET", message["url"]))[1]["media"] == message["media"]
    status, said = await attach(world, parent, made["sid"], Body="again")
    assert (status, said["code"]) == (409, 50508)
    status, said = await attach(world, parent, ids.new(ids.MEDIA))
    assert (status, said["code"]) == (404, 50507)
    shown = (await world.call("GET", made["url"]))[1]
    assert (shown["channel_sid"], shown["message_sid"]) == (parent["sid"], message["sid"])


async def test_of_two_messages_at_once_one_gets_the_file(world) -> None:
    parent, made = await conversation(world), await upload(world)
    answers = await asyncio.gather(*(attach(world, parent, made["sid"]) for _ in range(8)))
    assert sorted(status for status, _ in answers) == [201] + [409] * 7
    assert {said["code"] for status, said in answers if status == 409} == {50508}


async def test_a_post_that_is_sent_again_with_its_key_gets_the_first_answer(world) -> None:
    parent, made = await conversation(world), await upload(world)
    headers, form = {"Idempotency-Key": ids.token()}, {"MediaSid": made["sid"]}
    url = f"{parent['url']}/Messages"
    first, *others = await asyncio.gather(
        *(world.call("POST", url, form, headers=headers) for _ in range(5))
    )
    assert first[0] == 201
    assert others == [first] * 4


async def test_a_file_is_of_one_service(world) -> None:
    made = await upload(world)
    other = path(world, world.other_service_sid)
    assert (await world.call("GET", f"{other}/{made['sid']}"))[0] == 404
    _, parent = await world.call(
        "POST", f"/v1/Services/{world.other_service_sid}/Conversations", {}
    )
    status, said = await attach(world, parent, made["sid"])
    assert (status, said["code"]) == (404, 50507)


async def test_what_nobody_attaches_goes_after_five_minutes(world) -> None:
    made, taken = await upload(world), await upload(world, PDF, "application/pdf")
    parent = await conversation(world)
    await attach(world, parent, taken["sid"])
    await collect(world.runtime)
    assert len(kept(world)) == 2
    clock = TurnedClock(world.runtime.clock.now() + timedelta(seconds=290))
    world.runtime.clock = world.runtime.db.clock = clock
    await collect(world.runtime)
    assert (await world.call("GET", made["url"]))[0] == 200
    clock.turn(11)
    await collect(world.runtime)
    assert (await world.call("GET", made["url"]))[0] == 404
    status, said = await attach(world, parent, made["sid"])
    assert (status, said["code"]) == (404, 50507)
    assert (await world.call("GET", taken["url"]))[0] == 200
    assert len(kept(world)) == 1


@pytest.mark.parametrize("what", ["message", "conversation"])
async def test_the_file_goes_with_its_message_when_nothing_else_has_it(world, what) -> None:
    parent, one, two = await conversation(world), await upload(world), await upload(world)
    assert len(kept(world)) == 1
    _, first = await attach(world, parent, one["sid"])
    other = await conversation(world)
    _, second = await attach(world, other, two["sid"])
    url = one["links"]["content_direct_temporary"]
    await world.call("DELETE", first["url"] if what == "message" else parent["url"])
    assert (await world.call("GET", one["url"]))[0] == 404
    assert (await get(world, url))[0] == 404
    await collect(world.runtime)
    assert (await get(world, two["links"]["content_direct_temporary"]))[1] == PNG
    await world.call("DELETE", second["url"])
    await collect(world.runtime)
    assert kept(world) == []
    async with world.runtime.db.read() as tx:
        rows = await tx.sql.fetchval(
            "SELECT count(*) FROM media WHERE account_sid = $1", world.account_sid
        )
    assert rows == 0


async def test_a_changed_file_is_not_given_out(world) -> None:
    made = await upload(world, PDF, "application/pdf")
    [file] = kept(world)
    raw = bytearray(file.read_bytes())
    raw[100] ^= 1
    file.write_bytes(raw)
    status, body, _ = await get(world, made["links"]["content_direct_temporary"])
    assert status == 503
    assert b"xxx" not in body
    world.observed.clear()


def test_the_defaults_are_the_originals() -> None:
    usual = MediaSettings()
    assert (usual.bytes_max, usual.url_s, usual.unattached_s) == (150 * 2**20, 300, 300)
