"""Messages ("Conversation Message Resource"). A new one joins the road; all others are here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import orjson

from app import ids
from app.api import parameters as kinds
from app.api.call import CREATED, Call, takes
from app.api.conversations import DATE_CREATED, DATE_UPDATED
from app.api.errors import NOT_FOUND
from app.api.forms import INVALID, Form, Parameter
from app.api.grouping import check_author
from app.api.idempotency import worded
from app.api.page import Listing
from app.api.parameters import attributes
from app.api.parent import locked, named, writable
from app.api.scope import Links
from app.clock import iso_seconds
from app.errors import Invalid, NotFound
from app.model import Conversation, Media, Message
from app.model.traffic import ContentTemplate, DeliveryStatus
from app.road.items import Draft, Keyed, Posted
from app.road.media import check_free
from app.rules.receipts import aggregate
from app.rules.templates import body_of, check_supported, check_variables
from app.store import contents, conversations, messages, participants, receipts_read
from app.store import media as files
from app.store.database import Tx
from app.store.scope import Scope
from app.webhooks import events, proposals
from app.webhooks.events import Event

SYSTEM = "system"  # the author of a message that names none
NAME_CHARS_MAX = 256
ORDERS = {"asc": "asc", "desc": "desc"}

AUTHOR = kinds.short("Author", NAME_CHARS_MAX, 50310, "Author parameter is too long")
BODY = kinds.clearable("Body")
SUBJECT = kinds.short("Subject", NAME_CHARS_MAX, INVALID, "Invalid Subject")
ATTRIBUTES = kinds.limited("Attributes", attributes)
MEDIA_SID = kinds.sid("MediaSid", ids.MEDIA, 50510, "Invalid message media SID")
MEDIA_SIDS: Parameter[tuple[str, ...]] = Parameter(
    "MediaSids", lambda texts: tuple(MEDIA_SID.read([one]) for one in texts)
)
"""Of an SDK's message, which may have several."""
CONTENT_SID = kinds.sid("ContentSid", ids.CONTENT, 50526, "Invalid content SID")
CONTENT_VARIABLES = kinds.limited("ContentVariables", check_variables)
ORDER = kinds.choice("Order", ORDERS, INVALID, "Invalid Order")
BOTH = (AUTHOR, BODY, SUBJECT, ATTRIBUTES, DATE_CREATED, DATE_UPDATED)

LISTING = Listing("messages", (int,), size=50, size_max=100)


@takes(ORDER)
async def page(call: Call) -> dict[str, Any]:
    """The messages of a conversation, by index."""
    async with call.begin() as (tx, scope):
        conversation = await named(call, tx, scope)
        wanted = call.wanted(LISTING)
        falling = call.form.get(ORDER) == "desc"
        rows = await messages.page(tx, conversation.sid, wanted.slice, descending=falling)
        shown = await resources(tx, rows, call.links)
    return wanted.answer(rows, messages.key, lambda message: shown[message.sid])


async def _adding(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    conversation = await named(call, tx, scope)
    draft = await _draft(call, tx, scope, conversation)
    media = await _attachable(tx, draft)
    author = await participants.called(tx, conversation.sid, draft.author)
    message = Message(
        sid="",  # the road gives it, and the index
        index=0,
        account_sid=draft.account_sid,
        chat_service_sid=draft.service_sid,
        conversation_sid=conversation.sid,
        author=draft.author,
        participant_sid=author.sid if author else None,
        body=draft.body,
        attributes=draft.attributes,
        content_sid=draft.content_sid,
        date_created=tx.now,
    )
    return [proposals.message_add(conversation, message, media, call.origin)]


@takes(*BOTH, MEDIA_SID, CONTENT_SID, CONTENT_VARIABLES, on_the_road=True, asks=_adding)
async def create(call: Call) -> dict[str, Any]:
    """Post a message: it gets its index and goes to everybody else in the conversation."""
    return await _create(call)


async def _create(call: Call) -> dict[str, Any]:
    async with call.begin() as (tx, scope):
        conversation = await named(call, tx, scope)
        draft = await _draft(call, tx, scope, conversation)
        await check_author(tx, conversation, draft.author)
    try:
        posted = await call.road.submit(draft)
    except NotFound as refused:
        if refused.code != NOT_FOUND:  # what a parameter names, not the path
            raise
        raise call.missing() from None
    assert isinstance(posted, Posted)
    return _posted(posted, call.links)


@takes(*BOTH, MEDIA_SIDS, CONTENT_SID, CONTENT_VARIABLES, on_the_road=True, asks=_adding)
async def post(call: Call) -> dict[str, Any]:
    """The same for an SDK, whose message may have several media."""
    return await _create(call)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One message."""
    async with call.begin() as (tx, scope):
        conversation = await named(call, tx, scope)
        message = await _named(call, tx, conversation)
        shown = await resources(tx, [message], call.links)
    return shown[message.sid]


async def _updating(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    conversation = await named(call, tx, scope)
    message = await _named(call, tx, conversation)
    writable(conversation)
    media = (await messages.media(tx, [message.sid]))[message.sid]
    await _edit(call, tx, message, media)
    return [proposals.message_update(conversation, message, media, call.origin)]


@takes(*BOTH, asks=_updating)
async def update(call: Call) -> dict[str, Any]:
    """Edit a message; external recipients keep what they got."""
    async with call.begin() as (tx, scope):
        parent = await named(call, tx, scope)
        sid = (await _named(call, tx, parent)).sid
        _ = call.form  # what is wrong with it is said before the conversation is locked
        conversation = await locked(call, tx, parent.sid)
        message = call.found(await messages.find(tx, parent.sid, sid))
        media = (await messages.media(tx, [sid]))[sid]
        await _edit(call, tx, message, media)
        if AUTHOR in call.form:
            await check_author(tx, conversation, message.author)
        await messages.write(tx, message)
        await conversations.touch(tx, parent.sid)
        shown = await resources(tx, [message], call.links)
        await call.tell(tx, events.message_updated(conversation, message, media, call.origin))
    return shown[sid]


async def _removing(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    conversation = await named(call, tx, scope)
    message = await _named(call, tx, conversation)
    writable(conversation)
    media = (await messages.media(tx, [message.sid]))[message.sid]
    return [proposals.message_remove(conversation, message, media, call.origin)]


@takes(asks=_removing)
async def delete(call: Call) -> None:
    """Delete a message with its media and receipts; its index is not given out again."""
    async with call.begin() as (tx, scope):
        parent = await named(call, tx, scope)
        message = await _named(call, tx, parent)
        conversation = await locked(call, tx, parent.sid)
        media = (await messages.media(tx, [message.sid]))[message.sid]
        if not await messages.remove(tx, message):
            raise call.missing()
        removed = events.message_removed(conversation, message, media, call.origin, tx.now)
        await call.tell(tx, removed)


def show(
    message: Message, media: Sequence[Media], statuses: Iterable[DeliveryStatus], links: Links
) -> dict[str, Any]:
    """The resource."""
    url = f"{links.conversation(message.conversation_sid)}/Messages/{message.sid}"
    return {
        "sid": message.sid,
        "account_sid": message.account_sid,
        **links.shown(message.chat_service_sid),
        "conversation_sid": message.conversation_sid,
        "body": message.body,
        "media": [_medium(item) for item in media] or None,
        "author": message.author,
        "participant_sid": message.participant_sid,
        "attributes": message.attributes,
        "date_created": iso_seconds(message.date_created),
        "date_updated": iso_seconds(message.date_updated),
        "index": message.index,
        "delivery": aggregate(statuses),
        "content_sid": message.content_sid,
        "url": url,
        "links": {
            "delivery_receipts": f"{url}/Receipts",
            "channel_metadata": f"{url}/ChannelMetadata",
        },
    }


def _posted(posted: Posted, links: Links) -> dict[str, Any]:
    statuses = cast(Sequence[DeliveryStatus], posted.statuses)
    return show(posted.message, posted.media, statuses, links)


def _medium(item: Media) -> dict[str, Any]:
    return {
        "sid": item.sid,
        "size": item.size,
        "content_type": item.content_type,
        "filename": item.filename,
    }


async def resources(tx: Tx, rows: Sequence[Message], links: Links) -> dict[str, dict[str, Any]]:
    """These messages as resources, by SID."""
    sids = [message.sid for message in rows]
    media = await messages.media(tx, sids)
    statuses = await receipts_read.statuses(tx, sids)
    return {row.sid: show(row, media[row.sid], statuses[row.sid], links) for row in rows}


async def _named(call: Call, tx: Tx, conversation: Conversation) -> Message:
    return call.found(await messages.find(tx, conversation.sid, call.key("Sid")))


async def _draft(call: Call, tx: Tx, scope: Scope, conversation: Conversation) -> Draft:
    form = call.form
    template = await _template(tx, scope, form)
    author, body = form.get(AUTHOR), form.get(BODY)
    if template is not None:
        body = body_of(template)
    elif body is None and MEDIA_SID not in form and not form.get(MEDIA_SIDS):
        raise Invalid(50503, "Message body not provided")
    _check_length(body or "", call.runtime.settings.limits.body_bytes_max)
    writable(conversation)
    return Draft(
        account_sid=scope.account_sid,
        service_sid=scope.service_sid,
        conversation_sid=conversation.sid,
        author=author or SYSTEM,
        body=body,
        subject=form.get(SUBJECT),
        attributes=form.get(ATTRIBUTES, "{}"),
        content_sid=template.sid if template else None,
        content_variables=orjson.dumps(template.variables).decode() if template else None,
        template=template,
        media_sids=_media(form) if template is None else (),
        date_created=form.get(DATE_CREATED),
        date_updated=form.get(DATE_UPDATED),
        source=call.origin.source,
        tell=not call.origin.quiet,
        keyed=_keyed(call),
        client=call.client,
    )


def _media(form: Form) -> tuple[str, ...]:
    return (form[MEDIA_SID],) if MEDIA_SID in form else form.get(MEDIA_SIDS, ())


async def _template(tx: Tx, scope: Scope, form: Form) -> ContentTemplate | None:
    """The template that the message is made of; Body and MediaSid then mean nothing (docs/45).
    Raises NotFound, Invalid 50528, 50542."""
    sid = form.get(CONTENT_SID)
    if sid is None:
        _check_content(form)
        return None
    content = await contents.find(tx, scope.account_sid, sid)
    if content is None:
        raise NotFound(20404, "Content not found")
    approval = (await contents.approvals(tx, [sid])).get(sid)
    template = contents.as_template(content, approval, form.get(CONTENT_VARIABLES, {}))
    check_supported(template)
    return template


async def _attachable(tx: Tx, draft: Draft) -> Sequence[Media]:
    """The media that the draft names, for who is asked about it. Raises NotFound 50507, Conflict
    50508, as the road does."""
    found = await files.named(tx, draft.media_sids)
    for sid in draft.media_sids:
        row = found.get(sid)
        check_free(row and vars(row), draft.account_sid, draft.service_sid)
    return [found[sid] for sid in draft.media_sids]


def _keyed(call: Call) -> Keyed | None:
    """What the road keeps for a request with an idempotency key."""
    key, links = call.idempotency_key, call.links
    if key is None:
        return None
    return Keyed(key, CREATED, lambda posted: worded(_posted(posted, links)))


def _check_content(form: Form) -> None:
    """Of a message without a template. Raises Invalid."""
    if CONTENT_VARIABLES in form:
        raise Invalid(50528, "Content SID is missing")


def _check_length(body: str, bytes_max: int) -> None:
    if len(body.encode()) > bytes_max:
        raise Invalid(50504, "Message body parameter is too long")


async def _edit(call: Call, tx: Tx, message: Message, media: Sequence[Media]) -> None:
    """Set what was sent. Raises Invalid 50503 (nothing is left), 50504."""
    m, form = message, call.form
    author = form.get(AUTHOR, m.author)
    m.author = author or SYSTEM
    m.body = form.get(BODY, m.body)
    m.subject = form.get(SUBJECT, m.subject)
    m.attributes = form.get(ATTRIBUTES, m.attributes)
    m.date_created = form.get(DATE_CREATED, m.date_created)
    m.date_updated = form.get(DATE_UPDATED, tx.now)
    if m.body is None and not media and m.content_sid is None:
        raise Invalid(50503, "Message body not provided")
    if BODY in form:
        _check_length(m.body or "", call.runtime.settings.limits.body_bytes_max)
    if AUTHOR in form:
        named = await participants.called(tx, m.conversation_sid, m.author)
        m.participant_sid = named.sid if named else None
