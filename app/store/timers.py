"""The timers' sweep: conversations whose time has come move on, each transition once.

Any number of replicas may sweep at once: they skip what another one has locked. After a downtime
nothing is skipped: a conversation that is overdue for both its timers becomes inactive first and
closes in a later turn, by its own time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import asyncpg

from app.model import Conversation
from app.store.database import sentence

STEP_MAX = 500
"""Conversations in one transaction: long enough to share its commit, short enough for the road."""

DUE = """
SELECT sid FROM conversations WHERE next_timer_at <= $1
ORDER BY next_timer_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""

MOVE = sentence(__file__, "timers.sql")


@dataclass(frozen=True, slots=True)
class Elapsed:
    """A conversation that its timer has moved (as it is now), from which state, and when that
    was due."""

    conversation: Conversation
    state_from: str
    due: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a sweep: what moved; whether more may be due."""

    elapsed: tuple[Elapsed, ...]
    full: bool


async def sweep(sql: asyncpg.Connection, now: datetime, *, limit: int = STEP_MAX) -> Step:
    """Move the conversations that are due longest, in the caller's transaction.

    Two statements: the rows are locked first, so that the second one sees every message and every
    pair that came before the lock.
    """
    due = [row["sid"] for row in await sql.fetch(DUE, now, limit)]
    if not due:
        return Step((), full=False)
    rows = await sql.fetch(MOVE, due, now)
    elapsed = sorted((_elapsed(row) for row in rows if row["rings"]), key=lambda one: one.due)
    # Conversations whose pairs are disputed stay due: without any other there is nothing to do now.
    return Step(tuple(elapsed), full=len(due) == limit and bool(rows))


def _elapsed(row: Any) -> Elapsed:
    columns = dict(row)
    state_from, due, _ = (columns.pop(name) for name in ("state_from", "due", "rings"))
    return Elapsed(cast(Conversation, SimpleNamespace(**columns)), state_from, due)
