"""What must still happen: items in lanes, their attempts, and those that were given up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index
from sqlmodel import Field, SQLModel

from app.model import columns as c

DELIVERY = "delivery"
HOOK = "hook"
ASK = "ask"


def ask_lane(account_sid: str, proxy_address: str, address: str) -> str:
    """The lane of a pair's inbounds that somebody decides on first. Lanes are locked in the order
    of their names, and these before all others."""
    return f"a:{account_sid} {proxy_address}:{address}"


def delivery_lane(account_sid: str, proxy_address: str, address: str) -> str:
    """The lane of everything that goes from one address of ours to one recipient."""
    return f"d:{account_sid} {proxy_address}:{address}"


def hook_lane(target_sid: str, about_sid: str) -> str:
    """The lane of everything that one target is told of one conversation, or of one user."""
    return f"h:{target_sid}:{about_sid}"


def sender_lane(proxy_address: str, address: str) -> str:
    """The lane of what a sender's own webhook gets from one address."""
    return f"h:sender:{proxy_address}:{address}"


class Lane(SQLModel, table=True):
    """What must stay in order: one recipient's sends, or one target's webhooks of a conversation.

    The row exists while the lane has items. `due` is when somebody may work on it: the retry time
    of its head, or the end of the lease while a worker holds it. `lease` is the fence: who settles
    must name it.
    """

    __tablename__ = "lanes"
    __table_args__ = (
        Index("lanes_due", "kind", "due"),
        {"postgresql_with": {"fillfactor": 80}},
    )

    lane: str = Field(primary_key=True, sa_type=c.SID)
    kind: str
    due: datetime = c.moment()
    lease: str | None = None
    sender: str | None = None
    slot_at: datetime | None = c.moment(null=True)


class _Item(SQLModel):
    """A thing to do for somebody outside: a delivery (receipt) or a webhook (event, url, params).

    `attempts` counts those started. `started_at` is set, committed, before an attempt and cleared
    when it is settled: a row that is claimed with it set had an attempt whose outcome is unknown.
    `token` is the idempotency token, the same in every attempt.
    """

    lane: str = c.sid()
    kind: str
    account_sid: str = c.sid()
    conversation_sid: str | None = c.sid(null=True)
    message_sid: str | None = c.sid(null=True)
    receipt_sid: str | None = c.sid(null=True)
    event: str | None = None
    scope: str | None = None
    url: str | None = None
    method: str | None = None
    params: dict[str, Any] | None = c.document(null=True)
    retries_max: int | None = None
    token: str
    attempts: int = c.number()
    started_at: datetime | None = c.moment(null=True)
    created_at: datetime = c.moment()


class OutboxItem(_Item, table=True):
    """An item that waits; `seq` is its place in its lane (given out under the lane's row lock)."""

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_lane", "lane", "seq"),)

    seq: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity()]
    )


class DeadLetter(_Item, table=True):
    """An item that was given up: its lane went on without it."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        Index("dead_letters_conversation", "conversation_sid"),
        Index("dead_letters_kind", "kind"),
    )

    seq: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    reason: str
    died_at: datetime = c.moment()


class Attempt(SQLModel, table=True):
    """The log of attempts: what was tried, when, how it ended and what was said."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index("attempts_message", "message_sid"),
        Index("attempts_conversation", "conversation_sid", "id"),
    )

    id: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity()]
    )
    kind: str
    seq: int = Field(sa_type=BigInteger)
    number: int
    conversation_sid: str | None = c.sid(null=True)
    message_sid: str | None = c.sid(null=True)
    receipt_sid: str | None = c.sid(null=True)
    event: str | None = None
    target: str | None = None
    outcome: str
    status_code: int | None = None
    error_code: int | None = None
    detail: str | None = None
    external_id: str | None = None
    started_at: datetime = c.moment()
    finished_at: datetime = c.moment()
