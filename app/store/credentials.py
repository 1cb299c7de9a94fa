"""Questions about the credentials of push services."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, select, update
from sqlmodel import SQLModel

from app import ids
from app.model import Credential
from app.store.database import Tx
from app.store.slices import Key, Slice, cut

CREDENTIALS = SQLModel.metadata.tables["credentials"]
C = CREDENTIALS.c

FIXED = {"sid", "account_sid", "date_created"}


async def find(tx: Tx, account_sid: str, sid: str, *, lock: bool = False) -> Credential | None:
    """The credential of this account with this SID; locked for a change."""
    if not ids.is_sid(sid, ids.CREDENTIAL):
        return None
    statement = _within(account_sid).where(C.sid == sid[:2] + sid[2:].lower())
    if lock:
        statement = statement.with_for_update(key_share=True)
    return await tx.first(Credential, statement)


async def page(tx: Tx, account_sid: str, wanted: Slice) -> list[Credential]:
    """A slice of the credentials of an account, in the order in which they were made."""
    return await tx.every(Credential, cut(_within(account_sid), (C.sid,), wanted))


def key(credential: Credential) -> Key:
    """Its place in `page`."""
    return (credential.sid,)


async def write(tx: Tx, credential: Credential) -> None:
    """Keep what changed in a locked credential."""
    changed = credential.model_dump(exclude=FIXED)
    await tx.run(update(CREDENTIALS).where(C.sid == credential.sid).values(changed))


async def remove(tx: Tx, account_sid: str, sid: str) -> int:
    """Delete a credential; gives how many there were."""
    named = C.sid == sid[:2] + sid[2:].lower()
    return await tx.run(delete(CREDENTIALS).where(C.account_sid == account_sid, named))


def _within(account_sid: str) -> Select[Any]:
    return select(CREDENTIALS).where(C.account_sid == account_sid)
