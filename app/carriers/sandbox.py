"""The simulated carrier: for the demo, tests and benchmarks; no message leaves this machine.

Without `url` its World lives in our own process and is served under `/carriers/{name}/world/`; with
`url` it is one that runs elsewhere (`python -m app.carriers.sandbox_world`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Annotated, ClassVar

from aiohttp import web
from pydantic import Field, ValidationError

from app.carriers import posted, sandbox_http
from app.carriers.codes import TOO_MANY_REQUESTS, UNAVAILABLE
from app.carriers.contract import (
    Answer,
    Carrier,
    Context,
    Junk,
    Kind,
    Listed,
    Request,
    Unlisted,
)
from app.carriers.exchange import call
from app.carriers.sandbox_behaviour import Behaviour, Cut, Refusal
from app.carriers.sandbox_calls import TIMEOUT_S
from app.carriers.sandbox_wire import (
    HEADER,
    STATUSES,
    Media,
    Message,
    Report,
    SandboxDialect,
    Send,
    Texts,
    verify,
)
from app.carriers.sandbox_world import RECORDS_MAX, World
from app.channels.address import channel_of
from app.errors import NOT_LET_IN, CarrierError, Permanent, Temporary, Unknown
from app.model.parts import is_reference
from app.model.traffic import (
    Accepted,
    ContentTemplate,
    Inbound,
    Outgoing,
    SignatureResult,
    Status,
)
from app.settings.models import Model
from app.settings.types import PublicUrl, Secret

CHANNELS = frozenset({"sms", "mms", "whatsapp", "messenger", "instagram", "email", "rcs"})
BAD_MEDIA = 21620
TEXTS_MAX = 100
"""Texts in one page of the list."""


class Options(Model):
    """The keys of `kind: sandbox` in the YAML.

    `secret` signs what the World says to our doors and opens its pages. `look_up` false makes a
    carrier that cannot be asked what became of a send, `reconcile` false one whose list of texts is
    not read for what got lost. The rest is for the World in our own process.
    """

    carries: ClassVar[frozenset[str]] = CHANNELS
    url: PublicUrl | None = None
    secret: Secret | None = None
    look_up: bool = True
    reconcile: bool = True
    look_up_after_s: Annotated[float, Field(ge=0)] = 1.0
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    seed: int | None = None
    behaviour: Behaviour = Behaviour()
    records_max: Annotated[int, Field(gt=0)] = RECORDS_MAX


class _Sandbox:
    """What both kinds of sandbox share: the way in."""

    kind = "sandbox"
    channels = CHANNELS
    one_door = False
    patience_s: float | None = TIMEOUT_S
    groups = True

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.can_look_up = options.look_up
        self.lists = options.reconcile
        self.look_up_after_s = options.look_up_after_s
        self._timeout_s = options.timeout_s
        self._secret = options.secret.get_secret_value() if options.secret else None

    def verify(self, request: Request) -> SignatureResult:
        """Whether the secret signed it; `unchecked` without a secret."""
        if self._secret is None:
            return "unchecked"
        given = request.headers.get(HEADER, "")
        valid = verify(self._secret, request.url, request.body, given)
        return "valid" if valid else "invalid"

    def parse_inbound(self, request: Request) -> Sequence[Inbound]:
        """The one message in the request; raises Junk."""
        try:
            message = Message.model_validate_json(request.body)
        except ValidationError as error:
            raise Junk(_wrong(error)) from None
        return [_inbound(self.name, message)]

    def parse_status(self, request: Request) -> Sequence[Status]:
        """The one status in the request; raises Junk. The reference is the receipt's SID."""
        try:
            report = Report.model_validate_json(request.body)
        except ValidationError as error:
            raise Junk(_wrong(error)) from None
        if report.status not in STATUSES:
            return []
        receipt = request.query.get("receipt", report.reference)
        status = Status(
            carrier=self.name,
            external_id=report.id,
            status=STATUSES[report.status],
            error_code=report.error_code,
            error_message=report.error_message,
            receipt_sid=receipt if is_reference(receipt) else None,
            address=report.to or None if report.others else None,
        )
        return [status]

    def answer(self, messages: Sequence[Inbound]) -> Answer:
        """An empty JSON object."""
        return Answer("{}", "application/json")

    def knows(self, template: ContentTemplate) -> bool:
        """Any: simulated phones show its words (contract.Templating)."""
        return True

    async def whole(self, found: Inbound, context: Context) -> Inbound:
        """A text of the list has its files."""
        return found

    def _page(self, messages: Sequence[Message], since: datetime, more: bool) -> Listed:
        inbounds: list[Inbound] = []
        for message in messages:
            with suppress(Junk):
                found = _inbound(self.name, message)
                sent_at = found.sent_at or since
                marked = replace(found, recovered=True, signature="unchecked", sent_at=sent_at)
                inbounds.append(marked)
        older = any(one.sent_at is not None and one.sent_at < since for one in messages)
        following = messages[-1].id if more and not older else None
        return Listed(tuple(inbounds), (), following, len(messages) - len(inbounds))


class HomeSandbox(_Sandbox):
    """A sandbox whose World lives in our own process (contract.Hosted)."""

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self.world = World(
            dialect=SandboxDialect(self._secret),
            seed=options.seed,
            behaviour=options.behaviour,
            records_max=options.records_max,
        )

    def pages(self) -> web.Application:
        """The World's pages."""
        return sandbox_http.pages(self.world, self._secret)

    @asynccontextmanager
    async def living(self, inbound_url: str, via: str | None) -> AsyncIterator[None]:
        """The World is alive while this is entered."""
        self.world.inbound_url, self.world.via = inbound_url, via
        async with self.world:
            yield

    async def send(self, outgoing: Outgoing, context: Context) -> Accepted:
        """Give it to the World; raises Temporary, Permanent or Unknown."""
        try:
            async with asyncio.timeout(self._timeout_s):
                received = await self.world.take(_order(outgoing))
        except Refusal as refusal:
            raise _refused(refusal.code, refusal.permanent, refusal.retry_after_s) from None
        except (Cut, TimeoutError) as error:
            raise Unknown("the sandbox's answer was lost") from error
        return Accepted(received.external_id)

    async def look_up(self, outgoing: Outgoing, context: Context) -> Sequence[Accepted] | None:
        """Whether the World took it, by its reference."""
        found = self.world.records.referenced(outgoing.reference)
        return [Accepted(one.external_id) for one in found[-1:]]

    async def listed(self, since: datetime, position: str | None, context: Context) -> Listed:
        """A page of what phones wrote."""
        messages, more = self.world.records.texts(position, TEXTS_MAX)
        return self._page(messages, since, more)


class AwaySandbox(_Sandbox):
    """A sandbox whose World is called over HTTP."""

    def __init__(self, name: str, options: Options, url: str) -> None:
        super().__init__(name, options)
        self._url, self._texts_url = f"{url}/messages", f"{url}/texts"
        self._headers = {"Content-Type": "application/json"}
        if self._secret is not None:
            self._headers["Authorization"] = f"Bearer {self._secret}"

    async def send(self, outgoing: Outgoing, context: Context) -> Accepted:
        """POST it to the World; raises Temporary, Permanent or Unknown."""
        reply = await call(
            context,
            "POST",
            self._url,
            timeout_s=self._timeout_s,
            headers=self._headers,
            data=_order(outgoing).model_dump_json(by_alias=True).encode(),
        )
        said = reply.json()
        if reply.status == 201 and isinstance(said.get("id"), str):
            return Accepted(said["id"])
        if isinstance(said.get("code"), int):
            raise _refused(said["code"], reply.status == 400, said.get("retry_after_s"))
        if reply.status < 300 or reply.status >= 500:
            raise Unknown(f"the sandbox answered {reply.status} and no more")
        raise Temporary(f"the sandbox answered {reply.status}: {said.get('message', '')}")

    async def look_up(self, outgoing: Outgoing, context: Context) -> Sequence[Accepted] | None:
        """Ask the World whether it took it, by its reference; raises Temporary."""
        try:
            reply = await call(
                context,
                "GET",
                self._url,
                timeout_s=self._timeout_s,
                headers=self._headers,
                params={"reference": outgoing.reference},
            )
        except Unknown as lost:
            raise Temporary(lost.message, down=True) from lost
        found = reply.json().get("messages")
        if reply.status != 200 or not isinstance(found, list):
            raise Temporary(f"the sandbox answered {reply.status} to a look-up")
        return [Accepted(str(one["id"])) for one in found[-1:]]

    async def listed(self, since: datetime, position: str | None, context: Context) -> Listed:
        """A page of what phones wrote; raises Unlisted."""
        params = {"size": str(TEXTS_MAX)} | ({"after": position} if position else {})
        try:
            reply = await call(
                context,
                "GET",
                self._texts_url,
                timeout_s=self._timeout_s,
                headers=self._headers,
                params=params,
            )
        except CarrierError as error:
            raise Unlisted("unreachable", error.message) from error
        if reply.status != 200:
            outcome = "refused" if reply.status in (401, 403) else "unreachable"
            raise Unlisted(outcome, f"the sandbox answered {reply.status}")
        try:
            texts = Texts.model_validate_json(reply.body)
        except ValidationError as error:
            raise Unlisted("garbage", _wrong(error)) from None
        return self._page(texts.messages, since, texts.more)


def build(name: str, options: Options) -> Carrier:
    """A sandbox here, or one that is called at its URL."""
    if options.url is None:
        return HomeSandbox(name, options)
    return AwaySandbox(name, options, options.url)


KIND = Kind("sandbox", Options, build)


def _wrong(error: ValidationError) -> str:
    """Which keys are wrong and why, without what was in them."""
    return "; ".join(
        ".".join(map(str, part["loc"])) + ": " + part["msg"]
        for part in error.errors(include_input=False, include_url=False, include_context=False)
    )[:500]


def _inbound(carrier: str, message: Message) -> Inbound:
    channel = channel_of(message.sender)
    if channel != channel_of(message.to):
        raise Junk("from and to are addresses of different channels")
    if channel == "sms" and (message.media or message.others or message.channel == "mms"):
        channel = "mms"
    if message.channel not in (None, channel):
        raise Junk("channel is not that of the addresses")
    known = {message.sender, message.to}
    inbound = Inbound(
        carrier=carrier,
        external_id=message.id,
        channel=channel,
        address=message.sender,
        proxy_address=message.to,
        body=message.body or None,
        media=tuple(part.part() for part in message.media),
        others=tuple(other for other in dict.fromkeys(message.others) if other not in known),
        channel_metadata=message.metadata,
        sent_at=message.sent_at,
    )
    return posted.with_form(inbound)


def _order(outgoing: Outgoing) -> Send:
    """Raises Permanent for media that is no file under an http URL."""
    try:
        media = tuple(
            Media(
                url=part.url, content_type=part.content_type, size=part.size, filename=part.filename
            )
            for part in outgoing.media
        )
        return Send(
            reference=outgoing.reference,
            channel=outgoing.channel,
            sender=outgoing.proxy_address,
            to=outgoing.address,
            others=outgoing.others,
            body=outgoing.body,
            media=media,
            status_url=outgoing.status_url,
        )
    except ValidationError as error:
        raise Permanent(_wrong(error), BAD_MEDIA) from None


def _refused(code: int, permanent: bool, retry_after_s: float | None) -> Permanent | Temporary:
    text = f"the sandbox refuses with {code}"
    if permanent:
        return Permanent(text, code)
    down, throttled = code == UNAVAILABLE or code in NOT_LET_IN, code == TOO_MANY_REQUESTS
    return Temporary(text, code, retry_after_s, down=down, throttled=throttled)
