"""What a flow says: its message commits together with where the flow stands then, and with what it
answers (the item of its lane). So a crash at any point leaves all of it or nothing, and a message
is never said twice.

Somebody else may have changed the execution meanwhile (it was ended, its conversation was closed):
then that message is refused. When the lease of the item is lost, another process goes on with it.
"""

from __future__ import annotations

import asyncpg

from app.errors import Conflict
from app.model import Receipt
from app.model.flows import FLOW
from app.road.convoy import Carriage, Load, Stale
from app.road.items import Draft
from app.store import outbox, running, settling
from app.store.outbox import NewItem
from app.store.running import Keeping

CONFLICT = 20409


class Overtaken(Conflict):
    """The execution is not what it was when its message was made."""

    def __init__(self) -> None:
        super().__init__(CONFLICT, "the execution was changed meanwhile")


def speaks(load: Load) -> bool:
    """Whether the convoy carries what flows say: `fence` locks their lanes then."""
    return bool(_said(load))


async def keep(sql: asyncpg.Connection, load: Load) -> None:
    """Write where the executions stand whose messages go on; the others are refused. Call it when
    nothing refuses a message of a flow any more (it names no media of ours)."""
    said = _said(load)
    if not said:
        return
    kept = await running.keep(sql, [keeping for _, keeping in said], load.now)
    for carriage, keeping in said:
        if keeping.row["sid"] not in kept:
            carriage.refuse(Overtaken())


async def fence(sql: asyncpg.Connection, load: Load) -> None:
    """Lock the lanes under whose leases flows speak; raises Stale when one was taken over. These
    come before all but the lanes of questions."""
    items = [keeping.item for _, keeping in _said(load)]
    if items and len(await outbox.fence(sql, items)) < len(items):
        raise Stale


async def settle(sql: asyncpg.Connection, load: Load) -> None:
    """Settle the items that are answered with these messages."""
    settled = [keeping.settled for _, keeping in _said(load) if keeping.settled is not None]
    await settling.settle(sql, settled, load.now)
    if settled:
        load.flowed.add(FLOW)


def failure(keeping: Keeping, receipt: Receipt) -> list[NewItem]:
    """What a flow is told of a message of its own that fails at once, where it runs in that very
    conversation."""
    row = keeping.row
    if row["conversation_sid"] != receipt.conversation_sid:
        return []
    return [running.failure(row["sid"], row["flow_sid"], receipt)]


def _said(load: Load) -> list[tuple[Carriage, Keeping]]:
    return [
        (one, one.item.flow)
        for one in load.going()
        if isinstance(one.item, Draft) and one.item.flow is not None
    ]
