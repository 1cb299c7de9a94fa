"""A message as Twilio would post it: what the sender's own webhook understands, whoever carried it.

https://www.twilio.com/docs/messaging/guides/webhook-request
"""

from __future__ import annotations

import orjson

from app.model.traffic import Inbound


def form(inbound: Inbound) -> dict[str, str]:
    """Its parameters; what the channel told of it is ChannelMetadata, and each text in its context
    a parameter of its own."""
    fields = {
        "MessageSid": inbound.external_id,
        "From": inbound.address,
        "To": inbound.proxy_address,
        "Body": inbound.body or "",
        "NumMedia": str(len(inbound.media)),
    }
    for index, part in enumerate(inbound.media):
        fields |= {f"MediaUrl{index}": part.url, f"MediaContentType{index}": part.content_type}
    fields |= {f"OtherRecipients{index}": other for index, other in enumerate(inbound.others)}
    if inbound.channel_metadata is None:
        return fields
    fields["ChannelMetadata"] = orjson.dumps(inbound.channel_metadata).decode()
    match inbound.channel_metadata:
        case {"data": {"context": dict() as context}}:
            told = {name: value for name, value in context.items() if isinstance(value, str)}
            return told | fields
    return fields
