"""Conversations ("Conversation Resource", "States and Timers")."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, cast

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.forms import INVALID, Form, Parameter
from app.api.page import Listing
from app.api.parent import locked, named, writable
from app.api.scope import Links
from app.channels.address import channel_of, normalise
from app.clock import iso_seconds
from app.errors import Invalid
from app.model import Conversation
from app.model.conversations import State
from app.rules import conversations as rules
from app.rules import timers
from app.settings.models import LimitSettings
from app.store import bindings, conversations, running
from app.store.conversations import Defaults, Filter
from app.store.database import Tx
from app.store.scope import Scope
from app.webhooks import events, proposals
from app.webhooks.events import Event
from app.webhooks.origin import Origin

STATES = {state: state for state in ("initializing", "active", "inactive", "closed")}
EMAIL_CHARS_MAX = 256


def friendly_name(text: str, limits: LimitSettings) -> str | None:
    """A friendly name; nothing clears it. Raises Invalid 50003."""
    most = limits.friendly_name_chars_max
    return rules.check_friendly_name(text, chars_max=most) if text else None


def _attributes(text: str, limits: LimitSettings) -> str:
    return rules.check_attributes(text, bytes_max=limits.conversation_attributes_bytes_max)


def _unique_name(text: str, limits: LimitSettings) -> str | None:
    most = limits.unique_name_chars_max
    return rules.check_unique_name(text, chars_max=most) if text else None


def _email_address(text: str) -> str:
    """An e-mail address as it was given; whether it is a sender's is asked where somebody joins by
    it. Raises Invalid 20001."""
    try:
        if len(text) <= EMAIL_CHARS_MAX and channel_of(normalise(text)) == "email":
            return text
    except ValueError:
        pass
    name, reason = "Bindings.Email.Address", "an e-mail address is written name@domain"
    raise Invalid(INVALID, f"Invalid {name}", {"parameter": name, "reason": reason})


FRIENDLY_NAME = kinds.limited("FriendlyName", friendly_name)
UNIQUE_NAME = kinds.limited("UniqueName", _unique_name)
ATTRIBUTES = kinds.limited("Attributes", _attributes)
MESSAGING_SERVICE_SID = kinds.sid(
    "MessagingServiceSid", ids.MESSAGING_SERVICE, 50341, "Invalid messaging service SID"
)
INITIAL_STATE = kinds.text("State", rules.check_initial_state)
NEW_STATE = kinds.text("State")
INACTIVE_TIMER: Parameter[int | None] = Parameter(
    "Timers.Inactive", lambda texts: timers.parse_timer("Inactive", texts[-1])
)
CLOSED_TIMER: Parameter[int | None] = Parameter(
    "Timers.Closed", lambda texts: timers.parse_timer("Closed", texts[-1])
)
EMAIL_ADDRESS = kinds.clearable("Bindings.Email.Address", _email_address)
EMAIL_NAME = kinds.short(
    "Bindings.Email.Name", EMAIL_CHARS_MAX, INVALID, "Invalid Bindings.Email.Name"
)
DATE_CREATED = kinds.moment("DateCreated", 50308, "Invalid Date Created parameter")
DATE_UPDATED = kinds.moment("DateUpdated", 50309, "Invalid Date Updated parameter")
BOTH = (
    FRIENDLY_NAME,
    UNIQUE_NAME,
    ATTRIBUTES,
    MESSAGING_SERVICE_SID,
    INACTIVE_TIMER,
    CLOSED_TIMER,
    EMAIL_ADDRESS,
    EMAIL_NAME,
    DATE_CREATED,
    DATE_UPDATED,
)

START_DATE = kinds.since("StartDate")
END_DATE = kinds.until("EndDate")
LISTED_STATE = kinds.choice("State", STATES, 50378, "'State' parameter value is invalid")
# Ours: the original cannot be asked for these.
LISTED_ADDRESS = kinds.text("Address", partial(normalise, allow_short_code=True))
LISTED_PROXY_ADDRESS = kinds.text("ProxyAddress", partial(normalise, allow_short_code=True))
LISTED_IDENTITY = kinds.text("Identity")
LISTED_UNIQUE_NAME = kinds.text("UniqueName")

LISTING = Listing("conversations", (datetime, str), size=50, size_max=100)


@takes(
    START_DATE,
    END_DATE,
    LISTED_STATE,
    LISTED_ADDRESS,
    LISTED_PROXY_ADDRESS,
    LISTED_IDENTITY,
    LISTED_UNIQUE_NAME,
)
async def page(call: Call) -> dict[str, Any]:
    """Conversations, newest first."""
    async with call.begin() as (tx, scope):
        chosen, wanted = _filter(call.form), call.wanted(LISTING)
        rows = await conversations.page(tx, scope, chosen, wanted.slice)
    return wanted.answer(rows, conversations.key, partial(show, links=call.links))


async def _adding(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    given = await conversations.defaults(tx, scope.account_sid)
    return [proposals.conversation_add(new(call, scope, given, tx.now), call.origin)]


@takes(*BOTH, INITIAL_STATE, asks=_adding)
async def create(call: Call) -> dict[str, Any]:
    """A new conversation, with the account's defaults where nothing else is said."""
    async with call.begin() as (tx, scope):
        given = await conversations.defaults(tx, scope.account_sid)
        conversation = new(call, scope, given, tx.now)
        await conversations.add(tx, conversation)
        await call.tell(tx, events.conversation_added(conversation, call.origin))
    return show(conversation, call.links)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One conversation, by SID or unique name."""
    async with call.begin() as (tx, scope):
        conversation = await named(call, tx, scope, "Sid")
    return show(conversation, call.links)


async def _updating(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    conversation = await named(call, tx, scope, "Sid")
    _check_sent(call.form)
    writable(conversation)
    _revise(conversation, call.form, call.origin, tx.now)
    return [proposals.conversation_update(conversation, call.origin)]


@takes(*BOTH, NEW_STATE, asks=_updating)
async def update(call: Call) -> dict[str, Any]:
    """Change a conversation that is not closed; any change restarts its timers."""
    async with call.begin() as (tx, scope):
        sid = (await named(call, tx, scope, "Sid")).sid
        _check_sent(call.form)
        closing = call.form.get(NEW_STATE) == "closed"
        if closing:
            await bindings.close(tx, sid)
        conversation = await locked(call, tx, sid)
        happened = _revise(conversation, call.form, call.origin, tx.now)
        await conversations.write(tx, conversation)
        if closing:  # pairs that joined between the first time and the lock
            await bindings.close(tx, sid)
            await running.close(tx.sql, [sid], tx.now)
        await call.tell(tx, *happened)
    return show(conversation, call.links)


async def _removing(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    return [proposals.conversation_remove(await named(call, tx, scope, "Sid"), call.origin)]


@takes(asks=_removing)
async def delete(call: Call) -> None:
    """Delete a conversation, closed or not, with everything in it; its pairs are free at once."""
    async with call.begin() as (tx, scope):
        sid = (await named(call, tx, scope, "Sid")).sid
        await bindings.release_all(tx, sid)
        conversation = call.found(await conversations.lock(tx, sid))
        await call.tell(tx, events.conversation_removed(conversation, call.origin, tx.now))
        await conversations.remove(tx, sid)


def show(conversation: Conversation, links: Links) -> dict[str, Any]:
    """The resource."""
    url = links.conversation(conversation.sid)
    return {
        "sid": conversation.sid,
        "account_sid": conversation.account_sid,
        "chat_service_sid": conversation.chat_service_sid,
        "messaging_service_sid": conversation.messaging_service_sid,
        "friendly_name": conversation.friendly_name,
        "unique_name": conversation.unique_name,
        "attributes": conversation.attributes,
        "date_created": iso_seconds(conversation.date_created),
        "date_updated": iso_seconds(conversation.date_updated),
        "state": conversation.state,
        "timers": show_timers(conversation),
        "bindings": _bindings(conversation),
        "url": url,
        "links": {
            "participants": f"{url}/Participants",
            "messages": f"{url}/Messages",
            "webhooks": f"{url}/Webhooks",
            "export": f"{url}/Export",
        },
    }


def show_timers(conversation: Conversation) -> dict[str, str]:
    """The `timers` object: when the conversation will become inactive, and close."""
    dates = timers.dates(
        cast(State, conversation.state),
        conversation.active_at,
        conversation.state_at,
        conversation.inactive_timer_s,
        conversation.closed_timer_s,
    )
    return {name: iso_seconds(at) for name, at in dates.items()}


def _bindings(conversation: Conversation) -> dict[str, Any]:
    if conversation.email_address is None and conversation.email_name is None:
        return {}
    email = {"address": conversation.email_address, "name": conversation.email_name}
    return {"email": email}


def new(call: Call, scope: Scope, given: Defaults, now: datetime) -> Conversation:
    """The conversation that a call describes, not kept yet."""
    form = call.form
    conversation = Conversation(
        sid=call.mint(ids.CONVERSATION),
        account_sid=scope.account_sid,
        chat_service_sid=scope.service_sid,
        messaging_service_sid=given.messaging_service_sid,
        inactive_timer_s=given.inactive_timer_s,
        closed_timer_s=given.closed_timer_s,
        state=form.get(INITIAL_STATE, "active"),
        created_by=call.client or "system",
        active_at=now,
        state_at=now,
        date_created=now,
        date_updated=form.get(DATE_CREATED, now),
    )
    _apply(conversation, form)
    return conversation


def _check_sent(form: Form) -> None:
    if not form:
        raise Invalid(50347, "Parameters are missing for channel update request")


def _revise(
    conversation: Conversation, form: Form, origin: Origin, now: datetime
) -> Sequence[Event]:
    """Change a locked conversation as the form says; gives what happened."""
    old = cast(State, conversation.state)
    if NEW_STATE in form:
        conversation.state = rules.check_new_state(old, form[NEW_STATE])
    if conversation.state != old:
        conversation.state_at = now
    conversation.active_at = conversation.date_updated = now
    _apply(conversation, form)
    updated = events.conversation_updated(conversation, origin)
    if conversation.state == old:
        return [updated]
    moved = events.conversation_state_updated(conversation, origin, old, "API", now)
    return [updated, moved]


def _apply(conversation: Conversation, form: Form) -> None:
    """Set what was sent, and the next timer."""
    c = conversation
    c.friendly_name = form.get(FRIENDLY_NAME, c.friendly_name)
    c.unique_name = form.get(UNIQUE_NAME, c.unique_name)
    c.attributes = form.get(ATTRIBUTES, c.attributes)
    c.messaging_service_sid = form.get(MESSAGING_SERVICE_SID, c.messaging_service_sid)
    c.inactive_timer_s = form.get(INACTIVE_TIMER, c.inactive_timer_s)
    c.closed_timer_s = form.get(CLOSED_TIMER, c.closed_timer_s)
    c.email_address = form.get(EMAIL_ADDRESS, c.email_address)
    c.email_name = form.get(EMAIL_NAME, c.email_name)
    c.date_created = form.get(DATE_CREATED, c.date_created)
    c.date_updated = form.get(DATE_UPDATED, c.date_updated)
    due = timers.next_timer(
        cast(State, c.state), c.active_at, c.state_at, c.inactive_timer_s, c.closed_timer_s
    )
    c.next_timer_at = due[0] if due else None


def _filter(form: Form) -> Filter:
    start, end = form.get(START_DATE), form.get(END_DATE)
    if start is not None and end is not None and end <= start:
        raise Invalid(50396, "EndDate parameter should be greater than StartDate parameter")
    return Filter(
        state=form.get(LISTED_STATE),
        created_from=start,
        created_before=end,
        unique_name=form.get(LISTED_UNIQUE_NAME),
        identity=form.get(LISTED_IDENTITY),
        address=form.get(LISTED_ADDRESS),
        proxy_address=form.get(LISTED_PROXY_ADDRESS),
    )
