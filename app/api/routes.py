"""The whole API on one page: path -> resource -> verbs.

Most paths are mounted twice: below `/v1`, where the account's default service answers, and below
`/v1/Services/{ChatServiceSid}`. What is written here is what both have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.api import (
    addresses,
    channel_metadata,
    channels,
    configuration,
    content_approvals,
    contents,
    conversations,
    credentials,
    event_log,
    event_schemas,
    event_types,
    export,
    media,
    messages,
    notifications,
    participant_conversations,
    participants,
    push_bindings,
    receipts,
    roles,
    scoped_webhooks,
    search,
    service_configuration,
    services,
    sinks,
    subscribed_events,
    subscriptions,
    user_conversations,
    users,
    webhook_configuration,
    with_participants,
)
from app.api.call import Verb

SERVICE = "/Services/{ChatServiceSid}"
BOTH = ("", SERVICE)
ACCOUNT = ("",)
SERVICES = (SERVICE,)


@dataclass(frozen=True, slots=True)
class Row:
    """One path: the trees that have it, and what each verb does there."""

    path: str
    trees: tuple[str, ...]
    page: Verb | None = None
    create: Verb | None = None
    fetch: Verb | None = None
    update: Verb | None = None
    replace: Verb | None = None
    delete: Verb | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: `status` is what it answers when all goes well."""

    method: str
    path: str
    verb: Verb
    status: int


CONVERSATION = "/Conversations/{ConversationSid}"
MESSAGE = CONVERSATION + "/Messages/{MessageSid}"

API = (
    Row(
        "/Conversations",
        BOTH,
        page=conversations.page,
        create=conversations.create,
    ),
    Row(
        "/Conversations/{Sid}",
        BOTH,
        fetch=conversations.fetch,
        update=conversations.update,
        delete=conversations.delete,
    ),
    Row(
        CONVERSATION + "/Participants",
        BOTH,
        page=participants.page,
        create=participants.create,
    ),
    Row(
        CONVERSATION + "/Participants/{Sid}",
        BOTH,
        fetch=participants.fetch,
        update=participants.update,
        delete=participants.delete,
    ),
    Row(
        CONVERSATION + "/Messages",
        BOTH,
        page=messages.page,
        create=messages.create,
    ),
    Row(
        CONVERSATION + "/Messages/{Sid}",
        BOTH,
        fetch=messages.fetch,
        update=messages.update,
        delete=messages.delete,
    ),
    Row(MESSAGE + "/ChannelMetadata", BOTH, fetch=channel_metadata.fetch),
    Row(MESSAGE + "/Receipts", BOTH, page=receipts.page),
    Row(MESSAGE + "/Receipts/{Sid}", BOTH, fetch=receipts.fetch),
    Row(
        CONVERSATION + "/Webhooks",
        BOTH,
        page=scoped_webhooks.page,
        create=scoped_webhooks.create,
    ),
    Row(
        CONVERSATION + "/Webhooks/{Sid}",
        BOTH,
        fetch=scoped_webhooks.fetch,
        update=scoped_webhooks.update,
        delete=scoped_webhooks.delete,
    ),
    Row(CONVERSATION + "/Export", BOTH, fetch=export.fetch),
    Row("/Messages/Search", BOTH, page=search.page),
    Row("/ConversationWithParticipants", BOTH, create=with_participants.create),
    Row("/ParticipantConversations", BOTH, page=participant_conversations.page),
    Row("/Roles", BOTH, page=roles.page, create=roles.create),
    Row(
        "/Roles/{Sid}",
        BOTH,
        fetch=roles.fetch,
        update=roles.update,
        delete=roles.delete,
    ),
    Row("/Users", BOTH, page=users.page, create=users.create),
    Row(
        "/Users/{Sid}",
        BOTH,
        fetch=users.fetch,
        update=users.update,
        delete=users.delete,
    ),
    Row("/Users/{UserSid}/Conversations", BOTH, page=user_conversations.page),
    Row(
        "/Users/{UserSid}/Conversations/{ConversationSid}",
        BOTH,
        fetch=user_conversations.fetch,
        update=user_conversations.update,
        delete=user_conversations.delete,
    ),
    Row(
        configuration.PATH,
        ACCOUNT,
        fetch=configuration.fetch,
        update=configuration.update,
    ),
    Row(
        service_configuration.PATH,
        SERVICES,
        fetch=service_configuration.fetch,
        update=service_configuration.update,
    ),
    Row(
        notifications.PATH,
        SERVICES,
        fetch=notifications.fetch,
        update=notifications.update,
    ),
    Row(
        webhook_configuration.PATH,
        BOTH,
        fetch=webhook_configuration.fetch,
        update=webhook_configuration.update,
    ),
    Row(
        addresses.PATH,
        ACCOUNT,
        page=addresses.page,
        create=addresses.create,
    ),
    Row(
        addresses.PATH + "/{Sid}",
        ACCOUNT,
        fetch=addresses.fetch,
        update=addresses.update,
        delete=addresses.delete,
    ),
    Row(
        credentials.PATH,
        ACCOUNT,
        page=credentials.page,
        create=credentials.create,
    ),
    Row(
        credentials.PATH + "/{Sid}",
        ACCOUNT,
        fetch=credentials.fetch,
        update=credentials.update,
        delete=credentials.delete,
    ),
    Row(
        services.PATH,
        ACCOUNT,
        page=services.page,
        create=services.create,
    ),
    Row(
        services.PATH + "/{Sid}",
        ACCOUNT,
        fetch=services.fetch,
        delete=services.delete,
    ),
    Row("/Media", SERVICES, create=media.create),
    Row("/Media/{Sid}", SERVICES, fetch=media.fetch),
    Row("/Media/{Sid}/Content", SERVICES, fetch=media.content),
    Row("/Bindings", SERVICES, page=push_bindings.page),
    Row(
        "/Bindings/{Sid}",
        SERVICES,
        fetch=push_bindings.fetch,
        delete=push_bindings.delete,
    ),
    Row(contents.PATH, ACCOUNT, page=contents.page, create=contents.create),
    Row(
        contents.PATH + "/{Sid}",
        ACCOUNT,
        fetch=contents.fetch,
        replace=contents.replace,
        delete=contents.delete,
    ),
    Row(contents.PATH + "/{Sid}/ApprovalRequests", ACCOUNT, fetch=content_approvals.fetch),
    Row(
        contents.PATH + "/{Sid}/ApprovalRequests/whatsapp",
        ACCOUNT,
        create=content_approvals.create,
    ),
    Row(contents.APPROVALS_PATH, ACCOUNT, page=contents.page_with_approvals),
    Row(contents.LEGACY_PATH, ACCOUNT, page=contents.page_legacy),
    Row(sinks.PATH, ACCOUNT, page=sinks.page, create=sinks.create),
    Row(
        sinks.PATH + "/{Sid}",
        ACCOUNT,
        fetch=sinks.fetch,
        update=sinks.update,
        delete=sinks.delete,
    ),
    Row(sinks.PATH + "/{Sid}/Test", ACCOUNT, create=sinks.test),
    Row(sinks.PATH + "/{Sid}/Validate", ACCOUNT, create=sinks.validate),
    Row(subscriptions.PATH, ACCOUNT, page=subscriptions.page, create=subscriptions.create),
    Row(
        subscriptions.PATH + "/{Sid}",
        ACCOUNT,
        fetch=subscriptions.fetch,
        update=subscriptions.update,
        delete=subscriptions.delete,
    ),
    Row(
        subscribed_events.PATH,
        ACCOUNT,
        page=subscribed_events.page,
        create=subscribed_events.create,
    ),
    Row(
        subscribed_events.PATH + "/{Type}",
        ACCOUNT,
        fetch=subscribed_events.fetch,
        update=subscribed_events.update,
        delete=subscribed_events.delete,
    ),
    Row(event_types.PATH, ACCOUNT, page=event_types.page),
    Row(event_types.PATH + "/{Type}", ACCOUNT, fetch=event_types.fetch),
    Row(event_schemas.PATH + "/{Id}", ACCOUNT, fetch=event_schemas.fetch),
    Row(event_schemas.VERSIONS_PATH, ACCOUNT, page=event_schemas.page),
    Row(
        event_schemas.VERSIONS_PATH + "/{SchemaVersion}",
        ACCOUNT,
        fetch=event_schemas.fetch_version,
    ),
    Row(
        event_schemas.VERSIONS_PATH + "/{SchemaVersion}/Raw",
        ACCOUNT,
        fetch=event_schemas.fetch_raw,
    ),
    Row(event_log.PATH, ACCOUNT, fetch=event_log.fetch),
)


# What is left of Programmable Chat, below `/v3`.
CHAT = (Row(channels.PATH, ACCOUNT, update=channels.update),)


def routes() -> Iterator[Route]:
    """Every operation in every tree that has it."""
    return mounted(API)


def chat_routes() -> Iterator[Route]:
    """The operations below `/v3`."""
    return mounted(CHAT)


def mounted(rows: Sequence[Row]) -> Iterator[Route]:
    """The operations of these paths, in the trees that have them."""
    for row in rows:
        verbs = (
            ("GET", row.page, 200),
            ("POST", row.create, 201),
            ("GET", row.fetch, 200),
            ("POST", row.update, 200),
            ("PUT", row.replace, 200),
            ("DELETE", row.delete, 204),
        )
        for tree in row.trees:
            for method, verb, status in verbs:
                if verb is not None:
                    yield Route(method, tree + row.path, verb, status)
