"""A whole conversation to take away, as JSON lines, CSV and mbox."""

from __future__ import annotations

import base64
import csv
import io
import mailbox
import tracemalloc

import aiohttp
import orjson
import pytest

from app import ids
from app.api import export
from app.observe import Failed

from .conftest import OURS, TOKEN

PAIR = {"MessagingBinding.Address": "+15558675310", "MessagingBinding.ProxyAddress": OURS}
BODIES = ["hello", 'a "quoted", line\nand another', "From here\n>From there", "=1+1 ünïcödé", ""]


@pytest.fixture(params=["account", "service"])
async def parent(request, world) -> dict:
    """A conversation with two participants, and messages that are hard to write down."""
    tree = "/v1" if request.param == "account" else f"/v1/Services/{world.other_service_sid}"
    form = {"UniqueName": "it", "FriendlyName": "Two\nlines"}
    _, made = await world.call("POST", f"{tree}/Conversations", form)
    for joins in ({"Identity": "ann"}, PAIR):
        await world.call("POST", f"{made['url']}/Participants", joins)
    for body in BODIES[:-1]:
        form = {"Author": "ann", "Body": body, "Subject": "re: ä"}
        status, _ = await world.call("POST", f"{made['url']}/Messages", form)
        assert status == 201
    _, last = await world.call("POST", f"{made['url']}/Messages", {"Body": "x"})
    async with world.runtime.db.begin() as tx:  # as one that a channel sent: a file and no text
        await tx.sql.execute("UPDATE messages SET body = NULL WHERE sid = $1", last["sid"])
        await tx.sql.execute(
            "INSERT INTO media (sid, account_sid, chat_service_sid, message_sid, content_type,"
            " filename, size, date_created, date_updated)"
            " VALUES ($1, $2, 'x', $3, 'image/png', 'a.png', 7, $4, $4)",
            ids.new(ids.MEDIA),
            world.account_sid,
            last["sid"],
            tx.now,
        )
    return (await world.call("GET", made["url"]))[1]


def login(world) -> dict[str, str]:
    credentials = base64.b64encode(f"{world.account_sid}:{TOKEN}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}


async def exported(world, url: str, **headers: str) -> bytes:
    status, body = await world.call("GET", url, headers=headers)
    assert status == 200, body
    return body


async def test_json_lines_hold_every_resource(world, parent) -> None:
    link = parent["links"]["export"]
    lines = [orjson.loads(line) for line in (await exported(world, link)).splitlines()]
    kinds = [next(iter(line)) for line in lines]
    assert kinds == ["conversation", "participant", "participant"] + ["message"] * 5
    assert lines[0]["conversation"] == parent
    _, page = await world.call("GET", f"{parent['url']}/Participants")
    assert [line["participant"] for line in lines[1:3]] == page["participants"]
    _, page = await world.call("GET", f"{parent['url']}/Messages")
    extra = {"subject": "re: ä", "source": "API"}
    assert [line["message"] for line in lines[3:7]] == [
        message | extra for message in page["messages"][:4]
    ]
    [medium] = lines[7]["message"]["media"]
    assert (medium["filename"], medium["size"]) == ("a.png", 7)


async def test_csv_has_a_row_for_each_participant_and_message(world, parent) -> None:
    text = (await exported(world, f"{parent['links']['export']}?Format=csv")).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["record"] for row in rows] == ["participant"] * 2 + ["message"] * 5
    assert (rows[0]["identity"], rows[1]["address"], rows[1]["proxy_address"]) == (
        "ann",
        PAIR["MessagingBinding.Address"],
        OURS,
    )
    assert [row["body"] for row in rows[2:]] == BODIES
    assert [row["index"] for row in rows[2:]] == ["0", "1", "2", "3", "4"]
    assert orjson.loads(rows[-1]["media"])[0]["filename"] == "a.png"


async def test_an_mbox_can_be_read_as_mail(world, parent, tmp_path) -> None:
    path = tmp_path / "it.mbox"
    path.write_bytes(await exported(world, f"{parent['links']['export']}?Format=mbox"))
    box = mailbox.mbox(path)
    letters = list(box)
    box.close()
    assert len(letters) == 1 + len(BODIES)
    who = letters[0].get_payload(decode=True).decode().splitlines()
    assert [orjson.loads(line)["identity"] for line in who if line.startswith("{")] == ["ann", None]
    bodies = [letter.get_payload(decode=True).decode().rstrip("\n") for letter in letters[1:]]
    assert (
        bodies
        == [
            *BODIES[:2],
            ">From here\n>>From there",  # quoted, as mboxrd says
            *BODIES[3:],
        ]
    )
    assert letters[1]["From"].startswith("ann <")
    assert letters[-1]["X-Parley-Index"] == "4"
    assert "a.png" in letters[-1]["X-Parley-Media"]
    assert len({letter["Message-ID"] for letter in letters}) == len(letters)


@pytest.mark.parametrize(
    ("accept", "query", "expected"),
    [
        ("*/*", "", "application/x-ndjson"),
        ("application/json", "", "application/x-ndjson"),
        ("text/csv", "", "text/csv"),
        ("text/html, application/mbox;q=0.9", "", "application/mbox"),
        ("text/csv", "?Format=jsonl", "application/x-ndjson"),
        ("text/csv", "?format=MBOX", "application/mbox"),
    ],
)
async def test_the_format_is_asked_for(world, accept: str, query: str, expected: str) -> None:
    _, made = await world.call("POST", "/v1/Conversations", {})
    async with world.http.get(
        made["links"]["export"] + query,
        headers={"Accept": accept, **login(world)},
    ) as answer:
        assert (answer.status, answer.content_type) == (200, expected)
        assert made["sid"] in answer.headers["Content-Disposition"]


async def test_what_it_refuses(world) -> None:
    _, made = await world.call("POST", "/v1/Conversations", {})
    status, body = await world.call("GET", f"{made['links']['export']}?Format=pdf")
    assert (status, body["code"]) == (400, 20001)
    path = f"/v1/Conversations/{ids.new(ids.CONVERSATION)}/Export"
    status, body = await world.call("GET", path)
    assert (status, body["code"]) == (404, 20404)
    assert (await world.call("POST", made["links"]["export"], {}))[0] == 405


async def many(world, count: int, chars: int = 10) -> dict:
    """A conversation with so many messages of this length."""
    _, made = await world.call("POST", "/v1/Conversations", {})
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "INSERT INTO messages (sid, account_sid, chat_service_sid, conversation_sid, index,"
            " author, body, source, date_created, date_updated)"
            " SELECT 'IM' || substr($2, 3, 24) || lpad(to_hex(n), 8, '0'), $1, $3, $2, n, 'a',"
            " repeat('x', $6), 'API', $4, $4 FROM generate_series(0, $5 - 1) n",
            world.account_sid,
            made["sid"],
            world.service_sid,
            tx.now,
            count,
            chars,
        )
        await tx.sql.execute(
            "UPDATE conversations SET message_count = $2 WHERE sid = $1", made["sid"], count
        )
    return made


async def test_a_long_conversation_is_written_page_by_page(world, monkeypatch) -> None:
    monkeypatch.setattr(export, "ROWS_MAX", 7)
    made = await many(world, 50)
    body = await exported(world, made["links"]["export"])
    lines = [orjson.loads(line) for line in body.splitlines()]
    assert [line["message"]["index"] for line in lines[1:]] == list(range(50))


async def test_what_breaks_on_the_way_breaks_the_answer_off(a_world, monkeypatch) -> None:
    async def break_(*given):
        raise RuntimeError("on purpose")

    async with a_world() as world:
        made = await many(world, 5)
        monkeypatch.setattr(export, "_messages", break_)
        with pytest.raises(aiohttp.ClientError):
            await exported(world, made["links"]["export"])
        [failed] = world.observed
        assert isinstance(failed, Failed)


async def test_memory_does_not_grow_with_the_conversation(world, monkeypatch) -> None:
    monkeypatch.setattr(export, "ROWS_MAX", 20)
    made = await many(world, 1500, chars=8000)
    tracemalloc.start()
    read = 0
    async with world.http.get(made["links"]["export"], headers=login(world)) as answer:
        async for chunk in answer.content.iter_any():
            read += len(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read > 12_000_000
    assert peak < 4_000_000
