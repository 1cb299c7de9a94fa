"""Deciding where inbounds go, and what is created for pairs that nobody holds.

A pair is claimed in the partial unique index before its conversation exists; the number group of a
group text in its own. Who loses the claim (app/road/walk.py) walks again: the winner's conversation
is committed by then, and they join it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from app import ids
from app.channels.facts import binding_type
from app.model.outbox import HOOK, sender_lane
from app.road import asking, copies
from app.road.convoy import Carriage, Load
from app.road.items import Arrival, Taken
from app.road.resolve import Bound, Create, Decision, Drop, Forward
from app.road.resolve import decide as decided
from app.rules import groups
from app.store import road
from app.store.outbox import NewItem


async def decide(sql: asyncpg.Connection, load: Load) -> None:
    """Give every arrival its decision; afterwards those that go on have a conversation, which is
    there or to be created."""
    carriages = [one for one in load.going() if isinstance(one.item, Arrival)]
    carriages = [one for one in carriages if not asking.put_off(one)]
    judge(load, carriages)
    answered = [one for one in carriages if one.arrival.answered is not None]
    if answered:
        await copies.find(sql, load, answered)
    undecided = [one for one in carriages if one.goes]
    place(load, await asking.sort_out(sql, load, undecided))


def judge(load: Load, carriages: Sequence[Carriage]) -> None:
    """Give each its decision, by what is known of its pair."""
    for carriage in carriages:
        carriage.decision = _decision(load, carriage)


def place(load: Load, carriages: Sequence[Carriage]) -> None:
    """Do with each what was decided: give it a conversation that is there or to be created, or take
    it out."""
    creating: dict[road.Pair, list[Carriage]] = {}
    for carriage in carriages:
        decision = carriage.decision
        assert decision is not None
        match decision.action:
            case Bound(conversation_sid, participant_sid):
                carriage.conversation_sid = conversation_sid
                carriage.participant_sid = participant_sid
            case Create():
                creating.setdefault(_place(carriage.pair), []).append(carriage)
            case Forward() as forward:
                _forward(load, carriage, forward)
            case Drop(reason):
                carriage.taken = Taken(outcome="dropped", rule=decision.rule, reason=reason)
    for together in creating.values():
        _create(load, together)


def _decision(load: Load, carriage: Carriage) -> Decision:
    facts = load.facts[carriage.pair]
    settings = load.settings.of(carriage.arrival.account_sid)
    inbound = carriage.arrival.inbound
    return decided(settings, inbound, facts.holder, facts.grouped, facts.configuration)


def _place(pair: road.Pair) -> road.Pair:
    """What a conversation is created for: a pair, or a number group, whoever writes to whom."""
    account_sid, _, _, numbers = pair
    return (account_sid, "", "", numbers) if numbers else pair


def _create(load: Load, carriages: list[Carriage]) -> None:
    """One conversation for a place, to be claimed; the first of its carriages creates it."""
    row = _row(load, carriages[0])
    authors = {one["address"]: one["sid"] for one in row["natives"] or ()}
    for carriage in carriages:
        carriage.conversation_sid = row["sid"]
        author = carriage.arrival.inbound.address
        carriage.participant_sid = authors.get(author, row["participant_sid"])
    load.claims.append(row)
    load.new_conversations[row["sid"]] = carriages[0]


def _row(load: Load, carriage: Carriage) -> dict[str, Any]:
    assert carriage.decision is not None
    create = carriage.decision.action
    assert isinstance(create, Create)
    carriage.created = create
    inbound = carriage.arrival.inbound
    attaches = create.type in ("webhook", "studio")
    numbers = groups.numbers_of(inbound) or None
    return {
        "sid": ids.new(ids.CONVERSATION),
        "account_sid": carriage.arrival.account_sid,
        "service_sid": create.service_sid,
        "messaging_service_sid": create.messaging_service_sid,
        "friendly_name": carriage.changes.get("friendly_name"),
        "participant_sid": ids.new(ids.PARTICIPANT),
        "channel": binding_type(inbound.channel),
        "address": inbound.address,
        "proxy_address": inbound.proxy_address,
        "webhook_sid": ids.new(ids.WEBHOOK) if attaches else None,
        "target": create.type,
        "url": create.webhook_url,
        "method": create.webhook_method,
        "filters": create.webhook_filters,
        "echo": create.webhook_echo,
        "payload": create.webhook_payload,
        "flow_sid": create.flow_sid,
        "retry_count": create.retry_count,
        "identities": [
            {
                "sid": ids.new(ids.PARTICIPANT),
                "user_sid": ids.new(ids.USER),
                "identity": identity,
            }
            for identity in dict.fromkeys(create.identities)
        ],
        "numbers": numbers,
        "natives": _natives(load, carriage, create) if numbers else None,
    }


def _natives(load: Load, carriage: Carriage, create: Create) -> list[dict[str, Any]]:
    """Who is in a group text from its beginning: their numbers, then ours. The one that the message
    came to stands for the identities that the rule puts in, if it does."""
    settings = load.settings.of(carriage.arrival.account_sid)
    group = groups.arriving(
        carriage.arrival.inbound,
        settings.senders_by_address,
        settings.limits.participants_group_max,
    )
    ours = group.ours[1:] if create.identities else group.ours
    columns = [(one, None) for one in group.theirs] + [(None, one) for one in ours]
    return [
        {"sid": ids.new(ids.PARTICIPANT), "address": theirs, "projected_address": own}
        for theirs, own in columns
    ]


def _forward(load: Load, carriage: Carriage, forward: Forward) -> None:
    """The sender's own webhook gets what the carrier sent, in order per pair."""
    arrival = carriage.arrival
    inbound = arrival.inbound
    assert carriage.decision is not None
    carriage.taken = Taken(
        outcome="forwarded", rule=carriage.decision.rule, reason="no conversation takes it"
    )
    load.items.append(
        NewItem(
            lane=sender_lane(inbound.proxy_address, inbound.address),
            kind=HOOK,
            token=ids.token(),
            account_sid=arrival.account_sid,
            event="incomingMessage",
            scope="sender",
            url=forward.url,
            method=forward.method,
            params=inbound.form,
        )
    )
