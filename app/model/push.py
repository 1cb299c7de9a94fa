"""Push notifications: credentials of the push services, and the devices that registered."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import SQLModel

from app.model import columns as c


class Credential(SQLModel, table=True):
    """What a push service wants from us (docs/19). Secrets are sealed (`app/vault.py`), written and
    never read back."""

    __tablename__ = "credentials"
    __table_args__ = (Index("credentials_listing", "account_sid", "sid"),)

    sid: str = c.sid_key()
    account_sid: str = c.sid_ref("accounts")
    friendly_name: str | None = None
    type: str
    sandbox: bool | None = None
    certificate: str | None = None
    private_key: str | None = None
    api_key: str | None = None
    secret: str | None = None
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class PushBinding(SQLModel, table=True):
    """One device of one identity (docs/18), registered by an SDK; again and again: it stays one."""

    __tablename__ = "push_bindings"
    __table_args__ = (
        Index("push_bindings_listing", "chat_service_sid", "sid"),
        Index("push_bindings_by_type", "chat_service_sid", "binding_type", "sid"),
        Index("push_bindings_by_identity", "chat_service_sid", "identity", "sid"),
        Index(
            "push_bindings_device",
            "chat_service_sid",
            "identity",
            "binding_type",
            "endpoint",
            unique=True,
        ),
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid()
    chat_service_sid: str = c.sid_ref("services")
    credential_sid: str | None = c.sid(null=True)
    identity: str
    endpoint: str
    binding_type: str
    message_types: list[str] = c.texts()
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()
