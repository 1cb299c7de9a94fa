"""What a message to one of our addresses creates when it belongs to no conversation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.settings.section import Model
from app.settings.types import Address, FlowSid, HttpMethod, Name, Payload, PostEvent, WebUrl


class AutoCreationSettings(Model):
    """What an inbound message that belongs to no conversation creates."""

    enabled: bool = True
    type: Literal["default", "webhook", "studio"] = "default"
    service: str | None = None
    webhook_url: WebUrl | None = None
    webhook_method: HttpMethod = "POST"
    webhook_filters: tuple[Literal[PostEvent, "onConversationAdd"], ...] = ()
    webhook_echo: bool = False
    webhook_payload: Payload = "twilio"
    studio_flow_sid: FlowSid | None = None
    studio_retry_count: Annotated[int, Field(ge=0, le=3)] = 0
    default_identities: tuple[Name, ...] = ()


class AddressSettings(Model):
    """An address configuration; it belongs to the account of its sender."""

    address: Address
    friendly_name: Name | None = None
    auto_creation: AutoCreationSettings = AutoCreationSettings()
