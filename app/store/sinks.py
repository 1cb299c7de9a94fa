"""Questions about sinks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, exists, select, update
from sqlmodel import SQLModel

from app import ids
from app.model import Sink
from app.model.streams import PULL
from app.store.database import Tx
from app.store.slices import Key, Slice, cut

SINKS = SQLModel.metadata.tables["sinks"]
SUBSCRIPTIONS = SQLModel.metadata.tables["subscriptions"]
S = SINKS.c

CHANGEABLE = {"description", "status", "test_id", "date_updated"}
COUNT = "SELECT count(*) FROM sinks WHERE account_sid = $1"
TEST = """
INSERT INTO stream_followers (sid, account_sid, sink_sid, due) VALUES ($1, $2, $3, $4)
"""
FORGET_TESTS = "DELETE FROM stream_followers WHERE sink_sid = $1 AND subscription_sid IS NULL"
IN_USE = exists().where(SUBSCRIPTIONS.c.sink_sid == S.sid).correlate(SINKS)


async def find(tx: Tx, account_sid: str, sid: str, *, lock: bool = False) -> Sink | None:
    """The sink of this account with this SID; locked for a change."""
    statement = _within(account_sid).where(S.sid == ids.lowered(sid))
    if lock:
        statement = statement.with_for_update(key_share=True)
    return await tx.first(Sink, statement)


async def page(
    tx: Tx, account_sid: str, wanted: Slice, *, status: str | None, in_use: bool | None
) -> list[Sink]:
    """A slice of an account's sinks, in the order in which they were made; of one status, or only
    those that have (or have no) subscriptions."""
    statement = _within(account_sid)
    if status is not None:
        statement = statement.where(S.status == status)
    if in_use is not None:
        statement = statement.where(IN_USE if in_use else ~IN_USE)
    return await tx.every(Sink, cut(statement, (S.sid,), wanted))


def key(sink: Sink) -> Key:
    """Its place in `page`."""
    return (sink.sid,)


async def count(tx: Tx, account_sid: str) -> int:
    """How many sinks an account has."""
    found: int = await tx.sql.fetchval(COUNT, account_sid)
    return found


async def pulled(tx: Tx, account_sid: str, limit: int) -> list[Sink]:
    """The sinks of an account whose events are fetched; at most `limit`."""
    statement = _within(account_sid).where(S.type == PULL).order_by(S.sid).limit(limit)
    return await tx.every(Sink, statement)


async def write(tx: Tx, sink: Sink) -> None:
    """Keep what changed in a locked sink."""
    changed = sink.model_dump(include=CHANGEABLE)
    await tx.run(update(SINKS).where(S.sid == sink.sid).values(changed))


async def test(tx: Tx, sink: Sink) -> None:
    """Have the sink's test event sent; one that waits is forgotten."""
    await tx.sql.execute(FORGET_TESTS, sink.sid)
    await tx.sql.execute(TEST, sink.test_id, sink.account_sid, sink.sid, tx.now)


async def used(tx: Tx, sid: str) -> bool:
    """Whether a (locked) sink has subscriptions."""
    named = select(S.sid).where(S.sid == sid, IN_USE)
    return (await tx.connection.execute(named)).first() is not None


async def remove(tx: Tx, sid: str) -> int:
    """Delete a sink; gives how many there were."""
    return await tx.run(delete(SINKS).where(S.sid == sid))


def _within(account_sid: str) -> Select[Any]:
    return select(SINKS).where(S.account_sid == account_sid)
