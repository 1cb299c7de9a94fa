"""Questions about the devices that registered for push notifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel

from app import ids
from app.model import PushBinding
from app.store.database import Tx
from app.store.scope import Scope
from app.store.slices import Key, Slice, cut

BINDINGS = SQLModel.metadata.tables["push_bindings"]
B = BINDINGS.c

DEVICES_MAX = 100
"""Of one identity; who registers more loses those that did not register for longest."""
DEVICE = (B.chat_service_sid, B.identity, B.binding_type, B.endpoint)
AGAIN = ("credential_sid", "message_types", "date_updated")
TRIM = """
DELETE FROM push_bindings WHERE sid IN (
  SELECT sid FROM push_bindings WHERE chat_service_sid = $1 AND identity = $2
  ORDER BY date_updated DESC, sid DESC OFFSET $3)
"""


async def find(tx: Tx, scope: Scope, sid: str) -> PushBinding | None:
    """The binding of this service with this SID."""
    if not ids.is_sid(sid, ids.PUSH_BINDING):
        return None
    named = B.sid == ids.lowered(sid)
    return await tx.first(PushBinding, _within(scope).where(named))


async def page(
    tx: Tx, scope: Scope, types: Sequence[str], identities: Sequence[str], wanted: Slice
) -> list[PushBinding]:
    """A slice of the bindings of these types and identities (none given: of all), in the order in
    which they were made."""
    statement = _within(scope)
    if types:
        statement = statement.where(B.binding_type.in_(types))
    if identities:
        statement = statement.where(B.identity.in_(identities))
    return await tx.every(PushBinding, cut(statement, (B.sid,), wanted))


def key(binding: PushBinding) -> Key:
    """Its place in `page`."""
    return (binding.sid,)


async def remove(tx: Tx, sid: str) -> int:
    """Delete a binding; gives how many there were."""
    return await tx.run(delete(BINDINGS).where(B.sid == sid))


async def register(tx: Tx, binding: PushBinding) -> str:
    """Keep a device, or what changed of one that is there already; gives its binding's SID."""
    made = insert(BINDINGS).values(**binding.model_dump())
    kept = made.on_conflict_do_update(
        index_elements=DEVICE, set_={column: made.excluded[column] for column in AGAIN}
    ).returning(B.sid)
    sid: str = (await tx.connection.execute(kept)).scalar_one()
    await tx.sql.execute(TRIM, binding.chat_service_sid, binding.identity, DEVICES_MAX)
    return sid


async def forget(tx: Tx, scope: Scope, identity: str, binding_type: str, endpoint: str) -> int:
    """Delete the binding of a device; gives how many there were."""
    named = (scope.service_sid, identity, binding_type, endpoint)
    which = (column == value for column, value in zip(DEVICE, named, strict=True))
    return await tx.run(delete(BINDINGS).where(B.account_sid == scope.account_sid, *which))


def _within(scope: Scope) -> Select[Any]:
    return select(BINDINGS).where(
        B.account_sid == scope.account_sid, B.chat_service_sid == scope.service_sid
    )
