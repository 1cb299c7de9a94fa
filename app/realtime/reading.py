"""Sync as clients read it: roots of documents, lists and maps, and pages of items, straight from
the rows.

Who may not see something is told that it is not there. A document is for participants, for who made
the conversation and for who may join any; messages and rosters are for participants.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from app.clock import iso_millis
from app.errors import NotFound
from app.realtime import entities, shapes
from app.realtime.asked import Answer, Asked
from app.realtime.entities import CHANNEL, INFO, MESSAGES, MINE, OF_CONVERSATIONS, TYPES, Kind
from app.rules.access_tokens import Grant
from app.rules.permissions import JOIN
from app.runtime import Runtime
from app.store import powers, sync, sync_people
from app.store.sync import Access

PAGE, PAGE_MAX = 50, 100

Row = Any


class Person(NamedTuple):
    """Who is at a socket: their token's grant and their user."""

    grant: Grant
    user_sid: str


class Seen(NamedTuple):
    """An entity that somebody may see: of which conversation or user (`of`; `name` is what its
    unique name begins with), and the last event in it. `access` is the conversation's."""

    kind: Kind
    of: str
    name: str
    last_event_id: int
    access: Access | None = None
    row: Row | None = None

    @property
    def sid(self) -> str:
        """Its SID."""
        return entities.sid(self.kind, self.of)


async def root(
    runtime: Runtime, who: Person, asked: Asked, base: str, kind: str, key: str
) -> Answer:
    """A document, list or map. Raises NotFound 54100, 54150, 54200."""
    async with runtime.db.read() as tx:
        seen = await find(tx.sql, who, key, entities.PLURALS[kind])
        data = None
        if seen.kind == CHANNEL:
            row = (await sync.documents(tx.sql, [seen.of])).get(seen.of)
            if row is None:
                raise missing("document")
            seen, data = seen._replace(last_event_id=row["revision"]), shapes.document(row)
        shown = _root(who, seen, f"{base}/v3/{kind}/{seen.sid}", tx.now)
        if data is not None:
            return Answer(200, {**shown, "data": data, "links": {}})
        if asked.param("Include") == "items" and seen.row is not None:
            shown["items"] = [_item(who, seen, *one, shown["url"]) for one in _info(seen)]
    return Answer(200, {**shown, "links": {"items": f"{shown['url']}/Items"}})


async def items(
    runtime: Runtime, who: Person, asked: Asked, base: str, kind: str, key: str
) -> Answer:
    """Items of a list or map: one by its key, or a page. Raises NotFound 54150, 54200."""
    limit = asked.number("PageSize", PAGE, PAGE_MAX)
    down = (asked.param("Order") or "asc").lower() == "desc"
    async with runtime.db.read() as tx:
        seen = await find(tx.sql, who, key, entities.PLURALS[kind])
        url = f"{base}/v3/{kind}/{seen.sid}"
        one = asked.param("Index" if seen.kind == MESSAGES else "Key")
        if one is not None:
            found = await _page(tx.sql, who, seen, one, 1, down=False)
            chosen = [entry for entry in found[0] if str(entry[0]) == one]
            found = (chosen, False, False)
        else:
            found = await _page(tx.sql, who, seen, asked.param("From"), limit, down=down)
    entries, before, after = found
    meta = {
        "previous_token": "before" if before else None,
        "next_token": "after" if after else None,
        "direct_token": "here",
    }
    return Answer(200, {"items": [_item(who, seen, *one, url) for one in entries], "meta": meta})


async def find(sql: asyncpg.Connection, who: Person, key: str, wanted: str) -> Seen:
    """The entity with this SID or name, as far as this person may see it. Raises NotFound."""
    named = None if "\x00" in key else entities.named(key, wanted)
    if named is None:
        raise missing(wanted)
    if named.kind in OF_CONVERSATIONS:
        access = await sync.access(sql, who.grant.service_sid, named.of, who.grant.identity)
        if access is None or not await is_open(sql, who, named.kind, access):
            raise missing(wanted)
        return Seen(named.kind, named.of, named.of, access.revision, access)
    service_sid = who.grant.service_sid
    if named.kind == MINE:
        if named.of not in (who.user_sid, who.grant.identity):
            raise missing(wanted)
        latest = await sync_people.latest(sql, service_sid, who.grant.identity)
        return Seen(MINE, who.user_sid, who.grant.identity, latest)
    if named.by_identity:
        rows = await sync_people.users(sql, service_sid, [named.of])
        row = rows[0] if rows else None
    else:
        row = await sync_people.user(sql, service_sid, named.of)
    if row is None:
        raise missing(wanted)
    return Seen(INFO, row["sid"], row["identity"], row["revision"], None, row)


def missing(wanted: str) -> NotFound:
    """There is no such entity for this person."""
    return NotFound(*entities.MISSING[wanted])


async def is_open(sql: asyncpg.Connection, who: Person, kind: Kind, access: Access) -> bool:
    """Whether this person may see this entity of a conversation."""
    if access.participant_sid is not None:
        return True
    if kind != CHANNEL:
        return False
    if access.created_by == who.grant.identity:
        return True
    held = await powers.find(sql, who.grant.service_sid, who.grant.identity)
    return bool(held.service & set(JOIN))


Entry = tuple[str | int, int, Any, datetime, datetime]
"""An item: its key or index, the last event in it, its data, and its dates."""


async def _page(
    sql: asyncpg.Connection, who: Person, seen: Seen, start: str | None, limit: int, *, down: bool
) -> tuple[Sequence[Entry], bool, bool]:
    """Items from a key or index on, and whether there are others on either side."""
    if seen.kind == INFO:
        entries = [one for one in _info(seen) if start is None or str(one[0]) >= start]
        return entries, False, False
    if seen.kind == MINE:
        who_is = (who.grant.service_sid, who.grant.identity)
        page, stamps = await sync_people.memberships(sql, *who_is, start, limit, down=down)
        return [_membership(row, stamps) for row in page.rows], page.before, page.after
    if seen.kind == MESSAGES:
        if start is not None and not _is_index(start):
            return [], False, False
        index = None if start is None else int(start)
        page = await sync.messages(sql, seen.of, index, limit, down=down)
        return [_message(seen, row) for row in page.rows], page.before, page.after
    page = await sync.roster(sql, seen.of, start, limit, down=down)
    return [_member(seen, row) for row in page.rows], page.before, page.after


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _info(seen: Seen) -> list[Entry]:
    row = seen.row
    assert row is not None
    dates = row["date_created"], row["date_updated"]
    return [(key, seen.last_event_id, data, *dates) for key, data in shapes.user(row).items()]


def _membership(row: Row, stamps: Any) -> Entry:
    sid = row["conversation_sid"]
    stamp, at = stamps.get(sid, 0), row["date_updated"]
    return sid, stamp, shapes.membership(row), row["date_created"], at


def _message(seen: Seen, row: Row) -> Entry:
    last = max(seen.last_event_id, row["revision"])
    return row["index"], last, shapes.message(row), row["date_created"], row["date_updated"]


def _member(seen: Seen, row: Row) -> Entry:
    dates = row["date_created"], row["date_updated"]
    return row["sid"], seen.last_event_id, shapes.member(row), *dates


def _root(who: Person, seen: Seen, url: str, now: datetime) -> dict[str, Any]:
    return {
        "sid": seen.sid,
        "unique_name": entities.name(seen.kind, seen.name),
        "account_sid": who.grant.account_sid,
        "service_sid": who.grant.service_sid,
        "url": url,
        "revision": str(seen.last_event_id),
        "last_event_id": seen.last_event_id,
        "date_created": iso_millis(now),
        "date_updated": iso_millis(now),
        "date_expires": None,
        "created_by": "system",
    }


def _item(
    who: Person,
    seen: Seen,
    key: str | int,
    last_event_id: int,
    data: Any,
    created: datetime,
    updated: datetime,
    url: str,
) -> dict[str, Any]:
    thing = TYPES[seen.kind]
    return {
        "account_sid": who.grant.account_sid,
        "service_sid": who.grant.service_sid,
        "url": f"{url}/Items/{key}",
        "revision": str(last_event_id),
        "last_event_id": last_event_id,
        "data": data,
        "date_created": iso_millis(created),
        "date_updated": iso_millis(updated),
        "date_expires": None,
        "index" if thing == "list" else "key": key,
        f"{thing}_sid": seen.sid,
    }
