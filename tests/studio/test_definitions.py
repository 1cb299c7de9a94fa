"""Definitions are read once, as far as there is room for them."""

from __future__ import annotations

import asyncpg

from app.definitions import TEXT_MAX, Definitions, Finder
from app.store.database import Database
from tests.support.settings import ACCOUNT

from .conftest import BOTS, flow, state
from .stage import FLOW_SID, staged

LONG = flow(state("say", "send-message", body="x" * 400_000, _sent=None))
PUT = """
INSERT INTO flow_revisions (flow_sid, revision, friendly_name, status, definition, date_created)
SELECT $1, n, 'f', 'draft', $2, now() FROM generate_series(2, $3::int) n
"""


async def test_what_was_read_is_kept_until_there_is_no_room(
    db: Database, sql: asyncpg.Connection
) -> None:
    async with staged(db, sql, BOTS):
        definitions = Definitions(db)
        first = await definitions.of(FLOW_SID, 1)
        assert first is not None
        assert await definitions.of(FLOW_SID, 1) is first
        count = TEXT_MAX // len(LONG) + 2
        await sql.execute(PUT, FLOW_SID, LONG, count + 1)
        for revision in range(2, count + 2):
            assert await definitions.of(FLOW_SID, revision) is not None
        again = await definitions.of(FLOW_SID, 1)
        assert again == first
        assert again is not first


async def test_what_is_not_there_or_not_the_accounts_is_not_found(
    db: Database, sql: asyncpg.Connection
) -> None:
    async with staged(db, sql, BOTS):
        definitions = Definitions(db)
        mine, other = Finder(definitions, ACCOUNT), Finder(definitions, "AC" + "f" * 32)
        for revision in ("LatestPublished", "LatestDraft", "1"):
            found = await mine.read(FLOW_SID.lower().replace("fw", "FW"), revision)
            assert found is not None
            assert found[0] == "1"
            assert await other.read(FLOW_SID, revision) is None
        for revision in ("2", "99999999999999999999"):
            assert await mine.read(FLOW_SID, revision) is None
        assert await mine.read("nothing", "LatestPublished") is None
