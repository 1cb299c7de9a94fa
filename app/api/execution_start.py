"""Starting a flow by REST: where it runs, and its first item ("REST API v2: Execution").

It runs in the conversation that holds the pair of To and From, else in a new one with that
participant. The flow is attached to it, as a rule of autocreation attaches one: so it hears the
replies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app import ids
from app.api import choosing
from app.api import conversations as conversation_api
from app.api import participants as participant_api
from app.api.call import Call
from app.api.forms import Form
from app.api.joining import check_room, role
from app.api.parent import lock
from app.definitions import Definitions, Finder
from app.errors import Conflict, Forbidden, Invalid, Refused
from app.flows import stack
from app.flows.memory import Trigger
from app.flows.stack import Stack
from app.model import Conversation, Flow, ScopedWebhook
from app.model.flows import EXECUTION, FLOW, PLACE, REQUEST, flow_lane
from app.rules import executions as rules
from app.rules.participants import ADDRESS, PROXY_ADDRESS
from app.store import (
    bindings,
    conversations,
    executions,
    flows,
    outbox,
    participants,
    scoped_webhooks,
)
from app.store.database import Tx
from app.store.outbox import NewItem
from app.store.scope import Scope
from app.store.slices import Slice
from app.webhooks import events
from app.webhooks.events import Event

UNPUBLISHED = (20001, "The flow has no published revision")
ACTIVE = "Execution is already active for this contact"
CONFLICT = 20409
CALLED = {ADDRESS: "To", PROXY_ADDRESS: "From"}


@dataclass(frozen=True, slots=True)
class Begun:
    """An execution that is not kept yet: where its flow stands after its first steps."""

    sid: str
    flow: Flow
    stack: Stack
    to: str
    sender: str


async def begin(
    call: Call, flow: Flow, to: str, sender: str, parameters: dict[str, Any], at: datetime
) -> Begun:
    """Start the latest published revision of a flow, outside of every transaction. Raises
    Invalid."""
    finder = Finder(Definitions(call.runtime.db), flow.account_sid)
    found = await finder.read(flow.sid, flows.LATEST_PUBLISHED)
    if found is None:
        raise Invalid(*UNPUBLISHED)
    sid = call.mint(ids.EXECUTION)
    trigger = Trigger(
        event="incomingRequest",
        at=at,
        fields=parameters,
        contact=to,
        address=sender,
        flow_sid=flow.sid,
        execution_sid=sid,
    )
    walked = await finder.walk(lambda find: stack.begin(found, trigger, find))
    return Begun(sid, flow, walked, to, sender)


async def keep(call: Call, tx: Tx, scope: Scope, begun: Begun) -> None:
    """Keep an execution, in the conversation of its pair, and have it go on. Raises Invalid,
    Forbidden, and Conflict 20409 when the flow runs there already."""
    flow, sid, now = begun.flow, begun.sid, tx.now
    conversation, happened = await _place(call, tx, scope, begun.to, begun.sender)
    await _attach(call, tx, conversation, flow)
    row = {
        "sid": sid,
        "account_sid": flow.account_sid,
        "flow_sid": flow.sid,
        "conversation_sid": conversation.sid,
        "flow_version": int(begun.stack.frames[0].revision),
        "contact_channel_address": begun.to,
        "initiated_by": flow.account_sid,
        "version": 0,
        "taken": 0,
        **rules.standing(begun.stack),
    }
    made = begun.stack.taken
    stepped = rules.steps(sid, made, [ids.new(ids.EXECUTION_STEP) for _ in made])
    if not await executions.add(tx, row, stepped):
        raise await _running(tx, flow, conversation)
    if begun.stack.ended is None:
        await outbox.add(tx.sql, [_item(flow, conversation, sid)], now)
        tx.rings.add(FLOW)
    await call.tell(tx, *happened)


async def _place(
    call: Call, tx: Tx, scope: Scope, to: str, sender: str
) -> tuple[Conversation, list[Event]]:
    """The conversation of the pair, locked, and what is to be told if it is new."""
    sent = [(ADDRESS, to), (PROXY_ADDRESS, sender)]
    form = Form(sent, participant_api.NEW, call.runtime.settings.limits)
    given = await conversations.defaults(tx, scope.account_sid)
    conversation = conversation_api.new(call, scope, given, tx.now)
    try:
        shape = participant_api.shape(form, call.runtime, conversation.email_address)
    except (Invalid, Forbidden) as refused:
        raise _as_called(refused) from None
    participant = participant_api.new(conversation, shape, form, tx.now)
    participant.role_sid = await role(tx, scope, None)
    choices = await choosing.choose(tx, [participant], call.runtime.settings)
    holder = await bindings.claim(tx, participant)
    if holder is not None:
        return await lock(tx, holder.conversation_sid), []
    await conversations.add(tx, conversation)
    await check_room(tx, conversation, participant, call.runtime.settings)
    await participants.add(tx, participant)
    await choosing.keep(tx, choices)
    added = events.conversation_added(conversation, call.origin, participant)
    return conversation, [added, events.participant_added(participant, call.origin)]


def _as_called(refused: Refused) -> Refused:
    """A participant's refusal, with the parameter by the name that it has here."""
    details = dict(refused.details or {})
    if details.get("parameter") in CALLED:
        details["parameter"] = CALLED[details["parameter"]]
    return type(refused)(refused.code, refused.message, details or None)


async def _attach(call: Call, tx: Tx, conversation: Conversation, flow: Flow) -> None:
    """Attach the flow to a locked conversation, if it is not. Raises Invalid 50361."""
    most = call.runtime.settings.limits.scoped_webhooks_max
    attached = await scoped_webhooks.page(tx, conversation.sid, Slice(most))
    if any(one.flow_sid == flow.sid for one in attached):
        return
    if len(attached) >= most:
        raise Invalid(50361, "Too many conversation webhooks")
    await tx.add(
        ScopedWebhook(
            sid=ids.new(ids.WEBHOOK),
            account_sid=conversation.account_sid,
            chat_service_sid=conversation.chat_service_sid,
            conversation_sid=conversation.sid,
            target="studio",
            flow_sid=flow.sid,
            date_created=tx.now,
            date_updated=tx.now,
        )
    )
    await conversations.touch(tx, conversation.sid)


async def _running(tx: Tx, flow: Flow, conversation: Conversation) -> Conflict:
    sid = await executions.active(tx, flow.sid, conversation.sid)
    details = {"execution_sid": sid, "conversation_sid": conversation.sid}
    return Conflict(CONFLICT, f"{ACTIVE}: {sid}", details)


def _item(flow: Flow, conversation: Conversation, execution_sid: str) -> NewItem:
    return NewItem(
        lane=flow_lane(flow.sid, conversation.sid),
        kind=FLOW,
        token=ids.token(),
        account_sid=flow.account_sid,
        conversation_sid=conversation.sid,
        event=REQUEST,
        scope="studio",
        url=PLACE + flow.sid,
        params={EXECUTION: execution_sid},
    )
