"""Turns of rated senders, given out to their lanes for all processes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from app.store.database import sentence

SLOTS = sentence(__file__, "outbox_slots.sql")
OF_SENDER = """
  SELECT greatest(coalesce(next_slot_at, $4), $4) AS first FROM senders
  WHERE account_sid = $1 AND address = $2 FOR UPDATE
"""
MOVED = """
UPDATE senders SET next_slot_at = (SELECT max(at) FROM turn) + make_interval(secs => $5)
  WHERE account_sid = $1 AND address = $2
"""
OF_KIND = """
  INSERT INTO sender_paces AS s (account_sid, address, country, next_slot_at)
  VALUES ($1, $2, $6, $4::timestamptz + cardinality($3::text[]) * make_interval(secs => $5))
  ON CONFLICT (account_sid, address, country) DO UPDATE SET next_slot_at =
    greatest(s.next_slot_at, $4::timestamptz) + cardinality($3::text[]) * make_interval(secs => $5)
  RETURNING next_slot_at - cardinality($3::text[]) * make_interval(secs => $5) AS first
"""
TURNS = SLOTS.replace("{pace}", OF_SENDER).replace("{moved}", f", moved AS ({MOVED})")
TURNS_OF_KIND = SLOTS.replace("{pace}", OF_KIND).replace("{moved}", "")
HEADS = """
SELECT l.lane, h.account_sid, r.address, r.proxy_address,
  coalesce(r.parts -> coalesce((h.params ->> 'part')::int, 0) ->> 'channel', r.channel) AS channel
FROM unnest($1::text[]) AS l (lane)
CROSS JOIN LATERAL (
  SELECT account_sid, receipt_sid, params FROM outbox
  WHERE lane >= l.lane COLLATE "C" AND lane <= l.lane COLLATE "C" ORDER BY lane, seq LIMIT 1) h
JOIN receipts r ON r.sid = h.receipt_sid
"""


class Head(NamedTuple):
    """What the head of a lane sends: whose it is, to whom, from which address of ours, on which
    channel (of a message in parts: that of the part that is next)."""

    lane: str
    account_sid: str
    address: str
    proxy_address: str
    channel: str


async def heads(sql: asyncpg.Connection, lanes: Sequence[str]) -> list[Head]:
    """The heads of these lanes of deliveries; none where the message is gone."""
    return [Head(*row) for row in await sql.fetch(HEADS, lanes)]


async def turns(
    sql: asyncpg.Connection,
    lanes: Sequence[tuple[str, str]],
    now: datetime,
    rates: Mapping[str, float],
) -> list[str]:
    """Give each of these lanes (and the name of its pace) its turn; gives those whose turn is now.
    `rates` are sends per second by the name of the pace; one that is not in it holds nobody up."""
    ready: list[str] = []
    by_pace: dict[str, list[str]] = {}
    for lane, pace in lanes:
        by_pace.setdefault(pace, []).append(lane)
    for pace in sorted(by_pace):
        rate, names = rates.get(pace), by_pace[pace]
        if rate is None:  # no longer rated
            ready += names
            continue
        account_sid, address, *kind = pace.split(" ", 2)
        statement = TURNS_OF_KIND if kind else TURNS
        given = await sql.fetchval(statement, account_sid, address, names, now, 1.0 / rate, *kind)
        ready += names if given is None else given  # None: nobody keeps this sender's pace
    return ready
