"""How long logs are kept: each deletion is one statement and one small transaction.

Attempts and decisions are numbered as they are written, so the oldest are found at the low end of
their primary keys: no index on a date is needed, and a run with nothing to do reads one batch.

Every table, and when its rows go:

| tables                                      | rows go                                            |
|---------------------------------------------|----------------------------------------------------|
| attempts, stream_losses                     | after `attempts_days`                              |
| decisions                                   | after `decisions_days`                             |
| dead_letters                                | after `dead_letters_days`                          |
| gap_finds                                   | when they came in; else after `dropped_days`       |
| executions, execution_steps                 | `executions_days` after the end                    |
| changes                                     | after `changes_days`                               |
| messaging_windows                           | after `sessions_days`                              |
| idempotency_keys                            | after 24 hours                                     |
| early_statuses                              | with their send; else after EARLY_DAYS             |
| stream_events                               | by `streams.retention_days`, `retention_events`    |
| inbox                                       | never: no doubles; what was dropped is forgotten   |
|                                             | after `dropped_days`                               |
| opt_outs, sticky_senders                    | never: STOP holds, and who was given which sender  |
| outbox, lanes, stream_intake, hook_endpoints| when it is done                                    |
| presences                                   | with the connection, or 20 s after its process     |
| doomed_files                                | with their file                                    |
| conversations, participants, bindings,      | when the customer deletes them, or what they are   |
| number_groups, scoped_webhooks, messages,   | part of (a file with the last media that have it)  |
| receipts, media, files, users, roles,       |                                                    |
| push_bindings, credentials, api_keys,       |                                                    |
| services, address_configurations,           |                                                    |
| webhook_configurations, flows,              |                                                    |
| flow_revisions, contents, content_approvals,|                                                    |
| sinks, subscriptions, subscribed_events     |                                                    |
| accounts, senders, sender_paces,            | never: a few for each account, carrier, sender or  |
| messaging_services, carrier_pauses,         | sink                                               |
| gap_looks, stream_heads, stream_followers   |                                                    |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from app.model.gaps import TRIES_MAX
from app.model.traffic import Status
from app.store import idempotency
from app.store.changes import stamp

BATCH_MAX = 2000
"""In one statement (of event logs, of each account). It names its rows in an array: in a join, a
plan might ask for the next ones, and the next, again and again."""
IDEMPOTENCY_DAYS = idempotency.LIFE.days
EARLY_DAYS = 7
"""A status that waited so long for its send is of somebody else's message."""

ATTEMPTS = """
DELETE FROM attempts WHERE finished_at < $1 AND ctid = ANY (ARRAY (
  SELECT ctid FROM attempts ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

DECISIONS = """
DELETE FROM decisions WHERE received_at < $1 AND ctid = ANY (ARRAY (
  SELECT ctid FROM decisions ORDER BY sid LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

DEAD_LETTERS = """
DELETE FROM dead_letters WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM dead_letters WHERE died_at < $1
  ORDER BY died_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

# The row stays: it is what makes doubles impossible.
DROPPED = """
UPDATE inbox SET payload = NULL WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM inbox WHERE payload IS NOT NULL AND received_at < $1
  ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

EARLY_STATUSES = """
DELETE FROM early_statuses WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM early_statuses WHERE received_at < $1
  LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

GAP_FINDS = f"""
DELETE FROM gap_finds WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM gap_finds WHERE sent_at < $1 AND tries >= {TRIES_MAX}
  ORDER BY sent_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

IDEMPOTENCY_KEYS = """
DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM idempotency_keys WHERE created_at < $1
  ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

# Always the low end, so that what is left has no gap: whoever reads a log must be able to tell that
# what it wants next is gone. `logged_at` grows with the position, but for the clocks of replicas.
STREAM_EVENTS = """
WITH edge AS (
  SELECT h.account_sid, (
    SELECT max(position) FROM (
      SELECT position, logged_at FROM stream_events
      WHERE account_sid = h.account_sid ORDER BY position LIMIT $3) AS low
    WHERE low.logged_at < $1 OR low.position <= h.position - $2) AS position
  FROM stream_heads h
)
DELETE FROM stream_events e USING edge
WHERE e.account_sid = edge.account_sid AND e.position <= edge.position
"""

CHANGES = """
DELETE FROM changes WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM changes WHERE stamp < $1
  ORDER BY stamp LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

STREAM_LOSSES = """
DELETE FROM stream_losses WHERE died_at < $1 AND ctid = ANY (ARRAY (
  SELECT ctid FROM stream_losses ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

EXECUTIONS = """
DELETE FROM executions WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM executions WHERE status = 'ended' AND date_updated < $1
  ORDER BY date_updated LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

SESSIONS = """
DELETE FROM messaging_windows WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM messaging_windows WHERE last_inbound_at < $1
  ORDER BY last_inbound_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

# A later status may have taken the place of the one that was settled: that one stays.
FORGET_EARLY = """
DELETE FROM early_statuses e
USING unnest($1::text[], $2::text[], $3::text[]) AS s (carrier, external_id, status)
WHERE e.carrier = s.carrier AND e.external_id = s.external_id AND e.status = s.status
  AND e.carrier = ANY ($1::text[]) AND e.external_id = ANY ($2::text[])
"""


async def attempts(sql: asyncpg.Connection, now: datetime, days: int) -> int:
    """Delete a batch of attempts that ended more than `days` ago; gives how many."""
    return await _trim(sql, ATTEMPTS, now, days)


async def decisions(sql: asyncpg.Connection, now: datetime, days: int) -> int:
    """Delete a batch of decisions on inbounds from more than `days` ago; gives how many. The ledger
    stays: it keeps the promise that nothing happens twice."""
    return await _trim(sql, DECISIONS, now, days)


async def dead_letters(sql: asyncpg.Connection, now: datetime, days: int) -> int:
    """Delete a batch of what was given up more than `days` ago; gives how many."""
    return await _trim(sql, DEAD_LETTERS, now, days)


async def dropped(sql: asyncpg.Connection, now: datetime, days: int) -> int:
    """Forget what a batch of inbounds said that no conversation took more than `days` ago; gives
    how many. That they came stays known."""
    return await _trim(sql, DROPPED, now, days)


async def early_statuses(sql: asyncpg.Connection, now: datetime, days: int) -> int:
    """Delete a batch of statuses for which no send was found in `days`; gives how many."""
    return await _trim(sql, EARLY_STATUSES, now, days)


async def gap_finds(sql: asyncpg.Connection, now: datetime, days: int) -> int:
    """Delete a batch of messages from more than `days` ago that a carrier lists and that could not
    be taken in; gives how many."""
    return await _trim(sql, GAP_FINDS, now, days)


async def idempotency_keys(sql: asyncpg.Connection, now: datetime, days: int) -> int:
    """Delete a batch of answers to keyed creates from more than `days` ago; gives how many."""
    return await _trim(sql, IDEMPOTENCY_KEYS, now, days)


async def stream_events(
    sql: asyncpg.Connection, now: datetime, days: int, *, events_max: int
) -> int:
    """Delete a batch of each account's oldest events: those from more than `days` ago, and those
    beyond the last `events_max`; gives how many, at most a batch's worth."""
    before = now - timedelta(days=days)
    return min(BATCH_MAX, _count(await sql.execute(STREAM_EVENTS, before, events_max, BATCH_MAX)))


async def stream_losses(sql: asyncpg.Connection, now: datetime, days: int) -> int:
    """Delete a batch of what was said of given-up events more than `days` ago; gives how many."""
    return await _trim(sql, STREAM_LOSSES, now, days)


async def executions(sql: asyncpg.Connection, now: datetime, days: int) -> int:
    """Delete a batch of executions of flows that ended more than `days` ago, with their steps;
    gives how many."""
    return await _trim(sql, EXECUTIONS, now, days)


async def sessions(sql: asyncpg.Connection, now: datetime, days: int) -> int:
    """Delete a batch of what says that somebody wrote last more than `days` ago; gives how many."""
    return await _trim(sql, SESSIONS, now, days)


async def changes(sql: asyncpg.Connection, now: datetime, days: int) -> int:
    """Delete a batch of changes that nobody catches up with after `days`; gives how many."""
    return _count(await sql.execute(CHANGES, stamp(now - timedelta(days=days)), BATCH_MAX))


async def forget_early(sql: asyncpg.Connection, settled: Sequence[Status]) -> None:
    """Delete early statuses that are settled."""
    if settled:
        columns = [
            [status.carrier for status in settled],
            [status.external_id for status in settled],
            [status.status for status in settled],
        ]
        await sql.execute(FORGET_EARLY, *columns)


async def _trim(sql: asyncpg.Connection, statement: str, now: datetime, days: int) -> int:
    return _count(await sql.execute(statement, now - timedelta(days=days), BATCH_MAX))


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
