"""Bandwidth: SMS and MMS by its v2 messaging API and callbacks.

https://dev.bandwidth.com/docs/messaging. Give the messaging application one callback URL or two
(`/carriers/{name}/inbound` takes both kinds), each with the same user name and password. Received
files can be fetched for 48 hours, with the API's login. A callback that is not answered within 10 s
comes again, for 24 hours.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from app.carriers import bandwidth_events, bandwidth_messages
from app.carriers.contract import Answer, Context, Kind, MediaSource, Request
from app.carriers.options import ChosenSecrets, matching
from app.model.traffic import Accepted, Inbound, Outgoing, SignatureResult, Status
from app.settings.models import Model
from app.settings.types import PublicUrl, Secret

Word = Annotated[str, matching("[A-Za-z0-9_-]{1,64}", "should be letters, digits, _ and - only")]
UserName = Annotated[str, matching(r"[^:\x00-\x1f]{1,255}", "should be a user name without colons")]


class Options(Model):
    """The keys of `kind: bandwidth` in the YAML.

    `username` and `password` are those of the API. `callback_username` and `callback_password` are
    what the application's callbacks sign in with (Basic; Bandwidth has no signature); the password
    may be a list while it changes. With `look_up`, a send whose answer was lost is looked for in
    Bandwidth's list of messages, by pair, time, length and number of files, `look_up_after_s` after
    it; without, its delivery report is waited for that long and then `on_unknown` decides.
    """

    carries: ClassVar[frozenset[str]] = bandwidth_messages.CHANNELS
    account_id: Word
    application_id: Word
    username: UserName
    password: Secret
    callback_username: UserName
    callback_password: ChosenSecrets
    base_url: PublicUrl = "https://messaging.bandwidth.com"
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    look_up: bool = True
    look_up_after_s: Annotated[float, Field(ge=0)] = 60.0


class Bandwidth:
    """One messaging application of a Bandwidth account."""

    kind = "bandwidth"
    channels = bandwidth_messages.CHANNELS
    one_door = True
    patience_s: float | None = 10.0
    groups = True

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.can_look_up = options.look_up
        self.look_up_after_s = options.look_up_after_s
        self._logins = [
            f"{options.callback_username}:{password.get_secret_value()}".encode()
            for password in options.callback_password
        ]
        self._line = bandwidth_messages.Line(
            base_url=options.base_url,
            account_id=options.account_id,
            application_id=options.application_id,
            login=f"{options.username}:{options.password.get_secret_value()}",
            timeout_s=options.timeout_s,
        )

    def verify(self, request: Request) -> SignatureResult:
        """Whether the callback signs in with one of our passwords."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        try:
            login = b64decode(given, validate=True)
        except ValueError:
            return "invalid"
        known = [hmac.compare_digest(login, ours) for ours in self._logins]
        return "valid" if scheme.lower() == "basic" and any(known) else "invalid"

    def parse_inbound(self, request: Request) -> Sequence[Inbound]:
        """The messages among these events; raises Junk."""
        return bandwidth_events.messages(self.name, request.body)

    def parse_status(self, request: Request) -> Sequence[Status]:
        """The statuses among these events; raises Junk."""
        return bandwidth_events.statuses(self.name, request.body)

    def answer(self, messages: Sequence[Inbound]) -> Answer:
        """An empty JSON object; Bandwidth looks at the status only."""
        return Answer("{}", "application/json")

    async def send(self, outgoing: Outgoing, context: Context) -> Accepted:
        """Send one message to its recipients; raises Temporary, Permanent or Unknown."""
        return await bandwidth_messages.create(self._line, outgoing, context)

    async def look_up(self, outgoing: Outgoing, context: Context) -> Sequence[Accepted] | None:
        """Ask the list of messages for what may be this send; raises Temporary."""
        return await bandwidth_messages.find(self._line, outgoing, context)

    async def media_source(self, url: str, context: Context) -> MediaSource:
        """Files of ours are opened by the API's login; nobody else gets to see it."""
        own = url.startswith(f"{self._line.media_url}/")
        return MediaSource(url, self._line.headers if own else {})


KIND = Kind("bandwidth", Options, Bandwidth)
