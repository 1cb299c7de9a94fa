"""Content templates that the file declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from app.settings import content_types
from app.settings.content_types import BadContent
from app.settings.section import Model
from app.settings.types import PLAIN, AccountSid, CarrierName, ContentSid


def _checked(check: Callable[[Any], Any]) -> AfterValidator:
    """A check of the API's, whose message is shown as it is."""

    def checked(value: Any) -> Any:
        try:
            return check(value)
        except BadContent as error:
            message = f"{error.message} ({error.code})"
        raise PydanticCustomError(PLAIN, "{message}", {"message": message})

    return AfterValidator(checked)


Language = Annotated[str, _checked(content_types.check_language)]
Samples = Annotated[dict[str, str], _checked(content_types.check_samples)]
Status = Literal["unsubmitted", "received", "pending", "approved", "rejected", "paused", "disabled"]
Types = Annotated[dict[str, dict[str, Any]], _checked(content_types.check_types)]


class ApprovalSettings(Model):
    """What WhatsApp thinks of a template, which it calls `name` (without one: as the file does)."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,512}$")] | None = None
    category: Literal["UTILITY", "MARKETING", "AUTHENTICATION"] = "UTILITY"
    status: Status = "approved"


class CalledSettings(Model):
    """What a carrier calls a template: its SID there, or its name and language."""

    sid: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    language: Annotated[str, Field(min_length=1, max_length=20)] | None = None


class ContentSettings(Model):
    """A content template: its types with their fields, and the samples of its variables. Where the
    file is silent on its approval, the API and WhatsApp decide."""

    account: AccountSid | None = None
    sid: ContentSid | None = None
    language: Language
    variables: Samples = Field(default_factory=dict)
    types: Types
    approval: ApprovalSettings | None = None
    carriers: dict[CarrierName, CalledSettings] = Field(default_factory=dict)
