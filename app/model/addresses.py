"""Our own addresses: senders, the messaging services that pool them, and what a message to one
of them may create."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from app.model import columns as c


class AddressConfiguration(SQLModel, table=True):
    """What an inbound message to this address may create (docs/11).

    `default_identities` (ours) join every conversation that it creates; `auto_webhook_echo` and
    `auto_webhook_payload` (ours) are those of the webhook that it attaches. `declared_as` is the
    place in the YAML that owns it; the API may then read but not change it.
    """

    __tablename__ = "address_configurations"
    __table_args__ = (
        Index("address_configurations_address", "account_sid", "address", unique=True),
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid_ref("accounts")
    type: str
    address: str
    friendly_name: str | None = None
    address_country: str | None = None
    auto_enabled: bool = c.flag(False)
    auto_type: str = Field(default="default")
    auto_service_sid: str | None = c.sid(null=True)
    auto_webhook_url: str | None = None
    auto_webhook_method: str | None = None
    auto_webhook_filters: list[str] = c.texts()
    auto_webhook_echo: bool = c.flag(False)
    auto_webhook_payload: str = c.word("twilio")
    auto_studio_flow_sid: str | None = c.sid(null=True)
    auto_studio_retry_count: int | None = None
    default_identities: list[str] = c.texts()
    declared_as: str | None = None
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class MessagingService(SQLModel, table=True):
    """A pool of senders; with `autocreate`, a message to any of them creates a conversation."""

    __tablename__ = "messaging_services"

    sid: str = c.sid_key()
    account_sid: str = c.sid_ref("accounts")
    friendly_name: str
    autocreate: bool = c.flag(False)
    declared_as: str | None = None
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class SenderPace(SQLModel, table=True):
    """When a sender that is rated by countries or channels may write to people of one of them, or
    on one of these, next: `country` is the key of the rate (`US`, `mms`, `mms US`)."""

    __tablename__ = "sender_paces"

    account_sid: str = Field(primary_key=True, sa_type=c.SID)
    address: str = Field(primary_key=True)
    country: str = Field(primary_key=True)
    next_slot_at: datetime = c.moment()


class Sender(SQLModel, table=True):
    """An address that we own and the carrier that holds it. Senders are declared in the YAML only;
    the row keeps what must be shared by replicas: when a rated sender may send next."""

    __tablename__ = "senders"

    account_sid: str = c.sid_ref("accounts", primary_key=True)
    address: str = Field(primary_key=True)
    carrier: str
    messaging_service_sid: str | None = c.sid(null=True)
    next_slot_at: datetime | None = c.moment(null=True)
    position: int = c.number()
