"""Webhooks of one conversation ("Conversation Scoped Webhook Resource"): a URL that is told of
events, one that is told of keywords, or a flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from app import ids
from app.api import parameters as kinds
from app.api.addresses import FILTERS as EVENTS
from app.api.addresses import METHODS, PAYLOADS, URL_CHARS_MAX
from app.api.call import Call, takes
from app.api.forms import INVALID, Form, Parameter
from app.api.page import Listing
from app.api.parent import locked, named, writable
from app.api.scope import Links
from app.clock import iso_seconds
from app.errors import Invalid
from app.model import Conversation, ScopedWebhook
from app.rules.triggers import KEYWORD_CHARS_MAX, KEYWORDS_MAX
from app.store import conversations, scoped_webhooks
from app.store.database import Tx
from app.store.scope import Scope
from app.webhooks.replay import replay

NO_URL = ("url", 50369, "Conversation webhook URL not provided")
# What each target must have.
NEEDED: Mapping[str, Sequence[tuple[str, int, str]]] = {
    "webhook": (NO_URL, ("filters", 50370, "Conversation webhook filter not provided")),
    "trigger": (NO_URL, ("triggers", 50371, "Conversation webhook trigger not provided")),
    "studio": (("flow_sid", 50367, "Invalid conversation webhook flow SID"),),
}


def _target(text: str) -> str:
    if not text:
        raise Invalid(50368, "Conversation webhook type not provided")
    if text.lower() not in NEEDED:
        raise Invalid(50364, "Invalid conversation webhook type")
    return text.lower()


def _keywords(texts: Sequence[str]) -> list[str]:
    if len(texts) > KEYWORDS_MAX:
        raise Invalid(50362, "Too many conversation webhook triggers")
    if not all(0 < len(text.strip()) <= len(text) <= KEYWORD_CHARS_MAX for text in texts):
        raise Invalid(50366, "Invalid conversation webhook trigger")
    return list(texts)


LIST = {"type": "array", "items": {"type": "string"}}
TARGET = kinds.text("Target", _target).needed()
URL = kinds.url("Configuration.Url", URL_CHARS_MAX, 50372, "Conversation webhook URL is too long")
METHOD = kinds.choice("Configuration.Method", METHODS, 50055, "Invalid webhook method")
# Read when the target is known: the documentation's samples send a trigger's keywords as filters.
FILTERS: Parameter[list[str]] = Parameter(
    "Configuration.Filters", lambda texts: [text for text in texts if text], LIST
)
TRIGGERS: Parameter[list[str]] = Parameter("Configuration.Triggers", _keywords, LIST)
FLOW_SID = kinds.sid(
    "Configuration.FlowSid", ids.FLOW, 50367, "Invalid conversation webhook flow SID"
)
REPLAY_AFTER = kinds.integer(
    "Configuration.ReplayAfter", kinds.INTEGER_MAX, INVALID, "Invalid Configuration.ReplayAfter"
)
ECHO = kinds.flag("Configuration.Echo")
PAYLOAD = kinds.choice("Configuration.Payload", PAYLOADS, INVALID, "Invalid Configuration.Payload")
BOTH = (URL, METHOD, FILTERS, TRIGGERS, FLOW_SID, ECHO, PAYLOAD)

LISTING = Listing("webhooks", (str,), size=5, size_max=5)


@takes()
async def page(call: Call) -> dict[str, Any]:
    """The webhooks of a conversation, in the order in which they were attached."""
    async with call.begin() as (tx, scope):
        conversation = await named(call, tx, scope)
        wanted = call.wanted(LISTING)
        rows = await scoped_webhooks.page(tx, conversation.sid, wanted.slice)
    return wanted.answer(rows, scoped_webhooks.key, partial(show, links=call.links))


@takes(TARGET, *BOTH, REPLAY_AFTER)
async def create(call: Call) -> dict[str, Any]:
    """Attach a webhook; with ReplayAfter it is told of earlier messages too."""
    async with call.begin() as (tx, scope):
        parent = await named(call, tx, scope)
        webhook = _new(parent, call.form, tx.now)
        writable(parent)
        await _replay(call, tx, parent, webhook)
    return show(webhook, call.links)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One webhook."""
    async with call.begin() as (tx, scope):
        _, webhook = await _named(call, tx, scope)
    return show(webhook, call.links)


@takes(*BOTH)
async def update(call: Call) -> dict[str, Any]:
    """Change where a webhook leads and what it is told of; its target stays."""
    async with call.begin() as (tx, scope):
        parent, was = await _named(call, tx, scope)
        form = call.form
        await locked(call, tx, parent.sid)
        webhook = call.found(await scoped_webhooks.find(tx, parent.sid, was.sid))
        _apply(webhook, form)
        webhook.date_updated = tx.now
        await scoped_webhooks.write(tx, webhook)
        await conversations.touch(tx, parent.sid)
    return show(webhook, call.links)


@takes()
async def delete(call: Call) -> None:
    """Detach a webhook; what it was to be told already is still told."""
    async with call.begin() as (tx, scope):
        parent, webhook = await _named(call, tx, scope)
        await locked(call, tx, parent.sid)
        if not await scoped_webhooks.remove(tx, webhook.sid):
            raise call.missing()
        await conversations.touch(tx, parent.sid)


def show(webhook: ScopedWebhook, links: Links) -> dict[str, Any]:
    """The resource."""
    conversation = links.conversation(webhook.conversation_sid)
    return {
        "sid": webhook.sid,
        "account_sid": webhook.account_sid,
        **links.shown(webhook.chat_service_sid),
        "conversation_sid": webhook.conversation_sid,
        "target": webhook.target,
        "url": f"{conversation}/Webhooks/{webhook.sid}",
        "configuration": _configuration(webhook),
        "date_created": iso_seconds(webhook.date_created),
        "date_updated": iso_seconds(webhook.date_updated),
    }


def _configuration(webhook: ScopedWebhook) -> dict[str, Any]:
    """The `configuration` object: only the keys of its target. The documentation's samples show a
    trigger's keywords as `filters`, its parameters call them triggers: they are under both."""
    w = webhook
    shown: dict[str, Any] = {}
    if w.target == "studio":
        shown["flow_sid"] = w.flow_sid
        shown |= {"filters": w.filters} if w.filters else {}
    else:
        shown |= {"url": w.url, "method": w.method.lower()}
        shown["filters"] = w.triggers if w.target == "trigger" else w.filters
    if w.target == "trigger":
        shown["triggers"] = w.triggers
    if w.replay_after is not None:
        shown["replay_after"] = w.replay_after
    return shown


async def _named(call: Call, tx: Tx, scope: Scope) -> tuple[Conversation, ScopedWebhook]:
    conversation = await named(call, tx, scope)
    found = await scoped_webhooks.find(tx, conversation.sid, call.key("Sid"))
    return conversation, call.found(found)


def _new(conversation: Conversation, form: Form, now: datetime) -> ScopedWebhook:
    webhook = ScopedWebhook(
        sid=ids.new(ids.WEBHOOK),
        account_sid=conversation.account_sid,
        chat_service_sid=conversation.chat_service_sid,
        conversation_sid=conversation.sid,
        target=form[TARGET],
        replay_after=form.get(REPLAY_AFTER),
        date_created=now,
        date_updated=now,
    )
    _apply(webhook, form)
    return webhook


async def _replay(call: Call, tx: Tx, parent: Conversation, webhook: ScopedWebhook) -> None:
    """Attach the webhook, and tell it of the messages before; the lock is for the last of them."""
    settings, index = call.runtime.settings, webhook.replay_after
    if index is not None:
        index = await replay(tx, settings, parent, webhook, index)
    conversation = await locked(call, tx, parent.sid)
    if await scoped_webhooks.count(tx, parent.sid) >= settings.limits.scoped_webhooks_max:
        raise Invalid(50361, "Too many conversation webhooks")
    await tx.add(webhook)
    await conversations.touch(tx, parent.sid)
    if index is not None:
        await replay(tx, settings, conversation, webhook, index)


def _apply(webhook: ScopedWebhook, form: Form) -> None:
    """Set what was sent and belongs to the target. Raises Invalid for what is wrong or missing."""
    w, sent = webhook, form.get(FILTERS)
    if w.target == "studio":
        w.flow_sid = form.get(FLOW_SID, w.flow_sid)
    else:
        w.url = form.get(URL, w.url)
        w.method = form.get(METHOD, w.method)
    if w.target == "trigger":
        w.triggers = form.get(TRIGGERS, w.triggers if sent is None else _keywords(sent))
    elif sent is not None:
        w.filters = _events(sent)
    w.echo = form.get(ECHO, w.echo)
    w.payload = form.get(PAYLOAD, w.payload)
    for column, code, said in NEEDED[w.target]:
        if not getattr(w, column):
            raise Invalid(code, said)


def _events(filters: Sequence[str]) -> list[str]:
    if not EVENTS.issuperset(filters):
        raise Invalid(50365, "Invalid conversation webhook filter")
    return list(dict.fromkeys(filters))
