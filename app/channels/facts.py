"""All channels in one table, and the SID by which a message is known in its channel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from app.channels import chat, email, instagram, messenger, mms, rcs, sms, whatsapp
from app.channels.channel import ChannelFacts

__all__ = ["FACTS", "ChannelFacts", "binding_type", "channel_message_sid"]

CHANNELS = (sms, mms, whatsapp, messenger, instagram, rcs, email, chat)
FACTS: Mapping[str, ChannelFacts] = MappingProxyType(
    {one.FACTS.name: one.FACTS for one in CHANNELS}
)
# What a channel without facts of its own calls its messages.
SID_PREFIX_OTHER = "SM"

_SID = re.compile(r"[A-Z]{2}([0-9a-f]{32})")


def channel_message_sid(channel: str, external_id: str | None, receipt_sid: str) -> str:
    """The `channel_message_sid` of a receipt ("Conversation Message Receipt Resource").

    SM, MM or WA by channel, then the hex of the carrier's own SID; a carrier whose ids are no
    SIDs gets the hex of the receipt's SID, so the answer is the same each time.
    """
    facts = FACTS.get(channel)
    prefix = (facts.sid_prefix if facts else None) or SID_PREFIX_OTHER
    match = _SID.fullmatch(external_id) if external_id else None
    return prefix + (match[1] if match else receipt_sid[2:])


def binding_type(channel: str) -> str:
    """The `type` of a messaging binding on this channel, lower case: an mms binds as sms."""
    facts = FACTS.get(channel)
    return facts.binding_type if facts else channel
