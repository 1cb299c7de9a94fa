"""What a provider's requests say to the generic carrier: messages and statuses, read by the fields
that the YAML names."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.carriers import storable
from app.carriers.contract import Junk, Request
from app.carriers.http_answer import identifier
from app.carriers.http_options import InboundFields, MediaFields, StatusFields
from app.carriers.http_paths import FormFields, Source, sources, word
from app.channels.address import PREFIX_NAMED, PREFIX_NUMBERED, channel_of, normalise
from app.model.parts import is_reference
from app.model.traffic import Inbound, MediaPart, Status

MEDIA_MAX = 20
OTHERS_MAX = 50
URL_LENGTH_MAX = 4096
UNKNOWN_TYPE = "application/octet-stream"
NUMBER = "{n}"
# What is shorter and has no plus is a short code.
NUMBER_DIGITS_MIN = 8
PREFIXES = PREFIX_NUMBERED | PREFIX_NAMED

_URL = re.compile(r"https?://[!-~]+")
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:\s*;[ -~]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one carrier's requests. `channels` maps ours to the provider's words; `digits`: its
    numbers have no plus; `strip`: what it writes before addresses."""

    carrier: str
    channels: Mapping[str, str]
    digits: bool
    strip: Sequence[str]
    codes: Mapping[str, int]
    one_door: bool

    def inbounds(self, fields: InboundFields, request: Request) -> list[Inbound]:
        """The messages in the request; raises Junk."""
        found = sources(request, fields.format == "form", fields.messages, self.one_door)
        return [self._inbound(fields, one) for one in found if one.fits(fields.when)]

    def statuses(self, fields: StatusFields, request: Request) -> list[Status]:
        """The statuses in the request, without those whose word is not known; raises Junk."""
        found = sources(request, fields.format == "form", fields.statuses, self.one_door)
        read = (self._status(fields, one, request) for one in found if one.fits(fields.when))
        return [status for status in read if status is not None]

    def _inbound(self, fields: InboundFields, source: Source) -> Inbound:
        external_id = _identified(fields.id, source)
        channel = self._channel(fields, source)
        address = self._address(source.first(fields.from_), channel, "from")
        proxy_address = self._address(source.first(fields.to), channel, "to")
        if channel_of(address) != channel_of(proxy_address):
            raise Junk("from and to are addresses of different channels")
        media = _media(fields.media, source) if fields.media else ()
        channel = channel_of(address) if channel in ("sms", "mms") else channel
        if channel == "sms" and media:
            channel = "mms"
        body = _text(source.first(fields.body), "body") if fields.body else None
        return Inbound(
            carrier=self.carrier,
            external_id=external_id,
            channel=channel,
            address=address,
            proxy_address=proxy_address,
            body=body or None,
            media=media,
            others=self._others(fields, source, channel, {address, proxy_address}),
            channel_metadata=_metadata(fields.metadata, source, channel),
            form=_original(external_id, address, proxy_address, body or "", media),
        )

    def _status(self, fields: StatusFields, source: Source, request: Request) -> Status | None:
        external_id = _identified(fields.id, source)
        said = word(source.first(fields.status))
        if said is None:
            raise Junk(f"{fields.status[0]} is missing or not a word")
        status = fields.words.get(said)
        if status is None:
            return None
        theirs = word(source.first(fields.code)) if fields.code else None
        text = word(source.first(fields.message)) if fields.message else None
        named = request.query.get("receipt")
        reference = word(source.first(fields.reference)) if fields.reference else named
        code = self.codes.get(theirs or "")
        if theirs and code is None:
            text = f"code {theirs}: {text}" if text else f"code {theirs}"
        return Status(
            carrier=self.carrier,
            external_id=external_id,
            status=None if status == "queued" else status,
            error_code=code,
            error_message=text[:300] if text else None,
            receipt_sid=reference if is_reference(reference) else None,
        )

    def _channel(self, fields: InboundFields, source: Source) -> str:
        """The channel that the provider's word means; without a word, that of the address."""
        if fields.channel is None:
            return "sms"
        said = word(source.first(fields.channel))
        if said is None:
            return "sms"
        for ours, theirs in self.channels.items():
            if said == theirs:
                return ours
        raise Junk(f"{fields.channel[0]} is not a channel in channels")

    def _address(self, given: Any, channel: str, name: str) -> str:
        text = word(given)
        if not text:
            raise Junk(f"{name} is missing")
        for prefix in self.strip:
            if text.lower().startswith(prefix.lower()):
                text = text[len(prefix) :]
        prefix, colon, bare = text.partition(":")
        if not colon:
            prefix, bare = (channel if channel in PREFIXES else ""), text
        if self.digits and prefix not in PREFIX_NAMED:
            bare = _plus(bare, prefix)
        try:
            whole = f"{prefix}:{bare}" if prefix else bare
            return normalise(whole, allow_short_code=True, lenient=True)
        except ValueError as error:
            raise Junk(f"{name} is not an address: {error}") from error

    def _others(
        self, fields: InboundFields, source: Source, channel: str, known: set[str]
    ) -> tuple[str, ...]:
        """The further members of a group."""
        given = source.every(fields.others) if fields.others else []
        if len(given) > OTHERS_MAX:
            raise Junk(f"there are more than {OTHERS_MAX} others")
        members = [self._address(one, channel, "others") for one in given]
        return tuple(member for member in dict.fromkeys(members) if member not in known)


def _plus(bare: str, prefix: str) -> str:
    """A number that is written without its plus."""
    digits = bare.isascii() and bare.isdigit()
    return f"+{bare}" if digits and (prefix or len(bare) >= NUMBER_DIGITS_MIN) else bare


def _identified(paths: Sequence[str], source: Source) -> str:
    found = identifier(source.first(paths))
    if found is None:
        raise Junk(f"{paths[0]} is missing or not an id")
    return found


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Junk(f"{name} is not text")
    return storable.text(value)


def _media(fields: MediaFields, source: Source) -> tuple[MediaPart, ...]:
    if isinstance(source.here, FormFields):
        given = [(url, source.get(fields.type or "")) for url in _numbered(fields.url, source.here)]
    else:
        entries = source.every(fields.in_) if fields.in_ else [source.here]
        files = [Source(source.root, entry) for entry in entries]
        given = [
            (url, file.get(fields.type) if fields.type else None)
            for file in files
            for url in file.every(fields.url)
        ]
    if len(given) > MEDIA_MAX:
        raise Junk(f"there are more than {MEDIA_MAX} files")
    return tuple(_part(url, content_type, fields.url) for url, content_type in given)


def _numbered(name: str, form: FormFields) -> list[str]:
    """The values of a form's fields Media0, Media1, ... (or of the one with exactly this name)."""
    if NUMBER not in name:
        return [value for value in form.fields.getall(name, []) if value]
    before, _, after = name.partition(NUMBER)
    pattern = re.compile(re.escape(before) + "([0-9]{1,3})" + re.escape(after))
    numbers = {int(found[1]): key for key in form.fields if (found := pattern.fullmatch(key))}
    return [value for number in sorted(numbers) if (value := form.fields[numbers[number]])]


def _part(url: Any, content_type: Any, name: str) -> MediaPart:
    if not isinstance(url, str) or len(url) > URL_LENGTH_MAX or not _URL.fullmatch(url):
        raise Junk(f"{name} is not a URL")
    if isinstance(content_type, str) and _TYPE.fullmatch(content_type):
        return MediaPart(url, content_type)
    return MediaPart(url, _guessed(url))


def _guessed(url: str) -> str:
    """By the ending of the URL's path."""
    try:
        return mimetypes.guess_type(urlsplit(url).path)[0] or UNKNOWN_TYPE
    except ValueError:
        return UNKNOWN_TYPE


def _metadata(paths: Sequence[str], source: Source, channel: str) -> dict[str, Any] | None:
    """`{"type": ..., "data": {"context": {...}}}` as the original keeps it."""
    found = {path: value for path in paths if (value := source.get(path)) not in (None, "")}
    if not found:
        return None
    return {"type": channel, "data": {"context": storable.document(found)}}


def _original(
    external_id: str, address: str, proxy_address: str, body: str, media: Sequence[MediaPart]
) -> dict[str, str]:
    """The message as Twilio would post it: what a sender's own webhook understands."""
    form = {
        "MessageSid": external_id,
        "From": address,
        "To": proxy_address,
        "Body": body,
        "NumMedia": str(len(media)),
    }
    for index, part in enumerate(media):
        form |= {f"MediaUrl{index}": part.url, f"MediaContentType{index}": part.content_type}
    return form
