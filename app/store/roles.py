"""Questions about roles. Every service begins with four of them, three of which are its defaults.

Who assigns a role keeps it from being deleted by a share lock on its row.
"""

from __future__ import annotations

from sqlalchemy import Select, delete, insert, select, update
from sqlmodel import SQLModel

from app import ids
from app.model import Role, Service
from app.model.permissions import BEGINNINGS
from app.store.database import Tx
from app.store.scope import Scope
from app.store.slices import Key, Slice, cut

ROLES = SQLModel.metadata.tables["roles"]
SERVICES = SQLModel.metadata.tables["services"]
R = ROLES.c

DEFAULTS = (
    "default_conversation_creator_role_sid",
    "default_conversation_role_sid",
    "default_chat_service_role_sid",
)

BARE = " AND ".join(f"{column} IS NULL" for column in DEFAULTS)
BEGIN = f"""
UPDATE services SET default_conversation_creator_role_sid = $2,
  default_conversation_role_sid = $3, default_chat_service_role_sid = $4
WHERE sid = $1 AND {BARE} RETURNING sid
"""
# The next role in order, which only the index can give: to look for one that most rows have, a plan
# would read the table, and all of it for one that none has.
USED = """
SELECT coalesce($2 = (SELECT role_sid FROM users WHERE role_sid >= $2
    ORDER BY role_sid LIMIT 1), false)
  OR coalesce($2 = (SELECT role_sid FROM participants WHERE role_sid >= $2
    ORDER BY role_sid LIMIT 1), false)
  OR EXISTS (SELECT FROM services WHERE sid = $1 AND $2 IN (default_conversation_creator_role_sid,
    default_conversation_role_sid, default_chat_service_role_sid))
"""
ALLOWS = """
SELECT EXISTS (SELECT FROM participants p
  JOIN services s ON s.sid = p.chat_service_sid
  JOIN roles r ON r.sid = coalesce(p.role_sid, s.default_conversation_role_sid)
  WHERE p.chat_service_sid = $1 AND p.identity = $2 AND $3 = ANY (r.permissions))
"""
DEFAULT = "SELECT default_conversation_role_sid FROM services WHERE sid = $1"


async def seed(tx: Tx, service: Service) -> None:
    """Give a service the roles that it begins with, and make them its defaults.

    Happens once in its life: a service that has any default is left as it is.
    """
    roles = [
        Role(
            sid=ids.new(ids.ROLE),
            account_sid=service.account_sid,
            chat_service_sid=service.sid,
            friendly_name=beginning.friendly_name,
            type=beginning.type,
            permissions=list(beginning.permissions),
            date_created=tx.now,
            date_updated=tx.now,
        )
        for beginning in BEGINNINGS
    ]
    given = {
        column: role.sid
        for beginning, role in zip(BEGINNINGS, roles, strict=True)
        for column in beginning.default_of
    }
    if await tx.sql.fetchval(BEGIN, service.sid, *(given[column] for column in DEFAULTS)) is None:
        return
    for column, sid in given.items():
        setattr(service, column, sid)
    await tx.connection.execute(insert(ROLES), [role.model_dump() for role in roles])


async def seed_all(tx: Tx, account_sid: str) -> None:
    """Seed the services of an account that have no roles yet."""
    bare = (SERVICES.c[column].is_(None) for column in DEFAULTS)
    statement = select(SERVICES).where(SERVICES.c.account_sid == account_sid, *bare)
    for service in await tx.every(Service, statement):
        await seed(tx, service)


async def find(tx: Tx, service_sid: str, sid: str) -> Role | None:
    """The role of this service with this SID."""
    return await tx.first(Role, _named(service_sid, sid))


async def held(tx: Tx, service_sid: str, sid: str) -> Role | None:
    """The role, which cannot be deleted before the end of the transaction: to assign it."""
    locked = _named(service_sid, sid).with_for_update(read=True, key_share=True)
    return await tx.first(Role, locked)


async def lock(tx: Tx, service_sid: str, sid: str) -> Role | None:
    """The role, locked for a delete: nobody assigns it meanwhile."""
    return await tx.first(Role, _named(service_sid, sid).with_for_update())


async def default(tx: Tx, service_sid: str) -> str | None:
    """The role that participants of this service get when nothing is said."""
    sid: str | None = await tx.sql.fetchval(DEFAULT, service_sid)
    return sid


async def page(tx: Tx, service_sid: str, wanted: Slice) -> list[Role]:
    """A slice of the roles of a service, oldest first."""
    statement = select(ROLES).where(R.chat_service_sid == service_sid)
    return await tx.every(Role, cut(statement, (R.date_created, R.sid), wanted))


def key(role: Role) -> Key:
    """Its place in `page`."""
    return role.date_created, role.sid


async def write(tx: Tx, role: Role) -> int:
    """Keep new permissions; gives how many roles there were."""
    changed = {"permissions": role.permissions, "date_updated": role.date_updated}
    return await tx.run(update(ROLES).where(R.sid == role.sid).values(changed))


async def used(tx: Tx, role: Role) -> bool:
    """Whether a user, a participant or a service's default holds a (locked) role."""
    found: bool = await tx.sql.fetchval(USED, role.chat_service_sid, role.sid)
    return found


async def remove(tx: Tx, role: Role) -> None:
    """Delete a locked role that nobody uses."""
    await tx.run(delete(ROLES).where(R.sid == role.sid))


def _named(service_sid: str, sid: str) -> Select[tuple[object, ...]]:
    lowered = ids.lowered(sid)
    return select(ROLES).where(R.sid == lowered, R.chat_service_sid == service_sid)


async def allows_somewhere(tx: Tx, scope: Scope, identity: str, permission: str) -> bool:
    """Whether this identity has a role that allows this in any conversation of the service. It is
    in as many as `limits.conversations_per_identity` says."""
    return bool(await tx.sql.fetchval(ALLOWS, scope.service_sid, identity, permission))
