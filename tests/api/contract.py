"""The contract in our own words: the 103 operations of Conversations v1, their parameters and what
their answers must hold.

A path stands in one tree (the account's, or the services') or in both. `!` marks a parameter that
must be sent. In the services' tree some resources show their service as well (`SHOWN_IN_SERVICE`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SERVICE = "/Services/{ChatServiceSid}"
ACCOUNT, SERVICES, BOTH = ("",), (SERVICE,), ("", SERVICE)
PAGING = ("PageSize", "Page", "PageToken")
WEBHOOK_HEADER = "X-Twilio-Webhook-Enabled"


@dataclass(frozen=True)
class Operation:
    """One operation. `listed` is the name of a page's array, `keys` what each resource has."""

    verb: str
    method: str
    path: str
    parameters: frozenset[str]
    required: frozenset[str]
    keys: frozenset[str]
    status: int
    listed: str | None = None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Resource:
    """A path and its verbs; a verb's text names its parameters, None: there is no such verb."""

    path: str
    trees: tuple[str, ...]
    shape: str
    page: str | None = None
    listed: str = ""
    create: str | None = None
    fetch: str | None = None
    update: str | None = None
    delete: str | None = None


DATED = "date_created date_updated url"
SHAPES: Mapping[str, str] = {
    "conversation": f"sid account_sid chat_service_sid messaging_service_sid friendly_name"
    f" unique_name attributes state timers bindings links {DATED}",
    "message": f"sid account_sid conversation_sid index author body media attributes"
    f" participant_sid delivery content_sid links {DATED}",
    "receipt": f"sid account_sid conversation_sid message_sid channel_message_sid"
    f" participant_sid status error_code {DATED}",
    "participant": f"sid account_sid conversation_sid identity attributes messaging_binding"
    f" role_sid last_read_message_index last_read_timestamp {DATED}",
    "webhook": f"sid account_sid conversation_sid target configuration {DATED}",
    "participant conversation": "account_sid chat_service_sid participant_sid"
    " participant_user_sid participant_identity participant_messaging_binding conversation_sid"
    " conversation_unique_name conversation_friendly_name conversation_attributes"
    " conversation_date_created conversation_date_updated conversation_created_by"
    " conversation_state conversation_timers links",
    "role": f"sid account_sid chat_service_sid friendly_name type permissions {DATED}",
    "user": f"sid account_sid chat_service_sid role_sid identity friendly_name attributes"
    f" is_online is_notifiable links {DATED}",
    "user conversation": f"account_sid chat_service_sid conversation_sid participant_sid user_sid"
    f" unread_messages_count last_read_message_index friendly_name unique_name attributes"
    f" conversation_state timers created_by notification_level links {DATED}",
    "address": f"sid account_sid type address address_country friendly_name auto_creation {DATED}",
    "credential": f"sid account_sid friendly_name type sandbox {DATED}",
    "service": f"sid account_sid friendly_name links {DATED}",
    "binding": f"sid account_sid chat_service_sid credential_sid endpoint identity binding_type"
    f" message_types {DATED}",
    "configuration": "account_sid default_chat_service_sid default_messaging_service_sid"
    " default_inactive_timer default_closed_timer url links",
    "service configuration": "chat_service_sid default_conversation_creator_role_sid"
    " default_conversation_role_sid default_chat_service_role_sid reachability_enabled url links",
    "account webhooks": "account_sid pre_webhook_url post_webhook_url method filters target url",
    "service webhooks": "account_sid chat_service_sid pre_webhook_url post_webhook_url method"
    " filters url",
    "notifications": "account_sid chat_service_sid new_message added_to_conversation"
    " removed_from_conversation log_enabled url",
}
SHOWN_IN_SERVICE = {"message", "receipt", "participant", "webhook"}

CONVERSATION = (
    "FriendlyName UniqueName DateCreated DateUpdated MessagingServiceSid Attributes State"
    " Timers.Inactive Timers.Closed Bindings.Email.Address Bindings.Email.Name"
)
MESSAGE = "Author Body DateCreated DateUpdated Attributes Subject"
JOINING = (
    "Identity MessagingBinding.ProxyAddress MessagingBinding.ProjectedAddress DateCreated"
    " DateUpdated Attributes RoleSid"
)
HOOK = (
    "Configuration.Url Configuration.Method Configuration.Filters Configuration.Triggers"
    " Configuration.FlowSid"
)
RULE = (
    "FriendlyName AutoCreation.Enabled AutoCreation.Type AutoCreation.ConversationServiceSid"
    " AutoCreation.WebhookUrl AutoCreation.WebhookMethod AutoCreation.WebhookFilters"
    " AutoCreation.StudioFlowSid AutoCreation.StudioRetryCount"
)
SECRETS = "FriendlyName Certificate PrivateKey Sandbox ApiKey Secret"
NEWS = (
    "LogEnabled NewMessage.Enabled NewMessage.Template NewMessage.Sound"
    " NewMessage.BadgeCountEnabled NewMessage.WithMedia.Enabled NewMessage.WithMedia.Template"
    " AddedToConversation.Enabled AddedToConversation.Template AddedToConversation.Sound"
    " RemovedFromConversation.Enabled RemovedFromConversation.Template"
    " RemovedFromConversation.Sound"
)
HOOKS = "Method Filters PreWebhookUrl PostWebhookUrl"
IN = "/Conversations/{ConversationSid}"
OF_USER = "/Users/{UserSid}/Conversations"

RESOURCES = (
    Resource(
        "/Conversations",
        BOTH,
        "conversation",
        "StartDate EndDate State",
        "conversations",
        CONVERSATION,
    ),
    Resource(
        "/Conversations/{Sid}", BOTH, "conversation", fetch="", update=CONVERSATION, delete=""
    ),
    Resource(
        f"{IN}/Messages",
        BOTH,
        "message",
        "Order",
        "messages",
        f"{MESSAGE} MediaSid ContentSid ContentVariables",
    ),
    Resource(f"{IN}/Messages/{{Sid}}", BOTH, "message", fetch="", update=MESSAGE, delete=""),
    Resource(f"{IN}/Messages/{{MessageSid}}/Receipts", BOTH, "receipt", "", "delivery_receipts"),
    Resource(f"{IN}/Messages/{{MessageSid}}/Receipts/{{Sid}}", BOTH, "receipt", fetch=""),
    Resource(
        f"{IN}/Participants",
        BOTH,
        "participant",
        "",
        "participants",
        f"{JOINING} MessagingBinding.Address",
    ),
    Resource(
        f"{IN}/Participants/{{Sid}}",
        BOTH,
        "participant",
        fetch="",
        update=f"{JOINING} LastReadMessageIndex LastReadTimestamp",
        delete="",
    ),
    Resource(
        f"{IN}/Webhooks",
        BOTH,
        "webhook",
        "",
        "webhooks",
        f"Target! {HOOK} Configuration.ReplayAfter",
    ),
    Resource(f"{IN}/Webhooks/{{Sid}}", BOTH, "webhook", fetch="", update=HOOK, delete=""),
    Resource(
        "/ConversationWithParticipants",
        BOTH,
        "conversation",
        create=f"{CONVERSATION} Participant",
    ),
    Resource(
        "/ParticipantConversations",
        BOTH,
        "participant conversation",
        "Identity Address",
        "conversations",
    ),
    Resource("/Roles", BOTH, "role", "", "roles", "FriendlyName! Type! Permission!"),
    Resource("/Roles/{Sid}", BOTH, "role", fetch="", update="Permission!", delete=""),
    Resource("/Users", BOTH, "user", "", "users", "Identity! FriendlyName Attributes RoleSid"),
    Resource(
        "/Users/{Sid}", BOTH, "user", fetch="", update="FriendlyName Attributes RoleSid", delete=""
    ),
    Resource(OF_USER, BOTH, "user conversation", "", "conversations"),
    Resource(
        f"{OF_USER}/{{ConversationSid}}",
        BOTH,
        "user conversation",
        fetch="",
        update="LastReadMessageIndex LastReadTimestamp NotificationLevel",
        delete="",
    ),
    Resource("/Services", ACCOUNT, "service", "", "services", "FriendlyName!"),
    Resource("/Services/{Sid}", ACCOUNT, "service", fetch="", delete=""),
    Resource(
        "/Configuration",
        SERVICES,
        "service configuration",
        fetch="",
        update="DefaultConversationCreatorRoleSid DefaultConversationRoleSid"
        " DefaultChatServiceRoleSid ReachabilityEnabled",
    ),
    Resource("/Configuration/Notifications", SERVICES, "notifications", fetch="", update=NEWS),
    Resource("/Configuration/Webhooks", SERVICES, "service webhooks", fetch="", update=HOOKS),
    Resource("/Bindings", SERVICES, "binding", "BindingType Identity", "bindings"),
    Resource("/Bindings/{Sid}", SERVICES, "binding", fetch="", delete=""),
    Resource("/Credentials", ACCOUNT, "credential", "", "credentials", f"Type! {SECRETS}"),
    Resource(
        "/Credentials/{Sid}", ACCOUNT, "credential", fetch="", update=f"Type {SECRETS}", delete=""
    ),
    Resource(
        "/Configuration",
        ACCOUNT,
        "configuration",
        fetch="",
        update="DefaultChatServiceSid DefaultMessagingServiceSid DefaultInactiveTimer"
        " DefaultClosedTimer",
    ),
    Resource(
        "/Configuration/Webhooks", ACCOUNT, "account webhooks", fetch="", update=f"{HOOKS} Target"
    ),
    Resource(
        "/Configuration/Addresses",
        ACCOUNT,
        "address",
        "Type",
        "address_configurations",
        f"Type! Address! AddressCountry {RULE}",
    ),
    Resource(
        "/Configuration/Addresses/{Sid}", ACCOUNT, "address", fetch="", update=RULE, delete=""
    ),
)

VERBS = (
    ("create", "POST", 201),
    ("page", "GET", 200),
    ("fetch", "GET", 200),
    ("update", "POST", 200),
    ("delete", "DELETE", 204),
)


def operations() -> Iterator[Operation]:
    """All of them, those of the account's tree first."""
    for tree in BOTH:
        for resource in RESOURCES:
            if tree not in resource.trees:
                continue
            for verb, method, status in VERBS:
                said = getattr(resource, verb)
                if said is not None:
                    yield _operation(resource, tree, verb, method, status, said)


def _operation(
    resource: Resource, tree: str, verb: str, method: str, status: int, said: str
) -> Operation:
    names = said.split()
    keys = set(SHAPES[resource.shape].split()) if status != 204 else set()
    if tree and keys and resource.shape in SHOWN_IN_SERVICE:
        keys.add("chat_service_sid")
    return Operation(
        verb,
        method,
        tree + resource.path,
        frozenset(name.rstrip("!") for name in names) | frozenset(PAGING * (verb == "page")),
        frozenset(name.rstrip("!") for name in names if name.endswith("!")),
        frozenset(keys),
        status,
        resource.listed if verb == "page" else None,
    )
