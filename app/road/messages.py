"""A message comes into being: its place in the conversation, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from app import ids
from app.channels.facts import binding_type
from app.errors import NotFound
from app.model import Conversation, Message, Participant, User
from app.model.conversations import number_group
from app.model.traffic import Member
from app.road import media
from app.road.convoy import Carriage, Load, Stale
from app.road.items import Arrival, Draft
from app.rules.conversations import check_writable
from app.rules.groups import numbers_of
from app.rules.templates import content_of
from app.rules.timers import next_timer
from app.store.road import Met
from app.webhooks import events, tell
from app.webhooks import origin as origins
from app.webhooks.events import Event
from app.webhooks.origin import Origin


def board(item: Arrival | Draft) -> Carriage:
    """A carriage for this item; its message's SID is drawn now, in the order of arrival."""
    if isinstance(item, Draft):
        drawn = item.flow.message_sid if item.flow else None
        return Carriage(item, drawn or ids.new(ids.MESSAGE), item.author, item.conversation_sid)
    sid = item.answered.place.message_sid if item.answered else None
    return Carriage(item, sid or ids.new(ids.MESSAGE), item.inbound.address)


def check_bound(load: Load, carriage: Carriage) -> None:
    """Raises Stale when the conversation of an inbound is closed, or its participant does not hold
    the pair (was removed, or moved). Of a group text, when somebody left it or came in."""
    inbound = carriage.arrival.inbound
    conversation = load.conversations.get(carriage.conversation_sid)
    if conversation is None or conversation.state == "closed":
        raise Stale
    below = load.below[carriage.conversation_sid]
    if below.grouped:
        held = number_group(one.address or one.projected_address or "" for one in below.members)
        numbers = numbers_of(inbound) or number_group((inbound.address, inbound.proxy_address))
        there = held == numbers and any(
            one.sid == carriage.participant_sid for one in below.members
        )
    else:
        pair = carriage.participant_sid, inbound.address, inbound.proxy_address
        there = any((one.sid, one.address, one.proxy_address) == pair for one in below.members)
    if not there:
        raise Stale


def check_postable(conversation: Conversation | None, draft: Draft) -> None:
    """Raises NotFound when the conversation is gone or not in the caller's service, and what the
    states refuse (50377 closed, 50386 initializing)."""
    owner = (draft.account_sid, draft.service_sid)
    if conversation is None or (conversation.account_sid, conversation.chat_service_sid) != owner:
        path = f"/Conversations/{draft.conversation_sid}"
        raise NotFound(20404, f"The requested resource {path} was not found")
    check_writable(cast(Any, conversation.state))


def number(load: Load, carriage: Carriage) -> None:
    """Give the message its index, wake an inactive conversation, put into words what happened."""
    conversation = load.conversations[carriage.conversation_sid]
    origin = _origin(carriage.item)
    if isinstance(carriage.item, Arrival):
        fetched = load.settings.media.fetch
        carriage.media = media.received(conversation, carriage, load.files, fetched=fetched)
    if isinstance(carriage.item, Draft) and carriage.item.media_urls:
        carriage.media = media.linked(conversation, carriage, carriage.item.media_urls)
    conversation.revision += 1  # one for each message: clients follow them by it
    carriage.message = _message(load, conversation, carriage, origin.source)
    conversation.message_count += 1
    if load.new_conversations.get(conversation.sid) is carriage:
        _tell_creation(load, carriage, conversation, origin)
    if _heard(load, conversation.sid, "onMessageAdded", origin):
        inbound = carriage.item.inbound if isinstance(carriage.item, Arrival) else None
        added = events.message_added(
            conversation, carriage.message, carriage.media, origin, inbound
        )
        load.events.append(added)
    if conversation.state == "inactive":
        _wake(load, conversation, origin.aloud)
    elif conversation.grouped and load.new_conversations.get(conversation.sid) is carriage:
        _tell_state(load, conversation, origin.aloud, "initializing")


def _message(load: Load, conversation: Conversation, carriage: Carriage, source: str) -> Message:
    item = carriage.item
    columns: dict[str, Any] = {
        "sid": carriage.message_sid,
        "account_sid": conversation.account_sid,
        "chat_service_sid": conversation.chat_service_sid,
        "conversation_sid": conversation.sid,
        "index": conversation.message_count,
        "author": carriage.author,
        "participant_sid": carriage.participant_sid,
        "source": source,
        "revision": conversation.revision,
    }
    if isinstance(item, Draft):
        carriage.participant_sid = columns["participant_sid"] = _author(load, carriage)
        columns |= _drafted(item, load.now)
    else:
        columns |= _received(item, load.settings.limits.body_bytes_max)
        columns |= _changed(carriage.changes, columns)
    carriage.columns = columns
    # Rows on the road are plain: to build a table's object costs more than the rest of the step.
    dates = {"date_created": load.now, "date_updated": load.now}
    return cast(Message, _Plain(**(dates | columns)))


class _Plain(SimpleNamespace):
    """A message; what few have is written only where it is there."""

    subject = content_sid = content_variables = content_type = content = channel_metadata = None


def _drafted(draft: Draft, now: datetime) -> dict[str, Any]:
    created = draft.date_created or now
    content_type, content = content_of(draft.template)
    return {
        "body": draft.body,
        "subject": draft.subject,
        "attributes": draft.attributes,
        "content_sid": draft.content_sid,
        "content_variables": draft.content_variables,
        "content_type": content_type,
        "content": content,
        "date_created": created,
        "date_updated": draft.date_updated or created,
    }


def _received(arrival: Arrival, bytes_max: int) -> dict[str, Any]:
    """What an inbound says; a body over the limit is cut, and the message says so in its
    attributes."""
    body = arrival.inbound.body
    attributes = "{}"
    if body is not None and len(body) * 4 > bytes_max:
        whole = body.encode()
        if len(whole) > bytes_max:
            body = whole[:bytes_max].decode(errors="ignore")
            attributes = '{"truncated":true}'
    columns: dict[str, Any] = {"body": body or None, "attributes": attributes}
    if arrival.inbound.subject is not None:
        columns["subject"] = arrival.inbound.subject
    if arrival.inbound.channel_metadata is not None:
        columns["channel_metadata"] = arrival.inbound.channel_metadata
    return columns


def _changed(changes: Mapping[str, str], columns: dict[str, Any]) -> dict[str, Any]:
    """What the answer to onMessageAdd changes."""
    return {key: changes[key] for key in ("body", "author", "attributes") if key in changes}


def _author(load: Load, carriage: Carriage) -> str | None:
    """The participant that the author's name or address means, if it is one of them."""
    for member in load.below[carriage.conversation_sid].members:
        if carriage.author in (member.identity, member.address, member.projected_address):
            return member.sid
    return None


def _wake(load: Load, conversation: Conversation, origin: Origin) -> None:
    """A new message makes an inactive conversation active ("States and Timers"); that is always
    told."""
    conversation.state, conversation.state_at = "active", load.now
    due = next_timer(
        "active",
        load.now,
        load.now,
        conversation.inactive_timer_s,
        conversation.closed_timer_s,
    )
    conversation.next_timer_at = due[0] if due else None
    _tell_state(load, conversation, origin, "inactive")


def _tell_state(load: Load, conversation: Conversation, origin: Origin, before: str) -> None:
    if load.wants(conversation.sid, "onConversationStateUpdated"):
        load.events.append(
            events.conversation_state_updated(conversation, origin, before, "EVENT", load.now)
        )


def _tell_creation(
    load: Load, carriage: Carriage, conversation: Conversation, origin: Origin
) -> None:
    role_sid = load.roles[conversation.sid]
    members = load.below[conversation.sid].members
    participants = [_participant(conversation, member, role_sid) for member in members]
    if load.wants(conversation.sid, "onConversationAdded"):
        load.events.append(_conversation_added(carriage, conversation, origin, participants))
    if conversation.sid in load.met and load.wants(conversation.sid, "onUserAdded"):
        met = (_user(conversation, one) for one in load.met[conversation.sid])
        load.events += [events.user_added(user, origin) for user in met]
    if load.wants(conversation.sid, "onParticipantAdded"):
        load.events += [events.participant_added(one, origin) for one in participants]


def _conversation_added(
    carriage: Carriage,
    conversation: Conversation,
    origin: Origin,
    participants: Sequence[Participant],
) -> Event:
    """By its pair; a group text by its numbers, and as if it were not ready yet: the original tells
    when it is."""
    message, files = carriage.message, carriage.media
    if conversation.grouped:
        columns = vars(conversation) | {"state": "initializing"}
        begun = cast(Conversation, SimpleNamespace(**columns))
        inbound = carriage.arrival.inbound
        return events.conversation_added(begun, origin, None, message, files, inbound)
    pair = next(one for one in participants if one.sid == carriage.participant_sid)
    return events.conversation_added(conversation, origin, pair, message, files)


def _participant(conversation: Conversation, member: Member, role_sid: str | None) -> Participant:
    return cast(
        Participant,
        SimpleNamespace(
            sid=member.sid,
            account_sid=conversation.account_sid,
            chat_service_sid=conversation.chat_service_sid,
            conversation_sid=conversation.sid,
            identity=member.identity,
            channel=binding_type(member.channel) if member.channel else None,
            address=member.address,
            proxy_address=member.proxy_address,
            projected_address=member.projected_address,
            role_sid=role_sid,
            attributes="{}",
            date_created=conversation.date_created,
            date_updated=conversation.date_updated,
        ),
    )


def _user(conversation: Conversation, met: Met) -> User:
    return cast(
        User,
        SimpleNamespace(
            sid=met.sid,
            account_sid=conversation.account_sid,
            chat_service_sid=conversation.chat_service_sid,
            identity=met.identity,
            friendly_name=None,
            attributes="{}",
            role_sid=met.role_sid,
            date_created=conversation.date_created,
            date_updated=conversation.date_updated,
        ),
    )


def _heard(load: Load, conversation_sid: str, event: str, origin: Origin) -> bool:
    """Whether anybody hears of this event; if not, it need not be put into words."""
    targets = load.below[conversation_sid].targets
    return any(tell.hears(target, event, origin) for target in targets)


def _origin(item: Arrival | Draft) -> Origin:
    """Where a message comes from; one that was posted says whether its caller wants it told."""
    if isinstance(item, Draft):
        if item.flow is not None:
            return origins.FLOW
        if item.client is not None:
            return origins.sdk(item.client)
        return origins.of(item.source, quiet=not item.tell)
    return origins.carrier(item.inbound.channel)
