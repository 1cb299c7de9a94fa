"""What a mail needs before it walks the road: its conversation, and a place for its files.

An answer belongs to whom the answered mail went to, also when it comes from another address: who
has the mail may answer it. Its files are put on our shelf first, as nobody's; the road takes them
in the transaction in which the message comes into being, and what it does not take is collected.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from app.carriers.contract import Junk
from app.errors import Forbidden, Invalid, Unavailable
from app.files import sniff
from app.media import intake
from app.model.traffic import Attachment, Inbound, MediaPart
from app.runtime import Runtime
from app.store import mail

MINUTE_S = 60.0
PAIRS_MAX = 10_000
"""Of how many pairs it is remembered how much came lately."""


class Mailroom:
    """Prepares the mails that come to this process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lately: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    async def sort(self, messages: Sequence[Inbound], per_minute_max: int) -> list[Inbound]:
        """These mails (one, as it came to several of our addresses) as they walk the road. Raises
        Unavailable when their files cannot be kept now, Junk when one is too large."""
        ours = [one for one in messages if self._runtime.settings.sender(one.proxy_address)]
        going = [await self._placed(one) for one in ours or messages[:1]]
        going = [self._guarded(one, per_minute_max) for one in going]
        if not any(one.attachments for one in going):
            return going
        # A mail that goes nowhere leaves no files: what nobody wants is found out on the road.
        return [replace(one, media=await self._kept(one), attachments=()) for one in going]

    async def _placed(self, message: Inbound) -> Inbound:
        """As from whom the answered mail went to, if we still talk to them about it."""
        if not message.answers:
            return message
        async with self._runtime.db.read() as tx:
            found = await mail.answered(tx.sql, message.carrier, message.answers)
        for sid in message.answers:
            match found.get(sid):
                case mail.Answered(address=address, proxy_address=ours) if (
                    ours == message.proxy_address
                ):
                    return _as_from(message, address)
        return message

    def _guarded(self, message: Inbound, per_minute_max: int) -> Inbound:
        if message.guard is not None:
            return message
        if self._runtime.settings.sender(message.address) is not None:
            return replace(message, guard="it is from an address of ours")
        if self._too_many(message, per_minute_max):
            reason = f"more than {per_minute_max} mails of this pair came within a minute"
            return replace(message, guard=reason)
        return message

    def _too_many(self, message: Inbound, per_minute_max: int) -> bool:
        """Whether this is one too many; counted in this process."""
        now, pair = self._runtime.clock.monotonic(), (message.proxy_address, message.address)
        recent = [at for at in self._lately.pop(pair, ()) if at > now - MINUTE_S]
        full = len(recent) >= per_minute_max
        self._lately[pair] = recent if full else [*recent, now]
        if len(self._lately) > PAIRS_MAX:
            self._lately.popitem(last=False)
        return full

    async def _kept(self, message: Inbound) -> tuple[MediaPart, ...]:
        if message.guard is not None or not self._runtime.settings.sender(message.proxy_address):
            return ()
        try:
            return tuple([await self._keep(one) for one in message.attachments])
        except Forbidden as error:
            raise Unavailable(error.message, 60.0) from None
        except Invalid:
            most = self._runtime.settings.media.bytes_max
            raise Junk(f"a file of the mail has more than {most} bytes") from None

    async def _keep(self, file: Attachment) -> MediaPart:
        async with intake.receiving(self._runtime) as incoming:
            await incoming.write(file.content)
            kept = await intake.put(self._runtime, incoming)
        said = sniff.plain(file.content_type)
        named = said if said and sniff.believable(said, incoming.head) else ""
        return MediaPart(
            "",
            sniff.settled(named, incoming.head),
            kept.size,
            file.filename,
            kept=intake.lying(incoming, kept),
        )


def _as_from(message: Inbound, address: str) -> Inbound:
    """The address that really wrote it stays in the metadata."""
    if address == message.address:
        return message
    said = dict(message.channel_metadata or {"type": message.channel, "data": {"context": {}}})
    context = said["data"]["context"] | {"WrittenFrom": message.address}
    form = message.form | {"From": address}
    metadata = said | {"data": {"context": context}}
    return replace(message, address=address, channel_metadata=metadata, form=form)
