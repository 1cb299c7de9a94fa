"""The API against its own statements: what HTTP, forms, scope and JSON cost beside PostgreSQL.

As a process (`python -m tests.bench.rest SPEC`) it is the load: connections that ask for one thing
again and again, of the API or (`port` 0) of PostgreSQL by asyncpg, with the statements that the
store sends for it.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import asyncpg
import uvloop
from sqlalchemy import event

from app import ids
from app.api.conversations import LISTING
from app.api.page import wanted
from app.clock import Clock
from app.model import Conversation
from app.store import conversations, scope
from app.store.conversations import Filter
from app.store.database import Database
from app.store.slices import Slice
from tests.bench import town
from tests.bench.processes import finished
from tests.bench.stage import Dataset, Served, Stage, connected
from tests.bench.table import Figure, interleaved, middle, percentile

FETCH, FIRST, DEEP, CREATE = "fetch", "page", "deep page", "create"
CONNECTIONS = 8
WARM_S = 0.5
PATH = "/v1/Conversations"
LIMITS = {"actions_per_s": 0}
MIDDLE = """
SELECT date_created, sid FROM conversations ORDER BY date_created DESC, sid DESC OFFSET $1 LIMIT 1
"""

Once = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Spec:
    """What is asked for, `seconds` long; port 0: straight from PostgreSQL."""

    what: str
    port: int
    dsn: str
    conversations: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """How it went: answers per second, and the processor time of one (0: nobody served it)."""

    per_s: float
    p50_ms: float
    p99_ms: float
    count: int
    app_us: float = 0.0
    postgres_us: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.per_s:,.0f}/s (p50 {self.p50_ms:.1f} p99 {self.p99_ms:.1f} ms,"
            f" CPU {self.app_us:.0f} + {self.postgres_us:.0f} us)"
        )


async def rest(stage: Stage) -> Sequence[Figure]:
    """Fetch, list and create over HTTP beside the same statements alone, at both sizes; and what a
    page in the middle of everything costs."""
    figures: list[Figure] = []
    for size in (stage.small, stage.large):
        dataset = await stage.dataset(size)
        async with stage.service(dataset, "api", limits=LIMITS) as service:
            runs = {
                (what, over): partial(_run, stage, dataset, service, what, over)
                for what in (FETCH, FIRST, DEEP, CREATE)
                for over in ("HTTP", "asyncpg")
                if (what, over) != (DEEP, "asyncpg")
            }
            figures += _figures(dataset, await interleaved(stage.rounds, runs))
    return figures


def _figures(dataset: Dataset, found: dict[tuple[str, str], list[Run]]) -> list[Figure]:
    of = {name: sorted(runs, key=lambda run: run.per_s) for name, runs in found.items()}

    def ratio(name: str, one: tuple[str, str], other: tuple[str, str], floor: float | None) -> Any:
        value = middle([run.per_s for run in of[one]]) / middle([run.per_s for run in of[other]])
        one_run, other_run = (of[name][len(of[name]) // 2] for name in (one, other))
        title = f"{name}, {dataset.conversations:,} conversations"
        return Figure(title, value, floor, beside=f"{one_run} : {other_run}")

    over = [
        ratio(f"{what} over HTTP : its statements", (what, "HTTP"), (what, "asyncpg"), None)
        for what in (FETCH, FIRST, CREATE)
    ]
    return [*over, ratio("deep page : first page", (DEEP, "HTTP"), (FIRST, "HTTP"), 0.8)]


async def _run(stage: Stage, dataset: Dataset, service: Served, what: str, over: str) -> Run:
    port = service.port if over == "HTTP" else 0
    spec = Spec(what, port, dataset.dsn, dataset.conversations, stage.seconds)
    command = (sys.executable, "-m", "tests.bench.rest", json.dumps(asdict(spec)))
    told, app_s, postgres_s = await stage.cost(service, partial(finished, *command))
    run = Run(**json.loads(told))
    app_us = app_s / run.count * 1e6 if port else 0.0
    return replace(run, app_us=app_us, postgres_us=postgres_s / run.count * 1e6)


async def load(spec: Spec) -> Run:
    """Ask from here."""
    latencies: list[float] = []
    count = 0
    starts = perf_counter() + WARM_S
    ends = starts + spec.seconds

    async def ask(once: Once) -> None:
        nonlocal count
        while (began := perf_counter()) < ends:
            await once()
            count += 1
            if starts <= (now := perf_counter()) < ends:
                latencies.append(now - began)

    opened = over_http(spec) if spec.port else straight(spec)
    async with opened as asked, asyncio.TaskGroup() as group:
        starts = perf_counter() + WARM_S
        ends = starts + spec.seconds
        for once in asked:
            group.create_task(ask(once))
    return Run(
        len(latencies) / spec.seconds,
        percentile(latencies, 0.5) * 1000,
        percentile(latencies, 0.99) * 1000,
        count,
    )


@asynccontextmanager
async def over_http(spec: Spec) -> AsyncIterator[list[Once]]:
    """Raw connections to the API."""
    login = b64encode(f"{town.ACCOUNT}:{town.TOKEN}".encode()).decode()
    head = f"HTTP/1.1\r\nHost: 127.0.0.1:{spec.port}\r\nAuthorization: Basic {login}\r\n"
    line, status = f"GET {PATH}", 200
    if spec.what == DEEP:
        line = f"GET {await _deep(spec)}"
    if spec.what == CREATE:
        line, status = f"POST {PATH}", 201
    streams = [await asyncio.open_connection("127.0.0.1", spec.port) for _ in range(CONNECTIONS)]

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        which = f"/{_sid(spec)}" if spec.what == FETCH else ""
        writer.write(f"{line}{which} {head}Content-Length: 0\r\n\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        assert int(answer[9:12]) == status, answer
        length = answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        await reader.readexactly(int(length))

    yield [partial(once, *stream) for stream in streams]
    for _, writer in streams:
        writer.close()


async def _deep(spec: Spec) -> str:
    """The path of the page after the middle row, as the API itself would give it."""
    async with connected(spec.dsn) as sql:
        row = tuple(await sql.fetchrow(MIDDLE, spec.conversations // 2))
    page = wanted(LISTING, PATH, (), ())
    full = [row] * (LISTING.size + 1)
    shown = page.answer(full, lambda key: key, lambda key: {"sid": key[1]})
    return str(shown["meta"]["next_page_url"])


@asynccontextmanager
async def straight(spec: Spec) -> AsyncIterator[list[Once]]:
    """Connections to PostgreSQL; each sends the statements as the API does: changes in a
    transaction."""
    asked, example = await _statements(spec)
    pool = [await asyncpg.connect(spec.dsn) for _ in range(CONNECTIONS)]

    async def once(sql: asyncpg.Connection) -> None:
        sid = ids.new(ids.CONVERSATION) if spec.what == CREATE else _sid(spec)
        async with sql.transaction() if spec.what == CREATE else nullcontext():
            for statement, arguments in asked:
                await sql.fetch(statement, *(sid if one == example else one for one in arguments))

    yield [partial(once, sql) for sql in pool]
    for sql in pool:
        await sql.close()


async def _statements(spec: Spec) -> tuple[list[tuple[str, Sequence[Any]]], str]:
    """What the store sends for this, caught on its way, and the SID of the conversation in it."""
    db = Database(spec.dsn, Clock(), pool_max=1)
    written: list[tuple[str, Sequence[Any]]] = []
    built: list[tuple[str, Sequence[Any]]] = []
    event.listen(
        db.engine.sync_engine,
        "before_cursor_execute",
        lambda _, __, text, values, *___: built.append((text, values)),
    )
    async with db.begin() as tx:
        tx.sql.add_query_logger(lambda query: written.append((query.query, query.args)))
        example = await _in_the_store(tx, spec.what)
        await asyncio.sleep(0)  # the driver tells of its queries a little later
        asked = [*written, *built]
    await db.close()
    return asked, example


async def _in_the_store(tx: Any, what: str) -> str:
    """What the verb does, without the API around it; gives the SID that it is about."""
    sid = ids.new(ids.CONVERSATION)
    found = await scope.find(tx, town.ACCOUNT, None)
    assert found is not None
    if what == FETCH:
        await conversations.find(tx, found, sid)
    elif what == CREATE:
        await conversations.defaults(tx, found.account_sid)
        dates = dict.fromkeys(("active_at", "state_at", "date_created", "date_updated"), tx.now)
        row = {"account_sid": found.account_sid, "chat_service_sid": found.service_sid, **dates}
        await conversations.add(tx, Conversation(sid=sid, state="active", **row))
    else:
        await conversations.page(tx, found, Filter(), Slice(LISTING.size))
    return sid


def _sid(spec: Spec) -> str:
    """Any conversation, as it was filled in."""
    return f"CH{1_000_000_000_000 + random.randrange(spec.conversations):012x}70008000000000000000"


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(load(Spec(**json.loads(sys.argv[1])))))))
