"""Users of a service, and the roles that say what they and participants may do."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import SQLModel

from app.model import columns as c


class User(SQLModel, table=True):
    """Somebody with an identity in a service (docs/08); made with their first participant.

    `revision` grows with every change that clients are told of. `online_at` is when somebody last
    came or went with this identity while the service showed who is there (docs/44).
    """

    __tablename__ = "users"
    __table_args__ = (
        Index("users_identity", "chat_service_sid", "identity", unique=True),
        Index("users_listing", "chat_service_sid", "date_created", "sid"),
        Index("users_role", "role_sid"),
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid()
    chat_service_sid: str = c.sid_ref("services")
    identity: str
    friendly_name: str | None = None
    attributes: str = c.attributes()
    role_sid: str | None = c.sid(null=True)
    revision: int = c.number(big=True)
    online_at: datetime | None = c.moment(null=True)
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class Role(SQLModel, table=True):
    """What its holders may do (docs/09). type: conversation (participants) or service (users)."""

    __tablename__ = "roles"
    __table_args__ = (Index("roles_listing", "chat_service_sid", "date_created", "sid"),)

    sid: str = c.sid_key()
    account_sid: str = c.sid()
    chat_service_sid: str = c.sid_ref("services")
    friendly_name: str
    type: str
    permissions: list[str] = c.texts()
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()
