"""The addresses that we own: who carries each, how fast, and the pools that they are in."""

from __future__ import annotations

from app.settings.address import CARRIED, channel_of
from app.settings.fallback import FallbackSettings
from app.settings.opt_outs import OptOutSettings
from app.settings.section import Model
from app.settings.types import (
    AccountSid,
    Address,
    HttpMethod,
    MessagingServiceSid,
    Name,
    Rate,
    WebUrl,
)

SECONDS = {"s": 1, "m": 60, "h": 3600}


class MessagingWebhook(Model):
    """The sender's own messaging webhook: gets the original form when no conversation takes it."""

    url: WebUrl
    method: HttpMethod = "POST"


class SenderSettings(Model):
    """An address that we own and the carrier that holds it.

    `rate` is how many messages per second (or minute, hour) may leave from it, like `1/s`, `30/m`.
    `fallback` is what goes in the place of free words outside of a session.
    """

    address: Address
    carrier: str
    account: AccountSid | None = None
    channels: tuple[str, ...] = ()
    rate: Rate | None = None
    messaging_service: str | None = None
    opt_outs: OptOutSettings = OptOutSettings()
    fallback: FallbackSettings | None = None
    webhook: MessagingWebhook | None = None

    @property
    def effective_channels(self) -> tuple[str, ...]:
        """The channels it carries: those given, or all that its address can."""
        return self.channels or CARRIED[channel_of(self.address)]


class MessagingServiceSettings(Model):
    """A pool of senders; `autocreate` makes a message to any of them create a conversation."""

    account: AccountSid | None = None
    sid: MessagingServiceSid | None = None
    friendly_name: Name | None = None
    autocreate: bool = False


def rate_per_s(sender: SenderSettings) -> float | None:
    """How many messages per second may leave from this sender; None: as many as there are."""
    if sender.rate is None:
        return None
    count, _, unit = sender.rate.partition("/")
    return int(count) / SECONDS[unit]
