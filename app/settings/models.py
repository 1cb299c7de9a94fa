"""The shape of the YAML file. Defaults here are the manual; config/parley.yaml comments them.

Units: `_s` seconds, `_bytes` bytes. Every model is frozen and refuses unknown keys. A `repr` names
keys and never values: any of them may have come from a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app import ids
from app.settings import address as form_of
from app.settings.types import (
    AccountSid,
    Address,
    ApiKeySid,
    CarrierName,
    DatabaseUrl,
    FlowSid,
    HttpMethod,
    MessagingServiceSid,
    Name,
    PublicUrl,
    Rate,
    Secret,
    ServiceSid,
    Target,
    WebUrl,
)
from app.settings.types import PostEvent as PostEvent
from app.settings.types import SignatureMode as SignatureMode

DEFAULT = "default"
SECONDS = {"s": 1, "m": 60, "h": 3600}


class _Hidden:
    def __repr__(self) -> str:
        return "…"


class Frozen(BaseModel):
    """Cannot be changed, and shows no values in a repr or an error."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [(name, _Hidden()) for name in sorted(self.model_fields_set)]


class Model(Frozen):
    """Frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(extra="forbid")


class ApiKey(Model):
    """A key that may use the API instead of the auth token."""

    sid: ApiKeySid
    secret: Secret


class AccountSettings(Model):
    """The account that owns everything in this file, and its secrets."""

    sid: AccountSid
    auth_token: Secret
    api_keys: tuple[ApiKey, ...] = ()


class ServerSettings(Model):
    """Where we listen, and the URL under which the world knows us."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: PublicUrl | None = None
    body_bytes_max: Annotated[int, Field(gt=0)] = 1_048_576
    form_fields_max: Annotated[int, Field(gt=0)] = 1000
    drain_s: Annotated[float, Field(ge=0)] = 20.0


class DatabaseSettings(Model):
    """PostgreSQL 14 or newer by URL; without one, the embedded server in `folder`."""

    url: DatabaseUrl | None = None
    folder: Annotated[str, Field(min_length=1)] = "./var/postgres"
    pool_max: Annotated[int, Field(ge=1, le=200)] = 10


class CarrierSettings(Frozen):
    """One carrier account. Further keys depend on `kind` and are checked by that carrier."""

    model_config = ConfigDict(extra="allow")

    kind: str
    signature: SignatureMode = "enforce"
    on_unknown: Literal["resend", "fail"] = "resend"


class MessagingWebhook(Model):
    """The sender's own messaging webhook: gets the original form when no conversation takes it."""

    url: WebUrl
    method: HttpMethod = "POST"


class SenderSettings(Model):
    """An address that we own and the carrier that holds it.

    `rate` is how many messages per second (or minute, hour) may leave from it, like `1/s`, `30/m`.
    """

    address: Address
    carrier: str
    channels: tuple[str, ...] = ()
    rate: Rate | None = None
    messaging_service: str | None = None
    webhook: MessagingWebhook | None = None

    @property
    def effective_channels(self) -> tuple[str, ...]:
        """The channels it carries: those given, or all that its address can."""
        return self.channels or form_of.CHANNELS[form_of.form(self.address)]


class MessagingServiceSettings(Model):
    """A pool of senders; `autocreate` makes a message to any of them create a conversation."""

    sid: MessagingServiceSid | None = None
    friendly_name: Name | None = None
    autocreate: bool = False


class ServiceSettings(Model):
    """A conversation service. The one marked `default` answers for paths without a service."""

    sid: ServiceSid | None = None
    friendly_name: Name | None = None
    default: bool = False


class AutoCreationSettings(Model):
    """What an inbound message that belongs to no conversation creates."""

    enabled: bool = True
    type: Literal["default", "webhook", "studio"] = "default"
    service: str | None = None
    webhook_url: WebUrl | None = None
    webhook_method: HttpMethod = "POST"
    webhook_filters: tuple[Literal[PostEvent, "onConversationAdd"], ...] = ()
    studio_flow_sid: FlowSid | None = None
    studio_retry_count: Annotated[int, Field(ge=0, le=3)] = 0
    default_identities: tuple[Name, ...] = ()


class AddressSettings(Model):
    """An address configuration."""

    address: Address
    friendly_name: Name | None = None
    auto_creation: AutoCreationSettings = AutoCreationSettings()


class WebhookSettings(Model):
    """The account's webhooks. `filters` lists the events that are sent; none: nothing is sent."""

    post_url: WebUrl | None = None
    method: HttpMethod = "POST"
    filters: tuple[PostEvent, ...] = ()


class FlowSettings(Model):
    """Where a flow lives: a `studio` target posts its events to this URL."""

    url: WebUrl


class RetrySettings(Model):
    """A retry schedule: waits in seconds after the 1st, 2nd, ... failure; then a dead letter.

    Each wait varies by +-`jitter` (a fraction) so that failures do not come back together.
    `lease_s` is how long an attempt belongs to one worker (never less than 3 x `timeout_s`): what a
    killed worker had in hand is taken up again after it. None: what the loop takes for its work.
    """

    waits_s: tuple[Annotated[float, Field(gt=0, le=86_400)], ...]
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    timeout_s: Annotated[float, Field(gt=0, le=60)]
    retry_after_max_s: Annotated[float, Field(gt=0)] = 3600.0
    in_flight: Annotated[int, Field(ge=1, le=1000)] = 128
    lease_s: Annotated[float, Field(gt=0, le=3600)] | None = None

    def effective_lease_s(self, usual_s: float) -> float:
        """How long a lane is leased: what is set, else what is usual for this work."""
        if self.lease_s is None:
            return usual_s
        return max(self.lease_s, 3 * self.timeout_s)


class DeliverySettings(RetrySettings):
    """How a message that a carrier did not take is tried again."""

    waits_s: tuple[Annotated[float, Field(gt=0, le=86_400)], ...] = (
        *(1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0),
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 15.0


class HookSettings(RetrySettings):
    """How a webhook that did not answer 2xx is called again."""

    waits_s: tuple[Annotated[float, Field(gt=0, le=86_400)], ...] = (
        *(1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0),
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0


DELIVERY_RETRY: RetrySettings = DeliverySettings()
HOOK_RETRY: RetrySettings = HookSettings()


class EgressSettings(Model):
    """Which targets of user-given URLs are opened although they are refused by default.

    `private` opens RFC 1918, CGNAT and unique local addresses; `open` lists exact host names, IP
    addresses or networks, and is the only way to reach loopback.
    """

    private: bool = False
    open: tuple[Target, ...] = ()


class OpsSettings(Model):
    """Health, metrics and logs. With `port`, health and metrics answer there and only there."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"


class RoadSettings(Model):
    """How the road is walked: the longest convoy and how many may wait before doors say 503."""

    convoy_max: Annotated[int, Field(ge=1, le=256)] = 64
    queue_max: Annotated[int, Field(ge=1)] = 2048


class LimitSettings(Model):
    """`twilio`: the documented limits and drops. `relaxed`: send what the channel can carry."""

    profile: Literal["twilio", "relaxed"] = "twilio"
    body_bytes_max: Annotated[int, Field(gt=0)] = 32_768
    participants_max: Annotated[int, Field(gt=0)] = 1000
    participants_external_max: Annotated[int, Field(gt=0)] = 50


class RetentionSettings(Model):
    """How long the logs are kept, in days. The ledger of inbounds is kept for ever."""

    attempts_days: Annotated[int, Field(ge=1)] = 30
    decisions_days: Annotated[int, Field(ge=1)] = 90


class Settings(Model):
    """The whole file."""

    account: AccountSettings
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    carriers: dict[CarrierName, CarrierSettings] = Field(default_factory=dict)
    senders: tuple[SenderSettings, ...] = ()
    messaging_services: dict[Name, MessagingServiceSettings] = Field(default_factory=dict)
    services: dict[Name, ServiceSettings] = Field(default_factory=dict)
    addresses: tuple[AddressSettings, ...] = ()
    webhooks: WebhookSettings = WebhookSettings()
    flows: dict[FlowSid, FlowSettings] = Field(default_factory=dict)
    road: RoadSettings = RoadSettings()
    delivery: DeliverySettings = DeliverySettings()
    hooks: HookSettings = HookSettings()
    egress: EgressSettings = EgressSettings()
    limits: LimitSettings = LimitSettings()
    retention: RetentionSettings = RetentionSettings()
    ops: OpsSettings = OpsSettings()

    def carrier_options(self, name: str) -> dict[str, Any]:
        """The keys of one carrier beyond those that every carrier has."""
        return dict(self.carriers[name].model_extra or {})

    @cached_property
    def senders_by_address(self) -> Mapping[str, SenderSettings]:
        """Every sender by its normalised address."""
        return {sender.address: sender for sender in self.senders}

    def sender(self, address: str) -> SenderSettings | None:
        """The sender that owns this normalised address; None when it is not ours."""
        return self.senders_by_address.get(address)

    @property
    def effective_services(self) -> Mapping[str, ServiceSettings]:
        """The services of this account: those given, or the implied one named `default`."""
        return self.services or {DEFAULT: ServiceSettings(default=True)}

    @property
    def default_service(self) -> str:
        """The name of the service that answers for paths without one: the marked one, else the one
        named `default`, else the only one."""
        services = self.effective_services
        marked = [name for name, service in services.items() if service.default]
        return marked[0] if marked else DEFAULT if DEFAULT in services else next(iter(services))

    def service_sid(self, name: str) -> str:
        """The SID of a service: the one given, or one that is the same for ever. Raises KeyError
        for a name that is not declared."""
        given = self.effective_services[name].sid
        return given or ids.stable(ids.SERVICE, self.account.sid, "service", name)

    def messaging_service_sid(self, name: str) -> str:
        """The SID of a messaging service, like `service_sid`."""
        given = self.messaging_services[name].sid
        return given or ids.stable(
            ids.MESSAGING_SERVICE, self.account.sid, "messaging_service", name
        )

    def address_configuration_sid(self, address: str) -> str:
        """The SID of the configuration of this normalised address."""
        return ids.stable(ids.ADDRESS_CONFIGURATION, self.account.sid, "address", address)


def rate_per_s(sender: SenderSettings) -> float | None:
    """How many messages per second may leave from this sender; None: as many as there are."""
    if sender.rate is None:
        return None
    count, _, unit = sender.rate.partition("/")
    return int(count) / SECONDS[unit]
