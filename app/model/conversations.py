"""Conversations, their participants, and what makes numbers point at one: bindings for pairs,
number groups for group texts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from app.model import columns as c

State = Literal["initializing", "active", "inactive", "closed"]


def number_group(addresses: Iterable[str]) -> str:
    """A set of normalised addresses as one text, in whatever order they come."""
    return " ".join(sorted(set(addresses)))


class Conversation(SQLModel, table=True):
    """A conversation (docs/22, docs/35).

    `message_count` is the next message's index; `removed_count` of those before it are not there
    any more. `revision` grows, under the row lock, with every change of the conversation or of
    anything below it. `active_at` is when its timers count from.
    `next_timer_at` is armed lazily: a message moves `active_at` only, and the sweep re-arms, so
    that no index changes with a message and updates stay HOT. Timers are seconds; None means off.
    `grouped`: its participants are a group text.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        Index(
            "conversations_unique_name",
            "chat_service_sid",
            "unique_name",
            unique=True,
            postgresql_where=text("unique_name IS NOT NULL"),
        ),
        Index(
            "conversations_listing",
            "chat_service_sid",
            text("date_created DESC"),
            text("sid DESC"),
        ),
        Index(
            "conversations_by_state",
            "chat_service_sid",
            "state",
            text("date_created DESC"),
            text("sid DESC"),
        ),
        Index(
            "conversations_next_timer",
            "next_timer_at",
            postgresql_where=text("next_timer_at IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": 90}},
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid_ref("accounts")
    chat_service_sid: str = c.sid_ref("services")
    messaging_service_sid: str | None = c.sid(null=True)
    friendly_name: str | None = None
    unique_name: str | None = None
    attributes: str = c.attributes()
    state: str = Field(default="active")
    inactive_timer_s: int | None = None
    closed_timer_s: int | None = None
    active_at: datetime = c.moment()
    state_at: datetime = c.moment()
    next_timer_at: datetime | None = c.moment(null=True)
    message_count: int = c.number()
    removed_count: int = c.number()
    created_by: str = c.word("system")
    revision: int = c.number(big=True)
    grouped: bool = c.flag(False)
    email_address: str | None = None
    email_name: str | None = None
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class Participant(SQLModel, table=True):
    """Somebody in a conversation (docs/23): an identity, a bound address, or both in groups."""

    __tablename__ = "participants"
    __table_args__ = (
        Index("participants_listing", "conversation_sid", "sid"),
        Index(
            "participants_identity",
            "conversation_sid",
            "identity",
            unique=True,
            postgresql_where=text("identity IS NOT NULL"),
        ),
        Index(
            "participants_by_address",
            "chat_service_sid",
            "address",
            "conversation_sid",
            postgresql_where=text("address IS NOT NULL"),
        ),
        Index(
            "participants_by_identity",
            "chat_service_sid",
            "identity",
            "conversation_sid",
            postgresql_where=text("identity IS NOT NULL"),
        ),
        Index(
            "participants_by_proxy",
            "chat_service_sid",
            "proxy_address",
            "conversation_sid",
            postgresql_where=text("proxy_address IS NOT NULL"),
        ),
        Index("participants_role", "role_sid"),
        Index(
            "participants_external",
            "conversation_sid",
            postgresql_where=text("address IS NOT NULL"),
        ),
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid()
    chat_service_sid: str = c.sid()
    conversation_sid: str = c.sid_ref("conversations")
    identity: str | None = None
    channel: str | None = None
    address: str | None = None
    proxy_address: str | None = None
    projected_address: str | None = None
    attributes: str = c.attributes()
    role_sid: str | None = c.sid(null=True)
    notification_level: str = c.word("default")
    last_read_message_index: int | None = None
    last_read_timestamp: datetime | None = c.moment(null=True)
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class Binding(SQLModel, table=True):
    """The pair (address, proxy address) of one participant; `open` until its conversation closes.

    The partial unique index is the promise: one open conversation per pair and account. Its
    references are deferred, so that the road can claim a pair before it creates what holds it.
    """

    __tablename__ = "bindings"
    __table_args__ = (
        Index(
            "bindings_open_pair",
            "account_sid",
            "proxy_address",
            "address",
            unique=True,
            postgresql_where=text("open"),
            postgresql_include=["conversation_sid", "participant_sid"],
        ),
        Index("bindings_conversation", "conversation_sid"),
    )

    participant_sid: str = c.sid_ref("participants", deferred=True, primary_key=True)
    conversation_sid: str = c.sid_ref("conversations", deferred=True)
    account_sid: str = c.sid()
    address: str
    proxy_address: str
    open: bool = c.flag(True)


class NumberGroup(SQLModel, table=True):
    """The set of numbers of one group text (docs/37); `open` until its conversation closes.

    `numbers` is the set as `number_group` writes it, None while it is not complete. The
    partial unique index is the promise: one open conversation per set and account. Who changes the
    members of a group holds this row.
    """

    __tablename__ = "number_groups"
    __table_args__ = (
        Index(
            "number_groups_open",
            "account_sid",
            "numbers",
            unique=True,
            postgresql_where=text("open"),
            postgresql_include=["conversation_sid"],
        ),
    )

    conversation_sid: str = c.sid_ref("conversations", deferred=True, primary_key=True)
    account_sid: str = c.sid()
    numbers: str | None = None
    open: bool = c.flag(True)
