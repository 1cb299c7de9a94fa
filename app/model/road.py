"""What the road keeps: the ledger of inbounds, the decision on each, statuses that came early."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from app.model import columns as c


class Inbox(SQLModel, table=True):
    """The ledger: one row per inbound of a carrier, for ever. Its key is the promise that one
    provider message id gives one message. `message_sid` is that message; where nothing was created
    it is None and `payload` keeps what came. What was decided is in `decisions`."""

    __tablename__ = "inbox"
    __table_args__ = (
        Index("inbox_payload_age", "received_at", postgresql_where=text("payload IS NOT NULL")),
    )

    carrier: str = Field(primary_key=True)
    external_id: str = Field(primary_key=True)
    account_sid: str = c.sid()
    message_sid: str | None = c.sid(null=True)
    payload: dict[str, Any] | None = c.document(null=True)
    received_at: datetime = c.moment()


class Decision(SQLModel, table=True):
    """Why an inbound went where it went: the rule that took it and those that were passed over.

    `digest` says what came, of a group text that comes to several numbers of ours; copies of one
    message have the same, and name it in `message_sid`. `recovered`: no webhook brought it, the
    carrier's list did; `sent_at` is the carrier's time of such a one.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        Index(
            "decisions_without_message",
            "carrier",
            "external_id",
            postgresql_where=text("message_sid IS NULL"),
        ),
        Index("decisions_message", "message_sid"),
        Index("decisions_digest", "digest", postgresql_where=text("digest IS NOT NULL")),
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid()
    carrier: str
    external_id: str
    address: str
    proxy_address: str
    signature: str
    rule: str
    outcome: str
    reason: str | None = None
    steps: list[Any] = c.document()
    conversation_sid: str | None = c.sid(null=True)
    message_sid: str | None = c.sid(null=True)
    digest: str | None = c.sid(null=True)
    received_at: datetime = c.moment()
    recovered: bool = c.flag(False)
    sent_at: datetime | None = c.moment(null=True)


class EarlyStatus(SQLModel, table=True):
    """A delivery status for a send whose answer we have not got yet; settled with that answer."""

    __tablename__ = "early_statuses"
    __table_args__ = (Index("early_statuses_age", "received_at"),)

    carrier: str = Field(primary_key=True)
    external_id: str = Field(primary_key=True)
    status: str
    error_code: int | None = None
    received_at: datetime = c.moment()
