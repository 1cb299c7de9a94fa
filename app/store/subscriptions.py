"""Questions about subscriptions and the types of event that they want.

Whoever changes what an account is subscribed to holds the lock of its row, and writes there which
events that makes between them all (`accounts.streamed`): that is what changes look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Select, delete, select, update
from sqlmodel import SQLModel

from app import ids
from app.model import SubscribedEvent, Subscription
from app.store.database import Tx
from app.store.slices import Key, Slice, cut

SUBSCRIPTIONS = SQLModel.metadata.tables["subscriptions"]
SUBSCRIBED = SQLModel.metadata.tables["subscribed_events"]
S, E = SUBSCRIPTIONS.c, SUBSCRIBED.c

CHANGEABLE = {"description", "date_updated"}
LOCK = "SELECT FROM accounts WHERE sid = $1 FOR NO KEY UPDATE"
COUNT = "SELECT count(*) FROM subscriptions WHERE account_sid = $1"
TYPES = """
SELECT DISTINCT e.type FROM subscriptions s JOIN subscribed_events e ON e.subscription_sid = s.sid
WHERE s.account_sid = $1
"""
STREAM = "UPDATE accounts SET streamed = $2 WHERE sid = $1 AND streamed <> $2"
WANT = """
INSERT INTO subscribed_events (subscription_sid, type, schema_version)
SELECT $1, w.type, w.version FROM unnest($2::text[], $3::int[]) AS w (type, version)
ON CONFLICT (subscription_sid, type) DO UPDATE SET schema_version = excluded.schema_version
"""
# The head, from now on, is held until we commit: the sequencer wakes who follows from there.
BEGIN = "INSERT INTO stream_heads (account_sid) VALUES ($1) ON CONFLICT DO NOTHING"
FOLLOW = """
INSERT INTO stream_followers (sid, account_sid, sink_sid, subscription_sid, position)
SELECT $1, $2, $3, $1, position FROM stream_heads WHERE account_sid = $2 FOR SHARE
"""
OF_SINK = """
SELECT e.type, max(e.schema_version) AS version
FROM subscriptions s JOIN subscribed_events e ON e.subscription_sid = s.sid
WHERE s.sink_sid = $1 GROUP BY e.type
"""


async def lock(tx: Tx, account_sid: str) -> None:
    """Hold what an account is subscribed to still. Take it before any subscription."""
    await tx.sql.execute(LOCK, account_sid)


async def find(tx: Tx, account_sid: str, sid: str) -> Subscription | None:
    """The subscription of this account with this SID."""
    named = S.sid == ids.lowered(sid)
    return await tx.first(Subscription, _within(account_sid).where(named))


async def page(
    tx: Tx, account_sid: str, wanted: Slice, *, sink_sid: str | None
) -> list[Subscription]:
    """A slice of an account's subscriptions (to one sink), in the order in which they were made."""
    statement = _within(account_sid)
    if sink_sid is not None:
        statement = statement.where(S.sink_sid == sink_sid)
    return await tx.every(Subscription, cut(statement, (S.sid,), wanted))


def key(subscription: Subscription) -> Key:
    """Its place in `page`."""
    return (subscription.sid,)


async def count(tx: Tx, account_sid: str) -> int:
    """How many subscriptions an account has."""
    found: int = await tx.sql.fetchval(COUNT, account_sid)
    return found


async def follow(tx: Tx, subscription: Subscription) -> None:
    """Begin to send, from the next event on."""
    s = subscription
    await tx.sql.execute(BEGIN, s.account_sid)
    await tx.sql.execute(FOLLOW, s.sid, s.account_sid, s.sink_sid)


async def write(tx: Tx, subscription: Subscription) -> None:
    """Keep what changed."""
    changed = subscription.model_dump(include=CHANGEABLE)
    await tx.run(update(SUBSCRIPTIONS).where(S.sid == subscription.sid).values(changed))


async def remove(tx: Tx, sid: str) -> int:
    """Delete a subscription; gives how many there were."""
    return await tx.run(delete(SUBSCRIPTIONS).where(S.sid == sid))


async def want(tx: Tx, sid: str, versions: Mapping[str, int]) -> None:
    """A subscription wants these types, in these versions."""
    await tx.sql.execute(WANT, sid, list(versions), list(versions.values()))


async def wanted(tx: Tx, sid: str, kind: str) -> SubscribedEvent | None:
    """What a subscription wants of a type."""
    return await tx.first(SubscribedEvent, _of(sid).where(E.type == kind))


async def wanted_page(tx: Tx, sid: str, wanted: Slice) -> list[SubscribedEvent]:
    """A slice of what a subscription wants, in the order of the types."""
    return await tx.every(SubscribedEvent, cut(_of(sid), (E.type,), wanted))


def wanted_key(event: SubscribedEvent) -> Key:
    """Its place in `wanted_page`."""
    return (event.type,)


async def unwant(tx: Tx, sid: str, kind: str) -> int:
    """A subscription wants this type no more; gives how many there were."""
    return await tx.run(delete(SUBSCRIBED).where(E.subscription_sid == sid, E.type == kind))


async def types(tx: Tx, account_sid: str) -> set[str]:
    """Every type that an account is subscribed to."""
    return {row["type"] for row in await tx.sql.fetch(TYPES, account_sid)}


async def stream(tx: Tx, account_sid: str, events: Iterable[str]) -> None:
    """From now on these events of an account (whose row is locked) are put into its log."""
    await tx.sql.execute(STREAM, account_sid, sorted(events))


async def of_sink(tx: Tx, sink_sid: str) -> dict[str, int]:
    """The types that are subscribed to for a sink, each with its latest version."""
    return {row["type"]: row["version"] for row in await tx.sql.fetch(OF_SINK, sink_sid)}


def _within(account_sid: str) -> Select[Any]:
    return select(SUBSCRIPTIONS).where(S.account_sid == account_sid)


def _of(sid: str) -> Select[Any]:
    return select(SUBSCRIBED).where(E.subscription_sid == sid)
