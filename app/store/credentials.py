"""Questions about the credentials of push services. Their secrets are kept sealed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, select, update
from sqlmodel import SQLModel

from app import ids
from app.errors import Unsealable
from app.model import Credential
from app.store.database import Tx
from app.store.slices import Key, Slice, cut
from app.vault import Vault, is_sealed

CREDENTIALS = SQLModel.metadata.tables["credentials"]
C = CREDENTIALS.c

SECRETS = ("certificate", "private_key", "api_key", "secret")
FIXED = {"sid", "account_sid", "date_created"}


async def find(tx: Tx, account_sid: str, sid: str, *, lock: bool = False) -> Credential | None:
    """The credential of this account with this SID; locked for a change."""
    if not ids.is_sid(sid, ids.CREDENTIAL):
        return None
    statement = _within(account_sid).where(C.sid == ids.lowered(sid))
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
    named = C.sid == ids.lowered(sid)
    return await tx.run(delete(CREDENTIALS).where(C.account_sid == account_sid, named))


def seal(credential: Credential, vault: Vault, column: str, secret: str | None) -> None:
    """Set a secret, which leaves this process sealed only. Raises Forbidden without a key."""
    about = _about(credential, column)
    setattr(credential, column, None if secret is None else vault.seal_text(secret, about))


def reveal(credential: Credential, vault: Vault) -> dict[str, str]:
    """The secrets that a credential has, by column. Raises Unsealable."""
    sealed = {column: getattr(credential, column) for column in SECRETS}
    return {
        column: vault.open_text(text, _about(credential, column)) if is_sealed(text) else text
        for column, text in sealed.items()
        if text is not None
    }


async def reseal(tx: Tx, vault: Vault, after: str, limit: int) -> tuple[str | None, int]:
    """Seal by the first key what another one sealed, or none yet, of the next credentials beyond
    this SID; gives the last SID, None at the end, and how many could not be opened."""
    statement = select(CREDENTIALS).where(C.sid > after).order_by(C.sid).limit(limit)
    found = await tx.every(Credential, statement.with_for_update(key_share=True))
    lost = 0
    for credential in found:
        held = [text for column in SECRETS if (text := getattr(credential, column)) is not None]
        if all(text.startswith(vault.prefix or "") for text in held):
            continue
        try:
            revealed = reveal(credential, vault)
        except Unsealable:
            lost += 1
            continue
        for column, secret in revealed.items():
            seal(credential, vault, column, secret)
        await write(tx, credential)
    return (found[-1].sid if len(found) == limit else None), lost


def _about(credential: Credential, column: str) -> str:
    return f"credentials {credential.sid} {column}"


def _within(account_sid: str) -> Select[Any]:
    return select(CREDENTIALS).where(C.account_sid == account_sid)
