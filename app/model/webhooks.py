"""Whom to tell: configured webhooks (account or service) and webhooks of one conversation."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from app.model import columns as c

TWILIO, ENRICHED = "twilio", "enriched"
"""Payloads: exactly the original's, or with what we know besides."""


class WebhookConfiguration(SQLModel, table=True):
    """The account's webhooks (no service) or one service's, which override them (docs/12, 28).

    `pre_on_timeout` is what becomes of a change when the pre-event webhook does not answer within
    `pre_timeout_ms`: open (it is published) or closed (it is rejected). `echo` and `payload`
    (twilio or enriched) are ours: whether the target hears of what REST callers did not ask to be
    told, and in how many words.
    """

    __tablename__ = "webhook_configurations"
    __table_args__ = (
        Index(
            "webhook_configurations_scope",
            "account_sid",
            text("coalesce(chat_service_sid, '')"),
            unique=True,
        ),
        Index("webhook_configurations_echo", "account_sid", postgresql_where=text("echo")),
        Index(
            "webhook_configurations_asking",
            "account_sid",
            postgresql_where=text("pre_url IS NOT NULL"),
        ),
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid_ref("accounts")
    chat_service_sid: str | None = c.sid_ref("services", null=True)
    pre_url: str | None = None
    pre_on_timeout: str = c.word("open")
    pre_timeout_ms: int = c.number(5000)
    post_url: str | None = None
    method: str = Field(default="POST")
    filters: list[str] = c.texts()
    echo: bool = c.flag(False)
    payload: str = c.word(TWILIO)
    declared_as: str | None = None
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class ScopedWebhook(SQLModel, table=True):
    """A webhook of one conversation (docs/27): target webhook, trigger or studio. `echo` and
    `payload` as above."""

    __tablename__ = "scoped_webhooks"
    __table_args__ = (
        Index("scoped_webhooks_listing", "conversation_sid", "sid"),
        Index("scoped_webhooks_echo", "account_sid", postgresql_where=text("echo")),
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid()
    chat_service_sid: str = c.sid()
    conversation_sid: str = c.sid_ref("conversations")
    target: str
    url: str | None = None
    method: str = Field(default="POST")
    filters: list[str] = c.texts()
    triggers: list[str] = c.texts()
    flow_sid: str | None = None
    retry_count: int | None = None
    replay_after: int | None = None
    echo: bool = c.flag(False)
    payload: str = c.word(TWILIO)
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()
