"""Copies: a group text that has several numbers of ours comes once to each of them, under an id of
its own each time. It is one message.

A text is a copy of a message of the same author, with the same body and as many files, that came to
the same number group within the last minutes, and that has not come to this number of ours yet. So
who writes the same twice is heard twice, whatever comes first. What came to which number is in the
decisions; they are read under the lock of the conversation, where nothing of it can be under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import asyncpg
import orjson

from app.model.traffic import Inbound
from app.road.convoy import Carriage, Load
from app.road.items import Arrival, Taken
from app.rules import groups
from app.settings.models import Settings
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
    doubtful = [
        one for one in carriages if isinstance(one.item, Arrival) and one.item.inbound.others
    ]
    for carriage in doubtful:
        carriage.digest = _digest(load.settings, carriage.arrival)
    doubtful = [one for one in doubtful if one.digest is not None]
    originals = await _originals(sql, load.settings, load.now, [one.digest for one in doubtful])
    for carriage in doubtful:
        here = carriage.conversation_sid if locked else None
        found = _found(originals, carriage.digest, carriage.arrival.inbound, here)
        if found is not None:
            found.came_to.add(carriage.arrival.inbound.proxy_address)
            _duplicate(carriage, found)
        elif locked:
            originals.append(_original(carriage))


async def among(
    sql: asyncpg.Connection, settings: Settings, arrivals: Mapping[int, Arrival], now: datetime
) -> set[int]:
    """Which of these, one of each number group, are copies by what is known now."""
    grouped = {key: one for key, one in arrivals.items() if one.inbound.others}
    digests = {key: _digest(settings, arrival) for key, arrival in grouped.items()}
    originals = await _originals(sql, settings, now, list(digests.values()))
    return {
        key
        for key, digest in digests.items()
        if _found(originals, digest, arrivals[key].inbound, None) is not None
    }


def _digest(settings: Settings, arrival: Arrival) -> str | None:
    """What is the same in every copy; None of what comes to one number of ours only."""
    inbound = arrival.inbound
    own = settings.of(arrival.account_sid)
    group = groups.arriving(inbound, own.senders_by_address, own.limits.participants_group_max)
    if len(group.ours) < 2:
        return None
    said = (arrival.account_sid, groups.numbers_of(inbound), inbound.address, inbound.body or "")
    return sha256(orjson.dumps((*said, len(inbound.media)))).hexdigest()


async def _originals(
    sql: asyncpg.Connection, settings: Settings, now: datetime, digests: Sequence[str | None]
) -> list[Original]:
    known = sorted({digest for digest in digests if digest is not None})
    since = now - timedelta(seconds=settings.limits.group_copies_s)
    return await copies.originals(sql, known, since) if known else []


def _found(
    originals: Sequence[Original], digest: str | None, inbound: Inbound, here: str | None
) -> Original | None:
    """The first that this is a copy of; `here`: only one of this conversation."""
    for one in originals:
        fits = one.digest == digest and here in (None, one.conversation_sid)
        if fits and inbound.proxy_address not in one.came_to:
            return one
    return None


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
