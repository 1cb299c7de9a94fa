"""What a carrier is: the contract that every file in this folder fulfils, checked by mypy and by
one conformance suite."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar, runtime_checkable

import aiohttp
from aiohttp import web
from multidict import MultiMapping
from pydantic import BaseModel

from app.clock import Clock
from app.model.traffic import (
    Accepted,
    ApprovalRequest,
    ApprovalStatus,
    ContentTemplate,
    Inbound,
    MediaPart,
    Outgoing,
    Review,
    SignatureResult,
    Status,
)
from app.values import value


@value(frozen=True, slots=True)
class Request:
    """One HTTP request at a carrier's door. `url` is the public one that the carrier called (built
    from the configured public URL, with its query), `headers` find a name in either case, `form`
    holds the decoded form parameters in their order (empty for other bodies), `body` the raw
    bytes."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: MultiMapping[str]
    form: MultiMapping[str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the door says to the carrier once everything is committed."""

    body: str
    content_type: str


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is being read: how many bytes it has (None: that is not known), and they."""

    size: int | None
    chunks: AsyncIterator[bytes]


Opener = Callable[[MediaPart], AbstractAsyncContextManager[OpenFile]]
"""Opens a file of an outgoing message. Raises Temporary or Permanent, also while it is read."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a carrier may use: a client for outgoing HTTP, the clock, and, for those that bring
    files along instead of naming their URLs, what opens the files of the message."""

    http: aiohttp.ClientSession
    clock: Clock
    open_file: Opener | None = None


class Junk(Exception):
    """The request is not what this carrier sends; the door answers 400 with this text.

    The text names the field and never repeats what was in it.
    """


class Carrier(Protocol):
    """One configured carrier. `name` is its key in the YAML; `channels` are those it can carry.

    With `one_door`, messages and statuses may come by either of its two URLs: each parser then
    passes over what is for the other. `can_look_up` says whether `look_up` can settle an unknown
    outcome; `look_up_after_s` how long after the attempt it can be trusted or, without one, how
    long a status that names the send may take until `on_unknown` decides. `groups` says whether it
    sends group texts: `Outgoing.others`, and statuses that say whom they are about. `patience_s`
    is how long the provider waits for a door's answer, as it documents (None: it does not say).
    """

    name: str
    kind: str
    channels: frozenset[str]
    one_door: bool
    can_look_up: bool
    groups: bool
    look_up_after_s: float
    patience_s: float | None

    def verify(self, request: Request) -> SignatureResult:
        """`valid`, `invalid`, or `unchecked` when nothing is configured to check with."""
        ...

    def parse_inbound(self, request: Request) -> Sequence[Inbound]:
        """The messages in this request; raises Junk. Their `signature` is left for the door."""
        ...

    def parse_status(self, request: Request) -> Sequence[Status]:
        """The delivery statuses in this request; raises Junk. A status word that this carrier's
        table does not know is no status: the answer is empty."""
        ...

    def answer(self, messages: Sequence[Inbound]) -> Answer:
        """What a 2xx answer to an inbound says."""
        ...

    async def send(self, outgoing: Outgoing, context: Context) -> Accepted:
        """Hand one message over; raises Temporary, Permanent or Unknown."""
        ...

    async def look_up(self, outgoing: Outgoing, context: Context) -> Sequence[Accepted] | None:
        """What became of a send whose answer was lost: everything that may be it (nothing: it did
        not happen), or None when that cannot be told. Some may be other sends of ours with the
        same text: the caller knows those. Raises Temporary when the carrier could not be asked
        now: nothing is settled, ask again later."""
        ...


@runtime_checkable
class Challenged(Protocol):
    """A carrier that asks a door, by GET, to prove that it is ours before it uses it."""

    def challenge(self, request: Request) -> Answer | None:
        """The proof; None when the question is not for us."""
        ...


@runtime_checkable
class Approving(Protocol):
    """A carrier that tells what became of templates which were submitted for approval."""

    def parse_approvals(self, request: Request) -> Sequence[ApprovalStatus]:
        """The decisions in this request; raises Junk."""
        ...


@runtime_checkable
class Reviewing(Protocol):
    """A carrier that can be asked what WhatsApp thinks of a template, and hands it in. `names` is
    what it calls the template."""

    def can_review(self, names: Mapping[str, str]) -> bool:
        """Whether it can be asked about this one."""
        ...

    def misnamed(self, names: Mapping[str, str]) -> str | None:
        """Which of these no template there can be called, and why; None: none."""
        ...

    async def review(self, names: Mapping[str, str], context: Context) -> Review:
        """What WhatsApp thinks of it. Raises Unlisted."""
        ...

    async def submit(
        self, names: Mapping[str, str], request: ApprovalRequest, context: Context
    ) -> Review:
        """Hand it in, and what came of that at once. Raises Unlisted."""
        ...


@runtime_checkable
class Templating(Protocol):
    """A carrier that sends what WhatsApp approved as the template that it is; what any other is
    given goes as words, which nobody gets once their session is over."""

    def knows(self, template: ContentTemplate) -> bool:
        """Whether it can send this one: it has a name for it, where it needs one."""
        ...


@dataclass(frozen=True, slots=True)
class MediaSource:
    """Where a file is to be fetched now, and the headers that open it."""

    url: str
    headers: Mapping[str, str]


@runtime_checkable
class MediaKeeper(Protocol):
    """A carrier whose files are not to be had at `MediaPart.url` just so."""

    async def media_source(self, url: str, context: Context) -> MediaSource:
        """Where the file that an inbound named `url` is now. Raises Temporary or Permanent."""
        ...


class Unlisted(Exception):
    """A carrier's list, or what it knows of a template, could not be read now. outcome: throttled,
    refused (who asks), unreachable, garbage (no list at all), expired (the position means nothing
    any more). The text may be logged.
    """

    def __init__(self, outcome: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.outcome, self.message, self.retry_after_s = outcome, message, retry_after_s


@dataclass(frozen=True, slots=True)
class Sent:
    """One of our own messages in a carrier's list, and its status by now."""

    status: Status
    address: str
    proxy_address: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of what a carrier remembers, newest first. Its inbounds are `recovered` and have a
    `sent_at`; `following` is the position of the next page, None behind the last one; `junk` is how
    many entries could not be read."""

    inbounds: tuple[Inbound, ...]
    sent: tuple[Sent, ...]
    following: str | None
    junk: int = 0


@runtime_checkable
class Listing(Protocol):
    """A carrier whose list of messages can be read, when `lists`: what its webhooks lost."""

    name: str
    lists: bool

    async def listed(self, since: datetime, position: str | None, context: Context) -> Listed:
        """The page at this position (None: the first) of everything that came and went since then,
        and perhaps of more. What is added meanwhile hides nothing. Raises Unlisted."""
        ...

    async def whole(self, found: Inbound, context: Context) -> Inbound:
        """An inbound of a page with its files. Raises Unlisted."""
        ...


@dataclass(frozen=True, slots=True)
class MailPort:
    """Where mail servers bring mails themselves, by SMTP or LMTP. With `tls` they may, and with
    `tls_required` have to, begin with STARTTLS."""

    host: str
    port: int
    lmtp: bool
    connections_max: int
    tls: ssl.SSLContext | None = None
    tls_required: bool = False


@runtime_checkable
class Mailing(Protocol):
    """A carrier of mails: they bring their files along, so a request is large. `body_bytes_max` is
    how large; `per_minute_max` how many mails of one pair are posted in a minute."""

    body_bytes_max: int
    per_minute_max: int
    mail_port: MailPort | None

    def recipient(self, address: str) -> str:
        """The address of ours that this one, of an envelope, stands for. Raises ValueError."""
        ...

    def read_mail(
        self, raw: bytes, sender: str, recipients: Sequence[str]
    ) -> tuple[Sequence[Inbound], Sequence[Status]]:
        """The messages in a mail with this envelope, and what it reports; raises Junk."""
        ...

    def admits(self, request: Request) -> bool:
        """Whether a request with this head may bring its body: of a stranger's none is read."""
        ...


@runtime_checkable
class Hosted(Protocol):
    """A carrier that lives in our own process (the sandbox without a URL). The service serves its
    pages under `/carriers/{name}/world/` and enters `living` for as long as it runs."""

    def pages(self) -> web.Application:
        """What is served under `/carriers/{name}/world/`."""
        ...

    def living(self, inbound_url: str, via: str | None) -> AbstractAsyncContextManager[None]:
        """Alive while entered. `inbound_url` is this carrier's inbound door under our public URL;
        `via` the origin (`http://127.0.0.1:8080`) where our own process reaches its doors, None
        when the public URL leads there."""
        ...


OptionsT = TypeVar("OptionsT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Kind(Generic[OptionsT]):
    """What a module of this folder declares as `KIND`, and is discovered by: the word for `kind:`
    in the YAML, the model of its further keys, and what makes a carrier (name, options) of them.
    Since `build` must give a Carrier, mypy holds every kind against the contract here."""

    name: str
    options: type[OptionsT]
    build: Callable[[str, OptionsT], Carrier]
