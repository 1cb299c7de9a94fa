"""What a WhatsApp message says, by its type: a body that anybody can read, files, and the rest in
the words of the original's parameters.

https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components. What has no such words
is kept as Meta tells it, under `data` of the channel metadata.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.carriers.meta_document import (
    Section,
    content_type,
    filled,
    rows,
    section,
    text,
    web_url,
)
from app.model.traffic import MediaPart

FILES = ("image", "video", "audio", "document", "sticker")
FILENAME_CHARS_MAX = 255
MEDIA_ID = re.compile(r"[0-9A-Za-z_-]{1,128}")


@dataclass(frozen=True, slots=True)
class Said:
    """`context` goes into the metadata's context, `data` beside it."""

    body: str = ""
    media: tuple[MediaPart, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


def said(message: Section, media_url: str) -> Said:
    """What the message says; a file's URL is `media_url`, a slash and its id. A type of which
    nothing is known has no body, and the whole message as its data."""
    kind = text(message, "type")
    if kind in FILES:
        return _file(message, kind, media_url)
    read = READERS.get(kind)
    return read(message) if read is not None else _unknown(message)


def referral(message: Section) -> dict[str, str]:
    """The advertisement that the person came by, as the original's Referral parameters."""
    ad = section(message, "referral")
    picture = web_url(ad, "image_url") or web_url(ad, "video_url") or web_url(ad, "thumbnail_url")
    if not ad:
        return {}
    return filled(
        ReferralBody=text(ad, "body"),
        ReferralHeadline=text(ad, "headline"),
        ReferralSourceId=text(ad, "source_id"),
        ReferralSourceType=text(ad, "source_type"),
        ReferralSourceUrl=text(ad, "source_url"),
        ReferralMediaUrl=picture,
        ReferralNumMedia="1" if picture else "0",
        ReferralCtwaClid=text(ad, "ctwa_clid"),
    )


def _text(message: Section) -> Said:
    return Said(text(section(message, "text"), "body"))


def _file(message: Section, kind: str, media_url: str) -> Said:
    file = section(message, kind)
    caption, url = text(file, "caption"), _file_url(file, media_url)
    if not url:
        return Said(caption, data={"message": message})
    filename = text(file, "filename")[:FILENAME_CHARS_MAX] or None
    part = MediaPart(url, content_type(file, "mime_type"), filename=filename)
    return Said(caption, (part,))


def _file_url(file: Section, media_url: str) -> str:
    name = text(file, "id")
    if MEDIA_ID.fullmatch(name):
        return f"{media_url}/{name}"
    return web_url(file, "url") or web_url(file, "link")


def _location(message: Section) -> Said:
    place = section(message, "location")
    latitude, longitude = text(place, "latitude"), text(place, "longitude")
    names = [name for name in (text(place, "name"), text(place, "address")) if name]
    spot = f"{latitude}, {longitude}" if latitude and longitude else ""
    body = f"{', '.join(names)} ({spot})" if names and spot else ", ".join(names) or spot
    return Said(
        body,
        context=filled(
            Latitude=latitude,
            Longitude=longitude,
            Label=text(place, "name"),
            Address=text(place, "address"),
        ),
    )


def _contacts(message: Section) -> Said:
    people = rows(message, "contacts")
    return Said(_lines(map(_contact, people)), data={"contacts": people})


def _contact(person: Section) -> str:
    """`Ann Lee: +1 555 867 5310, ann@example.com`."""
    name = section(person, "name")
    called = text(name, "formatted_name") or text(name, "first_name")
    phones = [text(one, "phone") or text(one, "wa_id") for one in rows(person, "phones")]
    ways = [*phones, *(text(one, "email") for one in rows(person, "emails"))]
    reached = ", ".join(way for way in ways if way)
    return f"{called}: {reached}" if called and reached else called or reached


def _button(message: Section) -> Said:
    button = section(message, "button")
    words = text(button, "text")
    return Said(words, context=filled(ButtonText=words, ButtonPayload=text(button, "payload")))


def _interactive(message: Section) -> Said:
    answer = section(message, "interactive")
    kind = text(answer, "type")
    chosen = section(answer, kind)
    title = text(chosen, "title")
    if kind == "button_reply":
        return Said(title, context=filled(ButtonText=title, ButtonPayload=text(chosen, "id")))
    if kind == "list_reply":
        listed = filled(
            ListId=text(chosen, "id"),
            ListTitle=title,
            ListDescription=text(chosen, "description"),
        )
        return Said(title, context=listed)
    if kind == "nfm_reply":
        return Said(text(chosen, "body"), context=filled(FlowData=text(chosen, "response_json")))
    return _unknown(message)


def _reaction(message: Section) -> Said:
    """An emoji; no body when it was taken back."""
    reaction = section(message, "reaction")
    replied = filled(OriginalRepliedMessageSid=text(reaction, "message_id"))
    return Said(text(reaction, "emoji"), context=replied)


def _order(message: Section) -> Said:
    order = section(message, "order")
    items = map(_item, rows(order, "product_items"))
    return Said(_lines([text(order, "text"), *items]), data={"order": order})


def _item(item: Section) -> str:
    """`2 x sku-1 (9.5 EUR)`."""
    amount, name = text(item, "quantity") or "1", text(item, "product_retailer_id")
    price = f"{text(item, 'item_price')} {text(item, 'currency')}".strip()
    return f"{amount} x {name}" + (f" ({price})" if price else "")


def _system(message: Section) -> Said:
    """Something about the person, like a new number. Its words are WhatsApp's and name phone
    numbers, which nobody else in the conversation should learn: they are in the data only."""
    return Said(data={"system": section(message, "system")})


def _unsupported(message: Section) -> Said:
    """Something that WhatsApp does not hand on (a poll, a one-time photo); why is in the data."""
    return Said(data={"errors": rows(message, "errors")})


def _unknown(message: Section) -> Said:
    return Said(data={"message": message})


def _lines(given: Iterable[str]) -> str:
    return "\n".join(line for line in given if line)


READERS: Mapping[str, Callable[[Section], Said]] = {
    "text": _text,
    "location": _location,
    "contacts": _contacts,
    "button": _button,
    "interactive": _interactive,
    "reaction": _reaction,
    "order": _order,
    "system": _system,
    "unsupported": _unsupported,
}
