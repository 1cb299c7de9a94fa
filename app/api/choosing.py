"""Participants whose proxy address is a messaging service: one of its senders takes its place.

The choice is kept by the binding, in the transaction that adds them: nothing that happens later
changes it (`rules/pools.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app import ids
from app.api.joining import claim, refuse_held
from app.model import Participant
from app.rules import pools
from app.settings.models import Settings
from app.store import bindings, sticky_senders
from app.store.bindings import Holder
from app.store.database import Tx
from app.store.sticky_senders import Wanted

NONE_FREE = "No free sender in the messaging service: "


@dataclass(frozen=True, slots=True)
class Choice:
    """Which senders somebody may get, the best first: those whose pair is free; the best of all
    when none is; the one by which they are in this conversation already, to be refused."""

    participant: Participant
    wanted: Wanted
    sticky: bool
    senders: list[str]


async def choose(tx: Tx, joining: Iterable[Participant], settings: Settings) -> list[Choice]:
    """Give each who asks for a messaging service the best sender of it that is free now. Who is
    among these by one of its senders gets that one again, which no claim takes: whoever is in a
    conversation by two senders of one service gets everything twice."""
    choices, together = [], list(joining)
    for participant in together:
        if not pools.is_pool(participant.proxy_address):
            continue
        choice = await _choice(tx, participant, settings)
        others = [one for one in together if one.address == participant.address]
        theirs = [one.proxy_address for one in others if one.proxy_address in choice.wanted.senders]
        participant.proxy_address = (theirs or choice.senders)[0]
        choices.append(choice)
    return choices


async def keep(tx: Tx, choices: Iterable[Choice]) -> None:
    """Remember who got which sender, once their pairs are claimed. Rows are locked in one order,
    whatever that of the request is."""
    for choice in sorted(choices, key=_place):
        if choice.sticky and choice.participant.proxy_address is not None:
            await sticky_senders.keep(tx, choice.wanted, choice.participant.proxy_address)


async def claim_one(tx: Tx, participant: Participant, settings: Settings) -> None:
    """Claim the participant's pair; from a messaging service, that of its best sender that nobody
    else claims meanwhile. Raises Conflict 50416 like `claim`: they are in the conversation already
    by one of its senders, or none is free."""
    choices = await choose(tx, [participant], settings)
    if not choices:
        return await claim(tx, participant)
    [choice] = choices
    first: Holder | None = None
    for sender in choice.senders:
        participant.proxy_address = sender
        holder = await bindings.claim(tx, participant)
        if holder is None:
            return await keep(tx, choices)
        if holder.conversation_sid == participant.conversation_sid:
            raise refuse_held(holder)
        first = first or holder
    assert first is not None
    raise refuse_held(first, NONE_FREE)


def _place(choice: Choice) -> tuple[str, str]:
    return choice.wanted.messaging_service_sid, choice.wanted.address


async def _choice(tx: Tx, participant: Participant, settings: Settings) -> Choice:
    sid, address = ids.lowered(participant.proxy_address or ""), participant.address or ""
    senders = pools.able(pools.pools(settings)[sid], address)
    wanted = Wanted(participant.account_sid, participant.chat_service_sid, sid, address, senders)
    sticky = pools.is_sticky(settings, sid)
    had = await sticky_senders.had(tx, wanted) if sticky else None
    held = await sticky_senders.held(tx, wanted)
    salt = "" if sticky else participant.conversation_sid
    best = pools.ranked(senders, address, had, salt)
    free = [sender for sender in best if sender not in held]
    here = [sender for sender in best if held.get(sender) == participant.conversation_sid]
    return Choice(participant, wanted, sticky, here or free or best[:1])
