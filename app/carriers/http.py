"""A carrier that the YAML describes: any provider that takes messages by HTTP and brings them so.

Nothing about a provider is code: its requests are templates (http_call.py), its answers, messages
and statuses are read by paths (http_paths.py), its signature is chosen (http_verify.py). What it
cannot say is refused when the file is checked. config/parley.yaml has every key, config/plivo.yaml
a whole provider.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.carriers import http_send, http_verify
from app.carriers.contract import Answer, Context, Junk, Kind, MediaSource, Request
from app.carriers.http_answer import Judge
from app.carriers.http_options import Options
from app.carriers.http_read import Reader
from app.model.traffic import Accepted, Inbound, Outgoing, SignatureResult, Status


class Http:
    """One account at a provider."""

    kind = "http"
    patience_s: float | None = None

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.channels = frozenset(map(str, options.channels))
        self.one_door = options.one_door
        self.groups = False
        self.can_look_up = options.look_up is not None
        self.look_up_after_s = options.look_up.after_s if options.look_up else 0.0
        self._options = options
        secrets = {name: one.get_secret_value() for name, one in options.secrets.items()}
        self._secrets = secrets
        channels = {str(ours): theirs for ours, theirs in options.channels.items()}
        self._line = http_send.Line(secrets, channels, options.timeout_s)
        self._judge = Judge(options.answer, options.codes, tuple(secrets.values()))
        self._reader = Reader(
            carrier=name,
            channels=channels,
            digits=options.numbers == "digits",
            strip=options.strip,
            codes=options.codes,
            one_door=options.one_door,
        )

    def verify(self, request: Request) -> SignatureResult:
        """By the scheme in `verify`."""
        return http_verify.verify(self._options.verify, self._secrets, request)

    def parse_inbound(self, request: Request) -> Sequence[Inbound]:
        """The messages in the request; raises Junk."""
        return self._reader.inbounds(self._options.inbound, request)

    def parse_status(self, request: Request) -> Sequence[Status]:
        """The statuses in the request; raises Junk."""
        if self._options.status is None:
            raise Junk("this carrier reports no statuses: it has no section status")
        return self._reader.statuses(self._options.status, request)

    def answer(self, messages: Sequence[Inbound]) -> Answer:
        """What `reply` says."""
        return Answer(self._options.reply.body, self._options.reply.content_type)

    async def send(self, outgoing: Outgoing, context: Context) -> Accepted:
        """Make the request for the message's channel; raises Temporary, Permanent or Unknown."""
        requests = {str(channel): send for channel, send in self._options.send_as.items()}
        request = requests.get(outgoing.channel, self._options.send)
        return await http_send.send(self._line, request, self._judge, outgoing, context)

    async def look_up(self, outgoing: Outgoing, context: Context) -> Sequence[Accepted] | None:
        """Ask as `look_up` says; None without it. Raises Temporary."""
        if self._options.look_up is None:
            return None
        return await http_send.look_up(self._line, self._options.look_up, outgoing, context)

    async def media_source(self, url: str, context: Context) -> MediaSource:
        """The same URL, with what opens it if it is one of the provider's own."""
        access = self._options.media_access
        if access is None or not url.startswith(access.origin + "/"):
            return MediaSource(url, {})
        return MediaSource(url, http_send.opened(self._line, access.headers, access.basic))


KIND = Kind("http", Options, Http)
