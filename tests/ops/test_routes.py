"""What operators ask over HTTP, and what they are answered."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.ops.routes import operator_routes
from tests.ops.conftest import House
from tests.support.settings import ACCOUNT, SMS, TOKEN

BASIC = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
AUTH = {"Authorization": BASIC}
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(house: House) -> AsyncIterator[Client]:
    async def admit(request: web.Request) -> str | None:
        return ACCOUNT if request.headers.get("Authorization") == BASIC else None

    application = web.Application()
    application.add_routes(operator_routes(house.runtime, admit))
    async with TestClient(TestServer(application)) as made:
        yield made


@pytest.mark.parametrize("path", ["/ops/explain?To=a&From=b", "/ops/trace/CH1"])
async def test_nobody_asks_without_credentials(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Twilio API"'
    assert await answer.json() == {
        "code": 20003,
        "message": "Authenticate",
        "more_info": "https://www.twilio.com/docs/errors/20003",
        "status": 401,
    }


@pytest.mark.parametrize("plus", ["%2B", "+"])
async def test_explain(client: Client, plus: str) -> None:
    query = f"To={plus}{SMS[1:]}&From={plus}15551230001&Body=hi"
    answer = await client.get(f"/ops/explain?{query}", headers=AUTH)
    body = await answer.json()
    assert (answer.status, body["outcome"], body["to"]) == (200, "created", SMS)


async def test_explain_wants_addresses(client: Client) -> None:
    answer = await client.get("/ops/explain", params={"To": SMS}, headers=AUTH)
    assert answer.status == 400
    assert (await answer.json())["message"] == "Missing required parameter From"
    answer = await client.get("/ops/explain", params={"To": SMS, "From": "me"}, headers=AUTH)
    assert (answer.status, (await answer.json())["code"]) == (400, 20001)


async def test_trace(client: Client, house: House) -> None:
    sid = await house.conversation()
    answer = await client.get(f"/ops/trace/{sid}", headers=AUTH)
    body = await answer.json()
    assert (answer.status, body["conversation_sid"]) == (200, sid)
    assert [entry["what"] for entry in body["entries"]] == ["conversation"]


async def test_an_unknown_name_is_not_found(client: Client) -> None:
    path = "/ops/trace/CH" + "9" * 32
    answer = await client.get(path, headers=AUTH)
    assert answer.status == 404
    assert await answer.json() == {
        "code": 20404,
        "message": f"The requested resource {path} was not found",
        "more_info": "https://www.twilio.com/docs/errors/20404",
        "status": 404,
    }


async def test_what_no_text_can_hold_leads_nowhere(client: Client) -> None:
    answer = await client.get("/ops/trace/CH%00", headers=AUTH)
    assert (answer.status, (await answer.json())["code"]) == (404, 20404)
    answer = await client.get("/ops/explain?To=%00&From=%2B15551230001", headers=AUTH)
    assert answer.status == 400
    assert (await answer.json())["message"] == "To: a NUL character cannot be kept"
