"""What `parley keys` does: make, list and revoke the API keys of the database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from app import ids
from app.clock import iso_seconds
from app.errors import Forbidden, Invalid, NotFound
from app.model import ApiKey
from app.model.access import READ, SCOPES, WRITE
from app.ops.render import table
from app.settings.models import Settings
from app.store import keys
from app.store.database import Tx
from app.store.declared import declare
from app.vault import Vault

USUAL = (READ, WRITE)
WRONG = 20001


async def create(
    tx: Tx,
    settings: Settings,
    vault: Vault,
    *,
    name: str | None = None,
    scopes: Sequence[str] = USUAL,
    account_sid: str | None = None,
) -> tuple[str, str]:
    """Make a key for an account (None: the main one); gives its SID and its secret, which cannot be
    asked for again. Of a key that may write it is kept sealed, for the access tokens that it will
    sign; where there is nothing to seal with it can sign none. Raises Invalid."""
    unknown = sorted(set(scopes) - SCOPES)
    if unknown or not scopes:
        said = f"no such scope: {', '.join(unknown)}" if unknown else "a key needs a scope"
        raise Invalid(WRONG, f"{said}; there are {', '.join(sorted(SCOPES))}")
    account_sid = account_sid or settings.account.sid
    if account_sid not in settings.houses:
        raise Invalid(WRONG, f"the file names no account {account_sid}")
    await declare(tx, settings)  # the account may never have been served yet
    sid, secret = ids.new(ids.API_KEY), ids.secret()
    sealed = None
    if WRITE in scopes:
        with suppress(Forbidden):
            sealed = keys.seal(vault, sid, secret)
    key = ApiKey(
        sid=sid,
        account_sid=account_sid,
        friendly_name=name,
        secret_hash=keys.hashed(secret),
        sealed_secret=sealed,
        scopes=sorted(set(scopes)),
        date_created=tx.now,
    )
    await keys.add(tx, key)
    return key.sid, secret


async def revoke(tx: Tx, sid: str) -> None:
    """End a key. Raises NotFound for one that is not there or was ended before."""
    if not await keys.revoke(tx.sql, sid, tx.now):
        raise NotFound(20404, f"there is no key {sid} that could be revoked")


async def listing(tx: Tx) -> str:
    """Every key there ever was, for a terminal."""
    rows = [
        (
            key.sid,
            ",".join(key.scopes),
            iso_seconds(key.date_created),
            f"revoked {iso_seconds(key.revoked_at)}" if key.revoked_at else "live",
            key.account_sid,
            key.friendly_name or "",
        )
        for key in await keys.listed(tx.sql)
    ]
    return "\n".join(table(rows)) or "no keys"
