"""The road's first and last step: who came before, and what is kept of everybody."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import asyncpg

from app import ids
from app.channels.facts import binding_type
from app.model.traffic import stored
from app.road import standing
from app.road.convoy import Carriage, Load
from app.road.items import Arrival, Taken
from app.store import road

Again = list[tuple[road.Key, Carriage]]


async def enter(sql: asyncpg.Connection, load: Load) -> None:
    """Enter every inbound and look its pair up; those that came before, or twice in this convoy, go
    no further."""
    answered = {one.pair for one in load.carriages if _answered(one)}  # entered when they came
    if answered:
        load.facts |= await road.facts(sql, sorted(answered))
    first, again = sort(load)
    if first:
        await _enter(sql, load, first, again)


def sort(load: Load) -> tuple[dict[road.Key, Carriage], Again]:
    """The inbounds that come to be entered, by their keys and in the order of these, and those that
    have the key of an earlier one."""
    first: dict[road.Key, Carriage] = {}
    again: Again = []
    for carriage in load.carriages:
        if not isinstance(carriage.item, Arrival) or _answered(carriage):
            continue
        found = key(carriage.item)
        if first.setdefault(found, carriage) is not carriage:
            again.append((found, carriage))
    return {found: first[found] for found in sorted(first)}, again


async def _enter(
    sql: asyncpg.Connection, load: Load, first: dict[road.Key, Carriage], again: Again
) -> None:
    new, facts = await road.enter(sql, [entry(one) for one in first.values()], load.now)
    load.facts |= facts
    old = [(found, carriage) for found, carriage in first.items() if found not in new]
    known = await road.known(sql, [found for found, _ in old]) if old else {}
    for found, carriage in old:
        carriage.taken = _duplicate(*known.get(found, (None, None)))
    repeat(first, again, new)


def repeat(first: Mapping[road.Key, Carriage], again: Again, new: Container[road.Key]) -> None:
    """Those that came twice in this convoy are duplicates of the earlier ones."""
    for found, carriage in again:
        carriage.taken = _duplicate(first[found].message_sid if found in new else None, None)


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


def entry(carriage: Carriage) -> road.Entry:
    """What the ledger is asked about an inbound."""
    account_sid, proxy_address, address, numbers = carriage.pair
    carrier, external_id = key(carriage.arrival)
    return road.Entry(
        carrier,
        external_id,
        account_sid,
        carriage.message_sid,
        proxy_address,
        address,
        numbers,
        binding_type(carriage.arrival.inbound.channel),
    )


def key(arrival: Arrival) -> road.Key:
    """What an inbound is known by."""
    return arrival.inbound.carrier, arrival.inbound.external_id


def _answered(carriage: Carriage) -> bool:
    return isinstance(carriage.item, Arrival) and carriage.item.answered is not None


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
