"""Twilio Programmable Messaging: SMS, MMS, WhatsApp, Messenger and RCS by its forms and REST API.

https://www.twilio.com/docs/messaging. Carriers that speak the same dialect (SignalWire) work with
their own `base_url`. A number in a subaccount that must also send is one more carrier in the YAML.
Twilio waits 15 s for an answer (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides)
and comes again after a 5xx only where the webhook's URL asks for it; app/inbound/gaps.py takes in
what is lost so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, ClassVar

from multidict import MultiMapping
from pydantic import Field

from app.carriers import (
    rotation,
    signature,
    twilio_contents,
    twilio_form,
    twilio_list,
    twilio_messages,
)
from app.carriers.contract import Answer, Context, Kind, Listed, MediaSource, Request
from app.model.traffic import (
    Accepted,
    ApprovalRequest,
    ContentTemplate,
    Inbound,
    Outgoing,
    Review,
    SignatureResult,
    Status,
)
from app.settings.models import Model
from app.settings.types import AccountSid, MessagingServiceSid, PublicUrl

CHANNELS = frozenset({"sms", "mms", "whatsapp", "messenger", "rcs"})
ACCOUNT_OF = re.compile("/Accounts/(AC[0-9a-f]{32})/")
NOTHING_TO_SAY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


class Options(Model):
    """The keys of `kind: twilio` in the YAML.

    `auth_token` is one token or, while tokens are rotated, a list: a request may be signed with any
    of them, calls use the first. `accounts` gives the tokens of subaccounts whose webhooks come to
    the same door. `look_up_after_s`: how long Twilio's list may take to show what was just sent.
    `reconcile`: whether that list is read for what its webhooks lost. `content_url`: where it is
    asked what WhatsApp thinks of templates; without it at Twilio, and nowhere with another
    `base_url`.
    """

    carries: ClassVar[frozenset[str]] = CHANNELS
    account_sid: AccountSid
    auth_token: rotation.Secrets
    accounts: dict[AccountSid, rotation.Secrets] = Field(default_factory=dict)
    base_url: PublicUrl = twilio_contents.API_URL
    content_url: PublicUrl | None = None
    messaging_service_sid: MessagingServiceSid | None = None
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    look_up_after_s: Annotated[float, Field(ge=0)] = 30.0
    reconcile: bool = True


class Twilio:
    """One Twilio account (with its subaccounts, inbound)."""

    kind = "twilio"
    channels = CHANNELS
    one_door = False
    patience_s: float | None = 15.0
    can_look_up = True
    groups = False  # its Conversations can, its Messages cannot

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.look_up_after_s = options.look_up_after_s
        self.lists = options.reconcile
        self._content_url = twilio_contents.content_url(options.base_url, options.content_url)
        self._tokens = {options.account_sid: rotation.plain(options.auth_token)}
        for account_sid, tokens in options.accounts.items():
            known = self._tokens.get(account_sid, ())
            self._tokens[account_sid] = known + rotation.plain(tokens)
        self._line = twilio_messages.Line(
            carrier=name,
            base_url=options.base_url,
            account_sid=options.account_sid,
            auth_token=self._tokens[options.account_sid][0],
            messaging_service_sid=options.messaging_service_sid,
            timeout_s=options.timeout_s,
        )

    def verify(self, request: Request) -> SignatureResult:
        """Whether a token of the account that the request names signed it. The account is the
        AccountSid parameter, never where the request came in; an account that the YAML does not
        know is invalid."""
        given = request.headers.get(signature.HEADER, "")
        if request.form or not request.body:
            account = _parameters(request).get("AccountSid", "")
            tokens = self._tokens.get(account, ())
            valid = signature.verify(request.url, request.form, given, tokens)
        else:
            everybody = [token for tokens in self._tokens.values() for token in tokens]
            valid = signature.verify_json(request.url, request.body, given, everybody)
        return "valid" if valid else "invalid"

    def parse_inbound(self, request: Request) -> Sequence[Inbound]:
        """The one message in an inbound webhook; raises Junk."""
        return [twilio_form.inbound(self.name, _parameters(request))]

    def parse_status(self, request: Request) -> Sequence[Status]:
        """The status in a StatusCallback; empty for words that are no status; raises Junk."""
        status = twilio_form.status(self.name, _parameters(request), request.query.get("receipt"))
        return [] if status is None else [status]

    def answer(self, messages: Sequence[Inbound]) -> Answer:
        """Empty TwiML: we answer by sending, not in the webhook's answer."""
        return Answer(NOTHING_TO_SAY, "text/xml")

    async def send(self, outgoing: Outgoing, context: Context) -> Accepted:
        """Create a Message resource; raises Temporary, Permanent or Unknown."""
        return await twilio_messages.create(self._line, outgoing, context)

    def knows(self, template: ContentTemplate) -> bool:
        """Whether the account there has it (contract.Templating)."""
        return twilio_messages.content_sid(template.names.get(self.name, {})) is not None

    def can_review(self, names: Mapping[str, str]) -> bool:
        """Whether the account there has it (contract.Reviewing)."""
        return self._content_url is not None and twilio_messages.content_sid(names) is not None

    def misnamed(self, names: Mapping[str, str]) -> str | None:
        """A SID that is no ContentSid (contract.Reviewing)."""
        given = "sid" in names and twilio_messages.content_sid(names) is None
        return "sid is not HX and 32 hexadecimal digits, as at Twilio" if given else None

    async def review(self, names: Mapping[str, str], context: Context) -> Review:
        """What WhatsApp thinks of it; raises Unlisted."""
        url, sid = self._content_url, twilio_messages.content_sid(names)
        assert url is not None and sid is not None
        return await twilio_contents.review(self._line, url, sid, context)

    async def submit(
        self, names: Mapping[str, str], request: ApprovalRequest, context: Context
    ) -> Review:
        """Hand it in for approval; raises Unlisted."""
        url, sid = self._content_url, twilio_messages.content_sid(names)
        assert url is not None and sid is not None
        return await twilio_contents.submit(self._line, url, sid, request, context)

    async def look_up(self, outgoing: Outgoing, context: Context) -> Sequence[Accepted] | None:
        """Ask the Messages list for what may be this send; raises Temporary."""
        return await twilio_messages.find(self._line, outgoing, context)

    async def media_source(self, url: str, context: Context) -> MediaSource:
        """Files of the API are opened by the login of the account that their URL names (the main
        one opens those of its subaccounts too); nobody else gets to see it."""
        if not url.startswith(f"{self._line.base_url}/"):
            return MediaSource(url, {})
        named = ACCOUNT_OF.search(url)
        line = self._line_of(named[1] if named is not None else "")
        return MediaSource(url, {"Authorization": line.headers["Authorization"]})

    async def listed(self, since: datetime, position: str | None, context: Context) -> Listed:
        """A page of the Messages list, of the account and then its subaccounts; raises Unlisted."""
        lines = [self._line_of(account_sid) for account_sid in self._tokens]
        return await twilio_list.page(lines, since, position, context)

    async def whole(self, found: Inbound, context: Context) -> Inbound:
        """With the files in the message's Media list; raises Unlisted."""
        line = self._line_of(found.form.get("AccountSid", ""))
        return await twilio_list.with_media(line, found, context)

    def _line_of(self, account_sid: str) -> twilio_messages.Line:
        """How the API is asked for this account; one that we do not know is the main one's."""
        tokens = self._tokens.get(account_sid)
        if not tokens:
            return self._line
        return replace(self._line, account_sid=account_sid, auth_token=tokens[0])


KIND = Kind("twilio", Options, Twilio)


def _parameters(request: Request) -> MultiMapping[str]:
    """A webhook set to GET has its parameters in the query."""
    return request.query if request.method == "GET" else request.form
