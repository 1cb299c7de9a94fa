"""Questions about the devices that registered for push notifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, select
from sqlmodel import SQLModel

from app import ids
from app.model import PushBinding
from app.store.database import Tx
from app.store.scope import Scope
from app.store.slices import Key, Slice, cut

BINDINGS = SQLModel.metadata.tables["push_bindings"]
B = BINDINGS.c


async def find(tx: Tx, scope: Scope, sid: str) -> PushBinding | None:
    """The binding of this service with this SID."""
    if not ids.is_sid(sid, ids.PUSH_BINDING):
        return None
    named = B.sid == sid[:2] + sid[2:].lower()
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


def _within(scope: Scope) -> Select[Any]:
    return select(BINDINGS).where(
        B.account_sid == scope.account_sid, B.chat_service_sid == scope.service_sid
    )
