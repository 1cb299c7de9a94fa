"""Accounts and conversation services: who owns everything else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from app.model import columns as c


class Account(SQLModel, table=True):
    """An account and its defaults: the `/Configuration` resource (docs/10).

    Timers are whole seconds; None means off. `streamed` are the events, by their webhook names,
    that the account's subscriptions want between them: whoever changes something reads it on the
    way, so that who has none pays nothing.
    """

    __tablename__ = "accounts"

    sid: str = c.sid_key()
    default_chat_service_sid: str = c.sid()
    default_messaging_service_sid: str | None = c.sid(null=True)
    default_inactive_timer_s: int | None = None
    default_closed_timer_s: int | None = None
    streamed: list[str] = c.texts()
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class Service(SQLModel, table=True):
    """A conversation service (docs/21) and its configuration (docs/20): the roles that new users,
    participants and creators get, and the push notification settings (docs/17) as one document.

    `deleted_at` is when its deletion began: nothing leads into it any more, and it is emptied step
    by step until the row itself goes.
    """

    __tablename__ = "services"
    __table_args__ = (Index("services_listing", "account_sid", "date_created", "sid"),)

    sid: str = c.sid_key()
    account_sid: str = c.sid_ref("accounts")
    friendly_name: str
    default_conversation_creator_role_sid: str | None = c.sid(null=True)
    default_conversation_role_sid: str | None = c.sid(null=True)
    default_chat_service_role_sid: str | None = c.sid(null=True)
    reachability_enabled: bool = c.flag(False)
    notifications: dict[str, Any] = c.document()
    declared_as: str | None = Field(default=None)
    deleted_at: datetime | None = c.moment(null=True)
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()
