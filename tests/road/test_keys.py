"""Idempotency keys on the road: one message, whoever walks; what was refused keeps nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from app.errors import Invalid
from app.road.items import Draft, Keyed, Posted, Repeated
from app.store.idempotency import Key
from tests.road.conftest import Open, Roadside
from tests.support.settings import ACCOUNT

KEPT = "SELECT key, status, answer FROM idempotency_keys ORDER BY key"


def word(posted: Posted) -> str:
    return str(posted.message.sid)


def draft(roadside: Roadside, conversation_sid: str, key: str = "k", body: str = "x") -> Draft:
    settings = roadside.runtime.settings
    keyed = Keyed(Key(ACCOUNT, key, body), 201, word)
    service_sid = settings.service_sid(settings.default_service)
    return Draft(ACCOUNT, service_sid, conversation_sid, "system", body, keyed=keyed)


def sids(results: list[Any]) -> list[str]:
    """The messages that came of these; everything else says that its key was used."""
    assert all(isinstance(one, Posted | Repeated) for one in results), results
    return [one.message.sid for one in results if isinstance(one, Posted)]


async def test_of_two_in_one_convoy_one_becomes_a_message(roadside: Roadside) -> None:
    sid = (await roadside.arrive("in")).conversation_sid or ""
    results = await asyncio.gather(
        *(roadside.road.submit(draft(roadside, sid)) for _ in range(3)), return_exceptions=True
    )
    [made] = sids(results)
    assert await roadside.sql.fetch(KEPT) == [("k", 201, made)]
    assert await roadside.indices(sid) == [0, 1]


async def test_of_two_replicas_one_makes_the_message(open_road: Open) -> None:
    async with open_road() as one, open_road() as two:
        sid = (await one.arrive("in")).conversation_sid or ""
        for n in range(20):
            results = await asyncio.gather(
                *(each.road.submit(draft(each, sid, f"{n}")) for each in (one, two, one, two)),
                return_exceptions=True,
            )
            assert len(sids(results)) == 1
        assert await one.indices(sid) == list(range(21))


async def test_what_is_refused_leaves_its_key_and_its_neighbours_alone(roadside: Roadside) -> None:
    open_, closed = [
        (await roadside.arrive(f"in{n}", f"+1555123000{n}")).conversation_sid or "" for n in (1, 2)
    ]
    await roadside.sql.execute("UPDATE conversations SET state = 'closed' WHERE sid = $1", closed)
    drafts = [draft(roadside, closed, "a"), draft(roadside, open_, "b")]
    refused, posted = await asyncio.gather(
        *(roadside.road.submit(one) for one in drafts), return_exceptions=True
    )
    assert isinstance(refused, Invalid)
    assert isinstance(posted, Posted)
    assert [row["key"] for row in await roadside.sql.fetch(KEPT)] == ["b"]


async def test_an_answer_that_cannot_be_worded_leaves_nothing_behind(roadside: Roadside) -> None:
    sid = (await roadside.arrive("in")).conversation_sid or ""
    broken = draft(roadside, sid)
    assert broken.keyed is not None

    def stumble(_: Posted) -> str:
        raise ZeroDivisionError

    keyed = Keyed(broken.keyed.key, 201, stumble)
    drafts = [
        Draft(ACCOUNT, broken.service_sid, sid, "system", "x", keyed=keyed),
        draft(roadside, sid, "good"),
    ]
    stumbled, posted = await asyncio.gather(
        *(roadside.road.submit(one) for one in drafts), return_exceptions=True
    )
    assert isinstance(stumbled, ZeroDivisionError)
    assert isinstance(posted, Posted)
    assert await roadside.indices(sid) == [0, 1]
    assert [row["key"] for row in await roadside.sql.fetch(KEPT)] == ["good"]
