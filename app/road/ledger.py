"""The road's first and last step: who came before, and what is kept of everybody."""

from __future__ import annotations

from typing import Any

import asyncpg

from app import ids
from app.model.traffic import stored
from app.road import standing
from app.road.convoy import Carriage, Load
from app.road.items import Arrival, Taken
from app.store import road


async def enter(sql: asyncpg.Connection, load: Load) -> None:
    """Enter every inbound and look its pair up; those that came before, or twice in this convoy, go
    no further."""
    first: dict[road.Key, Carriage] = {}
    again: list[tuple[road.Key, Carriage]] = []
    answered: set[road.Pair] = set()
    for carriage in load.carriages:
        if not isinstance(carriage.item, Arrival):
            continue
        if carriage.item.answered is not None:
            answered.add(carriage.pair)  # entered when it came
            continue
        key = _key(carriage.item)
        if first.setdefault(key, carriage) is not carriage:
            again.append((key, carriage))
    if answered:
        load.facts |= await road.facts(sql, sorted(answered))
    if first:
        await _enter(sql, load, first, again)


async def _enter(
    sql: asyncpg.Connection,
    load: Load,
    first: dict[road.Key, Carriage],
    again: list[tuple[road.Key, Carriage]],
) -> None:
    inbounds = [_entry(first[key]) for key in sorted(first)]
    new, facts = await road.enter(sql, inbounds, load.now)
    load.facts |= facts
    old = [(key, carriage) for key, carriage in first.items() if key not in new]
    known = await road.known(sql, [key for key, _ in old]) if old else {}
    for key, carriage in old:
        carriage.taken = _duplicate(*known.get(key, (None, None)))
    for key, carriage in again:
        carriage.taken = _duplicate(first[key].message_sid if key in new else None, None)


def rows(load: Load) -> dict[str, list[dict[str, Any]]]:
    """What the convoy writes, by the table it goes to."""
    going = [*load.going(), *load.replies]
    arrivals = [
        carriage
        for carriage in load.carriages
        if isinstance(carriage.item, Arrival) and carriage.decision is not None
    ]
    return {
        "messages": [carriage.columns for carriage in going],
        "media": [_columns(medium) for carriage in going for medium in carriage.media],
        "conversations": [_conversation(load, sid) for sid in _touched(going)],
        "receipts": load.receipts,
        "decisions": [_decision(carriage) for carriage in arrivals],
        "unkept": [_unkept(carriage) for carriage in arrivals if carriage.taken is not None],
        **standing.written(load),
    }


def _entry(carriage: Carriage) -> road.Entry:
    account_sid, proxy_address, address, numbers = carriage.pair
    carrier, external_id = _key(carriage.arrival)
    return road.Entry(
        carrier, external_id, account_sid, carriage.message_sid, proxy_address, address, numbers
    )


def _key(arrival: Arrival) -> road.Key:
    return arrival.inbound.carrier, arrival.inbound.external_id


def _duplicate(message_sid: str | None, conversation_sid: str | None) -> Taken:
    return Taken(
        outcome="duplicate",
        rule="ledger",
        reason="it came before",
        message_sid=message_sid,
        conversation_sid=conversation_sid,
    )


def _touched(going: list[Carriage]) -> list[str]:
    return sorted({carriage.conversation_sid for carriage in going})


def _columns(row: Any) -> dict[str, Any]:
    columns: dict[str, Any] = vars(row)
    return columns


def _conversation(load: Load, sid: str) -> dict[str, Any]:
    row = load.conversations[sid]
    columns: dict[str, Any] = {
        "sid": sid,
        "message_count": row.message_count,
        "revision": row.revision,
    }
    if row.state_at == load.now:  # this convoy changed its state, or made it
        columns |= {
            "state": row.state,
            "state_at": row.state_at,
            "next_timer_at": row.next_timer_at,
        }
    return columns


def _decision(carriage: Carriage) -> dict[str, Any]:
    arrival = carriage.arrival
    assert carriage.decision is not None
    result = carriage.result()
    assert isinstance(result, Taken)
    inbound = arrival.inbound
    row: dict[str, Any] = {
        "sid": ids.new("RD"),
        "account_sid": arrival.account_sid,
        "carrier": inbound.carrier,
        "external_id": inbound.external_id,
        "address": inbound.address,
        "proxy_address": inbound.proxy_address,
        "signature": inbound.signature,
        "rule": result.rule,
        "outcome": result.outcome,
        "reason": result.reason,
        "steps": carriage.decision.steps,
        "conversation_sid": result.conversation_sid,
        "message_sid": result.message_sid,
    }
    if inbound.recovered:
        row |= {"recovered": True, "sent_at": inbound.sent_at}
    return row if carriage.digest is None else row | {"digest": carriage.digest}


def _unkept(carriage: Carriage) -> dict[str, Any]:
    inbound = carriage.arrival.inbound
    return {
        "carrier": inbound.carrier,
        "external_id": inbound.external_id,
        "payload": stored(inbound),
    }
