"""Participants ("Conversation Participant Resource")."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.conversations import DATE_CREATED, DATE_UPDATED, SOURCE
from app.api.forms import Form
from app.api.joining import check_room, claim
from app.api.page import Listing
from app.api.parameters import cleared
from app.api.parent import locked, named, writable
from app.api.scope import Links
from app.channels.facts import binding_type
from app.clock import iso_seconds
from app.errors import Invalid
from app.model import Conversation, Participant
from app.rules import participants as rules
from app.rules.conversations import check_attributes
from app.rules.participants import Shape
from app.store import bindings, conversations, participants
from app.store.database import Tx
from app.webhooks import events

IDENTITY = kinds.text("Identity")
ADDRESS = kinds.text("MessagingBinding.Address")
PROXY_ADDRESS = kinds.text("MessagingBinding.ProxyAddress")
PROJECTED_ADDRESS = kinds.text("MessagingBinding.ProjectedAddress")
ATTRIBUTES = kinds.text("Attributes", check_attributes)
ROLE_SID = kinds.sid("RoleSid", ids.ROLE, 50109, "Conversation role not found")
LAST_READ_INDEX = kinds.nullable(
    kinds.integer(
        "LastReadMessageIndex",
        kinds.INTEGER_MAX,
        50421,
        "Invalid last read message index format",
    )
)
LAST_READ_TIMESTAMP = kinds.nullable(
    kinds.moment("LastReadTimestamp", 50405, "Invalid last consumption timestamp format")
)

LISTING = Listing("participants", (str,), size=50, size_max=100)


@takes()
async def page(call: Call) -> dict[str, Any]:
    """Who is in a conversation, in the order in which they joined."""
    async with call.begin() as (tx, scope):
        conversation = await named(call, tx, scope)
        wanted = call.wanted(LISTING)
        rows = await participants.page(tx, conversation.sid, wanted.slice)
    return wanted.answer(rows, participants.key, partial(show, links=call.links))


@takes(
    IDENTITY,
    ADDRESS,
    PROXY_ADDRESS,
    PROJECTED_ADDRESS,
    ATTRIBUTES,
    ROLE_SID,
    DATE_CREATED,
    DATE_UPDATED,
)
async def create(call: Call) -> dict[str, Any]:
    """Somebody joins: an identity, or an address that is bound to one of ours."""
    async with call.begin() as (tx, scope):
        parent = await named(call, tx, scope)
        participant = _new(parent, _shape(call), call.form, tx.now)
        writable(parent)
        if participant.address is not None:
            await claim(tx, participant)
        conversation = await locked(call, tx, parent.sid)
        await check_room(tx, conversation, participant, call.runtime.settings)
        await tx.add(participant)
        await conversations.touch(tx, conversation.sid)
        await call.tell(tx, events.participant_added(participant, SOURCE))
    return show(participant, call.links)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One participant, by SID or identity."""
    async with call.begin() as (tx, scope):
        conversation = await named(call, tx, scope)
        participant = await _named(call, tx, conversation)
    return show(participant, call.links)


@takes(
    IDENTITY,
    PROXY_ADDRESS,
    PROJECTED_ADDRESS,
    ATTRIBUTES,
    ROLE_SID,
    LAST_READ_INDEX,
    LAST_READ_TIMESTAMP,
    DATE_CREATED,
    DATE_UPDATED,
)
async def update(call: Call) -> dict[str, Any]:
    """Change a participant: attributes, read horizon, the address of ours that talks to it."""
    async with call.begin() as (tx, scope):
        parent = await named(call, tx, scope)
        sid = (was := await _named(call, tx, parent)).sid
        writable(parent)
        proxy = _proxy(was, call)
        if proxy != was.proxy_address:
            was.proxy_address = proxy
            await bindings.release(tx, sid)
            await claim(tx, was)
        await locked(call, tx, parent.sid)
        participant = call.found(await participants.find(tx, parent.sid, sid))
        participant.proxy_address = proxy
        _apply(participant, call.form, tx.now)
        await participants.write(tx, participant)
        await conversations.touch(tx, parent.sid)
        await call.tell(tx, events.participant_updated(participant, SOURCE))
    return show(participant, call.links)


@takes()
async def delete(call: Call) -> None:
    """Remove a participant; its pair is free at once."""
    async with call.begin() as (tx, scope):
        parent = await named(call, tx, scope)
        participant = await _named(call, tx, parent)
        await bindings.release(tx, participant.sid)
        await locked(call, tx, parent.sid)
        if not await participants.remove(tx, participant.sid):
            raise call.missing()
        await conversations.touch(tx, parent.sid)
        await call.tell(tx, events.participant_removed(participant, SOURCE, tx.now))


def show(participant: Participant, links: Links) -> dict[str, Any]:
    """The resource."""
    conversation = links.conversation(participant.conversation_sid)
    read_at = participant.last_read_timestamp
    return {
        "account_sid": participant.account_sid,
        **links.shown(participant.chat_service_sid),
        "conversation_sid": participant.conversation_sid,
        "sid": participant.sid,
        "identity": participant.identity,
        "attributes": participant.attributes,
        "messaging_binding": _binding(participant),
        "role_sid": participant.role_sid,
        "date_created": iso_seconds(participant.date_created),
        "date_updated": iso_seconds(participant.date_updated),
        "url": f"{conversation}/Participants/{participant.sid}",
        "last_read_message_index": participant.last_read_message_index,
        "last_read_timestamp": None if read_at is None else iso_seconds(read_at),
    }


def _binding(participant: Participant) -> dict[str, str] | None:
    """The `messaging_binding` object: only what this kind of participant has."""
    addresses = {
        "address": participant.address,
        "proxy_address": participant.proxy_address,
        "projected_address": participant.projected_address,
    }
    given = {name: address for name, address in addresses.items() if address is not None}
    return {"type": binding_type(participant.channel or "sms"), **given} if given else None


async def _named(call: Call, tx: Tx, conversation: Conversation) -> Participant:
    return call.found(await participants.find(tx, conversation.sid, call.key("Sid")))


def _shape(call: Call) -> Shape:
    given = (call.form.get(name) for name in (IDENTITY, ADDRESS, PROXY_ADDRESS, PROJECTED_ADDRESS))
    return rules.shape(*given, ours=call.runtime.settings.senders_by_address)


def _new(conversation: Conversation, shape: Shape, form: Form, now: datetime) -> Participant:
    created = form.get(DATE_CREATED, now)
    return Participant(
        sid=ids.new(ids.PARTICIPANT),
        account_sid=conversation.account_sid,
        chat_service_sid=conversation.chat_service_sid,
        conversation_sid=conversation.sid,
        identity=shape.identity,
        channel=shape.channel,
        address=shape.address,
        proxy_address=shape.proxy_address,
        attributes=form.get(ATTRIBUTES, "{}"),
        role_sid=form.get(ROLE_SID),
        date_created=created,
        date_updated=form.get(DATE_UPDATED, created),
    )


def _proxy(participant: Participant, call: Call) -> str | None:
    """The address of ours that shall talk to the participant: another one, or as it is.

    Raises Invalid and Forbidden, also for identities and projected addresses that cannot change.
    """
    form = call.form
    _refuse_group(participant, form)
    if PROXY_ADDRESS not in form:
        return participant.proxy_address
    if cleared(form[PROXY_ADDRESS]):
        raise Invalid(50440, "Failed to remove the proxy address of a participant")
    if participant.address is None:
        raise Invalid(50441, "Failed to add a proxy address to a participant")
    ours = call.runtime.settings.senders_by_address
    proxy = rules.check_proxy(participant.address, form[PROXY_ADDRESS], ours)
    if proxy == participant.proxy_address:
        raise Invalid(50441, "Failed to add a proxy address to a participant")
    return proxy


def _refuse_group(participant: Participant, form: Form) -> None:
    """Identities and projected addresses change in group conversations only."""
    if IDENTITY in form and form[IDENTITY] != participant.identity:
        raise Invalid(50444, "Failed to add an identity to a participant")
    if PROJECTED_ADDRESS not in form:
        return
    if cleared(form[PROJECTED_ADDRESS]):
        raise Invalid(50442, "Failed to remove the projected address of a participant")
    raise Invalid(50443, "Failed to add a projected address to a participant")


def _apply(participant: Participant, form: Form, now: datetime) -> None:
    p = participant
    p.attributes = form.get(ATTRIBUTES, p.attributes)
    p.role_sid = form.get(ROLE_SID, p.role_sid)
    if LAST_READ_INDEX in form:
        p.last_read_message_index = form[LAST_READ_INDEX]
        p.last_read_timestamp = None if form[LAST_READ_INDEX] is None else now
    p.last_read_timestamp = form.get(LAST_READ_TIMESTAMP, p.last_read_timestamp)
    p.date_created = form.get(DATE_CREATED, p.date_created)
    p.date_updated = form.get(DATE_UPDATED, now)
