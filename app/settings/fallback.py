"""What a sender sends in the place of free words to somebody whose session is over."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.settings.section import Model

BODY = "{body}"
"""In a variable: the text of the message, on one line."""

VariableName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,16}$")]


class FallbackSettings(Model):
    """An approved template: `content` is a name from `contents`, or the SID of one that the API
    made. What `{body}` in a variable stands for is cut to `limits.content_variable_value_chars_max`
    characters."""

    content: Annotated[str, Field(min_length=1, max_length=256)]
    variables: dict[VariableName, Annotated[str, Field(max_length=1600)]] = Field(
        default_factory=dict, max_length=100
    )
