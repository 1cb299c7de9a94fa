"""Which rule would take a message, which were passed over and why. Changes nothing.

The decision is the road's own (app/road/resolve.py) over the road's own facts, and so is the plan
of who would receive it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any, cast

import asyncpg

from app import ids
from app.channels.address import channel_of, masked, normalise
from app.errors import Invalid
from app.model import Message
from app.model.traffic import Inbound
from app.ops.hiding import plain_url
from app.ops.render import table
from app.road import fanout
from app.road.convoy import Carriage, Load, pair_of
from app.road.items import Arrival
from app.road.resolve import Bound, Create, Decision, Drop, Forward, decide
from app.rules import groups
from app.settings.models import Settings
from app.store import road

RULES = ("sender", "binding", "address", "messaging_service", "sender_webhook")
BAD_ADDRESS = 20001
"""The original's number for a parameter that cannot be used."""
EXAMPLE = "text"
"""The body that is looked at when none is given."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who would get a copy: queued, or failed with a code and why."""

    participant_sid: str
    channel: str
    address: str
    proxy_address: str
    status: str
    error_code: int | None
    error_message: str | None
    dropped: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of a message. `steps` is what each rule said, in order; `not_asked` are the
    rules behind the one that takes it. outcome: joined, created, forwarded, dropped."""

    to: str
    from_: str
    carrier: str | None
    rule: str
    outcome: str
    reason: str | None
    steps: tuple[tuple[str, str], ...]
    not_asked: tuple[str, ...]
    conversation_sid: str | None
    creates: dict[str, Any] | None
    forwards_to: str | None
    recipients: tuple[Recipient, ...]


async def explain(
    sql: asyncpg.Connection,
    settings: Settings,
    to: str,
    from_: str,
    body: str | None = None,
    others: Sequence[str] = (),
) -> Explanation:
    """What would become of a message with this body from `from_` to our address `to`, in the
    account that owns it; of a group text that `others` get too. Of one account's view of the
    settings, only its own addresses are ours.

    Raises Invalid 20001 for something that is not an address.
    """
    to, from_ = _address("To", to), _address("From", from_)
    settings = settings.of(settings.owner(to))
    arrival = _arrival(settings, to, from_, body, [_address("Others", one) for one in others])
    pair = pair_of(arrival)
    facts = (await road.facts(sql, [pair]))[pair]
    inbound = arrival.inbound
    decision = decide(settings, inbound, facts.holder, facts.grouped, facts.configuration)
    action = decision.action
    recipients: tuple[Recipient, ...] = ()
    if isinstance(action, Bound):
        recipients = await _recipients(sql, settings, action, arrival)
    sender = settings.sender(to)
    asked = [rule for rule, _ in decision.steps]
    return Explanation(
        to=to,
        from_=from_,
        carrier=sender.carrier if sender else None,
        rule=decision.rule,
        outcome=_outcome(decision),
        reason=action.reason if isinstance(action, Drop) else None,
        steps=decision.steps,
        not_asked=tuple(rule for rule in RULES if rule not in asked),
        conversation_sid=action.conversation_sid if isinstance(action, Bound) else None,
        creates=_creates(settings, action, inbound) if isinstance(action, Create) else None,
        forwards_to=plain_url(action.url) if isinstance(action, Forward) else None,
        recipients=recipients,
    )


def text(found: Explanation) -> str:
    """The explanation for a terminal."""
    taken = [(f"  {rule}", said) for rule, said in found.steps]
    passed = [(f"  {rule}", "not asked: an earlier rule takes it") for rule in found.not_asked]
    lines = [
        f"A message from {masked(found.from_)} to {found.to} would be {found.outcome}"
        f" by rule {found.rule}" + (f": {found.reason}" if found.reason else "") + ".",
        "",
        "Rules, in their order:",
        *table([*taken, *passed]),
    ]
    if found.creates is not None:
        made = [(f"  {name}", _word(value)) for name, value in found.creates.items()]
        lines += ["", "It would create a conversation:", *table(made)]
    if found.forwards_to is not None:
        lines += ["", f"The original form would go to {found.forwards_to}."]
    if found.conversation_sid is not None:
        lines += ["", f"It would go into {found.conversation_sid}, and on to:"]
        lines += table(_row(one) for one in found.recipients) or ["  nobody outside"]
    return "\n".join(lines)


def as_json(found: Explanation) -> dict[str, Any]:
    """The explanation for programs."""
    return {
        "to": found.to,
        "from": found.from_,
        "carrier": found.carrier,
        "rule": found.rule,
        "outcome": found.outcome,
        "reason": found.reason,
        "steps": [{"rule": rule, "said": said} for rule, said in found.steps],
        "not_asked": list(found.not_asked),
        "conversation_sid": found.conversation_sid,
        "creates": found.creates,
        "forwards_to": found.forwards_to,
        "recipients": [asdict(one) for one in found.recipients],
    }


def _address(name: str, given: str) -> str:
    try:
        return normalise(given, allow_short_code=True)
    except ValueError as error:
        raise Invalid(BAD_ADDRESS, f"{name} is not an address: {error}") from error


def _arrival(
    settings: Settings, to: str, from_: str, body: str | None, others: Sequence[str]
) -> Arrival:
    """The message, as it comes through the carrier that holds `to`."""
    sender = settings.sender(to)
    further = tuple(one for one in dict.fromkeys(others) if one not in (to, from_))
    carrier = sender.carrier if sender else ""
    inbound = Inbound(carrier, "", channel_of(from_), from_, to, body, others=further)
    return Arrival(settings.account.sid, inbound)


def _outcome(decision: Decision) -> str:
    match decision.action:
        case Bound():
            return "joined"
        case Create():
            return "created"
        case Forward():
            return "forwarded"
        case Drop():
            return "dropped"


def _creates(settings: Settings, create: Create, inbound: Inbound) -> dict[str, Any]:
    default = settings.service_sid(settings.default_service)
    made = {
        "type": create.type,
        "chat_service_sid": create.service_sid or default,
        "messaging_service_sid": create.messaging_service_sid,
        **_people(settings, inbound),
        "identities": list(create.identities) or None,
        "webhook_url": plain_url(create.webhook_url) if create.webhook_url else None,
        "webhook_filters": list(create.webhook_filters) or None,
        "flow_sid": create.flow_sid,
        "flow": _flow(settings, create.flow_sid) if create.flow_sid else None,
    }
    return {name: value for name, value in made.items() if value is not None}


def _people(settings: Settings, inbound: Inbound) -> dict[str, Any]:
    """The pair that it would begin with, or everybody in the group text."""
    if not inbound.others:
        address = masked(inbound.address)
        pair = {"address": address, "proxy_address": inbound.proxy_address}
        return {"pair": pair | {"channel": inbound.channel}}
    senders, most = settings.senders_by_address, settings.limits.participants_group_max
    group = groups.arriving(inbound, senders, most)
    return {
        "addresses": [masked(one) for one in group.theirs],
        "projected_addresses": list(group.ours),
    }


def _flow(settings: Settings, sid: str) -> str:
    flow = settings.flows.get(sid)
    if flow is None:
        return "not in `flows`: it runs here, if the API has it"
    return plain_url(flow.url) if flow.url else "it runs here"


async def _recipients(
    sql: asyncpg.Connection, settings: Settings, bound: Bound, arrival: Arrival
) -> tuple[Recipient, ...]:
    """The plan that the road would make, without the road."""
    below = await road.below(sql, [bound.conversation_sid], [])
    # The plan reads no clock: the moment of a load is for rows, and none is written.
    load = Load([], settings, cast(Any, None), below=below)
    carriage = Carriage(
        arrival,
        message_sid=ids.new(ids.MESSAGE),
        author=arrival.inbound.address,
        conversation_sid=bound.conversation_sid,
        participant_sid=bound.participant_sid,
        message=_message(settings, bound, arrival.inbound.body or EXAMPLE),
    )
    fanout.plan(load, carriage)
    return tuple(_recipient(receipt) for receipt in load.receipts)


def _message(settings: Settings, bound: Bound, body: str) -> Message:
    columns = {
        "sid": "",
        "account_sid": settings.account.sid,
        "chat_service_sid": "",
        "conversation_sid": bound.conversation_sid,
        "body": body,
        "content_sid": None,
    }
    return cast(Message, SimpleNamespace(**columns))


def _recipient(receipt: dict[str, Any]) -> Recipient:
    return Recipient(
        participant_sid=receipt["participant_sid"],
        channel=receipt["channel"],
        address=masked(receipt["address"]),
        proxy_address=receipt["proxy_address"],
        status=receipt["status"],
        error_code=receipt.get("error_code"),
        error_message=receipt.get("error_message"),
        dropped=receipt.get("dropped"),
    )


def _row(one: Recipient) -> tuple[str, ...]:
    ended = f"{one.status} {one.error_code}: {one.error_message}" if one.error_code else one.status
    dropped = f"without {one.dropped}" if one.dropped else ""
    return f"  {one.participant_sid}", one.channel, one.address, f"{ended} {dropped}"


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name}={inner}" for name, inner in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)
