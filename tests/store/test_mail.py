"""Files that came with mails: taken once, known by their content, and told when they are gone."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg

from app.model.traffic import Inbound, KeptFile, MediaPart, restored, stored
from app.store import mail, media

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def kept(name: str, content: str) -> KeptFile:
    return KeptFile(name, "disk", content * 64, f"by {name}")


async def come_in(sql: asyncpg.Connection, *files: KeptFile) -> None:
    for file in files:
        await media.doom(sql, file.key, file.shelf, NOW)


async def doomed(sql: asyncpg.Connection) -> set[str]:
    return {row["key"] for row in await sql.fetch("SELECT key FROM doomed_files")}


async def test_a_content_is_kept_once(sql: asyncpg.Connection) -> None:
    one, same, other = kept("k1", "a"), kept("k2", "a"), kept("k3", "b")
    await come_in(sql, one, same, other)
    taken = await mail.adopt(sql, [(one, 7), (same, 7), (other, 9)], NOW)
    assert taken == {"k1": "k1", "k2": "k1", "k3": "k3"}
    assert await doomed(sql) == {"k2"}
    again = kept("k4", "b")
    await come_in(sql, again)
    assert await mail.adopt(sql, [(again, 9)], NOW) == {"k4": "k3"}
    assert await doomed(sql) == {"k2", "k4"}
    rows = await sql.fetch("SELECT key, sealed_by FROM files")
    assert {row["key"]: row["sealed_by"] for row in rows} == {"k1": "by k1", "k3": "by k3"}


async def test_a_file_that_was_removed_meanwhile_is_not_taken(sql: asyncpg.Connection) -> None:
    gone, there = kept("k1", "a"), kept("k2", "b")
    await come_in(sql, there)
    assert await mail.adopt(sql, [(gone, 7), (there, 9)], NOW) == {"k2": "k2"}
    assert await mail.adopt(sql, [(gone, 7)], NOW) == {}
    assert await sql.fetchval("SELECT count(*) FROM files") == 1


def test_a_mail_that_waits_for_an_answer_keeps_what_it_has() -> None:
    part = MediaPart("", "image/png", 7, "a.png", kept=kept("k1", "a"))
    address, ours = "ann@example.net", "desk@example.com"
    mailed = Inbound("post", "q1/x", "email", address, ours, "Hi", (part,), subject="A question")
    assert restored(stored(mailed)) == mailed
