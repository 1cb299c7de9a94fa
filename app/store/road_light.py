"""The road's two statements for a convoy that walks lightly (app/road/light.py): one reads all that
it is decided on, the other enters, claims, checks and writes, and is a transaction of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import asyncpg
import orjson

from app.model import Conversation
from app.store import road, road_write, standing
from app.store.database import sentence
from app.store.outbox import NewItem
from app.store.road import Below, Entry, Facts, Key
from app.store.webhooks import CONFIGURED_OF, Target, scoped_of, told

LOOK = road_write.filled(
    sentence(__file__, "road_look.sql"),
    {
        "holders": road.HOLDERS,
        "member": road.MEMBER,
        "stands": standing.columns("f"),
        "configured": CONFIGURED_OF,
        "scoped": scoped_of(),
    },
)
FIRST = sentence(__file__, "road_light.sql")


class Home(NamedTuple):
    """Where a conversation is created: what its service and account give it, how its writer stands
    to us, and who is told there."""

    chat_service_sid: str
    role_sid: str | None
    messaging_service_sid: str | None
    inactive_timer_s: int | None
    closed_timer_s: int | None
    stands: standing.Standing
    targets: tuple[Target, ...]


class Seen(NamedTuple):
    """What is known of an inbound's pair, and the conversation that holds it, or else where one is
    created (None: nowhere). `plain`: nobody is asked first, nobody is told in more words, and it is
    no group text."""

    plain: bool
    facts: Facts
    conversation: Conversation | None
    below: Below | None
    home: Home | None


class Changed(Exception):
    """Something is not as it was read: nothing was written."""


async def look(sql: asyncpg.Connection, entries: Sequence[Entry]) -> dict[Key, Seen]:
    """What is known of these inbounds, of one moment; nothing is locked."""
    rows = await sql.fetch(LOOK, road_write.text(entries))
    return {(row["by_carrier"], row["external_id"]): _seen(row) for row in rows}


async def write(
    sql: asyncpg.Connection,
    rows: Mapping[str, Sequence[dict[str, Any]]],
    items: Sequence[NewItem],
    begun: Sequence[dict[str, Any]],
    now: datetime,
) -> None:
    """Write, as `road_write` does, what a convoy made; with it the ledger, and the conversations
    that are begun with their pairs. Raises Changed when one of its inbounds came before, one of the
    pairs is taken, one of the other conversations is not as it was `seen` any more, or the service
    of one that is begun is gone."""
    seldom, values = road_write.given(rows, items, now)
    values.append(len(rows["conversations"]))
    if begun:
        values.append(road_write.text(begun))
    try:
        await sql.execute(statement(seldom=seldom, begins=bool(begun)), *values)
    except (asyncpg.DivisionByZeroError, asyncpg.ForeignKeyViolationError):
        raise Changed from None


@cache
def statement(*, seldom: bool, begins: bool) -> str:
    """What `write` runs; its own parameters come last."""
    touched = len(road_write.WRITTEN) + 3 + (len(road_write.SELDOM) if seldom else 0)
    parts = {
        "touched": f"${touched}",
        "begun": f"${touched + 1}",
        "moved": road_write.moving("claimed" if begins else "entered"),
    }
    first = road_write.filled(FIRST if begins else road.MORE.sub("", FIRST), parts)
    return road_write.statement(seldom=seldom, first=first, only="(SELECT ok FROM checked) = 1")


def _seen(row: asyncpg.Record) -> Seen:
    if row["conversation_sid"] is None:
        configuration = road.configuration_of(row["configuration"])
        facts = Facts(None, False, configuration, asks=False, waits=False)
        return Seen(row["plain"], facts, None, None, _home(row))
    holder = row["conversation_sid"], row["participant_sid"]
    facts = Facts(holder, False, None, asks=False, waits=False)
    below = Below(tuple(road.members(row["external"])), told(row))
    return Seen(row["plain"] and not row["grouped"], facts, road.conversation_of(row), below, None)


def _home(row: asyncpg.Record) -> Home | None:
    if row["home"] is None:
        return None
    gives, last_inbound_at, opted_out = orjson.loads(row["home"])
    stands = standing.standing(last_inbound_at, opted_out)
    return Home._make((*gives, stands, told(row)))
