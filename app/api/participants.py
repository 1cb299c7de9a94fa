"""Participants ("Conversation Participant Resource")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.choosing import choose, claim_one
from app.api.conversations import DATE_CREATED, DATE_UPDATED
from app.api.forms import Form
from app.api.grouping import check_alike, regroup, settle
from app.api.joining import check_new, check_room, enrol, role
from app.api.page import Listing
from app.api.parameters import attributes, cleared
from app.api.parent import lock, locked, named, writable
from app.api.reading import LAST_READ_INDEX, LAST_READ_TIMESTAMP, read
from app.api.scope import Links
from app.channels.facts import binding_type
from app.clock import iso_seconds
from app.errors import Invalid
from app.model import Conversation, Participant
from app.rules import participants as rules
from app.rules.participants import Ours, Shape
from app.rules.pools import pools
from app.runtime import Runtime
from app.store import bindings, conversations, participants
from app.store.database import Tx
from app.store.scope import Scope
from app.webhooks import events, proposals
from app.webhooks.events import Event
from app.webhooks.origin import Origin

IDENTITY = kinds.text("Identity")
ADDRESS = kinds.text("MessagingBinding.Address")
PROXY_ADDRESS = kinds.text("MessagingBinding.ProxyAddress")
PROJECTED_ADDRESS = kinds.text("MessagingBinding.ProjectedAddress")
# Of participants on e-mail alone: how they are called, and whether in To or Cc. Not served yet.
NAME = kinds.text("MessagingBinding.Name")
LEVEL = kinds.text("MessagingBinding.Level")
ATTRIBUTES = kinds.limited("Attributes", attributes)
ROLE_SID = kinds.sid("RoleSid", ids.ROLE, 50109, "Conversation role not found")
NEW = (
    IDENTITY,
    ADDRESS,
    PROXY_ADDRESS,
    PROJECTED_ADDRESS,
    NAME,
    LEVEL,
    ATTRIBUTES,
    ROLE_SID,
    DATE_CREATED,
    DATE_UPDATED,
)
TOO_MUCH = (
    50420,
    "Participant Messaging Binding type does not support all of the provided Messaging Binding"
    " parameters",
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


async def _adding(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    parent = await named(call, tx, scope)
    described = shape(call.form, call.runtime, await _mailing(tx, parent, call.form))
    participant = new(parent, described, call.form, tx.now)
    participant.role_sid = await role(tx, scope, participant.role_sid)
    writable(parent)
    await choose(tx, [participant], call.runtime.settings)
    return [proposals.participant_add(participant, call.origin)]


@takes(*NEW, asks=_adding)
async def create(call: Call) -> dict[str, Any]:
    """Somebody joins: an identity, or an address that is bound to one of ours."""
    async with call.begin() as (tx, scope):
        parent = await named(call, tx, scope)
        form, runtime = call.form, call.runtime
        participant, happened = await join(tx, scope, parent, form, runtime, call.origin)
        await call.tell(tx, *happened)
    return show(participant, call.links)


async def join(
    tx: Tx, scope: Scope, parent: Conversation, form: Form, runtime: Runtime, origin: Origin
) -> tuple[Participant, list[Event]]:
    """Somebody whom a form describes joins a conversation; gives what is to be told. Raises
    Refused; NotFound when the conversation is gone."""
    settings = runtime.settings
    described = shape(form, runtime, await _mailing(tx, parent, form))
    participant = new(parent, described, form, tx.now)
    participant.role_sid = await role(tx, scope, participant.role_sid)
    writable(parent)
    await claim_one(tx, participant, settings)
    group = await regroup(tx, None, participant, settings)
    met = await enrol(tx, scope, participant.identity, settings)
    conversation = await lock(tx, parent.sid)
    await check_room(tx, conversation, participant, settings)
    await participants.add(tx, participant)
    await settle(tx, conversation, group)
    await conversations.touch(tx, conversation.sid)
    happened = [events.user_added(user, origin) for user in met]
    return participant, [*happened, events.participant_added(participant, origin)]


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One participant, by SID or identity."""
    async with call.begin() as (tx, scope):
        conversation = await named(call, tx, scope)
        participant = await _named(call, tx, conversation)
    return show(participant, call.links)


async def _updating(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    parent = await named(call, tx, scope)
    participant = await _named(call, tx, parent)
    changes = await _changes(call, tx, scope, participant)
    writable(parent)
    _apply(participant, call.form, tx.now, changes)
    await choose(tx, [participant], call.runtime.settings)
    return [proposals.participant_update(participant, call.origin)]


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
    asks=_updating,
)
async def update(call: Call) -> dict[str, Any]:
    """Change a participant: attributes, read horizon, the address of ours that talks to it."""
    async with call.begin() as (tx, scope):
        parent = await named(call, tx, scope)
        sid = (was := await _named(call, tx, parent)).sid
        changes = await _changes(call, tx, scope, was)
        writable(parent)
        will = Participant(**was.model_dump() | changes)
        if "proxy_address" in changes:
            await bindings.release(tx, sid)
            await claim_one(tx, will, call.runtime.settings)
            changes["proxy_address"] = will.proxy_address
        group = await regroup(tx, was, will, call.runtime.settings) if changes else None
        met = await enrol(tx, scope, changes.get("identity"), call.runtime.settings)
        conversation = await locked(call, tx, parent.sid)
        await check_new(tx, conversation, changes.get("identity"))
        participant = call.found(await participants.find(tx, parent.sid, sid))
        _apply(participant, call.form, tx.now, changes)
        await participants.write(tx, participant)
        if group is not None:
            await check_alike(tx, participant)
            await settle(tx, conversation, group)
        await conversations.touch(tx, parent.sid)
        happened = [events.user_added(user, call.origin) for user in met]
        await call.tell(tx, *happened, events.participant_updated(participant, call.origin))
    return show(participant, call.links)


async def _removing(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    parent = await named(call, tx, scope)
    participant = await _named(call, tx, parent)
    writable(parent)
    return [proposals.participant_remove(participant, call.origin)]


@takes(asks=_removing)
async def delete(call: Call) -> None:
    """Remove a participant; its pair is free at once."""
    async with call.begin() as (tx, scope):
        parent = await named(call, tx, scope)
        participant = await _named(call, tx, parent)
        await bindings.release(tx, participant.sid)
        group = await regroup(tx, participant, None, call.runtime.settings)
        conversation = await locked(call, tx, parent.sid)
        if not await participants.remove(tx, participant.sid):
            raise call.missing()
        await settle(tx, conversation, group)
        await conversations.touch(tx, parent.sid)
        await call.tell(tx, events.participant_removed(participant, call.origin, tx.now))


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


@dataclass(frozen=True, slots=True)
class Grouping:
    """The addresses of ours that can be in a group text: they carry mms, and their carrier sends
    group texts."""

    runtime: Runtime

    def __contains__(self, address: object) -> bool:
        settings = self.runtime.settings
        if address not in settings.grouping_senders:
            return False
        carrier = self.runtime.carriers.get(settings.senders_by_address[str(address)].carrier)
        return carrier is None or carrier.groups


async def _mailing(tx: Tx, conversation: Conversation, form: Form) -> str | None:
    """The address of ours that somebody who joins on e-mail will talk to: the conversation's, else
    the one that those who are in it on e-mail talk to."""
    if conversation.email_address is not None or "@" not in form.get(ADDRESS, ""):
        return conversation.email_address
    return await participants.mailed_by(tx, conversation.sid)


def shape(form: Form, runtime: Runtime, mailing: str | None) -> Shape:
    """What kind of participant a form describes; who is on e-mail talks to `mailing`. Raises
    Invalid, Forbidden."""
    given = (form.get(name) for name in (IDENTITY, ADDRESS, PROXY_ADDRESS, PROJECTED_ADDRESS))
    found = rules.shape(
        *given,
        ours=_ours(runtime, mailing),
        identity_chars_max=runtime.settings.limits.identity_chars_max,
    )
    if NAME in form or LEVEL in form:
        raise Invalid(*TOO_MUCH)
    return found


def new(conversation: Conversation, shape: Shape, form: Form, now: datetime) -> Participant:
    """The participant that a form describes, not kept yet; its role is the one that was asked for,
    if any was."""
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
        projected_address=shape.projected_address,
        attributes=form.get(ATTRIBUTES, "{}"),
        role_sid=form.get(ROLE_SID),
        date_created=created,
        date_updated=form.get(DATE_UPDATED, created),
    )


async def _changes(
    call: Call, tx: Tx, scope: Scope, participant: Participant
) -> dict[str, str | None]:
    """What changes of how the participant is reached, identity and addresses, and of its role, by
    column. Raises Invalid, Forbidden, NotFound 50109."""
    form, ours = call.form, _ours(call.runtime)
    asked: dict[str, str | None] = {}
    if IDENTITY in form:
        most = call.runtime.settings.limits.identity_chars_max
        wanted = _kept(form[IDENTITY])
        asked["identity"] = rules.new_identity(participant, wanted, chars_max=most)
    if PROJECTED_ADDRESS in form:
        wanted = _kept(form[PROJECTED_ADDRESS])
        asked["projected_address"] = rules.new_projected(participant, wanted, ours)
        asked["channel"] = None if wanted is None else "sms"
    if PROXY_ADDRESS in form:
        wanted = _kept(form[PROXY_ADDRESS])
        asked["proxy_address"] = rules.new_proxy(participant, wanted, ours)
    changes = {name: to for name, to in asked.items() if to != getattr(participant, name)}
    if ROLE_SID in form:
        changes["role_sid"] = await role(tx, scope, form[ROLE_SID])
    return changes


def _ours(runtime: Runtime, mailing: str | None = None) -> Ours:
    settings = runtime.settings
    most = settings.limits.address_chars_max
    return Ours(settings.senders_by_address, Grouping(runtime), most, mailing, pools(settings))


def _kept(text: str) -> str | None:
    return None if cleared(text) else text


def _apply(
    participant: Participant, form: Form, now: datetime, changes: dict[str, str | None]
) -> None:
    p = participant
    for column, value in changes.items():
        setattr(p, column, value)
    p.attributes = form.get(ATTRIBUTES, p.attributes)
    read(p, form, now)
    p.date_created = form.get(DATE_CREATED, p.date_created)
    p.date_updated = form.get(DATE_UPDATED, now)
