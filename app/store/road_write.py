"""What the road writes for a whole convoy, in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import asyncpg
import orjson

from app.store.database import sentence
from app.store.outbox import NewItem, adding, written

WRITE = sentence(__file__, "road_write.sql")
MOVE = sentence(__file__, "road_move.sql")

WRITTEN = ("messages", "conversations", "receipts", "decisions")
SELDOM = ("media", "unkept", "windows", "opt_outs")


async def write(
    sql: asyncpg.Connection,
    rows: Mapping[str, Sequence[dict[str, Any]]],
    items: Sequence[NewItem],
    now: datetime,
) -> None:
    """Write everything that a convoy made: messages, media, conversations, receipts, decisions,
    what the ledger keeps of those that made nothing, how people stand now, and the outbox."""
    if items or any(rows.values()):
        seldom, values = given(rows, items, now)
        await sql.execute(statement(seldom=seldom), *values)


def given(
    rows: Mapping[str, Sequence[dict[str, Any]]], items: Sequence[NewItem], now: datetime
) -> tuple[bool, list[Any]]:
    """Whether there is something of `SELDOM`, and the parameters of the statement."""
    seldom = any(rows[name] for name in SELDOM)
    more = SELDOM if seldom else ()
    texts = [*(text(rows[name]) for name in WRITTEN), written(items)]
    return seldom, [*texts, now, *(text(rows[name]) for name in more)]


def text(rows: Sequence[Any]) -> str:
    """Rows as a statement takes them."""
    return orjson.dumps(rows).decode()


@cache
def statement(*, seldom: bool, first: str = "", only: str = "") -> str:
    """The statement that writes what a convoy made: `WRITTEN`, then the items, the present, and
    `SELDOM`, without which it is another one: a part that writes nothing costs, too. With parts
    that come `first`, these do what locks did; `only` is what they check before items are added."""
    parts = {
        "first": first,
        "moved": "" if first else moving(),
        "seldom": sentence(__file__, "road_seldom.sql") if seldom else "",
        "items": adding("$5", "$6", only),
    }
    return filled(WRITE, parts)


def moving(before: str = "") -> str:
    """The part that moves conversations on. With the part that comes `before` it, which it waits
    for, those alone that are as they were seen."""
    after = f"WHERE (SELECT count(*) FROM {before}) >= 0" if before else ""
    return filled(MOVE, {"after": after, "unchanged": "AND c.revision = n.seen" if before else ""})


def filled(statement: str, parts: Mapping[str, str]) -> str:
    """A statement with these parts in their places."""
    for name, part in parts.items():
        statement = statement.replace(f"{{{name}}}", part)
    return statement
