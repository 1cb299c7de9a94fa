"""What conversations hold at most ("Conversations Limits")."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.settings.section import Model


class LimitSettings(Model):
    """`twilio`: the documented limits and drops. `relaxed`: send what the channel can carry, and
    limit the rate of actions only when a rate is given. `session`: whether we refuse free words
    outside of a session ourselves, or leave it to the carrier."""

    profile: Literal["twilio", "relaxed"] = "twilio"
    session: Literal["enforce", "carrier"] = "enforce"
    actions_per_s: Annotated[float, Field(ge=0)] = 30.0
    friendly_name_chars_max: Annotated[int, Field(gt=0)] = 256
    identity_chars_max: Annotated[int, Field(gt=0, le=512)] = 256
    unique_name_chars_max: Annotated[int, Field(gt=0, le=512)] = 256
    address_chars_max: Annotated[int, Field(gt=0, le=512)] = 256
    body_bytes_max: Annotated[int, Field(gt=0)] = 32_768
    conversation_attributes_bytes_max: Annotated[int, Field(gt=0)] = 16_384
    attributes_bytes_max: Annotated[int, Field(gt=0)] = 4096
    participants_max: Annotated[int, Field(gt=0)] = 1000
    participants_external_max: Annotated[int, Field(gt=0)] = 50
    participants_group_max: Annotated[int, Field(gt=0, le=50)] = 10
    group_copies_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    participants_at_once_max: Annotated[int, Field(gt=0)] = 10
    conversations_per_identity_max: Annotated[int, Field(gt=0)] = 1000
    scoped_webhooks_max: Annotated[int, Field(gt=0)] = 5
    content_variables_max: Annotated[int, Field(gt=0)] = 100
    content_variable_key_chars_max: Annotated[int, Field(gt=0)] = 16
    content_variable_value_chars_max: Annotated[int, Field(gt=0)] = 256
    content_variables_chars_max: Annotated[int, Field(gt=0)] = 27_801

    @property
    def effective_actions_per_s(self) -> float:
        """How many actions a conversation or a service takes in a second; 0: as many as come."""
        given = "actions_per_s" in self.model_fields_set
        return self.actions_per_s if given or self.profile == "twilio" else 0.0
