"""Event streams: where events go (sinks), which of them (subscriptions), and the log itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, Text, text
from sqlmodel import Field, SQLModel

from app.model import columns as c

STREAM = "stream"
"""The bell of whoever orders new events."""
FOLLOW = "follow"
"""The bell of whoever sends ordered events to sinks; also the kind of their dead letters."""

WEBHOOK, KINESIS, PULL = "webhook", "kinesis", "http-pull"
SINK_TYPES = (WEBHOOK, KINESIS, PULL)
INITIALIZED, VALIDATING, ACTIVE, FAILED = "initialized", "validating", "active", "failed"
SINK_STATUSES = (INITIALIZED, VALIDATING, ACTIVE, FAILED)


def logged_bell(account_sid: str) -> str:
    """The bell of whoever waits for this account's log to grow."""
    return f"logged:{account_sid}"


class Sink(SQLModel, table=True):
    """Where events go. type: webhook, kinesis, or http-pull (they stay, and are fetched); status:
    initialized, validating, active, failed. `test_id` is in the last test event that was asked
    for."""

    __tablename__ = "sinks"
    __table_args__ = (Index("sinks_listing", "account_sid", "sid"),)

    sid: str = c.sid_key()
    account_sid: str = c.sid_ref("accounts")
    description: str
    type: str
    configuration: dict[str, Any] = c.document()
    status: str
    test_id: str | None = c.sid(null=True)
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class Subscription(SQLModel, table=True):
    """What a sink gets."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        Index("subscriptions_listing", "account_sid", "sid"),
        Index("subscriptions_sink", "sink_sid", "sid"),
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid_ref("accounts")
    sink_sid: str = c.sid_ref("sinks")
    description: str
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class SubscribedEvent(SQLModel, table=True):
    """A type of event that a subscription wants, and in which version of its schema."""

    __tablename__ = "subscribed_events"

    subscription_sid: str = c.sid_ref("subscriptions", primary_key=True)
    type: str = Field(primary_key=True, sa_type=c.SID)
    schema_version: int


class Follower(SQLModel, table=True):
    """How far a subscription's events were sent, or a test event that is to be sent (then `sid` is
    the test's id and there is no subscription).

    `position` is the last one that is done with. `due` is when somebody may work on it: now, the
    time of the next try, or the end of the lease while a worker holds it; None while there is
    nothing to send. `lease` is the fence. `attempts` counts those started at this position, and
    `upto` is where the batch ends that failed: what came later waits for a batch of its own.
    """

    __tablename__ = "stream_followers"
    __table_args__ = (
        Index("stream_followers_due", "due", postgresql_where=text("due IS NOT NULL")),
        Index("stream_followers_account", "account_sid"),
        Index("stream_followers_sink", "sink_sid"),
        Index("stream_followers_subscription", "subscription_sid"),
        {"postgresql_with": {"fillfactor": 80}},
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid()
    sink_sid: str = c.sid_ref("sinks")
    subscription_sid: str | None = c.sid_ref("subscriptions", null=True)
    position: int = c.number(big=True)
    upto: int | None = Field(default=None, sa_type=BigInteger)
    attempts: int = c.number()
    lease: str | None = None
    due: datetime | None = c.moment(null=True)


class _Event(SQLModel):
    """Something that happened. `about` is the conversation or user that it happened to (the order
    of these is the order of their changes). `data` is JSON as it is sent, in a text: a document
    column would refuse what people write (U+0000) and forget how they wrote it."""

    account_sid: str = c.sid()
    id: str = c.sid()
    type: str = c.sid()
    about: str = c.sid()
    data: str = Field(sa_type=Text)
    happened_at: datetime = c.moment()


class StreamIntake(_Event, table=True):
    """An event as the transaction of its change leaves it; only the sequencer reads it. `serial` is
    drawn under the row lock of what changed."""

    __tablename__ = "stream_intake"

    serial: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity()]
    )


class StreamEvent(_Event, table=True):
    """An event in its account's log: `position` counts 1, 2, 3, ... without a gap, and what is
    committed later has a higher one."""

    __tablename__ = "stream_events"

    account_sid: str = Field(primary_key=True, sa_type=c.SID)
    position: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    logged_at: datetime = c.moment()


class StreamHead(SQLModel, table=True):
    """The last position of an account's log."""

    __tablename__ = "stream_heads"
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    account_sid: str = c.sid_key()
    position: int = c.number(big=True)


class StreamLoss(SQLModel, table=True):
    """A batch that was given up, from `first` to `last`; the follower went on without it."""

    __tablename__ = "stream_losses"

    id: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity()]
    )
    account_sid: str = c.sid()
    sink_sid: str = c.sid()
    subscription_sid: str = c.sid()
    first: int = Field(sa_type=BigInteger)
    last: int = Field(sa_type=BigInteger)
    events: int
    reason: str
    died_at: datetime = c.moment()
