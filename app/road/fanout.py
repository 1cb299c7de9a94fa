"""Fan-out on the road: a receipt for every external recipient, and a place in its lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from app import ids
from app.model import Receipt
from app.model.conversations import number_group
from app.model.outbox import DELIVERY, delivery_lane, group_lane
from app.model.traffic import MediaPart, Member
from app.road.convoy import Carriage, Load
from app.road.items import Arrival
from app.rules import fanout
from app.rules.content import Fail
from app.rules.fanout import Planned
from app.settings.models import SenderSettings, rate_per_s
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
        MediaPart(medium.source_url or "", medium.content_type, medium.size, medium.filename)
        for medium in carriage.media
    ]
    planning = fanout.plan_group if below.grouped else fanout.plan
    planned = planning(
        below.members,
        carriage.participant_sid,
        message.body,
        media,
        load.settings.limits.profile,
    )
    going = [sent for one in planned if (sent := _receipt(load, carriage, one)) is not None]
    if below.grouped:
        load.items += [_together(below.members, *first) for first in going[:1]]
    else:
        load.items += [_item(*one) for one in going]


def _receipt(
    load: Load, carriage: Carriage, planned: Planned
) -> tuple[dict[str, Any], SenderSettings] | None:
    """The receipt, and who sends it; None when it failed at once."""
    sender = _sender(load, carriage, planned.proxy_address)
    content = _carried(sender, planned)
    receipt = _row(carriage, planned, sender.carrier if sender else "", content)
    load.receipts.append(receipt)
    carriage.statuses.append(receipt["status"])
    if isinstance(content, Fail) or sender is None:
        _tell_failure(load, receipt)
        return None
    return receipt, sender


def _sender(load: Load, carriage: Carriage, address: str) -> SenderSettings | None:
    """The sender with this address, if it is still this account's."""
    assert carriage.message is not None
    house = load.settings.houses.get(carriage.message.account_sid)
    return house.sender(address) if house else None


def _carried(sender: SenderSettings | None, planned: Planned) -> Any:
    """What the plan becomes given what the sender may carry."""
    content = planned.content
    if isinstance(content, Fail):
        return content
    if sender is None:
        return Fail(content.channel, SENDER_GONE, "the proxy address is not a sender of ours")
    if content.channel not in sender.effective_channels:
        return Fail(content.channel, SENDER_GONE, f"the sender does not carry {content.channel}")
    return content


def _row(carriage: Carriage, planned: Planned, carrier: str, content: Any) -> dict[str, Any]:
    message = carriage.message
    assert message is not None
    failed = isinstance(content, Fail)
    return {
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
        "error_code": content.code if failed else None,
        "error_message": content.reason if failed else None,
        "dropped": None if failed else content.dropped,
    }


def _item(receipt: dict[str, Any], sender: SenderSettings) -> NewItem:
    pair = f"{receipt['account_sid']} {receipt['proxy_address']}"
    rated = rate_per_s(sender) is not None
    return NewItem(
        lane=delivery_lane(receipt["account_sid"], receipt["proxy_address"], receipt["address"]),
        kind=DELIVERY,
        token=receipt["sid"],
        account_sid=receipt["account_sid"],
        conversation_sid=receipt["conversation_sid"],
        message_sid=receipt["message_sid"],
        receipt_sid=receipt["sid"],
        sender=pair if rated else None,
    )


def _together(members: Sequence[Member], first: dict[str, Any], sender: SenderSettings) -> NewItem:
    """One send to everybody else in a group text, our further numbers too: on a phone, a group is
    who is in it. It stands for the receipts of all; they are those of the message."""
    numbers = [one.address or one.projected_address or "" for one in members]
    to = dict.fromkeys([first["address"], *numbers])
    del to[first["proxy_address"]]
    return replace(
        _item(first, sender),
        lane=group_lane(first["account_sid"], number_group(numbers)),
        params={"to": " ".join(to)},
    )


def _tell_failure(load: Load, receipt: dict[str, Any]) -> None:
    if load.wants(receipt["conversation_sid"], "onDeliveryUpdated"):
        row = SimpleNamespace(**receipt, channel_message_sid=None, date_created=load.now)
        load.events.append(
            events.delivery_updated(cast(Receipt, row), "failed", receipt["error_code"], load.now)
        )
