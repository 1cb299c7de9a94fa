"""Content templates of the file: written at every start, with SIDs that stay."""

from __future__ import annotations

from typing import Any

import asyncpg

from app.store.database import Database
from tests.store.test_declared import AC, rows, start
from tests.support.clock import TurnedClock

TYPES = {"twilio/text": {"body": "Hi {{1}}."}, "twilio/location": {"latitude": 1, "longitude": 2}}
HELLO: dict[str, Any] = {
    "language": "en",
    "variables": {"1": "Ann"},
    "types": TYPES,
    "carriers": {"lab": {"name": "hallo", "language": "de"}},
}
APPROVED = {**HELLO, "approval": {"status": "approved", "category": "MARKETING"}}


async def contents(sql: asyncpg.Connection) -> list[tuple[Any, ...]]:
    return [
        tuple(row)
        for row in await sql.fetch(
            "SELECT sid, declared_as, date_created, date_updated FROM contents"
        )
    ]


async def test_a_template_and_its_approval_are_there_and_name_their_places(
    db: Database, sql: asyncpg.Connection
) -> None:
    await start(db, contents={"hello": APPROVED})
    [row] = await sql.fetch("SELECT *, types::text AS said, carriers::text AS called FROM contents")
    assert (row["account_sid"], row["friendly_name"], row["language"]) == (AC, "hello", "en")
    assert row["declared_as"] == "contents.hello"
    assert row["called"] == '{"lab": {"name": "hallo", "language": "de"}}'
    [approval] = await rows(sql, "content_approvals", "content_sid")
    assert approval["content_sid"] == row["sid"]
    assert (approval["name"], approval["category"]) == ("hello", "MARKETING")
    assert (approval["content_type"], approval["status"]) == ("twilio/text", "approved")
    assert approval["declared_as"] == "contents.hello.approval"


async def test_to_start_again_changes_nothing_and_another_text_changes_its_row(
    db: Database, sql: asyncpg.Connection, clock: TurnedClock
) -> None:
    await start(db, contents={"hello": APPROVED})
    first = await contents(sql)
    clock.turn(10)
    await start(db, contents={"hello": APPROVED})
    assert await contents(sql) == first
    other = {**APPROVED, "types": {"twilio/text": {"body": "Bye."}}}
    await start(db, contents={"hello": other})
    [(sid, _, created, updated)] = await contents(sql)
    assert (sid, created) == (first[0][0], first[0][2])
    assert updated > created


async def test_where_the_file_is_silent_the_approval_is_left_alone(
    db: Database, sql: asyncpg.Connection
) -> None:
    await start(db, contents={"hello": APPROVED})
    await start(db, contents={"hello": HELLO})
    [approval] = await rows(sql, "content_approvals", "content_sid")
    assert (approval["status"], approval["declared_as"]) == ("approved", None)
    await sql.execute("UPDATE content_approvals SET status = 'paused'")
    await start(db, contents={"hello": HELLO})
    assert await sql.fetchval("SELECT status FROM content_approvals") == "paused"


async def test_what_is_declared_no_more_stays_and_is_the_apis(
    db: Database, sql: asyncpg.Connection
) -> None:
    await start(db, contents={"hello": {**APPROVED, "sid": "HX" + "A" * 32}})
    await start(db)
    [(sid, declared_as, *_)] = await contents(sql)
    assert (sid, declared_as) == ("HX" + "a" * 32, None)
