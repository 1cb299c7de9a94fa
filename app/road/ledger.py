"""The road's first and last step: who came before, and what is kept of everybody."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import asyncpg
import orjson

from app import ids
from app.road.convoy import Carriage, Load
from app.road.items import Arrival, Taken
from app.store import road


async def enter(sql: asyncpg.Connection, load: Load) -> None:
    """Enter every inbound and look its pair up; those that came before, or twice in this convoy, go
    no further."""
    first: dict[road.Key, Carriage] = {}
    again: list[tuple[road.Key, Carriage]] = []
    for carriage in load.carriages:
        if isinstance(carriage.item, Arrival):
            key = _key(carriage.item)
            if first.setdefault(key, carriage) is not carriage:
                again.append((key, carriage))
    if not first:
        return
    inbounds = [_entry(first[key]) for key in sorted(first)]
    new, load.facts = await road.enter(sql, inbounds, load.now)
    old = [(key, carriage) for key, carriage in first.items() if key not in new]
    known = await road.known(sql, [key for key, _ in old]) if old else {}
    for key, carriage in old:
        carriage.taken = _duplicate(*known.get(key, (None, None)))
    for key, carriage in again:
        carriage.taken = _duplicate(first[key].message_sid if key in new else None, None)


def rows(load: Load) -> dict[str, list[dict[str, Any]]]:
    """What the convoy writes, by the table it goes to."""
    going = load.going()
    arrivals = [
        carriage
        for carriage in load.carriages
        if isinstance(carriage.item, Arrival) and carriage.decision is not None
    ]
    return {
        "messages": [_columns(carriage.message) for carriage in going],
        "media": [_columns(medium) for carriage in going for medium in carriage.media],
        "conversations": [_conversation(load, sid) for sid in _touched(going)],
        "receipts": load.receipts,
        "decisions": [_decision(carriage) for carriage in arrivals],
        "unkept": [_unkept(carriage) for carriage in arrivals if carriage.taken is not None],
    }


def _entry(carriage: Carriage) -> tuple[str, str, str, str, str, str]:
    arrival = carriage.item
    assert isinstance(arrival, Arrival)
    inbound = arrival.inbound
    key, pair = _key(arrival), (inbound.proxy_address, inbound.address)
    return *key, arrival.account_sid, carriage.message_sid, *pair


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
    return {
        "sid": sid,
        "message_count": row.message_count,
        "state": row.state,
        "state_at": row.state_at,
        "next_timer_at": row.next_timer_at,
    }


def _decision(carriage: Carriage) -> dict[str, Any]:
    arrival = carriage.item
    assert isinstance(arrival, Arrival)
    assert carriage.decision is not None
    result = carriage.result()
    assert isinstance(result, Taken)
    inbound = arrival.inbound
    return {
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


def _unkept(carriage: Carriage) -> dict[str, Any]:
    arrival = carriage.item
    assert isinstance(arrival, Arrival)
    payload = orjson.loads(orjson.dumps(asdict(arrival.inbound)))
    return {
        "carrier": arrival.inbound.carrier,
        "external_id": arrival.inbound.external_id,
        "payload": payload,
    }
