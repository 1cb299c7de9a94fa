"""Messages to many, and files: what fifty recipients and ten megabytes cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from time import monotonic
from typing import Any

import aiohttp

from tests.bench import town
from tests.bench.stage import Served, Stage, connected
from tests.bench.table import Figure, interleaved, middle

MANY = 50
WRITERS = 8
LIMITS = {"actions_per_s": 0}
FILE_BYTES = 8 * 1_048_576
AT_ONCE = 4
WARM_S = 0.5
_numbers = count(5_000_000)

Once = Callable[[], Awaitable[None]]


async def fanout(stage: Stage) -> Sequence[Figure]:
    """Receipts per second of messages to fifty against messages to one; nothing is delivered."""
    dataset = await stage.dataset(stage.small)
    async with (
        stage.service(dataset, "api", hooks=False, limits=LIMITS) as service,
        _client(service) as http,
    ):
        rooms = {
            members: [await _room(http, members) for _ in range(WRITERS)] for members in (1, MANY)
        }
        found = await interleaved(
            stage.rounds,
            {
                members: partial(_rate, stage, [partial(_say, http, sid) for sid in sids])
                for members, sids in rooms.items()
            },
        )
    async with connected(dataset.dsn) as sql:
        await sql.execute("TRUNCATE outbox, lanes")
    one, many = middle(found[1]), middle(found[MANY])
    return [
        Figure(
            f"receipts/s, messages to {MANY} : to one",
            MANY * many / one,
            8,
            beside=f"{MANY * many:,.0f}/s ({many:,.0f} messages/s) : {one:,.0f}/s",
        )
    ]


async def files(stage: Stage) -> Sequence[Figure]:
    """Files taken in and given out, sealed, against a server that does nothing but keep them."""
    dataset = await stage.dataset(stage.small)
    secrets = {"key": "a key of thirty-two characters ..."}
    media = {"folder": str(stage.folder / "media"), "free_bytes_min": 0}
    data = bytes(range(256)) * (FILE_BYTES // 256)
    async with (
        stage.service(
            dataset, "api", hooks=False, limits=LIMITS, secrets=secrets, media=media
        ) as service,
        stage.program("depot") as depot,
        _client(service) as http,
    ):
        async with http.get("/v1/Services") as answer:
            [known] = (await answer.json())["services"]
        ours, plain = f"/v1/Services/{known['sid']}/Media", f"{depot.url}/"
        kept = (await _put(http, ours, data))["links"]["content_direct_temporary"]
        there = plain + str(await _put(http, plain, data))
        runs = {
            "in, ours": partial(_put, http, ours, data),
            "in, plain": partial(_put, http, plain, data),
            "out, ours": partial(_get, http, kept),
            "out, plain": partial(_get, http, there),
        }
        found = await interleaved(
            stage.rounds,
            {name: partial(_rate, stage, [run] * AT_ONCE) for name, run in runs.items()},
        )
    mb_s = {name: middle(rates) * FILE_BYTES / 1_048_576 for name, rates in found.items()}
    return [
        Figure(
            f"files {way}: ours : a plain server",
            mb_s[f"{way}, ours"] / mb_s[f"{way}, plain"],
            0.4,
            beside=f"{mb_s[f'{way}, ours']:,.0f} : {mb_s[f'{way}, plain']:,.0f} MB/s",
        )
        for way in ("in", "out")
    ]


@asynccontextmanager
async def _client(service: Served) -> AsyncIterator[aiohttp.ClientSession]:
    login = aiohttp.BasicAuth(town.ACCOUNT, town.TOKEN)
    async with aiohttp.ClientSession(service.url, auth=login) as http:
        yield http


async def _rate(stage: Stage, asked: Sequence[Callable[[], Awaitable[Any]]]) -> float:
    """How often per second they are answered, each asking again at once."""
    starts = monotonic() + WARM_S
    ends = starts + stage.seconds
    done = 0

    async def again(once: Callable[[], Awaitable[Any]]) -> None:
        nonlocal done
        while monotonic() < ends:
            await once()
            done += starts <= monotonic() < ends

    async with asyncio.TaskGroup() as group:
        for once in asked:
            group.create_task(again(once))
    return done / stage.seconds


async def _room(http: aiohttp.ClientSession, members: int) -> str:
    """A conversation with so many people who are reached by SMS."""
    sid = str((await _post(http, "/v1/Conversations"))["sid"])
    for _ in range(members):
        await _post(
            http,
            f"/v1/Conversations/{sid}/Participants",
            **{
                "MessagingBinding.Address": town.address(town.STRANGER, next(_numbers)),
                "MessagingBinding.ProxyAddress": town.LAB_ADDRESS,
            },
        )
    return sid


async def _say(http: aiohttp.ClientSession, sid: str) -> None:
    await _post(http, f"/v1/Conversations/{sid}/Messages", Author="ann", Body="to everybody")


async def _post(http: aiohttp.ClientSession, path: str, **form: str) -> Any:
    async with http.post(path, data=form) as answer:
        assert answer.status == 201, await answer.text()
        return await answer.json()


async def _put(http: aiohttp.ClientSession, url: str, data: bytes) -> Any:
    kind = {"Content-Type": "application/octet-stream"}
    async with http.post(url, data=_chunks(data), headers=kind) as answer:
        assert answer.status == 201, await answer.text()
        return await answer.json(content_type=None)


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 262_144):
        yield data[at : at + 262_144]


async def _get(http: aiohttp.ClientSession, url: str) -> None:
    came = 0
    async with http.get(url) as answer:
        assert answer.status == 200, answer.status
        async for chunk in answer.content.iter_chunked(262_144):
            came += len(chunk)
    assert came == FILE_BYTES, came
