"""Whom a message brings along: roles for everybody, users for new identities."""

from __future__ import annotations

import asyncio
import json

import asyncpg

from tests.support.settings import SMS, settings

from .conftest import Open

RULE = {
    "type": "webhook",
    "webhook_url": "https://crm.example.com/hook",
    "webhook_filters": ["onParticipantAdded"],
    "default_identities": ["bob", "ann"],
}


async def default_roles(sql: asyncpg.Connection) -> asyncpg.Record:
    return await sql.fetchrow(
        "SELECT default_conversation_role_sid AS talks, default_chat_service_role_sid AS uses"
        " FROM services"
    )


async def test_everybody_in_a_new_conversation_has_a_role_and_identities_are_users(
    open_road: Open,
) -> None:
    given = settings(addresses=[{"address": SMS, "auto_creation": RULE}])
    async with open_road(given) as roadside:
        sql = roadside.sql
        await asyncio.gather(
            *(roadside.arrive(f"SM{n}", address=f"+1555123000{n}") for n in range(4))
        )
        await roadside.arrive("SM9", address="+15551230009")
        roles = await default_roles(sql)
        held = await sql.fetch("SELECT role_sid, count(*) FROM participants GROUP BY 1")
        assert [tuple(row) for row in held] == [(roles["talks"], 15)]
        users = await sql.fetch("SELECT identity, role_sid, attributes FROM users ORDER BY 1")
        assert [tuple(row) for row in users] == [
            ("ann", roles["uses"], "{}"),
            ("bob", roles["uses"], "{}"),
        ]
        told = await sql.fetch("SELECT params FROM outbox WHERE kind = 'hook'")
        assert {json.loads(row["params"])["RoleSid"] for row in told} == {roles["talks"]}


async def test_a_pair_alone_has_a_role_and_makes_no_user(open_road: Open) -> None:
    async with open_road() as roadside:
        await roadside.arrive("SM1")
        roles = await default_roles(roadside.sql)
        assert await roadside.sql.fetchval("SELECT role_sid FROM participants") == roles["talks"]
        assert await roadside.sql.fetchval("SELECT count(*) FROM users") == 0
