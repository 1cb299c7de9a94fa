"""Messages, their media, and one receipt per external recipient."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from app.model import columns as c


class Message(SQLModel, table=True):
    """A message (docs/25). `index` is dense and in commit order within its conversation.

    `source` is how it came: API, SDK, SMS, WHATSAPP, ... `channel_metadata` is what the channel
    told about it, as the ChannelMetadata resource gives it back. One that is made of a template
    says it in `content`, too, as SDKs read it: JSON, of the media type `content_type`. `revision`
    is the conversation's that it came with: later ones are `Change`s.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index("messages_index", "conversation_sid", "index", unique=True),
        Index(
            "messages_text",
            text("to_tsvector('simple', body)"),
            postgresql_using="gin",
            postgresql_where=text("body IS NOT NULL"),
        ),
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid()
    chat_service_sid: str = c.sid()
    conversation_sid: str = c.sid_ref("conversations")
    index: int
    author: str
    participant_sid: str | None = c.sid(null=True)
    body: str | None = None
    subject: str | None = None
    attributes: str = c.attributes()
    content_sid: str | None = c.sid(null=True)
    content_variables: str | None = None
    content_type: str | None = None
    content: str | None = None
    channel_metadata: dict[str, Any] | None = c.document(null=True)
    source: str = Field(default="API")
    revision: int = c.number(big=True)
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class Media(SQLModel, table=True):
    """One file of a message. `source_url` is where it came from, `file_key` where we keep it
    (`File`); `size` is bytes, None while unknown.

    `status`: linked (only its carrier keeps it), pending (it is being fetched), stored, or failed
    (`error` says why; the carrier may have it still). One without a message was not attached yet;
    or, when it has a conversation, its message is gone, and so is it. `author` is the identity that
    uploaded it with an SDK.
    """

    __tablename__ = "media"
    __table_args__ = (
        Index("media_message", "message_sid", "position"),
        Index("media_unattached", "date_created", postgresql_where=text("message_sid IS NULL")),
        Index("media_file", "file_key", postgresql_where=text("file_key IS NOT NULL")),
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid()
    chat_service_sid: str = c.sid()
    conversation_sid: str | None = c.sid(null=True)
    message_sid: str | None = c.sid_ref("messages", null=True, on_delete="SET NULL")
    position: int = c.number()
    content_type: str
    filename: str | None = None
    author: str | None = None
    size: int | None = Field(default=None)
    source_url: str | None = None
    status: str = c.word("linked")
    error: str | None = None
    file_key: str | None = c.sid(null=True)
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class Receipt(SQLModel, table=True):
    """How one message fares with one external recipient (docs/36).

    `status` is queued until the carrier has it, then sent, delivered, read, failed or undelivered.
    `dropped` names what the channel could not carry. (`carrier`, `external_id`) is what the
    carrier calls it. Where it takes several messages of the channel, `parts` are these, each with
    its own `id` and `status` (app/model/parts.py), and `external_id` is the first one's.
    """

    __tablename__ = "receipts"
    __table_args__ = (
        Index("receipts_message", "message_sid", "sid"),
        Index(
            "receipts_external",
            "carrier",
            "external_id",
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index(
            "receipts_parts",
            "parts",
            postgresql_using="gin",
            postgresql_ops={"parts": "jsonb_path_ops"},
            postgresql_with={"fastupdate": "off"},
            postgresql_where=text("parts IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": 90}},
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid()
    chat_service_sid: str = c.sid()
    conversation_sid: str = c.sid()
    message_sid: str = c.sid_ref("messages")
    participant_sid: str = c.sid()
    channel: str
    address: str
    proxy_address: str
    carrier: str
    external_id: str | None = None
    channel_message_sid: str | None = None
    status: str = Field(default="queued")
    error_code: int | None = None
    error_message: str | None = None
    dropped: str | None = None
    parts: list[dict[str, Any]] | None = c.document(null=True)
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()
