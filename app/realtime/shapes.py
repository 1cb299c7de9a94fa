"""What clients read of our rows: the data of documents and items.

The names are the SDK's own: a body is `text`, a participant `memberSid`, attributes are JSON as
text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from app import ids
from app.channels.facts import binding_type
from app.clock import iso_millis
from app.realtime import entities
from app.realtime.entities import CHANNEL, INFO, MESSAGES, ROSTER
from app.rules.receipts import aggregate
from app.store.media import BODY

Row = Any
Data = dict[str, Any]

SMS = "sms"


def document(row: Row) -> Data:
    """A conversation. What is one participant's own is not in it: everybody shares it."""
    sid = row["sid"]
    last = None
    if row["last_index"] is not None:
        last = {"index": row["last_index"], "timestamp": iso_millis(row["last_at"])}
    return {
        "sid": sid,
        "friendlyName": row["friendly_name"],
        "uniqueName": row["unique_name"],
        "attributes": row["attributes"],
        "createdBy": row["created_by"],
        "dateCreated": iso_millis(row["date_created"]),
        "dateUpdated": iso_millis(row["date_updated"]),
        "messages": entities.name(MESSAGES, sid),
        "roster": entities.name(ROSTER, sid),
        "state": {"current": row["state"], "dateUpdated": iso_millis(row["state_at"])},
        "bindings": _bindings(row),
        "lastMessage": last,
    }


def message(row: Row) -> Data:
    """A message, with its media (what it says by a template is one, too, of another category) and
    how its deliveries fare."""
    media = [_medium("media", *one) for one in orjson.loads(row["media"] or "[]")]
    shown: Data = {
        "sid": row["sid"],
        "author": row["author"],
        "text": row["body"],
        "attributes": row["attributes"],
        "timestamp": iso_millis(row["date_created"]),
        "dateUpdated": iso_millis(row["date_updated"]),
        "lastUpdatedBy": None,
        "type": "media" if media else "text",
        "memberSid": row["participant_sid"],
        "subject": row["subject"],
        "contentSid": row["content_sid"],
        "delivery": aggregate(row["statuses"]),
        "channelMetadata": row["told"],
    }
    if media:
        shown["media"] = media[0]
    if row["content_type"] is not None:
        sid = ids.twin(ids.MEDIA, row["sid"])
        media.append(_medium(BODY, sid, row["content_type"], None, row["content_size"]))
    if media:
        shown["medias"] = media
    return shown


def member(row: Row) -> Data:
    """A participant."""
    identity, at = row["identity"], row["last_read_timestamp"]
    return {
        "identity": identity,
        "roleSid": row["role_sid"],
        "attributes": row["attributes"],
        "dateCreated": iso_millis(row["date_created"]),
        "dateUpdated": iso_millis(row["date_updated"]),
        "lastConsumedMessageIndex": row["last_read_message_index"],
        "lastConsumptionTimestamp": iso_millis(at) if at else None,
        "type": member_type(row),
        "userInfo": entities.name(INFO, identity) if identity is not None else None,
        "bindings": _addresses(row),
    }


def member_type(row: Row) -> str:
    """How a participant is reached: chat, sms, whatsapp, ..."""
    if row["address"] is None:
        return "chat"
    return binding_type(row["channel"] or SMS)


def membership(row: Row) -> Data:
    """A conversation as one of its participants has it."""
    sid = row["conversation_sid"]
    return {
        "status": "joined",
        "channel": entities.name(CHANNEL, sid),
        "messages": entities.name(MESSAGES, sid),
        "roster": entities.name(ROSTER, sid),
        "lastConsumedMessageIndex": row["last_read_message_index"],
        "notificationLevel": row["notification_level"],
    }


def user(row: Row) -> Mapping[str, Data]:
    """What is shown of a user, by item. Both names and attributes must be there."""
    reachable: Data = {"online": False, "notifiable": False}
    if row["shown"]:
        reachable = {"online": row["online"], "notifiable": row["notifiable"]}
    return {
        "attributes": {"value": row["attributes"]},
        "friendlyName": {"value": row["friendly_name"]},
        "reachability": reachable,
    }


def _bindings(row: Row) -> Data:
    if row["email_address"] is None and row["email_name"] is None:
        return {}
    return {"email": {"address": row["email_address"], "name": row["email_name"]}}


def _addresses(row: Row) -> Data:
    if row["address"] is None:
        return {}
    binding = {
        "type": member_type(row),
        "address": row["address"],
        "proxy_address": row["proxy_address"],
    }
    return {member_type(row): binding}


def _medium(
    category: str, sid: str, content_type: str, filename: str | None, size: int | None
) -> Data:
    return {
        "sid": sid,
        "category": category,
        "filename": filename,
        "contentType": content_type,
        "size": size or 0,
    }
