"""Flows that the YAML declares: its definitions become revisions, and the API reads them."""

from __future__ import annotations

from typing import Any

import asyncpg

from app.settings.flows import fill
from app.settings.models import Settings
from app.store.database import Database
from app.store.declared import declare
from tests.support.house import house
from tests.support.settings import settings

from .conftest import BOTS, flow, state
from .stage import FLOW_SID

OTHER = flow(state("say", "send-message", body="hello", _sent=None))


def declaring(definition: str | None, **more: Any) -> Settings:
    """Settings whose file names this flow, or none."""
    if definition is None:
        return settings()
    made = settings(flows={FLOW_SID: {"file": "flows/bots.json", **more}})
    fill(made, {FLOW_SID: definition})
    return made


async def declared(db: Database, made: Settings) -> None:
    async with db.begin() as tx:
        await declare(tx, made)


async def test_another_text_is_another_revision(db: Database, sql: asyncpg.Connection) -> None:
    for definition in (BOTS, BOTS, OTHER, OTHER):
        await declared(db, declaring(definition))
    rows = await sql.fetch("SELECT revision, definition FROM flow_revisions ORDER BY revision")
    assert [tuple(row) for row in rows] == [(1, BOTS), (2, OTHER)]
    row = await sql.fetchrow("SELECT friendly_name, revision, published, declared_as FROM flows")
    assert tuple(row) == ("bots", 2, 2, f"flows.{FLOW_SID}")


async def test_what_is_declared_no_more_is_the_apis(db: Database, sql: asyncpg.Connection) -> None:
    await declared(db, declaring(BOTS, friendly_name="Bots"))
    await declared(db, declaring(None))
    row = await sql.fetchrow("SELECT friendly_name, published, declared_as FROM flows")
    assert tuple(row) == ("Bots", 1, None)


async def test_what_the_file_declares_the_api_reads_and_does_not_change(
    dsn: str, db: Database
) -> None:
    await declared(db, declaring(BOTS))
    path = f"/v2/Flows/{FLOW_SID}"
    async with house(dsn) as one:
        # The house's own file names no flow: from its start on this one is the API's.
        assert (await one.get(path))["revision"] == 1
        await one.post(path, 200, Status="draft")
        await declared(one.service.runtime.db, declaring(BOTS))
        refused = await one.post(path, 409, Status="draft")
        assert refused["details"] == {"declared_as": f"flows.{FLOW_SID}"}
        assert (await one.get(path))["status"] == "published"
