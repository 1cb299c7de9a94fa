"""Questions about conversation services and their configuration. Which of them a path leads into is
`scope`'s question, how one goes is `removal`'s."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select, update
from sqlmodel import SQLModel

from app.model import Account, Service
from app.store.database import Tx
from app.store.slices import Key, Slice, cut

SERVICES = SQLModel.metadata.tables["services"]
ACCOUNTS = SQLModel.metadata.tables["accounts"]
S, A = SERVICES.c, ACCOUNTS.c

FIXED = {"sid", "account_sid", "declared_as", "deleted_at", "date_created"}
POOL = "SELECT EXISTS (SELECT FROM messaging_services WHERE account_sid = $1 AND sid = $2)"


async def find(tx: Tx, account_sid: str, sid: str, *, lock: bool = False) -> Service | None:
    """The service of this account with this SID; locked for a change of its configuration."""
    statement = _within(account_sid).where(S.sid == sid)
    if lock:
        statement = statement.with_for_update(key_share=True)
    return await tx.first(Service, statement)


async def keep(tx: Tx, account_sid: str, sid: str) -> Service | None:
    """The same, and it cannot begin to go before this transaction has ended."""
    statement = _within(account_sid).where(S.sid == sid)
    return await tx.first(Service, statement.with_for_update(read=True, key_share=True))


async def page(tx: Tx, account_sid: str, wanted: Slice) -> list[Service]:
    """A slice of the services of an account, oldest first."""
    return await tx.every(Service, cut(_within(account_sid), (S.date_created, S.sid), wanted))


def key(service: Service) -> Key:
    """Its place in `page`."""
    return service.date_created, service.sid


async def write(tx: Tx, service: Service) -> None:
    """Keep what changed in a locked service."""
    changed = service.model_dump(exclude=FIXED)
    await tx.run(update(SERVICES).where(S.sid == service.sid).values(changed))


async def account(tx: Tx, account_sid: str, *, lock: bool = False) -> Account | None:
    """The account and its defaults; locked for a change."""
    statement = select(ACCOUNTS).where(A.sid == account_sid)
    if lock:
        statement = statement.with_for_update(key_share=True)
    return await tx.first(Account, statement)


async def write_account(tx: Tx, changed: Account) -> None:
    """Keep the defaults of a locked account."""
    values = changed.model_dump(exclude={"sid", "date_created"})
    await tx.run(update(ACCOUNTS).where(A.sid == changed.sid).values(values))


async def has_messaging_service(tx: Tx, account_sid: str, sid: str) -> bool:
    """Whether the account has this messaging service."""
    return bool(await tx.sql.fetchval(POOL, account_sid, sid))


def _within(account_sid: str) -> Select[Any]:
    return select(SERVICES).where(S.account_sid == account_sid, S.deleted_at.is_(None))
