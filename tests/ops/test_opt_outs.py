"""What operators ask of opt-outs, and change."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.ops.opt_outs import OptOutRoutes
from tests.ops.conftest import House
from tests.support.settings import ACCOUNT, SMS, TOKEN

BASIC = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
AUTH = {"Authorization": BASIC}
ANN, BOB = "+15551230001", "+15551230002"
SERVICE = "MG" + "a" * 32
OTHERS = "AC" + "b" * 32
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(house: House) -> AsyncIterator[Client]:
    async def admit(request: web.Request) -> str | None:
        return ACCOUNT if request.headers.get("Authorization") == BASIC else None

    rows = [(ACCOUNT, BOB, SMS), (ACCOUNT, ANN, SERVICE), (ACCOUNT, ANN, SMS), (OTHERS, ANN, SMS)]
    await house.sql.executemany(
        "INSERT INTO opt_outs VALUES ($1, $2, $3, true, 'STOP', '2030-01-01')", rows
    )
    application = web.Application()
    application.add_routes(OptOutRoutes(house.runtime).routes(admit))
    async with TestClient(TestServer(application)) as made:
        yield made


async def listed(client: Client, **query: str) -> tuple[list[tuple[str, str]], str | None]:
    answer = await client.get("/ops/opt-outs", params=query, headers=AUTH)
    assert answer.status == 200, await answer.text()
    body = await answer.json()
    return [(row["address"], row["sender"]) for row in body["opt_outs"]], body["after"]


async def test_nobody_asks_without_credentials(client: Client) -> None:
    assert (await client.get("/ops/opt-outs")).status == 401
    assert (await client.post("/ops/opt-outs/clear", data={"Address": ANN})).status == 401


async def test_everybody_of_the_account_is_listed_page_by_page(client: Client) -> None:
    first, after = await listed(client, PageSize="2")
    assert first == [(ANN, SMS), (ANN, SERVICE)]
    assert await listed(client, PageSize="2", After=after or "") == ([(BOB, SMS)], None)
    assert await listed(client, Address=BOB) == ([(BOB, SMS)], None)
    unwritten = await client.get(f"/ops/opt-outs?Address={BOB}", headers=AUTH)  # + and not %2B
    assert [row["address"] for row in (await unwritten.json())["opt_outs"]] == [BOB]


@pytest.mark.parametrize(
    ("form", "count", "left"),
    [({"Address": ANN}, 2, [BOB]), ({"Address": ANN, "Sender": SERVICE}, 1, [ANN, BOB])],
)
async def test_an_opt_out_is_cleared_for_one_sender_or_all(
    client: Client, house: House, form: dict[str, str], count: int, left: list[str]
) -> None:
    answer = await client.post("/ops/opt-outs/clear", data=form, headers=AUTH)
    assert await answer.json() == {"cleared": count}
    rows = await house.sql.fetch(
        "SELECT address FROM opt_outs WHERE opted_out AND account_sid = $1 ORDER BY 1", ACCOUNT
    )
    assert [row["address"] for row in rows] == left
    assert await house.sql.fetchval("SELECT opted_out FROM opt_outs WHERE account_sid = $1", OTHERS)
    again = await client.post("/ops/opt-outs/clear", data=form, headers=AUTH)
    assert again.status == 404


@pytest.mark.parametrize(
    ("method", "path", "form", "said"),
    [
        ("GET", "/ops/opt-outs?PageSize=x", {}, "PageSize"),
        ("GET", "/ops/opt-outs?PageSize=0", {}, "PageSize"),
        ("GET", "/ops/opt-outs?Address=me", {}, "Address"),
        ("GET", "/ops/opt-outs?After=%00", {}, "After"),
        ("POST", "/ops/opt-outs/clear", {"Address": ANN, "Sender": "\0"}, "Sender"),
        ("POST", "/ops/opt-outs/clear", {}, "Address"),
        ("POST", "/ops/opt-outs/clear", {"Address": "x y"}, "Address"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    client: Client, method: str, path: str, form: dict[str, str], said: str
) -> None:
    answer = await client.request(method, path, data=form, headers=AUTH)
    assert answer.status == 400
    assert said in (await answer.json())["message"]
