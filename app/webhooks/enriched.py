"""What an enriched payload says beyond the original's parameters (ours, off by default).

`Origin` on every event; on `onMessageAdded` also `Roster` (JSON, at most 50 participants in the
order in which they joined; `RosterTruncated` when there are more), and for a message that a carrier
brought its pair as `From` and `To`, and its `ChannelMessageSid`. Whom a channel lets us write to
freely only within a session has a `messaging_window` in the roster.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from app.channels.facts import channel_message_sid
from app.clock import iso_seconds
from app.rules.standing import expires_at, is_open
from app.store.webhooks import Roster
from app.webhooks.events import Event


def enrich(event: Event, roster: Roster | None, now: datetime) -> dict[str, str]:
    """The event's parameters with ours behind them."""
    params = event.params | {"Origin": event.origin.kind}
    if event.name != "onMessageAdded":
        return params
    if (inbound := event.inbound) is not None:
        params["From"], params["To"] = inbound.address, inbound.proxy_address
        params["ChannelMessageSid"] = channel_message_sid(
            inbound.channel, inbound.external_id, event.message_sid or ""
        )
    if roster is not None:
        params["Roster"] = _people(roster.text, now)
        if roster.cut:
            params["RosterTruncated"] = "true"
    return params


def _people(text: str, now: datetime) -> str:
    """The roster, with `messaging_window` as {open, expires_at} where there are sessions."""
    if '"Channel"' not in text:
        return text
    people = orjson.loads(text)
    for person in people:
        channel = person.pop("Channel", None)
        if channel is not None:
            person["messaging_window"] = _window(channel, person.pop("LastInboundAt", None), now)
    return orjson.dumps(people).decode()


def _window(channel: str, last_inbound_at: str | None, now: datetime) -> dict[str, Any]:
    at = datetime.fromisoformat(last_inbound_at) if last_inbound_at else None
    end = expires_at(channel, at)
    return {"open": is_open(channel, at, now), "expires_at": iso_seconds(end) if end else None}
