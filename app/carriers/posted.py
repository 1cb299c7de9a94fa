"""A message of any carrier as Twilio would have posted it: what a sender's own webhook gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from app.model.traffic import Inbound


def metadata(channel: str, context: dict[str, Any]) -> dict[str, Any] | None:
    """The channel metadata in the original's shape; None when there is nothing to say."""
    kept = {name: value for name, value in context.items() if value not in ("", None)}
    return {"type": channel, "data": {"context": kept}} if kept else None


def with_form(inbound: Inbound) -> Inbound:
    """The message with its `form`: Twilio's parameters, and those of the metadata's context.

    https://www.twilio.com/docs/messaging/guides/webhook-request
    """
    form = {
        "MessageSid": inbound.external_id,
        "From": inbound.address,
        "To": inbound.proxy_address,
        "Body": inbound.body or "",
        "NumMedia": str(len(inbound.media)),
    }
    for index, part in enumerate(inbound.media):
        form |= {f"MediaUrl{index}": part.url, f"MediaContentType{index}": part.content_type}
    form |= {f"OtherRecipients{index}": other for index, other in enumerate(inbound.others)}
    if inbound.channel_metadata is not None:
        context = inbound.channel_metadata["data"]["context"]
        form |= {name: value for name, value in context.items() if isinstance(value, str)}
        form["ChannelMetadata"] = orjson.dumps(inbound.channel_metadata).decode()
    return replace(inbound, form=form)
