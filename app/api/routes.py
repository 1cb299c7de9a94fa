"""The whole API on one page: path -> resource -> verbs.

Most paths are mounted twice: below `/v1`, where the account's default service answers, and below
`/v1/Services/{ChatServiceSid}`. What is written here is what both have in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.api import addresses, conversations, messages, participants, receipts
from app.api.call import Verb

SERVICE = "/Services/{ChatServiceSid}"
BOTH = ("", SERVICE)
ACCOUNT = ("",)


@dataclass(frozen=True, slots=True)
class Row:
    """One path: the trees that have it, and what each verb does there."""

    path: str
    trees: tuple[str, ...]
    page: Verb | None = None
    create: Verb | None = None
    fetch: Verb | None = None
    update: Verb | None = None
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
    Row(MESSAGE + "/Receipts", BOTH, page=receipts.page),
    Row(MESSAGE + "/Receipts/{Sid}", BOTH, fetch=receipts.fetch),
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
)


def routes() -> Iterator[Route]:
    """Every operation in every tree that has it."""
    for row in API:
        verbs = (
            ("GET", row.page, 200),
            ("POST", row.create, 201),
            ("GET", row.fetch, 200),
            ("POST", row.update, 200),
            ("DELETE", row.delete, 204),
        )
        for tree in row.trees:
            for method, verb, status in verbs:
                if verb is not None:
                    yield Route(method, tree + row.path, verb, status)
