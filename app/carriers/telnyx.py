"""Telnyx: SMS and MMS by its v2 API and webhooks.

https://developers.telnyx.com/docs/messaging. Give the messaging profile one webhook URL (API v2):
`/carriers/{name}/inbound`; messages and delivery reports both come there. Telnyx waits 2 s for an
answer and tries three times (https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks),
so the database must be near. Links to received files work for 30 days, without a login.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Annotated, ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field

from app.carriers import telnyx_events, telnyx_messages
from app.carriers.contract import Answer, Context, Kind, Request
from app.carriers.options import SEVERAL, plainly
from app.clock import Clock
from app.model.traffic import Accepted, Inbound, Outgoing, SignatureResult, Status
from app.settings.models import Model
from app.settings.types import PublicUrl, Secret

SIGNATURE = "Telnyx-Signature-Ed25519"
TIMESTAMP = "Telnyx-Timestamp"
# How far Telnyx's clock and ours may be apart; what is older may be a replay.
TOLERANCE_S = 300
KEY_BYTES = 32


def _key(text: str) -> None:
    try:
        good = len(b64decode(text, validate=True)) == KEY_BYTES
    except ValueError:
        good = False
    if not good:
        raise ValueError("should be the public key that the portal shows: 32 bytes in base64")


PublicKeys = Annotated[tuple[Annotated[str, plainly(_key)], ...], SEVERAL, Field(min_length=1)]


class Options(Model):
    """The keys of `kind: telnyx` in the YAML.

    `public_key` is what the portal shows under API keys, or a list of several while they change.
    `messaging_profile_id` is needed for alphanumeric senders and number pools only.
    `unknown_wait_s`: a send whose answer was lost is settled by its delivery report; how long it is
    waited for before `on_unknown` decides. Telnyx finds messages by its own ids only and lists
    finished ones only, so it cannot be asked what became of a send.
    """

    carries: ClassVar[frozenset[str]] = telnyx_messages.CHANNELS
    api_key: Secret
    public_key: PublicKeys
    messaging_profile_id: Annotated[str, Field(min_length=1)] | None = None
    base_url: PublicUrl = "https://api.telnyx.com"
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    unknown_wait_s: Annotated[float, Field(ge=0)] = 30.0


class Telnyx:
    """One Telnyx account."""

    kind = "telnyx"
    channels = telnyx_messages.CHANNELS
    one_door = True
    patience_s: float | None = 2.0
    can_look_up = False
    groups = True

    def __init__(self, name: str, options: Options, clock: Clock | None = None) -> None:
        self.name = name
        self.look_up_after_s = options.unknown_wait_s
        self._clock = clock or Clock()
        self._keys = [
            Ed25519PublicKey.from_public_bytes(b64decode(text)) for text in options.public_key
        ]
        self._line = telnyx_messages.Line(
            base_url=options.base_url,
            api_key=options.api_key.get_secret_value(),
            messaging_profile_id=options.messaging_profile_id,
            timeout_s=options.timeout_s,
        )

    def verify(self, request: Request) -> SignatureResult:
        """Whether one of the keys signed `{timestamp}|{body}` within the last five minutes."""
        timestamp = request.headers.get(TIMESTAMP, "")
        if not self._is_fresh(timestamp):
            return "invalid"
        try:
            signature = b64decode(request.headers.get(SIGNATURE, ""), validate=True)
        except ValueError:
            return "invalid"
        text = timestamp.encode() + b"|" + request.body
        return "valid" if any(_signed(key, signature, text) for key in self._keys) else "invalid"

    def parse_inbound(self, request: Request) -> Sequence[Inbound]:
        """The message in a `message.received`; raises Junk. Other events have none."""
        return telnyx_events.messages(self.name, request.body)

    def parse_status(self, request: Request) -> Sequence[Status]:
        """The statuses in a `message.sent` or `message.finalized`, one for each recipient; raises
        Junk. Other events have none."""
        return telnyx_events.statuses(self.name, request.body, request.query.get("receipt", ""))

    def answer(self, messages: Sequence[Inbound]) -> Answer:
        """An empty JSON object; Telnyx looks at the status only."""
        return Answer("{}", "application/json")

    async def send(self, outgoing: Outgoing, context: Context) -> Accepted:
        """Send one message to one recipient; raises Temporary, Permanent or Unknown."""
        return await telnyx_messages.create(self._line, outgoing, context)

    async def look_up(self, outgoing: Outgoing, context: Context) -> Sequence[Accepted] | None:
        """Telnyx cannot tell."""
        return None

    def _is_fresh(self, timestamp: str) -> bool:
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
            return False
        return abs(self._clock.now().timestamp() - int(timestamp)) <= TOLERANCE_S


KIND = Kind("telnyx", Options, Telnyx)


def _signed(key: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True
