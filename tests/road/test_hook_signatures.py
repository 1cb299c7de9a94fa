"""What a webhook carries: signatures that the official validators accept, overrides, the log."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import asyncpg
import orjson
import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError
from twilio.request_validator import RequestValidator

from app.clock import Clock
from app.observe import Said
from app.store.database import Database
from tests.road.hooking import Hooking, hooking
from tests.support.clock import TurnedClock
from tests.support.settings import ACCOUNT, TOKEN

RECEIVER = Path(__file__).parents[2] / "config" / "receivers" / "receiver.py"
OLD, NEW = (f"whsec_{base64.b64encode(bytes([n] * 32)).decode()}" for n in (1, 2))
SIGNED = {"sid": ACCOUNT, "auth_token": TOKEN, "webhook_secrets": [NEW, OLD]}


class Raw:
    """Takes whole requests as they came; answers as told."""

    def __init__(self) -> None:
        self.url = ""
        self.taken: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.taken.append((self.url + request.path_qs, dict(request.headers), body))
        return web.Response(status=self.status, body=b"what we say")


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    made = Raw()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@asynccontextmanager
async def signing(db: Database, sql: asyncpg.Connection, **sections: Any) -> AsyncIterator[Hooking]:
    """A hook loop whose clock says what the receivers' clocks say."""
    clock = TurnedClock(datetime.fromtimestamp(Clock().now().timestamp(), UTC))
    db.clock = clock
    async with hooking(db, sql, clock, **({"account": SIGNED} | sections)) as one:
        yield one


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("secret", [OLD, NEW])
async def test_every_secret_and_the_token_sign(
    db: Database, sql: asyncpg.Connection, raw: Raw, method: str, secret: str
) -> None:
    async with signing(db, sql) as one:
        params = {"EventType": "onMessageAdded", "Body": "ü & a=b", "Index": "0"}
        url = f"{raw.url}/hook?x=y%20z#rc=2&tt=4000"
        await one.tell("a", url, "the-token", method=method, params=params)
        await one.settled(1)
    called, headers, body = raw.taken[0]
    assert "#" not in called
    form = dict(parse_qsl(body.decode())) if method == "POST" else {}
    assert RequestValidator(TOKEN).validate(called, form, headers["X-Twilio-Signature"])
    Webhook(secret).verify(body, headers, json_parse=False)
    assert headers["webhook-id"] == headers["I-Twilio-Idempotency-Token"] == "the-token"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b"x", headers, json_parse=False)
    other = base64.b64encode(bytes([3] * 32)).decode()
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(body, headers, json_parse=False)


async def test_without_a_secret_there_are_no_standard_headers(
    db: Database, sql: asyncpg.Connection, raw: Raw
) -> None:
    async with signing(db, sql, account={"sid": ACCOUNT, "auth_token": TOKEN}) as one:
        await one.tell("a", raw.url, "t")
        await one.settled(1)
    assert not [name for name in raw.taken[0][1] if name.lower().startswith("webhook-")]


ENDED = "SELECT count(*) FROM outbox"


@pytest.mark.parametrize(
    ("fragment", "status", "calls", "reason"),
    [
        ("#rc=1", 500, 2, "given up after 2 attempts"),
        ("#rc=0", 404, 1, "given up after 1 attempts"),
        ("#rp=ct", 500, 1, "its URL asks for no retry after 5xx (#rp)"),
        ("#rp=5xx&rc=2", 503, 3, "given up after 3 attempts"),
        ("#rp=4xx,5xx&rc=2", 429, 3, "given up after 3 attempts"),
        ("#rp=all", 500, 5, "given up after 5 attempts"),
        ("#rc=7", 500, 5, "given up after 5 attempts"),
    ],
)
async def test_a_url_may_ask_for_less(
    db: Database,
    sql: asyncpg.Connection,
    raw: Raw,
    fragment: str,
    status: int,
    calls: int,
    reason: str,
) -> None:
    raw.status = status
    async with signing(db, sql, hooks={"waits_s": [1] * 4, "jitter": 0}) as one:
        await one.tell("a", raw.url + fragment, "t")
        for count in range(1, calls + 1):
            await one.settled(count)
            one.turn(1)
        await one.until(ENDED, 0)
        assert len(raw.taken) == calls
        assert await sql.fetchval("SELECT reason FROM dead_letters") == reason
        complaints = [said.detail for said in one.seen(Said)]
        assert complaints == (
            ["11243: #rc should be a number from 0 to 5; it is passed over"]
            if fragment == "#rc=7"
            else []
        )


async def test_what_is_asked_of_timeouts_is_done(
    db: Database, sql: asyncpg.Connection, raw: Raw
) -> None:
    """A target that takes the connection and never answers."""
    held: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, signing(db, sql, hooks={"timeout_s": 60, "waits_s": [1]}) as one:
        for lane, fragment in (("a", "#rt=100&rc=0"), ("b", "#tt=100&rc=0")):
            await one.tell(lane, f"http://127.0.0.1:{port}/{fragment}", lane)
        await one.settled(2)
        details = {row["detail"] for row in await sql.fetch("SELECT detail FROM attempts")}
        assert details == {"no answer in time"}
        for writer in held:
            writer.close()


@pytest.mark.parametrize(
    ("how", "status", "params", "detail"),
    [
        ("full", 200, {"Body": "secret", "ConversationSid": "CH1"}, "what we say"),
        ("redacted", 200, {"Body": "***", "ConversationSid": "CH1"}, None),
        ("redacted", 500, {"Body": "***", "ConversationSid": "CH1"}, "what we say"),
        ("none", 500, None, None),
    ],
)
async def test_the_log_keeps_what_the_setting_says(
    db: Database,
    sql: asyncpg.Connection,
    raw: Raw,
    how: str,
    status: int,
    params: dict[str, str] | None,
    detail: str | None,
) -> None:
    raw.status = status
    async with signing(db, sql, ops={"hooks_log": how}) as one:
        said = {"Body": "secret", "ConversationSid": "CH1"}
        await one.tell("a", raw.url + "/p?token=hidden", "t", params=said)
        await one.settled(1)
    row = await sql.fetchrow("SELECT *, exchange::text AS said FROM attempts")
    assert row is not None
    exchange = orjson.loads(row["said"])
    if params is not None:
        params = {**params, "RetryCount": "0"}
    assert (exchange.get("params"), row["detail"]) == (params, detail)
    assert {"connect", "first_byte", "total"} <= set(exchange["ms"])
    assert (row["next_at"] is None) == (status == 200)


async def run_receiver(**environment: str) -> asyncio.subprocess.Process:
    """The example in Python."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(RECEIVER)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
    )


async def test_the_receiver_of_the_manual_takes_what_is_signed_once(
    db: Database, sql: asyncpg.Connection
) -> None:
    process = await run_receiver(PARLEY_AUTH_TOKEN=TOKEN, PARLEY_WEBHOOK_SECRET=OLD, PORT="0")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            url = (await process.stdout.readline()).decode().split()[-1]
            async with signing(db, sql) as one:
                await one.tell("a", f"{url}/hook", "one", "two")
                await one.settled(2)
            heard = [(await process.stdout.readline()).decode().split() for _ in range(2)]
            other = {**SIGNED, "auth_token": "another-token"}
            async with signing(db, sql, account=other) as one:
                await one.tell("a", f"{url}/hook", "three")
                await one.settled(3)
    finally:
        process.kill()
        await process.wait()
    assert heard == [["onMessageAdded", "one"], ["onMessageAdded", "two"]]
    codes = await sql.fetch("SELECT status_code FROM attempts ORDER BY id")
    assert [row["status_code"] for row in codes] == [204, 204, 403]
