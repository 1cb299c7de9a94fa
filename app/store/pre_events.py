"""The log of questions: each that was put to a pre-event webhook is an attempt like any other, so
that a trace shows it among them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.model.outbox import HOOK

# A question is no item of the outbox (seq 0) and is put once (number 1).
RECORD = """
INSERT INTO attempts (kind, seq, number, conversation_sid, message_sid, event, target, outcome,
  status_code, error_code, detail, started_at, finished_at)
VALUES ($1, 0, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question and how it ended. `error_code` is the original's number for what went wrong."""

    conversation_sid: str | None
    message_sid: str | None
    event: str
    target: str
    outcome: str
    status_code: int | None
    error_code: int | None
    detail: str | None
    started_at: datetime
    finished_at: datetime


async def record(sql: asyncpg.Connection, asked: Asked) -> None:
    """Keep it."""
    a = asked
    await sql.execute(
        RECORD,
        HOOK,
        a.conversation_sid,
        a.message_sid,
        a.event,
        a.target,
        a.outcome,
        a.status_code,
        a.error_code,
        a.detail,
        a.started_at,
        a.finished_at,
    )
