"""What walks the road, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from app.convoy import Convoy
from app.errors import Conflict
from app.model import Media, Message
from app.model.traffic import ContentTemplate, Inbound
from app.store.idempotency import Key
from app.store.outbox import Claimed
from app.store.running import Keeping
from app.values import value
from app.webhooks.before import Verdict

Outcome = Literal["joined", "created", "forwarded", "dropped", "duplicate", "asked"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of the question about an inbound that was set aside. `place` is where it waited;
    `asked` what was asked (event, and where it would happen), None when nobody wants to know any
    more. `again_s`: the question could not be put, for reasons of ours; in so many seconds again.
    """

    place: Claimed
    asked: tuple[str, str] | None = None
    verdict: Verdict | None = None
    again_s: float | None = None

    @property
    def outcome(self) -> str:
        """published, dropped, or postponed: for the log of attempts."""
        if self.again_s is not None:
            return "postponed"
        dropped = self.verdict is not None and self.verdict.outcome in ("closed", "rejected")
        return "dropped" if dropped else "published"

    def due(self, now: datetime) -> datetime | None:
        """When the question is put again; None: it is answered."""
        return None if self.again_s is None else now + timedelta(seconds=self.again_s)


@value(frozen=True, slots=True)
class Arrival:
    """An inbound message at its door, for one account, or on its way again with an answer."""

    account_sid: str
    inbound: Inbound
    answered: Answered | None = None


@value(frozen=True, slots=True)
class Taken:
    """Where an arrival went; `autocreate` is the type of the rule when it created."""

    outcome: Outcome
    rule: str
    reason: str | None = None
    conversation_sid: str | None = None
    message_sid: str | None = None
    autocreate: str | None = None


@dataclass(frozen=True, slots=True)
class Keyed:
    """The idempotency key of a draft, and the status and words in which it is answered when it has
    become a message; both are kept with the message."""

    key: Key
    status: int
    word: Callable[[Posted], str]


class Repeated(Conflict):
    """The draft's key was used before: its answer is kept, and nothing happened now."""


@value(frozen=True, slots=True)
class Draft:
    """A message that the API posts: it joins the road after the binding step. `tell` says whether
    post-events fire (REST changes are told only when asked for). `template` is what it was made of,
    where it names a content, `client` the identity that posts it by an SDK. `flow` is where the
    flow stands that says it, written with it."""

    account_sid: str
    service_sid: str
    conversation_sid: str
    author: str
    body: str | None = None
    subject: str | None = None
    attributes: str = "{}"
    content_sid: str | None = None
    content_variables: str | None = None
    template: ContentTemplate | None = None
    media_sids: tuple[str, ...] = ()
    media_urls: tuple[str, ...] = ()
    date_created: datetime | None = None
    date_updated: datetime | None = None
    source: str = "API"
    tell: bool = False
    keyed: Keyed | None = None
    flow: Keeping | None = None
    client: str | None = None


@value(frozen=True, slots=True)
class Posted:
    """The message that a draft became; `statuses` are those of its receipts."""

    message: Message
    media: tuple[Media, ...]
    statuses: tuple[str, ...]


Road = Convoy[Arrival | Draft, Taken | Posted]
