"""What walks the road, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.convoy import Convoy
from app.model import Media, Message
from app.model.traffic import Inbound

Outcome = Literal["joined", "created", "forwarded", "dropped", "duplicate"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An inbound message at its door, for one account."""

    account_sid: str
    inbound: Inbound


@dataclass(frozen=True, slots=True)
class Taken:
    """Where an arrival went; `autocreate` is the type of the rule when it created."""

    outcome: Outcome
    rule: str
    reason: str | None = None
    conversation_sid: str | None = None
    message_sid: str | None = None
    autocreate: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that the API posts: it joins the road after the binding step. `tell` says whether
    post-events fire (REST changes are told only when asked for)."""

    account_sid: str
    service_sid: str
    conversation_sid: str
    author: str
    body: str | None = None
    subject: str | None = None
    attributes: str = "{}"
    content_sid: str | None = None
    content_variables: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None
    source: str = "API"
    tell: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """The message that a draft became; `statuses` are those of its receipts."""

    message: Message
    media: tuple[Media, ...]
    statuses: tuple[str, ...]


Road = Convoy[Arrival | Draft, Taken | Posted]
