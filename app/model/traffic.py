"""What passes between the carriers and the roads: plain values, no tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Literal

import orjson

from app.values import value

DeliveryStatus = Literal["queued", "sent", "delivered", "read", "failed", "undelivered"]
SignatureResult = Literal["valid", "invalid", "unchecked"]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that lies on its shelf and is nobody's yet: its name, the shelf, what it says, and
    what the key is known by that sealed it (empty: that is not known)."""

    key: str
    shelf: str
    sha256: str
    sealed_by: str = ""


@value(frozen=True, slots=True)
class MediaPart:
    """One file as a channel names it. `size` is bytes, None while unknown. `sid` is set on a file
    that we keep, or will (`pending`): who is to get it gets a URL of ours, and
    with `bytes_max` a picture that is made smaller than that. `kept` is a file that came with its
    message and lies on our shelf already."""

    url: str
    content_type: str
    size: int | None = None
    filename: str | None = None
    sid: str | None = None
    pending: bool = False
    bytes_max: int | None = None
    kept: KeptFile | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that comes with its message, before it is on our shelf."""

    content: bytes = field(repr=False)
    content_type: str
    filename: str | None = None


@value(frozen=True, slots=True)
class Inbound:
    """One message that somebody sent to one of our addresses, in the words of the road.

    `carrier` is the configured name; (`carrier`, `external_id`) is unique for ever. `address` is
    theirs, `proxy_address` ours, both normalised. `form` is what came, kept for the sender's own
    webhook and for operators. `others` are the further members of a group message. `recovered`:
    no webhook brought it, the carrier's list of messages did.

    Of mails: `subject`; `answers`, the receipts of ours that it answers, the nearest first;
    `guard`, why it is not to be posted (a machine wrote it); and `attachments`, which become
    `media` that are kept before it walks the road.
    """

    carrier: str
    external_id: str
    channel: str
    address: str
    proxy_address: str
    body: str | None = None
    media: tuple[MediaPart, ...] = ()
    others: tuple[str, ...] = ()
    channel_metadata: dict[str, Any] | None = None
    form: dict[str, str] = field(default_factory=dict)
    sent_at: datetime | None = None
    signature: SignatureResult = "valid"
    recovered: bool = False
    subject: str | None = None
    answers: tuple[str, ...] = ()
    guard: str | None = None
    attachments: tuple[Attachment, ...] = ()


def stored(inbound: Inbound) -> dict[str, Any]:
    """The inbound as JSON holds it."""
    kept: dict[str, Any] = orjson.loads(orjson.dumps(inbound))
    return kept


def restored(kept: Mapping[str, Any]) -> Inbound:
    """The inbound that was stored, perhaps by another release."""
    known = {one.name: kept[one.name] for one in fields(Inbound) if one.name in kept}
    known["media"] = tuple(_part(part) for part in kept["media"])
    for name in ("others", "answers", "attachments"):
        known[name] = tuple(kept.get(name) or ())
    sent_at = kept.get("sent_at")
    return Inbound(**known | {"sent_at": datetime.fromisoformat(sent_at) if sent_at else None})


def _part(kept: Mapping[str, Any]) -> MediaPart:
    part = MediaPart(**kept)
    return replace(part, kept=KeptFile(**kept["kept"])) if kept.get("kept") else part


@value(frozen=True, slots=True)
class Status:
    """What a carrier says of something we sent. `receipt_sid`, the reference of the send (the
    receipt's SID, with the part's number behind it: app/model/parts.py), is known where the carrier
    calls a URL that we gave with the send; otherwise (`carrier`, `external_id`) finds the receipt.
    `status` None means: accepted, nothing more is known yet. `address` says whom it is about when
    the send went to several."""

    carrier: str
    external_id: str
    status: DeliveryStatus | None
    error_code: int | None = None
    error_message: str | None = None
    receipt_sid: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalStatus:
    """What WhatsApp decided on the template that it knows by this name and language. `status` is
    one of an approval request."""

    name: str
    language: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A template is to be approved by WhatsApp, under this name."""

    name: str
    category: str
    allow_category_change: bool = True


@dataclass(frozen=True, slots=True)
class Review:
    """What WhatsApp thinks of a template, as a carrier tells. `kind` is the content type that was
    submitted."""

    status: str
    reason: str = ""
    name: str = ""
    category: str = ""
    kind: str = ""
    allow_category_change: bool = True


@dataclass(frozen=True, slots=True)
class ContentTemplate:
    """The content template of a message, with the variables that the message gives.

    `types` are the fields of each of its content types and `samples` what stands in for a variable
    that is not given. `approval` is WhatsApp's word on the type `approved_type`, which it calls
    `approved_name`. `names` says what carriers call it, by their names in the YAML.
    """

    sid: str
    language: str
    types: Mapping[str, Mapping[str, Any]]
    samples: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    approval: str = "unsubmitted"
    approved_type: str = ""
    approved_name: str = ""
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """A content template as one recipient gets it: the `type` that their channel shows, its
    `fields` with the variables filled in, and as they are in the `content`. With `approved` it goes
    as the template that WhatsApp approved, otherwise freely within the session. `variables` are
    those in force."""

    content: ContentTemplate
    type: str
    fields: Mapping[str, Any]
    variables: Mapping[str, str]
    approved: bool = False

    @property
    def source(self) -> Mapping[str, Any]:
        """The fields of its type with their placeholders."""
        return self.content.types[self.type]

    def named(self, carrier: str) -> Mapping[str, str]:
        """What this carrier calls it: nothing, when nobody said."""
        return self.content.names.get(carrier, {})


@dataclass(frozen=True, slots=True)
class Thread:
    """What a mail says of the conversation that it belongs to. `name` is the same for all mails to
    this recipient in it. `answers` is the Message-ID of the last mail that came from them, and
    `answered_subject` its subject; `subject` is the message's own, `topic` the conversation's
    friendly name, `sender_name` how we call ourselves in it."""

    name: str
    subject: str | None = None
    topic: str | None = None
    sender_name: str | None = None
    answers: str | None = None
    answered_subject: str | None = None


@value(frozen=True, slots=True)
class Outgoing:
    """One message for one recipient, or one group text for all of them, as it is handed to a
    carrier.

    `reference` is the receipt's SID (of a group text: that of the first receipt, of `address`; of
    a further part with its number behind it): the same in every attempt of the same send. `others`
    are the further recipients. `status_url` is where the carrier reports, None when we have no
    public URL. `started_at` is when the attempt (for a look-up: the first one whose outcome is
    unknown) began. Where there is a `template`, a carrier that can sends it; `body` and `media` say
    the same to those that cannot. Mails have a `thread`.
    """

    reference: str
    channel: str
    address: str
    proxy_address: str
    body: str | None
    media: tuple[MediaPart, ...]
    status_url: str | None
    started_at: datetime
    template: Template | None = None
    others: tuple[str, ...] = ()
    thread: Thread | None = None


@value(frozen=True, slots=True)
class Accepted:
    """The carrier took it and calls it `external_id`; `status` is what it says so far."""

    external_id: str
    status: DeliveryStatus | None = None


@value(frozen=True, slots=True)
class Member:
    """A participant as far as the fan-out cares. `channel` is None for chat; a projected address
    is known in group texts only. `last_inbound_at` is known where that opens a session; `opted_out`
    are senders that they want nothing from."""

    sid: str
    identity: str | None
    address: str | None
    proxy_address: str | None
    channel: str | None
    last_inbound_at: datetime | None = None
    opted_out: tuple[str, ...] = ()
    projected_address: str | None = None
