"""Whom the account asks before its changes, and tells of them afterwards."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.settings.section import Model
from app.settings.types import (
    PRE_TIMEOUT_MS_MAX,
    PRE_TIMEOUT_MS_MIN,
    HookEvent,
    HttpMethod,
    OnTimeout,
    Payload,
    WebUrl,
)


class WebhookSettings(Model):
    """The account's webhooks. `filters` lists the events that are sent; none: nothing is sent.

    `pre_url` is asked before a change; `pre_on_timeout` says what becomes of the change when there
    is no answer: open, it happens; closed, it is rejected. With `echo` what REST callers change is
    told although they did not ask for it. `payload` is the original's, or enriched. A service's own
    webhooks override these, or both are told.
    """

    pre_url: WebUrl | None = None
    pre_on_timeout: OnTimeout = "open"
    pre_timeout_ms: Annotated[int, Field(ge=PRE_TIMEOUT_MS_MIN, le=PRE_TIMEOUT_MS_MAX)] = 5000
    post_url: WebUrl | None = None
    method: HttpMethod = "POST"
    filters: tuple[HookEvent, ...] = ()
    echo: bool = False
    payload: Payload = "twilio"
    service_webhooks: Literal["override", "both"] = "override"
