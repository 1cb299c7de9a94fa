"""What an enriched payload says beyond the original's parameters (ours, off by default).

`Origin` on every event; on `onMessageAdded` also `Roster` (JSON, at most 50 participants in the
order in which they joined; `RosterTruncated` when there are more), and for a message that a carrier
brought its pair as `From` and `To`, and its `ChannelMessageSid`.
"""

from __future__ import annotations

from app.channels.facts import channel_message_sid
from app.store.webhooks import Roster
from app.webhooks.events import Event


def enrich(event: Event, roster: Roster | None) -> dict[str, str]:
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
        params["Roster"] = roster.text
        if roster.cut:
            params["RosterTruncated"] = "true"
    return params
