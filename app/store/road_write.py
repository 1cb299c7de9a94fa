"""What the road writes for a whole convoy, in one statement."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import asyncpg
import orjson

from app.store.database import sentence
from app.store.outbox import NewItem, adding

WRITE = sentence(__file__, "road_write.sql")
LOCKED = re.compile(r"-- \(locked\)\n.*?-- \(/locked\)\n", re.DOTALL)

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
        texts = [orjson.dumps(rows[name]).decode() for name in WRITTEN]
        texts.append(orjson.dumps(items).decode())
        if any(rows[name] for name in SELDOM):
            more = (orjson.dumps(rows[name]).decode() for name in SELDOM)
            await sql.execute(statement(seldom=True), *texts, now, *more)
        else:
            await sql.execute(statement(seldom=False), *texts, now)


@cache
def statement(*, seldom: bool, first: str = "", only: str = "") -> str:
    """The statement that writes what a convoy made: `WRITTEN`, then the items, the present, and
    `SELDOM`, without which it is another one: a part that writes nothing costs, too. With parts
    that come `first`, these do what locks did; `only` is what they check before items are added."""
    text = LOCKED.sub("", WRITE) if first else WRITE
    more = sentence(__file__, "road_seldom.sql") if seldom else ""
    for name, part in ("first", first), ("seldom", more), ("items", adding("$5", "$6", only)):
        text = text.replace(f"{{{name}}}", part)
    return text
