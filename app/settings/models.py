"""The shape of the YAML file. Defaults here are the manual; config/parley.yaml comments them.

Units: `_s` seconds, `_bytes` bytes. Every model is frozen and refuses unknown keys. A `repr` names
keys and never values: any of them may have come from a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, PrivateAttr

from app import ids
from app.settings.autocreation import AddressSettings as AddressSettings
from app.settings.autocreation import AutoCreationSettings as AutoCreationSettings
from app.settings.contents import ContentSettings
from app.settings.flows import FlowSettings as FlowSettings
from app.settings.limits import LimitSettings as LimitSettings
from app.settings.media import MediaSettings
from app.settings.realtime import RealtimeSettings
from app.settings.reconcile import ReconcileSettings
from app.settings.retries import DeliverySettings, HookSettings
from app.settings.retries import RetrySettings as RetrySettings
from app.settings.sealing import SealingSettings
from app.settings.section import Frozen
from app.settings.section import Model as Model
from app.settings.senders import MessagingServiceSettings as MessagingServiceSettings
from app.settings.senders import MessagingWebhook as MessagingWebhook
from app.settings.senders import RegistrationSettings as RegistrationSettings
from app.settings.senders import SenderSettings as SenderSettings
from app.settings.senders import per_s as per_s
from app.settings.streams import StreamSettings
from app.settings.types import (
    AccountSid,
    ApiKeySid,
    CarrierName,
    DatabaseUrl,
    FlowSid,
    Name,
    PublicUrl,
    Secret,
    ServiceSid,
    Target,
    WebhookSecret,
)
from app.settings.types import PostEvent as PostEvent
from app.settings.types import SignatureMode as SignatureMode
from app.settings.webhooks import WebhookSettings as WebhookSettings

DEFAULT = "default"


class ApiKey(Model):
    """A key that may use the API instead of the auth token."""

    sid: ApiKeySid
    secret: Secret


class AccountSettings(Model):
    """The account that owns everything in this file, and its secrets."""

    sid: AccountSid
    auth_token: Secret
    api_keys: tuple[ApiKey, ...] = ()
    webhook_secrets: tuple[WebhookSecret, ...] = ()


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
    patience_s: Annotated[float, Field(ge=1, le=60)] | None = None


class ServiceSettings(Model):
    """A conversation service. The one marked `default` answers for paths without a service."""

    account: AccountSid | None = None
    sid: ServiceSid | None = None
    friendly_name: Name | None = None
    default: bool = False


class FurtherAccountSettings(AccountSettings):
    """An account beside the main one: it sees only what names it with `account:`."""

    webhooks: WebhookSettings = WebhookSettings()


class EgressSettings(Model):
    """Which targets of user-given URLs are opened although they are refused by default.

    `private` opens RFC 1918, CGNAT and unique local addresses; `open` lists exact host names, IP
    addresses or networks, and is the only way to reach loopback.
    """

    private: bool = False
    open: tuple[Target, ...] = ()


class OpsSettings(Model):
    """Health, metrics and logs. With `port`, health and metrics answer there and only there;
    `hooks_log` is how much of what webhooks said and were answered is kept."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"
    hooks_log: Literal["full", "redacted", "none"] = "redacted"


class RoadSettings(Model):
    """How the road is walked: the longest convoy, how many go beside each other (a connection to
    the database each), and how many messages may wait before doors say 503."""

    convoy_max: Annotated[int, Field(ge=1, le=256)] = 64
    walkers: Annotated[int, Field(ge=1, le=16)] = 2
    queue_max: Annotated[int, Field(ge=1)] = 2048


class RetentionSettings(Model):
    """How long the logs are kept, in days. The ledger of inbounds is kept for ever."""

    attempts_days: Annotated[int, Field(ge=1)] = 30
    decisions_days: Annotated[int, Field(ge=1)] = 90
    dead_letters_days: Annotated[int, Field(ge=1)] = 90
    dropped_days: Annotated[int, Field(ge=1)] = 90
    executions_days: Annotated[int, Field(ge=1)] = 30
    sessions_days: Annotated[int, Field(ge=2)] = 30
    changes_days: Annotated[int, Field(ge=2)] = 30


N = TypeVar("N", MessagingServiceSettings, ServiceSettings, ContentSettings)


class Settings(Model):
    """The whole file, or what one of its accounts sees of it (`of`)."""

    account: AccountSettings
    accounts: tuple[FurtherAccountSettings, ...] = ()
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    secrets: SealingSettings = SealingSettings()
    carriers: dict[CarrierName, CarrierSettings] = Field(default_factory=dict)
    senders: tuple[SenderSettings, ...] = ()
    messaging_services: dict[Name, MessagingServiceSettings] = Field(default_factory=dict)
    services: dict[Name, ServiceSettings] = Field(default_factory=dict)
    addresses: tuple[AddressSettings, ...] = ()
    contents: dict[Name, ContentSettings] = Field(default_factory=dict)
    webhooks: WebhookSettings = WebhookSettings()
    flows: dict[FlowSid, FlowSettings] = Field(default_factory=dict)
    road: RoadSettings = RoadSettings()
    delivery: DeliverySettings = DeliverySettings()
    hooks: HookSettings = HookSettings()
    streams: StreamSettings = StreamSettings()
    realtime: RealtimeSettings = RealtimeSettings()
    media: MediaSettings = MediaSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    egress: EgressSettings = EgressSettings()
    limits: LimitSettings = LimitSettings()
    retention: RetentionSettings = RetentionSettings()
    ops: OpsSettings = OpsSettings()
    _whole: Settings | None = PrivateAttr(None)
    _warnings: tuple[str, ...] = PrivateAttr(())

    @property
    def whole(self) -> Settings:
        """The whole file, also for one account's view of it."""
        return self._whole or self

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is most likely not meant, each with its place in the file."""
        return self._warnings

    def warned(self, warnings: Iterable[str]) -> None:
        """This was found when the file was read."""
        self._warnings = tuple(warnings)

    @cached_property
    def houses(self) -> Mapping[str, Settings]:
        """What each account sees, by its SID, the main account first: itself as the only account,
        and of the rest what is its own or everybody's."""
        if not self.accounts:
            return {self.account.sid: self}
        return {one.sid: self._seen_by(one) for one in (self.account, *self.accounts)}

    def of(self, account_sid: str) -> Settings:
        """What this account sees. Raises KeyError for one that the file does not name."""
        return self.houses[account_sid]

    def owner(self, address: str) -> str:
        """The account of the sender with this normalised address; the main one when it is not
        ours."""
        sender = self.sender(address)
        return (sender and sender.account) or self.account.sid

    def _seen_by(self, account: AccountSettings) -> Settings:
        def mine(of: str | None) -> bool:
            return (of or self.account.sid) == account.sid

        webhooks = self.webhooks
        if isinstance(account, FurtherAccountSettings):
            webhooks = account.webhooks
        changes = {
            "account": account,
            "accounts": (),
            "senders": tuple(one for one in self.senders if mine(one.account)),
            "messaging_services": _where(self.messaging_services, mine),
            "services": _where(self.services, mine),
            "contents": _where(self.contents, mine),
            "addresses": tuple(one for one in self.addresses if mine(self.owner(one.address))),
            "flows": {sid: one for sid, one in self.flows.items() if one.url or mine(one.account)},
            "webhooks": webhooks,
        }
        # Built and not copied: a copy would keep what was worked out for the whole file.
        values = {name: getattr(self, name) for name in Settings.model_fields}
        seen = Settings.model_construct(set(self.model_fields_set), **(values | changes))
        seen._whole = self
        return seen

    def carrier_options(self, name: str) -> dict[str, Any]:
        """The keys of one carrier beyond those that every carrier has."""
        return dict(self.carriers[name].model_extra or {})

    @cached_property
    def senders_by_address(self) -> Mapping[str, SenderSettings]:
        """Every sender by its normalised address."""
        return {sender.address: sender for sender in self.senders}

    @cached_property
    def grouping_senders(self) -> frozenset[str]:
        """The addresses of ours that can be in a group text: those that carry mms."""
        return frozenset(one.address for one in self.senders if "mms" in one.effective_channels)

    def sender(self, address: str) -> SenderSettings | None:
        """The sender that owns this normalised address; None when it is not ours."""
        return self.senders_by_address.get(address)

    def sender_of(self, account_sid: str, address: str) -> SenderSettings | None:
        """The same as an account sees it; None also when it is another account's, or the file does
        not name that account."""
        house = self.houses.get(account_sid)
        return house.sender(address) if house else None

    def pool(self, sender: SenderSettings) -> MessagingServiceSettings | None:
        """The messaging service that a sender is in; None when it is in none."""
        return self.messaging_services.get(sender.messaging_service or "")

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


def _where(named: Mapping[str, N], mine: Callable[[str | None], bool]) -> dict[str, N]:
    return {name: one for name, one in named.items() if mine(one.account)}
