"""Vonage Messages API v1: SMS, MMS, WhatsApp, Messenger and RCS.

https://developer.vonage.com/en/messages/overview. Give the application (Messages capability,
webhooks v1) `/carriers/{name}/inbound` and `/carriers/{name}/status`, and link the numbers to it;
then its webhooks are signed. Received files can be fetched for 48 hours; with "secure inbound
media" only with a token of the application, which we show to Vonage alone. It waits 15 s for an
answer; what is answered 5xx comes again, for 24 hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from app.carriers import vonage_messages, vonage_token, vonage_webhooks, whatsapp_templates
from app.carriers.contract import Answer, Context, Kind, MediaSource, Request
from app.carriers.options import Secrets, matching, plainly
from app.clock import Clock
from app.model.traffic import (
    Accepted,
    ContentTemplate,
    Inbound,
    Outgoing,
    SignatureResult,
    Status,
)
from app.settings.models import Model
from app.settings.types import PublicUrl

CHANNELS = frozenset({"sms", "mms", "whatsapp", "messenger", "rcs"})
# Where Vonage keeps files, besides the host of `base_url`.
MEDIA_HOSTS = (".nexmo.com", ".vonage.com")


def _key(secret: SecretStr) -> None:
    vonage_token.private_key(secret.get_secret_value())


Pem = Annotated[SecretStr, plainly(_key)]
Uuid = Annotated[
    str,
    matching("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "should be an id like a UUID"),
]


class Options(Model):
    """The keys of `kind: vonage` in the YAML.

    `private_key` is the application's, in PEM (a mounted file, or a variable with `\\n` for line
    ends). `signature_secret` is the account's, or a list while it changes. `base_url` may be that
    of a region, like https://api-eu.vonage.com. `unknown_wait_s`: a send whose answer was lost is
    settled by its status; how long it is waited for before `on_unknown` decides. Vonage cannot be
    asked: its Reports are a product of their own, for another login.
    """

    carries: ClassVar[frozenset[str]] = CHANNELS
    application_id: Uuid
    private_key: Pem
    signature_secret: Secrets
    base_url: PublicUrl = "https://api.nexmo.com"
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    unknown_wait_s: Annotated[float, Field(ge=0)] = 30.0


class Vonage:
    """One Vonage application."""

    kind = "vonage"
    channels = CHANNELS
    one_door = False
    patience_s: float | None = 15.0
    can_look_up = False
    groups = False

    def __init__(self, name: str, options: Options, clock: Clock | None = None) -> None:
        self.name = name
        self.look_up_after_s = options.unknown_wait_s
        self._clock = clock or Clock()
        self._secrets = [secret.get_secret_value() for secret in options.signature_secret]
        key = vonage_token.private_key(options.private_key.get_secret_value())
        self._line = vonage_messages.Line(
            carrier=name,
            base_url=options.base_url,
            signer=vonage_token.Signer(options.application_id, key),
            timeout_s=options.timeout_s,
        )

    def verify(self, request: Request) -> SignatureResult:
        """Whether the token in the request is Vonage's, for this body."""
        header = request.headers.get("Authorization", "")
        good = vonage_token.signed(header, request.body, self._secrets, self._clock.now())
        return "valid" if good else "invalid"

    def parse_inbound(self, request: Request) -> Sequence[Inbound]:
        """The one message in an inbound webhook; raises Junk."""
        return [vonage_webhooks.inbound(self.name, request.body)]

    def parse_status(self, request: Request) -> Sequence[Status]:
        """The one status in a status webhook; empty for words that are no status; raises Junk."""
        receipt = request.query.get("receipt", "")
        status = vonage_webhooks.status(self.name, request.body, receipt)
        return [] if status is None else [status]

    def answer(self, messages: Sequence[Inbound]) -> Answer:
        """An empty JSON object; Vonage looks at the status only."""
        return Answer("{}", "application/json")

    async def send(self, outgoing: Outgoing, context: Context) -> Accepted:
        """Send one message; raises Temporary, Permanent or Unknown."""
        return await vonage_messages.create(self._line, outgoing, context)

    def knows(self, template: ContentTemplate) -> bool:
        """Whether WhatsApp's name for it is known (contract.Templating)."""
        return whatsapp_templates.called(template, self.name) is not None

    async def look_up(self, outgoing: Outgoing, context: Context) -> Sequence[Accepted] | None:
        """Vonage cannot tell."""
        return None

    async def media_source(self, url: str, context: Context) -> MediaSource:
        """A file of Vonage's is opened by a token; nobody else gets to see one."""
        if not self._is_vonages(url):
            return MediaSource(url, {})
        return MediaSource(url, self._line.login(context.clock.now()))

    def _is_vonages(self, url: str) -> bool:
        if url.startswith(f"{self._line.base_url}/"):
            return True
        try:
            parts = urlsplit(url)
            return parts.scheme == "https" and (parts.hostname or "").endswith(MEDIA_HOSTS)
        except ValueError:
            return False


KIND = Kind("vonage", Options, Vonage)
