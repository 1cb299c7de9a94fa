"""Fan-out on the road: a receipt for every external recipient, and a place in its lane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from app import ids
from app.model import Receipt
from app.model.conversations import number_group
from app.model.outbox import DELIVERY, REPLY, delivery_lane, group_lane, route
from app.model.parts import stored
from app.model.traffic import MediaPart, Member
from app.road import flowing
from app.road.convoy import Carriage, Load
from app.road.items import Arrival, Draft
from app.rules import fanout, opt_outs, paces, standing
from app.rules.content import Fail
from app.rules.fanout import Planned
from app.settings.models import SenderSettings
from app.store.outbox import NewItem
from app.webhooks import events

SENDER_GONE = 21606
"""The From address is not one that can send (the original's number)."""


def plan(load: Load, carriage: Carriage) -> None:
    """Receipts for everybody but the author; what cannot be sent fails at once. A group text that
    came in is on everybody's phone already."""
    message, below = carriage.message, load.below[carriage.conversation_sid]
    assert message is not None
    if below.grouped and isinstance(carriage.item, Arrival):
        return
    media = [
        MediaPart(
            medium.source_url or "",
            medium.content_type,
            medium.size,
            medium.filename,
            medium.sid if medium.status in ("stored", "pending") else None,
        )
        for medium in carriage.media
    ]
    members = {member.sid: member for member in below.members}
    planned = (_group if below.grouped else _each)(load, carriage, below.members, media)
    going = [
        sent
        for one in planned
        if carriage.answers in (None, one.participant_sid)
        and (sent := _receipt(load, carriage, one, members[one.participant_sid])) is not None
    ]
    if below.grouped:
        load.items += [_together(below.members, *first) for first in going[:1]]
    else:
        event = REPLY if carriage.answers else None
        load.items += [_item(*one, event) for one in going]


def _each(
    load: Load, carriage: Carriage, members: Sequence[Member], media: Sequence[MediaPart]
) -> list[Planned]:
    message = carriage.message
    assert message is not None
    template = carriage.item.template if isinstance(carriage.item, Draft) else None
    return fanout.plan(
        members,
        carriage.participant_sid,
        message.body,
        media,
        load.settings.limits.profile,
        template,
        _sessions(load, members) if template else fanout.SESSIONS_UNKNOWN,
    )


def _group(
    load: Load, carriage: Carriage, members: Sequence[Member], media: Sequence[MediaPart]
) -> list[Planned]:
    """One send to all: when somebody in the group opted out, nobody gets it."""
    message = carriage.message
    assert message is not None
    planned = fanout.plan_group(
        members,
        carriage.participant_sid,
        message.body,
        media,
        load.settings.limits.profile,
        carriage.item.template if isinstance(carriage.item, Draft) else None,
    )
    sender = _sender(load, carriage, planned[0].proxy_address) if planned else None
    if sender is None or not any(
        _opted_out(load, message.account_sid, sender, member) for member in members
    ):
        return planned
    return [replace(one, content=standing.group_opted_out(one.content)) for one in planned]


def _sessions(load: Load, members: Iterable[Member]) -> Mapping[str, bool]:
    """Who may be written to freely now; empty where that is left to the carrier."""
    if load.settings.limits.session == "carrier":
        return fanout.SESSIONS_UNKNOWN
    return {
        member.sid: standing.is_open(member.channel or "sms", member.last_inbound_at, load.now)
        for member in members
    }


def _receipt(
    load: Load, carriage: Carriage, planned: Planned, member: Member
) -> tuple[dict[str, Any], SenderSettings] | None:
    """The receipt, and who sends it; None when it failed at once."""
    sender = _sender(load, carriage, planned.proxy_address)
    content = _carried(sender, planned)
    if sender is not None:
        content = _allowed(load, carriage, content, sender, member)
    receipt = _row(carriage, planned, sender.carrier if sender else "", content)
    load.receipts.append(receipt)
    carriage.statuses.append(receipt["status"])
    if isinstance(content, Fail) or sender is None:
        _tell_failure(load, carriage, receipt)
        return None
    return receipt, sender


def _sender(load: Load, carriage: Carriage, address: str) -> SenderSettings | None:
    """The sender with this address, if it is still this account's."""
    assert carriage.message is not None
    return load.settings.sender_of(carriage.message.account_sid, address)


def _carried(sender: SenderSettings | None, planned: Planned) -> Any:
    """What the plan becomes given what the sender may carry."""
    content = planned.content
    if isinstance(content, Fail):
        return content
    if sender is None:
        return Fail(content.channel, SENDER_GONE, "the proxy address is not a sender of ours")
    if content.channel not in sender.effective_channels:
        return Fail(content.channel, SENDER_GONE, f"the sender does not carry {content.channel}")
    if any(part.channel not in sender.effective_channels for part in content.parts):
        parts = tuple(replace(part, channel=content.channel) for part in content.parts)
        return replace(content, parts=parts)
    return content


def _allowed(
    load: Load, carriage: Carriage, content: Any, sender: SenderSettings, member: Member
) -> Any:
    """What the plan becomes given how the recipient stands to the sender, also by what came in this
    very convoy."""
    message = carriage.message
    assert message is not None
    return standing.allowed(
        content,
        opted_out=carriage.answers is None
        and _opted_out(load, message.account_sid, sender, member),
        session=message.content_sid is not None
        or load.settings.limits.session == "carrier"
        or sender.fallback_template
        is not None  # goes in their place, if the session is not open by then
        or standing.is_open(content.channel, member.last_inbound_at, load.now),
    )


def _opted_out(load: Load, account_sid: str, sender: SenderSettings, member: Member) -> bool:
    if not member.opted_out and not load.chosen:
        return False
    house = load.settings.of(account_sid)
    out = set(member.opted_out)
    for name in opt_outs.scopes(house, sender):
        match load.chosen.get((account_sid, name, member.address or "")):
            case "stop":
                out.add(name)
            case "start":
                out.discard(name)
    return opt_outs.opted_out(house, sender, out)


def _row(carriage: Carriage, planned: Planned, carrier: str, content: Any) -> dict[str, Any]:
    message = carriage.message
    assert message is not None
    failed = isinstance(content, Fail)
    row = {
        "sid": ids.new(ids.RECEIPT),
        "account_sid": message.account_sid,
        "chat_service_sid": message.chat_service_sid,
        "conversation_sid": message.conversation_sid,
        "message_sid": message.sid,
        "participant_sid": planned.participant_sid,
        "channel": content.channel,
        "address": planned.address,
        "proxy_address": planned.proxy_address,
        "carrier": carrier,
        "status": "failed" if failed else "queued",
    }
    if failed:
        return row | {"error_code": content.code, "error_message": content.reason}
    if content.dropped is not None:
        row["dropped"] = content.dropped
    if content.parts:
        row["parts"] = stored(content.parts)
    return row


def _item(receipt: dict[str, Any], sender: SenderSettings, event: str | None) -> NewItem:
    account_sid, address = receipt["account_sid"], receipt["address"]
    item = NewItem(
        lane=delivery_lane(account_sid, receipt["proxy_address"], address),
        kind=DELIVERY,
        token=receipt["sid"],
        account_sid=account_sid,
        conversation_sid=receipt["conversation_sid"],
        message_sid=receipt["message_sid"],
        receipt_sid=receipt["sid"],
        endpoint=route(sender.carriers),
    )
    if event is not None:
        item["event"] = event
    if (pace := paces.pace(sender, account_sid, address)) is not None:
        item["sender"] = pace
    return item


def _together(members: Sequence[Member], first: dict[str, Any], sender: SenderSettings) -> NewItem:
    """One send to everybody else in a group text, our further numbers too: on a phone, a group is
    who is in it. It stands for the receipts of all; they are those of the message."""
    numbers = [one.address or one.projected_address or "" for one in members]
    to = dict.fromkeys([first["address"], *numbers])
    del to[first["proxy_address"]]
    item = _item(first, sender, None)
    item["lane"] = group_lane(first["account_sid"], number_group(numbers))
    item["params"] = {"to": " ".join(to)}
    return item


def _tell_failure(load: Load, carriage: Carriage, receipt: dict[str, Any]) -> None:
    more = {"channel_message_sid": None, "date_created": load.now}
    row = cast(Receipt, SimpleNamespace(**receipt, **more))
    if load.wants(row.conversation_sid, "onDeliveryUpdated"):
        load.events.append(events.delivery_updated(row, "failed", row.error_code, load.now))
    if isinstance(carriage.item, Draft) and carriage.item.flow is not None:
        load.items += flowing.failure(carriage.item.flow, row)
