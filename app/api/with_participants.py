"""Conversations with participants ("Conversation with Participants Resource"): one request makes a
conversation and everybody in it, or nothing.

The original answers while it is `initializing` and adds the participants afterwards; here all are
there when the answer comes. Events tell of it in the original's order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from app.api import conversations as conversation_api
from app.api import participants as participant_api
from app.api.call import Call, takes
from app.api.choosing import Choice, choose, keep
from app.api.forms import Form, Parameter
from app.api.grouping import regroup_all
from app.api.joining import check_room, claim_all, enrol, role
from app.errors import Invalid, Refused
from app.model import Conversation, Participant, User
from app.runtime import Runtime
from app.store import conversations, participants
from app.store.database import Tx
from app.store.scope import Scope
from app.webhooks import events, proposals
from app.webhooks.events import Event
from app.webhooks.origin import Origin

MALFORMED = (50424, "One of the JSON requests for participant creation is invalid")
TOO_MANY = (50426, "Request contains too many participants")
BINDING, ATTRIBUTES = "messagingbinding", "attributes"
KNOWN = {BINDING} | {parameter.name.lower() for parameter in participant_api.NEW}

Sent = list[tuple[str, str]]


def _read(texts: Sequence[str]) -> list[Sent]:
    return [_parse(text) for text in texts]


PARTICIPANTS: Parameter[list[Sent]] = Parameter(
    "Participant", _read, {"type": "array", "items": {"type": "string"}}
)


async def _adding(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    """In the original's order: the conversation, then everybody in it."""
    conversation, joining, _ = await _described(call, tx, scope)
    first = proposals.conversation_add(_beginning(conversation), call.origin)
    return [first, *(proposals.participant_add(one, call.origin) for one in joining)]


@takes(*conversation_api.BOTH, conversation_api.INITIAL_STATE, PARTICIPANTS, asks=_adding)
async def create(call: Call) -> dict[str, Any]:
    """A new conversation with up to ten participants; refused whole when one of them is."""
    settings = call.runtime.settings
    async with call.begin() as (tx, scope):
        conversation, joining, choices = await _described(call, tx, scope)
        await claim_all(tx, joining)
        await keep(tx, choices)
        conversation.grouped = await regroup_all(tx, joining, settings)
        met: list[User] = []
        for identity in sorted({one.identity for one in joining if one.identity is not None}):
            met += await enrol(tx, scope, identity, settings)
        await conversations.add(tx, conversation)
        for one in joining:
            await check_room(tx, conversation, one, settings)
            await participants.add(tx, one)
        await conversations.touch(tx, conversation.sid)
        await call.tell(tx, *_happened(conversation, met, joining, call.origin, tx.now))
    return conversation_api.show(conversation, call.links)


async def _described(
    call: Call, tx: Tx, scope: Scope
) -> tuple[Conversation, list[Participant], list[Choice]]:
    """The conversation and everybody in it, not kept yet, and who was given which sender."""
    given = await conversations.defaults(tx, scope.account_sid)
    conversation = conversation_api.new(call, scope, given, tx.now)
    joining = _joining(conversation, call.form, call.runtime, tx.now)
    for one in joining:
        one.role_sid = await role(tx, scope, one.role_sid)
    return conversation, joining, await choose(tx, joining, call.runtime.settings)


def _joining(
    conversation: Conversation, form: Form, runtime: Runtime, now: datetime
) -> list[Participant]:
    """Everybody who joins. Raises Invalid 50426, and what is wrong with one of them; which one, by
    its place in the request, is in `details`."""
    given, settings = form.get(PARTICIPANTS, []), runtime.settings
    if len(given) > settings.limits.participants_at_once_max:
        raise Invalid(*TOO_MANY)
    joining = []
    for place, sent in enumerate(given):
        try:
            one = Form(sent, participant_api.NEW, settings.limits)
            shape = participant_api.shape(one, runtime, conversation.email_address)
        except Refused as refused:
            details = {**(refused.details or {}), "participant": place}
            raise type(refused)(refused.code, refused.message, details) from refused
        joining.append(participant_api.new(conversation, shape, one, now))
    return joining


def _happened(
    conversation: Conversation,
    met: Sequence[User],
    joined: Sequence[Participant],
    origin: Origin,
    now: datetime,
) -> Iterator[Event]:
    """What the original tells: it begins as `initializing`, and becomes what it is at the end,
    which nobody did and is told whether or not the caller asked for that."""
    yield events.conversation_added(_beginning(conversation), origin)
    yield from (events.user_added(user, origin) for user in met)
    yield from (events.participant_added(one, origin) for one in joined)
    yield events.conversation_state_updated(
        conversation, origin.aloud, "initializing", "EVENT", now
    )


def _beginning(conversation: Conversation) -> Conversation:
    return conversation.model_copy(update={"state": "initializing"})


def _parse(text: str) -> Sent:
    """The parameters in a JSON object, under the names that a form gives them. Raises Invalid
    50424."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Invalid(*MALFORMED) from None
    if not isinstance(value, dict):
        raise Invalid(*MALFORMED)
    return list(_named(value, ""))


def _named(value: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    """Names in either spelling, `messaging_binding: {proxy_address}` or
    `MessagingBinding.ProxyAddress`; null is what was not sent. Raises Invalid 50424."""
    for key, inner in value.items():
        name = above + key.replace("_", "").lower()
        if name == BINDING and isinstance(inner, dict):
            yield from _named(inner, f"{BINDING}.")
        elif name == ATTRIBUTES and isinstance(inner, dict):
            yield name, orjson.dumps(inner).decode()
        elif isinstance(inner, str) and name != BINDING:
            yield name, inner
        elif inner is not None and name in KNOWN:
            raise Invalid(*MALFORMED)
