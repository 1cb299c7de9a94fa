"""Idempotency keys of posted messages: claimed, and answered, in the convoy's own transaction.

A convoy without keyed drafts asks the database nothing here.
"""

from __future__ import annotations

import asyncpg

from app.errors import Refused
from app.road.convoy import Carriage, Load
from app.road.items import Draft, Keyed, Posted, Repeated
from app.store import idempotency

USED = 20409
"""The original's number for a conflict that has none of its own."""


async def claim(sql: asyncpg.Connection, load: Load) -> None:
    """Claim the keys of keyed drafts; those whose key was used before, also by an earlier one of
    this convoy, go no further."""
    first: dict[tuple[str, str], Keyed] = {}
    for carriage, keyed in _keyed(load):
        if first.setdefault(keyed.key[:2], keyed) is not keyed:
            carriage.refuse(_repeated())
    if not first:
        return
    ours = await idempotency.claim(sql, [keyed.key for keyed in first.values()], load.now)
    for carriage, keyed in _keyed(load):
        if keyed.key[:2] not in ours and carriage.goes:
            carriage.refuse(_repeated())


async def keep(sql: asyncpg.Connection, load: Load) -> None:
    """Keep the answers with the messages; of those that became none, the keys are free again."""
    answers: list[tuple[str, str, int, str]] = []
    free: list[tuple[str, str]] = []
    for carriage, keyed in _keyed(load):
        account_sid, key, _ = keyed.key
        if isinstance(carriage.refused, Repeated):
            continue
        if carriage.refused is not None:
            free.append((account_sid, key))
            continue
        posted = carriage.result()
        assert isinstance(posted, Posted)
        answers.append((account_sid, key, keyed.status, keyed.word(posted)))
    if answers:
        await idempotency.answer(sql, answers)
    if free:
        await idempotency.release(sql, free)


def _keyed(load: Load) -> list[tuple[Carriage, Keyed]]:
    return [
        (one, one.item.keyed)
        for one in load.carriages
        if isinstance(one.item, Draft) and one.item.keyed is not None
    ]


def _repeated() -> Refused:
    return Repeated(USED, "The idempotency key was used before")
