"""Who is asked: found along the unique index, however many accounts there are."""

from __future__ import annotations

import asyncpg

from app import ids
from app.store import pre_targets
from app.store.pre_targets import PreTarget

AC, IS, OTHER = ids.new(ids.ACCOUNT), ids.new(ids.SERVICE), ids.new(ids.SERVICE)
FILTERS = ["onMessageAdd", "onMessageAdded"]


async def account(sql: asyncpg.Connection) -> None:
    await sql.execute(
        "INSERT INTO accounts (sid, default_chat_service_sid, date_created, date_updated)"
        " VALUES ($1, $2, now(), now())",
        *(AC, IS),
    )
    for sid in (IS, OTHER):
        await sql.execute(
            "INSERT INTO services (sid, account_sid, friendly_name, date_created, date_updated)"
            " VALUES ($1, $2, 'x', now(), now())",
            *(sid, AC),
        )


async def webhooks(sql: asyncpg.Connection, service: str | None, **urls: str) -> str:
    sid = ids.new(ids.WEBHOOK)
    await sql.execute(
        "INSERT INTO webhook_configurations (sid, account_sid, chat_service_sid, pre_url, post_url,"
        " method, filters, date_created, date_updated)"
        " VALUES ($1, $2, $3, $4, $5, 'GET', $6, now(), now())",
        *(sid, AC, service, urls.get("pre"), urls.get("post"), FILTERS),
    )
    return sid


async def test_nobody_is_asked_until_there_is_a_url(sql: asyncpg.Connection, dsn: str) -> None:
    await account(sql)
    assert await pre_targets.find(sql, AC, IS) is None
    await webhooks(sql, None, post="https://a.example.com/after")
    assert await pre_targets.find(sql, AC, IS) is None


async def test_a_service_goes_before_the_account(sql: asyncpg.Connection, dsn: str) -> None:
    await account(sql)
    sid = await webhooks(sql, None, pre="https://a.example.com/all")
    wanted = frozenset(FILTERS)
    everybodys = PreTarget(
        *(sid, "global", "https://a.example.com/all", "GET", wanted), on_timeout="open", timeout_s=5
    )
    assert await pre_targets.find(sql, AC, IS) == everybodys
    mine = await webhooks(sql, IS, pre="https://a.example.com/one")
    found = await pre_targets.find(sql, AC, IS)
    assert found is not None
    assert (found.sid, found.scope, found.url) == (mine, "service", "https://a.example.com/one")
    assert await pre_targets.find(sql, AC, OTHER) == everybodys
    assert await pre_targets.find(sql, ids.new(ids.ACCOUNT), IS) is None


async def test_the_question_follows_the_index(sql: asyncpg.Connection, dsn: str) -> None:
    async with sql.transaction():
        await sql.execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(row[0] for row in await sql.fetch("EXPLAIN " + pre_targets.FIND, AC, IS))
    assert "webhook_configurations_scope" in plan
    assert "Index Cond: ((account_sid = " in plan
    assert "COALESCE(chat_service_sid" in plan.partition("Index Cond")[2].partition("\n")[0]
