"""Content templates, and whether WhatsApp lets them open a conversation."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from app.model import columns as c

UNSUBMITTED, RECEIVED, PENDING, APPROVED, REJECTED, PAUSED, DISABLED = (
    *("unsubmitted", "received", "pending", "approved", "rejected", "paused", "disabled"),
)
APPROVAL_STATUSES = (UNSUBMITTED, RECEIVED, PENDING, APPROVED, REJECTED, PAUSED, DISABLED)
CATEGORIES = ("UTILITY", "MARKETING", "AUTHENTICATION")


class Content(SQLModel, table=True):
    """A template (docs/45). `types` holds the fields of each of its content types, `variables` the
    sample of each variable; `carriers` (ours) says what a carrier of the YAML calls it:
    {"sid": ...}, or {"name": ..., "language": ...}. `ask_at` is when these are asked next what
    WhatsApp thinks of it (app/inbound/approvals.py)."""

    __tablename__ = "contents"
    __table_args__ = (
        Index("contents_listing", "account_sid", "sid"),
        Index("contents_asked", "ask_at", postgresql_where=text("carriers <> '{}'::jsonb")),
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid_ref("accounts")
    friendly_name: str | None = None
    language: str
    variables: dict[str, Any] = c.document()
    types: dict[str, Any] = c.document()
    carriers: dict[str, Any] = c.document()
    declared_as: str | None = None
    ask_at: datetime = c.moment(now=True)
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class ContentApproval(SQLModel, table=True):
    """What WhatsApp thinks of a template: of the one type that was submitted. `name` is what it is
    called there."""

    __tablename__ = "content_approvals"
    __table_args__ = (Index("content_approvals_name", "name"),)

    content_sid: str = c.sid_ref("contents", primary_key=True)
    account_sid: str = c.sid()
    name: str
    category: str
    content_type: str
    status: str = Field(default=RECEIVED)
    rejection_reason: str = c.word("")
    allow_category_change: bool = c.flag(True)
    declared_as: str | None = None
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()
