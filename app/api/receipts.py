"""Delivery receipts ("Delivery Receipt Resource"): one per external recipient, read only."""

from __future__ import annotations

from functools import partial
from typing import Any

from app.api.call import Call, takes
from app.api.page import Listing
from app.api.parent import named
from app.api.scope import Links
from app.clock import iso_seconds
from app.model import Message, Receipt
from app.store import messages, receipts_read
from app.store.database import Tx
from app.store.scope import Scope

QUEUED = "queued"  # still with us: the original's `status` is null then

LISTING = Listing("delivery_receipts", (str,))


@takes()
async def page(call: Call) -> dict[str, Any]:
    """How a message fares with each of its recipients."""
    async with call.begin() as (tx, scope):
        message = await _message(call, tx, scope)
        wanted = call.wanted(LISTING)
        rows = await receipts_read.page(tx, message.sid, wanted.slice)
    return wanted.answer(rows, receipts_read.key, partial(show, links=call.links))


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """How a message fares with one recipient."""
    async with call.begin() as (tx, scope):
        message = await _message(call, tx, scope)
        receipt = call.found(await receipts_read.find(tx, message.sid, call.key("Sid")))
    return show(receipt, call.links)


def show(receipt: Receipt, links: Links) -> dict[str, Any]:
    """The resource."""
    conversation = links.conversation(receipt.conversation_sid)
    return {
        "sid": receipt.sid,
        "account_sid": receipt.account_sid,
        **links.shown(receipt.chat_service_sid),
        "conversation_sid": receipt.conversation_sid,
        "message_sid": receipt.message_sid,
        "channel_message_sid": receipt.channel_message_sid,
        "participant_sid": receipt.participant_sid,
        "status": None if receipt.status == QUEUED else receipt.status,
        "error_code": receipt.error_code,
        "date_created": iso_seconds(receipt.date_created),
        "date_updated": iso_seconds(receipt.date_updated),
        "url": f"{conversation}/Messages/{receipt.message_sid}/Receipts/{receipt.sid}",
    }


async def _message(call: Call, tx: Tx, scope: Scope) -> Message:
    conversation = await named(call, tx, scope)
    return call.found(await messages.find(tx, conversation.sid, call.key("MessageSid")))
