"""How claimed items end: the last step of every attempt, under the fence of its lane."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from app.model.outbox import HOOK
from app.store.database import sentence
from app.store.outbox import Claimed
from app.values import value

SETTLE = sentence(__file__, "outbox_settle.sql")
RELEASE = sentence(__file__, "outbox_release.sql")


@value(frozen=True, slots=True)
class Settled:
    """How a claimed item ends: done (None), dead (a reason), or again at `due`. `unknown` keeps
    the mark that the last attempt's outcome is not known. With `params`, it goes on as an item that
    says these, and nothing of it was attempted yet. `held` is the route whose carriers its lane
    waits for from now on."""

    item: Claimed
    outcome: str
    due: datetime | None = None
    dead: str | None = None
    unknown: bool = False
    finished_at: datetime | None = None
    status_code: int | None = None
    error_code: int | None = None
    detail: str | None = None
    external_id: str | None = None
    segments: int | None = None
    encoding: str | None = None
    exchange: dict[str, Any] | None = None
    params: dict[str, str] | None = None
    held: str | None = None


async def settle(sql: asyncpg.Connection, settled: Sequence[Settled], now: datetime) -> None:
    """Record the attempts, remove what is done or dead, and let the lanes go on. The lanes are
    locked (`fence`) by the caller."""
    if not settled:
        return
    await sql.execute(SETTLE, orjson.dumps([_row(one, now) for one in settled]).decode())
    ended = [one.item.lane for one in settled if one.due is None]
    if ended:
        await go_on(sql, ended, now)


async def go_on(sql: asyncpg.Connection, lanes: Sequence[str], now: datetime) -> None:
    """The heads of these locked lanes are gone: what is behind them is due, and a lane that is
    empty goes."""
    await sql.execute(RELEASE, lanes, now)


def _row(one: Settled, now: datetime) -> dict[str, Any]:
    item = one.item
    row = {
        "seq": item.seq,
        "kind": item.kind,
        "number": item.attempts,
        "conversation_sid": item.conversation_sid,
        "message_sid": item.message_sid,
        "receipt_sid": item.receipt_sid,
        "event": item.event,
        "target": item.url,
        "outcome": one.outcome,
        "status_code": one.status_code,
        "error_code": one.error_code,
        "detail": _storable(one.detail),
        "external_id": _storable(one.external_id),
        "segments": one.segments,
        "encoding": one.encoding,
        "started_at": item.started_at,
        "finished_at": one.finished_at or now,
        "done": one.due is None,
        "due": one.due,
        "dead": _storable(one.dead),
        "unknown": one.unknown,
        "lane": item.lane,
        "now": now,
        "params": one.params,
        "held": one.held,
    }
    if item.kind == HOOK:
        row["account_sid"] = item.account_sid
        row["endpoint"] = item.endpoint
        row["exchange"] = one.exchange
    return row


def _storable(text: str | None) -> str | None:
    """What a stranger's server said, without what PostgreSQL cannot hold."""
    return None if text is None else text.replace("\x00", "").encode("utf-8", "replace").decode()
