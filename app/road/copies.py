"""Copies: a group text that has several numbers of ours comes once to each of them, under an id of
its own each time. It is one message.

A text is a copy of a message of the same author, with the same body and as many files, that came to
the same number group within the last minutes, and that has not come to this number of ours yet. So
who writes the same twice is heard twice, whatever comes first. What came to which number is in the
decisions; they are read under the lock of the conversation, where nothing of it can be under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import asyncpg
import orjson

from app.model.traffic import Inbound
from app.road.convoy import Carriage, Load
from app.road.items import Arrival, Taken
from app.rules import groups
from app.store import copies
from app.store.copies import Original

RULE = "copy"


async def find(
    sql: asyncpg.Connection, load: Load, carriages: Sequence[Carriage], *, locked: bool = False
) -> None:
    """Find those that are copies; they become duplicates of what they are copies of.

    With `locked`, the conversations of these are, and one may be the copy of another of them.
    Without, for those that come with an answer: of each number group there is one at a time.
    """
    doubtful = [one for one in carriages if one.goes and _comes_again(load, one)]
    if not doubtful:
        return
    since = load.now - timedelta(seconds=load.settings.limits.group_copies_s)
    digests = sorted({one.digest for one in doubtful if one.digest is not None})
    originals = await copies.originals(sql, digests, since)
    for carriage in doubtful:
        found = next((one for one in originals if _is_copy(carriage, one, locked)), None)
        if found is not None:
            found.came_to.add(carriage.arrival.inbound.proxy_address)
            _duplicate(carriage, found)
        elif locked:
            originals.append(_original(carriage))


def _comes_again(load: Load, carriage: Carriage) -> bool:
    """Whether this is a group text with several numbers of ours; if so, it has a digest."""
    if not isinstance(carriage.item, Arrival) or not carriage.item.inbound.others:
        return False
    account_sid, inbound = carriage.item.account_sid, carriage.item.inbound
    settings = load.settings.of(account_sid)
    most = settings.limits.participants_group_max
    if len(groups.arriving(inbound, settings.senders_by_address, most).ours) < 2:
        return False
    carriage.digest = _digest(account_sid, inbound)
    return True


def _digest(account_sid: str, inbound: Inbound) -> str:
    """What is the same in every copy."""
    said = (account_sid, groups.numbers_of(inbound), inbound.address, inbound.body or "")
    return sha256(orjson.dumps((*said, len(inbound.media)))).hexdigest()


def _is_copy(carriage: Carriage, original: Original, locked: bool) -> bool:
    here = not locked or original.conversation_sid == carriage.conversation_sid
    seen = carriage.arrival.inbound.proxy_address in original.came_to
    return here and not seen and original.digest == carriage.digest


def _original(carriage: Carriage) -> Original:
    assert carriage.digest is not None
    came_to = {carriage.arrival.inbound.proxy_address}
    return Original(carriage.digest, carriage.message_sid, carriage.conversation_sid, came_to)


def _duplicate(carriage: Carriage, original: Original) -> None:
    decision = carriage.decision
    assert decision is not None
    said = f"{original.message_sid} is the same text, at another number of ours"
    carriage.decision = replace(decision, steps=(*decision.steps, (RULE, said)))
    carriage.taken = Taken(
        outcome="duplicate",
        rule=RULE,
        reason="it came to another number of ours before",
        conversation_sid=original.conversation_sid,
        message_sid=original.message_sid,
    )
