"""The addresses that we own: who carries each, how fast, and the pools that they are in."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from app.settings.address import CARRIED, channel_of
from app.settings.fallback import FallbackSettings
from app.settings.opt_outs import OptOutSettings, known_country
from app.settings.quiet_hours import Channel, QuietHours
from app.settings.section import Model
from app.settings.types import (
    PLAIN,
    RATED_KEY,
    AccountSid,
    Address,
    HttpMethod,
    MessagingServiceSid,
    Name,
    Rate,
    WebUrl,
    rated,
)

SECONDS = {"s": 1, "m": 60, "h": 3600}
RATED = "should be a country like US, a channel like mms, or both: mms US"


def _rated(key: str) -> str:
    """Raises for what is neither a channel nor a country, nor both."""
    channel, theirs = rated(key)
    if channel is not None and channel not in get_args(Channel):
        raise PydanticCustomError(PLAIN, RATED)
    if theirs is not None:
        known_country(theirs)
    return key


RatedKey = Annotated[str, Field(pattern=RATED_KEY), AfterValidator(_rated)]


class RegistrationSettings(Model):
    """Where a number of the United States or Canada stands with the US carriers (A2P 10DLC): its
    campaign, as The Campaign Registry or the carrier calls it, and what became of it. `exempt`: it
    needs none, or that is looked after elsewhere."""

    campaign: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    status: Literal["unregistered", "pending", "registered", "rejected", "suspended", "exempt"] = (
        "unregistered"
    )


class MessagingWebhook(Model):
    """The sender's own messaging webhook: gets the original form when no conversation takes it."""

    url: WebUrl
    method: HttpMethod = "POST"


class SenderSettings(Model):
    """An address that we own and the carrier that holds it. What leaves from it goes by
    `fallback_carrier` while that one cannot be reached.

    `rate` is how many messages per second (or minute, hour) may leave from it, like `1/s`, `30/m`;
    `rates` how many on some channels, or to people of some countries, in place of it.
    `fallback_template` is what goes in the place of free words outside of a session.
    """

    address: Address
    carrier: str
    fallback_carrier: str | None = None
    account: AccountSid | None = None
    channels: tuple[str, ...] = ()
    rate: Rate | None = None
    rates: dict[RatedKey, Rate] = Field(default_factory=dict)
    messaging_service: str | None = None
    registration: RegistrationSettings | None = None
    quiet_hours: QuietHours | None = None
    opt_outs: OptOutSettings = OptOutSettings()
    fallback_template: FallbackSettings | None = None
    webhook: MessagingWebhook | None = None

    @property
    def carriers(self) -> tuple[str, ...]:
        """Who may carry what leaves from it, the first of choice first."""
        return (self.carrier, *filter(None, [self.fallback_carrier]))

    @property
    def rated_by_channel(self) -> bool:
        """Whether some rates are those of a channel."""
        return any(rated(key)[0] for key in self.rates)

    @property
    def effective_channels(self) -> tuple[str, ...]:
        """The channels it carries: those given, or all that its address can."""
        return self.channels or CARRIED[channel_of(self.address)]


class MessagingServiceSettings(Model):
    """A pool of senders; `autocreate` makes a message to any of them create a conversation. Who
    joins one by naming the pool gets, if it is `sticky`, the sender that they had before. What it
    says of `registration` and `quiet_hours` holds for those of its senders that say nothing."""

    account: AccountSid | None = None
    sid: MessagingServiceSid | None = None
    friendly_name: Name | None = None
    autocreate: bool = False
    sticky: bool = True
    registration: RegistrationSettings | None = None
    quiet_hours: QuietHours = ()


def per_s(rate: str) -> float:
    """How many messages per second a rate is."""
    count, _, unit = rate.partition("/")
    return int(count) / SECONDS[unit]
