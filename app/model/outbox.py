"""What must still happen: items in lanes, their attempts, and those that were given up."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, text
from sqlmodel import Field, SQLModel

from app.model import columns as c

DELIVERY = "delivery"
HOOK = "hook"
ASK = "ask"
MEDIA = "media"
REPLY = "reply"
"""The event of a delivery that answers a word like HELP: it goes to those, too, who opted out."""
HELD = "held"
"""The kind of a webhook's lane while it waits in the queue of its endpoint."""

ROUTE = "d:"
"""How the names of routes begin; those of endpoints are hexadecimal."""

_USER = re.compile(r"(?<=://)[^/@]*@")


def plain(url: str) -> str:
    """Where a webhook leads, whatever it says there: without user, query and fragment."""
    return _USER.sub("", url.partition("#")[0].partition("?")[0])


@lru_cache(maxsize=4096)
def endpoint(account_sid: str, url: str) -> str:
    """The name of the place that a webhook of this account leads to. Health is kept by it: it is
    the same for every conversation, whatever its own webhook is called."""
    return sha256(f"{account_sid} {plain(url)}".encode()).hexdigest()[:20]


def ask_lane(account_sid: str, proxy_address: str, address: str, numbers: str = "") -> str:
    """The lane of a pair's inbounds, or of those of a number group, that somebody decides on first.
    Lanes are locked in the order of their names, and these before all others."""
    return f"a:{account_sid} {numbers or f'{proxy_address}:{address}'}"


def delivery_lane(account_sid: str, proxy_address: str, address: str) -> str:
    """The lane of everything that goes from one address of ours to one recipient."""
    return f"d:{account_sid} {proxy_address}:{address}"


def group_lane(account_sid: str, numbers: str) -> str:
    """The lane of everything that goes from our numbers in a number group to the others in it."""
    return f"d:{account_sid} {numbers}"


def route(carriers: Iterable[str]) -> str:
    """The name of these carriers in this order: deliveries of a lane go by one of them."""
    return ROUTE + ",".join(carriers)


def narrowed(route: str, carriers: Iterable[str]) -> str:
    """The name of a route whose lane waits for these carriers: what is at its head may go by no
    other. The route itself is its end, which the lane has again when it goes on."""
    these = ",".join(carriers)
    whole = route.removeprefix(ROUTE)
    return route if these == whole else f"{ROUTE}{these}|{whole}"


def carriers_of(route: str) -> list[str]:
    """The carriers of a route (their names have neither commas nor bars)."""
    return route.removeprefix(ROUTE).partition("|")[0].split(",")


def hook_lane(target_sid: str, about_sid: str) -> str:
    """The lane of everything that one target is told of one conversation, or of one user."""
    return f"h:{target_sid}:{about_sid}"


def media_lane(media_sid: str) -> str:
    """The lane of one file that is fetched from its carrier."""
    return f"m:{media_sid}"


def sender_lane(proxy_address: str, address: str) -> str:
    """The lane of what a sender's own webhook gets from one address."""
    return f"h:sender:{proxy_address}:{address}"


class Lane(SQLModel, table=True):
    """What must stay in order: one recipient's sends, or one target's webhooks of a conversation.

    The row exists while the lane has items. `due` is when somebody may work on it: the retry time
    of its head, or the end of the lease while a worker holds it. `lease` is the fence: who settles
    must name it. `endpoint` is where its webhooks lead, or the route of its deliveries; while the
    lane waits in the queue of that endpoint (`Endpoint`), or for its carriers (`CarrierPause`; for
    some of them: `narrowed`), its kind is `held`, and it is due.
    """

    __tablename__ = "lanes"
    __table_args__ = (
        Index("lanes_due", "kind", "due"),
        Index("lanes_held", "endpoint", "due", postgresql_where=text("kind = 'held'")),
        {"postgresql_with": {"fillfactor": 80}},
    )

    lane: str = Field(primary_key=True, sa_type=c.SID)
    kind: str
    due: datetime = c.moment()
    lease: str | None = None
    sender: str | None = None
    slot_at: datetime | None = c.moment(null=True)
    endpoint: str | None = c.sid(null=True)


class Endpoint(SQLModel, table=True):
    """Where webhooks lead, while that has a queue of its own: it fails, or more wait for it than
    there are places for. The row goes when the queue is empty.

    While it fails it is paused: nobody calls it before `paused_until`; then one lane (`probe`) is
    let through, and when that is answered all are. `pauses` counts those in a row. `next_at` is
    when its queue is looked at next.
    """

    __tablename__ = "hook_endpoints"
    __table_args__ = (
        Index("hook_endpoints_next", "next_at"),
        Index("hook_endpoints_account", "account_sid", "endpoint"),
        Index(
            "hook_endpoints_paused",
            "paused_at",
            postgresql_where=text("paused_at IS NOT NULL"),
        ),
    )

    endpoint: str = c.sid_key()
    account_sid: str = c.sid()
    url: str
    next_at: datetime = c.moment()
    paused_until: datetime | None = c.moment(null=True)
    paused_at: datetime | None = c.moment(null=True)
    pauses: int = c.number()
    probe: str | None = c.sid(null=True)
    reason: str | None = None


class CarrierPause(SQLModel, table=True):
    """A carrier that fails and is left alone until `paused_until`; then one send (`probe`) is let
    through, and the row goes when that is answered. `pauses` counts those in a row."""

    __tablename__ = "carrier_pauses"

    carrier: str = c.sid_key()
    reason: str
    pauses: int
    paused_at: datetime = c.moment()
    paused_until: datetime = c.moment()
    probe: str | None = c.sid(null=True)


class _Item(SQLModel):
    """A thing to do for somebody outside: a delivery (receipt) or a webhook (event, url, params).

    `attempts` counts those started. `started_at` is set, committed, before an attempt and cleared
    when it is settled: a row that is claimed with it set had an attempt whose outcome is unknown.
    `token` is the idempotency token, the same in every attempt. The delivery of a group text is one
    send for all receipts of its message: `receipt_sid` is the first, `params` name whom it goes to.
    That of a message in several parts is about one after the other: `part` in `params` says which.
    Before a template goes in the place of a message, `instead` says what it replaces.
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
        Index("dead_letters_listing", "kind", "account_sid", "seq"),
        Index(
            "dead_letters_endpoint",
            "endpoint",
            "seq",
            postgresql_where=text("endpoint IS NOT NULL"),
        ),
        Index("dead_letters_age", "died_at"),
    )

    seq: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    reason: str
    died_at: datetime = c.moment()
    endpoint: str | None = c.sid(null=True)


class Attempt(SQLModel, table=True):
    """The log of attempts: what was tried, when, how it ended and what was said; `next_at` is when
    it is tried again. Of an SMS also how many `segments` it took in which `encoding`. Of webhooks
    also whose they are, where they led, and `exchange`: the method, the parameters as far as they
    may be kept, and what took how many milliseconds.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        Index("attempts_message", "message_sid"),
        Index("attempts_conversation", "conversation_sid", "id"),
        Index(
            "attempts_account",
            "account_sid",
            "outcome",
            "id",
            postgresql_where=text("account_sid IS NOT NULL"),
        ),
        Index(
            "attempts_endpoint",
            "endpoint",
            "outcome",
            "id",
            postgresql_where=text("endpoint IS NOT NULL"),
        ),
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
    segments: int | None = None
    encoding: str | None = None
    started_at: datetime = c.moment()
    finished_at: datetime = c.moment()
    account_sid: str | None = c.sid(null=True)
    endpoint: str | None = c.sid(null=True)
    exchange: dict[str, Any] | None = c.document(null=True)
    next_at: datetime | None = c.moment(null=True)
