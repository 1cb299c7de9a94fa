"""What a flow did: the steps of an execution (FN...), or the last executions of a flow (FW...).

For people who ask why somebody was answered so: addresses are masked, and of what widgets have set
only the names are shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import orjson

from app import ids
from app.clock import iso_millis, iso_seconds
from app.ops.hiding import person
from app.ops.render import table
from app.store import flow_trace as store
from app.store.database import Database

Traced = dict[str, Any]


async def trace(
    sql: asyncpg.Connection, name: str, account_sid: str | None = None
) -> Traced | None:
    """An execution with its steps, or a flow with its executions, for programs; None when nothing
    (of this account) is known by this name."""
    sid = ids.lowered(name)
    if ids.is_sid(sid, ids.EXECUTION):
        return await _execution(sql, sid, account_sid)
    if ids.is_sid(sid, ids.FLOW):
        return await _flow(sql, sid, account_sid)
    return None


async def run(db: Database, *, name: str, say: Callable[[str], None]) -> int:
    """`parley flow trace`: say it; gives the exit status."""
    async with db.begin() as tx:
        found = await trace(tx.sql, name)
    say(text(found) if found else f"parley: nothing is known by the name {name}")
    return 0 if found else 1


def text(found: Traced) -> str:
    """The same for a terminal."""
    if "steps" in found:
        title = (
            f"{found['sid']}: {found['stands']}; {found['flow_sid']} revision "
            f"{found['flow_version']} in {found['conversation_sid']} with {found['contact']}"
        )
        rows = [(one["at"], f"{one['from']} ({one['type']})", _left(one)) for one in found["steps"]]
        return "\n".join([title, *table(rows)])
    title = f"{found['sid']}: {found['friendly_name']}, revision {found['revision']}"
    published = found["published"]
    title += f", published is {published}" if published else ", only drafts"
    return "\n".join([title, *table(map(_line, found["executions"]))])


async def _execution(sql: asyncpg.Connection, sid: str, account_sid: str | None) -> Traced | None:
    row = await store.execution(sql, sid, account_sid)
    if row is None:
        return None
    steps = [_step(one) for one in await store.steps(sql, sid)]
    about = {"flow_sid": row["flow_sid"], "initiated_by": row["initiated_by"]}
    return _shown(row) | about | {"steps": steps}


async def _flow(sql: asyncpg.Connection, sid: str, account_sid: str | None) -> Traced | None:
    row = await store.flow(sql, sid, account_sid)
    if row is None:
        return None
    shown = {name: row[name] for name in ("sid", "friendly_name", "status", "revision")}
    shown |= {"published": row["published"], "declared_as": row["declared_as"]}
    return shown | {"executions": [_shown(one) for one in await store.executions(sql, sid)]}


def _shown(row: Any) -> Traced:
    due = row["due"]
    stands = row["reason"] or row["status"]
    if row["status"] == "active":
        stands = f"waits until {iso_millis(due)}" if due else "active"
    contact = row["contact_channel_address"] or ""
    return {
        "sid": row["sid"],
        "status": row["status"],
        "stands": stands,
        "flow_version": row["flow_version"],
        "conversation_sid": row["conversation_sid"],
        "contact": person(contact),
        "began_at": iso_seconds(row["date_created"]),
        "changed_at": iso_seconds(row["date_updated"]),
    }


def _step(row: Any) -> Traced:
    [variables] = orjson.loads(row["context"])["widgets"].values()
    return {
        "at": iso_seconds(row["date_created"]),
        "from": row["transitioned_from"],
        "type": row["type"],
        "event": row["name"],
        "to": row["transitioned_to"],
        "sets": sorted(variables),
    }


def _line(one: Traced) -> tuple[str, ...]:
    where = f"{one['contact']} in {one['conversation_sid']}"
    return one["began_at"], one["sid"], one["stands"], where


def _left(step: Traced) -> str:
    sets = f"  sets {', '.join(step['sets'])}" if step["sets"] else ""
    return f"{step['event']} -> {step['to']}{sets}"
