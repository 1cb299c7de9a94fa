"""Participant conversations ("Participant Conversation Resource"): in which conversations an
identity or an address is."""

from __future__ import annotations

from functools import partial
from typing import Any

from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.conversations import show_timers
from app.api.forms import MISSING, Form
from app.api.page import Listing
from app.api.scope import Links
from app.channels.address import normalise
from app.channels.facts import binding_type
from app.clock import iso_seconds
from app.errors import Invalid
from app.model import Participant
from app.store import memberships, users
from app.store.memberships import Membership

BOTH_GIVEN = (
    "One user identifier parameter for lookup at a time is allowed. Please, use either Identity or"
    " Address"
)

IDENTITY = kinds.clearable("Identity")
ADDRESS = kinds.clearable("Address", partial(normalise, allow_short_code=True))

LISTING = Listing("conversations", (str, str))


@takes(IDENTITY, ADDRESS)
async def page(call: Call) -> dict[str, Any]:
    """The conversations of one identity or address, in the order of their SIDs."""
    async with call.begin() as (tx, scope):
        identity, address = _whose(call.form)
        wanted = call.wanted(LISTING)
        if identity is not None:
            rows = await memberships.of_identity(tx, scope, identity, wanted.slice)
        else:
            rows = await memberships.of_address(tx, scope, address or "", wanted.slice)
        identities = {row.participant.identity for row in rows} - {None}
        found = await users.sids(tx, scope, {one for one in identities if one is not None})
    return wanted.answer(rows, memberships.key, partial(show, users=found, links=call.links))


def show(membership: Membership, users: dict[str, str], links: Links) -> dict[str, Any]:
    """The resource; `users` are SIDs by identity."""
    participant, conversation = membership
    url = links.conversation(conversation.sid)
    return {
        "account_sid": conversation.account_sid,
        "chat_service_sid": conversation.chat_service_sid,
        "participant_sid": participant.sid,
        "participant_user_sid": users.get(participant.identity or ""),
        "participant_identity": participant.identity,
        "participant_messaging_binding": _binding(participant),
        "conversation_sid": conversation.sid,
        "conversation_unique_name": conversation.unique_name,
        "conversation_friendly_name": conversation.friendly_name,
        "conversation_attributes": conversation.attributes,
        "conversation_date_created": iso_seconds(conversation.date_created),
        "conversation_date_updated": iso_seconds(conversation.date_updated),
        "conversation_created_by": conversation.created_by,
        "conversation_state": conversation.state,
        "conversation_timers": show_timers(conversation),
        "links": {
            "participant": f"{url}/Participants/{participant.sid}",
            "conversation": url,
        },
    }


def _binding(participant: Participant) -> dict[str, str | None] | None:
    """The `participant_messaging_binding` object: here it names what is not there, too."""
    if participant.address is None and participant.projected_address is None:
        return None
    return {
        "type": binding_type(participant.channel or "sms"),
        "address": participant.address,
        "proxy_address": participant.proxy_address,
        "projected_address": participant.projected_address,
        "level": None,
        "name": None,
    }


def _whose(form: Form) -> tuple[str | None, str | None]:
    """The identity or the address. Raises Invalid 50451 (both), 20001 (neither)."""
    identity, address = form.get(IDENTITY), form.get(ADDRESS)
    if identity is not None and address is not None:
        raise Invalid(50451, BOTH_GIVEN)
    if identity is None and address is None:
        raise Invalid(MISSING, "Missing required parameter Identity or Address")
    return identity, address
