"""How far a carrier's list of messages has been compared with the inbox, and what was missing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from app.model import columns as c

TRIES_MAX = 5
"""A find that breaks the road so often is passed over; it stays for operators to look at."""


class GapLook(SQLModel, table=True):
    """One carrier. What it dates before `complete_until` has been compared; what it dates before
    `since`, when we first met it, is not ours to take in.

    While a look is under way it has a window, and a `position` in the carrier's own words (None: at
    the beginning); once it is `read`, what was missing is taken in. `lease` is the fence: who looks
    must name it, and others may take it up after `leased_until`. `pages` and `failures` count those
    of this look and those in a row; `error` is the last one. `recovered` counts for ever.
    """

    __tablename__ = "gap_looks"

    carrier: str = Field(primary_key=True)
    since: datetime = c.moment()
    complete_until: datetime = c.moment()
    due: datetime = c.moment()
    lease: str | None = None
    leased_until: datetime | None = c.moment(null=True)
    window_from: datetime | None = c.moment(null=True)
    window_until: datetime | None = c.moment(null=True)
    position: str | None = None
    read: bool = c.flag(False)
    pages: int = c.number()
    failures: int = c.number()
    recovered: int = c.number(big=True)
    error: str | None = None


class GapFind(SQLModel, table=True):
    """A message that a carrier lists and that never came; it waits to be taken in, in the order of
    `sent_at`, and of those at one moment, in the order of `place` (the last of the list is the
    first). `tries` counts walks that broke; after `TRIES_MAX` it waits no more."""

    __tablename__ = "gap_finds"
    __table_args__ = (
        Index(
            "gap_finds_order",
            "carrier",
            "sent_at",
            "place",
            postgresql_where=text(f"tries < {TRIES_MAX}"),
        ),
        Index("gap_finds_age", "sent_at", postgresql_where=text(f"tries >= {TRIES_MAX}")),
    )

    carrier: str = Field(primary_key=True)
    external_id: str = Field(primary_key=True)
    sent_at: datetime = c.moment()
    place: int = c.number()
    payload: dict[str, Any] = c.document()
    tries: int = c.number()
