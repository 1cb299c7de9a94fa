"""Messenger's webhooks: messages to our pages, taps on our buttons, and what became of our own.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks.
Deliveries are told by message ids; those that are told only by a moment ("everything before"), and
reads, which always are, name no message and are passed over. So are messages that people wrote in
the page's inbox (echoes without our reference), reactions, and messages taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.carriers import posted
from app.carriers.contract import Junk
from app.carriers.meta_document import (
    Section,
    filled,
    identifier,
    moment,
    rows,
    section,
    text,
    web_url,
)
from app.channels.address import normalise
from app.model.parts import is_reference
from app.model.traffic import Inbound, MediaPart, Status

# Messenger says no more than this of a file.
FILES: Mapping[str, str] = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/mp4",
    "file": "application/octet-stream",
}
ATTACHMENTS_MAX = 50


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads for one carrier, `messenger` or `instagram`, whose documents have the same form."""

    carrier: str
    channel: str = "messenger"

    def read(self, entry: Section) -> Iterator[Inbound | Status | Junk]:
        """What one entry tells, in its order; Junk for what cannot be read, so that it holds
        nothing else up."""
        for event in rows(entry, "messaging"):
            try:
                yield from self._read(event)
            except Junk as junk:
                yield junk

    def _read(self, event: Section) -> list[Inbound] | list[Status]:
        message = section(event, "message")
        if message.get("is_echo") is True:
            return self._echo(message)
        if message and message.get("is_deleted") is not True:
            return [self._message(event, message)]
        if "postback" in event:
            return [self._postback(event, section(event, "postback"))]
        seen = section(event, "read")
        if text(seen, "mid"):  # Instagram's; Messenger names a moment only
            return [Status(self.carrier, identifier(seen, "mid"), "read")]
        return self._delivered(section(event, "delivery"))

    def _message(self, event: Section, message: Section) -> Inbound:
        words = text(message, "text")
        attachments = rows(message, "attachments")
        if len(attachments) > ATTACHMENTS_MAX:
            raise Junk(f"there are more than {ATTACHMENTS_MAX} attachments")
        payload = text(section(message, "quick_reply"), "payload")
        context = filled(
            ButtonText=words if payload else "",
            ButtonPayload=payload,
            OriginalRepliedMessageSid=text(section(message, "reply_to"), "mid"),
        )
        context |= _referral(section(message, "referral"))
        context |= next((place for one in attachments if (place := _place(one))), {})
        lines = [words, *map(_line, attachments)]
        body = "\n".join(line for line in lines if line)
        media = tuple(part for one in attachments if (part := _file(one)) is not None)
        return self._inbound(event, identifier(message, "mid"), body, media, context)

    def _postback(self, event: Section, postback: Section) -> Inbound:
        """A tap on a button. Old ones have no id: the person and the time are one."""
        title = text(postback, "title")
        context = filled(ButtonText=title, ButtonPayload=text(postback, "payload"))
        context |= _referral(section(postback, "referral"))
        if text(postback, "mid"):
            external_id = identifier(postback, "mid")
        else:
            person = identifier(section(event, "sender"), "id")
            external_id = f"postback.{person}.{identifier(event, 'timestamp')}"
        return self._inbound(event, external_id, title, (), context)

    def _inbound(
        self,
        event: Section,
        external_id: str,
        body: str,
        media: tuple[MediaPart, ...],
        context: dict[str, str],
    ) -> Inbound:
        inbound = Inbound(
            carrier=self.carrier,
            external_id=external_id,
            channel=self.channel,
            address=_address(self.channel, event, "sender"),
            proxy_address=_address(self.channel, event, "recipient"),
            body=body or None,
            media=media,
            channel_metadata=posted.metadata(self.channel, context),
            sent_at=moment(event, "timestamp"),
        )
        return posted.with_form(inbound)

    def _echo(self, message: Section) -> list[Status]:
        """What we sent comes back with our reference; an answer that was lost is made up for."""
        receipt = text(message, "metadata")
        if not is_reference(receipt):
            return []
        return [Status(self.carrier, identifier(message, "mid"), "sent", receipt_sid=receipt)]

    def _delivered(self, delivery: Section) -> list[Status]:
        mids = delivery.get("mids")
        if not isinstance(mids, list):
            return []
        named = [identifier({"mids": mid}, "mids") for mid in mids]
        return [Status(self.carrier, mid, "delivered") for mid in named]


def _address(channel: str, event: Section, name: str) -> str:
    try:
        return normalise(f"{channel}:{identifier(section(event, name), 'id')}")
    except ValueError as error:
        raise Junk(f"{name}.id is not an id: {error}") from error


def _file(attachment: Section) -> MediaPart | None:
    url = web_url(section(attachment, "payload"), "url")
    kind = FILES.get(text(attachment, "type"))
    return MediaPart(url, kind) if url and kind else None


def _line(attachment: Section) -> str:
    """What an attachment that is no file says in words: a shared link or reel, a place."""
    if text(attachment, "type") in FILES:
        return ""
    payload, place = section(attachment, "payload"), _place(attachment)
    title = text(attachment, "title") or text(payload, "title")
    spot = f"{place['Latitude']}, {place['Longitude']}" if place else ""
    url = web_url(attachment, "url") or web_url(payload, "url")
    return " ".join(part for part in (title, spot or url) if part)


def _place(attachment: Section) -> dict[str, str]:
    spot = section(section(attachment, "payload"), "coordinates")
    latitude, longitude = text(spot, "lat"), text(spot, "long")
    return {"Latitude": latitude, "Longitude": longitude} if latitude and longitude else {}


def _referral(referral: Section) -> dict[str, str]:
    return filled(
        ReferralSourceId=text(referral, "ad_id") or text(referral, "ref"),
        ReferralSourceType=text(referral, "source"),
    )
