"""Questions about address configurations."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlmodel import SQLModel

from app import ids
from app.errors import Conflict
from app.model import AddressConfiguration
from app.store.database import TAKEN, Tx, violates
from app.store.slices import Key, Slice, cut

ADDRESSES = SQLModel.metadata.tables["address_configurations"]
A = ADDRESSES.c

FIXED = {"sid", "account_sid", "type", "address", "address_country", "declared_as", "date_created"}


async def find(
    tx: Tx, account_sid: str, key: str, *, lock: bool = False
) -> AddressConfiguration | None:
    """The configuration with this SID or (normalised) address; locked for a change."""
    by_sid = ids.is_sid(key, ids.ADDRESS_CONFIGURATION)
    named = A.sid == ids.lowered(key) if by_sid else A.address == key
    statement = select(ADDRESSES).where(A.account_sid == account_sid, named)
    if lock:
        statement = statement.with_for_update(key_share=True)
    return await tx.first(AddressConfiguration, statement)


async def page(
    tx: Tx, account_sid: str, type_: str | None, wanted: Slice
) -> list[AddressConfiguration]:
    """A slice of the configurations of an account, oldest first."""
    statement = select(ADDRESSES).where(A.account_sid == account_sid)
    if type_ is not None:
        statement = statement.where(A.type == type_)
    return await tx.every(AddressConfiguration, cut(statement, (A.date_created, A.sid), wanted))


def key(configuration: AddressConfiguration) -> Key:
    """Its place in `page`."""
    return configuration.date_created, configuration.sid


async def add(tx: Tx, configuration: AddressConfiguration) -> None:
    """Keep a new configuration. Raises Conflict 20409 when its address has one already."""
    try:
        await tx.add(configuration)
    except TAKEN as error:
        if not violates(error, "address_configurations_address"):
            raise
        said = f"An address configuration for {configuration.address} already exists"
        raise Conflict(20409, said) from error


async def write(tx: Tx, configuration: AddressConfiguration) -> None:
    """Keep what changed in a locked configuration."""
    changed = configuration.model_dump(exclude=FIXED)
    await tx.run(update(ADDRESSES).where(A.sid == configuration.sid).values(changed))


async def remove(tx: Tx, sid: str) -> int:
    """Delete a configuration; gives how many there were."""
    return await tx.run(delete(ADDRESSES).where(A.sid == sid))
