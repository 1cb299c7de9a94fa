"""Meta: WhatsApp (Cloud API), Messenger and Instagram, straight from Meta, with nobody in between.

https://developers.facebook.com/docs/whatsapp/cloud-api and .../docs/messenger-platform. One app at
Meta is one carrier: all of its phone numbers and pages call the same door. Messenger wants an
answer within 5 s (.../messenger-platform/webhooks); what is not answered 200 comes again.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from app.carriers import (
    meta_document,
    meta_graph,
    meta_signature,
    meta_templates,
    rotation,
    whatsapp_templates,
)
from app.carriers.contract import Answer, Context, Junk, Kind, MediaSource, Request
from app.carriers.meta_messenger import Reader as MessengerReader
from app.carriers.meta_whatsapp import Reader as WhatsAppReader
from app.channels.address import masked
from app.errors import Permanent, Temporary
from app.model.traffic import (
    Accepted,
    ApprovalStatus,
    ContentTemplate,
    Inbound,
    Outgoing,
    SignatureResult,
    Status,
)
from app.settings.models import Model
from app.settings.types import PLAIN, Address, PublicUrl, Secret

CHANNELS = frozenset({"whatsapp", "messenger", "instagram"})
CHANNEL_UNKNOWN = 63005


def _whatsapp(address: str) -> str:
    number = address.removeprefix("whatsapp:")
    if not number.startswith("+"):
        raise PydanticCustomError(PLAIN, "should be a phone number like +15005550006")
    return f"whatsapp:{number}"


def _distinct(numbers: dict[str, str]) -> dict[str, str]:
    if len({*numbers.values()}) < len(numbers):
        raise PydanticCustomError(PLAIN, "one number has two phone number ids")
    return numbers


PhoneNumber = Annotated[Address, AfterValidator(_whatsapp)]
MetaId = Annotated[str, Field(pattern=r"^[0-9]{1,32}$")]
PhoneNumbers = Annotated[dict[MetaId, PhoneNumber], AfterValidator(_distinct)]


class Options(Model):
    """The keys of `kind: meta` in the YAML.

    `app_secret` signs what Meta says to us: one or, while it is changed, a list. `verify_token` is
    a word of yours that Meta repeats when the door is registered. `access_token` is that of a
    system user: it sends for WhatsApp and opens files. `phone_numbers` says which number is behind
    each phone number id (Meta's URLs have the id, your senders the number); `pages` gives the
    access token of each Facebook page, `instagram` that of the page behind each Instagram account.
    `wait_for_status_s`: how long a send whose answer was lost
    waits for a status, which names it, before `on_unknown` decides.
    """

    carries: ClassVar[frozenset[str]] = CHANNELS
    app_secret: rotation.Secrets
    verify_token: Secret
    access_token: Secret | None = None
    phone_numbers: PhoneNumbers = Field(default_factory=dict)
    pages: dict[MetaId, Secret] = Field(default_factory=dict)
    instagram: dict[MetaId, Secret] = Field(default_factory=dict)
    base_url: PublicUrl = "https://graph.facebook.com/v25.0"
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    wait_for_status_s: Annotated[float, Field(ge=0)] = 60.0


class Meta:
    """One app at Meta (contract.Challenged, contract.MediaKeeper and contract.Approving)."""

    kind = "meta"
    channels = CHANNELS
    one_door = True
    patience_s: float | None = 5.0
    can_look_up = False
    groups = False

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.look_up_after_s = options.wait_for_status_s
        self._secrets = rotation.plain(options.app_secret)
        self._verify_token = options.verify_token.get_secret_value()
        token = options.access_token
        self._access_token = token.get_secret_value() if token else None
        self._phone_number_ids = {ours: name for name, ours in options.phone_numbers.items()}
        self._pages = {
            f"messenger:{page}": token.get_secret_value() for page, token in options.pages.items()
        }
        self._accounts = {
            f"instagram:{one}": token.get_secret_value() for one, token in options.instagram.items()
        }
        self._graph = meta_graph.Graph(options.base_url, options.timeout_s)
        self._readers: dict[str, WhatsAppReader | MessengerReader] = {
            "whatsapp_business_account": WhatsAppReader(
                name, options.phone_numbers, options.base_url
            ),
            "page": MessengerReader(name),
            "instagram": MessengerReader(name, "instagram"),
        }

    def verify(self, request: Request) -> SignatureResult:
        """Whether one of the app's secrets signed the body."""
        given = request.headers.get(meta_signature.HEADER, "")
        valid = meta_signature.verify(request.body, given, self._secrets)
        return "valid" if valid else "invalid"

    def challenge(self, request: Request) -> Answer | None:
        """Meta's own words, when it knows the verify token."""
        query = request.query
        given = query.get("hub.verify_token", "").encode("utf-8", "replace")
        known = hmac.compare_digest(self._verify_token.encode(), given)
        word = query.get("hub.challenge", "")
        if not known or query.get("hub.mode") != "subscribe" or not word:
            return None
        return Answer(word, "text/plain")

    def parse_inbound(self, request: Request) -> Sequence[Inbound]:
        """The messages in this request, each once; raises Junk."""
        found: dict[str, Inbound] = {}
        for one in self._told(request):
            if isinstance(one, Inbound):
                found.setdefault(one.external_id, one)
        return list(found.values())

    def parse_status(self, request: Request) -> Sequence[Status]:
        """The statuses in this request; raises Junk."""
        return [one for one in self._told(request) if isinstance(one, Status)]

    def answer(self, messages: Sequence[Inbound]) -> Answer:
        """Nothing: Meta only looks at the status."""
        return Answer("{}", "application/json")

    def knows(self, template: ContentTemplate) -> bool:
        """Whether WhatsApp's name for it is known (contract.Templating)."""
        return whatsapp_templates.called(template, self.name) is not None

    async def send(self, outgoing: Outgoing, context: Context) -> Accepted:
        """Hand one message over; raises Temporary, Permanent or Unknown."""
        if outgoing.channel == "whatsapp":
            return await self._send_whatsapp(outgoing, context)
        if outgoing.channel == "messenger":
            return await self._send_messenger(outgoing, context)
        if outgoing.channel == "instagram":
            return await self._send_instagram(outgoing, context)
        raise Permanent(f"Meta does not carry {outgoing.channel}", CHANNEL_UNKNOWN)

    async def look_up(self, outgoing: Outgoing, context: Context) -> Sequence[Accepted] | None:
        """Meta lists no sends: it cannot be told."""
        return None

    async def media_source(self, url: str, context: Context) -> MediaSource:
        """Where the file is for the next five minutes; raises Temporary or Permanent."""
        return await meta_graph.media_source(self._graph, self._access_token, url, context)

    async def _send_whatsapp(self, outgoing: Outgoing, context: Context) -> Accepted:
        path, token = self._phone_number_ids.get(outgoing.proxy_address), self._access_token
        if path is None or token is None:
            raise _unset("phone_numbers and access_token", outgoing)
        body = meta_graph.whatsapp_message(outgoing, self.name)
        reply = await meta_graph.send(self._graph, path, token, body, context)
        return meta_graph.whatsapp_accepted(reply, context.clock.now())

    async def _send_messenger(self, outgoing: Outgoing, context: Context) -> Accepted:
        token = self._pages.get(outgoing.proxy_address)
        if token is None:
            raise _unset("pages", outgoing)
        page = outgoing.proxy_address.removeprefix("messenger:")
        body = meta_graph.messenger_message(outgoing)
        reply = await meta_graph.send(self._graph, page, token, body, context)
        return meta_graph.messenger_accepted(reply, context.clock.now())

    async def _send_instagram(self, outgoing: Outgoing, context: Context) -> Accepted:
        """The account's page sends for it: whose that is, its token says."""
        token = self._accounts.get(outgoing.proxy_address)
        if token is None:
            raise _unset("instagram", outgoing)
        body = meta_graph.instagram_message(outgoing)
        reply = await meta_graph.send(self._graph, "me", token, body, context)
        return meta_graph.messenger_accepted(reply, context.clock.now())

    def parse_approvals(self, request: Request) -> Sequence[ApprovalStatus]:
        """What WhatsApp decided on templates (contract.Approving); raises Junk."""
        document = meta_document.read(request.body)
        entries = meta_document.rows(document, "entry")
        return [one for entry in entries for one in meta_templates.approvals(entry)]

    def _told(self, request: Request) -> list[Inbound | Status]:
        """Everything in this request, in its order. What cannot be read is passed over when there
        is anything else, so that it does not hold that up for ever; raises Junk when there is
        not."""
        document = meta_document.read(request.body)
        reader = self._readers.get(meta_document.text(document, "object"))
        if reader is None:
            raise Junk(f"object is none of {', '.join(self._readers)}")
        if not isinstance(document.get("entry"), list):
            raise Junk("entry is missing")
        entries = meta_document.rows(document, "entry")
        found = [one for entry in entries for one in reader.read(entry)]
        told = [one for one in found if not isinstance(one, Junk)]
        if found and not told:
            raise next(one for one in found if isinstance(one, Junk))
        return told


KIND = Kind("meta", Options, Meta)


def _unset(options: str, outgoing: Outgoing) -> Temporary:
    """Not about the message: the operator's to mend, and the message must not die of it."""
    return Temporary(f"{options} of the carrier do not know {masked(outgoing.proxy_address)}")
