"""How people stand to our senders: whether they may be written to freely, and whether at all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from app.model import columns as c


class MessagingWindow(SQLModel, table=True):
    """When somebody last wrote to one of our addresses, on a channel where that opens a session.
    It is closed again once the channel's `session_s` is over; then the row says no more than none
    does, and goes by its age."""

    __tablename__ = "messaging_windows"
    __table_args__ = (
        Index("messaging_windows_age", "last_inbound_at"),
        {"postgresql_with": {"fillfactor": 80}},
    )

    account_sid: str = Field(primary_key=True, sa_type=c.SID)
    proxy_address: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    last_inbound_at: datetime = c.moment()


class OptOut(SQLModel, table=True):
    """Somebody who wants nothing from a sender any more (`opted_out`), or did once.

    `sender` is an address of ours or, since its senders are one to people, the SID of a messaging
    service. `word` is what they wrote, or who else changed it.
    """

    __tablename__ = "opt_outs"

    account_sid: str = Field(primary_key=True, sa_type=c.SID)
    address: str = Field(primary_key=True)
    sender: str = Field(primary_key=True)
    opted_out: bool
    word: str
    date_updated: datetime = c.moment()


class StickySender(SQLModel, table=True):
    """The sender of a messaging service that somebody was given first: they get it again, in every
    conversation where that pair is free."""

    __tablename__ = "sticky_senders"

    account_sid: str = Field(primary_key=True, sa_type=c.SID)
    messaging_service_sid: str = Field(primary_key=True, sa_type=c.SID)
    address: str = Field(primary_key=True)
    sender: str
    date_created: datetime = c.moment()
